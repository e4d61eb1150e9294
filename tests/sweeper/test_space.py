"""What overrides of the command line make a space to search."""

import functools
import re
from decimal import Decimal
from typing import Any

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from hydra_study.conf import SAMPLERS
from hydra_study.errors import SweepError
from hydra_study.objects import make_sampler
from hydra_study.space import official_params


# What Hydra's own plugin makes of the same overrides.
@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("key=choice(1,2)", CategoricalDistribution((1, 2))),
        ("key=1,2", CategoricalDistribution((1, 2))),
        ("key=choice(true, false)", CategoricalDistribution((True, False))),
        ("key=choice('hello', 'world')", CategoricalDistribution(("hello", "world"))),
        ("key=a,null,0.5", CategoricalDistribution(("a", "null", 0.5))),
        ("key=shuffle(range(1,3))", IntDistribution(1, 2)),
        ("key=shuffle(choice(b,a))", CategoricalDistribution(("b", "a"))),
        ("key=sort(3,1,2)", CategoricalDistribution((1, 2, 3))),
        ("key=range(1,3)", IntDistribution(1, 2)),
        ("key=range(4)", IntDistribution(0, 3)),
        ("key=range(0,10,3)", IntDistribution(0, 9, step=3)),
        ("key=range(3,0,-1)", IntDistribution(1, 3)),
        ("key=range(0.5, 5.5, step=1)", FloatDistribution(0.5, 4.5, step=1)),
        ("key=range(0.1,0.4,0.1)", FloatDistribution(0.1, 0.3, step=0.1)),
        ("key=interval(1, 5)", FloatDistribution(1, 5)),
        ("key=int(interval(1, 5))", IntDistribution(1, 5)),
        ("key=tag(log, interval(1, 5))", FloatDistribution(1, 5, log=True)),
        ("key=tag(log, int(interval(1, 5)))", IntDistribution(1, 5, log=True)),
        ("key=tag(log, range(1, 6))", IntDistribution(1, 5, log=True)),
        ("key=tag(log, range(5, 0, -1))", IntDistribution(1, 5, log=True)),
        ("+key=interval(0,1)", FloatDistribution(0, 1)),
        ("++key=interval(0,1)", FloatDistribution(0, 1)),
        ("group/key@package=a,b", CategoricalDistribution(("a", "b"))),
    ],
)
def test_grammar(parse, override: str, expected: Any) -> None:
    (parameter,) = parse(override).parameters()
    assert parameter.distribution == expected
    assert parameter.name == override.partition("=")[0].lstrip("+")


@pytest.mark.parametrize(
    "override",
    [
        "key=interval(5,1)",
        "key=tag(log,interval(0,1))",
        "key=range(3,3)",
        "key=range(0,3,0)",
        "key=range(0,inf)",
        "key=range(0,1e17)",
    ],
)
def test_a_range_without_values_is_named(parse, override: str) -> None:
    with pytest.raises(SweepError, match=f"{override.split('=', maxsplit=1)[0]}=.*not a range to search") as error:
        parse(override)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("key=tag(log, range(0, 5))", "whole numbers from 1 in steps of 1.*interval"),
        ("key=tag(log, range(1, 9, 2))", "whole numbers from 1"),
        ("key=tag(log, range(0.1, 0.5, 0.1))", "whole numbers from 1"),
        ("key=tag(fast, range(1, 5))", "unknown tag fast; known here: log"),
        ("key=tag(fast, interval(1, 5))", "unknown tag fast"),
        ("key=tag(log, choice(1, 5))", "unknown tag log; choices take none"),
    ],
)
def test_a_tag_that_would_have_no_effect_is_refused(parse, override: str, named: str) -> None:
    with pytest.raises(SweepError, match=named):
        parse(override)


def test_stepped_floats_are_spelled_as_written(parse) -> None:
    points = parse("key=range(0.1,0.8,0.1)").grid()
    assert [point["key"] for point in points] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    space = parse("key=range(0.1,0.8,0.1)")
    drawn = {space.overrides(lambda p: p.suggest(optuna.create_study().ask()))[0].partition("=")[2] for _ in range(40)}
    assert drawn <= {f"0.{digit}" for digit in range(1, 8)}
    assert len(drawn) > 3


