"""Fully connected networks: the NN (101,770 parameters) and DNN (567,434) of Gómez López and Ulubas (2025)."""

import math
from collections.abc import Sequence

from torch import nn

from ziffern.data.spec import class_count, image_shape
from ziffern.errors import InputError

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "gelu": nn.GELU}


class MLP(nn.Sequential):
    """Linear layers; an activation and dropout after each hidden one.

    Args:
        hidden: Units of each hidden layer; [128] is the NN, [512, 256, 128] the DNN.
        activation: relu, sigmoid, tanh or gelu.
        dropout: Probability of dropping a hidden unit; 0 leaves the layer out.

    Raises:
        InputError: A probability or number of units out of range, or an unknown activation.
    """

    def __init__(
        self,
        hidden: Sequence[int] = (128,),
        activation: str = "relu",
        dropout: float = 0.0,
        image: Sequence[int] | None = None,
        num_classes: int = 10,
    ) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise InputError("models.probability", name="dropout", value=dropout)
        if activation not in ACTIVATIONS:
            raise InputError("models.mlp.activation", activation=activation, known=tuple(ACTIVATIONS))
        if any(units < 1 for units in hidden):
            raise InputError("models.mlp.hidden", hidden=str(list(hidden)))
        layers: list[nn.Module] = [nn.Flatten()]  # (B, C * H * W)
        units = math.prod(image_shape(image))
        for width in hidden:
            layers += [nn.Linear(units, width), ACTIVATIONS[activation]()]
            if dropout:
                layers.append(nn.Dropout(dropout))
            units = width
        self.layers = nn.Sequential(*layers, nn.Linear(units, class_count(num_classes)))
