"""One launch of a sweep: this process is the driver, whose engine runs the jobs."""

import hashlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.singleton import Singleton
from hydra.errors import HydraException
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

import hydra_study
from hydra_study.channel import CONTACT, Channel
from hydra_study.compose import Composer
from hydra_study.conf import StudyConf
from hydra_study.driver import Driver, Shows, Work, only_driver
from hydra_study.engines import Engine, make_engine
from hydra_study.errors import SweepError
from hydra_study.folder import ANOTHER_FOLDER, CONFIG, check_folder, check_links, write_whole
from hydra_study.identity import code_version, function_name, is_excepted, job_settings
from hydra_study.job import Setup
from hydra_study.progress import Progress, clock, hint
from hydra_study.settings import check_multirun, check_search, plain
from hydra_study.signals import interruptible, received
from hydra_study.workers import AUTO, count_workers, environments, threads_of

if TYPE_CHECKING:
    from hydra_study.study import Study

LOCAL = ("local", "inline")
MAX_EXAMPLES = 32  # jobs that are composed before a multirun begins


class Sweep:
    """What a search and a plain multirun have in common.

    Args:
        context: Hydra's.
        task: The application's function.
        config: Hydra's configuration of the sweep.
        settings: `hydra.sweeper`.
        arguments: The overrides of the command.
    """

    def __init__(
        self,
        context: HydraContext,
        task: TaskFunction,
        config: DictConfig,
        settings: dict[str, Any],
        arguments: list[str],
    ) -> None:
        self.context, self.task, self.config, self.arguments = context, task, config, arguments
        self.settings = {key: plain(value) for key, value in settings.items()}
        self.loader = context.config_loader

    def settle(self, name: str, key: str | None = None) -> None:
        """Give every job this sweep's folder, which must not contain the time, and its name, if it has one."""
        self.folder = _settle(self.config, name, key)
        check_folder(self.folder, self.config)

    def plan(self, examples: Sequence[DictConfig], searched: Callable[[str], bool]) -> dict[str, Any]:
        """Return the settings and the code of the jobs, which belong to the sweep's identity."""
        may_differ = self.settings["may_differ"]
        settings = job_settings(examples, lambda name: searched(name) or is_excepted(name, may_differ))
        code = {} if self.settings["ignore_code"] else {"code": {"code": code_version(self.task)}}
        return {"job": settings, **code}

    def default_name(self, signature: str) -> str:
        """Return a name that is the same for the same search, or the same jobs, of the same function."""
        digest = hashlib.sha256(f"{function_name(self.task)} {signature}".encode()).hexdigest()
        return f"{self.config.hydra.job.name}-{digest[:8]}"

    def begin(self) -> None:
        """Write the configuration of the sweep; call it with the lock held."""
        write_whole(self.folder / CONFIG, OmegaConf.to_yaml(self.config))

    def drive(self, work: Work, shows: Shows, jobs: int, is_search: bool, repeatable: bool = False) -> None:
        """Run all jobs that are left, at most `jobs`."""
        kind = self.settings["engine"].get("kind")
        public = kind not in LOCAL
        limit = self._limit(jobs, kind, repeatable)
        workers = min(limit, jobs) if limit else count_workers(self.settings, self._threads(), jobs)
        contact = self.folder / CONTACT if kind == "slurm" else None
        begun: dict[tuple[int, int], float] = {}

        def answer(message: dict[str, Any]) -> Any:
            if message.get("ask") == "begin":
                begun[message["number"], message["attempt"]] = time.monotonic()
            return work.answer(message)

        channel = Channel(answer, public, contact)
        try:
            engine = make_engine(
                self.settings["engine"],
                self._setup(channel, is_search, self._shows_output(kind)),
                self.folder.absolute(),
                environments(workers, self.settings, self._threads()),
            )
            self._share_threads(work, engine, workers)
            timeout = self.settings["trial_timeout"]
            Driver(
                work,
                engine,
                shows,
                self.folder,
                self.settings["max_attempts"],
                timeout,
                limit,
                begun if public else None,
            ).run()
        finally:
            channel.close()

    def _shows_output(self, kind: str) -> bool:
        return bool(self.settings["show_output"]) or (kind == "inline" and sys.stdin.isatty())  # for a debugger

    def _limit(self, jobs: int, kind: str, repeatable: bool) -> int | None:
        """Return how many jobs may run at once; None as many as the engine can."""
        if kind == "inline":
            if self.settings["n_jobs"] not in (AUTO, 1):
                print("  one job at a time, since hydra/sweeper/engine=inline runs them in this process", flush=True)
            return 1
        if self.settings["n_jobs"] != AUTO:
            return int(self.settings["n_jobs"])
        if repeatable and jobs > 1:
            print(
                "  one trial at a time, so that the sampler's seed repeats the search: several would end in an order "
                "that varies; hydra.sweeper.n_jobs=N allows that",
                flush=True,
            )
            return 1
        return None

    def _threads(self) -> int | None:
        """Return the CPU threads of a job, if the command chooses them."""
        key = self.settings["threads_key"]
        value = OmegaConf.select(self.config, key) if key else None
        return value if isinstance(value, int) else None

    def _share_threads(self, work: Work, engine: Engine, workers: int) -> None:
        """Make the threads of a job a part of its configuration, so that it can be repeated, and say so."""
        key = self.settings["threads_key"]
        if not key or self._threads():
            return
        threads = engine.threads or (threads_of(workers) if workers > 1 else None)
        if threads:
            work.extra = [f"{key}={threads}"]
            several = f"{workers} at once, each" if engine.threads is None else "each job"
            print(f"  {several} with {key}={threads}, on which results may depend in their last digits", flush=True)

    def _setup(self, channel: Channel, is_search: bool, shows_output: bool) -> Setup:
        kept = [item for item in sys.argv[1:] if item not in ("-m", "--multirun") and item not in self.arguments]
        return Setup(
            context=self.context,
            config=self.config,
            task=self.task,
            singletons=Singleton.get_state(),
            folder=str(self.folder.absolute()),
            argv=[sys.argv[0], *kept],
            main=getattr(sys.modules["__main__"].__spec__, "name", None),
            shows_output=shows_output,
            contact=channel.contact,
            is_search=is_search,
        )