@pytest.mark.parametrize(
    ("override", "step", "spelled"),
    [
        ("key=range(0,1e9)", "1", r"\d+\.0"),
        ("key=range(1,1000000000000,3)", "3", r"\d+"),
        ("key=range(-0.35,1e6,0.1)", "0.1", r"-?\d+\.\d?5"),
        ("key=range(1,0,-1e-9)", "1e-9", r"[0-9.e-]+"),
    ],
)
def test_a_range_of_any_length_is_drawn_in_exact_decimals(parse, override: str, step: str, spelled: str) -> None:
    space = parse(override)
    (parameter,) = space.parameters()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(3))
    for _ in range(50):
        text = space.draw(study.ask())[0].partition("=")[2]
        assert re.fullmatch(spelled, text)
        assert (Decimal(text) - Decimal(str(parameter.distribution.low))) % Decimal(step) == 0
    assert space.examples()
    with pytest.raises(SweepError, match="key: a grid needs a finite list of values, at most 100000"):
        space.grid()


def test_values_go_back_to_the_spelling_of_overrides(parse) -> None:
    space = parse("a=null,1", "b=choice(true,false)", "c=choice('x, y','k=v',\"it's\")", "d=5", "~e")
    lines = [space.overrides(lambda parameter, k=k: parameter.values[k % len(parameter.values)]) for k in range(3)]
    assert sorted(lines[0]) == sorted(["a=null", "b=true", r"c=x\,\ y", "d=5", "~e"])
    parser = OverridesParser.create()
    meant = [parser.parse_override(next(line for line in found if line.startswith("c="))).value() for found in lines]
    assert [getattr(value, "text", value) for value in meant] == ["x, y", "k=v", "it's"]
    # Python takes these for equal; they are four.
    points = parse("x=choice(0,false,1,true)").grid()
    assert [point["x"] for point in points] == ["0", "false", "1", "true"]


def test_the_command_line_wins_over_params(parse) -> None:
    space = parse(
        "x=5", "y=choice(1,2)", params={"x": "interval(0,1)", "y": "range(0,9)", "z": "choice(a,b)", "w": True}
    )
    assert [parameter.name for parameter in space.parameters()] == ["z", "y"]
    assert set(space.always.fixed.values()) == {"x=5", "w=true"}


def test_conditions(parse) -> None:
    when = {"model=b,c": {"layers": "choice(1,2)"}, "layers=2": {"width": "choice(8,16)", "tied": False}}
    space = parse("model=a,b", when=when)
    assert space.grid() == [
        {"model": "a"},
        {"model": "b", "layers": 1},
        {"model": "b", "layers": 2, "width": 8},
        {"model": "b", "layers": 2, "width": 16},
    ]
    fixed = space.overrides(lambda parameter: parameter.values[-1])
    assert fixed == ["model=b", "layers=2", "width=16", "tied=false"]
    # The condition also sees what the configuration says, and what the command line fixes.
    assert len(parse("z=1,2", when=when, configured={"model": "c"}).grid()) == 2 * 3
    assert len(parse("z=1,2", "model=c", when=when).grid()) == 2 * 3
    assert len(parse("z=1,2", "model=a", when=when).grid()) == 2
    # Values are compared, not their spelling.
    assert len(parse("p=choice(0.10,0.20)", when={"p=0.1": {"q": "choice(1,2,3)"}}).grid()) == 4
    assert len(parse("p=choice(1,true)", when={"p=true": {"q": "choice(1,2,3)"}}).grid()) == 4
    for wrong, named in (
        ("model", "SETTING=VALUE"),
        ("modl=b", "modl: no such setting"),
        ("z=3", "z never has this value: it is searched among .1, 2."),
    ):
        with pytest.raises(SweepError, match=named):
            parse("z=1,2", when={wrong: {"q": "choice(1,2)"}}, configured={"model": "a"})


