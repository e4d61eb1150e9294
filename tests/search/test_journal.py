"""Studies that somebody else wrote: read without a trace, limited, checked, and never a traceback."""

import json
import os
import pickle
import random
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from tests.support.study_edits import CONFIG, edited, write_search

from ziffern.cli.main import main as cli
from ziffern.errors import InputError
from ziffern.report.sweep_page import write_sweep_report
from ziffern.search import copies, journal
from ziffern.search.study import open_study


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small search: not to be changed."""
    folder = tmp_path_factory.mktemp("study") / "search"
    write_search(folder)
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """A small search, of which a test may change what it likes."""
    return Path(shutil.copytree(written, tmp_path / "search"))


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def append(folder: Path, *entries: Any) -> None:
    with (folder / "study.journal").open("a") as file:
        file.writelines(f"{entry if isinstance(entry, str) else json.dumps(entry)}\n" for entry in entries)


def new_trial(**more: Any) -> dict[str, Any]:
    return {"op_code": 4, "study_id": 0, "datetime_start": "2026-01-01T00:00:00+00:00", **more}


def facts(trials: list[optuna.trial.FrozenTrial]) -> list[Any]:
    return [
        (t.number, t.state, t.values, t.params, t.distributions, t.intermediate_values, t.datetime_start, t.duration)
        for t in trials
    ]


def test_a_journal_is_read_as_optuna_reads_it_and_left_as_it_is(folder: Path) -> None:
    with (folder / "study.journal").open("a") as file:
        file.write('{"op_code": 4, "half of a li')  # being written
    before = content(folder)
    found = open_study(folder)
    assert content(folder) == before
    own = optuna.load_study(
        study_name="study", storage=JournalStorage(JournalFileBackend(str(folder / "study.journal")))
    )
    assert facts(found.trials) == facts(own.trials)
    assert len(found.trials) == 16
    assert (found.directions, found.metric_names) == (own.directions, own.metric_names)
    assert found.user_attrs["about"] == own.user_attrs["about"]
    told = {"worker": "1", "seconds": 1.5, "attempts": 1, "overrides": ["lr=0.01", "depth=2"]}
    assert found.trials[3].user_attrs == told | {"error": "RuntimeError: out of memory"}


@pytest.mark.parametrize("is_relative", [True, False])
def test_the_study_of_an_earlier_version_can_be_copied_into_the_folder(
    tmp_path: Path, is_relative: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The advice is followed to the letter; the database that the folder names is not opened before."""
    folder = Path("it's a search") if is_relative else tmp_path / "search"
    monkeypatch.chdir(tmp_path)
    address = f"sqlite:///{tmp_path / 'study.db'}"
    write_search(folder, optuna.storages.RDBStorage(address))
    own = optuna.load_study(study_name="study", storage=address)
    (folder / "multirun.yaml").write_text(CONFIG.replace("null", address))
    with pytest.raises(InputError, match="in a database, and only a journal in the folder is read") as error:
        open_study(folder)
    (command,) = re.findall(r"python -c .*", str(error.value))
    words = shlex.split(command.replace("ADDRESS", address))
    done = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = open_study(folder)
    assert facts(found.trials) == facts(own.trials)
    assert (found.metric_names, found.user_attrs["about"]) == (["val/acc"], own.user_attrs["about"])
    assert "val/acc" in write_sweep_report(found, folder).read_text()


@pytest.mark.parametrize(
    ("storage", "named"),
    [
        ("postgresql://there/x", "in a database"),
        ("${oc.env:STUDY_ADDRESS}", "in a database"),
        (
            "../outside/study.journal",
            "in ../outside/study.journal, and only a journal in the folder is read: copy that file to .*study.journal",
        ),
        ("null", "no such file: start the search first"),
    ],
)
def test_only_the_journal_of_the_folder_is_read(folder: Path, storage: str, named: str) -> None:
    shutil.copytree(folder, folder.with_name("outside"))
    (folder / "multirun.yaml").write_text(CONFIG.replace("null", storage))
    assert len(open_study(folder).trials) == 16
    (folder / "study.journal").unlink()
    with pytest.raises(InputError, match=named):
        open_study(folder)


