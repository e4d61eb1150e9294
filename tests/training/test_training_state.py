"""A damaged or foreign checkpoint is refused, and nothing in it is executed."""

from pathlib import Path

import pytest
import torch

from ziffern.errors import InputError


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x80\x04garbage", b"PK\x03\x04" + bytes(40)])
def test_a_damaged_checkpoint_is_refused(run, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged.ckpt"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a readable checkpoint"):
        run(f"ckpt_path={path}")


def test_a_truncated_checkpoint_is_refused(run, trained) -> None:
    path = trained(folder="first").folder / "checkpoints" / "last.ckpt"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="not a readable checkpoint"):
        run(f"ckpt_path={path}", folder="second")


def test_a_pickle_in_a_checkpoint_is_never_run(run, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "trapped",))

    torch.save({"state_dict": {}, "epoch": 1, "trap": Trap()}, tmp_path / "trap.ckpt")
    with pytest.raises(InputError, match=r"pickled objects .*which are never loaded"):
        run(f"ckpt_path={tmp_path}/trap.ckpt")
    assert not (tmp_path / "trapped").exists()


def test_checkpoints_hold_plain_values_only(trained) -> None:
    for name in ("best", "last"):
        content = torch.load(trained(folder=name).folder / "checkpoints" / f"{name}.ckpt", weights_only=True)
        assert content["ziffern"]["data"] == "tiny"
