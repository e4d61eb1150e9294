"""Fully connected networks: the second document's NN (101,770 parameters) and DNN (567,434)."""

from collections.abc import Sequence

from torch import Tensor, nn

from ziffern.errors import InputError
from ziffern.models.ranges import check_probability

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
}


class MLP(nn.Module):
    """Linear layers with an activation, and dropout after each hidden one.

    Args:
        hidden: Units of each hidden layer; [128] is the NN, [512, 256, 128] the DNN.
        activation: relu, sigmoid, tanh or gelu.
        dropout: Probability of dropping a hidden unit; 0 leaves the layer out.
        num_classes: Logits an image.
    """

    def __init__(
        self,
        hidden: Sequence[int] = (128,),
        activation: str = "relu",
        dropout: float = 0.0,
        num_classes: int = 10,
    ) -> None:
        super().__init__()
        check_probability("dropout", dropout)
        if activation not in ACTIVATIONS:
            raise InputError(f"model.net.activation={activation}: expected one of {', '.join(ACTIVATIONS)}")
        if any(units < 1 for units in hidden):
            raise InputError(f"model.net.hidden={list(hidden)}: each layer needs at least 1 unit")
        layers: list[nn.Module] = [nn.Flatten()]  # (B, 784)
        units = 28 * 28
        for width in hidden:
            layers += [nn.Linear(units, width), ACTIVATIONS[activation]()]
            if dropout:
                layers.append(nn.Dropout(dropout))
            units = width
        self.layers = nn.Sequential(*layers, nn.Linear(units, num_classes))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, C) of images (B, 1, 28, 28)."""
        logits: Tensor = self.layers(images)
        return logits
