"""Configurations of version 0.1.0, which its run folders and the users' own YAML files still have, in today's words."""

from pathlib import Path
from typing import Any

import yaml

FORMER = {
    "ziffern.module.DigitClassifier": "ziffern.training.module.ImageClassifier",
    "ziffern.data.datamodule.DigitDataModule": "ziffern.data.datamodule.ImageDataModule",
    "ziffern.normalize.Normalize": "ziffern.models.normalization.Normalize",
    "ziffern.augment.RandomAffine": "ziffern.models.augmentation.RandomAffine",
    "ziffern.callbacks.early_stopping.EarlyStopping": "ziffern.training.callbacks.early_stopping.EarlyStopping",
    "ziffern.callbacks.ema.EMA": "ziffern.training.callbacks.ema.EMA",
}
TORCHVISION = "ziffern.data.sources.Torchvision"
SETS = ("mnist", "fashion_mnist", "kmnist", "emnist_digits", "qmnist", "usps")  # once known to the code by these names


def conf_folder() -> Path:
    """Return the folder of the configuration: the wheel's copy, or the checkout's `conf/`."""
    package = Path(__file__).parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"


def with_current_targets(node: Any) -> Any:
    """Return plain containers with each `_target_` of version 0.1.0, and what belongs to it, as they are today."""
    if isinstance(node, list):
        return [with_current_targets(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("_target_") == TORCHVISION and "kind" not in node and node.get("dataset") in SETS:
        known = yaml.safe_load((conf_folder() / "data" / f"{node['dataset']}.yaml").read_text(encoding="utf-8"))
        node = known["source"] | node
    return {
        key: FORMER.get(value, value) if key == "_target_" and isinstance(value, str) else with_current_targets(value)
        for key, value in node.items()
    }
