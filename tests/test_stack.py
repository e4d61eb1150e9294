"""Steps of several runs at once are the steps that each would take alone."""

import copy
import logging
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from ziffern.augment import RandomAffine
from ziffern.models import CNN, MLP, An2020, ConvNet, Ensemble, Views
from ziffern.module import DigitClassifier
from ziffern.normalize import Normalize
from ziffern.stack import Layer, NotStackableError, Run, Stacked, chain, stacked, take_steps

SGD = partial(torch.optim.SGD, momentum=0.9)


class Pooled(nn.Module):
    """What the other architectures lack."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.PixelUnshuffle(2), nn.Dropout(p), nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2)
        )
        self.then = nn.Sequential(nn.SiLU(), nn.Dropout(p), nn.Dropout2d(p), nn.AvgPool2d(2), nn.BatchNorm2d(6))
        self.last = nn.Sequential(
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 10, bias=False), nn.BatchNorm1d(10)
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.then(self.first(images)))


NETS: dict[str, Callable[[int], nn.Module]] = {  # with other probabilities in each run, where there is dropout
    "cnn": lambda k: CNN(conv_dropout=(0.5, 0.0, 0.2)[k], dropout=(0.5, 0.3, 0.0)[k]),
    "mlp": lambda k: MLP([32, 16], "gelu", dropout=(0.1, 0.5, 0.3)[k]),
    "convnet": lambda k: ConvNet(["unshuffle", "3x8", "pool", "3x16", "mean"]),
    "an2020": lambda k: An2020(7, [4, 8]),
    "views": lambda k: Views(ConvNet(["3x4", "pool", "5x8", "pool"])),
    "pooled": lambda k: Pooled((0.5, 0.2, 0.1)[k]),
}


def module_of(net: Callable[[int], nn.Module], k: int, optimizer: Callable[..., Any], **more: Any) -> DigitClassifier:
    """Return a module with optimizer and trainer; in float64, since Adam makes whole steps of rounding errors."""
    torch.manual_seed(k)
    made = DigitClassifier(net(k), partial(optimizer, lr=(0.01, 0.003, 0.0003)[k]), seed=k, **more).double()
    made.automatic_optimization = False
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    trainer.strategy.connect(made)
    made.trainer = trainer
    trainer.strategy.setup_optimizers(trainer)
    return made


def batches_of(k: int, count: int) -> list[tuple[Tensor, Tensor]]:
    random = torch.Generator().manual_seed(100 + k)
    images = torch.randint(0, 256, (count, 16, 28, 28), dtype=torch.uint8, generator=random)
    labels = torch.randint(0, 10, (count, 16), generator=random)
    return list(zip(images, labels, strict=True))


def train_alone(module: DigitClassifier, batches: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor]:
    step, losses = module.stepper(), []
    for batch in batches:
        loss, _ = module.loss_of(batch)
        module.optimizers().zero_grad()
        loss.backward()
        step()
        losses.append(loss.detach())
    return losses


def layers_of(module: DigitClassifier) -> tuple[Layer, ...]:
    return chain(module.net, module.normalize(batches_of(0, 1)[0][0]))


@pytest.mark.parametrize("optimizer", [SGD, torch.optim.Adam], ids=["sgd", "adam"])
@pytest.mark.parametrize("net", NETS)
def test_together_as_alone(net: str, optimizer: Callable[..., Any]) -> None:
    """Three runs for six steps, of which the last two are taken by two of them alone."""
    alone = [module_of(NETS[net], k, optimizer) for k in range(3)]
    expected, streams = [], []
    for k, module in enumerate(alone):
        torch.manual_seed(10 + k)
        expected.append(train_alone(module, batches_of(k, 6)[: 6 if k else 4]))
        streams.append(torch.get_rng_state())
    together = [module_of(NETS[net], k, optimizer) for k in range(3)]
    runs = []
    for k, module in enumerate(together):
        torch.manual_seed(10 + k)
        runs.append(Run(module, batches_of(k, 6)[:4], layers_of(module)))
    take_steps(runs)
    found = [[loss for loss, _ in run.taken or []] for run in runs]
    for run, k in ((runs[1], 1), (runs[2], 2)):
        run.batches = batches_of(k, 6)[4:]
    take_steps(runs[1:])
    for run, losses in zip(runs[1:], found[1:], strict=True):
        losses += [loss for loss, _ in run.taken or []]
    for k in range(3):
        torch.testing.assert_close(torch.stack(found[k]), torch.stack(expected[k]), rtol=1e-7, atol=1e-9)
        assert torch.equal(runs[k].random[0], streams[k]), "another number of random draws"
        for name, value in alone[k].state_dict().items():
            torch.testing.assert_close(together[k].state_dict()[name], value, rtol=1e-7, atol=1e-9, msg=name)


def test_what_is_random_is_drawn_as_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit by bit, whatever the order in memory in which the layer would see its input."""
    for net in (NETS["cnn"], NETS["pooled"], NETS["mlp"]):
        module = module_of(net, 0, SGD, augment=RandomAffine())
        (images, _), *_ = batches_of(0, 1)
        dropouts = [layer for layer in module.net.modules() if isinstance(layer, nn.Dropout | nn.Dropout2d)]
        layers = layers_of(module)
        with torch.random.fork_rng():
            pictures, masks = Run(module, [], layers).draw(images)
        seen: list[Tensor] = []
        for layer in dropouts:
            layer.register_forward_hook(lambda layer, given, out, seen=seen: seen.append(out / given[0]))
        assert torch.equal(module.normalize(module.augment(images)), pictures)
        module.net(pictures)
        assert len(seen) == len(masks) > 0
        for ratio, mask in zip(seen, masks, strict=True):
            known = ratio.isfinite()  # not where the input was zero
            assert known.any()
            assert torch.equal(ratio[known] > 0, mask.expand_as(ratio)[known] > 0)


