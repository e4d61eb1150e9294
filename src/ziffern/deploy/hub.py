"""A model as the Hugging Face Hub loads it: `HubModel.from_pretrained(FOLDER)`, also without a network.

Needs huggingface_hub. config.json and model.safetensors are those of `ziffern card`, and are not trusted: they are
compared before a net of their size is built, and weights in a pickle are never read.
"""

from pathlib import Path
from typing import Any

from huggingface_hub import PyTorchModelHubMixin, constants, hf_hub_download

from ziffern.deploy.network import Network
from ziffern.deploy.weights import load_weights


class HubModel(Network, PyTorchModelHubMixin, library_name="ziffern", tags=["image-classification"]):
    """A network that maps uint8 images (N, C, H, W) to probabilities (N, K); `facts` has class names and the rest.

    Args:
        network: `net` and `normalize` of a model's configuration.
        temperature: By which logits are divided.
        facts: Further entries of config.json.
    """

    def __init__(self, network: dict[str, Any], temperature: float = 1.0, **facts: Any) -> None:
        own = Network.of_config(network, temperature)
        super().__init__(own.net, own.normalize, temperature)
        self.facts = facts

    @classmethod
    def _from_pretrained(
        cls, *, model_id: str, map_location: str = "cpu", strict: bool = True, **given: Any
    ) -> "HubModel":
        download = ("revision", "cache_dir", "force_download", "local_files_only", "token")
        options = {key: given.pop(key) for key in download if key in given}
        path = Path(model_id, constants.SAFETENSORS_SINGLE_FILE)
        if not Path(model_id).is_dir():  # the cache of downloads consists of links
            path = Path(hf_hub_download(model_id, constants.SAFETENSORS_SINGLE_FILE, **options)).resolve()
        weights = load_weights(path, given)[0].state_dict()
        model = cls(**given)
        model.load_state_dict(weights)
        return model.to(map_location).eval()
