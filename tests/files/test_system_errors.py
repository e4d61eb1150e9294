"""What an operating system reports, in each language."""

import errno
import os

import pytest
from ziffern.files.system_errors import os_reason

from ziffern.text.catalog import Message


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.ENOENT, errno.EROFS, errno.EFBIG])
def test_a_known_error_has_a_text_in_each_language(number: int) -> None:
    reason = os_reason(OSError(number, os.strerror(number)))
    assert isinstance(reason, Message)
    assert str(reason) == os.strerror(number)
    assert reason.in_language("de") != os.strerror(number)


def test_an_unknown_error_keeps_the_text_of_the_system() -> None:
    assert os_reason(OSError(errno.EDOM, "Out of range")) == "Out of range"
    assert os_reason(OSError("only text")) == "only text"
    assert os_reason(OSError()) == "OSError"
