"""The model card: figures of the run, nothing else, and weights that the Hub's own class loads."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from ziffern.deploy.card import write_card
from ziffern.errors import InputError
from ziffern.runs.builtin import FOLDER
from ziffern.runs.run import Run

IMAGES = torch.randint(0, 256, (5, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def card(imperfect: Run, tmp_path: Path) -> Path:
    return write_card(imperfect, tmp_path / "card")


def test_the_metadata_is_that_of_the_hub(card: Path, imperfect: Run) -> None:
    repocard = pytest.importorskip("huggingface_hub").ModelCard.load(card / "README.md")
    assert repocard.data.library_name == "ziffern"
    assert repocard.data.model_name == imperfect.folder.name
    result = next(item for item in repocard.data.eval_results if item.metric_type == "accuracy")
    assert result.metric_value == imperfect.metrics["test/acc"]
    assert "image-classification" in repocard.data.tags


def test_the_figures_have_their_interval(card: Path, imperfect: Run) -> None:
    text = (card / "README.md").read_text(encoding="utf-8")
    outcome = imperfect.predictions.outcome
    low, high = (f"{100 * end:.2f}%" for end in outcome.interval)
    assert f"{100 * outcome.accuracy:.2f}% (95% interval {low} to {high}; {outcome.correct} of {outcome.total})" in text
    assert "License of the training data: unknown" in text


def test_calibration_is_stated_where_there_is_one(card: Path, imperfect: Run) -> None:
    text = (card / "README.md").read_text(encoding="utf-8")
    assert imperfect.load_inference().counts is not None
    assert f"divided by {imperfect.load_inference().temperature:.4f}" in text
    with_it = f"{100 * imperfect.metrics['test/ece_calibrated']:.2f}%"
    assert f"{100 * imperfect.metrics['test/ece']:.2f}% without the temperature, {with_it} with it." in text
    old = Run(Path(__file__).parents[1] / "fixtures/runs_0_1_0/finished_cnn")
    assert "not calibrated" in (write_card(old, card.parent / "old") / "README.md").read_text(encoding="utf-8")


def test_the_hub_class_loads_the_folder(card: Path, imperfect: Run, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("huggingface_hub")
    from ziffern.deploy.hub import HubModel

    model = HubModel.from_pretrained(card)
    expected = (imperfect.load_model()(IMAGES) / imperfect.load_inference().temperature).softmax(1)
    torch.testing.assert_close(model(IMAGES), expected)
    assert model.facts["class_names"] == list(imperfect.class_names)
    assert not model.training
    model.save_pretrained(card.parent / "again")
    torch.testing.assert_close(HubModel.from_pretrained(card.parent / "again")(IMAGES), expected)


def test_a_card_from_elsewhere_is_not_trusted(card: Path) -> None:
    pytest.importorskip("huggingface_hub")
    from ziffern.deploy.hub import HubModel

    config = json.loads((card / "config.json").read_text())
    for net, code in (
        ({"_target_": "os.system", "command": "true"}, "config.target.standard_library"),
        ({"_target_": "ziffern.models.MLP", "hidden": [10**9]}, "training.weights.other_config"),
    ):
        config["network"]["net"] = net
        (card / "config.json").write_text(json.dumps(config))
        with pytest.raises(InputError) as caught:
            HubModel.from_pretrained(card)
        assert caught.value.code == code


def test_foreign_names_stay_text(imperfect: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("<b>a</b>", "[x](y)", "line\nbreak", *"3456789")
    monkeypatch.setattr(Run, "class_names", names)
    text = (write_card(imperfect, tmp_path / "card") / "README.md").read_text(encoding="utf-8")
    assert "\\<b\\>a\\</b\\>, \\[x\\](y), line\\\\nbreak, 3" in text
    header = yaml.safe_load(text.split("---\n")[1])
    assert header["license"] == "other"


def test_the_output_must_be_a_folder(imperfect: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as caught:
        write_card(imperfect, tmp_path / "file")
    assert caught.value.code == "deploy.export.not_folder"


def test_the_card_of_mnist_names_the_license(imperfect: Run, tmp_path: Path) -> None:
    path = imperfect.folder / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"data/name": "mnist"}))
    text = (write_card(Run(imperfect.folder), tmp_path / "card") / "README.md").read_text(encoding="utf-8")
    assert "commonly stated as CC BY-SA 3.0" in text
    assert yaml.safe_load(text.split("---\n")[1])["datasets"] == ["ylecun/mnist"]
    assert np.isfinite(Run(imperfect.folder).metrics["test/acc"])


def test_the_card_of_the_packaged_model_has_its_figures(tmp_path: Path) -> None:
    text = (write_card(Run(FOLDER), tmp_path / "card") / "README.md").read_text(encoding="utf-8")
    metrics = Run(FOLDER).metrics
    assert f"{metrics['test/correct']:,} of {metrics['test/total']:,}" in text
    assert "not tested" not in text
    result = yaml.safe_load(text.split("---\n")[1])["model-index"][0]["results"][0]
    assert metrics["data/split"] in result["dataset"]["name"]


def test_a_leak_is_not_called_independent(imperfect: Run, tmp_path: Path) -> None:
    path = imperfect.folder / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"data/leak": "validated on the test part"}))
    text = (write_card(Run(imperfect.folder), tmp_path / "card") / "README.md").read_text(encoding="utf-8")
    assert "validated on the test part" in text
    assert "neither for training" not in text
