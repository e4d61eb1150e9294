"""The published compact CNN (Lin 2024): 21,840 parameters at ten classes."""

from torch import Tensor, nn

from ziffern.models.ranges import check_probability


class CNN(nn.Module):
    """Two 5×5 convolutions with max-pooling, then two linear layers.

    Channel dropout stands before the second pooling, as published. The published log-softmax is part of
    the loss here: cross-entropy on logits is the same function.

    Args:
        conv_dropout: Probability of dropping a whole channel after the second convolution.
        dropout: Probability of dropping a hidden unit of the linear layer.
        num_classes: Logits an image.
    """

    def __init__(self, conv_dropout: float = 0.5, dropout: float = 0.5, num_classes: int = 10) -> None:
        super().__init__()
        check_probability("conv_dropout", conv_dropout)
        check_probability("dropout", dropout)
        self.features = nn.Sequential(
            nn.Conv2d(1, 10, kernel_size=5),  # (B, 10, 24, 24)
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(10, 20, kernel_size=5),  # (B, 20, 8, 8)
            nn.Dropout2d(conv_dropout),
            nn.MaxPool2d(2),
            nn.ReLU(),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),  # (B, 320)
            nn.Linear(320, 50),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(50, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, C) of images (B, 1, 28, 28)."""
        logits: Tensor = self.classifier(self.features(images))
        return logits