def run_search(*given: Any) -> Any:
    """Run a study to its end; see Sweep.

    Raises:
        SweepError: A setting is wrong, too many trials failed, or the disk is full.
    """
    return _stoppable(lambda: _run_search(Sweep(*given)))


def _run_search(sweep: Sweep) -> Any:
    from optuna.trial import TrialState

    from hydra_study.export import export
    from hydra_study.objects import ignored_options
    from hydra_study.report import SearchReport
    from hydra_study.returns import Returns

    study, example = _study(sweep)
    sweep.folder.mkdir(parents=True, exist_ok=True)
    with only_driver(sweep.folder):
        study.open()
        if not study.trials() and any(path.name.isdigit() for path in sweep.folder.glob("[0-9]*")):
            raise SweepError(f"{sweep.folder} holds the trials of a study that no longer exists: {ANOTHER_FOLDER}")
        if not study.left:  # no trial will run the application's own comparison
            for check in hydra_study.finished_study_checks:
                check(study.study, example)
        sweep.begin()
        _raise_if(study.stopped())
        progress = Progress(sweep.folder)
        report = SearchReport(study, progress)
        report.start()
        for kind in ("sampler", "pruner"):
            if names := ignored_options(study.settings[kind], f"{kind}s"):
                progress.print(f"  options of another {kind}, without effect: {', '.join(names)}")
        study.on_end = report.ended
        if study.left:
            progress.watch()
            sweep.drive(study, progress, study.left, is_search=True, repeatable=study.depends_on_order)
        else:
            report.nothing_left()
        report.result(export(study, sweep.loader, sweep.config.hydra.runtime.choices))
        _raise_if(study.stopped())
        counts = study.counts()
        if counts and counts.keys() == {TrialState.FAIL}:
            raise SweepError(f"study {study.name}: every trial failed; the last: {study.error(study.failed[-1])}")
        _raise_if(study.left and f"study {study.name}: trials left: {study.left}; the same command continues from here")
    return [Returns(sweep.context, sweep.config, sweep.folder, study.returns())]


def _study(sweep: Sweep) -> "tuple[Study, DictConfig]":
    """Return the study that the command describes, unopened, and the configuration of one of its jobs."""
    from hydra_study.objects import application, resolve_callable
    from hydra_study.space import official_params, parse_space
    from hydra_study.study import Study

    logging.getLogger("optuna").setLevel(logging.CRITICAL)  # the line of the error has all that matters
    settings, config = sweep.settings, sweep.config
    check_search(settings, config)

    def configured(name: str) -> Any:
        chosen = config.hydra.runtime.choices.get(name)
        return OmegaConf.select(config, name) if chosen is None else chosen

    if settings["params"] and settings["search_space"]:
        raise SweepError("hydra.sweeper.search_space beside params: move its settings to params")
    params = settings["params"] or official_params(settings["search_space"] or {})
    space = parse_space(params, settings["when"] or {}, sweep.arguments, sweep.loader, configured)
    signature = json.dumps(space.signature(without=settings["may_differ"]), sort_keys=True)
    name = settings["study_name"] or sweep.default_name(signature)
    sweep.settle(name, "hydra.sweeper.study_name")
    check_links(sweep.folder, settings["export"])
    composer = Composer(sweep.loader, config)
    examples = [composer.compose(overrides) for overrides in space.examples()]
    searched = {parameter.name for parameter in space.parameters()}
    plan = sweep.plan(examples, searched.__contains__)
    allowed, extend = application(sweep.task), None
    if path := settings["custom_search_space"]:
        plan["job"]["hydra.sweeper.custom_search_space"] = path
        extend = partial(resolve_callable(path, allowed), examples[0])
    return Study(sweep.folder, name, space, settings, datetime.now(), plan, allowed, extend), examples[0]


