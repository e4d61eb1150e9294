"""What users type for a path or a search space means what they mean."""

import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from ziffern.config.command import quoted_value
from ziffern.config.paths import resolve_paths
from ziffern.config.typed import check_blanks, grammatical
from ziffern.errors import InputError


def value(override: str) -> object:
    return OverridesParser.create().parse_override(override).value()


def swept(override: str) -> list[str]:
    """Return the values of a sweep."""
    choices = value(override).list  # type: ignore[attr-defined]
    return [getattr(choice, "text", choice) for choice in choices]


@pytest.mark.parametrize("path", ["a=b, c ü (1)", "~x", "it's", "a\\", "data", "/a/b-c.npz", "{x}(", "a\\'b", '"q'])
def test_any_path_can_be_a_value(path: str) -> None:
    assert value(f"data.dir={quoted_value(path)}") == path


@pytest.mark.parametrize("key", ["data.dir", "ckpt_path", "hydra.run.dir", "+logger.csv.save_dir", "init_from"])
def test_a_path_needs_no_quotation_marks_of_hydra(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/x")
    assert value(grammatical(f"{key}=a=b, c ü (1)")) == "a=b, c ü (1)"
    assert value(grammatical(f"{key}=~/a")) == "/home/x/a"
    for kept in (f"{key}='~/a'", f"{key}=a/b", f"{key}=null"):
        assert grammatical(kept) == kept
    assert swept(grammatical(f"{key}=ü,é", is_multirun=True)) == ["ü", "é"]


def test_other_settings_stay_as_they_are() -> None:
    for override in ("seed=0,1", "model.name=ü", "model=nn", "~logger", "model.net.hidden=[1,2]"):
        assert grammatical(override) == override
    assert grammatical("model.loss.weight=[1,2]") == "++model.loss.weight=[1,2]"


def test_a_search_space_needs_no_quotation_marks() -> None:
    when = "hydra.sweeper.when={model=nn,dnn: {model.net.dropout: interval(0.0, 0.5), seed: 3}, seed=1: {a.b: 'x'}}"
    expected = {"model=nn,dnn": {"model.net.dropout": "interval(0.0, 0.5)", "seed": 3}, "seed=1": {"a.b": "x"}}
    assert value(grammatical(when)) == expected
    assert grammatical("hydra.sweeper.params.model.optimizer.lr=interval(1,2)") == "model.optimizer.lr=interval(1,2)"
    assert value(grammatical("hydra.sweeper.params={seed: choice(1, 2)}")) == {"seed": "choice(1, 2)"}


def test_paths_begin_at_the_home_or_the_launch_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/x")
    monkeypatch.chdir(tmp_path)
    settings = {"dir": "~/data", "tracking_uri": "sqlite:///a.db", "other": "~", "list": [{"save_dir": "logs"}]}
    cfg = OmegaConf.create({"a": settings, "b": "${a.dir}", "weights_file": None, "uri": "https://a/b"})
    resolve_paths(cfg, tmp_path)
    assert cfg.a == settings | {"dir": "/home/x/data"}
    assert cfg.b == "/home/x/data"
    resolve_paths(cfg, Path("/launch"))
    assert cfg.a.list[0].save_dir == "/launch/logs"
    assert cfg.a.tracking_uri == "sqlite:////launch/a.db"
    assert (cfg.a.dir, cfg.uri) == ("/home/x/data", "https://a/b")


NAMES = ("Jürgen (1)", "a,b", "a=b", "[x]", "{y}", "it's", "Müller & Söhne $5", "'quoted'", '"q"', "~x", "true", "1.5")


@pytest.mark.parametrize("name", [*NAMES, "#1", "a b,c=d (e) [f]", "back\\slash", "a:b", "star*"])
@pytest.mark.parametrize("is_multirun", [False, True])
def test_the_name_of_an_existing_file_is_its_path(
    name: str, is_multirun: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).touch()
    assert value(grammatical(f"data.dir={name}", is_multirun)) == name


def test_several_paths_are_separated_by_commas_in_a_multirun_alone() -> None:
    assert swept(grammatical("data.dir=a (1),[b],c=d", is_multirun=True)) == ["a (1)", "[b]", "c=d"]
    assert value(grammatical("data.dir=a,b")) == "a,b"
    for kept in ("data.dir=choice(a,b)", "data.dir=${oc.env:X}", "hydra.run.dir=${now:%Y}"):
        assert grammatical(kept) == kept


@pytest.mark.parametrize(
    "words", [["data.dir=my", "photos", "seed=1"], ["-m", "data.dir=Jürgen", "(1)=a,b", "~logger"]]
)
def test_a_path_that_the_shell_split_is_shown_in_quotation_marks(words: list[str]) -> None:
    with pytest.raises(InputError) as error:
        check_blanks(words, "python train.py")
    command = str(error.value).partition("blanks: ")[2]
    place = next(place for place, word in enumerate(words) if word.startswith("data.dir="))
    joined = [*words[:place], f"{words[place]} {words[place + 1]}", *words[place + 2 :]]
    assert shlex.split(command) == ["python", "train.py", *joined]
    check_blanks(joined, "python train.py")


def test_other_words_are_no_part_of_a_path() -> None:
    words = ["data.dir=a", "model=nn", "++x.y=1", "~z", "-m", "--cfg", "job", "model/augment=affine", "a@b=c"]
    check_blanks(words, "python train.py")
