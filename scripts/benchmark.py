"""Compare this project's training with a bare loop, the usual recipe and Keras, in one process.

    python scripts/benchmark.py data.dir=FOLDER            # a quarter of an hour; writes docs/benchmark.md
    python scripts/benchmark.py data.dir=FOLDER --parts loop,sweep
    python scripts/benchmark.py --parts command --out command.md  # a few minutes; needs no data

Decisions: the arms take turns within each round, so a change of the machine's load affects all of them, in a random
order, since each arm leaves caches and memory behind; the first round is a warm-up; reported is the median of each
round's ratio to the bare loop, with its range. One thread, so other work on the other core matters little. The parts:

loop        the training batches of an epoch, without validation: the second epoch of a fit, as the first one includes
            one-time work
whole       five epochs with the defaults: TensorBoard, progress bar, checkpoints, validation; the bare loop validates
            and saves, too
evaluation  14,000 digits through the compact CNN
start       from the command to the first optimizer step, minus the import of torch and Lightning
command     a whole `python train.py` of one epoch on the embedded digits, beside scripts/bare_script.py
fast        the training of experiment=fast against half an epoch of the bare compact CNN at batch 16
sweep       the published grid as one search against its runs one after the other (some minutes; only if named)
"""

import argparse
import io
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from rich.console import Console
from rich.markdown import Markdown

from arms import BareLoop, keras_arm, project, usual_recipe
from ziffern.config import conf_folder
from ziffern.config.instantiate import build
from ziffern.data.datamodule import ImageDataModule
from ziffern.experiment.run import quieten
from ziffern.machine.threads import tune_cpu_process
from ziffern.runs.run import Run
from ziffern.search.study import open_study
from ziffern.training.module import ImageClassifier
from ziffern.training.recorder import processor_name

# Model, batch size, share of the digits (an arm's turn is some seconds at most: the machine's load changes), and aim.
CASES = (("cnn", 16, 0.1, 1.05), ("cnn", 128, 0.2, 1.02), ("nn", 128, 0.3, 1.10), ("dnn", 128, 0.2, 1.10))
PARTS = ("loop", "whole", "evaluation", "start", "command", "fast")
TWENTY = "steps_per_execution=20"
HALF = 30_000  # digits: half an epoch of the 60,000
GRID = ((16, 32, 64, 128), (0.0001, 0.001, 0.01))  # batch sizes and rates, as published
ONE_EPOCH = ("model=cnn", "data=mnist5k", "trainer=cpu", "trainer.max_epochs=1")
UNTIL_FIRST_STEP = """
import os, runpy, sys
sys.modules["tensorflow"] = None  # TensorBoard would load it, where it is installed
from torch.optim.optimizer import register_optimizer_step_post_hook
register_optimizer_step_post_hook(lambda *_: os._exit(0))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def prepared(overrides: list[str]) -> tuple[DictConfig, ImageDataModule]:
    """Return a configuration and its data, set up."""
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        cfg = compose("train", overrides=["trainer=cpu", *overrides])
    data: ImageDataModule = build(cfg.data, "data")
    data.setup()
    return cfg, data


def fresh(cfg: DictConfig, data: ImageDataModule) -> ImageClassifier:
    """Return an untrained model."""
    torch.manual_seed(0)
    model: ImageClassifier = build(cfg.model, "model")
    model.normalize.fit(data.dataset.images, data.parts.train)
    return model


def interleave(arms: dict[str, Callable[[], float]], rounds: int, what: str) -> dict[str, list[float]]:
    """Return the seconds of each arm in each round, after one round to warm up."""
    seconds: dict[str, list[float]] = {arm: [] for arm in arms}
    order = random.Random(0)
    for number in range(rounds + 1):
        for arm in order.sample(list(arms), len(arms)):
            duration = arms[arm]()
            if number:
                seconds[arm].append(duration)
        print(f"{what}: round {number} of {rounds}", file=sys.stderr)
    return seconds


def spread(values: list[float], form: str = ".2f") -> str:
    """Return the median with the range."""
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def ratios(seconds: dict[str, list[float]], arm: str, base: str = "bare loop") -> list[float]:
    """Return the time of an arm in each round, as a multiple of another's."""
    return [own / other for own, other in zip(seconds[arm], seconds[base], strict=True)]


