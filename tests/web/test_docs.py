"""The requests of the documentation."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.support.documents import commands
from tests.support.web import IMAGES, listening, png
from tests.web.test_read import TEMPLATE

from filled_forms import blank_pages
from ziffern.reading.template import load_template

REQUESTS = [command for command in commands() if command.words[0] == "curl"]


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_requests_are_answered(tmp_path: Path) -> None:
    assert len(REQUESTS) >= 4
    for name in ("digit.png", "first.png", "second.jpg"):
        (tmp_path / name).write_bytes(png(IMAGES[0], "PNG" if name.endswith("png") else "JPEG"))
    (tmp_path / "exam.yaml").write_text(TEMPLATE)
    pages = [Image.fromarray(page) for page in blank_pages(load_template(tmp_path / "exam.yaml"))]
    pages[0].save(tmp_path / "form.pdf", resolution=200)
    pages[0].save(tmp_path / "scan.jpg", dpi=(200, 200))
    (tmp_path / "images.json").write_text(json.dumps({"images": [np.asarray(IMAGES[0]).tolist()]}))
    with listening() as port:
        for command in REQUESTS:
            words = [word.replace("localhost:8000", f"127.0.0.1:{port}") for word in command.words]
            done = subprocess.run([*words, "--silent", "--fail"], cwd=tmp_path, capture_output=True, check=True)
            assert done.stdout
            if "predict" in command.text:
                assert all(answer["status"] == "answered" for answer in json.loads(done.stdout))
