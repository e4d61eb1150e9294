"""From data and a module to a recorded run: the LightningModule, its callbacks, the recorder."""
