"""Threads, and the other processes of a run."""
