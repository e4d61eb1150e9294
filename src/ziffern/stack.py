"""Steps of several runs at once: grouped convolutions and batched matrix products in place of many small ones.

Decisions: runs are together for one list of batches only: their tensors are copied side by side, the nets' parameters
become views of the copies, so that each run's own optimizer, hooks and clipping work on them unknowingly, and at the
end the values return to the run's own memory; no link has to be kept, and a checkpoint holds its own run alone. What
is random in a step (augmentation, dropout masks) is drawn first, by the run's own layers in its own stream, as it
would be alone. A net that is no plain chain of known layers trains alone, and its log says why.
"""

import logging
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import TracebackType
from typing import Any, Protocol

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from ziffern.data.batches import Batch
from ziffern.module import DigitClassifier, Taken

log = logging.getLogger(__name__)
DROPOUT = (nn.Dropout, nn.Dropout2d)
DIMENSIONS: dict[type[nn.Module], tuple[int, ...]] = {  # layers that can be stacked -> of what each may take
    **dict.fromkeys((nn.Conv2d, nn.BatchNorm2d, nn.Dropout2d, nn.Flatten), (4,)),
    **dict.fromkeys((nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.PixelUnshuffle), (4,)),
    **dict.fromkeys((nn.Linear, nn.BatchNorm1d), (2,)),
    **dict.fromkeys((nn.Dropout, nn.ReLU, nn.Sigmoid, nn.Tanh, nn.GELU, nn.SiLU, nn.Identity), (2, 4)),
}


class Meeting(Protocol):
    """What the runs of one process have to offer each other; the sweeper's does."""

    def meet(self, key: Hashable, work: Any, together: Callable[[list[Any]], None]) -> None:
        """Return when all works of an equal key were given to one call of `together`."""


class NotStackableError(Exception):
    """Why a run trains alone."""


@dataclass(frozen=True)
class Layer:
    """A layer of a chain; runs whose layers are equal can be stacked.

    Attributes:
        name: In the net.
        settings: Its kind and attributes, but for a dropout's probability: that is each run's own.
        strides: Of its parameters and buffers: optimizers rely on them.
        shape: Of what it takes, without the batch.
        format: Of what it takes alone, since masks are drawn in the order of memory.
    """

    name: str
    settings: str
    strides: tuple[tuple[int, ...], ...]
    shape: tuple[int, ...]
    format: torch.memory_format


def chain(net: nn.Module, images: Tensor) -> tuple[Layer, ...]:
    """Return the layers of a net in the order in which images (B, 1, 28, 28) go through them.

    Raises:
        NotStackableError: It is no chain, or one of its layers has no stacked counterpart.
    """
    try:
        nodes = list(fx.Tracer().trace(net).nodes)
    except Exception as error:  # whatever running a `forward` on a placeholder raises
        raise NotStackableError(f"{type(net).__name__} cannot be traced: {error}") from error
    for before, node in pairwise(nodes):
        if node.op not in ("call_module", "output") or node.args != (before,) or node.kwargs:
            raise NotStackableError(f"{type(net).__name__} is no chain of layers: {node.format_node()}")
    names = [str(node.target) for node in nodes[1:-1]]
    for name in names:
        _check(net.get_submodule(name))
    layers = []
    net.eval()  # no running statistics are touched, and nothing is drawn
    try:
        for name in names:
            layer = net.get_submodule(name)
            if images.dim() not in DIMENSIONS[type(layer)]:
                raise NotStackableError(f"{layer} takes {images.dim()} dimensions")
            settings = {key: value for key, value in vars(layer).items() if key != "p" and not key.startswith("_")}
            strides = tuple(tensor.stride() for tensor in (*layer.parameters(), *layer.buffers()))
            kept = torch.contiguous_format if images.is_contiguous() else torch.channels_last
            layers.append(Layer(name, f"{type(layer).__name__} {settings}", strides, tuple(images.shape[1:]), kept))
            with torch.no_grad():
                images = layer(images)
    finally:
        net.train()
    return tuple(layers)


def _check(layer: nn.Module) -> None:
    hooked = layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks
    if type(layer) not in DIMENSIONS or hooked or not layer.training:
        raise NotStackableError(f"{layer} has no stacked counterpart")
    frozen = any(not parameter.requires_grad for parameter in layer.parameters())
    averaging = isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) and layer.momentum is None
    padded = isinstance(layer, nn.Conv2d) and layer.padding_mode != "zeros"
    partial = isinstance(layer, nn.Flatten) and (layer.start_dim, layer.end_dim) != (1, -1)
    if frozen or averaging or padded or partial:
        raise NotStackableError(f"{layer} with these settings, or frozen, has no stacked counterpart")