def test_a_journal_that_is_a_link_out_of_the_folder_is_not_followed(folder: Path) -> None:
    elsewhere = folder.with_name("elsewhere.journal")
    (folder / "study.journal").rename(elsewhere)
    (folder / "study.journal").symlink_to(elsewhere)
    with pytest.raises(InputError, match=r"study.journal: a link that leads out of the folder"):
        open_study(folder)


def test_files_that_are_none_are_one_line(folder: Path) -> None:
    path = folder / "study.journal"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(InputError, match="not a regular file"):
        open_study(folder)
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match=r"not a regular file|Is a directory"):
        open_study(folder)
    (folder / "multirun.yaml").unlink()
    os.mkfifo(folder / "multirun.yaml")
    with pytest.raises(InputError, match=r"not the folder of a search .*not a regular file"):
        open_study(folder)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a: &a [x]\nhydra: {sweeper: {study_name: *a}}\n", "alias"),
        ("hydra: {sweeper: {study_name: [1]}}\n", "Expected `str`"),
        ("hydra: {sweeper: {study_name: study, storage: {a: 1}}}\n", "Expected `str"),
        ("hydra: [", "expected the node content"),
        ("[" * 5000, "nested more than 40 levels deep"),
        ("x: 1\n" * 400_000, "at most"),
        ("!!python/object/apply:os.mkdir [made]", "could not determine a constructor"),
        ("\x00", r"the character U\+0000 in line 1 is not allowed"),
    ],
)
def test_settings_of_another_kind_are_one_line(folder: Path, text: str, named: str) -> None:
    (folder / "multirun.yaml").write_text(text)
    with pytest.raises(InputError, match=f"not the folder of a search .*{named}") as error:
        open_study(folder)
    assert str(error.value).isprintable()
    assert not Path("made").exists()


def test_an_interpolation_of_the_settings_is_text(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "word")
    (folder / "multirun.yaml").write_text(CONFIG.replace(": study", ': "x${oc.env:SECRET}"'))
    with pytest.raises(InputError, match=r"no study x\$\{oc.env:SECRET\}, only: study"):
        open_study(folder)


