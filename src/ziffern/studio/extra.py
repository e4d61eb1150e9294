"""Overrides without a field in the form, which a suggestion copies from a run.

Decisions: they are shown beside the form, go into the command unchanged, and take precedence over the form's fields.
They come back from the browser, and the run may be somebody else's; so settings that name a location, settings of
Hydra, and interpolations (`${...}`) are refused.
"""

import re
from collections.abc import Sequence

from ziffern.errors import InputError
from ziffern.studio import settings
from ziffern.studio.numbers import as_number

MAX_EXTRA, MAX_LENGTH = 40, 300
NOT_RESULTS = ("ckpt_path", "hydra", "logger", "report")  # they set where output goes, which the page decides
ALLOWED = re.compile(
    r"(model|data|trainer|callbacks|experiment|monitor|objective|seed|test|threads)([./@].*)?", re.DOTALL
)
PLACE = re.compile(r"dir|path|root|source|file", re.IGNORECASE)
INTERPOLATION = re.compile(r"\$\\*\{")  # Hydra reads $\{...} in an override as ${...}


def key_of(override: str) -> str:
    """Return the name of the setting or group that an override changes."""
    return override.partition("=")[0].lstrip("+~").strip()


def check_extra(overrides: Sequence[object], may_name_data: bool) -> list[str]:
    """Return overrides from the browser that may be added to the form's.

    With `may_name_data`, `data.dir` may name any folder, as where nobody else uses the page.

    Raises:
        InputError: One of them is refused.
    """
    if len(overrides) > MAX_EXTRA:
        raise InputError("studio.form.too_many_settings", count=len(overrides), limit=MAX_EXTRA)
    for override in overrides:
        text = str(override)
        key = key_of(text)
        names_place = PLACE.search(text) and not (may_name_data and key == "data.dir")
        is_refused = not ALLOWED.fullmatch(key) or len(text) > MAX_LENGTH or names_place
        if is_refused or INTERPOLATION.search(text):
            raise InputError("studio.form.setting_refused", setting=text)
    return [str(override) for override in overrides]


def with_tip(overrides: Sequence[str], tip: str) -> list[str]:
    """Return a run's overrides with a suggestion, without those that set where output goes."""
    key = key_of(tip)
    typed = [item for item in overrides if key_of(item).split(".")[0] not in NOT_RESULTS and key_of(item) != key]
    if key == "model":
        typed = [item for item in typed if key_of(item) != "experiment" and not key_of(item).startswith("model.")]
    return [*typed, tip]


def is_shown(override: str, beside: Sequence[str] = ()) -> bool:
    """Return whether the form shows exactly the value of an override, and those of its settings in `beside`."""
    key, _, value = override.partition("=")
    inner = key.replace("/", ".") + "."  # of an option whose settings are changed one by one
    if any(key_of(item).startswith(inner) and not is_shown(item) for item in beside):
        return False
    fields = {field.key: field for field in settings.NUMBERS}
    if key in fields:
        field = fields[key]
        shown = 0 if field.name == "patience" and value == "null" else as_number(value, "en")
        return field.problem(shown) == ""
    names = {settings.DROPOUT: "dropout", "model/optimizer": "optimizer", "model/augment": "augment"}
    names["data.split"] = "split"
    return bool(value) and key in names and value in settings.CHOICES[names[key]]
