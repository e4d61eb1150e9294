"""Configuration files of other people: what they may choose, and what is refused before Hydra acts on it."""

import os
import pickle
from pathlib import Path

import pytest
import yaml

from ziffern.cli.main import main as cli
from ziffern.config.foreign import MAX_BYTES, FileConfigSource
from ziffern.runs.run import Run

QUICK = ("model=nn", "model.net.hidden=[8]", "trainer=cpu", "trainer.max_epochs=1", "logger=none", "report=null")
GLOBAL = "# @package _global_\n"
TRAP = "{_target_: pandas.read_pickle, filepath_or_buffer: trap.pkl}"


class Trap:
    def __reduce__(self):
        return (Path.touch, (Path("trapped"),))


@pytest.fixture
def foreign(command_line, digits_npz: Path, tmp_path: Path):
    """Write files into a folder of somebody else's, train with it, and return exit code, output and errors."""
    (tmp_path / "trap.pkl").write_bytes(pickle.dumps(Trap()))

    def call(files: dict[str, str], *arguments: str, options: tuple[str, ...] = ()) -> tuple[int, str, str]:
        for name, text in files.items():
            path = tmp_path / "foreign" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        given = arguments or ("experiment=best", "hydra.run.dir=run")
        local = ("data=local", f"data.dir={digits_npz}")
        return command_line("--config-dir", str(tmp_path / "foreign"), *options, *local, *QUICK, *given)

    return call


def refused(result: tuple[int, str, str], *parts: str) -> None:
    code, _, errors = result
    assert code == 2, errors
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1, errors
    for part in ("foreign/", *parts):
        assert part in errors, errors
    assert not Path("trapped").exists(), "nothing of it is executed"
    assert not Path("run").exists(), "and nothing is written"
    assert not Path("elsewhere").exists()


@pytest.mark.parametrize("text", ["defaults: [override /logger: comet]", "logger: {comet: {project: mine}}"])
def test_a_logger_that_contacts_a_server_is_refused(foreign, text: str) -> None:
    refused(foreign({"experiment/best.yaml": f"{GLOBAL}{text}"}), "contacts a server")


