"""Texts for people: catalogs with one file per language, and text made safe to print."""
