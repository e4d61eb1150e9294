"""From files to batches: sources, the data set they yield, its splits, and the LightningDataModule."""
