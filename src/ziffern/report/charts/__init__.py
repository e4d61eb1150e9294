"""The charts of reports, by the kind of page; each function returns an SVG element."""

import ziffern.machine.plotting  # noqa: F401
