"""The container's description; it is built where podman or docker runs."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.web import listening

from ziffern.cli.main import _parser

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Containerfile").read_text().replace("\\\n", " ")
LINES = [line.split(maxsplit=1) for line in TEXT.splitlines() if line and line[0] != "#"]


def last(name: str) -> str:
    return [rest for word, rest in LINES if word == name][-1]


def test_it_copies_what_exists_and_installs_the_extra() -> None:
    sources = [path for word, rest in LINES if word == "COPY" and "--from" not in rest for path in rest.split()[:-1]]
    assert {"src", "sweeper", "conf", "pyproject.toml", "constraints.txt"} <= set(sources)
    assert all((ROOT / source).exists() for source in sources)
    assert "[serve]" in last("RUN")
    (wheels,) = [rest for word, rest in LINES if word == "RUN" and rest.startswith("pip wheel")]
    assert all((ROOT / folder / "pyproject.toml").is_file() for folder in wheels.split()[-2:])
    assert "/wheels/hydra_study_sweeper-*.whl" in last("RUN")  # no index has it
    assert not re.search(r"https?://(?!127)", TEXT)


def test_it_does_not_run_as_root() -> None:
    names = [word for word, _ in LINES]
    assert last("USER") not in ("root", "0")
    assert f" {last('USER')}" in last("RUN")
    assert names.index("USER") < names.index("CMD")


def test_its_command_is_one_of_the_program() -> None:
    program, arguments = json.loads(last("ENTRYPOINT")), json.loads(last("CMD"))
    assert program == ["ziffern"]
    options = _parser().parse_args(arguments)
    assert (options.host, options.port) == ("0.0.0.0", int(last("EXPOSE")))
    assert str(options.folder) == "builtin"


def test_its_health_check() -> None:
    _, command, code = json.loads(last("HEALTHCHECK").partition("CMD")[2])
    assert command == "-c"
    with listening() as port:
        subprocess.run([sys.executable, "-c", code.replace("8000", str(port))], check=True, timeout=30)
    assert subprocess.run(
        [sys.executable, "-c", code.replace("8000", "1")], capture_output=True, check=False
    ).returncode


@pytest.mark.slow
def test_it_builds() -> None:
    tool = next((name for name in ("podman", "docker") if shutil.which(name)), "")
    if not tool or subprocess.run([tool, "info"], capture_output=True, check=False).returncode:
        pytest.skip("neither podman nor docker runs here")
    subprocess.run([tool, "build", "--file", "Containerfile", "--tag", "ziffern-serve-test", "."], cwd=ROOT, check=True)
