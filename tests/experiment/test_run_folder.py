"""A run folder belongs to one run, and nothing is written through links that lead out of it."""

import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from ziffern.errors import InputError
from ziffern.experiment.run_folder import check_links, claim, release, remove_if_unused
from ziffern.report.run_page import write_report
from ziffern.runs.run import Run

QUICK = ("model=nn", "model.net.hidden=[8]", "trainer=cpu", "logger=none", "report=null", "trainer.max_epochs=1")


@pytest.fixture
def trained(command_line, digits_npz: Path):
    """Train in the folder `run` unless told otherwise; return exit code, output and errors."""
    return lambda *more: command_line("data=local", f"data.dir={digits_npz}", *QUICK, "hydra.run.dir=run", *more)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def finished(trained, kept: Path) -> None:
    """The folder `run` is that of a run that has ended, which is trained once."""
    if (kept / "run").exists():
        shutil.copytree(kept / "run", "run")
    else:
        assert trained()[0] == 0
        shutil.copytree("run", kept / "run")


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(result: tuple[int, str, str], *parts: str) -> None:
    code, _, errors = result
    assert code == 2, errors
    assert errors.count("\n") == 1, errors
    for part in ("error: ", *parts):
        assert part in errors, errors


def unfinished(folder: Path = Path("run")) -> None:
    (folder / "metrics.json").unlink()


@pytest.mark.slow
def test_a_finished_run_takes_in_no_other(trained, finished) -> None:
    before = content(Path("run"))
    refused(trained("seed=1"), "run: already holds a finished run: choose another folder with hydra.run.dir=FOLDER")
    refused(trained("ckpt_path=run/checkpoints/last.ckpt"), "already holds a finished run")
    assert content(Path("run")) == before
    assert trained("seed=1", "hydra.run.dir=other")[0] == 0


@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_job_that_slurm_restarts_passes_its_finished_runs(trained, finished, monkeypatch, rank: str) -> None:
    before = content(Path("run"))
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    refused(trained("seed=1"), "already holds a finished run")
    if rank == "1":  # another process of the run, which must not wait for the first
        for name, value in {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "2", "SLURM_PROCID": rank}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("SLURM_STEP_ID", "0")
    code, output, errors = trained()
    line = "run: all of it was finished before SLURM restarted the job: nothing to do\n"
    assert (code, output, errors) == (0, line if rank == "0" else "", "")
    assert content(Path("run")) == before
    for count in ("0", ""):
        monkeypatch.setenv("SLURM_RESTART_COUNT", count)
        if rank == "0":
            refused(trained(), "already holds a finished run")


def test_a_multirun_is_passed_if_all_its_runs_are_finished(trained, finished, monkeypatch) -> None:
    """Ours knows by itself which runs are finished; with Hydra's own, several processes train each run together."""
    arguments = ("-m", "seed=0,1", "hydra.sweep.dir=several", "hydra/sweeper=basic")
    assert trained(*arguments)[0] == 0
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    code, output, _ = trained(*arguments)
    assert (code, output) == (0, "several: all of it was finished before SLURM restarted the job: nothing to do\n")
    refused(trained(*arguments, "seed=0,1,2"), "already holds a run")
    unfinished(Path("several/1"))
    refused(trained(*arguments), "already holds a run")


@pytest.mark.parametrize("checkpoint", [(), ("ckpt_path=run/checkpoints/last.ckpt",)])
def test_a_stopped_run_is_continued_by_its_own_command_alone(trained, finished, checkpoint) -> None:
    shutil.copytree("run", "other")
    unfinished()
    before = content(Path("run"))
    refused(trained("seed=1"), "holds a run with other settings")
    refused(trained("seed=1", "ckpt_path=run/checkpoints/last.ckpt"), "holds a run with other settings")
    refused(trained("ckpt_path=other/checkpoints/last.ckpt"), "belongs to another run")
    assert content(Path("run")) == before
    assert trained(*checkpoint)[0] == 0


def test_a_run_that_ended_before_a_checkpoint_begins_again(trained, finished) -> None:
    unfinished()
    shutil.rmtree("run/checkpoints")
    refused(trained("seed=1"), "holds a run with other settings")
    assert trained()[0] == 0


@pytest.mark.mostly_slow(fast=1)
@pytest.mark.parametrize("there", [["train.log", ".hydra/config.yaml", ".lock"], [], ["stop"], ["notes.txt"]])
def test_a_folder_without_a_run_is_taken(trained, there: list[str]) -> None:
    for name in there:
        Path("run", name).parent.mkdir(parents=True, exist_ok=True)
        Path("run", name).touch()
    assert trained()[0] == 0
    assert not Path("run/.lock").exists()


def test_two_processes_do_not_share_a_folder(trained) -> None:
    Path("run").mkdir()
    with FileLock("run/.lock"):
        refused(trained(), "run: another process is training there")
    assert not Path("run/.hydra").exists()
    assert trained()[0] == 0


