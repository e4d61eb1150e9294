"""Upgrades configurations of version 0.1.0, as found in its run folders and in users' YAML files, to current names."""

from typing import Any

import yaml

from ziffern.config import conf_folder

RENAMED = {
    "ziffern.module.DigitClassifier": "ziffern.training.module.ImageClassifier",
    "ziffern.data.datamodule.DigitDataModule": "ziffern.data.datamodule.ImageDataModule",
    "ziffern.normalize.Normalize": "ziffern.models.normalization.Normalize",
    "ziffern.augment.RandomAffine": "ziffern.models.augmentation.RandomAffine",
    "ziffern.callbacks.early_stopping.EarlyStopping": "ziffern.training.callbacks.early_stopping.EarlyStopping",
    "ziffern.callbacks.ema.EMA": "ziffern.training.callbacks.ema.EMA",
}
TRAINER = {"pytorch_lightning.Trainer": "ziffern.training.trainer.Trainer"}  # only in the configuration `trainer`
TORCHVISION = "ziffern.data.sources.Torchvision"
DATA_SETS = ("mnist", "fashion_mnist", "kmnist", "emnist_digits", "qmnist", "usps")  # version 0.1.0 gave only the name


def with_current_targets(node: Any) -> Any:
    """Return plain containers with each `_target_` of version 0.1.0, and its settings, upgraded."""
    if isinstance(node, list):
        return [with_current_targets(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("_target_") == TORCHVISION and "kind" not in node and node.get("dataset") in DATA_SETS:
        known = yaml.safe_load((conf_folder() / "data" / f"{node['dataset']}.yaml").read_text(encoding="utf-8"))
        node = known["source"] | node
    return {
        key: RENAMED.get(value, value) if key == "_target_" and isinstance(value, str) else with_current_targets(value)
        for key, value in node.items()
    }
