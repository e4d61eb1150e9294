"""Who gets which field: no field twice, two people with double entry, arbitration, undo, restarts."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from ziffern.reading.decisions import Key
from ziffern.reading.result import REVIEW
from ziffern.web.verify.queue import LENT, Queue


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(batch: Path, clock: Clock) -> Iterator[Queue]:
    queue = Queue(batch, clock=clock)
    with closing(queue.decisions):
        yield queue


@pytest.fixture
def double(batch: Path, clock: Clock) -> Iterator[Queue]:
    queue = Queue(batch, True, clock)
    with closing(queue.decisions):
        yield queue


def enter(queue: Queue, person: str, key: Key, value: str, name: str = "review") -> None:
    queue.decide(person, key, "value" if value else "empty", value, 1.0, name)  # type: ignore[arg-type]


def test_least_certain_fields_are_first_and_nobody_gets_anothers(queue: Queue) -> None:
    first = queue.take("anna", "review", [], 4)
    probabilities = [queue.fields[key].probability for key in first]
    assert probabilities == sorted(probabilities)
    assert min(field.probability for field in queue.fields.values() if field.status == REVIEW) == probabilities[0]
    assert not set(first) & set(queue.take("bert", "review", [], 3))
    assert queue.take("anna", "review", first, 4) == []  # the page has them all
    assert queue.take("anna", "review", [], 4) == first  # after a reload


def test_a_field_that_nobody_looks_at_any_more_goes_to_the_next(queue: Queue, clock: Clock) -> None:
    first = queue.take("anna", "review", [], 2)
    clock.now += LENT - 1
    assert not set(first) & set(queue.take("bert", "review", [], 2))
    clock.now += 2
    assert queue.take("cem", "review", [], 2) == first


def test_later_is_last_and_undo_brings_back_in_order(queue: Queue) -> None:
    order = list(queue.open["review"])
    queue.decide("anna", order[0], "later", "", 1.0, "review")
    assert queue.take("anna", "review", [], queue.total)[-1] == order[0]
    enter(queue, "anna", order[1], "1")
    assert order[1] not in queue.open["review"]
    assert (queue.undo("anna", 1.0), queue.undo("anna", 1.0)) == (order[1], order[1])  # repeated by the page
    assert (queue.undo("anna", 2.0), queue.undo("anna", 3.0)) == (order[0], None)
    assert list(queue.open["review"]) == order
    assert queue.progress().done == 0


def test_double_entry_needs_two_people_and_differences_are_settled(double: Queue) -> None:
    key = double.take("anna", "review", [], 1)[0]
    assert double.take("bert", "review", [], 1) == [key]
    assert double.take("cem", "review", [], 1) != [key]
    enter(double, "anna", key, "11111")
    assert key not in double.take("anna", "review", [], 99)
    enter(double, "bert", key, "22222")
    assert double.progress().disputed == 1
    assert key not in double.take("cem", "review", [], 99)
    assert double.take("cem", "settle", [], 1) == [key]
    assert double.take("anna", "settle", [], 1) == []  # while the third person looks at it
    enter(double, "cem", key, "22222", "settle")
    final = double.standing.final(key)
    assert final
    assert (final.person, final.value, double.progress().disputed) == ("cem", "22222", 0)


def test_sample_has_accepted_fields(queue: Queue) -> None:
    keys = queue.take("anna", "sample", [], 99)
    assert keys
    assert {queue.fields[key].status for key in keys} == {"accepted"}
    enter(queue, "anna", keys[0], "9")
    assert keys[0] not in queue.take("anna", "sample", [], 99)


def test_any_entries_leave_the_same_after_a_restart(batch: Path, clock: Clock) -> None:
    random = Random(0)
    queue = Queue(batch, True, clock)
    for number in range(300):
        person, name = random.choice("abc"), random.choice(("review", "settle", "sample"))
        clock.now += 1
        if random.random() < 0.3:
            queue.undo(person, float(number))
        elif keys := queue.take(person, name, [], 2):
            enter(queue, person, random.choice(keys), random.choice(("", "1", "2")), name)
        states = {key: queue.standing.state(key) for key in queue.fields}
        assert set(queue.open["settle"]) == {key for key, state in states.items() if state == "disputed"}
        opened = {*queue.open["review"], *queue.open["sample"]}
        assert opened == {key for key, state in states.items() if state in ("open", "half")}
    queue.decisions.close()
    again = Queue(batch, clock=clock)
    with closing(again.decisions):
        assert again.open["review"].keys() == queue.open["review"].keys()
        assert again.standing.of_field == queue.standing.of_field
        assert again.progress() == queue.progress()


def test_entry_that_a_page_repeats_counts_once(queue: Queue) -> None:
    key = queue.take("anna", "review", [], 1)[0]
    for _ in range(2):
        queue.decide("anna", key, "value", "1", 1.25, "review")
    queue.undo("anna", 1.0)
    assert queue.standing.state(key) == "open"


def test_undo_that_a_page_repeats_after_a_restart_counts_once(batch: Path, clock: Clock) -> None:
    queue = Queue(batch, clock=clock)
    with closing(queue.decisions):
        first, second = queue.take("anna", "review", [], 2)
        for key in (first, second):
            enter(queue, "anna", key, "1")
        assert queue.undo("anna", 1.5) == second
    queue = Queue(batch, clock=clock)
    with closing(queue.decisions):
        assert queue.undo("anna", 1.5) == second
        assert second not in queue.take("bert", "review", [], queue.total)  # lent again
        assert (queue.standing.state(first), queue.standing.state(second)) == ("done", "open")
        assert queue.undo("anna", 2.5) == first
