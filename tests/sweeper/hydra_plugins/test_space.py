"""What overrides of the command line make a space to search."""

from typing import Any

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from hydra_study.errors import SweepError


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
    ["key=interval(5,1)", "key=tag(log,interval(0,1))", "key=range(3,3)", "key=range(0,3,0)", "key=range(0,1e9)"],
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
    assert fixed == ["model=b", "layers=2", "tied=false", "width=16"]
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


def test_nothing_to_search(parse) -> None:
    with pytest.raises(SweepError, match="nothing to search"):
        parse("x=1")
    with pytest.raises(SweepError, match="a finite list of values"):
        parse("x=interval(0,1)").grid()
    with pytest.raises(SweepError, match="more than"):
        parse("x=range(0,1000)", "y=range(0,1000)").grid()
