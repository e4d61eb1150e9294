import json
import re
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from scipy.stats import binomtest
from tests.support.console import call
from tests.support.pages import Page

from ziffern.analysis.significance import recipe_difference
from ziffern.cli.compare import compare
from ziffern.errors import InputError
from ziffern.report.comparison_page import page_context
from ziffern.runs.comparison import make_comparison
from ziffern.runs.run import Run, find_runs
from ziffern.text.language import Language

SLOW = "model.optimizer.lr=0.0003"  # makes mistakes
LARGE = "model.net.hidden=[64]"


@pytest.fixture
def run(trained):
    """Runs are compared here, and may be copies."""
    return trained


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def compared(*runs: Run, margin: float = 0.002, with_speed: bool = False):
    return make_comparison(runs, margin, with_speed)


def test_two_runs_are_tested_on_the_same_digits(run, here: Path) -> None:
    small, large = run(SLOW, folder="small"), run(SLOW, LARGE, folder="large")
    result = compared(small, large, with_speed=True)
    first, second = (each.predictions.outcome for each in (small, large))
    only_first, only_second = int((first.hit & ~second.hit).sum()), int((~first.hit & second.hit).sum())
    (pair,) = result.pairs
    assert (pair.only_first, pair.only_second) == (only_first, only_second)
    assert pair.p == binomtest(min(only_first, only_second), only_first + only_second).pvalue
    assert [recipe.name for recipe in result.recipes] == ["nn hidden=[16]", "nn hidden=[64]"]
    assert result.recipes[0].test[2:] == first.interval
    assert result.bytes == tuple(4 * recipe.params for recipe in result.recipes)
    assert all(speed and speed > 0 for speed in result.speed)


def test_runs_that_differ_only_in_their_seed_are_one_recipe(run, here: Path) -> None:
    runs = [run(SLOW, f"seed={seed}", folder=f"s{seed}") for seed in (2, 0, 1)]
    others = [run(SLOW, LARGE, f"seed={seed}", folder=f"other{seed}") for seed in (0, 1)]
    result = compared(*runs, *others)
    recipe = result.recipes[0]
    assert [found.about["seed"] for found in recipe.runs] == [0, 1, 2]
    values = [each.metrics["test/acc"] for each in runs]
    assert recipe.test.mean == pytest.approx(np.mean(values))
    assert recipe.test.deviation == pytest.approx(np.std(values, ddof=1))
    assert result.pairs[0].p == recipe_difference(recipe.hits, result.recipes[1].hits)[1]
    alone = compared(*runs)
    assert alone.pairs == ()
    assert alone.choice is not None


@pytest.mark.parametrize("language", ["en", "de"])
def test_one_seed_against_several_is_not_tested(run, here: Path, capsys, language: str) -> None:
    for seed in (0, 1):
        run(SLOW, f"seed={seed}", folder=f"sweep/small{seed}")
    run(SLOW, LARGE, folder="sweep/large")
    run(SLOW, "model.net.hidden=[32]", folder="sweep/middle")
    capsys.readouterr()
    result = compare(["sweep"], None, language, 0.002)
    names = [recipe.name for recipe in result.recipes]
    small, large = names.index("nn hidden=[16]"), names.index("nn hidden=[64]")
    pairs = {frozenset((names[pair.first], names[pair.second])): pair for pair in result.pairs}
    untested = pairs[frozenset((names[small], names[large]))]
    assert (untested.p, untested.adjusted, untested.difference) == (None, None, None)
    tested = pairs[frozenset(("nn hidden=[32]", "nn hidden=[64]"))]
    assert tested.p == tested.adjusted == tested.mcnemar  # the only test: nothing to correct for
    choice = result.choice
    assert choice is not None
    assert choice.place == small
    assert choice.beaten == ()
    printed = " ".join(capsys.readouterr().out.split())
    page = Page(Path("sweep/comparison.html"))
    texts = {
        "en": ("Use nn hidden=[16] for now:", "because one of the two has only one seed", "at least two seeds"),
        "de": ("Vorläufige Empfehlung: nn hidden=[16].", "weil eines der beiden nur einen Seed hat", "mindestens zwei"),
    }
    claims = {
        "en": ("no difference was found", "no larger model is more accurate", "points better than"),
        "de": ("nicht nachgewiesen", "ist nur"),
    }
    for text in (printed, page.text):
        assert all(words in text for words in texts[language])
        assert not any(words in text for words in claims[language])
    rows = page_context(result, Language(language))["pair_rows"]
    (row,) = [row for row in rows if row[0] == f"{names[untested.first]} – {names[untested.second]}"]
    assert [row[place] for place in (2, 5, 6, 7)] == ["–"] * 4
    assert ":" in row[3]
    assert row[4] != "–"