class Stacked:
    """Nets of equal layers as one, whose tensors lie side by side while the `with` lasts.

    Args:
        nets: K of them, in training.
        layers: Of each.
    """

    def __init__(self, nets: Sequence[nn.Module], layers: Sequence[Layer]) -> None:
        self.count, self.layers = len(nets), layers
        self._members = [[net.get_submodule(layer.name) for net in nets] for layer in layers]
        self._tensors: list[dict[str, Tensor]] = []  # of each layer by name, (K, ...)
        self._own: list[tuple[Tensor, Tensor]] = []  # a member's tensor, and its own memory
        self._parameters: list[Tensor] = []  # (K, ...)
        self._gradients: list[Tensor] = []  # (K, ...), of which the members' gradients are views

    def __enter__(self) -> "Stacked":
        laid: dict[Tensor, Tensor] = {}  # a layer may come twice
        for members in self._members:
            named = (*members[0].named_parameters(), *members[0].named_buffers())
            names = [name for name, tensor in named if tensor.is_floating_point()]
            self._tensors.append({})
            for name in names:
                tensors = [getattr(member, name) for member in members]
                if tensors[0] not in laid:
                    laid[tensors[0]] = self._lay(tensors)
                self._tensors[-1][name] = laid[tensors[0]]
        return self

    def _lay(self, tensors: list[Tensor]) -> Tensor:
        """Return copies side by side (K, ...) and make the tensors views of them, with the strides they have."""
        first = tensors[0]
        shape, strides = (self.count, *first.shape), (first.numel(), *first.stride())
        whole = torch.empty_strided(shape, strides, dtype=first.dtype, device=first.device)
        for tensor, view in zip(tensors, whole, strict=True):
            self._own.append((tensor, tensor.data))
            tensor.data = view.copy_(tensor.data)
        if isinstance(first, nn.Parameter):
            gradient = torch.empty_strided(shape, strides, dtype=first.dtype, device=first.device)
            for tensor, view in zip(tensors, gradient, strict=True):
                tensor.grad = view
            self._parameters.append(whole.requires_grad_())
            self._gradients.append(gradient)
        return whole

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for tensor, own in self._own:
            tensor.data, tensor.grad = own.copy_(tensor.data), None

    def __call__(self, images: Tensor, masks: Sequence[Tensor]) -> Tensor:
        """Return logits (K, B, C).

        Args:
            images: (B, K, 28, 28), a channel a net.
            masks: What each dropout multiplies by, (B, K·C, H, W), (B, K·C, 1, 1) or (K, B, F).
        """
        x, masks_left = images.contiguous(memory_format=torch.channels_last), iter(masks)
        for (layer, *_), tensors in zip(self._members, self._tensors, strict=True):
            flat = {name: tensor.flatten(0, 1) for name, tensor in tensors.items()}  # (K·C, ...)
            if isinstance(layer, nn.Conv2d):
                weight, bias, groups = flat["weight"], flat.get("bias"), self.count * layer.groups
                x = F.conv2d(x, weight, bias, layer.stride, layer.padding, layer.dilation, groups)  # (B, K·C, H, W)
            elif isinstance(layer, nn.Linear):
                weight, bias = tensors["weight"].mT, tensors.get("bias")  # (K, F, F'), (K, F')
                x = x.bmm(weight) if bias is None else torch.baddbmm(bias.unsqueeze(1), x, weight)  # (K, B, F')
            elif isinstance(layer, nn.BatchNorm2d):
                x = self._batch_norm(x, layer, flat)
            elif isinstance(layer, nn.BatchNorm1d):
                x = self._batch_norm(x.transpose(0, 1).flatten(1), layer, flat)  # (B, K·F)
                x = self._apart(x)
            elif isinstance(layer, DROPOUT):
                x = x * next(masks_left)
            elif isinstance(layer, nn.Flatten):
                x = self._apart(x.flatten(1))
            else:  # each value, or each channel, for itself
                x = layer(x)
        return x

    def _apart(self, x: Tensor) -> Tensor:
        """Return (K, B, F) of (B, K·F)."""
        return x.view(len(x), self.count, -1).transpose(0, 1)

    def _batch_norm(self, x: Tensor, layer: nn.BatchNorm1d | nn.BatchNorm2d, flat: dict[str, Tensor]) -> Tensor:
        mean, var, weight, bias = (flat.get(name) for name in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, mean, var, weight, bias, True, layer.momentum or 0.0, layer.eps)

    def backward(self, losses: Sequence[Tensor]) -> None:
        """Make the members' gradients those of their own losses."""
        found = torch.autograd.grad(torch.stack(list(losses)).sum(), self._parameters)
        torch._foreach_copy_(self._gradients, found)
        for members in self._members:
            for member in members:
                if isinstance(counted := getattr(member, "num_batches_tracked", None), Tensor):
                    counted.add_(1)


