"""CPU threads and processes of a run."""