def test_an_unreadable_file_is_blamed_itself(folder: Path, monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    def denied(path: Path, limit: int) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(journal, "open_regular", denied)
    monkeypatch.setattr(sys, "argv", ["ziffern", "sweep", "report", str(folder)])
    with pytest.raises(SystemExit, match="2"):
        cli()
    (line,) = capsys.readouterr().err.splitlines()
    assert "study.journal: Permission denied" in line
    assert "--output" not in line


def test_the_dashboard_opens_the_journal(folder: Path, monkeypatch, capfd: pytest.CaptureFixture[str]) -> None:
    program = folder / "optuna-dashboard"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setattr(sys, "argv", ["ziffern", "sweep", "dashboard", str(folder)])
    with pytest.raises(SystemExit, match="0"):
        cli()
    assert capfd.readouterr().out == f"{folder / 'study.journal'}\n"


PARAM = {"op_code": 5, "trial_id": 0, "param_value_internal": 0.5}
RANGE = '{"name": "FloatDistribution", "attributes": {"low": 0.0, "high": 1.0, "log": false, "step": null}}'


@pytest.mark.parametrize(
    ("name", "entries", "named"),
    [
        (
            "parameters",
            [
                new_trial(
                    params={f"p{n}": 0.5 for n in range(3000)}, distributions={f"p{n}": RANGE for n in range(3000)}
                )
            ],
            "more than 100 parameters",
        ),
        ("line", ['"' + "x" * 2**21], "longer than 1,048,576 bytes"),
        ("nesting", ["[" * 500_000], "cannot be read"),
        ("digits", ["1" * 500_000], "cannot be read"),
        (
            "steps",
            [new_trial(intermediate_values=dict.fromkeys(range(20_000), 0.5))],
            "more than 10,000 intermediate values",
        ),
        (
            "studies",
            [{"op_code": 0, "study_name": f"s{n}", "directions": [1]} for n in range(2000)],
            "more than 1,000 studies",
        ),
        ("objectives", [{"op_code": 0, "study_name": "s", "directions": [1] * 1000}], "Expected `array`"),
    ],
)
def test_a_bomb_is_one_line(folder: Path, name: str, entries: list[Any], named: str) -> None:
    append(folder, *entries)
    with pytest.raises(InputError, match=named) as error:
        open_study(folder)
    assert len(str(error.value)) < 1000


def test_a_journal_that_is_too_large_or_has_too_many_trials(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = (folder / "study.journal").stat().st_size
    with monkeypatch.context() as patch:
        patch.setattr(journal, "MAX_TRIALS", 15)
        with pytest.raises(InputError, match="more than 15 trials"):
            open_study(folder)
    os.truncate(folder / "study.journal", journal.MAX_BYTES + 1)  # a hole takes no space
    with pytest.raises(InputError, match=f"at most {journal.MAX_BYTES:,} are read"):
        open_study(folder)
    os.truncate(folder / "study.journal", size)
    assert len(open_study(folder).trials) == 16


def test_many_parameters_take_linear_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, not timed: nothing is copied for each line."""
    monkeypatch.setattr(copies, "MAX_PARAMETERS", 10**6)
    append(folder, *({**PARAM, "trial_id": 15, "param_name": f"p{n}", "distribution": RANGE} for n in range(3000)))
    assert len(open_study(folder).trials[15].params) == 3000


@pytest.mark.parametrize(
    ("entries", "named"),
    [
        (
            [new_trial(state=1, values=[0.5, 0.5], datetime_complete="2026-01-01T00:00:01+00:00")],
            "2 values, which is different from the number of objectives 1",
        ),
        ([new_trial(state=1, value=0.5)], "datetime_complete"),
        ([new_trial(params={"x": 0.5}, distributions={})], "cannot be read: 'x'"),
        (
            [new_trial(params={"x": 2.0}, distributions={"x": RANGE})],
            "The value 2.0 of parameter 'x' isn't contained in",
        ),
        ([new_trial(params={"x": float("nan")}, distributions={"x": RANGE})], "`nan` is invalid"),
        ([new_trial(user_attrs={"error": 3})], "error=3 is not text"),
        ([new_trial(user_attrs={"worker": "x" * 101})], "worker="),
        ([new_trial(user_attrs={"seconds": -1})], "seconds=-1"),
        ([new_trial(user_attrs={"seconds": float("nan")})], "seconds="),
        ([new_trial(user_attrs={"attempts": 1.5})], "attempts=1.5"),
        ([{"op_code": 11}], "not an operation"),
        ([{"op_code": 7, "trial_id": 15, "step": -1, "intermediate_value": 0.5}], "step -1"),
        (["{}"], "not an operation"),
        ([{"op_code": 1}], "study_id is missing"),
        (["null"], "not an operation"),
    ],
)
def test_a_contradiction_is_one_line_with_its_place(folder: Path, entries: list[Any], named: str) -> None:
    append(folder, *entries)
    with pytest.raises(InputError, match=named) as error:
        open_study(folder)
    assert re.search(r"study\.journal: (line|trial) \d+", str(error.value))


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ({"op_code": 3, "system_attr": {"study:metric_names": ["a", "b"]}}, "number of objectives must match"),
        ({"op_code": 3, "system_attr": {"study:metric_names": "a"}}, "metric_names='a' is not"),
        ({"op_code": 2, "user_attr": {"about": 3}}, "about=3 is not"),
    ],
)
def test_a_wrong_attribute_of_the_study_is_one_line(folder: Path, entry: dict[str, Any], named: str) -> None:
    append(folder, {"study_id": 0, **entry})
    with pytest.raises(InputError, match=rf"study\.journal: .*{named}"):
        open_study(folder)


@pytest.mark.parametrize(
    ("distribution", "named"),
    [
        ({"name": "CategoricalDistribution", "attributes": {"choices": [[1]]}}, "list: not a value of a parameter"),
        ({"name": "CategoricalDistribution", "attributes": {"choices": [*range(10_001)]}}, "more than 10,000 choices"),
        ({"name": "CategoricalDistribution", "attributes": {"choices": []}}, "must contain one or more"),
        ({"name": "IntDistribution", "attributes": {"low": 0, "high": 10**200}}, "must lie between"),
        ({"name": "FloatDistribution", "attributes": {"low": 1e-320, "high": 1}}, "must lie between"),
        ({"name": "FloatDistribution", "attributes": {"low": 0, "high": float("nan")}}, "must lie between"),
        ({"name": "FloatDistribution", "attributes": {"low": 0, "high": "x"}}, "not supported between"),
        ({"name": "FloatDistribution", "attributes": 3}, "must be a mapping"),
        ({"name": "X", "attributes": {}}, "Unknown distribution"),
        ([], "list indices"),
    ],
)
def test_a_wrong_distribution_is_one_line(folder: Path, distribution: Any, named: str) -> None:
    entry = {"op_code": 5, "trial_id": 15, "param_name": "x", "param_value_internal": 0}
    append(folder, {**entry, "distribution": json.dumps(distribution)})
    with pytest.raises(InputError, match=named) as error:
        open_study(folder)
    assert re.search(r"study\.journal: (line|trial) \d+", str(error.value))


def test_texts_are_printable_and_scores_can_be_calculated_with(folder: Path) -> None:
    raw = "\x1b[31m\ud800\n"
    complete = "2026-01-01T00:00:01+00:00"
    append(
        folder,
        {"op_code": 3, "study_id": 0, "system_attr": {"study:metric_names": [raw]}},
        {"op_code": 2, "study_id": 0, "user_attr": {"about": raw}},
        new_trial(
            state=1,
            value=1e308,
            datetime_complete=complete,
            params={raw: 0, "choice": 0},
            distributions={
                raw: RANGE,
                "choice": json.dumps({"name": "CategoricalDistribution", "attributes": {"choices": [raw, 1]}}),
            },
            user_attrs={"overrides": [raw], "error": raw, "more": {"a": raw}},
        ),
    )
    found = open_study(folder)
    safe = r"\x1b[31m\ud800\n"
    last = found.trials[-1]
    assert (found.metric_names, found.user_attrs["about"]) == ([safe], safe)
    assert (last.params, last.values) == ({safe: 0.0, "choice": safe}, [float("inf")])
    assert last.user_attrs == {"overrides": [safe], "error": safe}
    assert safe in write_sweep_report(found, folder).read_text()


def test_nothing_of_a_study_is_unpickled(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append(folder, {"op_code": 9, "trial_id": 15, "system_attr": {"cma:optimizer:0": pickle.dumps(1).hex()}})
    monkeypatch.setattr(pickle, "loads", None)
    assert write_sweep_report(open_study(folder), folder).is_file()


def journals(folder: Path, seeds: range) -> Iterator[bytes]:
    lines = (folder / "study.journal").read_text().splitlines()
    for seed in seeds:
        yield edited(lines, random.Random(seed))


@pytest.mark.parametrize("seeds", [range(60), pytest.param(range(60, 400), marks=pytest.mark.slow)])
def test_an_edited_journal_is_one_line_or_a_page(folder: Path, seeds: range) -> None:
    """Each is read; every eighth of those that can be is drawn, which takes most of the time."""
    lines, studies = [], []
    for text in journals(folder, seeds):
        (folder / "study.journal").write_bytes(text)
        try:
            studies.append(open_study(folder))
        except InputError as error:
            lines.append(str(error))
    assert all(line.isprintable() and len(line) < 1000 for line in lines)
    for found in studies[::8]:
        assert "</html>" in write_sweep_report(found, folder).read_text()
    assert min(len(lines), len(studies)) > len(seeds) / 8