BEST = {  # the content of experiment/best.yaml -> the setting that the line names
    f"{GLOBAL}hydra: {{callbacks: {{x: {TRAP}}}}}": "hydra.callbacks.x._target_=pandas.read_pickle",
    f"# @package _global_.hydra\ncallbacks: {{x: {TRAP}}}": "# @package _global_.hydra",
    f"# @package hydra.callbacks\nx: {TRAP}": "# @package hydra.callbacks",
    f"# @package hydra[callbacks]\nx: {TRAP}": "# @package hydra[callbacks]",
    f"# @package model._global_.hydra\ncallbacks: {{x: {TRAP}}}": "_global_.hydra",
    f"{GLOBAL}hydra: {{job_logging: {{handlers: {{x: {{(): pandas.read_pickle}}}}}}}}": "hydra.job_logging.handlers.x",
    f"{GLOBAL}hydra: {{job: {{env_set: {{LD_PRELOAD: x}}}}}}": "hydra.job.env_set.LD_PRELOAD=x",
    f"{GLOBAL}hydra: {{run: {{dir: elsewhere}}}}": "hydra.run.dir=elsewhere",
    f"{GLOBAL}hydra: {{sweep: {{dir: elsewhere}}}}": "hydra.sweep.dir=elsewhere",
    f"{GLOBAL}hydra: {{output_subdir: ../elsewhere}}": "hydra.output_subdir=../elsewhere",
    f"{GLOBAL}hydra: {{searchpath: [elsewhere]}}": "hydra.searchpath",
    f"{GLOBAL}hydra: {{mode: MULTIRUN}}": "hydra.mode=MULTIRUN",
    f"{GLOBAL}hydra: null": "hydra=None",
    f"{GLOBAL}hydra: {{sweeper: {{storage: 'sqlite:///elsewhere'}}}}": "hydra.sweeper.storage=sqlite:///elsewhere",
    f"{GLOBAL}hydra: {{sweeper: {{export: ../../elsewhere}}}}": "hydra.sweeper.export",
    f"{GLOBAL}hydra: {{sweeper: {{discard: ../..}}}}": "hydra.sweeper.discard",
    f"{GLOBAL}hydra: {{sweeper: {{_target_: pandas.read_pickle}}}}": "hydra.sweeper._target_",
    f"{GLOBAL}hydra: {{sweeper: {{sampler: {{_target_: pandas.read_pickle}}}}}}": "hydra.sweeper.sampler._target_",
    f"{GLOBAL}hydra: {{sweeper: {{params: {{hydra.run.dir: elsewhere}}}}}}": "hydra.sweeper.params.hydra.run.dir",
    f"{GLOBAL}hydra: {{sweeper: {{params: {{+hydra.callbacks.x: y}}}}}}": "hydra.sweeper.params.+hydra.callbacks.x",
    f"{GLOBAL}hydra: {{sweeper: {{when: {{model=nn: {{hydra.run.dir: e}}}}}}}}": "hydra.sweeper.when.model=nn.hydra",
    f"{GLOBAL}hydra: {{sweeper: {{params: {{logger.csv.save_dir: /e}}}}}}": "hydra.sweeper.params.logger.csv.save_dir",
    f"{GLOBAL}hydra: {{sweeper: {{params: {{logger.csv.save_dir: e}}}}}}": "hydra.sweeper.params.logger.csv.save_dir=e",
    f"{GLOBAL}hydra: {{sweeper: {{params: {{x: '$\\{{oc.env:HOME\\}}'}}}}}}": "calls a resolver",
    f"{GLOBAL}hydra: ${{oc.env:NOT_SET}}": "hydra=${oc.env:NOT_SET}",
    f"{GLOBAL}defaults: ${{oc.env:NOT_SET}}": "defaults must be a list",
    f"{GLOBAL}seed: 0x{'f' * 5000}": "not a configuration: Exceeds the limit",
    f"{GLOBAL}logger: {{csv: {{save_dir: elsewhere}}}}": "logger.csv.save_dir=elsewhere",
    f"{GLOBAL}logger: {{csv: {{save_dir: '${{hydra:runtime.output_dir}}/../e'}}}}": "logger.csv.save_dir",
    f"{GLOBAL}logger: {{csv: {{save_dir: '${{hydra:runtime.output_dir}}-e'}}}}": "logger.csv.save_dir",
    f"{GLOBAL}logger: {{csv: {{name: '${{hydra:runtime.output_dir}}-e'}}}}": "logger.csv.name",
    f"{GLOBAL}logger: {{csv: {{name: ../../elsewhere}}}}": "logger.csv.name=../../elsewhere",
    f"{GLOBAL}logger: {{csv: {{name: '${{x}}'}}}}\nx: ../../e": "logger.csv.name=${x}",
    f"{GLOBAL}logger: '${{x}}'\nx: {{csv: {{save_dir: elsewhere}}}}": "logger=${x}",
    f"{GLOBAL}logger: {{m: {{tracking_uri: http://evil}}}}": "logger.m.tracking_uri=http://evil",
    f"{GLOBAL}logger: {{w: {{_target_: pytorch_lightning.loggers.WandbLogger}}}}": "logger.w._target_",
    f"{GLOBAL}logger: {{w: {{entity: evil}}}}": "logger.w.entity=evil",
    f"{GLOBAL}callbacks: {{x: {{dirpath: elsewhere}}}}": "callbacks.x.dirpath=elsewhere",
    f"{GLOBAL}callbacks: {{x: {{filename: /elsewhere}}}}": "callbacks.x.filename=/elsewhere",
    f"{GLOBAL}trainer: {{default_root_dir: elsewhere}}": "trainer.default_root_dir=elsewhere",
    f"{GLOBAL}ckpt_path: some.ckpt": "ckpt_path=some.ckpt",
    f"{GLOBAL}data: {{dir: '${{oc.env:HOME}}'}}": "data.dir=${oc.env:HOME}",
    f"{GLOBAL}data: {{dir: '\\${{oc.env:HOME}}'}}": "data.dir=\\${oc.env:HOME}",
    f"{GLOBAL}x: [1, '${{oc.create:{{a:b}}}}']": "x=${oc.create:{a:b}}",
    f"{GLOBAL}x: '${{${{y}}}}'": "x=${${y}}",
    f"{GLOBAL}x: '${{hydra:sweeper.storage}}'": "x=${hydra:sweeper.storage}",
    f"{GLOBAL}a: '${{b}}${{b}}'\nb: '${{c}}${{c}}'\nc: x": "refers to b, which is not a plain value",
    f"{GLOBAL}a: ['${{b}}', '${{b}}']\nb: [1]": "refers to b, which is not a plain value",
    f"{GLOBAL}x: &x [1]\ny: *x": "an alias (*name)",
    f"{GLOBAL}x: {'[' * 40}{']' * 40}": "more than 30 levels",
    f"{GLOBAL}x: {'[' * 40000}": "more than 30 levels",
    f"{GLOBAL}x: {'y' * MAX_BYTES}": "at most 100,000 are read",
    f"{GLOBAL}x: {'9' * 5000}": "not a configuration",
    f"{GLOBAL}x: [": "not a configuration",
    "\x00": "not a configuration",
    "# @package a b c\nx: 1": "not a configuration",
    f"{GLOBAL}defaults: {{data: mnist}}": "defaults must be a list",
    f"{GLOBAL}defaults: [3]": "must be OPTION, GROUP: OPTION or _self_",
    f"{GLOBAL}defaults: [{{a: b, c: d}}]": "must be OPTION, GROUP: OPTION or _self_",
    f"{GLOBAL}defaults: [{{a: {{b: c}}}}]": "must be OPTION, GROUP: OPTION or _self_",
    f"{GLOBAL}defaults: [_self_, {{override /hydra/launcher: basic}}]": "override /hydra/launcher",
    f"{GLOBAL}defaults: [_self_, {{override /hydra/job_logging: none}}]": "override /hydra/job_logging",
    f"{GLOBAL}defaults: [_self_, {{/model@hydra.callbacks: nn}}]": "/model@hydra.callbacks",
    f"{GLOBAL}defaults: [_self_, {{/model@a:hydra.callbacks: nn}}]": "/model@a:hydra.callbacks",
    f"{GLOBAL}defaults: [/hydra/job_logging/none]": "/hydra/job_logging/none",
    f"{GLOBAL}defaults: [{{/model: ../model/nn}}]": "points to another folder",
    f"{GLOBAL}defaults: [_self_, {{override /hydra/sweeper: ../../model/nn}}]": "points to another folder",
    f"{GLOBAL}defaults: [{{hydra/callbacks: x}}]": "hydra/callbacks",
}


