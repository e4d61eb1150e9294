import html
import itertools
import math
import random
import re
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from matplotlib.colors import to_rgba
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial
from tests.support.large_searches import write_large_search
from tests.support.pages import Page

from ziffern.report.charts.contour import contour_chart
from ziffern.report.charts.drawing import BANDS, score_text
from ziffern.report.sweep_page import write_sweep_report
from ziffern.search.findings import SearchFindings, outlier_limit
from ziffern.search.parameters import plain
from ziffern.search.study import open_study
from ziffern.search.timeline import MAX_WORKERS, Timeline
from ziffern.text.language import Language

RANGES = {
    "lr": FloatDistribution(1e-5, 0.1, log=True),
    "batch": CategoricalDistribution([32, 64]),
    "scheduler": CategoricalDistribution(["none", "'cosine'"]),
    "depth": IntDistribution(1, 4),
}
START = datetime(2026, 1, 1)


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def make(*directions: str, names: list[str] | None = None, title: str = "study") -> optuna.Study:
    study = optuna.create_study(study_name=title, directions=list(directions) or ["maximize"])
    if names:
        with pytest.warns(optuna.exceptions.ExperimentalWarning):
            study.set_metric_names(names)
    return study


def add(
    study: optuna.Study,
    params: dict[str, Any],
    *values: float,
    state: TrialState = TrialState.COMPLETE,
    curve: tuple[float, ...] = (),
    **attributes: Any,
) -> None:
    """Add a trial of ten seconds that started five seconds after the one before it."""
    trial = create_trial(
        state=state,
        params=params,
        distributions={name: RANGES.get(name, FloatDistribution(-1e9, 1e9)) for name in params},
        values=list(values) or None,
        intermediate_values=dict(enumerate(curve, 1)),
        user_attrs=attributes,
    )
    trial.datetime_start = START + timedelta(seconds=5 * len(study.get_trials(deepcopy=False)))
    trial.datetime_complete = trial.datetime_start + timedelta(seconds=10) if state.is_finished() else None
    study.add_trial(trial)


def page(study: optuna.Study, folder: Path, language: str | None = None) -> Page:
    return Page(write_sweep_report(study, folder, language=language))


def lr_matters(count: int, **of: Any) -> optuna.Study:
    """A study whose scores rest on the learning rate alone, best at 0.001."""
    draw, study = random.Random(0), make(**of)
    for _ in range(count):
        params = {"lr": 10 ** draw.uniform(-5, -1), "batch": draw.choice([32, 64])}
        add(study, params, 0.98 - 0.01 * (math.log10(params["lr"]) + 3) ** 2)
    return study


def rows(source: str) -> list[str]:
    """The number and the state of each row of the table of all trials."""
    return re.findall(r'<th scope="row">(\d+)</th><td class="text">(\w+)</td>', source)


@pytest.mark.parametrize(
    ("language", "best", "word"), [("en", "97.50%", "completed"), ("de", "97,50 %", "abgeschlossen")]
)
def test_the_best_trial_with_its_commands(tmp_path: Path, language: str, best: str, word: str) -> None:
    study = make(names=["val/acc"])
    add(study, {"lr": 0.01, "scheduler": "none"}, 0.9)
    add(study, {"lr": 0.001, "scheduler": "'cosine'"}, 0.975, overrides=["lr=0.001", "scheduler='cosine'"])
    add(study, {"lr": 0.1, "scheduler": "none"}, 0.8, state=TrialState.PRUNED)
    add(study, {"lr": 0.1, "scheduler": "none"}, state=TrialState.FAIL, error="out of\nmemory")
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment/best.yaml").touch()
    made = page(study, tmp_path, language)
    assert f'<html lang="{language}">' in made.source
    assert best in made.text
    assert f"python train.py --config-dir {tmp_path} experiment=best" in made.text
    assert "python train.py lr=0.001 'scheduler='\"'\"'cosine'\"'\"''" in made.text
    assert str(tmp_path / "1") in made.text
    assert f"2 {word}, 1 " in made.text
    point = "." if language == "en" else ","
    assert f"40{point}0 s" in made.text  # of training, all trials together
    assert f"25{point}0 s" in made.text  # from the first start to the last end
    assert "out of memory" in made.text
    assert [number for number, _ in rows(made.source)] == ["1", "0", "2", "3"]
    assert re.findall(r'<tr class="chosen"><th scope="row">(\d+)', made.source) == ["1"]


