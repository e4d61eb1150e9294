"""`ziffern evaluate` and `python eval.py`: test a finished checkpoint."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ziffern.cli.terminal import language_of_terminal, readable_streams
from ziffern.config.command import quoted
from ziffern.config.typed import check_blanks, grammatical
from ziffern.errors import InputError
from ziffern.experiment.failure import describe, fail
from ziffern.text.language import Language, terminal_language, terminal_words
from ziffern.text.printable import printable

USAGE = """usage: eval.py ckpt_path=RUN/checkpoints/best.ckpt [SETTING=VALUE ...]

Test a finished checkpoint again. `ziffern evaluate --help` shows further options.

  data=NAME|PATH   a data set, or your own data (default: the run's own)
  data.dir=FOLDER  the folder of data sets, and other settings of the data
  trainer=NAME     auto, cpu, gpu or mps (default: auto)
  report=LANGUAGE  en or de"""
ENDS = (("value", ""), ("low", "_low"), ("high", "_high"))  # of an accuracy and its interval


def evaluate_run(
    run: Path,
    settings: Mapping[str, Any],
    data: str | None = None,
    part: str | None = None,
    checkpoint: str = "best",
    output: Path | None = None,
) -> None:
    """Test a checkpoint, print its accuracy, and write a report; the arguments are those of `evaluate`."""
    from ziffern.experiment.evaluation import evaluate
    from ziffern.records.messages import message_text, message_texts
    from ziffern.report.run_page import write_report
    from ziffern.runs.run import Run

    result = Run(evaluate(run, data, part, checkpoint, output, settings))
    metrics, words, language = result.metrics, terminal_words(), terminal_language.get()
    page = write_report(result, language=language)
    share = {name: words.percent(metrics[f"test/acc{end}"]) for name, end in ENDS}
    count = {name: words.number(metrics[f"test/{name}"]) for name in ("correct", "total")}
    rows = {
        Language(language)("metrics.test_acc.label"): words("summary.test_acc", **share, **count),
        words("summary.data"): printable(f"{metrics['data/name']} ({metrics['data/split']})"),
        words("evaluate.checkpoint"): printable(run / f"checkpoints/{checkpoint}.ckpt"),
        words("evaluate.report"): quoted(page),
    }
    for key, kind in (("debug", "note"), ("data/note", "note"), ("data/leak", "leak")):
        if text := message_text(metrics, key, language):
            print(words(f"start.{kind}", text=printable(text)))
    for text in message_texts(metrics, "data/notes", language):
        print(words("start.about_data", text=printable(text)))
    width = 2 + max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}{value}")


def parsed(overrides: Sequence[str]) -> dict[str, Any]:
    """Return settings by their dotted names.

    Raises:
        InputError: An override is not `key=value`.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    settings: dict[str, Any] = {}
    for item in overrides:
        try:
            override = OverridesParser.create().parse_override(grammatical(item))
        except HydraException as error:
            raise InputError("config.override.invalid", override=item) from error
        if override.is_delete() or override.is_sweep_override():
            raise InputError("config.override.invalid", override=item)
        settings[override.key_or_group] = override.value()
    return settings


def main(arguments: Sequence[str] | None = None) -> None:
    """Run eval.py with `ckpt_path=RUN/checkpoints/best.ckpt` and optional settings; exits with 2 on bad input."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if {"-h", "--help"} & set(arguments):
        print(USAGE)
        return
    terminal_language.set(language_of_terminal(os.environ, arguments))
    readable_streams()
    try:
        check_blanks(arguments, "python eval.py")
        settings = parsed(arguments)
        path = _checkpoint(settings.pop("ckpt_path", None))
        settings.pop("report", None)  # the language, set above
        data = settings.pop("data", None)
        evaluate_run(path.parent.parent, settings, None if data is None else str(data), checkpoint=path.stem)
    except (InputError, OSError) as error:
        fail(error if isinstance(error, InputError) else describe(error, "ziffern evaluate --output FOLDER"))


def _checkpoint(value: Any) -> Path:
    if value is None:
        raise InputError("cli.evaluate.no_checkpoint")
    path = Path(str(value)).expanduser()
    if path.parent.name != "checkpoints" or path.name not in ("best.ckpt", "last.ckpt"):
        raise InputError("cli.evaluate.other_checkpoint", path=path)
    return path
