"""What a process knows of its machine: threads, and the other processes of a run."""
