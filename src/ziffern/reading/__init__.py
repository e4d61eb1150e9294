"""From scanned or photographed pages to numbers: pages, templates, fields, digits, and which values may be accepted."""