@dataclass
class Run:
    """One of the runs that take steps together.

    Attributes:
        module: In training.
        batches: To step on.
        layers: Of its net.
        random: States of the generators that it draws from, its own stream.
        taken: What came out of each step; None where nobody was there to take them with.
    """

    module: DigitClassifier
    batches: list[Batch]
    layers: tuple[Layer, ...]
    random: list[Tensor] = field(init=False)
    taken: Taken | None = None

    def __post_init__(self) -> None:
        device = self.module.device
        cuda = [torch.cuda.default_generators[device.index or 0]] if device.type == "cuda" else []
        self._generators = [torch.default_generator, *cuda]
        self.leave_stream()

    def leave_stream(self) -> None:
        """Keep how far the stream is, since another run goes on in another."""
        self.random = [generator.get_state() for generator in self._generators]

    def enter_stream(self) -> None:
        """Go on where the stream was left."""
        for generator, state in zip(self._generators, self.random, strict=True):
            generator.set_state(state)

    @torch.no_grad()
    def draw(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return normalised images (B, 1, 28, 28) and dropout masks, drawn as this run would alone."""
        self.enter_stream()
        augment, masks = self.module.augment, []
        images = self.module.normalize(images if augment is None else augment(images))
        for layer in self.layers:
            dropout = self.module.net.get_submodule(layer.name)
            if isinstance(dropout, DROPOUT):
                shape = (layer.shape[0], 1, 1) if isinstance(dropout, nn.Dropout2d) else layer.shape
                ones = images.new_ones(len(images), *shape).contiguous(memory_format=layer.format)
                masks.append(dropout(ones))
        self.leave_stream()
        return images, masks


def take_steps(runs: list[Run]) -> None:
    """Take the steps of runs of equal layers and batches together; one alone takes its own."""
    if len(runs) == 1:
        return
    steps = [run.module.stepper() for run in runs]
    taken: list[Taken] = [[] for _ in runs]
    with Stacked([run.module.net for run in runs], runs[0].layers) as net:
        for batches in zip(*(run.batches for run in runs), strict=True):
            drawn = [run.draw(images) for run, (images, _) in zip(runs, batches, strict=True)]
            together = zip(*(masks for _, masks in drawn), strict=True)  # of each dropout, the runs' masks
            masks = [torch.stack(mask) if mask[0].dim() == 2 else torch.cat(mask, 1) for mask in together]  # noqa: PLR2004
            logits = net(torch.cat([images for images, _ in drawn], 1), masks).unbind()  # K times (B, C)
            answers = zip(runs, logits, batches, strict=True)
            losses = [run.module.loss(said, labels) for run, said, (_, labels) in answers]
            net.backward(losses)
            for step, mine, loss, said in zip(steps, taken, losses, logits, strict=True):
                step()
                mine.append((loss.detach(), said.detach()))
    for run, mine in zip(runs, taken, strict=True):
        run.taken = mine


def stacked(meeting: Meeting) -> Callable[[DigitClassifier, list[Batch]], Taken | None]:
    """Return what takes a run's steps with others at a meeting; it returns None where the run has to take its own."""
    layers: tuple[Layer, ...] | None = None
    alone = ""  # why

    def steps(module: DigitClassifier, batches: list[Batch]) -> Taken | None:
        nonlocal layers, alone
        if layers is None and not alone:
            try:
                layers = _layers_of(module, batches[0])
            except NotStackableError as error:
                alone = str(error)
                log.info("this run trains alone: %s", alone)
        if layers is None:
            return None
        run = Run(module, batches, layers)
        key = (layers, module.device, tuple((images.shape, labels.shape) for images, labels in batches))
        meeting.meet(key, run, take_steps)
        run.enter_stream()
        return run.taken

    return steps


def _layers_of(module: DigitClassifier, batch: Batch) -> tuple[Layer, ...]:
    if not module.backward_is_plain() or module.device.type not in ("cpu", "cuda"):
        raise NotStackableError("it needs one CPU or CUDA device, precision=32-true, and no callback around backward")
    return chain(module.net, module.normalize(batch[0]))
