"""Images to predict on, from anything: arrays, tensors, PIL images, files, folders and archives."""

from ziffern.data.inputs.groups import Batch
from ziffern.data.inputs.preparing import prepared_picture
from ziffern.data.inputs.stream import ImageStream, images_of

__all__ = ["Batch", "ImageStream", "images_of", "prepared_picture"]
