"""A SLURM of one node on this machine: Debian's `slurm-wlm` and `munge`, without accounting and without systemd."""

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd")
CONF = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
KillWait=3
MinJobAge=5
ReturnToService=2
MailProg=/bin/true
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=500
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Return why there can be no SLURM here, or an empty string."""
    path = os.pathsep.join((os.environ["PATH"], "/usr/sbin"))
    absent = [program for program in PROGRAMS if not shutil.which(program, path=path)]
    return f"not installed: {', '.join(absent)} (Debian: slurm-wlm, munge)" if absent else ""


@contextmanager
def cluster(folder: Path) -> Iterator[Path]:
    """Run a cluster; yield its slurm.conf, for SLURM_CONF."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key, conf = folder / "munge.key", folder / "slurm.conf"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(1024))
    host = socket.gethostname().partition(".")[0]
    conf.write_text(CONF.format(folder=folder, host=host, user=getpass.getuser(), ports=_ports()))
    files = {"socket": "munge.socket", "pid-file": "munged.pid", "log-file": "munged.log", "seed-file": "munged.seed"}
    places = [f"--{option}={folder / name}" for option, name in files.items()]
    with ExitStack() as running:
        _start(running, folder, "munged", "--foreground", "--force", f"--key-file={key}", *places)
        _until((folder / "munge.socket").exists, folder)
        _start(running, folder, "slurmctld", "-D", "-f", str(conf))
        _start(running, folder, "slurmd", "-D", "-f", str(conf))
        env = os.environ | {"SLURM_CONF": str(conf)}
        _until(lambda: _output(env, "sinfo", "--noheader", "--format=%T") == "idle\n", folder)
        yield conf


def _start(running: ExitStack, folder: Path, program: str, *arguments: str) -> None:
    env = os.environ | {"PATH": os.pathsep.join((os.environ["PATH"], "/usr/sbin"))}
    with (folder / f"{program}.out").open("w") as output:
        process = subprocess.Popen([program, *arguments], stdout=output, stderr=output, env=env)
    running.callback(process.wait, 30)
    running.callback(process.terminate)


def _output(env: dict[str, str], *command: str) -> str:
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False).stdout


def _until(is_ready: Callable[[], bool], folder: Path) -> None:
    end = time.monotonic() + 60
    while not is_ready():
        if time.monotonic() > end:
            raise TimeoutError("\n".join(path.read_text()[-1000:] for path in folder.glob("*.out")))
        time.sleep(0.2)


def _ports() -> list[int]:
    with ExitStack() as open_sockets:
        sockets = [open_sockets.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        return [one.getsockname()[1] for one in sockets]
