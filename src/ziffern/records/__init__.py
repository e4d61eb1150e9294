"""The files of a run folder: their schema, and readers that trust nothing in them."""
