"""Registers the sweeper with Hydra, which imports every module below `hydra_plugins` at each start of any app."""