@pytest.mark.mostly_slow(fast=12)
@pytest.mark.parametrize("content", BEST)
def test_what_a_foreign_file_may_not_do_is_one_line(foreign, content: str) -> None:
    refused(foreign({"experiment/best.yaml": content}), "best.yaml: ", BEST[content])


@pytest.mark.mostly_slow(fast=3)
@pytest.mark.parametrize(
    ("files", "arguments", "named"),
    [  # files of Hydra's own groups, files at other places by a package, and what a file pulls in
        ({"hydra/callbacks/x.yaml": f"x: {TRAP}"}, ["hydra/callbacks=x"], "hydra.callbacks.x._target_"),
        ({"hydra/job_logging/x.yaml": "version: 1"}, ["hydra/job_logging=x"], "hydra.job_logging.version"),
        ({"hydra/sweeper/x.yaml": "_target_: pandas.read_pickle"}, ["hydra/sweeper=x"], "hydra.sweeper._target_"),
        ({"a/x.yaml": f"x: {TRAP}"}, ["+a@hydra.callbacks=x"], "hydra.callbacks.x._target_"),
        ({"experiment/x.yaml": "defaults: [{/callbacks@callbacks: ema}]"}, ["+experiment@hydra=x"], "hydra.callbacks"),
        ({"a/x.yaml": f"{GLOBAL}defaults: [b]", "a/b.yaml": f"x: {TRAP}"}, ["+a@hydra.callbacks=x"], "hydra.callbacks"),
        ({"best.yaml": f"{GLOBAL}ckpt_path: x", "experiment/x.yaml": ""}, ["experiment=../best"], "ckpt_path"),
    ],
)
def test_no_other_way_leads_there(foreign, files: dict[str, str], arguments: list[str], named: str) -> None:
    refused(foreign(files, *arguments), named)


PRIMARY = "# @package _global_\ndefaults: [train, _self_]\nhydra: {run: {dir: elsewhere}}"


@pytest.mark.parametrize(
    "options", ["--config-path={here}", "-cp {here}", "-cd {here} -cn mine", "-cn {up}{here}/mine"]
)
def test_a_primary_configuration_from_elsewhere_is_checked(command_line, tmp_path: Path, options: str) -> None:
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/train.yaml").write_text(PRIMARY.rpartition("\n")[2])
    (tmp_path / "foreign/mine.yaml").write_text(PRIMARY)
    given = options.format(here=tmp_path / "foreign", up="../" * 30).split(" ")
    refused(command_line(*given), "hydra.run.dir=elsewhere")


