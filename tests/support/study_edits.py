"""A small search's journal, and edits of it as somebody might make them by hand or in malice."""

import copy
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

CONFIG = "hydra:\n  sweeper:\n    study_name: study\n    storage: null\n"
VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 2, 3, 7, 10**6, 2**63, 10**400, -(10**30), 0.5, 1e-320, 1e300, -1e308),
    *(
        float("inf"),
        float("-inf"),
        float("nan"),
        "",
        "x",
        "\x1b[31mred",
        "\ud800",
        "$x^{2$",
        "<b>&",
        "a\nb",
        "y" * 5000,
    ),
    *("2026-01-01T00:00:00", "9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+00:00", "1e5", "{}", "[]"),
    *([], {}, [1], [0.5, 0.5], [None], ["a", "a"], {"a": 1}, [[[]]], {"error": 3}, {"overrides": "x"}),
)


def write_search(folder: Path, storage: Any = None) -> None:
    """Write the folder of a search: trials of each state, three kinds of parameters, curves and attributes."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "multirun.yaml").write_text(CONFIG)
    storage = storage or JournalStorage(JournalFileBackend(str(folder / "study.journal")))
    study = optuna.create_study(study_name="study", storage=storage, directions=["maximize"])
    study._storage.set_study_system_attr(study._study_id, "study:metric_names", ["val/acc"])
    study.set_user_attr("about", "digits: 240 / 80 images to train / validate.")
    ranges = {
        "lr": FloatDistribution(1e-5, 0.1, log=True),
        "depth": IntDistribution(1, 4),
        "scheduler": CategoricalDistribution(["none", "cosine", None]),
    }
    draw = random.Random(0)
    for number in range(14):
        trial = study.ask()
        trial.suggest_float("lr", 1e-5, 0.1, log=True)
        trial.suggest_int("depth", 1, 4)
        trial.suggest_categorical("scheduler", ranges["scheduler"].choices)
        trial.set_user_attr("overrides", ["lr=0.01", "depth=2"])
        for key, value in {"worker": str(number % 2), "seconds": 1.5, "attempts": 1}.items():
            trial.set_user_attr(key, value)
        for step in range(1, 3):
            trial.report(draw.random(), step)
        if number == 3:
            trial.set_user_attr("error", "RuntimeError: out of memory")
        if number < 13:
            ends = {2: TrialState.PRUNED, 3: TrialState.FAIL}
            state = ends.get(number, TrialState.COMPLETE)
            study.tell(trial, draw.random() if state == TrialState.COMPLETE else None, state=state)
    study.add_trial(optuna.create_trial(value=0.5, params={"lr": 0.01}, distributions={"lr": ranges["lr"]}))
    study.enqueue_trial({"lr": 0.02})


def edited(lines: Sequence[str], draw: random.Random) -> bytes:
    """Return a journal with one to three edits."""
    entries: list[Any] = [json.loads(line) for line in lines]
    for _ in range(draw.randint(1, 3)):
        _edit(entries, draw)
    text = "".join(f"{json.dumps(entry)}\n" for entry in entries)
    if draw.random() < 0.1:  # bytes
        raw = bytearray(text.encode())
        for _ in range(draw.randint(1, 4)):
            raw[draw.randrange(len(raw))] = draw.randrange(256)
        return bytes(raw)
    return text.encode()


def _edit(entries: list[Any], draw: random.Random) -> None:
    at = draw.randrange(len(entries))
    kind = draw.choice(["value"] * 8 + ["missing", "drop", "double", "swap", "inner", "inner", "inner"])
    entry = entries[at]
    if kind == "drop":
        del entries[at]
    elif kind == "double":
        entries.insert(draw.randrange(len(entries)), copy.deepcopy(entry))
    elif kind == "swap":
        other = draw.randrange(len(entries))
        entries[at], entries[other] = entries[other], entries[at]
    elif not isinstance(entry, dict) or not entry:
        entries[at] = draw.choice(VALUES)
    elif kind == "missing":
        del entry[draw.choice(list(entry))]
    else:
        key = draw.choice(list(entry))
        if kind == "inner" and key in ("distribution", "distributions"):
            _edit_distribution(entry, key, draw)
        elif kind == "inner" and isinstance(entry[key], dict) and entry[key]:
            name = draw.choice(list(entry[key]))
            entry[key] = {
                draw.choice([name, draw.choice([v for v in VALUES if isinstance(v, str)])]): draw.choice(VALUES)
            }
        else:
            entry[key] = draw.choice(VALUES)


def _edit_distribution(entry: dict[str, Any], key: str, draw: random.Random) -> None:
    """Change an attribute of a distribution, which is JSON within JSON."""
    inner = entry[key] if key == "distribution" else next(iter(entry[key].values()), "{}") if entry[key] else "{}"
    try:
        found = json.loads(inner)
        found["attributes"][draw.choice(list(found["attributes"]))] = draw.choice(VALUES)
    except (TypeError, ValueError, KeyError, IndexError):
        found = draw.choice(VALUES)
    text = json.dumps(found)
    entry[key] = text if key == "distribution" else dict.fromkeys(entry[key] or {}, text)
