"""Which notes on a data set need attention: those on what is probably a mistake, rather than on what was assumed."""

from collections.abc import Iterable

from ziffern.text.catalog import Message

MARK = "data.note.attention"
CODES = frozenset(
    f"data.note.{name}"
    for name in (
        "in_two_parts",
        "contradicting",
        "repeated",
        "empty_classes",
        "absent",
        "rare",
        "unequal",
        "blank",
        "twelve_bits",
        "pictures_left_out",
        "unlabeled_folder",
        "part_as_class",
        "empty_part",
        "transposed_name",
    )
)


def attention_first(notes: Iterable[Message]) -> list[Message]:
    """Return the notes that need attention, marked, and then all others, each in their order."""
    notes = list(notes)
    marked = [Message(MARK, note=note) for note in notes if note.code in CODES]
    return [*marked, *(note for note in notes if note.code not in CODES)]
