"""Sources of images, the targets in conf/data."""

from ziffern.data.sources.source import Embedded, Local, Source, Torchvision

__all__ = ["Embedded", "Local", "Source", "Torchvision"]
