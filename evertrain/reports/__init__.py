"""Owns the reports: one self-contained HTML page for a run, and one for the demo's months."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from evertrain.metrics import METRICS
from evertrain.records import Evaluation, TrainOutcome, ValidationReport
from evertrain.reports.pages import render_page
from evertrain.reports.plots import curve_svg, months_svg
from evertrain.reports.slice_plots import slices_svg

if TYPE_CHECKING:
    from evertrain.config import PipelineConfig

MOST_EXPECTATIONS = 200
MOST_SLICES = 50
HEADLINES = {
    "promoted": "Promoted: this version is the champion.",
    "rollout": "Rollout begun: this version takes over step by step.",
    "held": "Held: this version is registered, and takes over from nobody.",
}
MARKS = {"pass": ("good", "✓ pass"), "fail": ("bad", "✗ fail"), "not_shown": ("quiet", "– not shown")}


def run_report(
    config: PipelineConfig,
    outcome: TrainOutcome,
    evaluation: Evaluation,
    validation: ValidationReport | None,
    links: Mapping[str, str],
    warnings: Sequence[str] = (),
) -> str:
    """Write a run's page: decision, gates, metrics beside the champion's, the curve, data and provenance.

    Args:
        config: The pipeline.
        outcome: What the run came to.
        evaluation: Both models on the held-out rows.
        validation: What Great Expectations said; None where nobody asked.
        links: Where to look further, address by name; web addresses become links.
        warnings: What in the rows looks like leakage.

    Returns:
        HTML of one page, under 300 KB, that asks nothing of the network.
    """
    results = sorted(validation.results if validation else (), key=lambda result: result.success)
    return render_page(
        "run",
        title=f"{outcome.pipeline} version {outcome.version}: {outcome.decision}",
        description=config.description,
        headline=HEADLINES[outcome.decision],
        marks=MARKS,
        directions={name: "greater" if METRICS[name].greater_is_better else "less" for name in METRICS},
        outcome=outcome,
        evaluation=evaluation,
        champion=evaluation.champion,
        picture=curve_svg(evaluation.curves),
        slices=[(seen, slices_svg(seen), seen.slices[:MOST_SLICES]) for seen in evaluation.slices],
        data=_data_facts(config, outcome),
        expectations=results[:MOST_EXPECTATIONS],
        unlisted=max(0, len(results) - MOST_EXPECTATIONS),
        provenance=_provenance(config, outcome),
        links=links,
        warnings=warnings,
    )


def demo_report(rows: Sequence[Mapping[str, Any]], title: str) -> str:
    """Write the demo's page: how the champion, and the first version beside it, did by month.

    Args:
        rows: One a month, with ``month``, ``rows``, ``late_share``, ``version`` (that served),
            ``champion_auc``, ``first_auc``, and what the check at the month's end found: ``drifted_share``,
            ``gain`` (of a probe over the champion; both may be None) and ``decision``.
        title: The page's heading.
    """
    served = [row["version"] for row in rows]
    marks = {
        place: f"v{after} serves"
        for place, (before, after) in enumerate(pairwise(served), start=1)
        if after != before
    }
    picture = months_svg(
        [row["month"] for row in rows],
        {
            "the champion that served": [row["champion_auc"] for row in rows],
            "the first version, never retrained": [row["first_auc"] for row in rows],
        },
        marks,
        "AUC",
    )
    return render_page("demo", title=title, rows=rows, picture=picture)


def _data_facts(config: PipelineConfig, outcome: TrainOutcome) -> list[tuple[str, str]]:
    snapshot = outcome.snapshot
    facts = [
        ("target", config.data.target),
        ("rows", f"{snapshot.rows:,}"),
        ("without a label", f"{snapshot.unlabelled:,}"),
        ("quarantined", f"{snapshot.quarantined:,}"),
    ]
    return facts if config.validation.expectations else [*facts, ("expectations", "none are named")]


def _provenance(config: PipelineConfig, outcome: TrainOutcome) -> list[tuple[str, str]]:
    return [
        ("estimator", config.training.estimator),
        ("seed", str(config.training.seed)),
        ("snapshot", outcome.snapshot.digest),
        ("bundle", f"{outcome.bundle.digest} ({outcome.bundle.runtime})"),
        ("configuration", config.digest()),
        ("run key", outcome.run_key),
        ("MLflow run", outcome.run_id),
        ("seconds", ", ".join(f"{step} {seconds:.1f}" for step, seconds in outcome.seconds.items())),
    ]
