"""The answers of a model for new images, with the names of images and classes."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ziffern.errors import InputError
from ziffern.runs.predictor import UNREADABLE, Answers
from ziffern.text.catalog import Message

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 24  # pictures in a notebook


@dataclass(frozen=True, repr=False)
class Predictions:
    """Predictions for N images."""

    names: tuple[str, ...]
    """N names: file names, or numbers from 0."""
    class_names: tuple[str, ...]
    """K names of classes."""
    answers: Answers
    """Places and probabilities as arrays."""
    problems: tuple[InputError | None, ...] = ()
    """Why an image could not be read."""
    notes: tuple[Message, ...] = ()
    """What was assumed or left out when the images were read."""
    pictures: tuple[NDArray[np.uint8], ...] = ()
    """The first images as the model saw them, (C, H, W), for notebooks."""

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def labels(self) -> list[str]:
        """The predicted class of each image; empty text for an image that could not be read."""
        return self._words(self.answers.label)

    def _words(self, places: NDArray[np.int64]) -> list[str]:
        pairs = zip(places.tolist(), self.status, strict=True)
        return ["" if status == UNREADABLE else self.class_names[place] for place, status in pairs]

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """Calibrated probabilities, (N, K)."""
        return self.answers.probability

    @property
    def status(self) -> list[str]:
        """Of each image: answered or, with max_error, accepted or review; or not a digit, or unreadable."""
        return list(map(str, self.answers.status))

    def to_frame(self) -> "pd.DataFrame":
        """Return one row per image: name, label, probability, second, second_probability, status; is_digit if known."""
        import pandas as pd

        answers, rows = self.answers, np.arange(len(self))
        values = {
            "name": list(self.names),
            "label": self.labels,
            "probability": answers.probability[rows, answers.label],
            "second": self._words(answers.second),
            "second_probability": answers.probability[rows, answers.second],
            "status": self.status,
        }
        return pd.DataFrame(values | ({} if answers.is_digit is None else {"is_digit": answers.is_digit}))

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {status}" for status, count in Counter(self.status).most_common())
        return f"Predictions({counts})"

    def _repr_html_(self) -> str:
        from markupsafe import escape

        from ziffern.report.page import data_uri

        style = "display:inline-block;margin:4px;text-align:center"
        shares = ["" if np.isnan(share) else f"{share:.1%}" for share in self.answers.probability.max(1)[:SHOWN]]
        cells = [
            f'<figure style="{style}"><img width="56" src="{data_uri(image)}">'
            f"<figcaption>{escape(label)} <small>{share}</small></figcaption></figure>"
            for image, label, share in zip(self.pictures, self.labels, shares, strict=False)
        ]
        rest = len(self) - len(cells)
        return "".join(cells) + (f"<p>… {rest:,}</p>" if rest > 0 else "")
