"""The user's own data and settings of it, without an experiment."""

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir

from ziffern.config import conf_folder
from ziffern.config.explain import COMPOSITION_ERRORS, explain
from ziffern.config.instantiate import build, resolved
from ziffern.config.typed import grammatical
from ziffern.data.datamodule import ImageDataModule
from ziffern.errors import InputError
from ziffern.experiment.naming import register_resolvers

READING = tuple(f"data.{name}" for name in ("image", "num_classes", "prepare", "polarity", "transpose", "label_column"))


def own_data(path: Path, settings: Sequence[str]) -> ImageDataModule:
    """Return the data at `path`, read by `data=local` with overrides such as `data.prepare=digit`.

    Raises:
        InputError: An override is invalid, or changes nothing about how the data is read.
    """
    overrides = ["data=local", *map(grammatical, settings)]
    register_resolvers()
    try:
        with initialize_config_dir(str(conf_folder()), version_base="1.3"):
            node = resolved(compose("train", overrides=overrides).data, "data")
    except COMPOSITION_ERRORS as error:
        raise explain(error, overrides, conf_folder()) from error
    for setting in settings:
        if setting.partition("=")[0] not in READING:
            raise InputError("experiment.data.setting", setting=setting, known=READING)
    data: ImageDataModule = build({**node, "dir": str(path), "batch_size": 1}, "data", ImageDataModule)
    return data
