"""Run the published recipes with several seeds, and compare the results with the published ones.

    python scripts/reproduce.py [EXPERIMENT ...] [--seeds 0 1 2 3 4] [-- data.dir=FOLDER OVERRIDE ...]
    python scripts/reproduce.py --render            # docs/results.md again, from docs/results alone

Five seeds of lin2024 take about two minutes, of gomez2025_nn two and of gomez2025_dnn five on one CPU core; the
an2020 nets need a GPU, or hours for each run of fewer epochs (trainer.max_epochs=20 trainer.precision=bf16-mixed
threads=2).

Decisions: a run is `train.py` in a process of its own, as anyone would start it; finished runs are not repeated and
stopped ones continue, so the same command always completes the work. After each run its metrics and history are
copied to docs/results, without any command or path, and docs/results.md is written again, from those files alone
(`results_page.py`). With overrides that change a recipe they go to a docs folder beside the runs instead, unless
--docs names another; runs of different settings are never averaged.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean
from typing import NoReturn

import numpy as np
from omegaconf import OmegaConf

from results_page import render  # the folder of a script is on its path
from ziffern.config.instantiate import build, conf_folder
from ziffern.errors import InputError
from ziffern.files.atomic import write_json
from ziffern.runs.run import Run

ROOT = Path(__file__).resolve().parents[1]
SEEDS = {"lin2024": 5, "gomez2025_nn": 5, "gomez2025_dnn": 5, "an2020_m3": 1, "an2020_m5": 1, "an2020_m7": 1}
OWN_SEEDS = {"fast": 10, "champion": 5, "champion_fashion": 3}  # recipes that are trained only if named
HARDWARE = ("processor", "cpu_count", "threads", "device", "precision")
OMITTED = ("experiment=", "seed=", "hydra.", "data.dir=", "ckpt_path=")  # set by this script, or paths
PATHS = ("/", "~", "./", "../")


class RunError(Exception):
    """A run failed, or its results do not belong with the others."""


def published_overrides(overrides: Iterable[str]) -> list[str]:
    """Return the overrides that describe a training, without paths and without those that this script always sets."""
    plain = [item.lstrip("+") for item in overrides if item != "threads=1"]
    kept = [item for item in plain if not item.startswith(OMITTED)]
    return sorted(item for item in kept if not item.partition("=")[2].strip("'\"").startswith(PATHS))


def run_all(runs: Sequence[tuple[str, int]], folder: Path, docs: Path, overrides: list[str]) -> list[str]:
    """Train, collect and render one run after the other; return a line for each run that failed."""
    failed: list[str] = []
    durations: dict[str, list[float]] = {name: [] for name, _ in runs}
    for number, (name, seed) in enumerate(runs, 1):
        target, began = folder / name / f"seed{seed}", time.monotonic()
        done = is_finished(target)
        left = remaining([n for n, s in runs[number - 1 :] if not is_finished(folder / n / f"seed{s}")], durations)
        print(f"run {number} of {len(runs)}: {name} seed {seed} · ETA for all {left}", flush=True)
        try:
            if not done:
                start(name, seed, target, overrides)
            collect(Run(target), name, seed, docs, overrides)
            durations[name].append(Run(target).metrics["train_seconds"] if done else time.monotonic() - began)
            render(docs, list(SEEDS))
        except (RunError, InputError, OSError) as error:
            failed.append(f"{name} seed {seed}: {error}")
    return failed


def is_finished(folder: Path) -> bool:
    """Return whether a run is complete."""
    return (folder / "metrics.json").exists()


def remaining(names: Sequence[str], durations: dict[str, list[float]]) -> str:
    """Return the time for the runs `names`, from the seconds of runs of the same name, or of any, as h:mm:ss."""
    known = [seconds for runs in durations.values() for seconds in runs]
    if names and not known:
        return "unknown before the first has finished"
    total = round(sum(mean(durations[name] or known) for name in names))
    return f"{total // 3600}:{total // 60 % 60:02}:{total % 60:02}"


def start(name: str, seed: int, target: Path, overrides: list[str]) -> None:
    """Start the run, or continue it from its last checkpoint, and wait for it.

    Raises:
        RunError: It failed; it has printed the reason.
    """
    given = {item.split("=")[0] for item in overrides}
    own = [f"experiment={name}", f"seed={seed}", "threads=1", f"hydra.run.dir='{target}'"]
    last = target / "checkpoints" / "last.ckpt"
    own += [f"ckpt_path='{last}'"] if last.exists() else []
    own = [item for item in own if item.split("=")[0] not in given]
    process = subprocess.Popen([sys.executable, str(ROOT / "train.py"), *own, *overrides])
    try:
        code = process.wait()
    except KeyboardInterrupt:  # the terminal has interrupted the run, too, which is writing its files
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()
        raise
    if code:
        raise RunError(f"train.py ended with {code}")


def collect(run: Run, name: str, seed: int, docs: Path, overrides: list[str]) -> None:
    """Copy a run's metrics, history, hardware and settings to docs/results/NAME.

    Raises:
        RunError: The run was not tested, or has other settings than the runs collected before.
        InputError: Its folder is damaged.
    """
    if "test/acc" not in run.metrics:
        raise RunError(f"{run.folder} was not tested: remove it to run it again")
    settings, wanted = (
        published_overrides(items) for items in (OmegaConf.load(run.folder / ".hydra/overrides.yaml"), overrides)
    )
    if settings != wanted:
        difference = f"was run with {settings or 'the plain recipe'}, not {wanted or 'the plain recipe'}"
        raise RunError(f"{run.folder} {difference}: remove it, or name another --folder")
    target = docs / "results" / name
    environment = json.loads((run.folder / "environment.json").read_text())
    facts = {key: environment.get(key) for key in HARDWARE} | {"settings": settings}
    facts |= {key: environment["versions"].get(key) for key in ("torch", "pytorch-lightning")}
    path = target / "environment.json"
    known = json.loads(path.read_text()) if path.exists() else {"common": {}, "seeds": {}}
    seeds = {key: known["common"] | own for key, own in known["seeds"].items()} | {str(seed): facts}
    for other_seed, other in seeds.items():
        if other.get("settings") != settings:
            content = f"seed {other_seed} with {other.get('settings') or 'the plain recipe'}"
            raise RunError(f"{target} holds {content}: name another --docs for these settings")
    write_json(target / f"seed{seed}.json", run.metrics)
    shutil.copyfile(run.folder / "history.csv", target / f"seed{seed}.csv")
    common = {key: value for key, value in facts.items() if all(other.get(key) == value for other in seeds.values())}
    own = {key: {k: v for k, v in seeds[key].items() if k not in common} for key in sorted(seeds, key=int)}
    write_json(path, {"common": common, "seeds": own})


def count_labels(overrides: Sequence[str], docs: Path) -> None:
    """Write docs/results/labels.json: digits of each class in all of MNIST and in the parts of the resplit."""
    from hydra import compose, initialize_config_dir

    folder = [item for item in overrides if item.startswith("data.dir=")]
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        data = build(compose("train", overrides=["experiment=lin2024", *folder]).data, "data")
    labels, parts = data.dataset.labels, data.parts
    chosen = {"all": labels, **{part: labels[getattr(parts, part)] for part in ("train", "val", "test")}}
    counts = {
        part: np.bincount(part_labels, minlength=data.num_classes).tolist() for part, part_labels in chosen.items()
    }
    write_json(docs / "results" / "labels.json", {"split": data.split_name, "counts": counts})


def fail(line: str) -> NoReturn:
    """Print one line and exit with 2."""
    print(f"error: {line}", file=sys.stderr)
    sys.exit(2)


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the arguments before `--`, and the overrides after it."""
    at = [*arguments, "--"].index("--")
    return list(arguments[:at]), list(arguments[at + 1 :])


