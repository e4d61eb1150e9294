"""Weights in the safetensors format, with the network's configuration in the file's metadata.

Decisions: nothing is unpickled; a file may come from anybody, so its configuration is built through the allow list, and
only with as much memory as the file's weights need.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ziffern.deploy.network import Network
from ziffern.errors import InputError
from ziffern.files.untrusted import open_regular, reading
from ziffern.records.checkpoint import MAX_BYTES
from ziffern.training.loading import with_weights

KEY = "ziffern"  # in the metadata: the configuration as JSON
Config = dict[str, Any]  # config.json: the facts of an export, and `network` with `net` and `normalize`


def weights_file(network: Network, config: Mapping[str, Any]) -> bytes:
    """Return the content of a safetensors file of a network; `config` has its facts, and its configuration."""
    from safetensors.torch import save

    weights = {name: tensor.detach().contiguous().clone() for name, tensor in network.state_dict().items()}
    return save(weights, {"format": "pt", KEY: json.dumps(dict(config))})


def load_weights(path: Path, config: Mapping[str, Any] | None = None) -> tuple[Network, Config]:
    """Return the network of a safetensors file, ready to predict, and its configuration.

    Args:
        path: The file.
        config: A configuration from elsewhere, such as config.json; None is the one in the file.

    Raises:
        InputError: The file cannot be read, or is not one of ziffern, or its weights do not fit its configuration, or
            that names something that is not allowed.
    """
    with reading(path), open_regular(path, MAX_BYTES) as file:
        return parse_weights(file.read(), path, config)


def parse_weights(content: bytes, path: Path, config: Mapping[str, Any] | None = None) -> tuple[Network, Config]:
    """Return the network of the content of a safetensors file; the rest is that of `load_weights`."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        weights = load(content)
        if config is None:
            header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
            config = json.loads(header["__metadata__"][KEY])
        facts = dict(config)
        network, temperature = dict(facts["network"]), float(facts["temperature"])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError("deploy.weights.damaged", path=path, reason=error) from error
    if not 0 < temperature < float("inf"):
        raise InputError("deploy.weights.damaged", path=path, reason=f"temperature={temperature}")
    return with_weights(lambda _: Network.of_config(network, temperature), weights, path), facts
