"""The user's own metrics: any torchmetrics.Metric that takes logits and labels, and returns one number."""

from collections.abc import Mapping

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor
from torchmetrics import Metric

from ziffern.analysis.metrics import METRICS
from ziffern.errors import InputError
from ziffern.training.module import ImageClassifier


class OwnMetrics(pl.Callback):
    """Logs metrics as `val/NAME` after each epoch and as `test/NAME` after the test, and keeps the latter.

    Args:
        metrics: By name; `update` takes logits (N, C) and labels (N,).
        classes: C.

    Attributes:
        values: The values on the test part, by key.

    Raises:
        InputError: A metric has the name of one of ours, refuses logits and labels, or returns no single number.
    """

    def __init__(self, metrics: Mapping[str, Metric], classes: int) -> None:
        self.metrics, self.values = metrics, dict[str, float]()
        logits, labels = torch.eye(classes), torch.arange(classes)
        for name, metric in metrics.items():
            taken = {registered.key.rpartition("/")[2] for registered in METRICS}
            if name in taken or not name.isidentifier():
                raise InputError("training.metric.name", name=name, taken=sorted(taken))
            try:
                metric.update(logits, labels)
                value = metric.compute()
            except (RuntimeError, ValueError, TypeError, IndexError) as error:
                raise InputError("training.metric.failed", name=name, reason=str(error)) from error
            if not isinstance(value, Tensor) or value.numel() != 1:
                raise InputError(
                    "training.metric.not_a_number", name=name, shape=str(list(getattr(value, "shape", [])))
                )
            metric.reset()

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the metrics of the validation part."""
        assert isinstance(pl_module, ImageClassifier)
        logits, labels = (torch.cat(parts) for parts in zip(*pl_module.val_outputs, strict=True))
        values = self._values("val", logits, labels, is_whole=False)
        if trainer.state.fn == TrainerFn.FITTING:
            for logger in trainer.loggers:
                logger.log_metrics(values, step=trainer.global_step)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log and keep the metrics of the test part, which every process has as a whole."""
        assert isinstance(pl_module, ImageClassifier)
        logits, labels = (torch.cat(parts) for parts in zip(*pl_module.test_outputs, strict=True))
        self.values = self._values("test", logits, labels, is_whole=True)
        for logger in trainer.loggers:
            logger.log_metrics(self.values)

    def _values(self, part: str, logits: Tensor, labels: Tensor, is_whole: bool) -> dict[str, float]:
        values = {}
        for name, metric in self.metrics.items():
            metric.reset()
            metric.sync_on_compute = not is_whole
            metric.to(logits.device).update(logits, labels)
            values[f"{part}/{name}"] = float(metric.compute())
        return values
