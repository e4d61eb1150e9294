"""From files to batches: sources, data sets, splits and the LightningDataModule."""
