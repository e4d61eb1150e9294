"""`ziffern prepare`: write one's own data as a model sees it, and a contact sheet to look at."""

import itertools
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ziffern.config.command import assignment, program, quoted, shell_words
from ziffern.errors import InputError
from ziffern.files.atomic import writing
from ziffern.text.language import terminal_language, terminal_words
from ziffern.text.printable import printable

if TYPE_CHECKING:
    from ziffern.data.dataset import LabeledImages


def prepare(source: Path, output: Path, settings: Sequence[str]) -> None:
    """Write the prepared images of one's own data to a new folder, and print what was assumed.

    Args:
        source: The data: a folder, ZIP, CSV or npz.
        output: The new folder; it may exist if it is empty. It appears only once everything is written.
        settings: Overrides of `data`, such as `data.prepare=digit`.

    Raises:
        InputError: The data or a setting is unusable, or the output exists or is inside the data.
    """
    from ziffern.data.attention import attention_first
    from ziffern.data.formats.pictures import CONTACT_SHEET
    from ziffern.data.orientation import has_emnist_name
    from ziffern.data.spec import MNIST_SHAPE, as_setting
    from ziffern.data.written import write_pictures
    from ziffern.experiment.own_data import own_data
    from ziffern.report.contact_sheet import write_contact_sheet

    _check_output(source, output)
    data = own_data(source, settings).dataset
    temporary = output.absolute().with_name(f".{output.absolute().name}.{secrets.token_hex(4)}.part")
    try:
        write_pictures(data, temporary)
        write_contact_sheet(temporary / CONTACT_SHEET, data, terminal_language.get())
        with writing(output):
            if output.is_dir():
                output.rmdir()
            temporary.rename(output)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    words = terminal_words()
    for note in attention_first(data.notes):
        print(words("start.about_data", text=printable(note)))
    sizes = {"train": data.train_size, "val": data.val_size, "test": data.test_size}
    print(words("prepare.written", count=len(data), **sizes, folder=quoted(output)))
    image = [] if data.spec.shape == MNIST_SHAPE else [f"data.image={as_setting(data.spec.shape)}"]
    train = [program("ziffern"), "train", "data=local", assignment("data.dir", output), *image]
    if _would_be_inverted(data):
        train.append("data.polarity=keep")
    if has_emnist_name(output.absolute()):  # the pictures are upright
        train.append("data.transpose=false")
    print(words("prepare.look", sheet=quoted(output / CONTACT_SHEET)))
    print(words("prepare.train", command=shell_words(train)))


def _would_be_inverted(data: "LabeledImages") -> bool:
    """Return whether reading the written images again would change their polarity.

    If not, `data.polarity=keep` is not suggested, since an evaluation on new photos would keep theirs as well.
    """
    from ziffern.data.content import Part
    from ziffern.data.polarity import in_training_polarity

    ends = (0, data.train_size, data.train_size + data.val_size, len(data))
    parts = [Part(data.images[start:end], data.labels[start:end]) for start, end in itertools.pairwise(ends)]
    return any(in_training_polarity(part, "auto", "train")[0] is not part for part in parts)


def _check_output(source: Path, output: Path) -> None:
    with writing(output):
        if output.is_symlink() or (output.exists() and not (output.is_dir() and not any(output.iterdir()))):
            raise InputError("cli.prepare.not_empty", path=output)
    if source.is_dir() and output.resolve().is_relative_to(source.resolve()):
        raise InputError("cli.prepare.inside", path=output, data=source)
