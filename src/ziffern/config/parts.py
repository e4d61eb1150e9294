"""Completes the callbacks and the loggers of a configuration.

Decision: a block without a `_target_`, such as `+logger.wandb.tags=[a]`, adjusts the option that has a block of this
name; nothing in these groups is dropped silently.
"""

from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

from ziffern.config import conf_folder, suggestion
from ziffern.config.elsewhere import replacement
from ziffern.errors import InputError

GROUPS = ("callbacks", "logger")


def complete_parts(cfg: DictConfig) -> None:
    """Complete both groups in place; one that is missing, null or an empty list becomes an empty mapping.

    Raises:
        InputError: A group or a block is no mapping, or a block has neither a `_target_` nor an option of its name.
    """
    with open_dict(cfg):
        for group in GROUPS:
            nodes: Any = cfg.get(group)
            if nodes is None or (isinstance(nodes, ListConfig) and not nodes):
                nodes = cfg[group] = {}
            if not isinstance(cfg[group], DictConfig):
                raise InputError("config.part.no_mapping", key=group, value=str(nodes), name="NAME", group=group)
            for name, node in cfg[group].items():
                if node is not None:  # a block that the user removed
                    cfg[group][name] = _completed(group, str(name), node)


def _completed(group: str, name: str, node: Any) -> DictConfig:
    if not isinstance(node, DictConfig):
        raise InputError("config.part.no_mapping", key=f"{group}.{name}", value=str(node), name=name, group=group)
    if "_target_" in node:
        return node
    options: dict[str, Any] = {}
    for path in sorted((conf_folder() / group).glob("*.yaml")):
        content = OmegaConf.load(path)
        options |= {str(key): value for key, value in content.items() if "_target_" in (value or {})}
    if name not in options:
        if renamed := replacement(f"{group}.{name}"):
            raise renamed
        known = {"near": suggestion(name, options) or ".", "known": sorted(options), "group": group}
        raise InputError("config.part.no_target", key=f"{group}.{name}", **known)
    completed = OmegaConf.merge(options[name], node)
    assert isinstance(completed, DictConfig)
    return completed
