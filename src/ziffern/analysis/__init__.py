"""Plain functions on arrays: scores, statistics and verdicts on finished runs. No Lightning, no configuration."""
