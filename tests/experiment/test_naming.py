"""Names of run folders, sweep folders and studies: the same from the command line and from Python."""

import re
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from ziffern.config import conf_folder
from ziffern.experiment.naming import register_resolvers, run_folder, study_name, sweep_folder

UNIQUE = r"_\d{8}-\d{6}-[0-9a-f]{4}"


def choices(**groups: str) -> DictConfig:
    return OmegaConf.create(groups)


def hydra_config(*overrides: str) -> DictConfig:
    """Compose in Python, as `hydra.compose` does it; return Hydra's own part."""
    GlobalHydra.instance().clear()
    register_resolvers()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        HydraConfig.instance().set_config(compose("train", overrides=list(overrides), return_hydra_config=True))
    return HydraConfig.get()


@pytest.fixture(autouse=True)
def no_hydra_config():
    yield
    HydraConfig.instance().cfg = None


def test_a_run_folder_is_named_by_overrides_and_is_unique() -> None:
    given = ["model=cnn", "data.dir=/some where", "data.batch_size=16", "model/optimizer=sgd", "data.fractions=[1,2]"]
    name = run_folder(choices(model="cnn"), OmegaConf.create(given))
    assert re.fullmatch(rf"outputs/runs/cnn_batch-size-16_optimizer-sgd_fractions-1-2{UNIQUE}", name)
    assert run_folder(choices(model="cnn"), OmegaConf.create(given)) != name
    assert len(Path(run_folder(choices(model="cnn"), OmegaConf.create(["a=" + "x" * 500]))).name) < 150


def test_a_search_has_the_name_of_its_overrides() -> None:
    overrides = OmegaConf.create(["hparams_search=tpe", "model=cnn", "data.dir=/x", "~model.loss", "seed=${data.fold}"])
    assert study_name(overrides) == "tpe_model-cnn_seed-data.fold"
    assert study_name(OmegaConf.create([])) == "study"
    assert sweep_folder(overrides, "named") == "outputs/sweeps/named"
    several = ["model=cnn,nn", "trainer=gpu", "engine=ray"]
    assert sweep_folder(OmegaConf.create(several)) == "outputs/sweeps/model-cnn-nn"
    smoke = sweep_folder(OmegaConf.create(["model=cnn,nn", "debug=fdr"]))
    assert re.fullmatch(rf"outputs/sweeps/model-cnn-nn_debug-fdr{UNIQUE}", smoke)


RUNS = {  # overrides -> the folder's name in version 0.1.0, without its unique part
    "model=nn seed=1": "nn_seed-1",
    "model=cnn data.dir=/x trainer=gpu model/optimizer=sgd data.batch_size=16 data.fractions=[1,2]": (
        "cnn_optimizer-sgd_batch-size-16_fractions-1-2"
    ),
    "experiment=champion seed=3 hydra.job.chdir=false": "champion_experiment-champion_seed-3",
    f"model.net.hidden=[{','.join(['16'] * 27)}] model=nn": (
        "nn_hidden-16-16-16-16-16-16-16-16-16-16-16-16-16-16-16-16-16-16-16-16-16-16-7f3323"
    ),
}


@pytest.mark.parametrize("overrides", RUNS)
def test_a_run_composed_in_python_has_the_name_that_it_always_had(overrides: str) -> None:
    assert re.sub(UNIQUE, "", hydra_config(*overrides.split(" ")).run.dir) == f"outputs/runs/{RUNS[overrides]}"


def test_composing_in_python_names_the_folder_as_the_command_line(command_line, digits_npz: Path) -> None:
    quick = ("model=nn", "trainer=cpu", "logger=none", "report=null", "trainer.max_epochs=0", "seed=3")
    given = ("data=local", f"data.dir={digits_npz}", *quick)
    assert command_line(*given)[0] == 0
    (folder,) = Path("outputs/runs").iterdir()
    assert re.sub(UNIQUE, "", str(folder.relative_to("."))) == re.sub(UNIQUE, "", hydra_config(*given).run.dir)


SEARCHES = {  # overrides -> the study's name in version 0.1.0
    "hparams_search=tpe model=cnn hydra.sweeper.n_trials=5 data=mnist5k": "tpe_model-cnn_data-mnist5k",
    "hparams_search=lin2024_grid seed=4": "lin2024-grid_seed-4",
    "hydra/sweeper=ziffern +trainer.deterministic=true": "deterministic-true",
    "hydra/sweeper=ziffern": "study",
    "hparams_search=tpe hydra.sweeper.study_name=abc": "abc",
}


@pytest.mark.parametrize("overrides", SEARCHES)
def test_a_search_composed_in_python_has_the_name_that_it_always_had(overrides: str) -> None:
    hydra = hydra_config(*overrides.split(" "))
    assert hydra.sweeper.study_name == SEARCHES[overrides]
    assert hydra.sweep.dir == f"outputs/sweeps/{SEARCHES[overrides]}"


def test_the_jobs_of_a_multirun_share_its_folder(command_line, digits_npz: Path) -> None:
    quick = ("model=nn", "model.net.hidden=[8]", "trainer=cpu", "logger=none", "report=null", "trainer.max_epochs=0")
    code, _, errors = command_line("-m", "data=local", f"data.dir={digits_npz}", *quick, "seed=1,2")
    assert (code, errors) == (0, "")
    (folder,) = Path("outputs/sweeps").iterdir()
    assert folder.name.startswith("data-local_model-nn_hidden-8_logger-none_report-null_max-epochs-0_seed-1-2")
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["0", "1", "logs"]


def test_the_same_command_with_its_checkpoint_continues_in_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "cnn_x"
    (folder / ".hydra").mkdir(parents=True)
    checkpoint = f"ckpt_path={folder}/checkpoints/last.ckpt"
    OmegaConf.save(OmegaConf.create(["seed=1", "model=cnn"]), folder / ".hydra" / "overrides.yaml")

    def named(*overrides: str) -> str:
        return run_folder(choices(model="cnn"), OmegaConf.create(list(overrides)))

    assert named("model=cnn", "seed=1", checkpoint) == str(folder)
    assert named("model=cnn", "seed=2", checkpoint).startswith("outputs/runs/"), "another command, another folder"
    (folder / "metrics.json").write_text("{}")
    assert named("model=cnn", "seed=1", checkpoint).startswith("outputs/runs/"), "a finished run is left alone"
