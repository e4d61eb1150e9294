"""Reading the study of a search."""
