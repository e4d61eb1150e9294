"""Finished runs as values: what is in them, what follows from them, how they compare."""
