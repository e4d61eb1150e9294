"""Kill, stop and starve sweeps at random moments, and check that the same command finishes them.

    python scripts/sweep_faults.py --engines local inline ray slurm --kills 40

Each study is a small Hydra application outside this project, with a random sampler (grid, TPE) and number of workers.
Its driver or its workers are killed by SIGKILL again and again; then the command runs once more without kills. After
that come a full disk (a limit on the size of files), stopped processes, a trial that always kills its worker and, on
Ray, the loss of one of two nodes. A study is right if

- every trial occurs once, complete, with the score of its parameters, and no point of a grid is missing,
- no trial has begun again after its result was recorded, and no two attempts of a trial ran at the same time,
- every launch that was not killed ended with the exit code 0, and no process is left.

Decision: `ended_twice` counts the jobs whose worker was killed after the last line of the job and before its result was
written; such a job is run again, and no driver could know better. SLURM is submitit's local executor. Writes
docs/results/sweep_faults.json.
"""

import argparse
import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend

APP = """
import os
import signal
import time
from pathlib import Path

import hydra

HERE = Path(__file__).parent


def write(name, text):
    with (HERE / name).open("a") as file:
        file.write(f"{text}\\n")


def is_alive(process):
    stat = Path(f"/proc/{process}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@hydra.main(version_base="1.3", config_path=None)
def main(cfg):
    from hydra.core.hydra_config import HydraConfig

    number = HydraConfig.get().job.num
    mark, process = HERE / f"running.{number}", str(os.getpid())
    if mark.exists() and (other := mark.read_text()) not in ("", process) and is_alive(other):
        write("overlap.log", number)
    mark.write_text(process)
    write("started.log", f"{number} {time.time()}")
    if number == cfg.poison:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(cfg.seconds)
    mark.write_text("")
    write("ended.log", number)
    return (cfg.x - 3) ** 2 + cfg.y


main()
"""
GRID = ["+x=range(0,6)", "+y=choice(0.5,1.5)"]
SEARCH = ["+x=interval(0.0,6.0)", "+y=choice(0.5,1.5)"]
TRIALS = 12
MAX_SECONDS = 300  # for one launch
LEFT_SECONDS = {"ray": 120}  # for the processes of a launch that was killed to end; Ray's own take up to 80
KILL_DRIVER = 0.45  # share of kills that are of the driver
TOLERANCE = 1e-9  # between a score and that of its parameters
ENGINES: dict[str, list[str]] = {
    "local": [],
    "inline": [],
    "ray": ["hydra.sweeper.engine.num_cpus=0.5", "+hydra.sweeper.engine.init.include_dashboard=false"],
    "slurm": ["hydra.sweeper.engine.cluster=local"],
}
PACKAGES = {"ray": "ray", "slurm": "submitit"}


