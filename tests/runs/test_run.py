import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ziffern.errors import InputError
from ziffern.runs.run import Run


def test_the_loaded_model_says_what_was_imperfect(imperfect: Run, digits_npz: Path) -> None:
    with np.load(digits_npz) as file:
        images = np.concatenate([file["x_train"], file["x_test"]])
    said = imperfect.predictions
    with torch.no_grad():
        probability = imperfect.load_model()(torch.from_numpy(images[said.index])).softmax(1).numpy()
    assert np.allclose(probability, said.probability, atol=1e-6)


def test_a_moved_folder_is_still_whole(imperfect: Run, tmp_path: Path) -> None:
    moved = Run(imperfect.folder.rename(tmp_path / "elsewhere"))
    assert moved.metrics["data/name"] == "tiny"
    assert len(moved.history) == 1
    assert not moved.load_model().training


@pytest.mark.parametrize(
    ("file", "content", "use"),
    [
        ("metrics.json", "{broken", lambda run: run.metrics),
        ("history.csv", "epoch,step\n1,many\n", lambda run: run.history),
        ("predictions.npz", "no archive", lambda run: run.predictions),
        ("checkpoints/best.ckpt", "no checkpoint", lambda run: run.load_model()),
        (".hydra/config.yaml", "- a list\n", lambda run: run.config),
    ],
)
def test_a_damaged_file_is_named(imperfect: Run, file: str, content: str, use) -> None:
    (imperfect.folder / file).write_text(content)
    with pytest.raises(InputError, match=file.rsplit("/", maxsplit=1)[-1]) as error:
        use(imperfect)
    assert "\n" not in str(error.value)


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not a run folder, because it has no \.hydra/config\.yaml"):
        _ = Run(tmp_path).metrics


def test_object_arrays_are_not_unpickled(imperfect: Run) -> None:
    trap = np.array([{"a": 1}], dtype=object)
    np.savez(imperfect.folder / "predictions.npz", index=trap, target=trap, probability=trap)
    with pytest.raises(InputError, match=r"predictions\.npz"):
        _ = imperfect.predictions


def test_a_config_with_a_foreign_target_builds_nothing(imperfect: Run) -> None:
    path = imperfect.folder / ".hydra" / "config.yaml"
    path.write_text(path.read_text().replace("ziffern.models.MLP", "os.system"))
    with pytest.raises(InputError, match=r"os\.system is not allowed"):
        imperfect.load_model()


def test_metrics_are_valid_json(imperfect: Run) -> None:
    text = (imperfect.folder / "metrics.json").read_text()
    assert "NaN" not in text
    assert json.loads(text) == imperfect.metrics


def test_a_run_needs_no_file_of_weights_that_it_started_from(run, tmp_path: Path) -> None:
    import torch
    import torchvision

    torch.save(torchvision.models.squeezenet1_1(weights=None).state_dict(), tmp_path / "weights.pth")
    small = ("model=resnet18", "model.net.name=squeezenet1_1", "data.image=[3,32,32]", "trainer.max_epochs=0")
    finished = run(*small, f"model.net.weights_file={tmp_path}/weights.pth")
    (tmp_path / "weights.pth").unlink()
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    assert finished.load_model()(images).shape == (2, 10)
    assert finished.material is not None
    assert finished.material.example_image.shape == (5, 3, 32, 32)
    assert finished.predictions.mistake_image.shape[1:] == (3, 32, 32)
    assert any(note.startswith("400 pictures were resized") for note in finished.metrics["data/notes"])
