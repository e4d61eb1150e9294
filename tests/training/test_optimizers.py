"""What optimizers and schedulers refuse is reported with the setting at fault."""

from functools import partial

import pytest
import torch
from torch import nn

from ziffern.errors import InputError
from ziffern.training.optimizers import Optimization

PARAMETERS = [nn.Parameter(torch.zeros(3))]
ADAM = partial(torch.optim.Adam, lr=0.1)


@pytest.mark.parametrize(
    ("maker", "code"),
    [
        (partial(torch.optim.Adam, lr=-1.0), "training.optimizer.bad_lr"),
        (partial(torch.optim.Adam, lr="fast"), "training.optimizer.bad_lr"),
        (partial(torch.optim.Adam, betas=(2.0, 0.9)), "training.optimizer.bad_setting"),
        (torch.optim.LBFGS, "training.optimizer.lbfgs"),
    ],
)
def test_an_optimizer_is_refused(maker, code: str) -> None:
    with pytest.raises(InputError) as error:
        Optimization(maker).make_optimizer(PARAMETERS)
    assert error.value.code == code


@pytest.mark.parametrize(
    ("fuse", "wanted", "fused"), [(True, {}, True), (False, {}, None), (True, {"fused": False}, False)]
)
def test_the_fused_kernel_is_used_unless_a_setting_chooses(
    fuse: bool, wanted: dict[str, bool], fused: bool | None
) -> None:
    optimizer = Optimization(partial(ADAM, **wanted), fuse=fuse).make_optimizer(PARAMETERS)
    assert optimizer.param_groups[0]["fused"] is fused


def test_a_scheduler_that_takes_total_steps_steps_each_batch() -> None:
    one_cycle, decay = partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=1.0), torch.optim.lr_scheduler.ExponentialLR
    each, epoch, none = (Optimization(ADAM, maker) for maker in (one_cycle, partial(decay, gamma=0.9), None))
    assert [recipe.steps_each_batch for recipe in (each, epoch, none)] == [True, False, False]
    assert each.make_scheduler(ADAM(PARAMETERS), total_steps=7).total_steps == 7
    assert none.make_scheduler(ADAM(PARAMETERS), total_steps=7) is None
    with pytest.raises(InputError, match=r"model\.scheduler: .*use a value that this scheduler accepts"):
        Optimization(ADAM, partial(one_cycle, pct_start=5.0)).make_scheduler(ADAM(PARAMETERS), total_steps=7)
