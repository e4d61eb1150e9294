"""The data of a finished run, and other data for its model.

Decisions: nothing is downloaded to a folder that only the run's configuration names, since the run may be foreign;
classes are matched by name, never by position.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from ziffern.config import conf_folder
from ziffern.config.instantiate import build, refuse_interpolations, resolved
from ziffern.data.datamodule import ImageDataModule
from ziffern.data.dataset import LabeledImages
from ziffern.data.spec import Shape
from ziffern.data.split import Split
from ziffern.errors import InputError
from ziffern.experiment.naming import register_resolvers
from ziffern.records.arrays import Material
from ziffern.runs.run import Run
from ziffern.text.printable import printable

SOURCES = "ziffern.data.sources"
SPLIT = ("split", "fractions", "split_seed", "val_from", "val_share", "fold", "folds")  # settings of data
LIMIT = "limit"  # likewise; it is not taken from the run
EMBEDDED = "mnist5k"  # its name in records, also if it replaced missing data


def data_of_run(run: Run, folder: str | None = None) -> dict[str, Any]:
    """Return the configuration of a run's own data, in `folder` if given; nothing is downloaded to the run's own.

    Raises:
        InputError: The run's configuration has no data or no folder.
    """
    given = run.config.get("data")
    if not (isinstance(given, dict) and isinstance(given.get("source"), dict) and isinstance(given.get("dir"), str)):
        raise InputError("experiment.ensemble.no_data", folder=run.folder)
    source = given["source"]
    if str(source.get("_target_")).endswith(".Torchvision"):
        if run.description.get("data/name") == EMBEDDED:  # the run was trained on its fallback
            source = {"_target_": f"{SOURCES}.Embedded"}
        elif folder is None:
            source = {**source, "download": False}
    if str(source.get("_target_")).endswith(".Local") and "prepare" not in given:  # of a version that only resized
        given = {**given, "prepare": "resize" if given.get("image") else "none", "polarity": "keep", "transpose": False}
    return {**given, "source": source, "dir": folder or given["dir"]}


def tested_data(
    run: Run, material: Material, data: str | None, part: str | None, settings: Mapping[str, Any], image: Shape
) -> tuple[ImageDataModule, str]:
    """Return data whose test part is the images that an evaluation tests, and the name of this part.

    Args:
        run: The run whose model is tested.
        material: The run's own.
        data: As for `ziffern.experiment.evaluation.evaluate`.
        part: Likewise.
        settings: Likewise; those of `data` are used.
        image: The shape of the model's images.

    Raises:
        InputError: Unknown or unusable data, data that are no longer those of the run, or the setting of a split that
            is not used.
    """
    own = data_of_run(run, settings.get("data.dir") if data is None else None)
    refuse_interpolations(own, "data")  # of a run that may be foreign, before settings are merged and resolved
    if data == "local":
        data = str(settings.get("data.dir") or "")
    if data == "":
        raise InputError("experiment.data.no_dir")
    node = own if data is None else _other_data(data, own, material, image, run.description.get("data/prepare"))
    chosen = OmegaConf.create(node)
    for key, value in settings.items():
        if key.startswith("data."):
            OmegaConf.update(chosen, key.removeprefix("data."), value, merge=True)
    images: ImageDataModule = build({**resolved(chosen, "data"), "batch_size": 1}, "data", ImageDataModule)
    dataset = images.load()
    is_own = dataset.fingerprint == run.description.get("data/fingerprint")
    if data is None and not is_own:
        raise InputError("experiment.ensemble.other_data", place=images.dir, folder=run.folder)
    split_settings = [key for key in settings if key.removeprefix("data.") in (*SPLIT, LIMIT)]
    part = part or ("test" if is_own or split_settings else "all")
    if part == "all" and split_settings:
        raise InputError("experiment.evaluation.no_split", key=split_settings[0])
    images.dataset = with_classes(dataset, material.class_names, run.folder)
    nothing = np.zeros(0, np.int64)
    split = images.unique(Split(nothing, nothing, np.arange(len(dataset)))) if part == "all" else images.parts
    index = split.test if part == "all" else getattr(split, part)
    if part == "all":
        images.split_name = "all images"
    elif part != "test" or not is_own:
        images.split_name = f"{part} of {images.split_name}"
    images.parts = Split(nothing, nothing, index, dropped=split.dropped)
    return images, part


def _other_data(data: str, own: dict[str, Any], material: Material, image: Shape, prepare: object) -> dict[str, Any]:
    """Return the configuration of other data: an option of the group `data`, or a path.

    Images are converted to the model's shape, pictures are prepared and parts are cut as the run's own.
    """
    known = sorted(path.stem for path in (conf_folder() / "data").glob("[!_]*.yaml") if path.stem != "local")
    if data not in known and not Path(data).expanduser().exists():
        raise InputError("experiment.evaluation.no_data", data=data, known=known)
    path = Path(data).expanduser()
    files = own["source"].get("files")
    files = files if isinstance(files, list) else []
    if data not in known and files and all((path / str(name)).is_file() for name in files):
        return {**own, "dir": data}  # the folder of the run's own data set
    node = _option(data if data in known else "local")
    if data not in known:
        node |= {"dir": data}
        node |= {key: own[key] for key in ("prepare", "polarity") if own.get(key) not in (None, "none")}
        if prepare in ("digit", "resize"):  # what `auto` chose for the images of training
            node["prepare"] = prepare
    elif "fallback" in node["source"]:  # which would be the score on other data than those named
        node["source"] = {**node["source"], "fallback": False}
    return {**node, **{key: own[key] for key in SPLIT if key in own}, "image": list(image)}


def _option(name: str) -> dict[str, Any]:
    """Return the configuration of an option of the group `data`."""
    register_resolvers()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return dict(resolved(compose("train", overrides=[f"data={name}"]).data, "data"))


def with_classes(dataset: LabeledImages, names: tuple[str, ...], model: object) -> LabeledImages:
    """Return a data set whose labels are places in `names`, the classes of a model, matched by name.

    Raises:
        InputError: The model does not have one of the classes that occur; the message names it.
    """
    own = tuple(map(printable, dataset.class_names))
    if own == names:
        return dataset
    if unknown := [own[label] for label in np.unique(dataset.labels) if own[label] not in names]:
        values = {"data": dataset.name, "count": len(unknown), "name": unknown[0], "run": model, "known": names}
        raise InputError("experiment.evaluation.other_classes", **values)
    places = np.array([names.index(name) if name in names else 0 for name in own])
    return replace(dataset, labels=places[dataset.labels].astype(np.int64), class_names=names)