def test_a_run_keeps_its_memory() -> None:
    """Nothing of the others is left in what a checkpoint holds."""
    modules = [module_of(NETS["convnet"], k, SGD) for k in range(2)]
    before = [tensor.data_ptr() for module in modules for tensor in module.state_dict().values()]
    runs = [Run(module, batches_of(k, 2), layers_of(module)) for k, module in enumerate(modules)]
    take_steps(runs)
    assert before == [tensor.data_ptr() for module in modules for tensor in module.state_dict().values()]
    for module in modules:
        assert int(module.net.features[2].num_batches_tracked) == 2
        assert all(parameter.grad is None for parameter in module.parameters())
        copy.deepcopy(module.net)


def test_a_run_that_diverges_leaves_the_others_as_they_are() -> None:
    expected = module_of(NETS["cnn"], 1, SGD)
    torch.manual_seed(5)
    train_alone(expected, batches_of(1, 5))
    lost, module = module_of(NETS["cnn"], 0, SGD), module_of(NETS["cnn"], 1, SGD)
    for group in lost.optimizers().param_groups:
        group["lr"] = 1e30
    runs = []
    for k, each in enumerate((lost, module)):
        torch.manual_seed(5)
        runs.append(Run(each, batches_of(k, 5), layers_of(each)))
    take_steps(runs)
    assert not runs[0].taken[-1][0].isfinite()
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(module.state_dict()[name], value, rtol=1e-7, atol=1e-9, msg=name)


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        (Ensemble([MLP()], [Normalize()]), "no chain of layers"),
        (nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Softmax(1)), "Softmax.*no stacked counterpart"),
        (nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular"), nn.Flatten()), "these settings"),
        (nn.Sequential(nn.BatchNorm2d(1, momentum=None), nn.Flatten()), "these settings"),
        (nn.Sequential(nn.Linear(28, 10)), "takes 4 dimensions"),
        (nn.Sequential(nn.Flatten(), nn.Linear(784, 10).requires_grad_(False)), "frozen"),
    ],
)
def test_what_cannot_be_stacked_says_why(net: nn.Module, reason: str) -> None:
    with pytest.raises(NotStackableError, match=reason):
        chain(net, torch.zeros(2, 1, 28, 28))
    assert net.training


def test_who_differs_in_more_than_numbers_is_not_stacked() -> None:
    images = torch.zeros(2, 1, 28, 28)
    assert chain(CNN(0.1, 0.2), images) == chain(CNN(0.3, 0.0), images)
    for one, other in (
        (nn.BatchNorm2d(1, momentum=0.1), nn.BatchNorm2d(1, momentum=0.2)),
        (nn.AvgPool2d(3), nn.AvgPool2d(3, count_include_pad=False)),
        (nn.Conv2d(1, 4, 3), nn.Conv2d(1, 4, 3, bias=False)),
        (nn.ReLU(), nn.SiLU()),
    ):
        assert chain(nn.Sequential(one), images) != chain(nn.Sequential(other), images)


class Nobody:
    """A meeting to which no other comes."""

    def meet(self, key: Hashable, work: Any, together: Callable[[list[Any]], None]) -> None:
        hash(key)
        together([work])


def test_who_is_alone_takes_its_own_steps(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    module = module_of(NETS["mlp"], 0, SGD)
    stream = torch.get_rng_state()
    caplog.clear()
    assert stacked(Nobody())(module, batches_of(0, 2)) is None
    assert torch.equal(stream, torch.get_rng_state())
    assert not caplog.messages
    module.net.layers.append(nn.LogSoftmax(1))
    steps = stacked(Nobody())
    for _ in range(2):
        assert steps(module, batches_of(0, 2)) is None
    (line,) = [message for message in caplog.messages if "alone" in message]
    assert "LogSoftmax" in line


def test_a_failure_leaves_nets_whole() -> None:
    nets = [MLP([4]), MLP([4])]
    before = [tensor.data_ptr() for net in nets for tensor in net.parameters()]
    with pytest.raises(RuntimeError), Stacked(nets, chain(nets[0], torch.zeros(2, 1, 28, 28))) as both:
        both(torch.zeros(2, 2, 27, 27), [])
    assert before == [tensor.data_ptr() for net in nets for tensor in net.parameters()]
