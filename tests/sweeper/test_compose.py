"""A job's configuration is the one that Hydra itself composes."""

import pytest
from hydra import initialize
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode
from omegaconf import OmegaConf
from tests.support import sweep_app

from hydra_study.compose import Composer

JOBS = (
    ["x=1"],
    ["x=2", "db=postgres"],
    ["db=postgres", "db.port=7", "x=3"],
    ["~seconds", "text='a b'", "+more@foo=postgres", "foo.port=3"],
    ["+new={a: 1, b: [1, 2]}", "++x=3", "hydra.job.name=other"],
    ["db={name: other}"],
    ["db=postgres", "x=4"],
    [],
)


@pytest.fixture
def loader() -> ConfigLoaderImpl:
    assert sweep_app.main
    GlobalHydra.instance().clear()
    with initialize(version_base="1.3", config_path=None):
        found = GlobalHydra.instance().config_loader()
    assert isinstance(found, ConfigLoaderImpl)
    return found


def test_a_job_is_composed_as_by_hydra(loader: ConfigLoaderImpl) -> None:
    sweep = loader.load_configuration("sweep_app", ["hydra.sweep.dir=x", "text=b"], RunMode.MULTIRUN)
    composer = Composer(loader, sweep)
    for job in (*JOBS, *JOBS):
        own, hydras = composer.compose(job), loader.load_sweep_config(sweep, job)
        assert OmegaConf.to_container(own, resolve=False) == OmegaConf.to_container(hydras, resolve=False)
        assert own.hydra.job.override_dirname == hydras.hydra.job.override_dirname
        for node in ("hydra", "db", "hydra.overrides"):
            flags = [OmegaConf.select(config, node)._metadata.flags for config in (own, hydras)]
            assert flags[0] == flags[1]
    assert OmegaConf.is_struct(own)


def test_a_wrong_override_is_hydras_own_error(loader: ConfigLoaderImpl) -> None:
    sweep = loader.load_configuration("sweep_app", [], RunMode.MULTIRUN)
    for job in (["nothing=1"], ["+x=1"], ["~nothing"], ["db=oracle"], ["other@x=1"]):
        errors = []
        for compose in (Composer(loader, sweep).compose, lambda job: loader.load_sweep_config(sweep, job)):
            with pytest.raises(ConfigCompositionException) as error:
                compose(job)
            errors.append(str(error.value))
        assert errors[0] == errors[1]
