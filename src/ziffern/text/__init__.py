"""What people read: catalogues of texts, one file per language, and text made safe to print."""
