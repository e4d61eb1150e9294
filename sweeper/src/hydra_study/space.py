"""From Hydra's override grammar to a search space, and from values back to overrides."""

import functools
import itertools
import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    IntervalSweep,
    Override,
    QuotedString,
    RangeSweep,
    Transformer,
)
from hydra.errors import HydraException
from optuna import Trial
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

from hydra_study.errors import SweepError
from hydra_study.identity import is_excepted

Value = None | bool | int | float | str
MAX_POINTS = 100_000  # of a grid
MAX_EXAMPLES = 32  # trials that are composed before a study begins


@dataclass(frozen=True)
class Parameter:
    """One searched parameter.

    Attributes:
        key: Of the override, such as `model.optimizer.lr` or `+x`.
        distribution: Optuna draws from it.
        values: All of its values; None where they are continuous, or too many for a grid.
        texts: Their spellings in overrides, if these are not those of `as_text`.
    """

    key: str
    distribution: BaseDistribution
    values: tuple[Value, ...] | None
    texts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name in Optuna."""
        return self.key.lstrip("+")

    def suggest(self, trial: Trial) -> Value:
        """Return the trial's value; in a range, with its decimals: 0.3 and not 0.30000000000000004."""
        distribution = self.distribution
        if isinstance(distribution, CategoricalDistribution):
            return trial.suggest_categorical(self.name, distribution.choices)
        assert isinstance(distribution, IntDistribution | FloatDistribution)
        low, high, log = distribution.low, distribution.high, distribution.log
        if isinstance(distribution, IntDistribution):
            return trial.suggest_int(self.name, int(low), int(high), step=distribution.step, log=log)
        number = trial.suggest_float(self.name, low, high, step=distribution.step, log=log)
        if distribution.step is None:
            return number
        return round(number, max(-int(Decimal(str(end)).as_tuple().exponent) for end in (low, distribution.step)))

    def text(self, value: Value) -> str:
        """Return how an override spells a value."""
        return self.texts[(self.values or ()).index(value)] if self.texts else as_text(value)


@dataclass(frozen=True)
class Overrides:
    """Overrides that belong together: searched parameters and fixed lines, by their names; and their order."""

    parameters: Mapping[str, Parameter]
    fixed: Mapping[str, str]
    names: Collection[str]


@dataclass(frozen=True)
class Condition:
    """Overrides that apply only if the setting `key` has one of `values`; `is_possible` is false if it never can."""

    key: str
    values: tuple[object, ...]
    overrides: Overrides
    is_possible: bool = True

    def holds(self, value: object) -> bool:
        """Return whether a value is among those of the condition; 0.1 and 0.10 are the same, 1 and true are not."""
        return any(value == wanted and isinstance(value, bool) == isinstance(wanted, bool) for wanted in self.values)


@dataclass(frozen=True)
class Space:
    """A search space.

    Attributes:
        always: Overrides of every trial.
        conditions: In order; one may depend on a parameter of an earlier one.
        configured: Returns the value of a setting that no override sets.
    """

    always: Overrides
    conditions: tuple[Condition, ...]
    configured: Callable[[str], Any]

    def overrides(self, value_of: Callable[[Parameter], Value]) -> list[str]:
        """Return a trial's overrides, calling `value_of` for each parameter that exists in it, in order."""
        texts: dict[str, str] = {}
        lines: dict[str, str] = {}

        def add(some: Overrides) -> None:
            for name in some.names:
                if parameter := some.parameters.get(name):
                    texts[name] = parameter.text(value_of(parameter))
                    lines[name] = f"{parameter.key}={texts[name]}"
                elif line := some.fixed.get(name):
                    texts[name], lines[name] = line.partition("=")[2], line

        add(self.always)
        for condition in self.conditions:
            text = texts.get(condition.key)
            if condition.holds(self.configured(condition.key) if text is None else parse_value(text)):
                add(condition.overrides)
        return list(lines.values())

    def draw(self, trial: Trial, extend: Callable[[Trial], object] | None = None) -> list[str]:
        """Return a trial's overrides; `extend` may suggest more parameters, `x` for `x=...` and `+x` for `+x=...`.

        Raises:
            SweepError: A fixed override has the name of a parameter that `extend` suggests.
        """
        lines = self.overrides(lambda parameter: parameter.suggest(trial))
        if extend is None:
            return lines
        searched = set(trial.params)
        given = {line.partition("=")[0].lstrip("+~"): line for line in lines}
        extend(trial)
        more = {name: value for name, value in trial.params.items() if name not in searched}
        for name in more:
            if line := given.get(name.lstrip("+")):
                raise SweepError(
                    f"{line}: hydra.sweeper.custom_search_space suggests {name}, too: remove one of the two"
                )
        return [*lines, *(f"{name}={_spelled(value)}" for name, value in more.items())]

    def grid(self) -> list[dict[str, Value]]:
        """Return every point, the first parameter changing slowest.

        Raises:
            SweepError: A parameter is continuous, or there are too many points.
        """
        for parameter in self.parameters():
            if parameter.values is None:
                raise SweepError(
                    f"{parameter.name}: a grid needs a finite list of values, at most {MAX_POINTS}: use choice(...) or "
                    "range(...)"
                )
        points = list(itertools.islice(self._points({}), MAX_POINTS + 1))
        if len(points) > MAX_POINTS:
            raise SweepError(f"the grid has more than {MAX_POINTS} points: choose fewer values, or another sampler")
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
            for value in missing[0].values or ():
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
        count = min(max(map(len, choices), default=1), MAX_EXAMPLES)
        return [self.overrides(functools.partial(_kth, k=k)) for k in range(count)]

    def signature(self, without: Sequence[str] = ()) -> dict[str, Any]:
        """Return the space as plain values to store and compare; fixed overrides named in `without` are left out."""

        def plain(some: Overrides) -> dict[str, Any]:
            searched = {key: json.loads(distribution_to_json(p.distribution)) for key, p in some.parameters.items()}
            fixed = {key: line for key, line in some.fixed.items() if not is_excepted(key.lstrip("~"), without)}
            return {"search": searched, "fixed": fixed}

        conditions = [[item.key, list(item.values), plain(item.overrides)] for item in self.conditions]
        return plain(self.always) | {"when": conditions}


