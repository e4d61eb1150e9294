"""Runs on synthetic digits, within the test process."""

from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from ziffern.config.instantiate import conf_folder
from ziffern.experiment.naming import register_resolvers
from ziffern.experiment.run import run_experiment
from ziffern.runs.run import Run

FAST = ["trainer=cpu", "logger=none", "trainer.max_epochs=2"]
SMALL = ["model=nn", "model.net.hidden=[16]"]  # unless a test chooses


def compose_config(digits: Path, *overrides: str) -> DictConfig:
    """Compose a configuration on the synthetic digits."""
    GlobalHydra.instance().clear()
    register_resolvers()
    local = ["data=local", f"data.dir={digits}"]
    chosen = any(override.startswith(("model=", "experiment=")) for override in overrides)
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return compose("train", overrides=[*local, *FAST, *([] if chosen else SMALL), *overrides])


def run_in(folder: Path, config: DictConfig, name: str = "nn") -> Run:
    """Run an experiment in this process, with the configuration beside it as Hydra puts it there."""
    (folder / ".hydra").mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, folder / ".hydra/config.yaml")
    run_experiment(config, folder, name)
    return Run(folder)
