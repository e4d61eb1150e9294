import json

import pytest

from ziffern.errors import InputError
from ziffern.records.messages import message_text, recorded
from ziffern.text.catalog import Message

NOTE = Message("runs.note.other_images", reason=InputError("runs.difference.data", values=["a", "b"]), names="–")


def test_a_note_is_german_in_a_german_report() -> None:
    record = json.loads(json.dumps(recorded("data/note", NOTE)))
    assert record["data/note"] == NOTE.in_language("en") == message_text(record, "data/note", "en")
    assert message_text(record, "data/note", "de") == NOTE.in_language("de") != NOTE.in_language("en")


def test_a_note_of_an_earlier_version_stays_english() -> None:
    assert recorded("data/note", "") == recorded("data/note", None) == {"data/note": ""}
    assert message_text({"data/note": "some text"}, "data/note", "de") == "some text"
    assert message_text({}, "data/note", "de") == ""


@pytest.mark.parametrize(
    "message",
    [
        None,
        "text",
        {},
        {"code": "no.such.code", "values": {}},
        {"code": "runs.note.untested", "values": {}},
        {"code": "runs.note.untested", "values": []},
        {"code": "records.array.too_many", "values": {"name": "x", "count": "many", "limit": {"code": 3}}},
        {"code": "runs.note", "values": {"code": "x"}},
    ],
)
def test_a_foreign_code_falls_back_to_the_english_text(message: object) -> None:
    record = {"data/note": "some text", "data/note_message": message}
    assert message_text(record, "data/note", "de") == "some text"