def _kth(parameter: Parameter, k: int) -> Value:
    if parameter.values is not None:
        return parameter.values[k % len(parameter.values)]
    assert isinstance(parameter.distribution, FloatDistribution | IntDistribution)
    return parameter.distribution.low


def parse_space(
    params: Mapping[str, Any],
    when: Mapping[str, Mapping[str, Any]],
    arguments: list[str],
    config_loader: ConfigLoader,
    configured: Callable[[str], Any],
) -> Space:
    """Return the search space of `params` and `when`; the command line's `arguments` take precedence.

    Raises:
        SweepError: A range has no values, or a condition has no such setting or value.
    """
    parser = OverridesParser.create(config_loader=config_loader)

    def parse(some: Mapping[str, Any], more: list[str]) -> Overrides:
        parameters: dict[str, Parameter] = {}
        fixed: dict[str, str] = {}
        names: dict[str, None] = {}
        for override in parser.parse_overrides([*(f"{k}={as_text(v)}" for k, v in some.items()), *more]):
            key = override.get_key_element()
            name = key.lstrip("+")  # a deletion, ~x, does not set x
            for former in (parameters, fixed, names):
                former.pop(name, None)
            names[name] = None
            if override.is_sweep_override():
                parameters[name] = _parameter(key, override)
            else:
                fixed[name] = str(override.input_line)
        return Overrides(parameters, fixed, names)

    always = parse(params, arguments)
    conditions: list[Condition] = []
    for text, some in when.items():
        conditions.append(_condition(str(text), some, parse, always, conditions, config_loader, configured))
    conditions = [condition for condition in conditions if condition.is_possible]
    return Space(always, tuple(conditions), configured)


