"""Loss and accuracy over many batches at a low cost per step.

Decisions: a training step only appends its logits to a list; every so many steps they are scored together, since a
metric object and `self.log` at each step would cost as much as the step of a small net. A mean of batch means is
not the mean over the images where classes have weights, or the last batch is smaller: losses are summed with their
denominators in training, and computed once, over all images, in validation.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import SumMetric
from torchmetrics.utilities.distributed import gather_all_tensors

Waiting = tuple[Tensor, Tensor, Tensor]  # the mean loss, the logits (B, C) and the labels (B,) of a batch


class Scores(nn.Module):
    """Mean loss and accuracy of everything added since the last reset; synchronized under DDP."""

    def __init__(self) -> None:
        super().__init__()
        self.latest: dict[str, float] = {}  # loss and acc of the batches that were scored last
        self._waiting: list[Waiting] = []
        # "disable": a NaN loss must not be skipped. With it, a MeanMetric would lose its weights (torchmetrics issue
        # 3434), hence sums.
        self.loss_sum, self.weight, self.hits, self.count = (SumMetric(nan_strategy="disable") for _ in range(4))

    @property
    def _metrics(self) -> tuple[SumMetric, ...]:
        return self.loss_sum, self.weight, self.hits, self.count

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Keep the mean loss, the logits (B, C) and the labels (B,) of one batch, to be scored later."""
        self._waiting.append((loss.detach(), logits.detach(), labels))

    @torch.no_grad()
    def settle(self, loss: nn.Module) -> dict[str, float]:
        """Score the waiting batches; return their `loss` and `acc`, empty if there are none.

        Args:
            loss: The loss whose means were added.
        """
        if not self._waiting:
            return {}
        losses, logits, labels = zip(*self._waiting, strict=True)
        self._waiting = []
        weights = torch.stack([mean_weight(loss, part) for part in labels])
        loss_sum, weight = (torch.stack(losses).float() * weights).sum(), weights.sum()
        target = torch.cat(labels)
        hits, count = (torch.cat(logits).argmax(1) == target).sum(), torch.tensor(len(target))
        for metric, value in zip(self._metrics, (loss_sum, weight, hits, count), strict=True):
            metric.update(value)
        self.latest = {"loss": float(loss_sum / weight), "acc": float(hits) / len(target)}
        return self.latest

    def state(self) -> dict[str, list[Any]]:
        """Return everything since the last reset, as plain values and tensors, for `restore`."""
        sums = [float(metric.compute()) if metric.update_called else 0.0 for metric in self._metrics]
        return {"sums": sums, "waiting": [list(batch) for batch in self._waiting]}

    def restore(self, state: dict[str, list[Any]]) -> None:
        """Continue from a `state`."""
        sums = list(state["sums"])
        if len(sums) == len(self._metrics) - 1:  # version 0.1.0 had no weights of classes, and so no second sum
            sums.insert(1, sums[-1])
        for metric, value in zip(self._metrics, sums, strict=True):
            metric.update(value)
        device = self.count.device
        self._waiting = [
            (loss.to(device), logits.to(device), labels.to(device)) for loss, logits, labels in state["waiting"]
        ]

    def compute(self, loss: nn.Module) -> dict[str, float]:
        """Return `loss` and `acc` of everything since the last call, and reset."""
        self.settle(loss)
        loss_sum, weight, hits, count = (float(metric.compute()) for metric in self._metrics)
        for metric in self._metrics:
            metric.reset()
        return _rounded(loss_sum / weight if weight else float("nan"), hits / count)


def mean_weight(loss: nn.Module, labels: Tensor) -> Tensor:
    """Return the denominator, float32, of a loss that is the mean over a batch with the labels (B,)."""
    if isinstance(loss, nn.CrossEntropyLoss | nn.NLLLoss):
        labels = labels[labels != loss.ignore_index]
        if loss.weight is not None:
            return loss.weight[labels].sum().float()
    return torch.tensor(float(len(labels)), device=labels.device)


def scores_of(loss: nn.Module, outputs: list[tuple[Tensor, Tensor]], world_size: int = 1) -> dict[str, float]:
    """Return `loss` and `acc` of all images, whatever the batches in which they came.

    Args:
        loss: Mean loss of logits (N, C) and labels (N,).
        outputs: Logits (B, C) and labels (B,) of each batch in this process.
        world_size: The number of processes, whose images are scored together.
    """
    logits, labels = (torch.cat(parts) for parts in zip(*outputs, strict=True))
    if world_size > 1:
        logits, labels = (torch.cat(gather_all_tensors(part)) for part in (logits, labels))
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    return _rounded(float(loss(logits, labels)), float((logits.argmax(1) == labels).double().mean()))


def _rounded(loss: float, acc: float) -> dict[str, float]:
    return {"loss": round(loss, 7), "acc": round(acc, 7)}
