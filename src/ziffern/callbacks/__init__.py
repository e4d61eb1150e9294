"""Lightning callbacks: the checkpoints, the history, the progress and the TensorBoard pictures of a run."""