@pytest.mark.usefixtures("sketched")
def test_commands_that_cannot_be_known_are_left_out(tmp_path: Path) -> None:
    study = make()
    add(study, {"lr": 0.01}, 0.5)
    made = page(study, tmp_path)
    assert "python train.py" not in made.text
    assert "0.5000" in made.text
    assert made.source.count("<svg") == 2  # history and one slice: no line through a single trial


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize(("direction", "best"), [("maximize", "1"), ("minimize", "0")])
def test_the_best_is_the_highest_or_the_lowest(tmp_path: Path, direction: str, best: str) -> None:
    study = make(direction)
    for value in (0.2, 0.9, 0.5):
        add(study, {"lr": 0.01}, value)
    assert f"The best trial: {best}" in page(study, tmp_path).text
    search = SearchFindings(study)
    ranked = [search.scored[place].value for place in search.ranked]
    assert ranked == sorted(ranked, reverse=direction == "maximize")


@pytest.mark.usefixtures("sketched")
def test_what_matters_is_told(tmp_path: Path) -> None:
    study = lr_matters(40)
    shares = SearchFindings(study).importances.shares
    assert list(shares) == ["lr", "batch"]
    assert shares["lr"] > 0.8
    assert sum(shares.values()) == pytest.approx(1)
    made = page(study, tmp_path)
    assert f"{100 * shares['lr']:.0f}%" in made.text
    assert made.source.count("<svg") == 7  # history, timeline, importances, contour, two slices, parallel


def test_what_matters_to_the_lowest_and_to_the_first_of_two() -> None:
    single, double = make("minimize"), make("maximize", "minimize")
    for trial in lr_matters(40).trials:
        add(single, trial.params, -trial.value)
        add(double, trial.params, trial.value, float(trial.params["batch"]))
    for study in (single, double):
        assert SearchFindings(study).importances.shares["lr"] > 0.8


@pytest.mark.usefixtures("sketched")
def test_why_nothing_is_said_of_what_matters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few, one, equal = lr_matters(9), make(), make()
    for number in range(12):
        add(one, {"lr": 0.001 * (number + 1)}, number)
        add(equal, {"lr": 0.001 * (number + 1), "batch": 32}, 0.5)
    for study, text in ((few, "so far there are 9"), (one, "Only one parameter"), (equal, "the same score")):
        assert SearchFindings(study).importances.shares == {}
        assert text in page(study, tmp_path).text

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("<odd>")

    monkeypatch.setattr("optuna.importance.get_param_importances", fail)
    assert "(RuntimeError: <odd>)" in page(lr_matters(10), tmp_path).text


def test_conditional_parameters_and_mixed_kinds(tmp_path: Path) -> None:
    study = make()
    for number in range(12):
        params: dict[str, Any] = {"lr": 0.001 * (number + 1), "scheduler": "none", "depth": number % 4 + 1}
        add(study, params | ({"batch": 64} if number % 2 else {}), number / 10)
    search = SearchFindings(study)
    found = {parameter.name: parameter for parameter in search.parameters}
    assert found["lr"].is_log
    assert found["scheduler"].choices == ("none", "cosine")
    assert (found["depth"].low, found["depth"].high) == (1, 4)
    assert [math.isnan(value) for value in found["batch"].values[:4]] == [True, False, True, False]
    assert found["batch"].values[1] == 1
    assert found["lr"].places[-1] == pytest.approx((math.log10(0.012) + 5) / 4)
    assert "not used" in page(study, tmp_path).text


