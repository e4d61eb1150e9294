"""One HTML page that reads drawings and pictures with a trained model: no network, no library, no installation.

Decisions: everything is inside one file of less than 200 kB, whose security policy allows its own script alone; names
of classes are data, never markup; weights are rounded only as far as the file's size needs.
"""

import base64
import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ziffern.deploy.page_net import PRECISIONS, packed_net
from ziffern.errors import InputError
from ziffern.text.language import LANGUAGES, catalog

MAX_BYTES = 200_000
TEMPLATES = Path(__file__).with_name("templates")
TEXTS = Path(__file__).parents[1] / "text/page"
SCRIPTS = ("drawing.js", "net.js", "page.js")
MODEL = re.compile(r'<script id="model" type="application/json">(.*?)</script>', re.DOTALL)
COLORS = (1, 3)  # channels that a browser's pictures become


def html_page(model: Any, facts: Mapping[str, Any]) -> tuple[str, str]:
    """Return the page of an ONNX model (a ModelProto) and the precision of its weights.

    Raises:
        InputError: The page lacks an operation of the network, or it would be too large, or images have other channels.
    """
    if facts["image"][0] not in COLORS:
        raise InputError("deploy.page.channels", channels=facts["image"][0])
    page = ""
    for precision in PRECISIONS:
        page = _filled(packed_net(model, precision), facts)
        if len(page.encode()) < MAX_BYTES:
            return page, precision
    count = sum(math.prod(tensor.dims) for tensor in model.graph.initializer)
    raise InputError("deploy.page.too_large", weights=count, size=len(page.encode()), limit=MAX_BYTES)


def net_of(page: str) -> dict[str, Any]:
    """Return the network that a page contains."""
    match = MODEL.search(page)
    assert match is not None
    net: dict[str, Any] = json.loads(match[1])["net"]
    return net


def _filled(net: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    texts = {code: catalog(TEXTS / f"{code}.yaml") for code in LANGUAGES}
    model = json.dumps({**facts, "net": net, "texts": texts}, separators=(",", ":")).replace("<", "\\u003c")
    read = {name: (TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.html", "page.css", *SCRIPTS)}
    script = "".join(read[name] for name in SCRIPTS)
    values = {"STYLE": read["page.css"], "SCRIPT": script, "MODEL": model}
    values |= {f"{name}_HASH": _hash(values[name]) for name in ("STYLE", "SCRIPT")}
    return re.sub("@([A-Z_]+)@", lambda match: values[match[1]], read["page.html"])


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