def loop(overrides: list[str], rounds: int) -> str:
    """Measure the training batches of an epoch of some of the digits."""
    lines = [
        "| model | batch | arm | images per second | time, ratio to the bare loop (range) | aim |",
        "|---|---:|---|---:|---:|---|",
    ]
    for name, size, share, aim in CASES:
        short = [f"data.fractions=[{share},0.01,{0.99 - share:.2f}]", f"model={name}", f"data.batch_size={size}"]
        cfg, data = prepared([*short, "trainer.max_epochs=2", *overrides])
        arms: dict[str, Callable[[], float]] = {
            "bare loop": lambda cfg=cfg, data=data: BareLoop(fresh(cfg, data), data).epoch(),  # type: ignore[misc]
            "ziffern": lambda cfg=cfg, data=data: project(cfg, fresh(cfg, data), data)[0],  # type: ignore[misc]
            "usual recipe": lambda cfg=cfg, data=data: usual_recipe(fresh(cfg, data).net, data),  # type: ignore[misc]
        }
        if keras := keras_arm(name, data):
            arms["Keras"] = keras
            arms[f"Keras, {TWENTY}"] = keras_arm(name, data, 20) or keras
        seconds = interleave(arms, rounds, f"loop: {name}, batch {size}")
        for arm, durations in seconds.items():
            speed = len(data.parts.train) / statistics.median(durations)
            note = f"at most {aim:.2f}" if arm == "ziffern" else ""
            lines.append(f"| {name} | {size} | {arm} | {speed:,.0f} | {spread(ratios(seconds, arm))} | {note} |")
        for arm, minimum in (("usual recipe", 3.0 if size < 100 else None), ("Keras", 1.0), (f"Keras, {TWENTY}", None)):  # noqa: PLR2004
            if arm in seconds:
                note = "" if minimum is None else f"at least {minimum:.2f}"
                faster = spread(ratios(seconds, arm, "ziffern"))
                lines.append(f"| {name} | {size} | {arm}, ratio to ziffern | | {faster} | {note} |")
    return "## One epoch\n\nTraining batches only.\n\n" + "\n".join(lines)


def whole(overrides: list[str], rounds: int) -> str:
    """Measure five epochs with everything on."""
    lines = ["| model | batch | bare loop, seconds | ziffern, ratio (range) | aim |", "|---|---:|---:|---:|---|"]
    for name, size in (("cnn", 16), ("nn", 128)):
        cfg, data = prepared([f"model={name}", f"data.batch_size={size}", "trainer.max_epochs=5", *overrides])
        arms: dict[str, Callable[[], float]] = {
            "bare loop": lambda cfg=cfg, data=data: BareLoop(fresh(cfg, data), data).whole(5),  # type: ignore[misc]
            "ziffern": lambda cfg=cfg, data=data: project(cfg, fresh(cfg, data), data)[1],  # type: ignore[misc]
        }
        seconds = interleave(arms, rounds, f"whole: {name}, batch {size}")
        base = spread(seconds["bare loop"], ".1f")
        lines.append(f"| {name} | {size} | {base} | {spread(ratios(seconds, 'ziffern'))} | at most 1.10 |")
    about = "With TensorBoard, progress bar, checkpoints and validation. The bare loop validates and saves its weights."
    return f"## Five epochs with everything on\n\n{about}\n\n" + "\n".join(lines)


def evaluation(overrides: list[str], rounds: int) -> str:
    """Measure the prediction of 14,000 digits."""
    cfg, data = prepared(overrides)
    model = fresh(cfg, data).eval()

    def evaluate() -> float:
        began = time.perf_counter()
        with torch.inference_mode():
            torch.cat([model(images) for images, _ in data.test_dataloader()])
        return time.perf_counter() - began

    seconds = interleave({"ziffern": evaluate}, rounds, "evaluation")["ziffern"]
    return (
        f"## Evaluation\n\n{len(data.parts.test):,} digits through the compact CNN: {spread(seconds)} seconds "
        "(aim: under 0.5)."
    )


