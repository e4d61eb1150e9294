"""Measure the reader's model on real digits: `python scripts/benchmark_reader.py --nsysu FOLDER [--run RUN] [-o FILE]`.

FOLDER has digits.csv (`label, pixel0 … pixel783` per line, white on black) and group.csv (the exam of each line); the
database is NSYSU-digits (Hong, Lin and Pan). Ingredients were chosen on the exams whose group begins with 108; the
others were only measured. Intervals are Wilson's at 95 %. The share answered at an error is the largest share of the
most certain answers of which at most that share is wrong; its interval is of 1,000 bootstrap samples.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from ziffern.data.cutout import digit_image, ink_of
from ziffern.files.atomic import write_json
from ziffern.reading.model import ReaderModel
from ziffern.runs.run import Run

CHOSEN_ON = "108"
ERRORS = (0.01, 0.002)
SAMPLES = 1000


def answered(confidence: Any, is_right: Any, error: float) -> float:
    """Return the largest share of the most certain answers of which at most a share `error` is wrong."""
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(~is_right[order])
    fits = np.flatnonzero(wrong <= error * np.arange(1, len(order) + 1))
    return 0.0 if not len(fits) else float(fits[-1] + 1) / len(order)


def measured(confidence: Any, is_right: Any) -> dict[str, Any]:
    """Return accuracy and shares answered, with their intervals."""
    rng, count = np.random.default_rng(0), len(is_right)
    samples = rng.integers(0, count, (SAMPLES, count))
    result: dict[str, Any] = {
        "digits": count,
        "accuracy": float(is_right.mean()),
        "accuracy_interval": list(binomtest(int(is_right.sum()), count).proportion_ci(method="wilson")),
    }
    for error in ERRORS:
        shares = [answered(confidence[sample], is_right[sample], error) for sample in samples]
        result[f"answered_at_{error}"] = answered(confidence, is_right, error)
        result[f"answered_at_{error}_interval"] = np.quantile(shares, (0.025, 0.975)).tolist()
    return result


def main() -> None:
    """Print a table, and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nsysu", type=Path, required=True, help="the folder of digits.csv and group.csv")
    parser.add_argument("--run", type=Path, help="a run folder; without it, the packaged model")
    parser.add_argument("-o", "--output", type=Path, help="JSON file")
    arguments = parser.parse_args()
    table = np.loadtxt(arguments.nsysu / "digits.csv", delimiter=",", dtype=np.int64)
    groups = (arguments.nsysu / "group.csv").read_text(encoding="utf-8").split()
    labels, pictures = table[:, 0], table[:, 1:].reshape(-1, 28, 28).astype(np.uint8)
    model = ReaderModel.of_run(Run(arguments.run)) if arguments.run else ReaderModel.builtin()
    start = time.perf_counter()
    digits = np.stack([digit_image(ink_of(255 - picture, is_dark=True)) for picture in pictures])
    cut = time.perf_counter()
    probabilities, scores = model.read(digits)
    read = time.perf_counter()
    confidence, is_right = probabilities.max(1), probabilities.argmax(1) == labels
    is_chosen = np.array([group.startswith(CHOSEN_ON) for group in groups])
    parts = {"2019 (chosen on)": is_chosen, "others": ~is_chosen, "all": np.ones(len(labels), np.bool_)}
    result: dict[str, Any] = {
        "model": model.name,
        "empty": int((~digits.any((1, 2))).sum()),
        "not_a_digit": int((scores < model.threshold).sum()),
        "milliseconds_per_cut_out": (cut - start) * 1000 / len(labels),
        "milliseconds_per_answer": (read - cut) * 1000 / len(labels),
        "wrong_rows": np.flatnonzero(~is_right).tolist(),
        "groups": {name: measured(confidence[part], is_right[part]) for name, part in parts.items()},
    }
    print(
        f"{'exams':18} {'digits':>6} {'right':>22} " + " ".join(f"{f'answered at {error:.1%}':>22}" for error in ERRORS)
    )
    for name, row in result["groups"].items():
        cells = [_cell(row, "accuracy"), *(_cell(row, f"answered_at_{error}") for error in ERRORS)]
        print(f"{name:18} {row['digits']:6} " + " ".join(f"{cell:>22}" for cell in cells))
    print({key: value for key, value in result.items() if key != "groups"})
    if arguments.output:
        write_json(arguments.output, result)


def _cell(row: dict[str, Any], key: str) -> str:
    low, high = row[f"{key}_interval"]
    return f"{row[key]:.1%} ({low:.1%} to {high:.1%})"


if __name__ == "__main__":
    main()
