"""What only a GPU can show."""

import pytest
import torch

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


@pytest.mark.parametrize("model", ["cnn", "nn", "dnn"])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_gpu_learns(run, model: str, precision: str) -> None:
    settings = (f"model={model}", f"trainer.precision={precision}", "model.optimizer.lr=0.003")
    finished = run("trainer.accelerator=gpu", "trainer.max_epochs=20", *settings, name=model)
    assert finished.metrics["test/acc"] > 0.8


def test_the_data_lies_on_the_gpu(composed) -> None:
    from ziffern.config.instantiate import build

    data = build(composed("trainer.accelerator=gpu").data, "data")
    data.setup()
    data.trainer = type("Trainer", (), {})()
    data.trainer.strategy = type("Strategy", (), {"root_device": torch.device("cuda", 0)})()
    images, labels = next(iter(data.test_dataloader()))
    assert images.is_cuda
    assert labels.is_cuda
