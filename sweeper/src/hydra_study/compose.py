"""The configuration of a job, composed once for all jobs that differ in values alone.

Decision: Hydra composes each job of a sweep anew, which takes most of the time of a short one. Its last step sets the
values of the command; only this step is done again where jobs choose the same options. It uses names that Hydra keeps
to itself: where these are missing, as in 1.4, Hydra composes each job.
"""

import copy

from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

_dirname = getattr(config_loader_impl, "get_overrides_dirname", None)
MAX_KEPT = 16  # compositions


class Composer:
    """Composes the configurations of jobs.

    Args:
        loader: Hydra's.
        sweep: Hydra's configuration of the sweep.
    """

    def __init__(self, loader: ConfigLoader, sweep: DictConfig) -> None:
        self._loader, self._sweep = loader, sweep
        self._kept: dict[tuple[str, ...], DictConfig] = {}

    def compose(self, lines: list[str]) -> DictConfig:
        """Return what `load_sweep_config` returns."""
        loader = self._loader
        if (
            _dirname is None
            or not isinstance(loader, ConfigLoaderImpl)
            or OmegaConf.select(self._sweep, "hydra.searchpath")
        ):
            return loader.load_sweep_config(self._sweep, lines)
        overrides = OverridesParser.create().parse_overrides(lines)
        values = [
            item
            for item in overrides
            if item.package is None
            and not item.is_hydra_override()
            and (isinstance(item.value(), dict) or not loader.repository.group_exists(item.key_or_group))
        ]
        chosen = tuple(str(item.input_line) for item in overrides if item not in values)
        if chosen not in self._kept:
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            self._kept[chosen] = loader.load_sweep_config(self._sweep, list(chosen))
        config = copy.deepcopy(self._kept[chosen])
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
        job, task = config.hydra.job, [item for item in overrides if not item.is_hydra_override()]
        name = job.config.override_dirname
        with read_write(config), open_dict(config):
            config.hydra.overrides.task = [item.input_line for item in task]
            job.override_dirname = _dirname(
                overrides=task, kv_sep=name.kv_sep, item_sep=name.item_sep, exclude_keys=name.exclude_keys
            )
        OmegaConf.copy_cache(from_config=self._sweep, to_config=config)
        return config
