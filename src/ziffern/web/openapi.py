"""The description of the service: OpenAPI, with the types that parse and write, and a page without foreign files."""

from pathlib import Path
from typing import Any

import msgspec
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ziffern.reading.result import Reading
from ziffern.web.bodies import Images
from ziffern.web.model import Answer
from ziffern.web.problems import ProblemDetails

HERE = Path(__file__).parent


def describe(schema: dict[str, Any], needs_key: bool) -> None:
    """Add `/predict` and `/read`, their types and the keys to the OpenAPI description of the other pages."""
    text = yaml.safe_load((HERE / "openapi.yaml").read_text(encoding="utf-8"))
    template = "#/components/schemas/{name}"
    _, types = msgspec.json.schema_components([Images, Answer, Reading, ProblemDetails], ref_template=template)
    schema["paths"] |= {"/predict": {"post": text["predict"]}, "/read": {"post": text["read"]}}
    schema["components"] = {"schemas": types}
    if needs_key:
        schema["components"]["securitySchemes"] = text["security"]
        schema["security"] = [{name: []} for name in text["security"]]


def page(**values: Any) -> str:
    """Return the documentation page."""
    environment = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("docs.html").render(values)
