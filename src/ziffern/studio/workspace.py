"""Where one person's runs, uploads and own digits lie. Nothing of the page reaches outside of it."""

import json
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ziffern.data.sources.local import read_local
from ziffern.errors import InputError
from ziffern.files.atomic import write_atomically, write_json
from ziffern.runs.run import Run
from ziffern.studio.names import unique

UPLOADS = (".zip", ".csv", ".npz")
MOST_UPLOADS = 20
MOST_DIGITS = 500
MOST_RUNS = 200  # that the page lists, the newest first
PERSON_FOLDER = "people"
NAME = re.compile(r"\w[\w .=,+@-]{0,199}")


@dataclass(frozen=True)
class Workspace:
    """One person's folders.

    Args:
        root: `outputs`, or a folder of one's own below it where several people share a page.
    """

    root: Path

    @property
    def runs_folder(self) -> Path:
        """Where trainings go."""
        return self.root / "runs"

    @property
    def jobs_folder(self) -> Path:
        """Where what was started is noted."""
        return self.root / "studio" / "jobs"

    @property
    def digits_folder(self) -> Path:
        """Where own digits are kept: a folder a class, as data=local reads them."""
        return self.root / "studio" / "digits"

    @property
    def _uploads_folder(self) -> Path:
        return self.root / "studio" / "uploads"

    @property
    def _form_file(self) -> Path:
        return self.root / "studio" / "form.json"

    def keep_form(self, form: Mapping[str, Any]) -> None:
        """Keep what the form says, for the next time the page is opened; what cannot be written is forgotten."""
        with suppress(OSError, ValueError):
            write_json(self._form_file, form)

    def kept_form(self) -> dict[str, Any]:
        """Return what was kept of the form; nothing where nothing was, or where it is damaged."""
        try:
            return dict(json.loads(self._form_file.read_bytes()))
        except (OSError, ValueError, TypeError, RecursionError):
            return {}

    def run_names(self) -> list[str]:
        """Return the names of the run folders, the newest first."""
        if not self.runs_folder.is_dir():
            return []
        there = [each for each in self.runs_folder.iterdir() if NAME.fullmatch(each.name) and not each.is_symlink()]
        found = []
        for each in there:
            with suppress(OSError):  # not one, or gone meanwhile
                found.append(((each / ".hydra/config.yaml").stat().st_mtime, each.name))
        return [name for _, name in sorted(found, reverse=True)[:MOST_RUNS]]

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
        """Return what was uploaded, by name."""
        folder = self._uploads_folder
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        return {path.name: path for path in found if path.suffix in UPLOADS}

    def keep_upload(self, source: Path, name: str) -> str:
        """Check an uploaded file, keep it, and return its name.

        Args:
            source: Where it lies now.
            name: What it was called.

        Raises:
            InputError: It holds no labelled digits, or is dangerous; nothing is kept then.
        """
        suffix = Path(name).suffix.lower()
        stem = re.sub(r"[^A-Za-z0-9]+", "-", Path(name).stem)[:60].strip("-") or "digits"
        plain = stem + suffix
        if suffix not in UPLOADS:
            raise InputError(f"{plain[:80]}: a file of another kind: upload one of {', '.join(UPLOADS)}")
        if len(self.uploads()) >= MOST_UPLOADS:
            raise InputError(f"{MOST_UPLOADS} files are here already: remove one first")
        kept = self._uploads_folder / f"{stem}_{unique()}{suffix}"
        part = self._uploads_folder.with_name("incoming") / kept.name  # not yet to be chosen
        for folder in (kept.parent, part.parent):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(source, part)
            try:
                read_local(part)
            except InputError as error:
                raise InputError(str(error).replace(str(part), plain).replace(part.name, plain)) from error
            part.replace(kept)
        finally:
            part.unlink(missing_ok=True)
        return kept.name

    def remove_upload(self, name: str) -> None:
        """Remove an upload; runs that were trained on it stay."""
        self._known(self._uploads_folder, name).unlink(missing_ok=True)

    def keep_digit(self, image: NDArray[np.uint8], label: int) -> None:
        """Keep one digit (28, 28) of one's own.

        Raises:
            InputError: There are too many.
        """
        if not 0 <= label <= 9:  # noqa: PLR2004
            raise InputError(f"{label}: a digit is one of 0 to 9")
        if len(list(self.digits_folder.glob("*/*.png"))) >= MOST_DIGITS:
            raise InputError(f"{MOST_DIGITS} digits are kept already: remove them first")
        path = self.digits_folder / str(label) / f"{unique()}.png"
        write_atomically(path, lambda file: Image.fromarray(image).save(file, "PNG"))

    def digits(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return the digits kept: images (N, 28, 28) and labels (N,)."""
        paths = sorted(self.digits_folder.glob("[0-9]/*.png"))
        images = [np.asarray(Image.open(path).convert("L"), np.uint8) for path in paths]
        fitting = [place for place, image in enumerate(images) if image.shape == (28, 28)]
        labels = np.array([int(paths[place].parent.name) for place in fitting], np.int64)
        return np.array([images[place] for place in fitting], np.uint8).reshape(-1, 28, 28), labels

    def remove_digits(self) -> None:
        """Remove all digits kept."""
        shutil.rmtree(self.digits_folder, ignore_errors=True)

    @staticmethod
    def _known(folder: Path, name: str) -> Path:
        """Return an entry of a folder by its name, which came from the browser."""
        path = folder / str(name)
        if not NAME.fullmatch(str(name)) or not path.exists() or path.is_symlink():
            raise InputError(f"{str(name)[:80]}: it is not here any more: reload the page")
        return path
