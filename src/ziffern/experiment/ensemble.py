"""An ensemble of finished runs, itself a run that can be reported on and compared.

Decisions: it is a model like any other, whose net contains the members' nets, so its checkpoint needs no other file;
it is validated and tested like a run of 0 epochs; members must share data and split, since the ensemble must not be
tested on images that one of its members was trained on.
"""

import math
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from ziffern.config import conf_folder
from ziffern.config.instantiate import refuse_interpolations
from ziffern.errors import InputError
from ziffern.experiment.run_data import data_of_run
from ziffern.files.atomic import write_text
from ziffern.runs.run import Run

if TYPE_CHECKING:
    from ziffern.data.datamodule import ImageDataModule
    from ziffern.training.module import ImageClassifier

NAME = "ensemble"
SHARED_KEYS = ("data/name", "data/fingerprint", "data/split")


def ensemble(folders: Sequence[Path], output: Path | None, data: str | None) -> Path:
    """Write the run folder of an ensemble of runs, and return it.

    Args:
        folders: Run folders, at least two.
        output: The new run folder; one below outputs/runs if None.
        data: The folder of the data, if it is no longer where the first run found it.

    Raises:
        InputError: Fewer than two runs, an unfinished run, runs of different data or splits, an existing output folder,
            or missing data.
    """
    from ziffern.experiment.run import run_experiment

    runs = [Run(folder) for folder in dict.fromkeys(folder.resolve() for folder in folders)]
    first = runs[0]
    if len(runs) < 2:  # noqa: PLR2004
        raise InputError("experiment.ensemble.too_few", folder=first.folder)
    if debug := next((run for run in runs if run.is_debug), None):
        raise InputError("experiment.ensemble.debug", folder=debug.folder)
    for run, key in ((run, key) for run in runs for key in SHARED_KEYS):
        if run.metrics[key] != first.metrics[key]:
            other = {"other_folder": first.folder, "other_value": first.metrics[key]}
            values = {"folder": run.folder, "key": key, "value": run.metrics[key], **other}
            raise InputError("experiment.ensemble.different", **values)
    folder = output or Path(f"outputs/runs/{NAME}_{datetime.now():%Y%m%d-%H%M%S}")
    if folder.exists():
        raise InputError("experiment.ensemble.exists", folder=folder)
    models = [run.load_model() for run in runs]
    cfg = configuration(runs, data)

    def take_weights(data: "ImageDataModule", model: "ImageClassifier") -> None:
        if data.dataset.fingerprint != first.metrics["data/fingerprint"]:
            raise InputError("experiment.ensemble.other_data", place=cfg.data.dir, folder=first.folder)
        for place, member in enumerate(models):
            model.net.nets[place].load_state_dict(member.net.state_dict())  # type: ignore[index, union-attr]
            model.net.normalize[place].load_state_dict(member.normalize.state_dict())  # type: ignore[index, union-attr]

    write_text(folder / ".hydra/config.yaml", OmegaConf.to_yaml(cfg))
    try:
        run_experiment(cfg, folder, NAME, on_ready=take_weights)
    except BaseException:
        shutil.rmtree(folder)
        raise
    return folder


def configuration(runs: Sequence[Run], data: str | None) -> DictConfig:
    """Return the configuration of the ensemble of these runs, as a run of 0 epochs.

    Raises:
        InputError: A member's configuration holds an interpolation, which would be resolved here.
    """
    from ziffern.training.loading import without_weights_file

    first, models = runs[0].config, [without_weights_file(run.config["model"]) for run in runs]
    own = OmegaConf.to_container(OmegaConf.load(conf_folder() / "train.yaml"), resolve=False)
    assert isinstance(own, dict)
    plain = {
        **{key: first.get(key) for key in ("seed", "monitor", "threads", "report", "data")},
        "objective": first.get("monitor"),
        "test": True,
        "ckpt_path": None,
        "callbacks": {},
        "logger": {},
        # Not the first member's trainer, which need not suit the others.
        "trainer": {**own["trainer"], "max_epochs": 0},
        "model": {
            **models[0],
            "augment": None,
            "scheduler": None,
            "normalize": {**models[0]["normalize"], "kind": "unit"},  # of the members' shape
            "net": {
                "_target_": "ziffern.models.Ensemble",
                "nets": [model.get("net") for model in models],
                "normalize": [model.get("normalize") for model in models],
            },
        },
        "ensemble": {
            "members": [run.folder.name for run in runs],
            "train_seconds": sum(float(run.metrics["train_seconds"]) for run in runs),
            "candidates": math.prod(run.candidates for run in runs),
        },
    }
    for key, value in plain.items():
        refuse_interpolations(value, key)
    plain["data"] = data_of_run(runs[0], data)
    cfg = OmegaConf.create(plain)
    assert isinstance(cfg, DictConfig)
    return cfg
