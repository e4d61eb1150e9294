"""Plain functions on arrays: what the numbers of a finished run say. No Lightning, no configuration."""
