"""A new run starts from the weights of another one: what it takes, what it records, and what is refused."""

import shutil
from pathlib import Path

import pytest
import torch
from tests.support.runs import run_in

from ziffern.errors import InputError
from ziffern.records.checkpoint import read_checkpoint
from ziffern.report.run_page import write_report
from ziffern.runs.findings import Findings
from ziffern.runs.recipes import group
from ziffern.runs.run import Run

FIXTURES = Path(__file__).parents[1] / "fixtures/runs_0_1_0"
UNTRAINED = ("trainer.max_epochs=0",)


@pytest.fixture
def source(trained) -> Run:
    return trained("callbacks=ema", folder="source")


def weights(run: Run, prefix: str = "net.") -> dict[str, torch.Tensor]:
    return {name: value for name, value in run.load_model().state_dict().items() if name.startswith(prefix)}


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("name", ["", "/checkpoints/best.ckpt"])
def test_without_epochs_it_is_the_same_model(source: Run, run, name: str) -> None:
    again = run(*UNTRAINED, "seed=5", f"init_from={source.folder}{name}", folder="again")
    for key in ("val/acc", "val/loss", "test/acc", "test/loss"):
        assert again.metrics[key] == pytest.approx(source.metrics[key], abs=1e-6)
    assert len(again.metrics["init_from"]) == 16
    assert read_checkpoint(again.folder / "checkpoints/best.ckpt")["ziffern"]["init_from"] == again.metrics["init_from"]


def test_new_settings_and_data_keep_the_normalization_statistics(source: Run, run) -> None:
    """They are fitted anew only where the normalization itself is changed, and other buffers are not taken."""
    more = ("data=mnist5k", "model.optimizer.lr=0.1", "++model.loss.weight=[1,1,1,1,1,9,1,1,1,1]", *UNTRAINED)
    kept = run(f"init_from={source.folder}", *more, folder="kept")
    assert equal(weights(kept, ("net.", "normalize.")), weights(source, ("net.", "normalize.")))
    assert not equal(weights(run(*more, folder="fresh"), "normalize."), weights(source, "normalize."))
    changed = run(f"init_from={source.folder}", *more, "model.normalize.kind=symmetric", folder="changed")
    assert equal(weights(changed), weights(source))
    assert float(changed.load_model().normalize.mean) == 127.5


def test_it_counts_as_a_setting_and_pages_show_it(source: Run, run) -> None:
    tuned = run(f"init_from={source.folder}", "trainer.max_epochs=1", folder="tuned")
    assert tuned.settings["init_from"] == str(source.folder)
    assert not equal(weights(tuned), weights(source))
    recipes, duplicates = group([Findings(tuned), Findings(run("trainer.max_epochs=1", folder="plain"))])
    assert (len(recipes), duplicates) == (2, [])
    note = f"Training started from the weights of {source.folder} (fingerprint {tuned.metrics['init_from']})"
    assert note in write_report(tuned).read_text()


def test_a_run_without_it_has_the_settings_of_version_0_1_0(run) -> None:
    assert "init_from" not in run(*UNTRAINED).settings
    assert "init_from" not in run(*UNTRAINED, folder="again").metrics
    assert "init_from" not in Run(FIXTURES / "finished_nn").settings


def test_a_run_of_version_0_1_0_is_a_source(run) -> None:
    source = Run(FIXTURES / "finished_cnn")
    settings = [f"init_from={source.folder}", "model=cnn", *UNTRAINED]
    tuned = run(*settings, folder="tuned", name="cnn")
    assert equal(weights(tuned, ("net.", "normalize.")), weights(source, ("net.", "normalize.")))


@pytest.mark.parametrize("micro_steps", [1, 4])
def test_it_goes_on_after_an_interruption_to_the_same_weights(source: Run, run, micro_steps: int) -> None:
    settings = (f"init_from={source.folder}", f"trainer.micro_steps={micro_steps}")
    straight = run(*settings, "trainer.max_epochs=3", folder="straight")
    first = run(*settings, "trainer.max_epochs=1", folder="first")
    checkpoint = f"ckpt_path={first.folder}/checkpoints/last.ckpt"
    on = run(*settings, "trainer.max_epochs=3", checkpoint, folder="on")
    assert equal(on.load_model("last").state_dict(), straight.load_model("last").state_dict())
    assert on.metrics["init_from"] == first.metrics["init_from"]


