"""A run that answers: predictions for new images, its report, and its picture in a notebook."""

from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ziffern.api.predictions import SHOWN, Predictions
from ziffern.errors import InputError
from ziffern.runs.predictor import Answers, Predictor, labeled_counts
from ziffern.runs.run import Run
from ziffern.text.language import Language

COLORS = "--series-1:#1f6feb;--series-2:#d9480f;--line:#8884;--page:transparent;max-width:420px"  # of charts


class TrainedRun(Run):
    """A run folder with a model that predicts."""

    def predict(
        self,
        images: Any,
        max_error: float | None = None,
        labeled: str | PathLike[str] | None = None,
        checkpoint: str = "best",
    ) -> Predictions:
        """Return the model's answers for new images, in calibrated probabilities.

        Images of the model's shape stay as they are; others are prepared as those of training were.

        Args:
            images: An array or tensor (uint8 levels, or floats in 0 to 1 or 0 to 255) of shape HW, NHW, NHWC or NCHW;
                a PIL image; the path of a picture, a folder, a ZIP, a CSV of pixels, an npz or an IDX file; the bytes
                of such a file; or a list of these.
            max_error: The largest allowed share of wrong answers among the accepted ones, such as 0.001: less certain
                answers have the status `review`. It holds with 95 % probability for images like the labeled ones.
            labeled: Labeled images like those to be read, which the threshold then rests on; None: the validation
                images of training.
            checkpoint: `best` or `last`.

        Raises:
            InputError: Nothing can be read, the run has no usable checkpoint, or the labeled images do not suffice.
        """
        predictor = self.predictor(max_error, labeled, checkpoint)
        names, problems = list[str](), list[InputError | None]()
        parts, pictures = list[Answers](), list[NDArray[np.uint8]]()
        stream = predictor.images(images)
        for batch, answers in predictor.stream(stream):
            names += batch.names
            problems += batch.problems
            parts.append(answers)
            pictures += list(batch.images[: max(0, SHOWN - len(pictures))])
        if not parts:
            raise InputError("runs.predict.empty")
        rest = tuple(problems), tuple(stream.notes), tuple(pictures)
        return Predictions(tuple(names), predictor.class_names, Answers.joined(parts), *rest)

    def predictor(
        self,
        max_error: float | None = None,
        labeled: str | PathLike[str] | None = None,
        checkpoint: str = "best",
    ) -> Predictor:
        """Return what predicts, for many calls of `predict` or a stream of batches; arguments as for `predict`."""
        if labeled is None:
            return Predictor.of(self, max_error, checkpoint)
        plain = Predictor.of(self, checkpoint=checkpoint)
        counts = labeled_counts(plain, labeled)
        return Predictor(plain.classifier, plain.inference, plain.class_names, plain.shape, max_error, counts)

    def report(self, path: str | PathLike[str] | None = None, language: str | None = None) -> Path:
        """Write the report as one HTML file, and return its path; report.html in the run folder if None."""
        from ziffern.report.run_page import write_report

        return write_report(self, None if path is None else Path(path), language)

    def __repr__(self) -> str:
        return f"TrainedRun({str(self.folder)!r})"

    def _repr_html_(self) -> str:
        from markupsafe import escape

        from ziffern.analysis.metrics import Place, registered
        from ziffern.report.charts.run import learning_curve
        from ziffern.runs.findings import Findings
        from ziffern.text.metrics import label, written

        t, findings = Language(), Findings(self)
        rows = "".join(
            f"<tr><th>{escape(label(metric, t))}</th><td>{escape(written(metric, value, t))}</td></tr>"
            for metric in registered(Place.SUMMARY)
            if (value := findings.results.get(metric.key)) is not None
        )
        chart, history = "", findings.history
        if findings.epochs:
            chart = learning_curve(history["train/acc"], history["val/acc"], findings.kept_epoch, True, t)
        return f"<b>{escape(self.folder.name)}</b><table>{rows}</table><div style='{COLORS}'>{chart}</div>"
