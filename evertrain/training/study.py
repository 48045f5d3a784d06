"""Owns Optuna: which parameters to try next, and whether a trial has fallen behind the others."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evertrain.config import CategoricalSpace, IntSpace, Space
from evertrain.quiet import quiet
from evertrain.records import Trial

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

# A trial is held against the median of the others once so many have been through all folds.
TRIALS_BEFORE_PRUNING = 5


class Study:
    """Optuna's view of a search: every trial that ended, and the one that runs.

    What is asked next follows from the seed and from what was told, not from the process that asks: a study
    that was told an earlier one's trials goes on as that one would have.

    Args:
        space: What to search, by the parameter's name.
        seed: Of the whole search; each trial draws from it and its number.
        greater_is_better: The direction of the scores.
    """

    def __init__(self, space: Mapping[str, Space], seed: int, *, greater_is_better: bool) -> None:
        import optuna

        self._space = {name: _as_distribution(each) for name, each in space.items()}
        self._seed = seed
        with quiet("optuna"):
            self._study = optuna.create_study(
                direction="maximize" if greater_is_better else "minimize",
                pruner=optuna.pruners.MedianPruner(n_startup_trials=TRIALS_BEFORE_PRUNING),
            )
        self._running: optuna.Trial | None = None

    def ask(self) -> dict[str, Any]:
        """Name the parameters of the next trial, which runs until it is told."""
        from optuna.samplers import TPESampler

        number = len(self._study.get_trials(deepcopy=False))
        with quiet("optuna"):
            self._study.sampler = TPESampler(seed=_draw_seed(self._seed, number))
            self._running = self._study.ask(self._space)
        return dict(self._running.params)

    def falls_behind(self, scores: Sequence[float]) -> bool:
        """Whether the trial that runs, with *scores* on its folds so far, is below the others' median."""
        assert self._running is not None
        with quiet("optuna"):
            self._running.report(_mean(scores), len(scores) - 1)
            return self._running.should_prune()

    def tell(self, trial: Trial) -> None:
        """Take in a trial that ended: the one that was asked for, or any other of the same search."""
        told = _as_optuna(trial, self._space)
        with quiet("optuna"):
            if self._running is None:
                self._study.add_trial(told)
            else:
                self._study.tell(self._running, trial.value, told.state)
        self._running = None


def _as_distribution(space: Space) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(space, CategoricalSpace):
        return CategoricalDistribution(space.choices)
    if isinstance(space, IntSpace):
        return IntDistribution(space.low, space.high, log=space.log)
    return FloatDistribution(space.low, space.high, log=space.log)


def _as_optuna(trial: Trial, space: Mapping[str, BaseDistribution]) -> FrozenTrial:
    from optuna.trial import TrialState, create_trial

    states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
    # The YAML's own values may lie outside the space: of those the sampler learns nothing.
    known = {name: value for name, value in trial.params.items() if _lies_in(space[name], value)}
    return create_trial(
        state=states[trial.state],
        value=trial.value,
        params=known,
        distributions={name: space[name] for name in known},
        intermediate_values={fold: _mean(trial.scores[: fold + 1]) for fold in range(len(trial.scores))},
    )


def _lies_in(distribution: BaseDistribution, value: Any) -> bool:
    try:
        return distribution._contains(distribution.to_internal_repr(value))
    except (TypeError, ValueError):
        return False


def _draw_seed(seed: int, number: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{number}".encode()).digest()[:4])


def _mean(scores: Sequence[float]) -> float:
    return sum(scores) / len(scores)
