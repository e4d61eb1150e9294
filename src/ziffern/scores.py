"""Loss and accuracy over many batches without paying for them at every step.

Decision: a step only appends its logits to a list; every so many steps they are scored together. A metric
object and `self.log` at each step would cost as much as the step of a small network itself.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric


class Scores(nn.Module):
    """Mean loss and accuracy of everything added since the last reset; synchronised under DDP.

    Args:
        loss: Maps logits (N, C) and labels (N,) to the mean loss, a scalar.
    """

    def __init__(self, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self._loss = loss
        self._waiting: list[tuple[Tensor, Tensor]] = []
        # "disable": a loss that is not a number must show, not be skipped.
        self.mean_loss = MeanMetric(nan_strategy="disable")
        self.mean_hit = MeanMetric(nan_strategy="disable")

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Keep the logits (B, C) and labels (B,) of one batch, to be scored later."""
        self._waiting.append((logits.detach(), labels))

    @torch.no_grad()
    def settle(self) -> dict[str, float]:
        """Score what waits; return its `loss` and `acc`, empty where nothing waited."""
        if not self._waiting:
            return {}
        logits = torch.cat([logits for logits, _ in self._waiting]).float()  # (N, C)
        labels = torch.cat([labels for _, labels in self._waiting])  # (N,)
        self._waiting.clear()
        loss, hits = self._loss(logits, labels), (logits.argmax(1) == labels).float()
        self.mean_loss.update(loss.expand(len(labels)))  # weight= is lost under "disable": torchmetrics issue 3434
        self.mean_hit.update(hits)
        return {"loss": float(loss), "acc": float(hits.mean())}

    def compute(self) -> dict[str, float]:
        """Return `loss` and `acc` of everything since the last call, and start anew."""
        self.settle()
        scores = {"loss": round(float(self.mean_loss.compute()), 7), "acc": round(float(self.mean_hit.compute()), 7)}
        self.mean_loss.reset()
        self.mean_hit.reset()
        return scores
