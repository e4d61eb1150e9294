"""The page itself: Gradio's components, tab by tab, and their handlers.

Decisions: one `Blocks` per language; every handler is private and works on the workspace of the person who sends the
request; a handler receives values of the form and names, which it looks up, and never a path; what the browser forgets
on a reload is read from the workspace again; two answers may arrive in any order, so the browser sends what it shows.
It is one long class, since handlers of one tab update components of others.
"""

import base64
import contextlib
import shlex
from abc import ABCMeta
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from ziffern.config.command import quoted_value
from ziffern.data.drawing import as_digit
from ziffern.data.spec import MNIST_SHAPE
from ziffern.errors import InputError
from ziffern.runs.findings import Findings
from ziffern.runs.run import Run
from ziffern.studio import settings, views
from ziffern.studio.extra import check_extra, is_shown, with_tip
from ziffern.studio.jobs import Job, active_trainings, resume, start, with_threads
from ziffern.studio.look import read_file
from ziffern.studio.numbers import as_number, as_text
from ziffern.studio.views import Words
from ziffern.studio.workspace import PERSON_FOLDER, UPLOADS, Workspace
from ziffern.text.language import LANGUAGES

Update = Any  # for a component of Gradio's: a value, or gr.update(...)
CLOUD = ("mnist5k", "mnist", "fashion_mnist", "kmnist", "qmnist", "emnist_digits", "usps")
UPLOADED = "upload:"
EMBEDDED = "mnist5k"  # without a published test part
CHECKED = ("models", *(field.name for field in settings.NUMBERS), "split")
MAX_TIPS = 4
FEW = 3  # runs that are selected initially
MAX_DRAWING = 8_000_000  # characters of a drawing
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
LAST: dict[str, Any] = QUIET | {"trigger_mode": "always_last"}  # what comes while an answer is awaited is answered next
SLOW: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
# Names from lists that grow are looked up here and not by Gradio in the choices that it sent last, since the browser
# may still show earlier ones; an outdated list would block every later answer.
LISTED: dict[str, Any] = {"preprocess": False}


def _known(self: gr.Radio, payload: Any) -> Any:
    """Return the data that was chosen: an upload is looked up in the workspace, and not in the list of choices."""
    return payload if str(payload).startswith(UPLOADED) else gr.Radio.preprocess(self, payload)


# Drawn as its base class. Gradio's metaclass, which is passed over, would write a .pyi file beside this module.
NAMES = {"preprocess": _known, "is_template": True, "__module__": __name__}
Sources: Any = ABCMeta.__new__(type(gr.Radio), "Sources", (gr.Radio,), NAMES)


def _html(value: str = "", js_on_load: str | None = None, **more: Any) -> gr.HTML:
    """Return a component for our own HTML, in our own style."""
    return gr.HTML(value, js_on_load=js_on_load, apply_default_css=False, **more)


@dataclass
class Studio:
    """The part that the pages of all languages share."""

    output: Path  # the folder of runs and uploads
    data: Path | None  # the folder of data sets; None for the command line's default
    is_shared: bool  # several people use it, each with their own workspace

    def workspace(self, request: Any) -> Workspace:
        """Return the workspace of the person who sends a request."""
        if not self.is_shared:
            return Workspace(self.output)
        inner = getattr(request, "request", None)  # Gradio wraps the server's request
        scope = (request if inner is None else inner).scope
        return Workspace(self.output / PERSON_FOLDER / str(scope["ziffern.person"]))

    def data_overrides(self, workspace: Workspace, source: str) -> list[str]:
        """Return the overrides that name a data set or an upload."""
        if source.startswith(UPLOADED):
            path = workspace.uploads().get(source.removeprefix(UPLOADED))
            if path is None:
                raise InputError("studio.choice.upload_gone", name=source.removeprefix(UPLOADED))
            return ["data=local", f"data.dir={quoted_value(path)}"]
        if source not in CLOUD:
            raise InputError("studio.choice.no_data", name=source)
        where = [f"data.dir={quoted_value(self.data)}"] if self.data and source != EMBEDDED else []
        return [f"data={source}", *where]


