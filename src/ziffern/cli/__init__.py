"""The command line: `ziffern …` and the Hydra entry point."""
