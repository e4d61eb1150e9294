"""Lightning callbacks: checkpoints, history and progress of a run, early stopping, averages, and pruning of trials."""

STOP = "stop"  # a file of this name in a run folder ends training after the epoch; the best model is then tested
