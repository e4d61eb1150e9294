"""The page on which people check the doubtful fields of a batch."""
