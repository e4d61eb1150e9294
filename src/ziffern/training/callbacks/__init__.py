"""Lightning callbacks: the checkpoints, the history, the progress and the TensorBoard pictures of a run."""

STOP = "stop"  # a file of this name in a run folder ends the training after the epoch: the best model is tested
