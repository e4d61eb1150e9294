"""What all trials of a search must agree on, checked by each of its trainings."""

from typing import TYPE_CHECKING

from omegaconf import DictConfig, ListConfig, OmegaConf

from hydra_plugins.hydra_optuna_queue import SweepError
from ziffern.errors import InputError
from ziffern.text.catalog import Message
from ziffern.text.language import LANGUAGES

if TYPE_CHECKING:
    import optuna

    from ziffern.data.datamodule import ImageDataModule


def agree_on_data(study: "optuna.Study | None", data: "ImageDataModule", model: object = None) -> None:
    """Record in the study which data it uses, or check that it is the same as at the search's beginning.

    Args:
        study: None where this process has none; nothing is checked then.
        data: Loaded.
        model: Not used; `run_experiment` passes it.

    Raises:
        SweepError: The study was begun with other data.
    """
    if study is None:
        return
    identity = f"{data.dataset.name} ({data.dataset.fingerprint[:12]}), {data.split_name}"
    first = study.user_attrs.get("data")
    if first is None:
        about = _about(data)
        study.set_user_attr("about", str(about))  # the sweeper prints it
        study.set_user_attr("about_by_language", {code: about.in_language(code) for code in LANGUAGES})
        study.set_user_attr("data", identity)
    elif first != identity:
        raise SweepError(Message("search.data.differs", first=first, now=identity))


def check_data(study: "optuna.Study", cfg: DictConfig) -> None:
    """Raise SweepError if a finished search used other data than the command is configured for now."""
    from ziffern.config.instantiate import build
    from ziffern.data.datamodule import ImageDataModule

    if "data" in study.user_attrs:
        data = build(cfg.data, "data", ImageDataModule)
        data.setup()
        agree_on_data(study, data)


def check_direction(given: object, wanted: str | list[str]) -> None:
    """Raise InputError where a search would take the worst for the best."""
    direction = OmegaConf.to_container(given) if isinstance(given, ListConfig) else given
    if direction is not None and direction != wanted:
        raise InputError("search.direction.wrong", direction=direction, wanted=wanted)


def _about(data: "ImageDataModule") -> Message:
    train, val = (len(part) for part in data.parts.indices[:2])
    values = {"name": data.dataset.name, "train": train, "val": val}
    if not data.dataset.note:
        return Message("search.data.about", **values)
    return Message("search.data.about_with_note", **values, note=data.dataset.note)
