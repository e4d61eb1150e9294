"""Makes the short steps of small nets fast; without this package, training is plain Lightning.

Lightning's Trainer spends about 0.3 ms around each `training_step`, whatever it does, and a step of a small net takes
little more. So batches come in lists (`chunks`), as many as take about 50 ms (`pace`), and one
`training_step` takes an optimizer step on each of them (`steps`). Weights, logs and checkpoints are those of plain
Lightning, step by step. `choice` decides when this is possible, and `middle` saves and restores an epoch's progress, so
that a resumed run ends with the weights of an uninterrupted one.

All of it attaches to a Trainer as callbacks: `training/trainer.py` adds them, and the LightningModule and the
LightningDataModule do not refer to them. To delete it, pass the settings without `micro_steps` and no step callbacks in
`trainer.py`, and drop the calls of `check_middle` and `MiddleOfEpoch.resume` in `training_state.py` and `resuming.py`.
"""
