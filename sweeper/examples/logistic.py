"""Logistic regression by gradient descent on made-up data; unpromising trials are pruned."""

import hydra
import numpy as np
import optuna
from omegaconf import DictConfig

from hydra_study import current_trial


@hydra.main(version_base="1.3", config_path="conf", config_name="logistic")
def main(cfg: DictConfig) -> float:
    """Train on 400 points and return the log loss on 400 others."""
    random = np.random.default_rng(cfg.seed)
    points = random.normal(size=(800, 20))
    labels = (points @ random.normal(size=20) + random.normal(size=800) > 0).astype(float)
    weights, trial, loss = np.zeros(20), current_trial(), float("nan")
    for epoch in range(cfg.epochs):
        errors = probabilities(points[:400], weights) - labels[:400]
        weights -= cfg.lr * (points[:400].T @ errors / 400 + cfg.weight_decay * weights)
        chances = np.clip(probabilities(points[400:], weights), 1e-12, 1 - 1e-12)
        loss = -float(np.mean(np.log(np.where(labels[400:] > 0, chances, 1 - chances))))
        if trial:  # None in a run without a search
            trial.report(loss, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
    print("log loss", loss)
    return loss


def probabilities(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the probability that each label is 1."""
    return 1 / (1 + np.exp(-points @ weights))


if __name__ == "__main__":
    main()
