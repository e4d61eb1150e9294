"""The journal of a long search, written line by line, since Optuna itself takes minutes for one."""

import json
import math
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from tests.support.study_edits import CONFIG

START = datetime(2026, 1, 1, tzinfo=UTC)
RANGES: dict[str, BaseDistribution] = {
    "model.optimizer.lr": FloatDistribution(1e-5, 0.1, log=True),
    "model.optimizer.weight_decay": FloatDistribution(1e-6, 1e-2, log=True),
    "model.net.dropout": FloatDistribution(0, 0.5),
    "model.net.depth": IntDistribution(1, 6),
    "data.batch_size": CategoricalDistribution([32, 64, 128, 256]),
    "model/optimizer": CategoricalDistribution(["adam", "sgd", "rmsprop"]),
}


def write_large_search(folder: Path, trials: int, workers: int = 8, steps: int = 10) -> None:
    """Write the folder of a search of `trials` trials on `workers` workers; each reports `steps` scores at most.

    The learning rate and the optimizer matter. A third of the trials is pruned, every 50th failed.
    """
    folder.mkdir(parents=True)
    (folder / "multirun.yaml").write_text(CONFIG)
    draw, free = random.Random(0), [0.0] * workers
    with (folder / "study.journal").open("w") as file:

        def write(code: int, **entry: Any) -> None:
            file.write(json.dumps({"op_code": code, "worker_id": "driver", **entry}) + "\n")

        write(0, study_name="study", directions=[2])
        write(3, study_id=0, system_attr={"study:metric_names": ["val/acc"]})
        for number in range(trials):
            worker = min(range(workers), key=free.__getitem__)
            seconds = draw.lognormvariate(3, 0.5)
            start = START + timedelta(seconds=free[worker])
            free[worker] += seconds + 0.1
            write(4, study_id=0, datetime_start=start.isoformat())
            params = {name: _drawn(known, draw) for name, known in RANGES.items()}
            for name, value in params.items():
                known = distribution_to_json(RANGES[name])
                write(5, trial_id=number, param_name=name, param_value_internal=value, distribution=known)
            write(8, trial_id=number, user_attr={"overrides": [f"{name}={value}" for name, value in params.items()]})
            off = math.log10(params["model.optimizer.lr"]) + 3 + params["model/optimizer"] * 0.7
            score = 0.98 - 0.015 * off**2 - 0.01 * params["model.net.dropout"] + draw.gauss(0, 0.003)
            state = 3 if number % 50 == 49 else 2 if number % 3 == 2 else 1
            ended = steps if state == 1 else steps // 3
            curve = [score * (1 - 0.5**step) for step in range(1, ended + 1)]
            for step, value in enumerate(curve, 1):
                write(7, trial_id=number, step=step, intermediate_value=value)
            values = {1: [score], 2: curve[-1:] or None, 3: None}[state]
            for key, told in {"worker": str(worker), "seconds": seconds, "attempts": 1 + (number % 40 == 0)}.items():
                write(8, trial_id=number, user_attr={key: told})
            end = (start + timedelta(seconds=seconds)).isoformat()
            write(6, trial_id=number, state=state, values=values, datetime_complete=end)


def _drawn(known: BaseDistribution, draw: random.Random) -> float:
    """Return a value of a range as Optuna stores it: a choice's number."""
    if isinstance(known, CategoricalDistribution):
        return draw.randrange(len(known.choices))
    if isinstance(known, IntDistribution):
        return draw.randint(known.low, known.high)
    assert isinstance(known, FloatDistribution)
    if known.log:
        return 10 ** draw.uniform(math.log10(known.low), math.log10(known.high))
    return draw.uniform(known.low, known.high)
