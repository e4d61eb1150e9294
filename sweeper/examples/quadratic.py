"""The smallest search: find the lowest point of a bowl."""

import hydra
from omegaconf import DictConfig


@hydra.main(version_base="1.3", config_path="conf", config_name="quadratic")
def main(cfg: DictConfig) -> float:
    """Return the height at (x, y); it is lowest, 0, at (3, -1)."""
    return float((cfg.x - 3) ** 2 + (cfg.y + 1) ** 2)


if __name__ == "__main__":
    main()
