"""Sources of images, the targets in conf/data."""

from ziffern.data.sources.from_dataset import FromDataset
from ziffern.data.sources.source import Embedded, Local, Source, Torchvision

__all__ = ["Embedded", "FromDataset", "Local", "Source", "Torchvision"]