def test_the_same_seed_twice_counts_once(run, here: Path) -> None:
    first, again, other = run(SLOW, folder="a"), run(SLOW, folder="b"), run(SLOW, "seed=1", folder="c")
    result = compared(first, again, other)
    assert [len(recipe.runs) for recipe in result.recipes] == [2]
    assert any(str(again.folder) in str(note) for note in result.notes)


def threads_of(run: Run, count: int) -> Run:
    path = run.folder / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"threads": count}))
    return Run(run.folder)


def test_runs_that_differ_in_threads_alone_are_named(run, here: Path) -> None:
    first, again, other = run("threads=1", folder="a"), run("threads=2", folder="b"), run("seed=1", folder="c")
    result = compared(first, again, threads_of(other, 2))
    assert [len(recipe.runs) for recipe in result.recipes] == [2]
    assert any(str(again.folder) in str(note) and "CPU threads (2, not 1)" in str(note) for note in result.notes)
    assert any("(nn: 1 (seed=0), 2 (seed=1))" in str(note) for note in result.notes)


def test_recipes_of_other_threads_are_named(run, here: Path) -> None:
    first, second = run(folder="a"), run(LARGE, folder="b")
    assert compared(first, second).notes == ()
    (note,) = compared(first, threads_of(second, 16)).notes
    assert "(nn hidden=[16]: 1; nn hidden=[64]: 16)" in str(note)
    path = second.folder / "environment.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"device": "NVIDIA H100"}))
    assert compared(first, Run(second.folder)).notes == ()  # CPU threads change nothing there


@pytest.mark.parametrize(
    ("setting", "reason"),
    [("data.split_seed=1", "different splits: "), ("data.split=stratified", "different splits: ")],
)
def test_other_test_digits_are_refused_with_the_reason(run, here: Path, setting: str, reason: str) -> None:
    result = compared(run(folder="a"), run(setting, folder="b"))
    assert result.pairs == ()
    assert result.choice is None
    assert any("not all tested on the same images" in str(note) and reason in str(note) for note in result.notes)


def test_other_validation_digits_do_not_matter_where_the_test_digits_are_the_same(run, here: Path) -> None:
    first, second = run("data.split=official", folder="a"), run("data.split=official", "data.val_share=0.2", folder="b")
    assert first.metrics["data/split"] != second.metrics["data/split"]
    result = compared(first, second)
    assert len(result.pairs) == 1
    assert result.notes == ()


def test_other_data_under_the_same_name_are_refused(run, here: Path) -> None:
    first, second = run(folder="a"), run(LARGE, folder="b")
    path = second.folder / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"data/fingerprint": "f" * 16}))
    result = compared(first, Run(second.folder))
    assert result.choice is None
    assert any("fingerprint" in str(note) for note in result.notes)


def test_exchanged_predictions_are_refused(run, here: Path) -> None:
    first, second = run(folder="a"), run(LARGE, folder="b")
    path = second.folder / "predictions.npz"
    with np.load(path) as file:
        content = dict(file)
    np.savez(path, **(content | {"index": content["index"][::-1]}))
    result = compared(first, Run(second.folder))
    assert result.choice is None
    assert any("different images within the same split" in str(note) for note in result.notes)


