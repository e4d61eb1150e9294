"""The data and the direction that all trials of a search share, checked in each trial."""

from typing import TYPE_CHECKING, Any, Protocol

from omegaconf import DictConfig, ListConfig, OmegaConf

from hydra_study import SweepError
from ziffern.errors import InputError
from ziffern.text.catalog import Message
from ziffern.text.language import LANGUAGES

if TYPE_CHECKING:
    import optuna

    from ziffern.data.datamodule import ImageDataModule


class _Study(Protocol):
    @property
    def user_attrs(self) -> dict[str, Any]: ...

    def set_user_attr(self, key: str, value: Any) -> None: ...


def agree_on_data(study: "_Study | None", data: "ImageDataModule", model: object = None) -> None:
    """Record in the study which data it uses, or check that it uses the same data as before.

    Nothing is checked if this process has no study; `run_experiment` passes a model, too.

    Raises:
        SweepError: The study was started with other data.
    """
    if study is None:
        return
    identity = f"{data.dataset.name} ({data.dataset.fingerprint[:12]}), {data.split_name}"
    first = study.user_attrs.get("data")
    if first is None:
        train, val = (len(part) for part in data.parts.indices[:2])
        code = "search.data.about_with_note" if data.dataset.note else "search.data.about"
        about = Message(code, name=data.dataset.name, train=train, val=val, note=data.dataset.note)
        study.set_user_attr("about", str(about))  # the sweeper prints it
        study.set_user_attr("about_by_language", {code: about.in_language(code) for code in LANGUAGES})
        study.set_user_attr("data", identity)
    elif first != identity:
        raise SweepError(Message("search.data.differs", first=first, current=identity))


def check_data(study: "optuna.Study", cfg: DictConfig) -> None:
    """Raise SweepError if a finished search used other data than this configuration."""
    from ziffern.config.instantiate import build
    from ziffern.data.datamodule import ImageDataModule

    if "data" in study.user_attrs:
        data = build(cfg.data, "data", ImageDataModule)
        data.setup()
        agree_on_data(study, data)


def check_direction(setting: object, expected: str | list[str]) -> None:
    """Raise InputError if a search would optimize in the wrong direction."""
    direction = OmegaConf.to_container(setting) if isinstance(setting, ListConfig) else setting
    if direction is not None and direction != expected:
        raise InputError("search.direction.wrong", direction=direction, expected=expected)
