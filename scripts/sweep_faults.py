"""Kill sweeps at random moments, in any of their processes, and check that the same command finishes them.

    python scripts/sweep_faults.py --studies 40

Each study is a small Hydra application outside this project, with a random storage (journal, sqlite, and
PostgreSQL where it is installed), sampler (grid, TPE) and number of workers. Its supervisor or a worker, or
all of them, are killed by SIGKILL again and again; then the command runs once more without kills. A study is right if
every trial occurs once, complete, with the score of its parameters, and no point of a grid is missing. Writes
docs/results/sweep_faults.json.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend
from sqlalchemy import NullPool

import postgres

APP = """
import time
from pathlib import Path

import hydra


@hydra.main(version_base="1.3", config_path=None)
def main(cfg):
    from hydra.core.hydra_config import HydraConfig

    number = HydraConfig.get().job.num
    time.sleep(cfg.seconds)
    with Path("ended.log").open("a") as file:
        file.write(f"{number}\\n")
    return (cfg.x - 3) ** 2 + cfg.y


main()
"""
GRID = ["+x=range(0,6)", "+y=choice(0.5,1.5)"]
SEARCH = ["+x=interval(0.0,6.0)", "+y=choice(0.5,1.5)"]
TRIALS = 12
MAX_SECONDS = 300  # for one study
KILL_ALL = 0.7  # share of launches that are killed as a whole; the others may overlap with the next one
TOLERANCE = 1e-9  # between a score and that of its parameters


def command(sampler: str, n_jobs: int, storage: str, seconds: float) -> list[str]:
    """Return the command of a study."""
    return [
        *(sys.executable, "app.py", "-m", "hydra/sweeper=optuna", f"hydra/sweeper/sampler={sampler}"),
        *(f"hydra.sweeper.n_trials={TRIALS}", f"hydra.sweeper.n_jobs={n_jobs}", "hydra.sweeper.study_name=study"),
        *("hydra.sweep.dir=sweep", "hydra.sweeper.max_attempts=100", f"+seconds={seconds}"),
        *([f"hydra.sweeper.storage={storage}"] if storage else []),
        *(GRID if sampler == "grid" else SEARCH),
    ]


def run_study(folder: Path, sampler: str, n_jobs: int, storage: str, random_: random.Random) -> dict[str, Any]:
    """Run one study with kills, then once without; return the kills and the outcome."""
    (folder / "app.py").write_text(APP)
    line = command(sampler, n_jobs, storage, seconds=random_.choice([0.05, 0.3]))
    kills = {"worker": 0, "supervisor": 0, "all": 0}
    began = time.monotonic()
    started: list[subprocess.Popen[bytes]] = []
    for _ in range(random_.randint(2, 4)):
        launches = random_.choice([1, 1, 2])  # now and then a second sweep joins the first
        with (folder / "output.log").open("a") as log:
            processes = [
                subprocess.Popen(line, cwd=folder, stdout=log, stderr=log, start_new_session=True)
                for _ in range(launches)
            ]
        started += processes
        time.sleep(random_.uniform(0.8, 5))
        for process in processes:
            for _ in range(random_.randint(1, 3)):
                if process.poll() is None:
                    whom = random_.choice(list(kills))
                    kill(process.pid, whom, random_)
                    kills[whom] += 1
                    time.sleep(random_.uniform(0.05, 1))
            if random_.random() < KILL_ALL:
                kill(process.pid, "all", random_)
    with (folder / "output.log").open("a") as log:
        code = subprocess.run(line, cwd=folder, stdout=log, stderr=log, check=False, timeout=MAX_SECONDS).returncode
    for process in started:
        process.wait(MAX_SECONDS)
    url = storage or f"journal:{folder / 'sweep' / 'study.journal'}"
    return {
        "sampler": sampler,
        "n_jobs": n_jobs,
        "storage": storage.partition(":")[0].partition("+")[0] or "journal",
        "kills": kills,
        "seconds": round(time.monotonic() - began, 1),
        **outcome(url, folder, sampler, code),
    }


def kill(group: int, whom: str, random_: random.Random) -> None:
    """Send SIGKILL to a process of the group: its leader, one of its workers, or all."""
    try:
        if whom == "all":
            os.killpg(group, signal.SIGKILL)
            return
        pids = subprocess.run(["pgrep", "-g", str(group)], capture_output=True, text=True, check=False).stdout.split()
        workers = [int(pid) for pid in pids if int(pid) != group]
        os.kill(random_.choice(workers) if whom == "worker" and workers else group, signal.SIGKILL)
    except ProcessLookupError:
        pass


def read_trials(url: str, name: str = "study") -> list[optuna.trial.FrozenTrial]:
    """Return the trials of a study in a database or, by `journal:PATH`, in a journal; leave no connection open."""
    if url.startswith("journal:"):
        backend = JournalFileBackend(url.removeprefix("journal:"))
        return optuna.load_study(study_name=name, storage=optuna.storages.JournalStorage(backend)).get_trials()
    storage = optuna.storages.RDBStorage(url, engine_kwargs={"poolclass": NullPool})
    try:
        return optuna.load_study(study_name=name, storage=storage).get_trials()
    finally:
        storage.remove_session()
        storage.engine.dispose()


def outcome(url: str, folder: Path, sampler: str, code: int) -> dict[str, Any]:
    """Return counts of trials, and whether the study is right."""
    trials = read_trials(url.replace("sqlite:///", f"sqlite:///{folder}/"))
    complete = [trial for trial in trials if trial.state == optuna.trial.TrialState.COMPLETE]
    points = {(trial.params["x"], trial.params["y"]) for trial in complete}
    wanted = {(x, y) for x in range(6) for y in (0.5, 1.5)} if sampler == "grid" else points
    scores = all(
        abs(t.value - (t.params["x"] - 3) ** 2 - t.params["y"]) < TOLERANCE for t in complete if t.value is not None
    )
    runs = (folder / "ended.log").read_text().split()
    return {
        "exit_code": code,
        "trials": len(trials),
        "complete": len(complete),
        "distinct": len(points),
        "jobs_that_ended": len(runs),  # one more than trials if a kill came between a job's end and its record
        "right": code == 0 and len(trials) == len(complete) == len(points) == TRIALS and points == wanted and scores,
    }


def main() -> None:
    """Run the studies, print one line per study, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("docs/results/sweep_faults.json"))
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    random_ = random.Random(arguments.seed)
    results = []
    with ExitStack() as stack:
        storages = ["", "sqlite:///study.db"]
        if postgres.binaries():
            storages.append("postgresql")
        for number in range(arguments.studies):
            storage = storages[number % len(storages)]
            with ExitStack() as one:
                folder = Path(one.enter_context(tempfile.TemporaryDirectory()))
                if storage == "postgresql":
                    storage = one.enter_context(postgres.server())
                sampler, n_jobs = random_.choice(["grid", "tpe"]), random_.choice([1, 2, 3])
                result = run_study(folder, sampler, n_jobs, storage, random_)
                if not result["right"]:
                    print((folder / "output.log").read_text()[-3000:])
            results.append(result)
            print(f"{number + 1}/{arguments.studies} {json.dumps(result)}", flush=True)
        stack.close()
    right = sum(result["right"] for result in results)
    print(f"{right} of {len(results)} studies are right")
    arguments.output.write_text(
        json.dumps({"seed": arguments.seed, "right": right, "studies": results}, indent=1) + "\n"
    )
    sys.exit(right != len(results))


if __name__ == "__main__":
    main()
