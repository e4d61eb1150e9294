"""Any classifier of torchvision by name, such as resnet18."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ziffern.data.spec import COLORS, class_count, image_shape
from ziffern.errors import InputError
from ziffern.files.untrusted import open_regular, reading
from ziffern.text.printable import reason

MAX_BYTES = 4 * 2**30  # of a file of weights
RESERVED = ("weights", "progress", "num_classes", "pretrained", "weights_backbone")  # arguments not allowed in YAML
AUXILIARY_LOGITS = ("googlenet", "inception_v3")  # by default they also return logits of earlier layers
COUNTER = "num_batches_tracked"  # of batch norm; missing from older files of torchvision


class TorchvisionClassifier(nn.Module):
    """A classifier of torchvision.models; it takes color images, and gray ones are repeated for each color.

    Args:
        name: One of `torchvision.models.list_models(module=torchvision.models)`, such as resnet18.
        weights_file: A file of initial weights (a state_dict, as published by torchvision); the last layer keeps its
            random weights if the number of classes differs. Nothing is downloaded.
        options: Further arguments of its builder, such as `image_size: 32` of vit_b_16.

    Raises:
        InputError: An unknown name or option, images with neither one nor three channels, or weights that cannot be
            read or belong to another classifier.
    """

    def __init__(
        self,
        name: str,
        weights_file: str | None = None,
        image: Sequence[int] | None = None,
        num_classes: int = 10,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        import torchvision.models

        known = torchvision.models.list_models(module=torchvision.models)
        channels, num_classes = image_shape(image)[0], class_count(num_classes)
        if name not in known:
            raise InputError("models.torchvision.name", name=name, known=known)
        if channels not in (1, COLORS):
            raise InputError("models.torchvision.channels", channels=channels)
        more = dict(options or {})
        if wrong := [key for key in more if key in RESERVED]:
            raise InputError("models.torchvision.option", name=name, option=wrong[0])
        if name in AUXILIARY_LOGITS:
            more |= {"aux_logits": False, "init_weights": True}
        try:
            self.net: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=num_classes, **more)
        except (TypeError, ValueError) as error:
            raise InputError("models.torchvision.options", name=name, reason=reason(error)) from error
        if weights_file is not None:
            self._load(Path(weights_file).expanduser())

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, num_classes) of images (B, 1, H, W) or (B, 3, H, W)."""
        logits: Tensor = self.net(images.expand(-1, COLORS, -1, -1))
        return logits

    def _load(self, path: Path) -> None:
        """Load the weights in a file, except those of the last layer if its number of classes differs."""
        with reading(path), open_regular(path, MAX_BYTES) as file:
            try:
                weights = torch.load(file, map_location="cpu", weights_only=True)
            except OSError:
                raise
            except Exception as error:  # parsing a damaged file may raise any error
                raise InputError("models.torchvision.damaged", path=path, reason=reason(error)) from error
        own = {key: tensor for key, tensor in self.net.state_dict().items() if not key.endswith(COUNTER)}
        head = next(reversed(own)).rpartition(".")[0]
        known = {key: value for key, value in weights.items() if key in own} if isinstance(weights, Mapping) else {}
        matching = {key: value for key, value in known.items() if getattr(value, "shape", None) == own[key].shape}
        if any(key.rpartition(".")[0] != head for key in own.keys() - matching.keys()):
            raise InputError("models.torchvision.wrong_weights", path=path)
        self.net.load_state_dict(matching, strict=False)
