"""scripts/reproduce.py and its page, on made-up runs: nothing is trained here."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import t

import patience
import reproduce
import results_page
from ziffern.runs.run import Run

RIGHT = [13748, 13770, 13755]


def fake_run(folder: Path, right: int = 13748, seed: int = 0, threads: int = 1, overrides: tuple[str, ...] = ()) -> Run:
    """What train.py leaves of lin2024, as far as the script reads it."""
    metrics = {
        "val/acc": 0.9834,
        "test/acc": right / 14000,
        "test/acc_low": 0.97,
        "test/acc_high": 0.99,
        "params": 21840,
    }
    metrics |= {"test/correct": right, "test/total": 14000, "epochs": 5, "best_epoch": 4, "train_seconds": 20.0}
    metrics |= {"baseline/acc": 0.1141, "data/train": 42000, "data/val": 14000, "seed": seed}
    metrics |= {"baseline/acc": 0.1141, "data/train": 42000, "data/val": 14000, "seed": seed}
    metrics |= {"model": "cnn", "val/loss": 0.06, "test/loss": 0.06, "data/test": 14000, "normalize": "standardize/all"}
    metrics |= {"data/name": "mnist", "data/fingerprint": "53fb", "data/split": "resplit", "data/leak": ""}
    environment = {"command": "python train.py data.dir=/home/somebody", "processor": "AMD EPYC", "cpu_count": 2}
    environment |= {"threads": threads, "device": "cpu", "precision": "32-true"}
    environment["versions"] = {"torch": "2.14.1", "pytorch-lightning": "2.6.6"}
    (folder / ".hydra").mkdir(parents=True)
    given = ["experiment=lin2024", f"seed={seed}", "data.dir=/home/somebody", "threads=1", *overrides]
    (folder / ".hydra/overrides.yaml").write_text(json.dumps(given))
    (folder / "environment.json").write_text(json.dumps(environment))
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "history.csv").write_text(
        "epoch,train/loss,train/acc,val/loss,val/acc\n4,0.2,0.98,0.1,0.98\n5,0.1,0.99,0.2,0.97\n"
    )
    return Run(folder)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """Labels are counted already, so no data is needed."""
    counts = {part: [10, 30, *[20] * 8] for part in ("all", "train", "val", "test")}
    path = tmp_path / "docs/results/labels.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"split": "resplit 0.6/0.2/0.2, split_seed 0", "counts": counts}))
    return tmp_path / "docs"


@pytest.fixture
def call(docs: Path, tmp_path: Path):
    def call(*arguments: str) -> int:
        given, overrides = arguments, ()
        if "--" in arguments:
            given, overrides = arguments[: arguments.index("--")], arguments[arguments.index("--") :]
        return reproduce.main([*given, "--folder", str(tmp_path / "runs"), "--docs", str(docs), *overrides])

    return call


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Stand in for train.py: seed 1 fails, the others finish at once."""
    started = []

    def popen(command: list[str]) -> SimpleNamespace:
        started.append(command[2:])
        seed = next(int(item[5:]) for item in command if item.startswith("seed="))
        folder = next(item.split("=")[1].strip("'") for item in command if item.startswith("hydra.run.dir="))
        if seed != 1:
            fake_run(Path(folder), RIGHT[seed % 3], seed, overrides=tuple(command[2:]))
        return SimpleNamespace(wait=lambda timeout=None: int(seed == 1))

    monkeypatch.setattr(reproduce.subprocess, "Popen", popen)
    return started


def collected(docs: Path, tmp_path: Path, count: int = 3, **more: object) -> str:
    for seed, right in enumerate(RIGHT[:count]):
        reproduce.collect(fake_run(tmp_path / f"run{seed}", right, seed, **more), "lin2024", seed, docs, [])
    results_page.render(docs, ["lin2024"])
    return (docs / "results.md").read_text()


def test_a_failure_does_not_stop_the_others_and_is_named(call, commands, docs, capfd) -> None:
    assert call("lin2024", "--seeds", "0", "1", "2") == 1
    assert len(commands) == 3
    assert "failed: lin2024 seed 1: train.py ended with 1" in capfd.readouterr().err
    assert sorted(path.name for path in (docs / "results/lin2024").glob("*.json")) == [
        "environment.json",
        "seed0.json",
        "seed2.json",
    ]
    assert "(n = 2)" in (docs / "results.md").read_text()


def test_a_finished_run_is_skipped_and_a_stopped_one_continued(call, commands, tmp_path, capsys) -> None:
    fake_run(tmp_path / "runs/lin2024/seed0")
    last = tmp_path / "runs/lin2024/seed2/checkpoints/last.ckpt"
    last.parent.mkdir(parents=True)
    last.touch()
    assert call("lin2024", "--seeds", "0", "2", "3") == 0
    assert [f"ckpt_path='{last}'" in command for command in commands] == [True, False]
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("run ")]
    assert told[0] == "run 1 of 3: lin2024 seed 0 · ETA for all unknown before the first has finished"
    assert told[1] == "run 2 of 3: lin2024 seed 2 · ETA for all 0:00:40"


