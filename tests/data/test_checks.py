"""What the data shows about itself: duplicates, and missing, rare and unequal classes."""

from dataclasses import replace

import numpy as np
import pytest

from ziffern.data.attention import CODES, MARK, attention_first
from ziffern.data.checks import contradicting, identical, notes_on_classes, notes_on_duplicates, without_duplicates
from ziffern.data.datamodule import ImageDataModule
from ziffern.data.dataset import LabeledImages
from ziffern.data.sources.source import Embedded
from ziffern.data.split import Split, stratified
from ziffern.errors import InputError
from ziffern.text.catalog import CATALOGS, Message
from ziffern.text.language import Language


class Given:
    """A source of images that differ as their numbers do."""

    def __init__(self, numbers, labels, test=0, names=None):
        images = np.zeros((len(numbers), 1, 28, 28), np.uint8)
        images[:, 0, 0, 0], images[:, 0, 0, 1] = np.array(numbers) % 256, np.array(numbers) // 256
        labels = np.array(labels, np.int64)
        names = names or tuple(map(str, range(max(labels) + 1)))
        self.data = LabeledImages("given", images, labels, len(labels) - test, names)

    def load(self, folder, num_classes, image=None):
        return self.data


def module(numbers, labels, test=0, names=None, **settings):
    return ImageDataModule(Given(numbers, labels, test, names), "data", batch_size=1, **settings)


def parts(train, val, test):
    return Split(*(np.array(part, np.int64) for part in (train, val, test)))


def codes(notes):
    return [note.code.removeprefix("data.note.") for note in unmarked(notes)]


def unmarked(notes):
    return [note.values["note"] if note.code == MARK else note for note in notes]


def values(notes, code):
    notes = unmarked(notes)
    return next(note.values for note in notes if note.code == f"data.note.{code}")


def test_identical_images_have_the_same_number():
    images = np.random.RandomState(0).randint(0, 256, (6, 3, 5, 4), np.uint8)
    images[4], images[5] = images[1], images[0]
    assert identical(images).tolist() == [0, 1, 2, 3, 1, 0]
    assert identical(images[:, :, ::-1]).tolist() == [0, 1, 2, 3, 1, 0]  # a view


def test_contradicting_images_are_all_that_share_their_pixels():
    assert contradicting(np.array([0, 1, 0, 2, 1]), np.array([5, 3, 6, 5, 3])).tolist() == [
        True,
        False,
        True,
        False,
        False,
    ]


#         0  1  2  3  4  5  6  7  8  9
GROUPS = np.array([0, 0, 1, 2, 0, 1, 3, 3, 4, 4])
LABELS = np.array([1, 1, 0, 0, 1, 0, 1, 0, 0, 0])
SPLIT = parts([0, 1, 2, 3], [4, 6, 8], [5, 7, 9])


def test_duplicates_are_counted_within_and_across_parts():
    notes = list(notes_on_duplicates(SPLIT, GROUPS, LABELS))
    assert codes(notes) == ["repeated", "in_two_parts", "in_two_parts", "in_two_parts", "contradicting"]
    assert notes[0].values == {"count": 1, "train": 1, "val": 0, "test": 0}
    assert [(note.values["count"], note.values["total"]) for note in notes[1:4]] == [(1, 3), (1, 3), (2, 3)]
    assert notes[4].values == {"count": 2}
    assert str(notes[3]).startswith("2 of the 3 test images are also in the val part")
    for note in notes:
        assert "{" not in str(note) + note.in_language("de")


def test_a_leak_for_another_reason_changes_no_count():
    leaking = replace(SPLIT, leak=Message("data.split.leak"))
    assert codes(notes_on_duplicates(leaking, GROUPS, LABELS)) == codes(notes_on_duplicates(SPLIT, GROUPS, LABELS))


def test_one_of_each_is_kept_in_the_test_part_first():
    split = without_duplicates(SPLIT, GROUPS, LABELS)
    assert [part.tolist() for part in split.indices] == [[3], [4], [5, 9]]
    assert split.dropped == (4, 2)  # 0, 1, 2 and 8; and the contradicting 6 and 7
    assert list(notes_on_duplicates(split, GROUPS, LABELS)) == []


def test_a_test_part_that_validates_is_not_its_own_duplicate():
    data = module([0, 1, 2, 3, 1, 3], [0, 1, 0, 1, 1, 1], test=2, split="official", val_from="test")
    assert codes(data.notes)[:1] == ["in_two_parts"]
    assert values(data.notes, "in_two_parts")["count"] == 2
    data = module(
        [0, 1, 2, 3, 1, 3], [0, 1, 0, 1, 1, 1], test=2, split="official", val_from="test", drop_duplicates=True
    )
    assert [part.tolist() for part in data.parts.indices] == [[0, 2], [4, 5], [4, 5]]


def test_dropping_changes_the_name_of_the_split_and_says_how_many():
    numbers, labels = [*range(50), *range(10)], [place % 2 for place in range(60)]
    plain, unique = (module(numbers, labels, drop_duplicates=drop) for drop in (False, True))
    assert sum(map(len, plain.parts.indices)) == 60
    assert sum(map(len, unique.parts.indices)) == 50
    assert (plain.split_name, unique.split_name) == (
        "resplit 0.6/0.2/0.2, split_seed 0",
        "resplit 0.6/0.2/0.2, split_seed 0, without duplicates",
    )
    assert plain.dataset.fingerprint == unique.dataset.fingerprint
    assert values(unique.notes, "dropped_repeated")["count"] == 10
    assert not {"repeated", "in_two_parts"} & {*codes(unique.notes)}
    assert {"repeated", "in_two_parts"} & {*codes(plain.notes)}


