"""Architectures: plain nn.Modules from normalized images (B, C, H, W) to logits (B, K), one per file.

A subclass of nn.Sequential runs its attributes in the order of their assignment.
"""

from ziffern.models.an2020 import An2020
from ziffern.models.cnn import CNN
from ziffern.models.convnet import ConvNet
from ziffern.models.ensemble import Ensemble
from ziffern.models.mlp import MLP
from ziffern.models.torchvision_classifier import TorchvisionClassifier
from ziffern.models.views import Views

__all__ = ["CNN", "MLP", "An2020", "ConvNet", "Ensemble", "TorchvisionClassifier", "Views"]
