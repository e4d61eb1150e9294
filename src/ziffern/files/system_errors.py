"""What an operating system reports, as a message in any language."""

import errno

from ziffern.text.catalog import Message, catalog


def os_reason(error: OSError) -> Message | str:
    """Return why the system refused, such as "No space left on device"; its own text where the catalogs lack it."""
    code = f"files.system.{errno.errorcode.get(error.errno or 0, 'none')}"
    return Message(code) if code in catalog("en") else error.strerror or str(error) or type(error).__name__
