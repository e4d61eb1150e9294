"""One field of a template: its boxes and rules, and contradictions between them."""

import csv
import dataclasses
import re
from typing import Any

from msgspec import structs

from ziffern.config import suggestion
from ziffern.reading.constraints import FIRST_YEAR, LAST_YEAR, Rules, violation
from ziffern.reading.layout import Box, Field, Kind
from ziffern.reading.template_keys import FieldKeys, Problems, convert
from ziffern.text.catalog import Message

RULES = ("length", "range", "date", "pattern", "check", "country", "values", "unique")
ROW = ("at", "size", "gap", "down")
KINDS: dict[str, tuple[Kind, tuple[str, ...]]] = {  # the keys of each kind, besides its own, label and required
    "cells": ("cells", (*ROW, "groups", "group_gap", *RULES)),
    "boxes": ("cells", RULES),
    "string": ("string", ("at", *RULES)),
    "ticks": ("ticks", (*ROW, "choose")),
    "crop": ("crop", ("at",)),
}
TICKS = {"size": (5.0, 5.0), "gap": 20.0}  # other defaults than those of cells
LENGTHS = {"ean": (8, 12, 13, 14), "isbn": (10, 13)}  # digits that a check needs
MAX_LIST, MAX_VALUES = 10 * 10**6, 100_000  # bytes of a CSV file; values
GERMAN = str.maketrans("TJ", "DY")  # TT.MM.JJJJ
COLUMN = re.compile(r"(.+\.(?:csv|tsv|txt)):(.+)", re.IGNORECASE)


def read_field(name: str, place: str, content: Any, problems: Problems) -> Field:
    """Return a field from its mapping; mistakes are added."""
    shapes = [key for key in KINDS if isinstance(content, dict) and key in content]
    if len(shapes) != 1:
        near = [suggestion(key, KINDS) for key in content] if isinstance(content, dict) and not shapes else []
        problems.add(place, "kind", known=list(KINDS), near=next(filter(None, near), ""))
        return Field(name, "crop", (), Rules())
    shape = shapes[0]
    kind, allowed = KINDS[shape]
    keys = problems.keys(FieldKeys, content, place, (shape, *allowed, "label", "required"))
    if kind == "ticks":
        keys = structs.replace(keys, **{key: value for key, value in TICKS.items() if key not in content})
    found = {
        "missing": "at" in allowed and "at" not in content,
        "same_labels": len(set(keys.ticks)) < len(keys.ticks),
        "groups": keys.groups and sum(keys.groups) != keys.cells,
    }
    for code in (code for code, is_wrong in found.items() if is_wrong):
        problems.add(f"{place}.at" if code == "missing" else place, code, sum=sum(keys.groups), cells=keys.cells)
    if shape == "boxes":
        boxes = tuple(Box.of(*box) for box in keys.boxes)
    elif shape in ("string", "crop"):
        boxes = (Box.of(*keys.at, *getattr(keys, shape)),)
    else:
        groups = (len(keys.ticks) or keys.cells,) if found["groups"] or not keys.groups else keys.groups
        boxes = tuple(_row(keys, groups))
    rules = _rules(place, content, keys, kind, len(boxes), problems)
    if "values" in content and "values" in allowed:
        values = _values(f"{place}.values", content["values"], rules, problems)
        rules = dataclasses.replace(rules, values=values)
    return Field(name, kind, boxes, rules, tuple(keys.ticks), keys.label or name.replace("_", " "))


def _row(keys: FieldKeys, groups: tuple[int, ...]) -> list[Box]:
    """Return boxes beside or below each other, with a larger gap between groups."""
    is_down, boxes, offset = keys.down in ("yes", "true"), [], 0.0
    for count in groups:
        for _ in range(count):
            left, top = (keys.at[0], keys.at[1] + offset) if is_down else (keys.at[0] + offset, keys.at[1])
            boxes.append(Box.of(left, top, *keys.size))
            offset += keys.size[is_down] + keys.gap
        offset += keys.group_gap - keys.gap
    return boxes


def _rules(place: str, content: dict[str, Any], keys: FieldKeys, kind: Kind, count: int, problems: Problems) -> Rules:
    """Return what is known of a value without a list of valid ones; contradictions are added."""
    is_required = keys.required in ("yes", "true")
    if kind == "crop":
        return Rules(required="required" in content and is_required)
    choose = keys.choose if "choose" in content else (int(is_required), count)
    limits, form = keys.range if "range" in content else None, re.sub("[ ./-]", "", keys.date).upper().translate(GERMAN)
    most = count if kind == "cells" else 60
    length = keys.length if "length" in content else (len(form),) * 2 if form else (1, most)
    if kind == "string" and limits and not form and "length" not in content:
        length = (1, len(str(limits[1])))
    digits = LENGTHS.get(keys.check, ())
    found = {
        "choose": kind == "ticks" and choose[1] > count,
        "length": kind != "ticks" and length[1] > most,
        "range": limits and not form and len(str(limits[1])) > length[1],
        "date": form and length != (len(form),) * 2,
        "years": form and limits and not FIRST_YEAR <= limits[0] <= limits[1] <= LAST_YEAR,
        "check": digits and not any(length[0] <= number <= length[1] for number in digits),
        "pattern": not _is_regular(keys.pattern),
    }
    for code in (code for code, is_wrong in found.items() if is_wrong):
        values: dict[str, object] = {"low": FIRST_YEAR, "high": LAST_YEAR}
        values |= {"length": f"{length[0]} – {length[1]}", "count": count, "check": keys.check, "digits": list(digits)}
        problems.add(f"{place}.{code.replace('years', 'range')}", f"contradiction.{code}", **values)
    if kind == "ticks":
        return Rules(choose=choose, values=tuple(keys.ticks), required=is_required)
    is_unique, is_known = keys.unique in ("yes", "true"), kind == "cells" or length[1] < most
    known = length if is_known else None
    return Rules(known, limits, form, keys.pattern, keys.check, keys.country, None, None, is_unique, is_required)


def _values(place: str, content: Any, rules: Rules, problems: Problems) -> tuple[str, ...]:
    """Return the valid values, from a list or a column of a CSV file."""
    match = COLUMN.fullmatch(content) if isinstance(content, str) else None
    values = _column(place, match[1], match[2], problems) if match else convert(content, list[str])
    if values is None:
        problems.wrong(place, content)
    elif not 0 < len(values) <= MAX_VALUES and not problems.are_at(place):
        problems.add(place, "value_count", count=len(values), limit=MAX_VALUES)
    for value in () if problems.are_at(place.rpartition(".")[0]) else values or ():
        reason = violation(dataclasses.replace(rules, required=True), value)
        if reason:
            problems.add(place, "value", value=value, problem=Message(reason.code, **reason.values))
            break
    return tuple(dict.fromkeys(values or ()))


def _column(place: str, name: str, column: str, problems: Problems) -> list[str]:
    text = problems.read(name, MAX_LIST, place).decode("utf-8-sig", "replace")
    separator = max(",;\t", key=text.partition("\n")[0].count)
    try:
        header, *rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines(), delimiter=separator)]
    except (ValueError, csv.Error):  # without any row, or with a cell of more than 128 kB
        header, rows = [], []
    if column not in header and not problems.are_at(place):
        problems.add(place, "column", path=name, column=column, known=header)
    index = header.index(column) if column in header else len(header)
    return [row[index] for row in rows if len(row) > index and row[index]]


def _is_regular(pattern: str) -> bool:
    try:
        return bool(re.compile(pattern))
    except re.error:  # such as [9-0] and 1{3,2}
        return False
