"""The folders of one person: runs, uploads and own digits. The page accesses nothing outside of them."""

import json
import re
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ziffern.data.sources.local import read_local
from ziffern.data.spec import MNIST_SHAPE
from ziffern.errors import InputError
from ziffern.files.atomic import write_atomically, write_json
from ziffern.runs.run import Run
from ziffern.text.catalog import Message

UPLOADS = (".zip", ".csv", ".npz")
MAX_UPLOADS = 20
SIZE = MNIST_SHAPE[1:]  # of own digits, as `ziffern.data.drawing` makes them
MAX_DIGITS = 500
MAX_RUNS = 200  # that the page lists, the newest first
PERSON_FOLDER = "people"
NAME = re.compile(r"\w[\w .=,+@-]{0,199}")


class Workspace:
    """The folders of one person: `root` is `outputs`, or their own below it where several people share a page."""

    def __init__(self, root: Path) -> None:
        self.root, self.runs_folder, own = root, root / "runs", root / "studio"
        self.jobs_folder, self._uploads_folder, self._form_file = own / "jobs", own / "uploads", own / "form.json"
        self.digits_folder = own / "digits"  # one folder per class, as data=local reads them

    def save_form(self, form: Mapping[str, Any]) -> None:
        """Save the form for the next time the page is opened, if it can be written."""
        with suppress(OSError, ValueError):
            write_json(self._form_file, form)

    def saved_form(self) -> dict[str, Any]:
        """Return the saved form; empty where there is none, or it is damaged."""
        try:
            return dict(json.loads(self._form_file.read_bytes()))
        except (OSError, ValueError, TypeError, RecursionError):
            return {}

    def run_names(self) -> list[str]:
        """Return the names of the run folders, the newest first."""
        if not self.runs_folder.is_dir():
            return []
        folders = [each for each in self.runs_folder.iterdir() if NAME.fullmatch(each.name) and not each.is_symlink()]
        runs = []
        for each in folders:
            with suppress(OSError):  # not a run, or removed meanwhile
                runs.append(((each / ".hydra/config.yaml").stat().st_mtime, each.name))
        return [name for _, name in sorted(runs, reverse=True)[:MAX_RUNS]]

    def run(self, name: str) -> Run:
        """Return a run by its name.

        Raises:
            InputError: There is no such run here.
        """
        return Run(self._known(self.runs_folder, name))

    def job_folder(self, name: str) -> Path:
        """Return a job's folder by its name.

        Raises:
            InputError: There is no such job here.
        """
        return self._known(self.jobs_folder, name)

    def uploads(self) -> dict[str, Path]:
        """Return the uploaded files by name."""
        folder = self._uploads_folder
        files = sorted(folder.iterdir()) if folder.is_dir() else []
        return {path.name: path for path in files if path.suffix in UPLOADS}

    def keep_upload(self, source: Path, name: str) -> str:
        """Check an uploaded file, whose original name is `name`, keep it, and return its name here.

        Raises:
            InputError: It has no labeled images, or is dangerous; it is not kept then.
        """
        suffix = Path(name).suffix.lower()
        stem = re.sub(r"[^A-Za-z0-9]+", "-", Path(name).stem)[:60].strip("-") or "digits"
        plain = stem + suffix
        if suffix not in UPLOADS:
            raise InputError("studio.upload.kind", name=plain, kinds=UPLOADS)
        if len(self.uploads()) >= MAX_UPLOADS:
            raise InputError("studio.upload.too_many", count=MAX_UPLOADS)
        kept = self._uploads_folder / f"{stem}_{self.unique_name()}{suffix}"
        part = self._uploads_folder.with_name("incoming") / kept.name  # where it cannot be chosen yet
        for folder in (kept.parent, part.parent):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(source, part)
            try:
                read_local(part)
            except InputError as error:
                raise _renamed(error, {str(part): plain, part.name: plain}) from error
            part.replace(kept)
        finally:
            part.unlink(missing_ok=True)
        return kept.name

    def remove_upload(self, name: str) -> None:
        """Remove an upload; runs that were trained on it stay."""
        self._known(self._uploads_folder, name).unlink(missing_ok=True)

    def keep_digit(self, image: NDArray[np.uint8], label: int) -> None:
        """Keep one of the person's own digits, (H, W) of MNIST.

        Raises:
            InputError: The label is not a digit, or there are too many.
        """
        if not 0 <= label <= 9:  # noqa: PLR2004
            raise InputError("studio.digits.label", label=label)
        if len(list(self.digits_folder.glob("*/*.png"))) >= MAX_DIGITS:
            raise InputError("studio.digits.too_many", count=MAX_DIGITS)
        path = self.digits_folder / str(label) / f"{self.unique_name()}.png"
        write_atomically(path, lambda file: Image.fromarray(image).save(file, "PNG"))

    def digits(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return the digits kept: images (N, H, W) of MNIST's size and labels (N,)."""
        paths = sorted(self.digits_folder.glob("[0-9]/*.png"))
        images = [np.asarray(Image.open(path).convert("L"), np.uint8) for path in paths]
        fitting = [place for place, image in enumerate(images) if image.shape == SIZE]
        labels = np.array([int(paths[place].parent.name) for place in fitting], np.int64)
        return np.array([images[place] for place in fitting], np.uint8).reshape(-1, *SIZE), labels

    def remove_digits(self) -> None:
        """Remove all digits kept."""
        shutil.rmtree(self.digits_folder, ignore_errors=True)

    @staticmethod
    def unique_name() -> str:
        """Return a name that sorts by time, for a job, an upload or a digit."""
        return f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"

    @staticmethod
    def _known(folder: Path, name: str) -> Path:
        """Return an entry of a folder by its name, which came from the browser."""
        path = folder / str(name)
        if not NAME.fullmatch(str(name)) or not path.exists() or path.is_symlink():
            raise InputError("studio.choice.gone", name=name)
        return path


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Return an error, a message or a value of one with other names in place of a file's."""
    match value:
        case InputError():
            return type(value)(value.code, **_renamed(value.message.values, names))
        case Message():
            return Message(value.code, **_renamed(value.values, names))
        case dict():
            return {key: _renamed(item, names) for key, item in value.items()}
        case list() | tuple():
            return [_renamed(item, names) for item in value]
        case str() | Path():
            text = str(value)
            for old, new in names.items():
                text = text.replace(old, new)
            return text
    return value