def test_a_condition_for_another_option_than_those_searched_is_not_possible(parse) -> None:
    when = {"hydra/sweeper=basic": {"x": "choice(1,2)"}}
    space = parse("hydra/sweeper=optuna,ziffern", when=when)
    assert space.grid() == [{"hydra/sweeper": "optuna"}, {"hydra/sweeper": "ziffern"}]


def test_grids_are_finite(parse) -> None:
    with pytest.raises(SweepError, match="a finite list of values"):
        parse("x=interval(0,1)").grid()
    with pytest.raises(SweepError, match="more than"):
        parse("x=range(0,1000)", "y=range(0,1000)").grid()


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_with_nothing_to_search_fixed_settings_are_repeated(parse, name: str) -> None:
    space = parse("x=1", "+y=a")
    assert space.grid() == [{}]
    assert space.examples() == [["x=1", "+y=a"]]
    study = optuna.create_study()
    for number in range(14):  # beyond the random trials at the start
        study.sampler = make_sampler(SAMPLERS[name], 1, number)
        trial = study.ask()
        assert space.draw(trial) == ["x=1", "+y=a"]
        study.tell(trial, number)


def test_the_official_plugins_former_search_space(parse) -> None:
    described = {
        "a": {"type": "float", "low": -5.5, "high": 5.5, "step": 0.5},
        "b": {"type": "float", "low": 1, "high": 100, "log": True},
        "c": {"type": "float", "low": 0, "high": 1},
        "d": {"type": "int", "low": 0, "high": 10, "step": 3},
        "e": {"type": "int", "low": 1, "high": 100, "log": True, "step": None},
        "f": {"type": "int", "low": 0, "high": 5},
        "g": {"type": "categorical", "choices": ["a b", 2, True, None]},
    }
    space = parse(params=official_params(described))
    assert {parameter.name: parameter.distribution for parameter in space.parameters()} == {
        "a": FloatDistribution(-5.5, 5.5, step=0.5),
        "b": FloatDistribution(1, 100, log=True),
        "c": FloatDistribution(0, 1),
        "d": IntDistribution(0, 9, step=3),
        "e": IntDistribution(1, 100, log=True),
        "f": IntDistribution(0, 5),
        "g": CategoricalDistribution(["'a b'", 2, True, "null"]),
    }
    for wrong in ({}, {"type": "real"}, {"type": "int", "low": 1}, {"type": "int", "low": 0, "high": 1, "step": 0}):
        with pytest.raises(SweepError, match=r"hydra.sweeper.search_space.x=\{.*must have a type"):
            official_params({"x": wrong})


# The example of the official plugin.
def configure(cfg: DictConfig, trial: optuna.Trial) -> None:
    x_value = trial.params["x"]
    trial.suggest_float(
        "z",
        x_value - cfg.max_z_difference_from_x,
        x_value + cfg.max_z_difference_from_x,
    )
    trial.suggest_float("+w", 0.0, 1.0)  # note +w here, not w as w is a new parameter
    trial.suggest_categorical("s", ["a, b", "5"])


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_custom_search_space_adds_parameters(parse) -> None:
    extend = functools.partial(configure, OmegaConf.create({"max_z_difference_from_x": 0.5}))
    space = parse("x=range(-5.5, 5.5, 0.5)", "y=choice(-5, 0, 5)", "v=2")
    study = optuna.create_study()
    for number in range(30):
        study.sampler = make_sampler(SAMPLERS["tpe"], 123, number)
        trial = study.ask()
        lines = space.draw(trial, extend)
        parsed = OverridesParser.create().parse_overrides(lines)
        values = {override.get_key_element(): override.value() for override in parsed}
        assert values.keys() == {"x", "y", "v", "z", "+w", "s"}
        assert abs(values["x"] - values["z"]) <= 0.5
        assert values["s"] == trial.params["s"]
        study.tell(trial, values["x"] ** 2 + values["z"] ** 2 + values["+w"] ** 2)
    for line in ("z=1", "w=1", "~z"):
        with pytest.raises(SweepError, match=f"{line}: hydra.sweeper.custom_search_space suggests"):
            parse("x=range(0,2)", line).draw(optuna.create_study().ask(), extend)
