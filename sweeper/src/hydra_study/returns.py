"""What a sweep returns to code that calls Hydra: the returns of its jobs, composed when asked for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict

from hydra_study.engines import Outcome


class Returns(Sequence[JobReturn]):
    """The returns of the jobs, by number; a value that is no number, text or None is its text.

    Args:
        context: Hydra's.
        config: Hydra's configuration of the sweep.
        folder: The sweep folder.
        jobs: The overrides of each job, and how it ended.
    """

    def __init__(
        self, context: HydraContext, config: DictConfig, folder: Path, jobs: Mapping[int, tuple[Sequence[str], Outcome]]
    ) -> None:
        self._loader, self._config, self._folder, self._jobs = context.config_loader, config, folder, jobs

    def __len__(self) -> int:
        return len(self._jobs)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[k] for k in range(*number.indices(len(self)))]
        overrides, outcome = self._jobs[range(len(self))[number]]
        place = str(self._folder / (outcome.folder or str(outcome.number)))
        config = self._loader.load_sweep_config(self._config, list(overrides))
        with open_dict(config):
            config.hydra.job.id, config.hydra.job.num = f"job_id_for_{outcome.number}", outcome.number
            config.hydra.runtime.output_dir = place
            hydra = OmegaConf.masked_copy(config, "hydra")
            config.pop("hydra")
        done = JobReturn(
            overrides=list(overrides),
            cfg=config,
            hydra_cfg=hydra,
            working_dir=place,
            task_name=str(hydra.hydra.job.name),
            status=JobStatus.COMPLETED if outcome.kind == "returned" else JobStatus.FAILED,
        )
        done.return_value = outcome.value if outcome.kind == "returned" else RuntimeError(outcome.error)
        return done
