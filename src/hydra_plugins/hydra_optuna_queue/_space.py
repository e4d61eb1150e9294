"""From Hydra's override grammar to a search space, and from values back to overrides."""

import functools
import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    IntervalSweep,
    Override,
    RangeSweep,
    Transformer,
)
from optuna import Trial
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

from hydra_plugins.hydra_optuna_queue._errors import SweepError

Value = None | bool | int | float | str
MAX_VALUES = 100_000  # of a stepped parameter, and of a grid
MOST_EXAMPLES = 32  # trials that are composed before a study begins


@dataclass(frozen=True)
class Parameter:
    """One searched parameter.

    Attributes:
        key: Of the override, such as `model.optimizer.lr` or `+x`.
        distribution: Where Optuna draws from.
        values: All of its values; None where they are continuous.
    """

    key: str
    distribution: BaseDistribution
    values: tuple[Value, ...] | None

    @property
    def name(self) -> str:
        """What Optuna calls it."""
        return self.key.lstrip("+")

    def suggest(self, trial: Trial) -> Value:
        """Return the trial's value; a stepped float as it was written, 0.3 and not 0.30000000000000004."""
        found = self.distribution
        if isinstance(found, CategoricalDistribution):
            return trial.suggest_categorical(self.name, found.choices)
        if isinstance(found, IntDistribution):
            return trial.suggest_int(self.name, found.low, found.high, step=found.step, log=found.log)
        assert isinstance(found, FloatDistribution)
        number = trial.suggest_float(self.name, found.low, found.high, step=found.step, log=found.log)
        return min(self.values, key=lambda value: abs(float(value or 0) - number)) if self.values else number


@dataclass(frozen=True)
class Overrides:
    """Overrides that belong together: searched parameters and fixed lines, by their names."""

    parameters: Mapping[str, Parameter]
    fixed: Mapping[str, str]


@dataclass(frozen=True)
class Condition:
    """Overrides that exist only where the setting `key` has one of `values`."""

    key: str
    values: tuple[str, ...]
    overrides: Overrides

    def may_hold(self, always: Overrides, earlier: Sequence["Condition"], configured: Callable[[str], Any]) -> bool:
        """Return whether there is a trial in which it holds."""
        parts = [always, *(condition.overrides for condition in earlier)]
        if any(self.key in part.parameters or self.key in part.fixed for part in parts[1:]):
            return True
        if self.key in always.parameters:
            return bool({_bare(as_text(value)) for value in always.parameters[self.key].values or ()} & {*self.values})
        line = always.fixed.get(self.key)
        return _bare(line.partition("=")[2] if line else as_text(configured(self.key))) in self.values


@dataclass(frozen=True)
class Space:
    """A search space.

    Attributes:
        always: Overrides of every trial.
        conditions: In order; one may depend on a parameter of an earlier one.
        configured: Returns what a setting is where no override sets it.
    """

    always: Overrides
    conditions: tuple[Condition, ...]
    configured: Callable[[str], Any]

    def overrides(self, value_of: Callable[[Parameter], Value]) -> list[str]:
        """Return a trial's overrides, asking `value_of` for each parameter that exists in it, in order."""
        texts: dict[str, str] = {}
        lines: dict[str, str] = {}

        def add(some: Overrides) -> None:
            for name, line in some.fixed.items():
                texts[name], lines[name] = line.partition("=")[2], line
            for name, parameter in some.parameters.items():
                texts[name] = as_text(value_of(parameter))
                lines[name] = f"{parameter.key}={texts[name]}"

        add(self.always)
        for condition in self.conditions:
            found = texts.get(condition.key)
            if _bare(as_text(self.configured(condition.key)) if found is None else found) in condition.values:
                add(condition.overrides)
        return list(lines.values())

    def grid(self) -> list[dict[str, Value]]:
        """Return every point, the first parameter changing slowest.

        Raises:
            SweepError: A parameter is continuous, or there are too many points.
        """
        for parameter in self.parameters():
            if parameter.values is None:
                raise SweepError(
                    f"{parameter.name}: a grid needs values that can be counted: write choice(...) or range(...)"
                )
        points = list(itertools.islice(self._points({}), MAX_VALUES + 1))
        if len(points) > MAX_VALUES:
            raise SweepError(f"the grid has more than {MAX_VALUES} points: choose fewer values, or another sampler")
        return points

    def _points(self, chosen: dict[str, Value]) -> Iterator[dict[str, Value]]:
        """Yield the points that begin with `chosen`: walk until a parameter has no value yet, then branch."""
        missing: list[Parameter] = []

        def value_of(parameter: Parameter) -> Value:
            if parameter.name not in chosen:
                missing.append(parameter)
                raise LookupError
            return chosen[parameter.name]

        try:
            self.overrides(value_of)
        except LookupError:
            for value in dict.fromkeys(missing[0].values or ()):
                yield from self._points(chosen | {missing[0].name: value})
        else:
            yield chosen

    def parameters(self) -> Iterator[Parameter]:
        """Yield each parameter, also those under a condition."""
        for part in (self.always, *(condition.overrides for condition in self.conditions)):
            yield from part.parameters.values()

    def examples(self) -> list[list[str]]:
        """Return the overrides of a few trials, in which each value of each choice occurs."""
        choices = [p.values or () for p in self.parameters() if isinstance(p.distribution, CategoricalDistribution)]
        count = min(max(map(len, choices), default=1), MOST_EXAMPLES)
        return [self.overrides(functools.partial(_kth, k=k)) for k in range(count)]

    def signature(self, without: Sequence[str] = ()) -> dict[str, Any]:
        """Return the space as plain values to store and compare; fixed overrides named in `without` are left out."""

        def plain(some: Overrides) -> dict[str, Any]:
            searched = {key: json.loads(distribution_to_json(p.distribution)) for key, p in some.parameters.items()}
            fixed = {key: line for key, line in some.fixed.items() if key.lstrip("~") not in without}
            return {"search": searched, "fixed": fixed}

        conditions = [[item.key, list(item.values), plain(item.overrides)] for item in self.conditions]
        return plain(self.always) | {"when": conditions}


