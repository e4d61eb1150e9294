"""Find the digits on a page without boxes: a postal code below an address, a meter's number, a single digit.

Decisions: lines are the ink smeared along the writing; a classifier finds the run of digits in them. Without one, the
last line is taken, where postal codes stand.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from ziffern.reading.boxes import Gray, working_scale
from ziffern.reading.straighten import PixelBox, rotated
from ziffern.reading.strings import Classify, quality, split_digits

MAX_ANGLE = 12.0  # degrees of writing to the page
SPEED = 0.25  # scale at which the angle is sought
SMEAR = 1.1  # heights of a letter: gaps within a line
MIN_HEIGHT = 7  # pixels of a character
MIN_GAIN = 0.7  # quality above which a digit counts for a run of digits
MARGIN = 0.2  # heights of the string, around it
MAX_WORDS, MAX_MARKS = 12, 15  # words that are tried, and marks of one: more is a page of text
SPACE = 0.5  # heights of a letter: gaps between words
MAX_RULE = 12.0  # width to height: longer ink is a rule


def free_regions(gray: Gray, classify: Classify | None, what: str) -> tuple[Gray, list[PixelBox], int]:
    """Return the page with level lines of writing, the region of the digits, and the number of other lines.

    There are no regions without ink.
    """
    page = rotated(gray, _angle(_ink(gray))[0])[0] if what != "digit" else gray
    scale = working_scale(page)
    ink = _ink(page)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    boxes = stats[1:, :4].astype(int)  # left, top, width, height
    tall = boxes[:, 3] >= MIN_HEIGHT
    whole = (
        (boxes[:, 2] > 0.8 * ink.shape[1])
        | (boxes[:, 2] > MAX_RULE * boxes[:, 3])
        | (boxes[:, 3] > 0.95 * ink.shape[0])
    )
    marks = np.flatnonzero(tall & ~whole)
    if not len(marks):
        return page, [], 0
    usual = np.median(boxes[marks, 3][boxes[marks, 3] > 0.3 * np.percentile(boxes[marks, 3], 90)])
    marks = marks[boxes[marks, 3] > 0.35 * usual]
    lines = _lines(boxes, marks, float(usual), ink.shape)
    chosen = marks[:0] if classify is None or what == "digit" else _run_of_digits(labels, boxes, lines, classify)
    if not len(chosen):
        sizes = [bottom - top for _, top, _, bottom in (_bounds(boxes[line]) for line in lines)]
        large = [line for line, size in zip(lines, sizes, strict=True) if size > 0.6 * max(sizes)]
        chosen = max(large, key=lambda line: _bounds(boxes[line])[3])
    left, top, right, bottom = _bounds(boxes[chosen])
    pad = MARGIN * (bottom - top)
    places = np.array([left - pad, top - pad, right + pad, bottom + pad]) / scale
    left, top, right, bottom = np.rint(places.clip(0, [*page.shape[::-1], *page.shape[::-1]])).astype(int).tolist()
    return page, [(left, top, right, bottom)], sum(not np.isin(line, chosen).any() for line in lines)


def _ink(gray: Gray) -> Gray:
    """Return the ink, 0 or 1, at the working scale."""
    scale = working_scale(gray)
    small = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    size = max(15, min(small.shape) // 6) | 1
    paper = cv2.medianBlur(cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((size, size), np.uint8)), 15)
    depth = cv2.GaussianBlur(cv2.subtract(paper, small), (3, 3), 0)
    level, _ = cv2.threshold(depth, 0, 1, cv2.THRESH_OTSU)
    return np.asarray(depth > max(0.6 * level, 12), np.uint8)


def runs_down(gray: Gray) -> bool:
    """Whether lines of writing run down the picture rather than across it."""
    return _angle(_ink(gray).T)[1] > _angle(_ink(gray))[1]


def _angle(ink: Gray) -> tuple[float, float]:
    """Return the angle of the lines in degrees, whose profile varies most, and how much it varies."""
    small = cv2.resize(ink * 255, None, fx=SPEED, fy=SPEED, interpolation=cv2.INTER_AREA)
    middle = small.shape[1] / 2, small.shape[0] / 2
    scores = {}
    for angle in np.arange(-MAX_ANGLE, MAX_ANGLE + 0.5, 0.5):
        turned = cv2.warpAffine(small, cv2.getRotationMatrix2D(middle, float(angle), 1), small.shape[::-1])
        profile = turned.sum(1, dtype=np.float64)
        scores[float(angle)] = float((np.diff(profile) ** 2).sum())
    best = max(scores, key=scores.__getitem__)
    return best if scores[best] > 1.1 * scores[0.0] else 0.0, scores[best]


def _lines(
    boxes: NDArray[np.int_], marks: NDArray[np.int_], usual: float, shape: tuple[int, ...]
) -> list[NDArray[np.int_]]:
    """Group marks whose boxes touch when smeared along the line; from left to right."""
    smeared = np.zeros(shape, np.uint8)
    for left, top, wide, tall in boxes[marks]:
        cut = tall // 4  # so that lines with long descenders stay apart
        smeared[
            top + cut : top + tall - cut,
            max(0, left - round(SMEAR * usual / 2)) : left + wide + round(SMEAR * usual / 2),
        ] = 1
    _, labels = cv2.connectedComponents(smeared, connectivity=4)
    centers = boxes[marks, :2] + boxes[marks, 2:] // 2
    group = labels[centers[:, 1], centers[:, 0]]
    lines = [marks[group == label] for label in np.unique(group)]
    return [line[np.argsort(boxes[line, 0])] for line in lines]


def _bounds(boxes: NDArray[np.int_]) -> tuple[int, int, int, int]:
    left, top = boxes[:, :2].min(0)
    right, bottom = (boxes[:, :2] + boxes[:, 2:]).max(0)
    return int(left), int(top), int(right), int(bottom)


def _run_of_digits(
    labels: NDArray[np.int32], boxes: NDArray[np.int_], lines: list[NDArray[np.int_]], classify: Classify
) -> NDArray[np.int_]:
    """Return the marks of the words with the largest sum of digits' probabilities above MIN_GAIN."""
    best: tuple[float, NDArray[np.int_]] = (0.0, boxes[:0, 0])
    tried = 0
    for line in sorted(lines, key=lambda line: -float(np.median(boxes[line, 3]))):  # handwriting is larger than print
        if tried > MAX_WORDS:
            break
        wide = SPACE * float(np.median(boxes[line, 3]))
        ends = np.maximum.accumulate(boxes[line, 0] + boxes[line, 2])
        words = np.split(line, 1 + np.flatnonzero(boxes[line[1:], 0] - ends[:-1] > wide))
        tried += len(words)
        gains = [_gain(labels, boxes, word, classify) if len(word) <= MAX_MARKS else -1.0 for word in words]
        for first in range(len(words)):
            for last in range(first + 1, len(words) + 1):
                if sum(gains[first:last]) > best[0]:
                    best = sum(gains[first:last]), np.concatenate(words[first:last])
    return best[1]


def _gain(labels: NDArray[np.int32], boxes: NDArray[np.int_], word: NDArray[np.int_], classify: Classify) -> float:
    left, top, right, bottom = _bounds(boxes[word])
    ink = np.isin(labels[top:bottom, left:right], word + 1).astype(np.float32)
    for split in split_digits(ink, classify, best=1):
        return float((quality(split.probabilities, split.is_digit) - MIN_GAIN).sum())
    return 0.0
