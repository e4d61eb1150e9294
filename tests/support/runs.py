"""Runs on synthetic digits, within the test process."""

import copy
from functools import cache
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from ziffern.config import conf_folder
from ziffern.experiment.naming import register_resolvers
from ziffern.experiment.run import run_experiment
from ziffern.runs.run import Run

FAST = ["trainer=cpu", "logger=none", "trainer.max_epochs=2"]
SMALL = ["model=nn", "model.net.hidden=[16]"]  # unless a test chooses


def compose_config(digits: Path, *overrides: str) -> DictConfig:
    """Compose a configuration on the synthetic digits.

    Hydra takes 0.1 s. So only the options of groups, and what is added or removed, are composed, once in this process;
    settings are changed in a copy, as Hydra does it after composing.
    """
    register_resolvers()
    settings = [override for override in overrides if is_setting(override)]
    config = copy.deepcopy(_composed(digits, *(override for override in overrides if override not in settings)))
    for override in OverridesParser.create().parse_overrides(settings):
        OmegaConf.update(config, override.key_or_group, override.value(), merge=True)
    return config


def is_setting(override: str) -> bool:
    """Return whether an override gives a setting that is there another value, and chooses no option of a group."""
    key = override.partition("=")[0]
    return key.replace(".", "").isidentifier() and not key.startswith("hydra.") and not (conf_folder() / key).is_dir()


@cache
def _composed(digits: Path, *overrides: str) -> DictConfig:
    GlobalHydra.instance().clear()
    local = ["data=local", f"data.dir={digits}", "data.split=resplit"]
    if not any(override.startswith("data=") for override in overrides):
        local.append("data.num_classes=10")
    chosen = any(override.startswith(("model=", "experiment=")) for override in overrides)
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return compose("train", overrides=[*local, *FAST, *([] if chosen else SMALL), *overrides])


def run_in(folder: Path, config: DictConfig, name: str = "nn") -> Run:
    """Run an experiment in this process."""
    run_experiment(config, folder, name)
    return Run(folder)
