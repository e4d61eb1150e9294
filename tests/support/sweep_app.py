"""A small Hydra application that knows nothing of ziffern, to sweep over; also run as a program."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import hydra
import optuna
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

CONFIG = {
    "defaults": ["_self_", {"db": "mysql"}],
    **{
        "x": 0,
        "y": 0,
        "z": None,
        "text": "a",
        "seconds": 0,
        "fail": [],
        "exit": [],
        "nan": [],
        "scores": [],
        "prune": False,
        "two": False,
        "spoil": False,
        "threads": None,
        "slow": [],
        "poison": [],
        "children": False,
    },
}
store = ConfigStore.instance()
store.store(name="sweep_app", node=CONFIG)
store.store(group="db", name="mysql", node={"name": "mysql"})
store.store(group="db", name="postgres", node={"name": "postgres", "port": 1})
store.store(group="more", name="postgres", node={"port": 5432})


def job(cfg: DictConfig) -> object:
    from hydra_study import current_trial

    mine = HydraConfig.get().job
    number = -1 if OmegaConf.is_missing(mine, "num") else mine.num
    with Path("started.log").open("a") as file:
        file.write(f"{number}\n")
    print("hello from", number, "in process", os.getpid())
    if number in cfg.poison:
        os.kill(os.getpid(), signal.SIGKILL)
    if cfg.children:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        Path(f"child.{child.pid}").touch()
    try:
        time.sleep(60 if number in cfg.slow else cfg.seconds)
    except KeyboardInterrupt as error:
        raise AttributeError("from a clean-up") if cfg.spoil else error from None
    (Path(HydraConfig.get().runtime.output_dir) / "weights").mkdir(exist_ok=True)
    if number in cfg.exit:
        marker = Path(f"exited.{number}")
        if not marker.exists():
            marker.touch()
            os._exit(0)
    if number in cfg.fail:
        raise RuntimeError("on <purpose>")
    if number in cfg.nan:
        return float("nan")
    if cfg.scores:
        return float(cfg.scores[number])
    trial = current_trial()
    if cfg.prune:
        for step in range(5):
            trial.report(cfg.x + step, step)
            if trial.should_prune():
                raise optuna.TrialPruned
    with Path("ended.log").open("a") as file:
        file.write(f"{number}\n")
    score = (cfg.x - 3) ** 2 + cfg.y
    return [score, cfg.x] if cfg.two else score


main = hydra.main(version_base="1.3", config_path=str(Path(__file__).parent), config_name="sweep_app")(job)

if __name__ == "__main__":
    main()