class Sweep:
    """One command in one folder, which is launched again and again."""

    def __init__(self, folder: Path, engine: str, sampler: str, n_jobs: int, seconds: float, *more: str) -> None:
        self.folder, self.engine, self.sampler = folder, engine, sampler
        (folder / "app.py").write_text(APP)
        self.line = [
            *(sys.executable, "app.py", "-m", "hydra/sweeper=optuna", f"hydra/sweeper/sampler={sampler}"),
            *(f"hydra/sweeper/engine={engine}", f"hydra.sweeper.n_trials={TRIALS}", f"hydra.sweeper.n_jobs={n_jobs}"),
            *("hydra.sweep.dir=sweep", "hydra.sweeper.study_name=study", f"+seconds={seconds}"),
            *(GRID if sampler == "grid" else SEARCH),
            *ENGINES[engine],
            *([] if any("poison" in item for item in more) else ["+poison=-1", "hydra.sweeper.max_attempts=100"]),
            *more,
        ]
        self.codes: list[int] = []
        self.began = time.monotonic()

    @contextmanager
    def launch(self, *before: str) -> "Iterator[subprocess.Popen[bytes]]":
        """Start the command; at the end wait for it and for all its processes."""
        with (self.folder / "output.log").open("a") as log:
            given = [*before, *self.line]
            driver = subprocess.Popen(given, cwd=self.folder, stdout=log, stderr=log, start_new_session=True)
        yield driver
        self.codes.append(driver.wait(MAX_SECONDS))

    def workers(self, driver: int) -> list[int]:
        """Return the processes in which jobs run, or will run."""
        found = [process for process in descendants(driver) if process != driver]
        if self.engine == "slurm":
            found = [process for process in processes(self.folder) if "submitit" in command_of(process)]
        if self.engine == "ray":
            named = {process: command_of(process) for process in found}  # agents end their node when they are killed
            found = [one for one, name in named.items() if name.startswith("ray::") and "Agent" not in name]
        return found

    def result(self, fails: tuple[int, ...] = ()) -> dict[str, Any]:
        """Return counts of trials, and whether the study is right; `fails` are the trials that must have failed."""
        end = time.monotonic() + LEFT_SECONDS.get(self.engine, 20)
        while (left := processes(self.folder)) and time.monotonic() < end:
            time.sleep(0.2)
        trials = read_trials(self.folder)
        complete = [trial for trial in trials if trial.state == optuna.trial.TrialState.COMPLETE]
        failed = [trial.number for trial in trials if trial.state == optuna.trial.TrialState.FAIL]
        points = {(trial.params["x"], trial.params["y"]) for trial in trials}
        wanted = {(x, y) for x in range(6) for y in (0.5, 1.5)} if self.sampler == "grid" else points
        scores = all(
            abs(t.value - (t.params["x"] - 3) ** 2 - t.params["y"]) < TOLERANCE for t in complete if t.value is not None
        )
        known = {trial.number: trial.datetime_complete.timestamp() for trial in trials if trial.datetime_complete}
        starts = [line.split() for line in lines(self.folder / "started.log")]
        late = [int(number) for number, when in starts if float(when) > known[int(number)]]
        ended = Counter(lines(self.folder / "ended.log"))
        overlaps = len(lines(self.folder / "overlap.log"))
        right = len(trials) == len(points) == TRIALS == len(complete) + len(failed) and points == wanted and scores
        return {
            "engine": self.engine,
            "sampler": self.sampler,
            "seconds": round(time.monotonic() - self.began, 1),
            "exit_codes": self.codes,
            "trials": len(trials),
            "complete": len(complete),
            "starts": len(starts),
            "ended_twice": sum(count - 1 for count in ended.values()),
            "begun_after_recorded": len(late),
            "overlaps": overlaps,
            "processes_left": len(left),
            "right": right and failed == [*fails] and not late and not overlaps and not left and self.codes[-1] == 0,
        }


def processes(folder: Path) -> list[int]:
    """Return the living processes whose working directory is the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if path.joinpath("cwd").readlink() == folder.resolve() and _stat(int(path.name))[0] != "Z":
                found.append(int(path.name))
    return found


def descendants(process: int) -> list[int]:
    """Return a process and its living descendants."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, parent = _stat(int(path.name))[:2]
            if state != "Z":
                parents.setdefault(int(parent), []).append(int(path.name))
    found = [process]
    for one in found:
        found += parents.get(one, [])
    return found


def _stat(process: int) -> list[str]:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def command_of(process: int) -> str:
    """Return the command line of a process; empty if it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def lines(path: Path) -> list[str]:
    """Return the lines of a file that may not exist."""
    return path.read_text().splitlines() if path.exists() else []


def read_trials(folder: Path) -> list[optuna.trial.FrozenTrial]:
    """Return the trials of a study, with Optuna's own journal."""
    backend = JournalFileBackend(str(folder / "sweep/study.journal"))
    return optuna.load_study(study_name="study", storage=optuna.storages.JournalStorage(backend)).get_trials()


def run_study(folder: Path, engine: str, sampler: str, n_jobs: int, random_: random.Random) -> dict[str, Any]:
    """Run one study with kills, then once without; return the kills and the result."""
    sweep = Sweep(folder, engine, sampler, n_jobs, random_.choice([0.05, 0.3, 0.8]))
    kills = {"driver": 0, "worker": 0}
    wrong = 0  # exit codes of drivers that were not killed
    for _ in range(random_.randint(3, 4)):
        with sweep.launch() as driver:
            wait_for_trials(sweep, random_, driver)
            is_killed = False
            while driver.poll() is None and not is_killed:
                workers = sweep.workers(driver.pid)
                is_killed = random_.random() < KILL_DRIVER or engine == "inline"
                if is_killed or workers:
                    whom = driver.pid if is_killed else random_.choice(workers)
                    with suppress(ProcessLookupError):
                        os.kill(whom, signal.SIGKILL)
                        kills["driver" if is_killed else "worker"] += 1
                if random_.random() < KILL_DRIVER:
                    time.sleep(random_.uniform(0.05, 1.5))
        wrong += sweep.codes[-1] not in (0, -signal.SIGKILL)
    with sweep.launch():
        pass
    result = sweep.result()
    return {"scenario": "kills", "n_jobs": n_jobs, "kills": kills, **result, "right": result["right"] and not wrong}


def wait_for_trials(sweep: Sweep, random_: random.Random, driver: "subprocess.Popen[bytes]") -> None:
    """Wait until a random moment: while the driver starts, before its first trial, or after some trials."""
    if random_.random() < 0.2:  # noqa: PLR2004 # of the kills
        time.sleep(random_.uniform(0.2, 3))
        return
    begun = len(lines(sweep.folder / "started.log"))
    while driver.poll() is None and len(lines(sweep.folder / "started.log")) == begun:
        time.sleep(0.05)
    time.sleep(random_.uniform(0, 1))