def run_command(*arguments: str) -> float:
    """Return the seconds of a Python command."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=Path(__file__).parents[1], check=True, capture_output=True)
    return time.perf_counter() - began


def start(overrides: list[str], rounds: int) -> str:
    """Measure the time from the command to the first optimizer step."""

    def first_step() -> float:
        with tempfile.TemporaryDirectory() as folder:
            run = ["train.py", "trainer=cpu", "threads=1", f"hydra.run.dir={folder}/run", *overrides]
            return run_command("-c", UNTIL_FIRST_STEP, *run)

    imports = "import os, torch, pytorch_lightning; os._exit(0)"
    seconds = interleave({"import": lambda: run_command("-c", imports), "train.py": first_step}, rounds, "start")
    more = [own - base for own, base in zip(seconds["train.py"], seconds["import"], strict=True)]
    return (
        f"## Start\n\nImporting torch and Lightning: {spread(seconds['import'], '.1f')} seconds. From the command to "
        f"the first optimizer step: {spread(more)} seconds more (aim: at most 1)."
    )


def command(overrides: list[str], rounds: int) -> str:
    """Measure a whole command of one epoch beside a script that uses torch alone."""

    def measured(*arguments: str) -> float:
        with tempfile.TemporaryDirectory() as folder:
            return run_command(*(argument.replace("FOLDER", folder) for argument in arguments))

    program = ("train.py", *ONE_EPOCH, "hydra.run.dir=FOLDER/run", *overrides)
    arms = {
        "bare script": lambda: measured("scripts/bare_script.py", "FOLDER"),
        "train.py": lambda: measured(*program),
        "train.py logger=none report=null": lambda: measured(*program, "logger=none", "report=null"),
    }
    seconds = interleave(arms, rounds, "command")
    lines = ["| command | seconds | ratio to the bare script (range) | aim |", "|---|---:|---:|---:|"]
    for arm, durations in seconds.items():
        aim = "" if arm == "bare script" else "at most 1.40"
        shown = spread(ratios(seconds, arm, "bare script"))
        lines.append(f"| {arm} | {statistics.median(durations):.1f} | {shown} | {aim} |")
    about = (
        f"From the command to the prompt: `python train.py {' '.join(ONE_EPOCH)}`, all threads, in a warm file cache."
    )
    return f"## One command\n\n{about}\n\n" + "\n".join(lines)


def fast(overrides: list[str], rounds: int) -> str:
    """Measure the training of experiment=fast in CPU seconds, beside the bare compact CNN."""
    cfg, data = prepared(["experiment=fast", *overrides])
    other, digits = prepared(["model=cnn", "data.batch_size=16", "data.split=official", *overrides])
    used: list[float] = []

    def train() -> float:
        began = time.process_time()
        duration = project(cfg, fresh(cfg, data), data)[1]
        used.append(time.process_time() - began)
        return duration

    arms = {"bare loop": lambda: BareLoop(fresh(other, digits), digits).epoch(HALF), "fast": train}
    seconds = interleave(arms, rounds, "fast")
    return (
        f"## experiment=fast\n\nThe whole training, including validation and checkpoints: {spread(used[1:], '.1f')} "
        f"CPU seconds (aim: at most 4). That is {spread(ratios(seconds, 'fast'))} times the time that a bare loop "
        f"takes to train the compact CNN at batch size 16 on {HALF:,} digits (aim: at most 1)."
    )


def sweep(overrides: list[str], rounds: int) -> str:
    """Measure the published grid as one search, and as twelve runs one after the other."""
    root = Path(__file__).parents[1]
    settings = ["experiment=lin2024", "trainer=cpu", "threads=1", "test=false", *overrides]

    def train(*arguments: str) -> None:
        subprocess.run([sys.executable, "train.py", *arguments, *settings], cwd=root, check=True, capture_output=True)

    def search(folder: str, *more: str) -> dict[str, float]:
        train("-m", "hparams_search=lin2024_grid", f"hydra.sweep.dir={folder}", "hydra.sweeper.keep_best=null", *more)
        trials = open_study(Path(folder)).trials
        return {
            f"{t.params['data.batch_size']}, {t.params['model.optimizer.lr']:g}": float(t.value or 0) for t in trials
        }

    def one_after_the_other(folder: str) -> dict[str, float]:
        accuracies = {}
        for size, lr in product(*GRID):
            run = f"{folder}/{size}_{lr}"
            train(f"data.batch_size={size}", f"model.optimizer.lr={lr:g}", f"hydra.run.dir={run}")
            accuracies[f"{size}, {lr:g}"] = float(Run(Path(run)).metrics["val/acc"])
        return accuracies

    workers = ["hydra.sweeper.n_jobs=2"]
    arms: dict[str, Callable[[str], dict[str, float]]] = {
        "12 runs one after the other": one_after_the_other,
        "a search by two workers": lambda folder: search(folder, *workers),
    }
    seconds: dict[str, list[float]] = {arm: [] for arm in arms}
    scores: dict[str, dict[str, float]] = {}
    for number in range(1, rounds + 1):
        for arm, measure in arms.items():
            with tempfile.TemporaryDirectory() as folder:
                began = time.perf_counter()
                scores[arm] = measure(folder)
                seconds[arm].append(time.perf_counter() - began)
            print(f"sweep: round {number} of {rounds}: {arm}: {seconds[arm][-1]:.0f} s", file=sys.stderr)
    first = "12 runs one after the other"
    lines = [
        "| how | seconds | speedup | aim | best (batch size, rate): validation % | largest difference |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for arm, times in seconds.items():
        best = max(scores[arm], key=lambda point: scores[arm][point])
        differs = max(abs(scores[arm][point] - scores[first][point]) for point in scores[first])
        faster = statistics.median(ratios(seconds, first, arm))
        shown = ("1.00", "", "") if arm == first else (f"{faster:.2f}", "at least 2.50", f"{100 * differs:.2f} points")
        figures = (f"{statistics.median(times):.0f}", *shown[:2], f"{best}: {100 * scores[arm][best]:.2f}", shown[2])
        lines.append(f"| {arm} | {' | '.join(figures)} |")
    about = f"12 trials of 5 epochs, one thread each, on two cores; {rounds} round{'s' * (rounds > 1)}."
    return f"## The published grid\n\n{about}\n\n" + "\n".join(lines)


def main() -> None:
    """Measure the chosen parts, print them, and write docs/benchmark.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="such as data.dir=FOLDER")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--out", type=Path, default=Path("docs/benchmark.md"))
    options = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    torch.set_num_threads(1)
    tune_cpu_process()
    quieten()
    for noise in (".*does not have many workers.*", ".*no `val_dataloader`.*", ".*isinstance.treespec, LeafSpec.*"):
        warnings.filterwarnings("ignore", noise)
    known: dict[str, Callable[[list[str], int], str]] = {
        part.__name__: part for part in (loop, whole, evaluation, start, command, fast, sweep)
    }
    chosen = options.parts.split(",")
    if unknown := set(chosen) - known.keys():
        parser.error(f"--parts {', '.join(sorted(unknown))}: expected some of {', '.join(known)}")
    sections = []
    for part in chosen:
        # So that all of it takes a quarter of an hour.
        rounds = {"loop": 2 * options.rounds, "whole": max(1, options.rounds - 2), "sweep": 1}.get(part, options.rounds)
        with redirect_stdout(io.StringIO()):
            sections.append(known[part](options.overrides, rounds))
    packages = []
    for package in ("torch", "pytorch-lightning", "tensorflow-cpu", "keras"):
        try:
            packages.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    parts = "" if options.parts == ",".join(PARTS) else f" --parts {options.parts}"
    text = (
        "# Benchmark\n\nOne thread. The arms take turns, in a new random order each round, and in one process unless "
        f"they are commands. Figures are the median and range of {options.rounds} rounds ({2 * options.rounds} for the "
        f"training batches only, {max(1, options.rounds - 2)} for five epochs) after one round to warm up.\n\n"
        + "\n\n".join(sections)
        + f"\n\n{processor_name()}, {', '.join(packages)}, {date.today()}.\n\n"
        f"Command: `python scripts/benchmark.py data.dir=FOLDER{parts}`\n"
    )
    Console().print(Markdown(text))
    options.out.write_text(text)


if __name__ == "__main__":
    main()
