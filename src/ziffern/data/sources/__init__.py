"""Where images come from; conf/data names these classes."""

from ziffern.data.sources.source import Embedded, Local, Source, Torchvision

__all__ = ["Embedded", "Local", "Source", "Torchvision"]