def full_disk(folder: Path, engine: str) -> dict[str, Any]:
    """Let files grow to a few kilobytes only, then to more, then to any size."""
    sweep = Sweep(folder, engine, "grid", 1, 0.05)
    for blocks in (6, 9, 12):  # of 1,024 bytes
        with sweep.launch("bash", "-c", f'ulimit -f {blocks}; exec "$@"', "bash"):
            pass
    with sweep.launch():
        pass
    result, out = sweep.result(), (folder / "output.log").read_text()
    phrase = "Ray at address=local" if engine == "ray" else "the same command continues from here"  # Ray cannot start
    one_line = "Traceback" not in out and out.count(phrase) == sum(map(bool, sweep.codes))
    return {"scenario": "full disk", **result, "right": result["right"] and one_line and sweep.codes[0] == 1}


def stopped(folder: Path, engine: str) -> dict[str, Any]:
    """Stop a worker, then the driver, and let them go on."""
    sweep = Sweep(folder, engine, "tpe", 2, 0.3)
    with sweep.launch() as driver:
        while not lines(folder / "started.log"):
            time.sleep(0.05)
        for process in [*sweep.workers(driver.pid)[-1:], driver.pid]:
            os.kill(process, signal.SIGSTOP)
            time.sleep(3)
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)
    result = sweep.result()
    return {"scenario": "SIGSTOP", **result, "right": result["right"] and result["starts"] == TRIALS}


def poison(folder: Path, engine: str) -> dict[str, Any]:
    """Run a trial that always kills its worker."""
    sweep = Sweep(folder, engine, "grid", 2, 0.05, "+poison=4", "hydra.sweeper.max_attempts=3")
    with sweep.launch():
        pass
    order = [int(line.split()[0]) for line in lines(folder / "started.log")]
    result = sweep.result(fails=(4,))
    is_last = order.count(4) == 3 and order[-1] == 4  # noqa: PLR2004 # attempts
    return {"scenario": "poison", **result, "right": result["right"] and is_last}


def lost_node(folder: Path, engine: str) -> dict[str, Any]:
    """Kill one of two Ray nodes, and add another."""
    from ray.cluster_utils import Cluster

    cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        node = cluster.add_node(num_cpus=1)
        sweep = Sweep(folder, engine, "tpe", 4, 1.0, f"hydra.sweeper.engine.address='{cluster.address}'")
        sweep.line = [item for item in sweep.line if "engine.init" not in item]
        with sweep.launch() as driver:
            while len(lines(folder / "started.log")) < 3 and driver.poll() is None:  # noqa: PLR2004 # on both nodes
                time.sleep(0.05)
            cluster.remove_node(node, allow_graceful=False)
            cluster.add_node(num_cpus=1)
        return {"scenario": "a lost node", **sweep.result()}
    finally:
        cluster.shutdown()


def main() -> None:
    """Run the studies, print one line per study, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=list(ENGINES))
    parser.add_argument("--kills", type=int, default=40, help="of drivers and of workers each, per engine")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("docs/results/sweep_faults.json"))
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    random_ = random.Random(arguments.seed)
    results: list[dict[str, Any]] = []

    def record(run: Any, *given: Any) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            result: dict[str, Any] = run(folder, *given)
            if not result["right"]:
                print((folder / "output.log").read_text()[-3000:])
        results.append(result)
        print(f"{len(results)} {json.dumps(result)}", flush=True)
        return result

    for engine in arguments.engines:
        if engine in PACKAGES and importlib.util.find_spec(PACKAGES[engine]) is None:
            print(f"engine={engine} is left out: the package {PACKAGES[engine]} is missing")
            continue
        done = Counter[str]()
        while done["driver"] < arguments.kills or (engine != "inline" and done["worker"] < arguments.kills):
            n_jobs = 1 if engine == "inline" else random_.choice([1, 2, 3])
            done.update(record(run_study, engine, random_.choice(["grid", "tpe"]), n_jobs, random_)["kills"])
        record(full_disk, engine)
        if engine != "inline":
            record(stopped, engine)
            record(poison, engine)
        if engine == "ray":
            record(lost_node, engine)
    right = sum(result["right"] for result in results)
    print(f"{right} of {len(results)} studies are right")
    record_of = {"seed": arguments.seed, "right": right, "studies": results}
    arguments.output.write_text(json.dumps(record_of, indent=1) + "\n")
    sys.exit(right != len(results))


if __name__ == "__main__":
    main()
