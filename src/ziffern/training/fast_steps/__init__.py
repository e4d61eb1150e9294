"""What makes the short steps of small nets fast; without this package, training is plain Lightning.

Lightning's Trainer works for about 0.3 ms around each `training_step`, whatever happens inside, and a step of a small
net takes not much more. So batches come in lists (`chunks`), as many as take about 50 ms (`pace`), and one
`training_step` takes an optimizer step on each of them (`steps`). Weights, logs and checkpoints are those of plain
Lightning, step by step. `choice` decides when this is possible, and `middle` saves and restores an epoch's progress, so
that a resumed run ends with the weights of an uninterrupted one.

All of it attaches to a Trainer as callbacks: `training/trainer.py` adds them, and the LightningModule and the
LightningDataModule know nothing of them.
"""
