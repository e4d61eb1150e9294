"""Architectures: plain nn.Modules from normalised images (B, 1, 28, 28) to logits (B, C), one a file."""

from ziffern.models.an2020 import An2020
from ziffern.models.cnn import CNN
from ziffern.models.convnet import ConvNet
from ziffern.models.ensemble import Ensemble
from ziffern.models.mlp import MLP
from ziffern.models.views import Views

__all__ = ["CNN", "MLP", "An2020", "ConvNet", "Ensemble", "Views"]