def test_one_odd_run_does_not_take_the_others_apart(run, here: Path) -> None:
    odd, first, second = run("data.split_seed=1", folder="o"), run(SLOW, folder="a"), run(SLOW, LARGE, folder="b")
    untested = run("test=false", "model.net.hidden=[8]", folder="u")
    result = compared(odd, first, untested, second)
    assert result.compared == (result.recipes[1], result.recipes[3])
    assert [(pair.first, pair.second) for pair in result.pairs] == [(0, 1)]
    assert result.chosen in result.compared


def test_of_two_alike_the_tested_one_stays(run, here: Path) -> None:
    untested, tested, other = run("test=false", folder="u"), run(folder="a"), run(LARGE, folder="b")
    result = compared(untested, tested, other)
    assert result.choice is not None
    assert any("was not tested" in str(note) for note in result.notes)


def test_another_monitor_is_another_recipe(run, here: Path) -> None:
    result = compared(run(folder="a"), run("monitor=val/loss", folder="b"))
    assert [len(recipe.runs) for recipe in result.recipes] == [1, 1]


def test_seeds_with_other_digits_are_not_averaged(run, here: Path) -> None:
    first, second = run(folder="a"), run("seed=1", folder="b")
    path = second.folder / "predictions.npz"
    with np.load(path) as file:
        content = dict(file)
    shorter = {name: content[name][:50] for name in ("index", "target", "probability")}
    np.savez(path, **shorter)
    result = compared(first, Run(second.folder))
    assert [len(recipe.runs) for recipe in result.recipes] == [1, 1]


def test_gap_speed_and_the_order_of_equals(run, here: Path) -> None:
    first, second = run(SLOW, folder="a"), run("model.optimizer.lr=0.003", folder="b")
    result = compared(first, second, with_speed=True)
    last = first.history[-1]
    assert result.recipes[0].mean("gap").mean == pytest.approx(last["train/acc"] - last["val/acc"])
    assert all(speed > 1000 for speed in result.speed)
    assert first.metrics["val/acc"] < second.metrics["val/acc"]
    assert result.choice.place == 1  # equally large: the better one on validation comes first, and stays


def test_a_setting_that_came_later_does_not_divide_a_recipe(run, here: Path) -> None:
    first, second = run(folder="a"), run("seed=1", folder="b")
    path = first.folder / ".hydra/config.yaml"
    config = OmegaConf.load(path)
    del config.model.augment
    OmegaConf.save(config, path)
    assert len(compared(Run(first.folder), second).recipes) == 1


def test_parameters_changed_by_hand_are_noticed(run, here: Path) -> None:
    first, second = run(SLOW, folder="a"), run(SLOW, LARGE, folder="b")
    path = first.folder / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"params": 3}))
    assert any("(params)" in str(note) for note in compared(Run(first.folder), second, with_speed=True).notes)


def test_unfinished_and_untested_runs_are_named(run, here: Path) -> None:
    first, untested, killed = run(folder="a"), run(LARGE, "test=false", folder="b"), run("seed=3", folder="c")
    (killed.folder / "metrics.json").unlink()
    result = compared(first, untested, Run(killed.folder))
    assert any(str(killed.folder) in str(note) and "is incomplete" in str(note) for note in result.notes)
    assert any("nn hidden=[64] was not tested" in str(note) for note in result.notes)
    assert result.choice is None
    with pytest.raises(InputError, match="1 of 2 runs are complete"):
        compared(first, Run(killed.folder))


def test_a_model_that_cannot_be_loaded_is_still_compared(run, here: Path) -> None:
    first, second = run(SLOW, folder="a"), run(SLOW, LARGE, folder="b")
    (second.folder / "checkpoints/best.ckpt").unlink()
    result = compared(first, second, with_speed=True)
    assert result.speed[1] is None
    assert result.bytes[1] is None
    assert len(result.pairs) == 1


