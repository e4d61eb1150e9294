"""How the processes of DDP are started and ended: as Lightning does it, but for two of its ways.

Decisions: its observer kills the first process without a message when another one is lost; at SIGTERM, it exchanges
messages within the signal handler, which blocks all processes where they are exchanging others.
"""

import signal
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.strategies.launchers.subprocess_script import _SubprocessScriptLauncher
from pytorch_lightning.utilities.exceptions import SIGTERMException

from ziffern.machine import companions


class Launcher(_SubprocessScriptLauncher):
    """Lightning's launcher, whose processes end together (`ziffern.machine.companions`)."""

    def launch(self, function: Callable[..., Any], *args: Any, trainer: pl.Trainer | None = None, **kwargs: Any) -> Any:
        """Start the other processes unless they run already, and call `function`."""
        if not self.cluster_environment.creates_processes_externally:
            companions.announce()
            self._call_children_scripts()  # from here on they count as created externally
            companions.watch(self.procs)
        return super().launch(function, *args, trainer=trainer, **kwargs)

    def kill(self, signum: signal.Signals | int) -> None:
        """Send a signal to the other processes, which are not needed any more."""
        companions.kill(signum)


class Termination(pl.Callback):
    """Ends a training of several processes at SIGTERM: the first process ends those that it has started.

    Raises:
        SIGTERMException: In the process that received it.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Replace Lightning's handler, which it removes when training ends."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN if companions.is_started() else _terminate)

    on_test_start = on_train_start


def _terminate(number: int, frame: object) -> None:
    companions.kill()
    raise SIGTERMException


def use_own_launcher(trainer: pl.Trainer) -> None:
    """Replace Lightning's launcher, and its handler of SIGTERM, in a trainer of several processes."""
    launcher = trainer.strategy.launcher
    if isinstance(launcher, _SubprocessScriptLauncher):
        trainer.strategy._launcher = Launcher(launcher.cluster_environment, launcher.num_processes, launcher.num_nodes)
        trainer.callbacks.append(Termination())  # type: ignore[attr-defined]  # set by its connector
