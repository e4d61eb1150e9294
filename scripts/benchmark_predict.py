"""Compare the speed of predictions: `python scripts/benchmark_predict.py RUN`, a run of gray 28×28 images.

On one thread, in interleaved rounds: the bare torch module, the same with probabilities and the rules for answers
(`Predictor`), and ONNX Runtime, each on the same images in memory; and 28×28 PNG files through `images_of`.
"""

import argparse
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ziffern.api import load
from ziffern.data.embedded import embedded_digits
from ziffern.deploy.export import export
from ziffern.deploy.onnx_file import OnnxClassifier
from ziffern.runs.predictor import BATCH, Predictor
from ziffern.training.recorder import processor_name

ROUNDS, IMAGES, FILES = 5, 20_000, 3000


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", default="builtin", help="a run folder (default: builtin)")
    parser.add_argument("--data", help="the folder of the run's data, for the export")
    run = load(parser.parse_args().run)
    torch.set_num_threads(1)
    digits, _ = embedded_digits()
    images = np.tile(digits, (IMAGES // len(digits), 1, 1, 1))
    predictor, model, pixels = Predictor.of(run), run.load_model(), torch.from_numpy(images)
    with tempfile.TemporaryDirectory() as folder:
        settings = {"data.dir": parser.parse_args().data} if parser.parse_args().data else {}
        path, _ = export(run, "onnx", Path(folder, "model.onnx"), None, settings)
        runtime = OnnxClassifier(path, threads=1)
        pictures = Path(folder, "pictures")
        pictures.mkdir()
        for place in range(FILES):
            Image.fromarray(images[place, 0]).save(pictures / f"{place}.png")

        def bare() -> None:
            with torch.inference_mode():
                for start in range(0, len(pixels), BATCH):
                    model(pixels[start : start + BATCH])

        def all_of(source: object) -> Callable[[], object]:
            return lambda: deque(predictor.stream(source), maxlen=0)

        arms: dict[str, tuple[int, Callable[[], object]]] = {
            "torch, the module alone": (IMAGES, bare),
            "ONNX Runtime": (IMAGES, lambda: runtime.probabilities(images)),
            "ziffern, arrays": (IMAGES, all_of(images)),
            "ziffern, PNG files": (FILES, all_of(pictures)),
        }
        seconds: dict[str, list[float]] = {name: [] for name in arms}
        for _ in range(ROUNDS):
            for name, (_, work) in arms.items():
                start = time.perf_counter()
                work()
                seconds[name].append(time.perf_counter() - start)
    print(f"{processor_name()}, one thread; median of {ROUNDS} rounds; run {run.folder.name}\n")
    print("| images per second | median | lowest | highest |\n| --- | ---: | ---: | ---: |")
    for name, (count, _) in arms.items():
        rates = [count / each for each in seconds[name]]
        print(f"| {name} | {statistics.median(rates):,.0f} | {min(rates):,.0f} | {max(rates):,.0f} |")


if __name__ == "__main__":
    main()