def test_overrides_are_passed_on_and_win(call, commands, docs) -> None:
    assert call("lin2024", "--seeds", "0", "--", "threads=2", "data.dir=/home/me", "trainer.max_epochs=2") == 0
    assert {"threads=2", "data.dir=/home/me"} <= set(commands[0])
    assert "threads=1" not in commands[0]
    page = (docs / "results.md").read_text()
    assert "--seeds 0 -- data.dir=FOLDER threads=2 trainer.max_epochs=2`" in page
    assert "/home" not in page


def test_defaults_are_five_seeds_or_one(call, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(reproduce, "run_all", lambda runs, *rest: asked.extend(runs) or [])
    assert call() == 0
    assert len(asked) == 3 * 5 + 3
    assert ("an2020_m7", 0) in asked


def test_unknown_experiment_is_one_line(call, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        call("lin2023")
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: lin2023: no such experiment: use one of an2020_m3")
    assert error.count("\n") == 1


def test_ctrl_c_is_one_line_and_waits_for_the_run(call, monkeypatch, capsys) -> None:
    waits = []

    def wait(timeout: float | None = None) -> int:
        waits.append(timeout)
        if timeout is None:
            raise KeyboardInterrupt
        return 130

    monkeypatch.setattr(reproduce.subprocess, "Popen", lambda command: SimpleNamespace(wait=wait))
    assert call("lin2024") == 130
    assert waits == [None, 20]
    assert capsys.readouterr().err == "\nstopped; the same command continues from here\n"


def test_nothing_collected_names_a_path_or_command(docs, tmp_path) -> None:
    collected(docs, tmp_path, overrides=("ckpt_path=/home/x/last.ckpt", "hydra.run.dir=/home/x", "+a='/home/x'"))
    for path in docs.rglob("*.*"):
        assert "/home" not in path.read_text()
        assert "train.py data" not in path.read_text()


def test_environment_keeps_apart_what_seeds_do_not_share(docs, tmp_path) -> None:
    for seed, threads in enumerate((1, 2, 1)):
        reproduce.collect(fake_run(tmp_path / str(seed), seed=seed, threads=threads), "lin2024", seed, docs, [])
    found = json.loads((docs / "results/lin2024/environment.json").read_text())
    assert found["seeds"] == {"0": {"threads": 1}, "1": {"threads": 2}, "2": {"threads": 1}}
    assert found["common"]["processor"] == "AMD EPYC"
    results_page.render(docs, [])
    assert "; seed 1: threads=2" in (docs / "results.md").read_text()


def test_an_untested_run_is_a_failure(call, commands, tmp_path, capsys) -> None:
    run = fake_run(tmp_path / "runs/lin2024/seed0")
    untested = {key: value for key, value in run.metrics.items() if not key.startswith("test/")}
    (run.folder / "metrics.json").write_text(json.dumps(untested))
    assert call("lin2024", "--seeds", "0") == 1
    assert "was not tested" in capsys.readouterr().err


def test_published_is_held_against_the_prediction_interval(docs, tmp_path) -> None:
    page = collected(docs, tmp_path)
    shares = np.array(RIGHT) / 14000
    half = t.ppf(0.975, 2) * shares.std(ddof=1) * np.sqrt(1 + 1 / 3)
    low, high = 100 * (shares.mean() - half), 100 * (shares.mean() + half)
    assert f"the published 98.20 % lies inside {low:.2f} to {high:.2f} %, the prediction interval" in page
    of_mean = t.ppf(0.975, 2) * shares.std(ddof=1) / np.sqrt(3)
    assert f"{100 * (shares.mean() - of_mean):.2f} to {100 * (shares.mean() + of_mean):.2f}" in page
    assert "2.00 ± 0.00" in page  # the gap, from the last row of each history


def test_a_single_run_has_its_wilson_interval(docs, tmp_path) -> None:
    page = collected(docs, tmp_path, count=1)
    assert "lies inside 97.00 to 99.00 %, the Wilson interval of our one run" in page
    assert "98.20 (n = 1)" in page


def test_fewer_epochs_than_published_are_said(docs, tmp_path) -> None:
    own = {"val/acc": 0.99, "test/acc": 0.99, "test/acc_low": 0.98, "test/acc_high": 0.995, "epochs": 20}
    own |= {"data/train": 57000, "data/val": 3000}
    recipe = results_page.recipe_of("an2020_m7")
    common = {"settings": ["trainer.max_epochs=20"], "precision": "bf16-mixed"}
    said = results_page.verdict(results_page.Measured("an2020_m7", recipe, {0: own}, [], common, {}))
    assert "the published 99.79 % lies above 98.00 to 99.50 %" in said
    assert "20 epochs instead of 150; precision bf16-mixed" in said
    assert "3,000 of the 60,000 training digits validate and are not trained on" in said


def test_labels_and_baseline(docs, tmp_path) -> None:
    page = collected(docs, tmp_path)
    assert "| 1 | 30 (15.00) |" in page
    assert "right for 11.41 % of the test digits; published 10.97 %" in page


def test_rendering_needs_nothing_but_docs(call, docs) -> None:
    assert call("--render") == 0
    assert "How often each digit occurs" in (docs / "results.md").read_text()


@pytest.mark.parametrize(
    ("scores", "mode", "patience_", "stop"),
    [
        ([0.1, 0.2, 0.2, 0.2], "max", 2, 4),  # equal is not better
        ([0.1, 0.2, 0.2, 0.3], "max", 2, None),
        ([0.5, 0.4, 0.6, 0.3, 0.3], "min", 1, 3),
    ],
)
def test_simulated_stop(scores, mode, patience_, stop) -> None:
    assert patience.stop_epoch(scores, mode, patience_) == stop


def test_simulation_is_what_the_callback_does(run) -> None:
    rule = ["callbacks.early_stopping.patience=1", "callbacks.early_stopping.monitor=val/loss"]
    settings = ["trainer.max_epochs=12", "model.optimizer.lr=0.02"]
    stopped = run(*settings, *rule, folder="stopped")
    free = run(*settings, folder="free")
    expected = patience.stop_epoch([row["val/loss"] for row in free.history], "min", 1)
    assert expected is not None
    assert stopped.metrics["epochs"] == expected


def test_patience_section_names_the_rule(docs) -> None:
    rows = [{"val/acc": acc, "val/loss": 1 - acc} for acc in [*np.linspace(0, 0.9, 20), *[0.9] * 40]]
    study = {"published": patience.PUBLISHED, "epochs": 60, "seeds": 1, "hardware": "AMD EPYC"}
    rules = patience.simulate({net: [rows] for net in patience.PUBLISHED})
    (docs / "results/patience.json").write_text(json.dumps(study | {"chosen": rules[0], "rules": rules}))
    results_page.render(docs, [])
    page = (docs / "results.md").read_text()
    assert (
        f"Chosen for both recipes: `{rules[0]['monitor']}`, patience {rules[0]['patience']}. No rule explains" in page
    )


def test_runs_of_other_settings_are_not_averaged(docs, tmp_path) -> None:
    reproduce.collect(fake_run(tmp_path / "plain"), "lin2024", 0, docs, [])
    short = fake_run(tmp_path / "short", overrides=("experiment=lin2024", "trainer.max_epochs=1"))
    with pytest.raises(reproduce.RunError, match="remove it, or name another --folder"):
        reproduce.collect(short, "lin2024", 1, docs, [])
    with pytest.raises(reproduce.RunError, match="seed 0 with the plain recipe: name another --docs"):
        reproduce.collect(short, "lin2024", 1, docs, ["trainer.max_epochs=1"])
    assert [path.stem for path in (docs / "results/lin2024").glob("seed*.json")] == ["seed0"]


@pytest.mark.parametrize(
    ("overrides", "place"), [(["data.dir=here"], "docs"), (["trainer.max_epochs=1"], "outputs/reproduce/docs")]
)
def test_a_changed_recipe_leaves_the_published_page_alone(monkeypatch, overrides, place) -> None:
    seen = []
    monkeypatch.setattr(reproduce, "count_labels", lambda *_: None)
    monkeypatch.setattr(reproduce, "run_all", lambda runs, folder, docs, overrides: seen.append(docs) or [])
    assert reproduce.main(["lin2024", "--", *overrides]) == 0
    assert seen[0] in (Path(place), reproduce.ROOT / place)


def test_recipes_of_our_own_have_a_table_of_their_own(docs, tmp_path) -> None:
    for seed, right in enumerate(RIGHT[:3]):
        run_ = fake_run(tmp_path / f"own{seed}", right, seed)
        reproduce.collect(run_, "fast", seed, docs, [])
    results_page.render(docs, ["lin2024"])
    page = (docs / "results.md").read_text()
    published, own = page.split("## Our own recipes")
    assert "`fast`" not in published
    assert f"{100 * min(RIGHT[:3]) / 14000:.2f} to {100 * max(RIGHT[:3]) / 14000:.2f}" in own
    assert "(n = 3)" in own
    assert "## fast" in own


def test_ablation_compares_runs_of_the_same_seed(docs) -> None:
    figures = {"loss": 0.3, "seconds": 100.0}
    rows = [
        {"change": "the recipe", "overrides": [], "seed": 0, "wrong": 40, **figures},
        {"change": "the recipe", "overrides": [], "seed": 1, "wrong": 30, **figures},
        {"change": "no bending", "overrides": ["model.augment.elastic=0"], "seed": 1, "wrong": 37, **figures},
    ]
    study = {"experiment": "champion", "epochs": 20, "val": 10000, "error": 6.3, "rows": rows}
    (docs / "results/ablation.json").write_text(json.dumps(study))
    results_page.render(docs, [])
    page = (docs / "results.md").read_text()
    assert "| the recipe |  | 2 | 35.0 |  | 0.3000 | 100 |" in page
    assert "| no bending | `model.augment.elastic=0` | 1 | 37.0 | +7.0 | 0.3000 | 100 |" in page
