"""The range of a parameter, parsed and checked from the JSON that Optuna writes."""

import json
import warnings
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from ziffern.errors import InputError
from ziffern.text.printable import printable

LARGE, SMALL = 1e100, 1e-100  # limits of numbers that are safe to calculate with

Value = None | bool | int | float | str


class _Float(Struct, frozen=True):
    low: float
    high: float
    log: bool = False
    step: float | None = None


class _Int(Struct, frozen=True):
    low: int
    high: int
    log: bool = False
    step: int = 1


class _Choices(Struct, frozen=True):
    choices: Annotated[list[Value], Meta(min_length=1, max_length=10_000)]


class _FloatDistribution(Struct, frozen=True, tag_field="name", tag="FloatDistribution"):
    attributes: _Float


class _IntDistribution(Struct, frozen=True, tag_field="name", tag="IntDistribution"):
    attributes: _Int


class _CategoricalDistribution(Struct, frozen=True, tag_field="name", tag="CategoricalDistribution"):
    attributes: _Choices


@lru_cache(maxsize=1000)
def read_distribution(text: str) -> BaseDistribution:
    """Return the distribution that Optuna wrote as `text`; its texts are printable.

    Raises:
        ValueError, LookupError, TypeError, ArithmeticError, RecursionError: It is not one, or has extreme numbers.
    """
    plain: Any = msgspec.convert(json.loads(text), _FloatDistribution | _IntDistribution | _CategoricalDistribution)
    attributes = plain.attributes
    if isinstance(attributes, _Choices):
        choices = [printable(choice) if isinstance(choice, str) else choice for choice in attributes.choices]
        return CategoricalDistribution(choices)
    low, high, step = attributes.low, attributes.high, attributes.step
    for number in (low, high, step):
        if number and not SMALL <= abs(number) <= LARGE:
            raise InputError("search.number.extreme", value=str(number)[:20], low=SMALL, high=LARGE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna shortens a range that is not a multiple of the step
        if isinstance(attributes, _Int):
            return IntDistribution(low, high, log=attributes.log, step=step)
        return FloatDistribution(low, high, log=attributes.log, step=step)