def test_a_part_that_dropping_empties_is_refused():
    with pytest.raises(InputError) as error:
        module([0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1], drop_duplicates=True).setup()
    assert error.value.code == "data.split.empty"


def test_unremarkable_data_has_no_notes():
    data = ImageDataModule(Embedded(), "data")
    data.setup()
    assert data.notes == []


def test_missing_and_rare_classes_are_named_with_a_way_out():
    labels = [0] * 60 + [1] * 60 + [2] * 12
    names = ("zero", "one", "two", "three")
    data = module(range(132), labels, names=names)
    notes = unmarked(data.notes)
    assert values(notes, "empty_classes") == {"count": 1, "names": "three"}
    rare = {str(note.values["part"]): note.values["names"] for note in notes if note.code == "data.note.rare"}
    train, _, test = (np.bincount(labels_of)[2] for labels_of in (data.dataset.labels[p] for p in data.parts.indices))
    assert (train, test) == (7, 2)
    assert rare == {"train": "two", "test": "two"}


def test_stratified_is_advised_only_where_it_helps():
    labels = np.array([0] * 100 + [1] * 25, np.int64)
    dataset = Given(range(125), labels).data
    fair = stratified(labels, (0.6, 0.2, 0.2), 0)
    unfair = parts(np.arange(104), np.arange(104, 115), np.arange(115, 125))  # 4 of class 1 train
    assert "stratify" in codes(notes_on_classes(dataset, unfair, fair))
    assert "stratify" not in codes(notes_on_classes(dataset, unfair, None))
    assert "stratify" not in codes(notes_on_classes(dataset, fair, fair))
    few = np.array([0] * 100 + [1] * 3, np.int64)
    tiny = Given(range(103), few).data
    one = parts([*range(60), 100, 101], [*range(60, 80), 102], range(80, 100))
    notes = list(notes_on_classes(tiny, one, stratified(few, (0.6, 0.2, 0.2), 0)))
    assert "rare" in codes(notes)
    assert "absent" in codes(notes)


@pytest.mark.parametrize(
    ("counts", "largest"),
    [
        ((60, 40), None),
        ((74, 26), None),
        ((76, 24), "0"),
        ((20, 52, 28), "1"),
        ((49, 26, 25), None),
        ((100, *[1] * 100), "0"),  # about half
        ((*[9] * 99, 110), "99"),  # eleven times the mean
        ((*[9] * 99, 80), None),
    ],
)
def test_a_class_so_large_that_guessing_it_scores_well_is_named(counts, largest):
    labels = np.repeat(np.arange(len(counts)), counts)
    dataset = Given(range(len(labels)), labels).data
    everything = np.arange(len(labels))
    notes = list(notes_on_classes(dataset, parts(everything, everything[:0], everything[:0]), None))
    found = [note.values["name"] for note in notes if note.code == "data.note.unequal"]
    assert found == ([] if largest is None else [largest])


def test_notes_of_a_limited_run_are_not_about_the_few_images_of_its_choice():
    data = module(range(400), [place % 10 for place in range(400)], limit=8)
    assert not {"rare", "absent", "stratify"} & {*codes(data.notes)}


def test_labels_of_one_class_alone_are_refused_before_training_but_may_be_evaluated():
    data = module(range(20), [0] * 20, names=("seven",))
    data.setup("test")
    for stage in (None, "fit"):
        with pytest.raises(InputError, match="all 20 images have the label 'seven'") as error:
            data.setup(stage)
        assert error.value.code == "data.classes.only"


def test_a_training_part_of_one_class_alone_is_refused_and_the_fix_works():
    labels = [0] * 30 + [1] * 30
    with pytest.raises(InputError, match=r"use data\.split=stratified") as error:
        module(range(60), labels, test=30, split="official").setup()
    assert error.value.code == "data.classes.only_in_part"
    module(range(60), labels, test=30, split="stratified").setup()
    with pytest.raises(InputError, match="add images of others"):
        module(range(60), [0] * 59 + [1], test=1, split="official").setup()


def test_notes_that_need_attention_are_marked_and_come_first_in_each_language():
    assumed, rare = Message("data.note.transposed_setting"), Message("data.note.unequal", name="1", share=90)
    first, second = attention_first([assumed, rare])
    assert (str(first), second) == (f"please check: {rare}", assumed)
    assert first.in_language("de").startswith("bitte prüfen: 90 % der Trainingsbilder")
    data = module([1] * 8 + [*range(2, 10)], [0, 1] * 8)
    marks = [note.code == MARK for note in data.notes]
    assert any(marks)
    assert marks == sorted(marks, reverse=True)


def test_the_notes_that_need_attention_exist():
    catalog = Language("en", CATALOGS)
    assert all(code in catalog for code in CODES)


def test_an_evaluation_does_not_call_a_class_without_images_impossible_to_learn():
    dataset = Given(range(12), [0, 2] * 6).data
    everything = np.arange(12)
    tested = list(notes_on_classes(dataset, parts([], [], everything), None))
    assert (codes(tested), values(tested, "absent")["names"]) == (["absent"], "1")
    assert codes(notes_on_classes(dataset, parts(everything, [], []), None))[0] == "empty_classes"