def test_curves_only_where_trials_reported(tmp_path: Path) -> None:
    study = make()
    add(study, {"lr": 0.01}, 0.9, curve=(0.5, 0.9))
    first = page(study, tmp_path)
    assert "Step (epoch)" in first.text
    assert "stroke-dasharray" not in first.source
    add(study, {"lr": 0.1}, 0.4, state=TrialState.PRUNED, curve=(0.4, math.nan))
    assert "stroke-dasharray" in page(study, tmp_path).source
    without = make()
    add(without, {"lr": 0.01}, 0.9)
    assert "Step (epoch)" not in page(without, tmp_path).text


@pytest.mark.usefixtures("sketched")
def test_the_front_of_two_objectives(tmp_path: Path) -> None:
    study = make("maximize", "minimize", names=["val/acc", "params"])
    for acc, params in ((0.9, 100), (0.95, 1000), (0.94, 2000), (0.99, 5000)):
        add(study, {"lr": 0.01}, acc, params, overrides=[f"width={params}"])
    made = page(study, tmp_path)
    assert re.findall(r"width=(\d+)", made.text) == ["5000", "1000", "100"]
    assert "The best trial" not in made.text
    assert "Each dot is a trial; the connected" in made.text
    assert re.findall(r'<tr class="chosen"><th scope="row">(\d+)', made.source) == ["3", "1", "0"]
    assert "99.00%" in made.text
    assert "5,000" in made.text


@pytest.mark.usefixtures("sketched")
def test_three_nameless_objectives_have_a_table_alone(tmp_path: Path) -> None:
    study = make("maximize", "minimize", "minimize")
    add(study, {"lr": 0.01}, 0.9, 1, 2)
    add(study, {"lr": 0.01}, 0.8, 2, 3)
    made = page(study, tmp_path)
    assert "Objective 3 (lower is better)" in made.text
    assert "the connected" not in made.text


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize(
    ("states", "note"),
    [
        ((), "has no trials yet"),
        ((TrialState.RUNNING, TrialState.WAITING), "No trial is complete yet"),
        ((TrialState.FAIL, TrialState.PRUNED), "No trial was completed"),
    ],
)
@pytest.mark.parametrize("directions", [("maximize",), ("maximize", "minimize")])
def test_a_search_without_a_score(tmp_path: Path, states, note: str, directions: tuple[str, ...]) -> None:
    study = make(*directions)
    for state in states:
        add(study, {"lr": 0.01}, state=state)
    made = page(study, tmp_path)
    assert note in made.text
    assert "<svg" not in made.source
    assert len(rows(made.source)) == len(states)


@pytest.mark.usefixtures("sketched")
def test_a_running_search_says_so(tmp_path: Path) -> None:
    study = make()
    add(study, {"lr": 0.01}, 0.5)
    assert "still running" not in page(study, tmp_path).text
    add(study, {}, state=TrialState.WAITING)
    assert "still running" in page(study, tmp_path).text


