"""The model card: README.md with the metadata of the Hugging Face Hub, and weights that `HubModel` loads.

Decisions: every figure comes from the run folder, with n and its interval; nothing is claimed that was not measured; a
license of the data is given only where the data set is known by name (`templates/data_sets.yaml`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import yaml

from ziffern.deploy.extra import require
from ziffern.deploy.network import Network, config_of, facts_of
from ziffern.errors import InputError
from ziffern.files.atomic import write_atomically, write_json, write_text
from ziffern.runs.run import Run
from ziffern.text.language import NONE, Language
from ziffern.text.printable import one_line

TEMPLATES = Path(__file__).with_name("templates")
METRICS = {"accuracy": "test/acc", "f1": "test/f1"}  # names of the Hub, of scores in metrics.json


def write_card(run: Run, folder: Path | None = None) -> Path:
    """Write README.md, config.json and model.safetensors of a finished run, and return the folder.

    Args:
        run: A tested run with a checkpoint.
        folder: Where to write; `card-NAME` in the working directory if None. Files of these names are replaced.

    Raises:
        InputError: safetensors is missing, the run is not finished, or its checkpoint cannot be loaded.
    """
    from ziffern.deploy.weights import weights_file

    require("export", "safetensors")
    network = Network.of(run)
    facts = {"network": config_of(run), **facts_of(run, network.normalize.image)}
    folder = folder or Path(f"card-{facts['run']}")
    if folder.exists() and not folder.is_dir():
        raise InputError("deploy.export.not_folder", path=folder)
    text = _card(run, facts)
    content = weights_file(network, facts)
    write_atomically(folder / "model.safetensors", lambda file: file.write(content))
    write_json(folder / "config.json", facts)
    write_text(folder / "README.md", text)
    return folder


def _card(run: Run, facts: Mapping[str, Any]) -> str:
    metrics, name = run.metrics, facts["data"]["name"]
    about = (yaml.safe_load((TEMPLATES / "data_sets.yaml").read_text(encoding="utf-8"))).get(name, {})
    scores = {key: metrics[field] for key, field in METRICS.items() if metrics.get(field) is not None}
    split = one_line(facts["data"]["split"])
    data = {"type": about.get("id", one_line(name)), "name": f"{one_line(name)}, test part ({split})"}
    task = {"type": "image-classification"}
    measured = [{"type": key, "value": value} for key, value in scores.items()]
    results = [{"task": task, "dataset": data, "metrics": measured}] if scores else []
    title = one_line(facts["run"])
    header = {
        "library_name": "ziffern",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "pytorch", "pytorch_model_hub_mixin", "model_hub_mixin"],
        "license": "other",
        "license_name": "not-chosen",
        **({"datasets": [about["id"]]} if "id" in about else {}),
        "metrics": list(scores),
        **({"model-index": [{"name": title, "results": results}]} if results else {}),
    }
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    environment.filters |= {"line": lambda value: _escaped(one_line(value)), "share": Language("en").percent}
    environment.filters |= {"number": lambda value: NONE if value is None else f"{value:,}"}
    template = environment.from_string((TEMPLATES / "card.jinja").read_text(encoding="utf-8"))
    config = {key: value for key, value in facts.items() if key != "network"}
    confusions = run.predictions.outcome.confusions if run.is_tested else []
    values = {"title": title, "metrics": metrics, "facts": config, "confusions": confusions}
    values |= {key: about.get(key) for key in ("license", "source")}
    return f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---\n\n{template.render(values)}"


def _escaped(text: str) -> str:
    """Return text that Markdown shows as it is."""
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>#|&" else letter for letter in text)
