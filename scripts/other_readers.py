"""Other programs on the cells of NSYSU-digits, for `benchmark_pages.py`.

Decisions: each program gets the cell as it expects it, dark ink on white paper for Tesseract; its own confidence is
used; a cell without an answer counts as wrong and is answered last. Tesseract runs with one thread, with which it is
faster on small pictures, and reads all cells of a call as the pages of one TIFF. markus-exam-matcher finds cells by
their boxes, which these pictures lack: so its thresholding, its `process_num` and its network get the whole cell.
"""

import csv
import io
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.uint8]

BORDER = 10  # pixels of white for Tesseract; enlarged cells, two to five times, were read worse (200 cells of 2019)
BATCH = 500  # cells per call
LIMIT = 600  # seconds per call
WHITELIST = "tessedit_char_whitelist=0123456789"
CHOSEN_SCALE = 3  # of cells for markus-exam-matcher, whose thresholding is made for scans
MARKUS = f"""
import sys, time, warnings
import cv2, numpy as np, torch
warnings.simplefilter("ignore")
from PIL import Image
from markus_exam_matcher._cnn.cnn import TRANSFORM, numeric_model
from markus_exam_matcher.image_processing import image_transformation_pipelines as pipelines
cells, model = np.load(sys.argv[1]), numeric_model().eval()
start, result = time.perf_counter(), []
for cell in cells:
    large = cv2.resize(cell, None, fx={CHOSEN_SCALE}, fy={CHOSEN_SCALE}, interpolation=cv2.INTER_CUBIC)
    try:
        ink = pipelines.PREPROCESSING_PIPELINE.perform_on(cv2.cvtColor(255 - large, cv2.COLOR_GRAY2BGR))
        image = TRANSFORM(Image.fromarray(pipelines.MNIST_NUM_PIPELINE.perform_on(ink)).convert("RGB"))
    except Exception:
        result.append([0.0] * 10)
        continue
    with torch.inference_mode():
        result.append(model(image[None]).exp()[0].tolist())
np.savez(sys.argv[2], result=np.array(result), seconds=time.perf_counter() - start)
"""


class Answers(NamedTuple):
    """What a program read: digits (N,), -1 for none; its confidence (N,); seconds for all cells."""

    name: str
    digits: NDArray[np.int64]
    confidence: NDArray[np.float64]
    seconds: float


def ziffern(cells: Cells) -> Answers:
    """Return the answers of the packaged model.

    Args:
        cells: (N, 28, 28), white on black.
    """
    from ziffern.data.cutout import digit_image, ink_of
    from ziffern.reading.model import ReaderModel

    model = ReaderModel.builtin()
    start = time.perf_counter()
    images = np.stack([digit_image(ink_of(255 - cell, is_dark=True)) for cell in cells])
    probabilities, _ = model.read(images)
    seconds = time.perf_counter() - start
    return Answers(f"ziffern ({model.name})", probabilities.argmax(1), probabilities.max(1), seconds)


def tesseract(cells: Cells) -> Answers:
    """Return the answers of the program `tesseract`, with page segmentation mode 10 and digits only.

    Raises:
        OSError: It is not installed.
        subprocess.SubprocessError: It failed, or took more than LIMIT seconds.
    """
    version = subprocess.run(["tesseract", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    digits, confidence, seconds = np.full(len(cells), -1), np.zeros(len(cells)), 0.0
    for first in range(0, len(cells), BATCH):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "cells.tif")
            _write_tiff(path, cells[first : first + BATCH])
            start = time.perf_counter()
            command = ["tesseract", str(path), "-", "--psm", "10", "-c", WHITELIST, "tsv"]
            environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIMIT, env=environment)
            seconds += time.perf_counter() - start
        for row in csv.DictReader(io.StringIO(done.stdout), delimiter="\t", quoting=csv.QUOTE_NONE):
            place, text = first + int(row["page_num"]) - 1, (row["text"] or "").strip()
            if text and digits[place] == -1:  # of several digits none is right
                digits[place] = int(text) if len(text) == 1 else 10
                confidence[place] = float(row["conf"]) / 100
    return Answers(f"Tesseract {version}", digits, confidence, seconds)


def _write_tiff(path: Path, cells: Cells) -> None:
    from PIL import Image, ImageOps

    pages = [ImageOps.expand(Image.fromarray(255 - cell), BORDER, 255) for cell in cells]
    pages[0].save(path, save_all=True, append_images=pages[1:], dpi=(300, 300))


def markus(cells: Cells, python: str) -> Answers:
    """Return the answers of markus-exam-matcher, which `python` imports.

    Raises:
        subprocess.SubprocessError: It failed, or took more than LIMIT seconds.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, result = Path(folder, "cells.npy"), Path(folder, "result.npz")
        np.save(given, cells)
        command = [python, "-c", MARKUS, str(given), str(result)]
        subprocess.run(command, check=True, timeout=LIMIT)
        code = "import importlib.metadata as m; print(m.version('markus-exam-matcher'))"
        version = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        with np.load(result, allow_pickle=False) as values:
            probabilities, seconds = values["result"], float(values["seconds"])
    digits = np.where(probabilities.any(1), probabilities.argmax(1), -1)
    return Answers(f"markus-exam-matcher {version}", digits, probabilities.max(1), seconds)


def compare(folder: Path, python: str | None) -> list[dict[str, Any]]:
    """Return accuracy, shares answered and time of each program, on the exams that nothing was chosen on, and on all.

    Args:
        folder: With digits.csv and group.csv.
        python: An interpreter that imports markus-exam-matcher; None leaves it out.
    """
    from benchmark_reader import CHOSEN_ON, measured

    table = np.loadtxt(folder / "digits.csv", delimiter=",", dtype=np.int64)
    labels, cells = table[:, 0], table[:, 1:].reshape(-1, 28, 28).astype(np.uint8)
    groups = (folder / "group.csv").read_text(encoding="utf-8").split()
    others = np.array([not group.startswith(CHOSEN_ON) for group in groups])
    results = [ziffern(cells), tesseract(cells), *([markus(cells, python)] if python else [])]
    rows = []
    for answers in results:
        is_right, has_answer = answers.digits == labels, answers.digits >= 0
        confidence = np.where(has_answer, answers.confidence, -1.0)
        rows.append(
            {
                "name": answers.name,
                "unanswered": int((~has_answer).sum()),
                "seconds_per_1000": answers.seconds / len(cells) * 1000,
                "others": measured(confidence[others], is_right[others]),
                "all": measured(confidence, is_right),
            }
        )
    return rows