def _kth(parameter: Parameter, k: int) -> Value:
    if parameter.values is not None:
        return parameter.values[k % len(parameter.values)]
    found = parameter.distribution
    assert isinstance(found, FloatDistribution | IntDistribution)
    return found.low


def parse_space(
    params: Mapping[str, Any],
    when: Mapping[str, Mapping[str, Any]],
    arguments: list[str],
    config_loader: ConfigLoader,
    configured: Callable[[str], Any],
) -> Space:
    """Return the search space of `params` and `when`, over which the command line's `arguments` win.

    Raises:
        SweepError: Nothing to search, or a range without values.
    """
    parser = OverridesParser.create(config_loader=config_loader)

    def parse(some: Mapping[str, Any], more: list[str]) -> Overrides:
        parameters: dict[str, Parameter] = {}
        fixed: dict[str, str] = {}
        for override in parser.parse_overrides([*(f"{k}={as_text(v)}" for k, v in some.items()), *more]):
            key = override.get_key_element()
            name = key.lstrip("+")  # a deletion, ~x, is another thing than a value of x
            parameters.pop(name, None)
            fixed.pop(name, None)
            if override.is_sweep_override():
                parameters[name] = _parameter(key, override)
            else:
                fixed[name] = str(override.input_line)
        return Overrides(parameters, fixed)

    always = parse(params, arguments)
    conditions: list[Condition] = []
    for text, some in when.items():
        key, _, values = str(text).partition("=")
        if not values:
            raise SweepError(f"hydra.sweeper.when: {text}: write SETTING=VALUE, such as model=cnn or model=cnn,nn")
        _check_condition(key, values.split(","), always, conditions, config_loader, configured)
        found = parse(some, [])
        given = set(always.parameters) | set(always.fixed)  # the command line decides these
        kept = Overrides(
            {key: item for key, item in found.parameters.items() if key not in given},
            {key: item for key, item in found.fixed.items() if key not in given},
        )
        condition = Condition(key, tuple(_bare(value) for value in values.split(",")), kept)
        if condition.may_hold(always, conditions, configured):
            conditions.append(condition)
    space = Space(always, tuple(conditions), configured)
    if not any(space.parameters()):
        raise SweepError(
            "nothing to search: give at least one of name=choice(a,b), name=range(0,10) or name=interval(0,1) "
            "on the command line or in hydra.sweeper.params"
        )
    return space


def _check_condition(
    key: str,
    values: Sequence[str],
    always: Overrides,
    earlier: Sequence[Condition],
    config_loader: ConfigLoader,
    configured: Callable[[str], Any],
) -> None:
    """Raise SweepError where a condition is on a setting or a value that there is not."""
    parts = [always, *(condition.overrides for condition in earlier)]
    options = config_loader.get_group_options(key)
    for value in map(_bare, values):
        if options and value not in options:
            raise SweepError(f"hydra.sweeper.when: {key}={value}: no such option: there are {', '.join(options)}")
    if not options and configured(key) is None and not any(key in p.parameters or key in p.fixed for p in parts):
        raise SweepError(f"hydra.sweeper.when: {key}: no such setting, and none that is searched")


def as_text(value: Any) -> str:
    """Return a value as an override spells it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _bare(text: str) -> str:
    return text.strip().strip("'\"")


def _parameter(key: str, override: Override) -> Parameter:
    value = override.value()
    try:
        if isinstance(value, IntervalSweep):
            return Parameter(key, _interval(value), None)
        if isinstance(value, RangeSweep):
            return _range(key, value)
        if isinstance(value, ChoiceSweep | RangeSweep):
            value.shuffle = False  # each process would have another order
        found: Any = dict.fromkeys(override.sweep_iterator(transformer=Transformer.encode))
        return Parameter(key, CategoricalDistribution(tuple(found)), tuple(found))
    except (ValueError, TypeError) as error:
        raise SweepError(f"{override.input_line}: not a range to search ({error})") from error


def _interval(value: IntervalSweep) -> IntDistribution | FloatDistribution:
    low, high, log = value.start, value.end, "log" in value.tags
    if others := value.tags - {"log"}:
        raise ValueError(f"unknown tag {', '.join(sorted(others))}: the one there is is log")
    if low is None or high is None or not math.isfinite(low) or not math.isfinite(high):
        raise ValueError("both ends must be numbers")
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(float(low), float(high), log=log)


def _range(key: str, value: RangeSweep) -> Parameter:
    """Return a stepped parameter; in decimals, so that 0.1 and 0.2 make 0.3, and the stop is exclusive."""
    start, stop, step = (Decimal(str(number)) for number in (value.start or 0, value.stop, value.step))
    if not step:
        raise ValueError("a step of 0")
    count = math.ceil((stop - start) / step)
    if not 0 < count <= MAX_VALUES:
        raise ValueError(f"{max(count, 0)} values, where 1 to {MAX_VALUES} are possible")
    whole = all(isinstance(number, int) for number in (value.start, value.stop, value.step))
    values = [int(start + k * step) if whole else float(start + k * step) for k in range(count)]
    low, high = min(values), max(values)
    if whole:
        return Parameter(key, IntDistribution(int(low), int(high), step=int(abs(step))), tuple(values))
    return Parameter(key, FloatDistribution(low, high, step=float(abs(step))), tuple(values))