def run_multirun(*given: Any) -> Any:
    """Run each job of a plain multirun once; see Sweep.

    Raises:
        SweepError: A setting is wrong, jobs failed, or the disk is full.
    """
    return _stoppable(lambda: _run_multirun(Sweep(*given)))


def _run_multirun(sweep: Sweep) -> Any:
    from hydra_study.multirun import Multirun
    from hydra_study.returns import Returns

    settings = sweep.settings
    check_multirun(settings, sweep.config)
    parser = OverridesParser.create(config_loader=sweep.loader)
    overrides = [*(f"{key}={value}" for key, value in (settings["params"] or {}).items()), *sweep.arguments]
    (jobs,) = BasicSweeper.split_arguments(parser.parse_overrides(overrides), None)
    sweep.settle(sweep.default_name(json.dumps(jobs)))
    check_links(sweep.folder)
    composer = Composer(sweep.loader, sweep.config)
    examples = [composer.compose(list(job)) for job in jobs[:MAX_EXAMPLES]]
    work = Multirun(sweep.folder, jobs, settings, sweep.plan(examples, lambda name: False))
    sweep.folder.mkdir(parents=True, exist_ok=True)
    with only_driver(sweep.folder):
        work.open()
        sweep.begin()
        progress = Progress(sweep.folder)
        done = f", {work.earlier} of them done before" if work.earlier else ""
        progress.print(f"{work.total} jobs{done}, in {sweep.folder}; the output of a job is in logs/NUMBER.log there")

        name = f"{settings['metric_names']} " if isinstance(settings["metric_names"], str) else ""

        def show(number: int) -> None:
            outcome = work.outcomes[number]
            how = f"{name}{outcome.value:.5g}" if isinstance(outcome.value, float) else "done"
            parts = [f"job {number:3d}", f"{how if outcome.kind == 'returned' else outcome.kind:<8}"]
            parts += [f"{clock(outcome.seconds):>6}", " ".join(work.jobs[number])]
            if outcome.error:
                parts.append(f"({outcome.error}: logs/{number}.log)")
            progress.job(parts, outcome.seconds, work.left, work.total)

        work.on_end = show
        if work.left:
            progress.watch()
            sweep.drive(work, progress, work.left, is_search=False)
        else:
            progress.print(f"  nothing left to run, these are the earlier results; {work.another()}")
        ended = [sweep.folder / (work.outcomes[k].folder or str(k)) for k in work.outcomes if k not in work.failed]
        for call in hydra_study.multirun_ends:
            call(sweep.folder, ended)
        if more := hint(settings["hint"], sweep.folder):
            progress.print(more)
        if work.failed:
            last = work.outcomes[work.failed[-1]]
            raise SweepError(
                f"{len(work.failed)} of {work.total} jobs failed; the last, {last.number}: {last.error}: "
                f"{sweep.folder / 'logs' / str(last.number)}.log; the same command runs them again"
            )
        _raise_if(work.left and f"jobs left: {work.left}; the same command continues from here")
    ran = {number: (work.jobs[number], outcome) for number, outcome in work.outcomes.items()}
    return [Returns(sweep.context, sweep.config, sweep.folder, ran)]


def _stoppable(run: Callable[[], Any]) -> Any:
    """Run a sweep; a signal ends it with the exit code that shells expect, and a full disk with one line."""
    try:
        with interruptible():
            return run()
    except KeyboardInterrupt:
        print("stopped: the same command continues from here", flush=True)
        sys.exit(128 + (received or [signal.SIGINT])[-1])
    except BrokenPipeError:  # of the terminal's output, as by `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        if isinstance(error, HydraException):  # a configuration that does not exist
            raise
        raise SweepError(f"{error}: fix this; the same command continues from here") from error


def _raise_if(reason: object) -> None:
    if reason:
        raise SweepError(reason)


def _settle(config: DictConfig, name: str, key: str | None) -> Path:
    """Return the sweep folder; one with the time of day in its name would be a different one at each launch."""
    raw = OmegaConf.to_container(config.hydra.sweep, resolve=False)
    assert isinstance(raw, dict)
    timed = "${now:" in str(raw["dir"])
    if timed:
        with read_write(config.hydra), open_dict(config):
            config.hydra.sweep.dir = str(raw["dir"]).split("${now:")[0].rstrip("/-_") or "multirun"
    folder = Path(str(config.hydra.sweep.dir), *([name] if timed else []))
    settled = {"hydra.sweep.dir": str(folder.absolute())} | ({key: name} if key else {})
    if key and OmegaConf.select(config, "hydra.sweeper._target_") != StudyConf._target_:  # the official plugin's name
        settled["hydra.sweeper._target_"] = StudyConf._target_
    with read_write(config.hydra), open_dict(config):
        for setting, value in settled.items():
            OmegaConf.update(config, setting, value)
            config.hydra.overrides.hydra.append(f"{setting}={_quoted(value)}")
        # Child processes of a job (DDP) are given this as their run folder.
        config.hydra.overrides.hydra.append("hydra.run.dir='${hydra.sweep.dir}/${hydra.sweep.subdir}'")
    return folder


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