@pytest.mark.parametrize(
    ("overrides", "code", "message"),
    [
        (("model.net.hidden=[17]",), "training.init_from.other_shapes", "net.layers.1.weight"),
        (("model=cnn",), "training.init_from.missing", "lacks the tensor net.features.0.weight of this model"),
        (("data.split_seed=1",), "training.init_from.other_split", "use the same split"),
        (("init_from=nowhere",), "experiment.init_from.missing", "init_from=nowhere: no such folder or file"),
    ],
)
def test_what_is_refused_before_anything_is_trained(
    source: Run, composed, tmp_path: Path, overrides: tuple[str, ...], code: str, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        run_in(tmp_path / "new", composed(f"init_from={source.folder}", *overrides))
    assert caught.value.code == code
    assert message in str(caught.value)
    assert not (tmp_path / "new/progress.jsonl").exists()


def test_a_tensor_that_this_model_lacks_is_named(source: Run, composed, tmp_path: Path) -> None:
    path = source.folder / "checkpoints/best.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"]["net.more"] = torch.zeros(2)
    torch.save(checkpoint, path)
    with pytest.raises(InputError, match=r"its tensor net\.more does not exist in this model"):
        run_in(tmp_path / "new", composed(f"init_from={source.folder}"))


def test_together_with_the_checkpoint_of_another_run_it_is_refused(source: Run, trained, composed, tmp_path) -> None:
    checkpoint = trained("trainer.max_epochs=1", folder="other").folder / "checkpoints/last.ckpt"
    with pytest.raises(InputError) as caught:
        run_in(tmp_path / "new", composed(f"init_from={source.folder}", f"ckpt_path={checkpoint}"))
    assert caught.value.code == "training.checkpoint.with_init_from"


@pytest.mark.parametrize("name", ["", "/checkpoints"])
def test_a_folder_as_checkpoint_is_refused_with_both_fixes(source: Run, composed, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as caught:
        run_in(tmp_path / "new", composed(f"ckpt_path={source.folder}{name}"))
    assert f"ckpt_path={source.folder}/checkpoints/last.ckpt, to continue" in str(caught.value)
    assert f"init_from={source.folder}" in str(caught.value)
    with pytest.raises(InputError, match="a folder without checkpoints"):
        run_in(tmp_path / "new", composed(f"ckpt_path={tmp_path}"))


def test_another_rate_is_refused_and_the_fix_works(trained, run, composed, tmp_path: Path) -> None:
    checkpoint = trained(folder="other").folder / "checkpoints/last.ckpt"
    with pytest.raises(InputError) as caught:
        run_in(tmp_path / "new", composed(f"ckpt_path={checkpoint}", "model.optimizer.lr=0.5", "trainer.max_epochs=9"))
    assert "model.optimizer.lr=0.001 and this run model.optimizer.lr=0.5" in str(caught.value)
    fix = f"init_from={checkpoint}"
    assert fix in str(caught.value)
    assert run(fix, "model.optimizer.lr=0.5", folder="fixed").metrics["epochs"] == 2


def test_a_foreign_source_is_guarded(source: Run, composed, tmp_path: Path) -> None:
    path = source.folder / "checkpoints/best.ckpt"
    elsewhere = path.rename(tmp_path / "elsewhere.ckpt")
    path.symlink_to(elsewhere)
    with pytest.raises(InputError, match="links in a run folder are never followed"):
        run_in(tmp_path / "new", composed(f"init_from={source.folder}"))
    path.unlink()
    shutil.copy(__file__, path)
    with pytest.raises(InputError, match="not a readable checkpoint"):
        run_in(tmp_path / "new", composed(f"init_from={source.folder}"))
