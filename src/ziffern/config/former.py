"""Names that classes had in version 0.1.0, which its run folders and the users' own YAML files still have."""

from typing import Any

FORMER = {
    "ziffern.module.DigitClassifier": "ziffern.training.module.ImageClassifier",
    "ziffern.data.datamodule.DigitDataModule": "ziffern.data.datamodule.ImageDataModule",
    "ziffern.normalize.Normalize": "ziffern.models.normalization.Normalize",
    "ziffern.augment.RandomAffine": "ziffern.models.augmentation.RandomAffine",
    "ziffern.callbacks.early_stopping.EarlyStopping": "ziffern.training.callbacks.early_stopping.EarlyStopping",
    "ziffern.callbacks.ema.EMA": "ziffern.training.callbacks.ema.EMA",
}


def with_current_targets(node: Any) -> Any:
    """Return plain containers with each `_target_` of version 0.1.0 replaced by its present name."""
    if isinstance(node, list):
        return [with_current_targets(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: FORMER.get(value, value) if key == "_target_" and isinstance(value, str) else with_current_targets(value)
        for key, value in node.items()
    }