def official_params(search_space: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return as `params` what the official plugin's former setting `search_space` describes.

    Raises:
        SweepError: A parameter has no type, or one that does not fit.
    """
    params = {}
    for name, some in search_space.items():
        try:
            kind, step, log = some["type"], some.get("step"), some.get("log", False)
            if kind == "categorical":
                params[name] = ",".join(map(_spelled, some["choices"]))
                continue
            number = {"int": int, "float": float}[kind]
            low, high = number(some["low"]), number(some["high"])
            params[name] = f"{'tag(log, ' * log}{kind}(interval({low}, {high})){')' * log}"
            if step is not None and not log:
                start, by = Decimal(str(low)), Decimal(str(number(step)))
                stop = number(start + ((Decimal(str(high)) - start) // by + 1) * by)  # `high` is a value, too
                params[name] = f"range({low}, {stop}, {by})"
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise SweepError(
                f"hydra.sweeper.search_space.{name}={some}: must have a type, int or float with low and high, or "
                "categorical with choices"
            ) from error
    return params


def _condition(
    text: str,
    some: Mapping[str, Any],
    parse: Callable[[Mapping[str, Any], list[str]], Overrides],
    always: Overrides,
    earlier: Sequence[Condition],
    config_loader: ConfigLoader,
    configured: Callable[[str], Any],
) -> Condition:
    """Return a condition; it is not possible if its setting is fixed to another value.

    Raises:
        SweepError: Its setting or value does not exist.
    """
    where = f"hydra.sweeper.when: {text}"
    try:
        override = OverridesParser.create().parse_override(text)
        wanted = override.sweep_iterator() if override.is_sweep_override() else [override.value()]
        values = tuple(item.text if isinstance(item, QuotedString) else item for item in wanted)
    except HydraException as error:
        raise SweepError(f"{where}: write SETTING=VALUE, such as model=cnn or model=cnn,nn") from error
    key, parsed = override.key_or_group, parse(some, [])
    given = set(always.parameters) | set(always.fixed)  # the command line decides these
    kept = Overrides(
        {name: item for name, item in parsed.parameters.items() if name not in given},
        {name: item for name, item in parsed.fixed.items() if name not in given},
        parsed.names,
    )
    condition = Condition(key, values, kept)
    options = config_loader.get_group_options(key)
    for value in values:
        if options and value not in options:
            raise SweepError(f"{where}: {value}: no such option: use one of {', '.join(options)}")
    makers = [item for item in earlier if key in item.overrides.parameters or key in item.overrides.fixed]
    if makers:
        return replace(condition, is_possible=any(item.is_possible for item in makers))
    if key in always.parameters:
        parameter = always.parameters[key]
        possible = [parse_value(text) for text in parameter.texts] or list(parameter.values or ())
        if parameter.values is not None and not any(map(condition.holds, possible)):
            if options:  # a condition of a recipe, for another option than those that are searched
                return replace(condition, is_possible=False)
            raise SweepError(f"{where}: {key} never has this value: it is searched among {possible}")
        return condition
    line = always.fixed.get(key)
    now = configured(key) if line is None else parse_value(line.partition("=")[2])
    if now is None and not options:
        raise SweepError(f"{where}: {key}: no such setting, and it is not searched")
    return replace(condition, is_possible=condition.holds(now))


def parse_value(text: str) -> object:
    """Return the value that a text stands for in an override."""
    try:
        value = OverridesParser.create().parse_override(f"x={text}").value()
    except HydraException:
        return text
    return value.text if isinstance(value, QuotedString) else value


def as_text(value: Any) -> str:
    """Return a value as an override spells it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _parameter(key: str, override: Override) -> Parameter:
    value = override.value()
    try:
        if isinstance(value, IntervalSweep):
            return Parameter(key, _interval(value), None)
        if isinstance(value, RangeSweep):
            return _range(key, value)
        if isinstance(value, ChoiceSweep):
            value.shuffle = False  # each process would have a different order
            _check_tags(value.tags, ())
        return _choice(key, override)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise SweepError(f"{override.input_line}: not a range to search ({error})") from error


def _choice(key: str, override: Override) -> Parameter:
    """Return a categorical parameter; values that are equal in Python, such as 1 and true, become their texts."""
    values: list[Any] = list(override.sweep_iterator(transformer=Transformer.encode))
    texts = [_escaped(text, value) for text, value in zip(override.sweep_string_iterator(), values, strict=True)]
    kept = list(dict.fromkeys(zip(texts, map(type, values), values, strict=True)))
    chosen = [value for _, _, value in kept]
    spellings = tuple(text for text, _, _ in kept)
    if len(set(chosen)) < len(chosen):
        chosen = list(spellings)
    return Parameter(key, CategoricalDistribution(chosen), tuple(chosen), spellings)


def _escaped(text: str, value: object) -> str:
    """Return an override's spelling of a value, quoted if Hydra's own cannot be parsed back."""
    if isinstance(value, bool):
        return as_text(value)
    try:
        if not OverridesParser.create().parse_override(f"x={text}").is_sweep_override():
            return text
    except HydraException:
        pass
    return _spelled(str(value))


def _spelled(value: Any) -> str:
    """Return a value as an override spells it, a text in quotes."""
    if not isinstance(value, str):
        return as_text(value)
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{quoted}'"


def _check_tags(given: set[str], known: Sequence[str]) -> None:
    """Raise ValueError if a range has a tag that would have no effect."""
    if others := given.difference(known):
        hint = f"known here: {', '.join(known)}" if known else "choices take none"
        raise ValueError(f"unknown tag {', '.join(sorted(others))}; {hint}")


def _interval(value: IntervalSweep) -> IntDistribution | FloatDistribution:
    low, high, log = value.start, value.end, "log" in value.tags
    _check_tags(value.tags, ("log",))
    if low is None or high is None or not math.isfinite(low) or not math.isfinite(high):
        raise ValueError("both ends must be numbers")
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(float(low), float(high), log=log)


def _range(key: str, value: RangeSweep) -> Parameter:
    """Return a stepped parameter; in decimals, so that 0.1 and 0.2 make 0.3, and the stop is exclusive.

    With the tag `log`, Optuna draws whole numbers in steps of 1 and nothing else.
    """
    _check_tags(value.tags, ("log",))
    log = "log" in value.tags
    start, stop, step = (Decimal(str(number)) for number in (value.start or 0, value.stop, value.step))
    if not step:
        raise ValueError("a step of 0")
    count = math.ceil((stop - start) / step)
    if count <= 0:
        raise ValueError("no values")
    whole = all(isinstance(number, int) for number in (value.start, value.stop, value.step))

    def at(k: int) -> int | float:
        return int(start + k * step) if whole else float(start + k * step)

    low, high = sorted((at(0), at(count - 1)))
    if math.ulp(max(-low, high)) > abs(step):
        raise ValueError(f"a computer's numbers of this size are more than {abs(step)} apart")
    if log and not (whole and abs(step) == 1 and low >= 1):
        raise ValueError(
            "log goes with whole numbers from 1 in steps of 1; for others write tag(log, interval(LOW, HIGH))"
        )
    values = tuple(map(at, range(count))) if count <= MAX_POINTS else None
    if whole:
        return Parameter(key, IntDistribution(int(low), int(high), log=log, step=int(abs(step))), values)
    return Parameter(key, FloatDistribution(low, high, step=float(abs(step))), values)
