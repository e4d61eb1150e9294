"""Reading files that somebody else may have written, and writing files atomically."""
