"""How much each parameter of a search mattered, by Optuna's PED-ANOVA."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial

MIN_TRIALS = 10  # completed trials needed to compute importances
MIN_BEST = 5  # minimum number of best trials, as PED-ANOVA's authors advise
MIN_BEST_SHARE = 0.1  # minimum share of best trials


@dataclass(frozen=True)
class Importances:
    """How much each parameter mattered."""

    shares: dict[str, float]  # by name, the largest first; they add up to 1; empty if they cannot be computed
    missing: str = ""  # the key of the text that explains why there are none
    error: str = ""  # as a value of that text
    best_share: float = 1  # of the trials that count as the best ones: a tenth, but at least five trials

    @classmethod
    def of(cls, study: optuna.Study, scored: Sequence[FrozenTrial], sign: int) -> "Importances":
        """Return the importances for the first objective, of which lower values times `sign` are better."""
        if len(scored) < MIN_TRIALS:
            return cls({}, "sweep.too_few")
        if len({name for trial in scored for name in trial.params}) == 1:
            return cls({}, "sweep.one_parameter")
        if len({trial.values[0] for trial in scored}) == 1:
            return cls({}, "sweep.all_equal")
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        best_share = max(MIN_BEST_SHARE, MIN_BEST / len(scored))
        evaluator = PedAnovaImportanceEvaluator(target_quantile=best_share)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a warning that low scores count as good, which the sign ensures
                shares = get_param_importances(
                    study, evaluator=evaluator, target=lambda trial: sign * float(trial.values[0])
                )
        except Exception as error:  # a report without importances is better than none
            return cls({}, "sweep.no_importances", f"{type(error).__name__}: {error}")
        return cls(dict(sorted(shares.items(), key=lambda item: -item[1])), best_share=best_share)
