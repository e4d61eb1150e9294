"""The recorded validation scores are those of the checkpoint, however it was trained."""

import itertools

import pytest

from ziffern.experiment.evaluation import evaluate
from ziffern.runs.run import Run

PLATEAU = "{_target_: torch.optim.lr_scheduler.ReduceLROnPlateau, _partial_: true, patience: 0, factor: 0.5}"
SETTINGS = {
    "averaging": ((), ("callbacks=ema", "callbacks.ema.decay=0.9")),
    "accumulation": ((), ("+trainer.accumulate_grad_batches=2",)),
    "stopping": (("trainer.max_epochs=3",), ("trainer.max_epochs=6", "callbacks.early_stopping.patience=1")),
    "scheduler": (
        *(("model/scheduler=onecycle",), (f"model.scheduler={PLATEAU}",)),
        *(("model/scheduler=exponential",), ("model.scheduler_interval=step", "model/scheduler=exponential")),
    ),
    "precision": ((), ("trainer.precision=bf16-mixed",)),
    "steps": (("trainer.micro_steps=1",), ("trainer.micro_steps=auto",), ("trainer.micro_steps=4",)),
    "monitor": (("monitor=val/acc",), ("monitor=val/loss",)),
}
COMBINATIONS = [
    sum(values, ())
    for values in itertools.product(*SETTINGS.values())
    # Fast steps do not accumulate, which is refused.
    if not {"trainer.micro_steps=4", "+trainer.accumulate_grad_batches=2"} <= set(sum(values, ()))
]
REPRESENTATIVE = [COMBINATIONS[19 * place % len(COMBINATIONS)] for place in range(16)]
WEAK = ("model.optimizer.lr=0.01", "data.batch_size=32", "model.net.hidden=[8]")  # so that epochs differ


def check(run: Run) -> None:
    """Evaluate the best checkpoint of a run on its validation part."""
    metrics = Run(
        evaluate(run, part="val", output=run.folder.with_name("evaluated"), settings={"trainer": "cpu"})
    ).metrics
    assert metrics["test/acc"] == run.metrics["val/acc"]
    assert metrics["test/loss"] == pytest.approx(run.metrics["val/loss"], abs=2e-6)


@pytest.mark.parametrize("overrides", REPRESENTATIVE, ids=" ".join)
def test_the_recorded_score_is_that_of_the_checkpoint(run, overrides: tuple[str, ...]) -> None:
    check(run(*WEAK, *overrides))


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [item for item in COMBINATIONS if item not in REPRESENTATIVE], ids=" ".join)
def test_the_recorded_score_of_every_combination(run, overrides: tuple[str, ...]) -> None:
    check(run(*WEAK, *overrides))
