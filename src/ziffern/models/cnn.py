"""The published compact CNN (Lin 2024): 21,840 parameters at ten classes and MNIST's shape."""

from collections.abc import Sequence

from torch import nn

from ziffern.data.spec import class_count, image_shape, in_words
from ziffern.errors import InputError


class CNN(nn.Sequential):
    """Two 5×5 convolutions with max-pooling, then two linear layers; (B, C, H, W) to (B, num_classes).

    Channel dropout comes before the second pooling, as published. The published log-softmax is part of the loss here:
    cross-entropy on logits is the same function.

    Args:
        conv_dropout: Probability of dropping a whole channel after the second convolution.
        dropout: Probability of dropping a hidden unit of the linear layer.

    Raises:
        InputError: A probability out of range, or images smaller than 16×16.
    """

    def __init__(
        self, conv_dropout: float = 0.5, dropout: float = 0.5, image: Sequence[int] | None = None, num_classes: int = 10
    ) -> None:
        super().__init__()
        for name, value in (("conv_dropout", conv_dropout), ("dropout", dropout)):
            if not 0 <= value < 1:
                raise InputError("models.probability", name=name, value=value)
        channels, *size = image_shape(image)
        height, width = (((side - 4) // 2 - 4) // 2 for side in size)
        if min(height, width) < 1:
            raise InputError("models.cnn.too_small", size=in_words(size), minimum=in_words((16, 16)))
        self.features = nn.Sequential(
            nn.Conv2d(channels, 10, kernel_size=5),  # (B, 10, 24, 24) of 28×28
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(10, 20, kernel_size=5),  # (B, 20, 8, 8)
            nn.Dropout2d(conv_dropout),
            nn.MaxPool2d(2),
            nn.ReLU(),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),  # (B, 320) of 28×28
            nn.Linear(20 * height * width, 50),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(50, class_count(num_classes)),
        )
