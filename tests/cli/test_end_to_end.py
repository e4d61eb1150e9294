"""The whole, as its users start it: real processes, real kills, an installed wheel."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw

ROOT = Path(__file__).parents[2]
SHORT = ("trainer=cpu", "logger=none", "threads=1")
pytestmark = pytest.mark.slow


def train(
    *arguments: str, cwd: Path, script: tuple[str, ...] = (str(ROOT / "train.py"),)
) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *script, *arguments], cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )


def only_run(folder: Path) -> Path:
    (run,) = (folder / "outputs" / "runs").iterdir()
    return run


def weights(folder: Path, name: str) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]


def test_the_defaults_run_without_network_and_data(tmp_path: Path) -> None:
    done = train("trainer.max_epochs=1", "logger=tensorboard", "data=mnist5k", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Test accuracy" in done.stdout
    assert (only_run(tmp_path) / "report.html").is_file()
    assert "epoch 1 of 1" in done.stdout
    run = only_run(tmp_path)
    assert json.loads((run / "metrics.json").read_text())["params"] == 21840
    assert list((run / "tensorboard").glob("events.*"))


@pytest.mark.parametrize("moment", [0.05, 0.4])
def test_killed_and_resumed_ends_with_the_very_weights(tmp_path: Path, moment: float) -> None:
    settings = ("data=mnist5k", "model=cnn", "data.batch_size=8", "trainer.max_epochs=4", *SHORT)
    assert train(*settings, "hydra.run.dir=straight", cwd=tmp_path).returncode == 0
    process = subprocess.Popen([sys.executable, str(ROOT / "train.py"), *settings], cwd=tmp_path)
    history: list[Path] = []
    while not (history and len(history[0].read_text().splitlines()) >= 3):
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
        history = list((tmp_path / "outputs" / "runs").glob("*/history.csv"))
    time.sleep(moment)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed = history[0].parent
    assert not (killed / "metrics.json").exists()

    resumed = train(*settings, f"ckpt_path={killed}/checkpoints/last.ckpt", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert "continuing after epoch" in resumed.stdout
    assert only_run(tmp_path) == killed, "it went on in its own folder"
    for name in ("best", "last"):
        first, second = weights(tmp_path / "straight", name), weights(killed, name)
        assert all(torch.equal(first[key], second[key]) for key in first)
    straight, again = (json.loads((run / "metrics.json").read_text()) for run in (tmp_path / "straight", killed))
    assert straight["test/correct"] == again["test/correct"]


def test_an_interrupt_says_how_to_go_on(tmp_path: Path) -> None:
    settings = ("data=mnist5k", "model=nn", "trainer.max_epochs=1000", *SHORT)
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *settings], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    while not list(tmp_path.glob("outputs/runs/*/checkpoints/last.ckpt")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert "continue with" in output
    assert f"ckpt_path={only_run(tmp_path).relative_to(tmp_path)}/checkpoints/last.ckpt" in output


def test_launches_in_the_same_second_do_not_share_a_folder(tmp_path: Path, digits_npz: Path) -> None:
    command = [sys.executable, str(ROOT / "train.py"), "data=local", f"data.dir={digits_npz}", *SHORT]
    processes = [subprocess.Popen([*command, "trainer.max_epochs=0"], cwd=tmp_path) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert len(list((tmp_path / "outputs" / "runs").glob("*/metrics.json"))) == 3


def test_a_multirun_trains_each_in_turn(tmp_path: Path, digits_npz: Path) -> None:
    local = ("data=local", f"data.dir={digits_npz}", "trainer.max_epochs=1", *SHORT)
    done = train("-m", "model=cnn,nn,dnn", *local, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (sweep,) = (tmp_path / "outputs" / "sweeps").iterdir()
    found = [json.loads((sweep / number / "metrics.json").read_text())["model"] for number in "012"]
    assert found == ["cnn", "nn", "dnn"]


def test_a_limit_on_the_size_of_files_is_one_line(tmp_path: Path, digits_npz: Path) -> None:
    limited = (
        "-c",
        f"import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (40000, 40000)); "
        f"sys.argv[0] = 'train.py'; runpy.run_path({str(ROOT / 'train.py')!r}, run_name='__main__')",
    )
    done = train("model=nn", "data=local", f"data.dir={digits_npz}", *SHORT, cwd=tmp_path, script=limited)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.endswith("best.ckpt: File too large: raise the limit on the size of files (ulimit -f unlimited)")


def test_help_and_configuration_load_nothing_heavy(tmp_path: Path) -> None:
    for question in (["--help"], ["--cfg", "job"]):
        program = (
            "import runpy, sys, atexit\n"
            "atexit.register(lambda: print('HEAVY', sorted({'torch', 'numpy', 'matplotlib'} & set(sys.modules))))\n"
            f"sys.argv = ['train.py', *{question!r}]\n"
            f"runpy.run_path({str(ROOT / 'train.py')!r}, run_name='__main__')\n"
        )
        done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert "HEAVY []" in done.stdout
        assert len(done.stdout) > 500


def test_commands_on_finished_runs_import_no_torch(tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.copytree(ROOT / "tests/fixtures/runs_0_1_0/finished_cnn", tmp_path / name)
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('HEAVY', sorted({'torch', 'pytorch_lightning'} & set(sys.modules))))\n"
        "from ziffern.cli.main import main\n"
        "main()\n"
    )
    for arguments in (["report", "a"], ["compare", "a", "b"], ["--help"], ["compare", "--help"], ["train", "--help"]):
        command = [sys.executable, "-c", program, *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert "HEAVY []" in done.stdout, arguments
    assert (tmp_path / "a/report.html").is_file()
    assert (tmp_path / "comparison.html").is_file()


def test_the_wheel_trains_where_there_is_no_checkout(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("src", "conf", "sweeper"):
        shutil.copytree(ROOT / name, source / name)
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, source)
    for project in (source, source / "sweeper"):
        build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path / "dist"), str(project)]
        subprocess.run(build, check=True, capture_output=True)
    shutil.rmtree(source)
    wheels = [str(wheel) for wheel in (tmp_path / "dist").glob("*.whl")]
    assert len(wheels) == 2
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), *wheels]
    subprocess.run(install, check=True, capture_output=True)
    # -S keeps the editable install of this checkout away; the libraries come by path.
    libraries = os.pathsep.join([str(site), *(path for path in sys.path if path.endswith("site-packages"))])
    start = "import ziffern.cli.main, sys; print(ziffern.__file__); sys.argv[0] = 'ziffern'; ziffern.cli.main.main()"

    def ziffern(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-S", "-c", start, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": libraries},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[0].startswith(str(site))
        return done.stdout

    given = ("data=mnist5k", "trainer.max_epochs=1", "data.batch_size=500", *SHORT)
    assert "Test accuracy" in ziffern("train", *given)
    search = ("-m", "hydra/sweeper=ziffern", "hydra/sweeper/sampler=grid", "model.optimizer.lr=0.001,0.01")
    told = ziffern("train", *search, *given)
    assert "2 complete" in told
    (folder,) = (tmp_path / "outputs" / "sweeps").iterdir()
    assert f"train --config-dir outputs/sweeps/{folder.name} experiment=best" in told
    assert (only_run(tmp_path) / "report.html").is_file()
    picture = Image.new("L", (200, 200), "white")
    ImageDraw.Draw(picture).line([(100, 40), (100, 160)], "black", 12)
    picture.save(tmp_path / "one.png")
    header, row = ziffern("predict", "builtin", "one.png").splitlines()[1:]
    assert header.startswith("name,label,probability")
    assert row.startswith("one.png,1,0.9")
    assert list((site / "ziffern/deploy/templates").iterdir())