def main(arguments: Sequence[str]) -> int:
    """Train, collect and render; return the exit code: 0, 1 if a run failed, 130 after Ctrl-C."""
    arguments, overrides = split(arguments)
    usage = "reproduce.py [EXPERIMENT ...] [--seeds SEED ...] [options] [-- data.dir=FOLDER OVERRIDE ...]"
    about = (__doc__ or "").split("Decisions:")[0]
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(usage=usage, description=about, formatter_class=formatter)
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help=f"default: {' '.join(SEEDS)}")
    parser.add_argument("--seeds", type=int, nargs="+", help="default: 0 to 4, and 0 alone for an2020_*")
    parser.add_argument(
        "--folder", type=Path, default=Path("outputs/reproduce"), help="run folders (default: %(default)s)"
    )
    parser.add_argument("--docs", type=Path, help="folder of results.md and results/ (default: docs; see above)")
    parser.add_argument("--render", action="store_true", help="train nothing, write results.md")
    options = parser.parse_args(arguments)
    docs = options.docs or (options.folder / "docs" if published_overrides(overrides) else ROOT / "docs")
    known = sorted(path.stem for path in (conf_folder() / "experiment").glob("*.yaml"))
    for name in options.experiments:
        if name not in known:
            fail(f"{name}: no such experiment: use one of {', '.join(known)}; overrides go after --")
    try:
        if options.render:
            render(docs, list(SEEDS))
            return 0
        if not (docs / "results" / "labels.json").exists():
            count_labels(overrides, docs)
        names = options.experiments or list(SEEDS)
        runs = [(name, seed) for name in names for seed in options.seeds or range((SEEDS | OWN_SEEDS).get(name, 1))]
        failed = run_all(runs, options.folder, docs, overrides)
    except (RunError, InputError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        print("\nstopped; the same command continues from here", file=sys.stderr)
        return 130
    print(f"wrote {docs / 'results.md'}")
    for line in failed:
        print(f"failed: {line}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