def test_text_is_escaped(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    study = make(title=f"name{evil}", names=[f"metric{evil}"])
    for value in (0.1, 0.2):
        add(study, {f"--><b>{evil}": value}, value, overrides=[f"x={evil}"])
    add(study, {}, state=TrialState.FAIL, error=f"error{evil}")
    made = page(study, tmp_path)  # fails on a script element
    for where in ("name", "metric", "error", "x="):
        assert f"{where}{evil}" in made.text


def test_a_large_search_shows_the_best_300(tmp_path: Path) -> None:
    study = lr_matters(1000)
    made = page(study, tmp_path)
    best = sorted(study.get_trials(deepcopy=False), key=lambda trial: -trial.value)[:300]
    assert [int(number) for number, _ in rows(made.source)] == [trial.number for trial in best]
    assert "the best 300 of 1,000" in made.text
    assert len(made.source) < 2_000_000


@pytest.mark.usefixtures("sketched")
def test_infinite_scores_are_not_the_best(tmp_path: Path) -> None:
    study = make()
    add(study, {"lr": 0.01}, math.inf)
    add(study, {"lr": 0.02}, 0.5)
    assert "The best trial: 1" in page(study, tmp_path).text


@pytest.mark.usefixtures("sketched")
def test_far_off_scores_do_not_hide_the_others(tmp_path: Path) -> None:
    assert outlier_limit(np.array([0.98, 0.97, 0.96, 0.1]), True) == pytest.approx(0.98 - 4 * 0.015)
    assert outlier_limit(np.array([0.02, 0.03, 0.04, 0.9]), False) == pytest.approx(0.02 + 4 * 0.015)
    assert outlier_limit(np.array([0.98, 0.97, 0.96, 0.95]), True) is None
    assert outlier_limit(np.array([0.5, 0.5]), True) is None
    study = make()
    for value in (0.98, 0.97, 0.96, 0.1):
        add(study, {"lr": 0.01}, value)
    made = page(study, tmp_path)
    assert "would be indistinguishable: 1." in made.text
    assert "0.1000" in made.text


def test_values_are_written_as_in_the_configuration() -> None:
    assert [plain(value) for value in ("'abc'", '"a b"', "word", "'", True, None, 64)] == [
        "abc",
        "a b",
        "word",
        "'",
        "true",
        "null",
        "64",
    ]
    assert plain(0.123456789) == "0.123456789"
    assert plain(0.123456789, 4) == "0.1235"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.123456, "0.1235"), (12.3456, "12.35"), (61706, "61,706"), (-1.5, "−1.500"), (3.16e-5, "3.160e-5"), (0, "0")],
)
def test_four_significant_digits(value: float, text: str) -> None:
    assert score_text(value, False, Language()) == text
    assert score_text(None, False, Language()) == score_text(math.nan, False, Language()) == "–"


def test_output_and_language_are_the_callers(tmp_path: Path) -> None:
    study = make()
    assert write_sweep_report(study, tmp_path) == tmp_path / "sweep.html"
    assert write_sweep_report(study, tmp_path, tmp_path / "a/b.html").is_file()
    with pytest.raises(ValueError, match="fr: no texts"):
        write_sweep_report(study, tmp_path, language="fr")


def test_far_off_scores_are_drawn_at_the_limit_and_counted(tmp_path: Path) -> None:
    """Pruned ones too; and never in the picture of two objectives, where the front itself may be far off."""
    study = optuna.create_study(direction="maximize")
    for value in (0.98, 0.981, 0.982, 0.983):
        study.add_trial(optuna.create_trial(value=value))
    for value in (0.979, 0.1):
        study.add_trial(optuna.create_trial(value=value, state=TrialState.PRUNED, intermediate_values={1: value}))
    search = SearchFindings(study)
    assert search.last_scores == {4: 0.979, 5: 0.1}
    assert search.limit is not None
    assert search.within(np.array([0.979, 0.1])).tolist() == [0.979, search.limit]
    assert search.outliers == 1
    both = optuna.create_study(directions=["maximize", "minimize"])
    for score, size in ((0.9, 10.0), (0.91, 11.0), (0.92, 12.0), (0.99, 1e6)):
        both.add_trial(optuna.create_trial(values=[score, size]))
    page = write_sweep_report(both, tmp_path).read_text()
    assert "1,000,000" in page
    assert SearchFindings(both).outliers == 0


def titles(source: str) -> list[str]:
    """The texts under the pointer."""
    return [
        html.unescape(text) for text in re.findall(r"<title>([^<]*)</title>", source)[1:]
    ]  # the first is the page's


def test_marks_have_their_values_under_the_pointer(tmp_path: Path) -> None:
    write_large_search(tmp_path / "search", 40)
    study = open_study(tmp_path / "search")
    made = page(study, tmp_path)
    assert 'id="hover' not in made.source
    texts = titles(made.source)
    for trial in study.trials:
        own = [text for text in texts if re.match(rf"Trial {trial.number}\b", text)]
        told = f"Worker {trial.user_attrs['worker']} · {trial.user_attrs['seconds']:.1f} s"
        assert sum(told in text for text in own) == 1  # in the timeline
        if trial.state == TrialState.COMPLETE:
            assert len(own) == 11  # history, curve, timeline, contour, six slices, parallel
            assert all(f"{100 * trial.value:.2f}%" in text for text in own)
            for name, value in trial.params.items():
                assert sum(f"{name} = {plain(value, 4)}" in text for text in own) >= 2
    assert any(text.endswith("2 attempts") for text in texts)