def test_the_lock_is_held_during_the_whole_run(trained, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def report(folder: Path, language: str) -> None:
        with pytest.raises(InputError, match="another process"):
            claim(folder, [])
        seen.append(folder)

    monkeypatch.setattr("ziffern.cli.job._write_report", report)
    assert trained("report=en")[0] == 0
    assert seen


@pytest.mark.slow
def test_a_multirun_takes_in_no_other(command_line, digits_npz: Path) -> None:
    def multirun(*more: str) -> tuple[int, str, str]:
        given = ("data=local", f"data.dir={digits_npz}", *QUICK, "hydra.sweep.dir=sweep", "seed=1,2")
        return command_line("-m", *given, *more)

    refused(multirun("hydra.sweep.subdir=same"), "two jobs could share a folder: include ${hydra.job.num}")
    assert not Path("sweep").exists()
    assert multirun("hydra.sweep.subdir='run_${hydra.job.num}'")[0] == 0
    runs = {path: kept for path, kept in content(Path("sweep")).items() if "run_" in str(path)}
    assert "nothing left to run" in multirun("hydra.sweep.subdir='run_${hydra.job.num}'")[1]
    refused(multirun("seed=3,4"), "sweep holds a multirun of other jobs: to start over, add hydra.sweep.dir=sweep-2")
    assert runs.items() <= content(Path("sweep")).items()
    with FileLock("sweep/.driver.lock"):
        refused(multirun(), "sweep: this sweep is running already")
    Path("sweep/jobs.jsonl").unlink()  # as in a folder of an earlier version
    refused(multirun("hydra.sweep.subdir='run_${hydra.job.num}'"), "run_0: already holds a run: choose another folder")
    shutil.rmtree("sweep")
    Path("sweep/0").mkdir(parents=True)  # such as a first attempt with a mistake in it leaves
    assert multirun()[0] == 0


LINKS = (
    ".hydra",
    ".hydra/config.yaml",
    "train.log",
    "checkpoints",
    "tensorboard",
    "progress.jsonl",
    "report.html",
    "x/y",
)


@pytest.mark.mostly_slow(fast=9)
@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("how", ["run", "continued", "search"])
def test_nothing_is_written_through_a_link(
    request, trained, command_line, digits_npz: Path, name: str, how: str
) -> None:
    outside = Path("outside")
    outside.mkdir()
    (outside / "file").write_text("mine")
    folder = Path("sweep/0" if how == "search" else "run")
    if how == "continued":
        request.getfixturevalue("finished")
        unfinished()
    link = folder / name
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_dir():
        shutil.rmtree(link)
    link.unlink(missing_ok=True)
    link.symlink_to((outside if "." not in link.name or name == ".hydra" else outside / "file").absolute())
    search = ("-m", "hydra/sweeper=ziffern", "hydra.sweep.dir=sweep", "seed=1,2", "hydra.sweeper.n_trials=1")
    last = ["ckpt_path=run/checkpoints/last.ckpt"] * (how == "continued")
    own = ("data=local", f"data.dir={digits_npz}", *QUICK)
    refused(command_line(*search, *own) if how == "search" else trained(*last), f"{name}: a symbolic link")
    assert content(outside) == {"outside/file": b"mine"}


def test_links_within_a_run_stay(tmp_path: Path) -> None:
    """W&B makes some."""
    (tmp_path / "wandb/run-1").mkdir(parents=True)
    (tmp_path / "wandb/latest-run").symlink_to("run-1")
    check_links(tmp_path)


def test_a_file_that_vanishes_during_the_check_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes of a search rename temporary files meanwhile."""
    (tmp_path / "file").touch()
    monkeypatch.setattr("os.walk", lambda root: [(str(root), [], [".file.part", "file"])])
    check_links(tmp_path)


def test_a_pipe_in_a_run_folder_is_not_waited_for(trained) -> None:
    Path("run").mkdir()
    os.mkfifo("run/train.log")
    refused(trained(), "run/train.log: neither a file nor a folder")


def test_a_report_replaces_a_link_and_does_not_follow_it(imperfect: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (imperfect.folder / "report.html").symlink_to(tmp_path / "mine")
    write_report(imperfect)
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (imperfect.folder / "report.html").is_symlink()


def test_a_foreign_list_of_overrides_is_read_with_care(tmp_path: Path) -> None:
    (tmp_path / ".hydra").mkdir()
    (tmp_path / "progress.jsonl").touch()
    for text in ("{a: b}", "[1]", "[", "[[a]]", "- &a x\n- [*a, *a]"):
        (tmp_path / ".hydra/overrides.yaml").write_text(text)
        with pytest.raises(InputError, match="holds a run with other settings"):
            claim(tmp_path, ["seed=1"])
    release()


def test_only_untouched_folders_are_removed(tmp_path: Path) -> None:
    untouched, used, named = (
        tmp_path / "outputs" / "runs" / "a",
        tmp_path / "outputs" / "runs" / "b",
        tmp_path / "mine",
    )
    for folder in (untouched, used, named):
        (folder / ".hydra").mkdir(parents=True)
        (folder / "train.log").touch()
    (used / "history.csv").touch()
    remove_if_unused(untouched)
    remove_if_unused(used)
    remove_if_unused(named)
    assert not untouched.exists()
    assert list(named.iterdir()) == [], "a folder that the user named stays"
    assert (used / "history.csv").exists()
