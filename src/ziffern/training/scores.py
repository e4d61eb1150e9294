"""Loss and accuracy over many batches at a low cost per step.

Decision: a step only appends its logits to a list; every so many steps they are scored together. A metric object and
`self.log` at each step would cost as much as the step of a small net.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import SumMetric


class Scores(nn.Module):
    """Mean loss and accuracy of everything added since the last reset; synchronized under DDP."""

    def __init__(self) -> None:
        super().__init__()
        self.latest: dict[str, float] = {}  # loss and acc of the batches that were scored last
        self._waiting: list[tuple[Tensor, Tensor, Tensor]] = []
        # "disable": a NaN loss must not be skipped. With it, a MeanMetric would lose its weights (torchmetrics issue
        # 3434), hence sums.
        self.loss_sum, self.hits, self.count = (SumMetric(nan_strategy="disable") for _ in range(3))

    @property
    def _metrics(self) -> tuple[SumMetric, ...]:
        return self.loss_sum, self.hits, self.count

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Keep the mean loss, the logits (B, C) and the labels (B,) of one batch, to be scored later."""
        self._waiting.append((loss.detach(), logits.detach(), labels))

    @torch.no_grad()
    def settle(self) -> dict[str, float]:
        """Score the waiting batches; return their `loss` and `acc`, empty if there are none."""
        if not self._waiting:
            return {}
        losses, logits, labels = zip(*self._waiting, strict=True)
        self._waiting = []
        sizes = torch.tensor([len(part) for part in labels], device=labels[0].device)
        loss_sum = (torch.stack(losses).float() * sizes).sum()
        hits = (torch.cat(logits).argmax(1) == torch.cat(labels)).sum()
        count = sizes.sum()
        for metric, value in zip(self._metrics, (loss_sum, hits, count), strict=True):
            metric.update(value)
        self.latest = {"loss": float(loss_sum / count), "acc": float(hits / count)}
        return self.latest

    def state(self) -> dict[str, list[Any]]:
        """Return everything since the last reset, as plain values and tensors, for `restore`."""
        sums = [float(metric.compute()) if metric.update_called else 0.0 for metric in self._metrics]
        return {"sums": sums, "waiting": [list(batch) for batch in self._waiting]}

    def restore(self, state: dict[str, list[Any]]) -> None:
        """Continue from a `state`."""
        for metric, value in zip(self._metrics, state["sums"], strict=True):
            metric.update(value)
        device = self.count.device
        self._waiting = [
            (loss.to(device), logits.to(device), labels.to(device)) for loss, logits, labels in state["waiting"]
        ]

    def compute(self) -> dict[str, float]:
        """Return `loss` and `acc` of everything since the last call, and reset."""
        self.settle()
        count = float(self.count.compute())
        scores = {"loss": float(self.loss_sum.compute()) / count, "acc": float(self.hits.compute()) / count}
        for metric in self._metrics:
            metric.reset()
        return {name: round(score, 7) for name, score in scores.items()}