class Page:
    """The page in the language of `words`."""

    def __init__(self, studio: Studio, words: Words) -> None:
        self.studio, self.words, self.s = studio, words, words.s

    def build(self) -> gr.Blocks:
        """Return the page."""
        tabs: dict[str, gr.Tab] = {}
        content = {
            "data": self._data_tab,
            "settings": self._settings_tab,
            "train": self._train_tab,
            "results": self._results_tab,
            "compare": self._compare_tab,
            "try": self._try_tab,
            "theory": self._theory_tab,
        }
        with gr.Blocks(title=self.s("title"), analytics_enabled=False, delete_cache=(600, 600)) as blocks:
            others = {code: Words(code).s("language") for code in LANGUAGES if code != self.words.code}
            _html(self.words.render("parts.html", "top", others=others))
            self.mending = gr.Timer(1.0)  # inside a tab it would not run until that is opened
            with gr.Tabs() as self.tabs:
                for name, fill in content.items():
                    with gr.Tab(self.s(f"tabs.{name}"), id=name) as tabs[name]:
                        fill()
            self._connect()
            tabs["train"].select(self.watch, None, self.watched, **QUIET)
            chosen_run = [self.run, self.shown]
            for opened in (tabs["results"].select, blocks.load):
                opened(self.run_choices, chosen_run, chosen_run, **QUIET, **LISTED)
            for tab, chosen in (("compare", self.compared), ("try", self.asked)):
                tabs[tab].select(self.model_choices, chosen, chosen, **QUIET, **LISTED)
                blocks.load(self.known_models, None, chosen, **QUIET)  # the first choice is made when its tab opens
            kept = [self.source, self.upload_choice, self.remove, *self.form[1:]]
            blocks.load(self.restore, self.source, kept, **QUIET)
            blocks.load(self.watch, None, self.watched, **QUIET)
        blocks.queue(default_concurrency_limit=8, max_size=100)
        return cast(gr.Blocks, blocks)

    def _labels(self, key: str) -> dict[str, Any]:
        """Return label and explanation of a component."""
        return {"label": self.s(f"{key}.name"), "info": self.s(f"{key}.means")}

    def _choice(self, name: str, kind: type[gr.Radio | gr.Dropdown] = gr.Dropdown, **more: Any) -> Any:
        """Return a component for one of `settings.CHOICES`."""
        texts = f"fields.{name}"
        choices = [(o if o[:1].isdigit() else self.s(f"{texts}.{o or 'own'}"), o) for o in settings.CHOICES[name]]
        return kind(choices, **self._labels(texts), **more)

    def _message(self, key: str, **values: Any) -> str:
        return self.words.message(self.s(key, **values))

    # Data

    def _data_tab(self) -> None:
        s = self.s
        channels, height, width = MNIST_SHAPE  # of uploads, since the form has no `data.image`
        with gr.Row():
            with gr.Column(scale=1):
                self.source = Sources(self.sources(None), value=EMBEDDED, **self._labels("data.source"))
                self.split = self._choice("split", gr.Radio, value="resplit")
                self.look = gr.Button(s("data.look"), variant="primary")
            with gr.Column(scale=1):
                self.upload = gr.UploadButton(s("data.upload"), file_types=list(UPLOADS))
                size = {"pixels": channels * height * width, "height": height, "width": width}
                _html(self.words.render("parts.html", "text", text=s("data.upload_means", **size)))
                self.upload_notice = _html()
                self.upload_choice = gr.Dropdown([], label=s("data.uploads"), visible=False)
                self.remove = gr.Button(self._removal(None), visible=False)
        self.shown_data = _html(self._message("data.press"))

    def sources(self, workspace: Workspace | None) -> list[tuple[str, str]]:
        """Return the data to choose from."""
        choices = [(self.s(f"sources.{name}"), name) for name in CLOUD]
        uploads = workspace.uploads() if workspace else {}
        return choices + [(self.s("data.uploaded", name=name), UPLOADED + name) for name in uploads]

    def _source_updates(self, workspace: Workspace, chosen: str) -> tuple[Update, Update, Update]:
        uploads = list(workspace.uploads())
        choices = self.sources(workspace)
        known = [value for _, value in choices]
        own, newest = chosen.startswith(UPLOADED) and chosen in known, next(reversed(uploads), None)
        named = chosen.removeprefix(UPLOADED) if own else newest
        return (
            gr.update(choices=choices, value=chosen if chosen in known else EMBEDDED),
            gr.update(choices=uploads, value=named, visible=bool(uploads)),
            gr.update(visible=bool(uploads), value=self._removal(named)),
        )

    def _removal(self, name: str | None) -> str:
        """Return the label of the button that removes an upload."""
        return self.s("data.remove", name=name or "")

    def name_removal(self, name: str | None) -> Update:
        """Show on the button the upload that it removes."""
        return gr.update(value=self._removal(name))

    def follow_source(self, source: str, split: str) -> tuple[Update, Update, Update]:
        """Let the button remove the upload that was just chosen as data, and keep parts that the upload has."""
        if not source.startswith(UPLOADED):
            return gr.skip(), gr.skip(), gr.update(value="resplit") if split == "auto" else gr.skip()
        name = source.removeprefix(UPLOADED)
        return gr.update(value=name), self.name_removal(name), gr.update(value="auto")

    def show_data(self, source: str, split: str, request: gr.Request) -> str:
        """Show what the chosen data consists of."""
        try:
            data = self.studio.data_overrides(self.studio.workspace(request), source)
            return views.data_view(self.words, ["model=nn", *data, f"data.split={split}"])
        except (InputError, OSError) as error:
            return self.words.message(error)

    def take_upload(self, file: str | None, source: str, request: gr.Request) -> tuple[Update, ...]:
        """Check an uploaded file and choose it; Gradio removes its copy, since others may have sent the same file."""
        workspace = self.studio.workspace(request)
        notice, chosen, split = "", source, gr.skip()
        if file:
            try:
                name = workspace.keep_upload(Path(file), Path(file).name)
                chosen, notice, split = UPLOADED + name, self._message("data.kept", name=name), gr.update(value="auto")
            except (InputError, OSError) as error:
                notice = self._message("data.refused", reason=self.words.text(error))
        return (notice, *self._source_updates(workspace, chosen), split)

    def remove_upload(self, name: str | None, label: str, source: str, request: gr.Request) -> tuple[Update, ...]:
        """Remove the upload that the pressed button names."""
        workspace, notice = self.studio.workspace(request), ""
        path = workspace.uploads().get(str(name))
        needed = [override for training in active_trainings(workspace) for override in training.overrides]
        if label != self._removal(name):  # the choice has changed since
            notice = self._message("data.look_again")
        elif path and f"data.dir={quoted_value(path)}" in needed:
            notice = self._message("data.needed", name=name)
        else:
            try:
                workspace.remove_upload(str(name))
            except (InputError, OSError) as error:
                notice = self.words.message(error)
        return (notice, *self._source_updates(workspace, source))

    # Settings

    def _settings_tab(self) -> None:
        s = self.s
        values = settings.form(["model=nn", f"data={EMBEDDED}"])
        self.fields: dict[str, gr.components.Component] = {}
        with gr.Row():
            presets = [(s("settings.own"), ""), *((s(f"presets.{name}"), name) for name in settings.PRESETS)]
            self.preset = gr.Dropdown(presets, value="", **self._labels("settings.preset"))
            models = [(s(f"models.{name}"), name) for name in settings.MODELS]
            self.models = gr.CheckboxGroup(models, value=["nn", "dnn"], **self._labels("fields.models"))
        with gr.Row():
            for name in (field.name for field in settings.NUMBERS):
                # Not gr.Number: a browser's own number field drops the comma of 0,01 and sends 1.
                self.fields[name] = gr.Textbox(
                    self.written(values[name]), **self._labels(f"fields.{name}"), max_lines=1, min_width=220
                )
        with gr.Row():
            for name in (name for name in settings.CHOICES if name != "split"):  # it is beside the data
                self.fields[name] = self._choice(name, value=values[name])
        self.fields["split"] = self.split
        more: dict[str, Any] = {"multiselect": True, "allow_custom_value": True, "visible": False}
        self.extra = gr.Dropdown([], value=[], **self._labels("settings.extra"), **more)
        self.command = _html()
        self.start_here = gr.Button(s("settings.start"), variant="primary", size="lg")

    @property
    def form(self) -> list[gr.components.Component]:
        """All fields that determine what is trained, in the order of `settings.WHOLE`."""
        return [self.source, self.preset, self.models, *(self.fields[name] for name in settings.FORM), self.extra]

    def written(self, value: object) -> str:
        """Return a number as this page's language writes it."""
        return as_text(value, self.words.code)

    def values(self, form: Sequence[Any]) -> dict[str, Any]:
        """Return the values of the form by the names of `settings.WHOLE`; a text that is no number stays a text."""
        values = dict(zip(settings.WHOLE, form, strict=True))
        numbers = {field.name: as_number(values[field.name], self.words.code) for field in settings.NUMBERS}
        return {**values, **numbers, "extra": values["extra"] or []}

    def read(self, form: Sequence[Any], request: gr.Request) -> list[list[str]]:
        """Return the overrides of each training that the form describes.

        Raises:
            InputError: A value is out of bounds, or a choice no longer exists.
        """
        values = self.values(form)
        source, preset, models = (values[name] for name in ("source", "preset", "models"))
        extra = check_extra(values["extra"], not self.studio.is_shared)
        data = self.studio.data_overrides(self.studio.workspace(request), source)
        if preset:
            if preset not in settings.PRESETS:
                raise InputError("studio.choice.no_recipe", name=preset)
            own = settings.chosen_by(preset, "model")
            models = [own, *(name for name in models if name != own)] if own in models or not models else models
        chosen = []
        for model in models:
            if model not in settings.MODELS:
                raise InputError("studio.choice.no_model", name=model)
            recipe = preset if preset and model == settings.chosen_by(preset, "model") else None
            own_data = [item for item in data if not recipe or item != "data=mnist"]
            overrides = settings.overrides_of(model, recipe, own_data, values, extra)
            chosen.append(with_threads(overrides))
        return chosen

    def problems(self, form: Sequence[Any]) -> dict[str, str]:
        """Return what is wrong with the form, by the name of the field."""
        values = self.values(form)
        problems = {} if values["models"] else {"models": self.s("problems.no_model")}
        for field in settings.NUMBERS:
            if problem := field.problem(values[field.name]):
                problems[field.name] = self.s(f"problems.{problem}", low=f"{field.low:g}", high=f"{field.high:g}")
        if values["source"] == EMBEDDED and values["split"] == "official":
            problems["split"] = self.s("problems.no_test")
        return problems

    def _in_one_line(self, problems: Mapping[str, str]) -> str:
        return " ".join(f"{self.s(f'fields.{field}.name')}: {text}" for field, text in problems.items())

    def show_command(self, request: gr.Request, *form: Any) -> list[Update]:
        """Show the command to type, and beside each field what is wrong with it."""
        # Not by a validator of Gradio's: it looks at values without the session, to which the uploads belong.
        problems = self.problems(form)
        warnings = {name: f"⚠ {problem} " for name, problem in problems.items()}
        hints = [gr.update(info=warnings.get(name, "") + self.s(f"fields.{name}.means")) for name in CHECKED]
        lines, problem = [], self._in_one_line(problems)
        if not problem:
            try:
                lines = [shlex.join(["ziffern", "train", *overrides]) for overrides in self.read(form, request)]
            except (InputError, OSError) as error:
                problem = self.words.text(error)
        shown = self.words.render("parts.html", "command", lines=lines, problem=problem)
        return [gr.Timer(active=True), shown, *hints]

    def mend_command(self, shown: str, request: gr.Request, *form: Any) -> list[Update]:
        """Show the form's command where another is shown: simultaneous answers may arrive in any order."""
        again, command, *hints = self.show_command(request, *form)
        if command == shown:
            return [gr.Timer(active=False), *[gr.skip()] * (1 + len(hints))]
        return [again, command, *hints]

    def save_form(self, request: gr.Request, *form: Any) -> None:
        """Save the form for the next time the page is opened."""
        whole = self.values(form)
        if settings.can_be_shown(whole):
            self.studio.workspace(request).save_form(whole)

    def fill(
        self, overrides: Sequence[str], models: list[str] | None = None, extra: Sequence[str] = ()
    ) -> list[Update]:
        """Return updates of the form's fields, except the data, to the values that overrides stand for."""
        values = settings.form(overrides)
        for field in settings.NUMBERS:  # a recipe may exceed the limits of the page
            values[field.name] = min(cast(float, values[field.name]), field.high)
        for name, known in settings.CHOICES.items():  # a run may have an option that the form lacks
            if values[name] not in known:
                values[name] = known[0]
        return [gr.update(value=models) if models else gr.skip(), *self._field_updates({**values, "extra": extra})]

    def _field_updates(self, values: Mapping[str, Any]) -> list[Update]:
        """Return updates of the fields from `values`, and of the further settings."""
        numbers, extra = [field.name for field in settings.NUMBERS], list(values["extra"])
        shown = {name: self.written(values[name]) if name in numbers else values[name] for name in settings.FORM}
        more = gr.update(choices=extra, value=extra, visible=bool(extra))
        return [*(gr.update(value=shown[name]) for name in settings.FORM), more]

    def take_preset(self, preset: str) -> list[Update]:
        """Fill the form with a published experiment."""
        if preset not in settings.PRESETS:
            return [gr.skip(), *self.fill(["model=nn", f"data={EMBEDDED}"])]
        source = settings.chosen_by(preset, "data")
        return [gr.update(value=source), *self.fill([f"experiment={preset}"], [settings.chosen_by(preset, "model")])]

    # Training

    def _train_tab(self) -> None:
        s = self.s
        self.begin = gr.Button(s("train.start"), variant="primary", size="lg")
        self.notice = _html()
        with gr.Row():
            self.active = gr.Dropdown([], label=s("train.which"), visible=False)
            self.stop = gr.Button(s("train.stop"), visible=False)
            self.stop_now = gr.Button(s("train.stop_now"), variant="stop", visible=False)
        with gr.Row():
            self.broken = gr.Dropdown([], label=s("train.broken"), visible=False)
            self.resume_button = gr.Button(s("train.resume"), visible=False)
        self.live = _html()
        self.stamp = gr.Textbox(visible=False)  # identifies what the browser shows: two answers may arrive in any order
        self.timer = gr.Timer(1.0)

    @property
    def watched(self) -> list[gr.components.Component]:
        """The components that `watch` updates."""
        return [self.live, self.active, self.stop, self.stop_now, self.broken, self.resume_button, self.stamp]

    def watch(self, request: gr.Request) -> list[Update]:
        """Show the progress of the trainings."""
        return self.tick("", None, None, request)

    def tick(self, before: str, stopping: str | None, going_on: str | None, request: gr.Request) -> list[Update]:
        """Show the progress of the trainings where it has changed; lists keep their choice."""
        shown, active, broken = views.jobs_view(self.words, self.studio.workspace(request))
        stamp = str(hash((shown, *active, *broken)))
        if stamp == before:
            return [gr.skip()] * len(self.watched)

        def choice(choices: list[tuple[str, str]], chosen: str | None, minimum: int) -> Update:
            names = [name for _, name in choices]
            has_gone = bool(chosen and names) and chosen not in names
            # A choice that has just disappeared is not replaced: who presses a button now means that one.
            value = chosen if chosen in names else None if has_gone else next(iter(names), None)
            return gr.update(choices=choices, value=value, visible=has_gone or len(choices) >= minimum)

        stops = [gr.update(visible=bool(active)) for _ in (self.stop, self.stop_now)]  # one each: Gradio modifies them
        resuming = gr.update(visible=bool(broken))
        return [shown, choice(active, stopping, 2), *stops, choice(broken, going_on, 1), resuming, stamp]

    def train(self, request: gr.Request, *form: Any) -> tuple[Update, ...]:
        """Start the trainings of the form, and show them."""
        if problems := self.problems(form):
            notice = self._message("problems.not_started", problems=self._in_one_line(problems))
            return (gr.skip(), notice, *self.watch(request))
        try:
            job = start(self.studio.workspace(request), self.read(form, request))
            notice = self._message("train.started", count=len(job.plan))
        except (InputError, OSError) as error:
            notice = self.words.message(error)
        return (gr.Tabs(selected="train"), notice, *self.watch(request))

    def end(self, name: str | None, at_once: bool, request: gr.Request) -> list[Update]:
        """Stop a job, at once or after the epoch that is being trained."""
        try:
            job = Job(self.studio.workspace(request).job_folder(str(name)))
            (job.stop_now if at_once else job.stop)()
            notice = self._message("train.asked_now" if at_once else "train.asked")
        except (InputError, OSError) as error:
            notice = self.words.message(error)
        return [notice, *self.watch(request)]

    def resume(self, name: str | None, request: gr.Request) -> list[Update]:
        """Continue an interrupted training."""
        workspace = self.studio.workspace(request)
        try:
            folder, _, number = str(name).partition(":")
            resume(workspace, Job(workspace.job_folder(folder)).trainings()[int(number)])
            notice = ""
        except (InputError, OSError, ValueError, IndexError) as error:
            notice = self.words.message(error)
        return [notice, *self.watch(request)]

    # Results

    def _results_tab(self) -> None:
        s, heading = self.s, self.words.t
        self.run = gr.Dropdown([], **self._labels("results.run"))
        self.shown = gr.State((None,))  # the newest run, the shown one, and its progress
        self.file = _html(self._message("results.none"))
        self.parts = {name: _html() for name in ("summary", "published", "curves")}
        with gr.Row():
            self.tips = [gr.Button(visible=False) for _ in range(MAX_TIPS)]
        self.tip_keys = gr.State([])
        for name in ("classes", "confusion", "sure", "data", "again"):
            with gr.Accordion(heading(f"{name}.heading"), open=False):
                self.parts[name] = _html()
        with gr.Accordion(s("results.mistakes"), open=True):
            with gr.Row():
                self.true = gr.Dropdown([], label=s("results.was"))
                self.predicted = gr.Dropdown([], label=s("results.read"))
            self.mistakes = _html()

    def label(self, run: Run) -> str:
        """Return the label of a run in a list."""
        try:
            metrics = run.metrics if run.is_finished else {}
            score = self.words.t.percent(metrics.get("test/acc", metrics.get("val/acc")))
            return f"{views.title(run)} · {score if metrics else self.s('results.open')} · {run.folder.name[-24:]}"
        except InputError:
            return f"{run.folder.name}: ?"

    def runs(self, request: gr.Request, is_finished: bool) -> list[tuple[str, str]]:
        """Return the runs to choose from, the newest first."""
        workspace = self.studio.workspace(request)
        runs = []
        for name in workspace.run_names():
            with contextlib.suppress(InputError):  # gone meanwhile
                runs.append(workspace.run(name))
        return [(self.label(run), run.folder.name) for run in runs if run.is_finished or not is_finished]

    def run_choices(self, chosen: str | None, shown: Sequence[Any], request: gr.Request) -> list[Update]:
        """Update the list of runs; the newest finished one is selected where none is, or where it is new."""
        choices, finished = self.runs(request, is_finished=False), self.runs(request, is_finished=True)
        names = [name for _, name in choices]
        newest = next((name for _, name in (*finished, *choices)), None)
        if chosen not in names or newest != shown[0]:
            chosen = newest
        return [gr.update(choices=choices, value=chosen), (newest, *self.choose_run(chosen, shown, request)[1:])]

    def choose_run(self, chosen: str | None, shown: Sequence[Any], request: gr.Request) -> tuple[Any, ...]:
        """Show the run that a person has chosen, with its present progress."""
        try:
            run = self.studio.workspace(request).run(str(chosen))
            return (shown[0], chosen, run.is_finished, (run.folder / "history.csv").stat().st_mtime_ns)
        except (InputError, OSError):  # removed, or in its first epoch
            return (shown[0], chosen, False, 0)

    def model_choices(self, chosen: list[str] | None, request: gr.Request) -> Update:
        """Update the list of finished runs; the newest few are chosen where none are."""
        choices = self.runs(request, is_finished=True)
        names = [name for _, name in choices]
        return gr.update(choices=choices, value=[name for name in chosen or [] if name in names] or names[:FEW])

    def known_models(self, request: gr.Request) -> Update:
        """Update the list of finished runs, and leave the choice."""
        return gr.update(choices=self.runs(request, is_finished=True))

    def show_run(self, name: str | None, request: gr.Request) -> list[Update]:
        """Show the report of a run, in parts."""
        s = self.s
        nothing: list[Update] = [""] * len(self.parts) + [gr.update(visible=False)] * MAX_TIPS + [[]] + [gr.skip()] * 2
        if not name:
            return [self._message("results.none"), *nothing]
        try:
            run = self.studio.workspace(request).run(name)
            shown = views.run_views(self.words, run)
            findings = Findings(run)
            tips, names = findings.suggestions[:MAX_TIPS], findings.class_names
        except (InputError, OSError) as error:
            return [self.words.message(error), *nothing]
        links = self.words.render("parts.html", "report", name=name)
        labels = [s("results.tip", tip=self.words.t(f"tips.{tip.reason}").rstrip(":")) for tip in tips]
        buttons = [gr.update(value=label, visible=True) for label in labels]
        buttons += [gr.update(visible=False)] * (MAX_TIPS - len(tips))
        choices = [(s("results.any"), ""), *((each, each) for each in names)]
        filters = [gr.update(choices=choices, value="") for _ in range(2)]
        keys = [name, *(tip.override for tip in tips)]
        return [links, *(shown[part] for part in self.parts), *buttons, keys, *filters]

    def show_mistakes(self, name: str | None, true: str, predicted: str, request: gr.Request) -> str:
        """Show misclassified digits of one true and one predicted class."""
        try:
            run = self.studio.workspace(request).run(str(name))
            return views.mistakes_view(self.words, run, true or None, predicted or None)
        except InputError:
            return ""

    def take_tip(self, place: int, tips: list[str], request: gr.Request) -> list[Update]:
        """Fill the form with the settings of the shown run and one of its suggestions."""
        try:
            workspace = self.studio.workspace(request)
            typed = with_tip(workspace.run(tips[0]).overrides or [], tips[1 + place])
            overrides = dict(item.partition("=")[::2] for item in typed)
            named = overrides.get("experiment", "")
            preset = named if named in settings.PRESETS else ""
            model = overrides.get("model") or (settings.chosen_by(named, "model") if named else "cnn")
            source, data = self._source_of(workspace, overrides)
            is_recipe = bool(preset) and model == settings.chosen_by(preset, "model")
            shown = ["model", *(["experiment"] if is_recipe else []), *data]
            extra = [item for item in typed if not (item.partition("=")[0] in shown or is_shown(item, typed))]
            filled = self.fill(typed, [model], check_extra(extra, not self.studio.is_shared))
        except (InputError, OSError, IndexError) as error:
            raise gr.Error(self.words.text(error)) from error
        chosen = [gr.update(value=value) for value in (source, preset if is_recipe else "")]
        return [gr.Tabs(selected="settings"), *chosen, *filled]

    def _source_of(self, workspace: Workspace, overrides: Mapping[str, str]) -> tuple[str, list[str]]:
        """Return the data source that the form shows for a run's overrides, and the overrides that it replaces."""
        named, where = overrides.get("data"), overrides.get("data.dir")
        for name, path in workspace.uploads().items():
            if named == "local" and where == quoted_value(path):
                return UPLOADED + name, ["data", "data.dir"]
        recipe = overrides.get("experiment")
        source = named or (settings.chosen_by(recipe, "data") if recipe else "mnist")
        if source not in CLOUD:
            return EMBEDDED, []
        own = where in (None, *(item.partition("=")[2] for item in self.studio.data_overrides(workspace, source)[1:]))
        return source, ["data", "data.dir"] if own else ["data"]

    # Comparison

    def _compare_tab(self) -> None:
        self.compared = gr.Dropdown([], multiselect=True, **self._labels("compare.runs"), max_choices=12)
        self.compare_now = gr.Button(self.s("compare.go"), variant="primary")
        self.comparison = _html()

    def compare(self, names: list[str] | None, request: gr.Request) -> str:
        """Compare runs."""
        if len(names or []) < 2:  # noqa: PLR2004
            return self._message("compare.two")
        try:
            workspace = self.studio.workspace(request)
            return views.comparison_view(self.words, [workspace.run(name) for name in names or []])
        except (InputError, OSError) as error:
            return self.words.message(error)

    # Trying it

    def _try_tab(self) -> None:
        s = self.s
        board = self.words.render("parts.html", "board")
        self.asked = gr.Dropdown([], multiselect=True, **self._labels("try.models"), max_choices=6)
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                self.board = _html(html_template=board, js_on_load=read_file("canvas.js"))
            with gr.Column(scale=2, min_width=300):
                self.answers = _html(self._message("try.draw"))
        with gr.Accordion(s("try.own"), open=False):
            with gr.Row():
                self.truth = gr.Dropdown([str(digit) for digit in range(10)], value=None, label=s("try.truth"))
                self.keep = gr.Button(s("try.keep"))
                self.test_own = gr.Button(s("try.test_own"))
                self.forget = gr.Button(s("try.forget"), variant="stop")
            self.own = _html()

    def _theory_tab(self) -> None:
        text = self.words.render("parts.html", "theory", content=read_file(f"theory/{self.words.code}.html"))
        _html(text, js_on_load=read_file("theory/theory.js"))

    def _asked(self, names: list[str] | None, request: gr.Request) -> list[Run]:
        workspace = self.studio.workspace(request)
        return [workspace.run(name) for name in (names or [])[:6]]

    def ask(self, drawing: str, names: list[str] | None, request: gr.Request) -> Update:
        """Show the models' answers for a drawing."""
        if not drawing:
            return self._message("try.draw")
        try:
            return views.answers_view(self.words, self._digit(drawing), self._asked(names, request))
        except (InputError, OSError) as error:
            return self.words.message(error)

    def ask_anew(self, drawing: str, names: list[str] | None, request: gr.Request) -> tuple[Update, Update]:
        """Show the models' answers for a new drawing; the label of the one before is cleared."""
        return self.ask(drawing, names, request), None

    @staticmethod
    def _digit(drawing: str) -> NDArray[np.uint8]:
        """Return the digit in a picture that a browser sent as a URL."""
        head, _, content = str(drawing)[:MAX_DRAWING].partition(",")
        if not head.startswith("data:image/"):
            raise InputError("studio.picture.none")
        try:
            picture = base64.b64decode(content, validate=True)
        except ValueError as error:  # binascii.Error is one
            raise InputError("studio.picture.incomplete") from error
        return as_digit(views.decode(picture))

    def keep_digit(self, drawing: str, truth: str | None, request: gr.Request) -> tuple[Update, Update]:
        """Keep the digit that is on the canvas."""
        workspace = self.studio.workspace(request)
        if not (drawing and truth):
            return self._message("try.no_truth" if drawing else "try.draw"), gr.skip()
        try:
            workspace.keep_digit(self._digit(drawing), int(truth))
            return views.own_view(self.words, workspace, [], tested=False), None
        except (InputError, OSError) as error:
            return self.words.message(error), gr.skip()

    def test_digits(self, names: list[str] | None, request: gr.Request) -> str:
        """Test models on the digits kept."""
        try:
            return views.own_view(self.words, self.studio.workspace(request), self._asked(names, request), tested=True)
        except (InputError, OSError) as error:
            return self.words.message(error)

    def forget_digits(self, request: gr.Request) -> str:
        """Remove the digits kept."""
        workspace = self.studio.workspace(request)
        workspace.remove_digits()
        return views.own_view(self.words, workspace, [], tested=False)

    # Events

    def restore(self, source: str, request: gr.Request) -> list[Update]:
        """Show the uploads and the saved form, which the browser does not keep."""
        workspace = self.studio.workspace(request)
        kept = workspace.saved_form()
        shown = settings.can_be_shown(kept)
        updates = self._source_updates(workspace, str(kept["source"]) if shown else source)
        if not shown:  # and keep choices that were made since the page was requested
            choices = gr.update(choices=self.sources(workspace))
            return [choices, *updates[1:], *[gr.skip()] * (len(settings.WHOLE) - 1)]
        first = [gr.update(value=kept[name]) for name in ("preset", "models")]
        return [*updates, *first, *self._field_updates(kept)]

    def _connect(self) -> None:
        data = [self.source, self.upload_choice, self.remove]
        self.look.click(self.show_data, [self.source, self.split], self.shown_data, **SLOW)
        # On a change made by a program several fields may be half filled, so the form is saved after it.
        keep: tuple[Any, ...] = (self.save_form, self.form, None)
        one_by_one = QUIET | {"concurrency_limit": 1, "concurrency_id": "form"}
        typed = [getattr(each, "input") for each in self.form if each is not self.preset]  # noqa: B009
        gr.on(typed, *keep, trigger_mode="always_last", **one_by_one)
        uploaded = [self.upload_notice, *data]
        taken = [*uploaded, self.split]
        self.upload.upload(self.take_upload, [self.upload, self.source], taken, **SLOW).success(*keep, **one_by_one)
        removed = [self.upload_choice, self.remove, self.source]
        followed = [self.upload_choice, self.remove, self.split]
        self.source.input(self.follow_source, [self.source, self.split], followed, **QUIET).success(*keep, **one_by_one)
        self.upload_choice.input(self.name_removal, self.upload_choice, self.remove, **QUIET, **LISTED)
        self.remove.click(self.remove_upload, removed, uploaded, **QUIET, **LISTED).success(*keep, **one_by_one)
        changes = [getattr(each, "change") for each in self.form]  # noqa: B009
        checked = [self.models if name == "models" else self.fields[name] for name in CHECKED]
        checked_outputs = [self.mending, self.command, *checked]
        gr.on(changes, self.show_command, self.form, checked_outputs, trigger_mode="always_last", **QUIET)
        self.mending.tick(self.mend_command, [self.command, *self.form], checked_outputs, **QUIET)
        filled = [self.models, *(self.fields[name] for name in settings.FORM), self.extra]
        self.preset.input(self.take_preset, self.preset, [self.source, *filled], **QUIET).success(*keep, **one_by_one)
        started = [self.tabs, self.notice, *self.watched]
        for button in (self.begin, self.start_here):
            button.click(self.train, self.form, started, **SLOW)
        self.timer.tick(self.tick, [self.stamp, self.active, self.broken], self.watched, **QUIET, **LISTED)
        ended = [self.notice, *self.watched]
        for button, at_once in ((self.stop, False), (self.stop_now, True)):
            button.click(self.end, [self.active, gr.State(at_once)], ended, **QUIET, **LISTED)
        self.resume_button.click(self.resume, self.broken, ended, **QUIET, **LISTED)
        shown = [self.file, *self.parts.values(), *self.tips, self.tip_keys, self.true, self.predicted]
        wrong = [self.run, self.true, self.predicted]
        self.run.input(self.choose_run, [self.run, self.shown], self.shown, **LAST, **LISTED)
        # Not when the list changes: the selected run may have finished.
        self.shown.change(self.show_run, self.run, shown, **SLOW, **LISTED).then(
            self.show_mistakes, wrong, self.mistakes, **QUIET, **LISTED
        )
        for choice in (self.true, self.predicted):
            choice.input(self.show_mistakes, wrong, self.mistakes, **LAST, **LISTED)
        for place, button in enumerate(self.tips):
            filling = [self.tabs, self.source, self.preset, *filled]
            tip = [gr.State(place), self.tip_keys]
            button.click(self.take_tip, tip, filling, **QUIET, **LISTED).success(*keep, **one_by_one)
        self.compare_now.click(self.compare, self.compared, self.comparison, **SLOW, **LISTED)
        self.board.submit(self.ask_anew, [self.board, self.asked], [self.answers, self.truth], **LAST, **LISTED)
        self.asked.input(self.ask, [self.board, self.asked], self.answers, **LAST, **LISTED)
        self.keep.click(self.keep_digit, [self.board, self.truth], [self.own, self.truth], **QUIET, **LISTED)
        self.test_own.click(self.test_digits, self.asked, self.own, **SLOW, **LISTED)
        self.forget.click(self.forget_digits, None, self.own, **QUIET)
