"""Readers of data files that somebody else wrote."""