def test_a_searchpath_in_a_primary_configuration_is_refused(command_line, tmp_path: Path) -> None:
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/mine.yaml").write_text("defaults: [train, _self_]\nhydra: {searchpath: [elsewhere]}")
    refused(command_line("-cd", "foreign", "-cn", "mine"), "hydra.searchpath")


def test_a_searchpath_that_is_typed_is_checked(command_line, tmp_path: Path) -> None:
    (tmp_path / "foreign/experiment").mkdir(parents=True)
    (tmp_path / "foreign/experiment/best.yaml").write_text(f"{GLOBAL}hydra: {{run: {{dir: elsewhere}}}}")
    refused(command_line("hydra.searchpath=[foreign]", "experiment=best"), "hydra.run.dir=elsewhere")


@pytest.mark.parametrize("kind", ["pipe", "zero"])
def test_what_is_no_regular_file_is_not_read(foreign, tmp_path: Path, monkeypatch, kind: str) -> None:
    (tmp_path / "foreign/experiment").mkdir(parents=True)
    path = tmp_path / "foreign/experiment/best.yaml"
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    code, _, errors = foreign({})
    assert code == 2
    assert errors.count("\n") == 1
    # Exchanged after Hydra has looked, and before it is opened:
    looks = FileConfigSource.is_config
    monkeypatch.setattr(
        FileConfigSource,
        "is_config",
        lambda self, name: looks(self, name) or (name, self.path[-7:]) == ("experiment/best", "foreign"),
    )
    refused(foreign({}), "not a regular file")


def test_the_advice_works(foreign) -> None:
    content = {"experiment/best.yaml": f"{GLOBAL}seed: 3\nhydra: {{run: {{dir: elsewhere}}}}"}
    refused(
        foreign(content, "experiment=best"), "remove it from the file; to use it anyway, set it on the command line"
    )
    code, _, errors = foreign(
        {"experiment/best.yaml": f"{GLOBAL}seed: 3"}, "experiment=best", "hydra.run.dir=elsewhere"
    )
    assert code == 0, errors
    assert Run(Path("elsewhere")).metrics["seed"] == 3


def test_what_an_experiment_is_made_of_may_be_set(foreign) -> None:
    own = {
        "model/tiny.yaml": "net: {_target_: ziffern.models.MLP, hidden: [4], num_classes: '${data.num_classes}'}",
        "experiment/best.yaml": f"{GLOBAL}"
        + yaml.safe_dump(
            {
                "defaults": [{"override /model": "tiny"}, {"override /callbacks": "ema"}, {"override /logger": "csv"}],
                "model": {"optimizer": {"lr": 0.01}},
                "logger": {"csv": {"save_dir": "${hydra:runtime.output_dir}/logs", "name": "mine"}},
                "callbacks": {"early_stopping": {"patience": 3, "monitor": "${monitor}"}},
            }
        ),
    }
    typed = ("experiment=best", "hydra.run.dir=run")
    code, _, errors = foreign(own, *typed, "model=tiny", "logger=csv")
    assert code == 0, errors
    assert Run(Path("run")).config["model"]["net"]["hidden"] == [8]  # typed
    assert list(Path("run/logs/mine").iterdir())


@pytest.mark.slow
def test_a_search_of_ones_own_folder(foreign) -> None:
    mine = {
        "defaults": [{"override /hydra/sweeper": "ziffern"}, {"override /hydra/sweeper/sampler": "grid"}],
        "hydra": {"sweeper": {"params": {"model.optimizer.lr": "choice(0.01, 0.001)"}, "keep_best": 1}},
    }
    content = {"hparams_search/mine.yaml": GLOBAL + yaml.safe_dump(mine)}
    code, out, errors = foreign(content, "hparams_search=mine", options=("-m",))
    assert code == 0, errors
    assert "2 complete" in out


def test_a_pickled_configuration_is_not_run_again(command_line, tmp_path: Path) -> None:
    (tmp_path / "config.pickle").write_bytes(pickle.dumps(Trap()))
    for option in ("--experimental-rerun", "--exp", "--experimental-rerun=config.pickle"):
        code, _, errors = command_line(option, "config.pickle")
        assert code == 2
        assert "would unpickle a file" in errors
        assert not (tmp_path / "trapped").exists()


@pytest.mark.slow
def test_the_best_of_ones_own_search_goes_through_the_console_script(foreign, monkeypatch, capsys) -> None:
    foreign({"experiment/best.yaml": f"{GLOBAL}seed: 5"})
    monkeypatch.setattr("sys.argv", ["ziffern", "report", "run"])
    cli()
    assert "run/report.html" in capsys.readouterr().out
