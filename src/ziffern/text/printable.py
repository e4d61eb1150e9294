"""Text from foreign files, made safe to print: no terminal escapes, no line breaks, no lone surrogates."""

MAX_LENGTH = 300  # characters of a name or value in a message


def printable(text: object) -> str:
    r"""Return the text with everything unprintable, but no-break spaces, replaced by escapes such as `\x1b`."""
    shown = str(text)
    return "".join(c if c.isprintable() or c == "\xa0" else ascii(c)[1:-1] for c in shown)  # as in a German 1 %


def one_line(text: object) -> str:
    """Return the text on one printable line of about MAX_LENGTH characters at most; the middle is cut out."""
    shown = str(text).strip()
    if len(shown) > MAX_LENGTH:
        shown = f"{shown[: MAX_LENGTH // 2]}…{shown[-MAX_LENGTH // 2 :]}"
    return printable(shown)


def reason(error: object) -> str:
    """Return an exception's message on one printable line; its type if it has no message."""
    return one_line(" ".join(str(error).split())) or type(error).__name__
