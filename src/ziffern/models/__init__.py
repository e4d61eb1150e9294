"""Architectures: plain nn.Modules from normalized images (B, C, H, W) to logits (B, K).

All take `image` (channels, height and width of the images; None is MNIST's shape) and `num_classes` (logits per image).
A subclass of nn.Sequential runs its attributes in the order of their assignment.
"""

from ziffern.models.averaging import Ensemble, Views
from ziffern.models.cnn import CNN
from ziffern.models.convnet import An2020, ConvNet
from ziffern.models.mlp import MLP
from ziffern.models.torchvision_classifier import TorchvisionClassifier

__all__ = ["CNN", "MLP", "An2020", "ConvNet", "Ensemble", "TorchvisionClassifier", "Views"]