def test_folders_sweeps_and_patterns_are_found_once_each(run, here: Path) -> None:
    for number in (0, 2, 10):
        run(f"seed={number}", "trainer.max_epochs=1", folder=f"sweep/{number}")
    numbers = [found.folder.name for found in find_runs(["sweep"])]
    assert numbers == ["0", "2", "10"]
    assert {found.folder.name for found in find_runs(["sweep/*", "sweep/2"])} == set(numbers)
    assert len(find_runs(["sweep/0", "sweep/0/", "sweep/2"])) == 2
    with pytest.raises(InputError, match=r"nowhere\*: no run found"):
        find_runs(["nowhere*"])
    with pytest.raises(InputError, match="a single run cannot be compared"):
        find_runs(["sweep/0", "sweep/0"])
    (here / "empty").mkdir()
    with pytest.raises(InputError, match="empty: no run found"):
        find_runs(["sweep", "empty"])


def test_the_page_and_the_terminal_say_the_same(run, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (0, 1):
        run(SLOW, f"seed={seed}", folder=f"sweep/small{seed}")
        run(SLOW, LARGE, f"seed={seed}", folder=f"sweep/large{seed}")
    capsys.readouterr()
    compare(["sweep"], None, "en", 0.002, with_speed=True)
    printed = " ".join(capsys.readouterr().out.split())
    page = Page(Path("sweep/comparison.html"))
    assert re.search(r"Use nn hidden=\[\d\d\][.:]", printed)
    for text in ("Use nn hidden", "95% interval", "Images/s", "Holm", "The rule: the smallest model"):
        assert text in printed
        assert text in page.text
    assert page.source.count("<svg") == 1
    compare(["sweep"], Path("deutsch.html"), "de", 0.002)
    german = Page(Path("deutsch.html")).text
    assert "Empfehlung: nn hidden" in german
    assert not any(words in page for words in ("Bilder/s", "kB") for page in (german, capsys.readouterr().out))


@pytest.mark.slow
def test_a_long_table_is_not_cut_off(run, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"sweep/{number}" for number in range(6)]
    for number, name in enumerate(names):
        run("trainer.max_epochs=1", f"model.net.hidden=[{number + 3},{number + 4},{number + 5}]", folder=name)
    capsys.readouterr()
    compare(["sweep"], None, "en", 0.002)
    printed = capsys.readouterr().out
    assert "…" not in printed.split("Pair")[0]
    assert all(f"hidden=[{n + 3}, {n + 4}, {n + 5}]" in printed for n in range(6))


def test_text_from_a_run_is_escaped(run, here: Path) -> None:
    first, second = run(folder="<b>&a"), run(LARGE, folder="b")
    path = second.folder / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model": "<script>alert(1)</script>[bold]"}))
    compare([str(first.folder), str(second.folder)], None, "en", 0.002)
    page = Page(Path("comparison.html"))  # fails on a script element
    assert "<script>alert(1)</script>[bold]" in page.text
    assert "<b>&a" in page.text


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("compare", "nowhere"), "nowhere: no run found"),
        (("compare", "a"), "a: a single run cannot be compared"),
        (("compare", "a", "b", "--margin", "-1"), "--margin -1"),
        (("compare", "a", "b", "--language", "xx"), "xx: no reports in this language"),
    ],
)
def test_a_mistake_is_one_line(run, here: Path, monkeypatch, capsys, arguments, line: str) -> None:
    for name in ("a", "b"):
        run("trainer.max_epochs=1", folder=name)
    capsys.readouterr()
    assert call(monkeypatch, *arguments) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert line in errors
    assert errors.count("\n") == 1
    assert not Path("comparison.html").exists()


def test_models_of_other_classes_are_other_recipes(trained, tmp_path: Path) -> None:
    runs = [trained(folder=f"run{n}") for n in range(2)]
    path = runs[1].folder / ".hydra/config.yaml"
    text = path.read_text()
    assert "ziffern.training.module.ImageClassifier" in text
    path.write_text(text.replace("ziffern.training.module.ImageClassifier", "my_package.Own"))
    comparison = make_comparison([Run(run.folder) for run in runs], margin=0.002, with_speed=True)
    assert len(comparison.recipes) == 2
    assert any("my_package.Own is not allowed" in note.in_language("en") for note in comparison.notes)
