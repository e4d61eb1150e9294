"""The language of reports and of the terminal."""

from ziffern.errors import InputError
from ziffern.text.language import LANGUAGES, Language


def chosen_language(code: str) -> Language:
    """Return the language with this code.

    Raises:
        InputError: There is none.
    """
    if code not in LANGUAGES:
        raise InputError("cli.language.unknown", code=code, known=LANGUAGES)
    return Language(code)