def test_marks_of_scores_beyond_an_axis_have_no_wrong_values(tmp_path: Path) -> None:
    """An accuracy above 1 is no reason to lose or mix up values."""
    study = make(names=["val/acc"])
    for value in (0.2, 5.0, 0.4, -3.0):
        add(study, {"lr": 0.01, "depth": 2}, value)
    counts = Counter(text.partition("\n")[0] for text in titles(page(study, tmp_path).source))
    assert set(counts.values()) == {5}  # history, timeline, two slices, parallel


@pytest.mark.parametrize(("first", "second"), [*itertools.permutations(["lr", "batch", "depth"], 2)])
def test_the_score_over_two_settings(first: str, second: str) -> None:
    """Better in a stronger color, for each kind of axis; without color where no trial was."""
    study, draw = make("minimize"), random.Random(0)
    for number in range(60):
        params = {"lr": 10 ** draw.uniform(-5, -3), "batch": draw.choice([32, 64]), "depth": draw.randint(1, 4)}
        params |= {"lr": 0.1} if number == 0 else {}
        add(study, dict(list(params.items())[number % 20 == 1 :]), abs(math.log10(params["lr"]) + 4))
    findings = SearchFindings(study)
    found = {parameter.name: parameter for parameter in findings.parameters}
    figure = Figure()
    contour_chart.__wrapped__(figure.add_subplot(), found[first], found[second], findings, "loss", Language())
    axes, bar = figure.axes
    (areas,) = (artist for artist in axes.collections if isinstance(artist, ContourSet))
    assert areas.get_facecolors()[0].tolist() == pytest.approx(to_rgba(BANDS[-1]))  # the lowest is the best
    shares = axes.get_xlim(), axes.get_ylim()
    assert all(low < high for low, high in shares)
    assert (axes.get_xscale(), axes.get_yscale()) == tuple(
        "log" if name == "lr" else "linear" for name in (first, second)
    )
    assert bar.get_ylabel() == "loss"


def test_the_timeline_has_a_row_per_worker() -> None:
    study = make()
    for number in range(24):
        add(study, {"lr": 0.01}, 0.5, worker=f"node-{number % 12}", seconds=4, attempts=1)
    add(study, {"lr": 0.01}, state=TrialState.RUNNING)
    timeline = Timeline.of(study.trials)
    assert timeline.workers == [f"node-{number}" for number in range(12)]
    assert timeline.row.tolist() == [*range(12), *range(12)]
    assert (timeline.end - timeline.start).tolist() == [4.0] * 24  # of the last attempt, not from the first start
    assert timeline.start[:3].tolist() == [0, 5, 10]
    assert timeline.busy == pytest.approx(24 * 4 / (12 * (23 * 5 + 4)))


@pytest.mark.parametrize("workers", [0, MAX_WORKERS + 1])
def test_trials_without_known_workers_are_packed(tmp_path: Path, workers: int) -> None:
    """Each starts 5 s after the one before it, and takes 10 s: two rows; the studies of earlier versions."""
    study = make()
    for number in range(100):
        add(study, {"lr": 0.01}, 0.5, **({"worker": str(number % workers)} if workers else {}))
    timeline = Timeline.of(study.trials)
    assert timeline.row.tolist() == [0, 1] * 50
    assert "packed into as few rows" in page(study, tmp_path).text
    assert Timeline.of([]) is None


@pytest.mark.slow
def test_a_search_of_10000_trials(tmp_path: Path) -> None:
    write_large_search(tmp_path / "search", 10_000)
    study = open_study(tmp_path / "search")
    made = page(study, tmp_path)
    assert len(made.source) < 5_000_000
    assert re.search(r"The charts show \d+ of 10,000 trials: the best 300", made.text)
    assert "Based on 6,533 completed trials" in made.text
    assert len(rows(made.source)) == 300
    findings = SearchFindings(study)
    assert len(findings.drawn) <= 1000
    assert {findings.scored[place].number for place in findings.ranked[:300]} <= findings.drawn
