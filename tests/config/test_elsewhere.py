"""Names of lightning-hydra-template and of Lightning: one line names what replaces each here, and it exists."""

import shlex

import pytest
import yaml

from ziffern.cli.train import train
from ziffern.config.elsewhere import TABLE, replacement

NAMES = yaml.safe_load(TABLE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("override", "fix"),
    [
        ("data.train_val_test_split=[1,2,3]", "use one of data.fractions=[0.6,0.2,0.2], data.split=official"),
        ("paths.data_dir=x", "use data.dir"),
        ("datamodule.batch_size=64", "use data.batch_size"),
        ("callbacks.model_checkpoint.save_top_k=2", "checkpoints cannot be configured"),
        ("hparams_search=mnist_optuna", "use hparams_search=tpe"),
        ("logger=many_loggers", "use logger=many"),
        ("logger=neptune", "Neptune has shut down its service"),
        ("data.num_workers=4", "all images are in memory"),
        ("trainer.fast_dev_run=true", "use debug=fdr"),
        ("trainer.min_epochs=1", "write +trainer.min_epochs=1"),
        ("logger.wandb.offline=false", "add logger=wandb, or write +logger.wandb.offline=false"),
        ("debug=true", "debug=True: no such option. Available: default, fdr"),
        ("debug=fdr,limit", """quote it: 'debug="fdr,limit"'"""),
    ],
)
def test_a_habit_is_answered_in_one_line(override: str, fix: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        train([override, "--cfg", "job"])
    text = capsys.readouterr().err
    assert (caught.value.code, text.count("\n")) == (2, 1)
    assert fix in text


@pytest.mark.parametrize(
    "overrides", [fix for fixes in NAMES["replaced"].values() for fix in ([fixes] if isinstance(fixes, str) else fixes)]
)
def test_every_replacement_exists(overrides: str, composed) -> None:
    composed(*(item for item in shlex.split(overrides) if "=" in item))


@pytest.mark.parametrize("name", [name for names in NAMES.values() for name in names])
def test_every_name_has_a_message_in_both_languages(name: str) -> None:
    error = replacement(name)
    assert error is not None
    assert name in error.message.in_language("en")
    assert name in error.message.in_language("de")


def test_names_of_ours_are_left_alone() -> None:
    for name in ("data.dir", "callbacks.early_stopping.patience", "logger=wandb", "trainer=mps", "model.net.hidden"):
        assert replacement(name) is None
