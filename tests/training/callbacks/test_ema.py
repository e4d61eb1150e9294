import numpy as np
import pytest
import torch

from ziffern.errors import InputError
from ziffern.records.checkpoint import read_checkpoint
from ziffern.training.callbacks.ema import EMA


def averaged_by_hand(history: list[dict[str, torch.Tensor]], decay: float) -> dict[str, torch.Tensor]:
    """The published rule, over the parameters after each step."""
    average = history[0]
    for n, now in enumerate(history[1:], start=1):
        kept = min(decay, (1 + n) / (10 + n))
        average = {name: kept * average[name] + (1 - kept) * now[name] for name in now}
    return average


@pytest.mark.parametrize("decay", [0.5, 0.999])  # reached at once, and never within these steps
@pytest.mark.parametrize("micro_steps", [1, 7])
def test_average_follows_the_published_rule_at_every_optimizer_step(
    run, monkeypatch, micro_steps: int, decay: float
) -> None:
    steps: list[dict[str, torch.Tensor]] = []
    update = EMA._update

    def watch(self: EMA, pl_module) -> None:
        steps.append({name: value.detach().clone() for name, value in pl_module.net.named_parameters()})
        update(self, pl_module)

    monkeypatch.setattr(EMA, "_update", watch)
    finished = run("callbacks=ema", f"callbacks.ema.decay={decay}", f"trainer.micro_steps={micro_steps}")
    checkpoint = read_checkpoint(finished.folder / "checkpoints/last.ckpt")
    assert len(steps) == checkpoint["global_step"]
    for name, value in averaged_by_hand(steps, decay).items():
        torch.testing.assert_close(checkpoint["state_dict"][f"net.{name}"], value)
        assert torch.equal(checkpoint["current_model_state"][f"net.{name}"], steps[-1][name])


def test_the_average_is_what_is_tested(run) -> None:
    finished = run("callbacks=ema", "callbacks.ema.decay=0.99", "model.optimizer.lr=0.01")
    model = finished.load_model()
    best = read_checkpoint(finished.folder / "checkpoints/best.ckpt")
    weight = "net.layers.1.weight"
    assert torch.equal(model.state_dict()[weight], best["state_dict"][weight])
    assert not torch.equal(best["state_dict"][weight], best["current_model_state"][weight])
    with np.load(finished.config["data"]["dir"]) as file:
        images = np.concatenate((file["x_train"], file["x_test"]))
    predictions = finished.predictions
    with torch.no_grad():
        probability = model(torch.from_numpy(images[predictions.index])).softmax(1)
    torch.testing.assert_close(probability, torch.from_numpy(predictions.probability))


def test_resume_equals_straight(run) -> None:
    settings = ("callbacks=ema", "model/augment=affine", "model=m5", "model.net.channels=[2]", "data.batch_size=50")
    straight = run(*settings, "trainer.max_epochs=3", folder="straight")
    run(*settings, "trainer.max_epochs=2", folder="cut")
    last = straight.folder.parent / "cut/checkpoints/last.ckpt"
    resumed = run(*settings, "trainer.max_epochs=3", f"ckpt_path={last}", folder="resumed")
    whole, parts = (read_checkpoint(each.folder / "checkpoints/last.ckpt") for each in (straight, resumed))
    for state in ("state_dict", "current_model_state", "averaging_state"):
        assert whole[state].keys() == parts[state].keys()
        for name, value in whole[state].items():
            assert torch.equal(value, parts[state][name]), name


@pytest.mark.parametrize("decay", [-0.1, 1.0, 2])
def test_a_decay_out_of_range_is_named(decay: float) -> None:
    with pytest.raises(InputError, match=r"callbacks\.ema\.decay="):
        EMA(decay)
