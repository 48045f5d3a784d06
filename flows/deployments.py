"""Owns what is registered for a pipeline: its deployments, their schedules, forms and descriptions. Pure."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evertrain.config import PipelineConfig
from evertrain.config.plans import spell_limits
from evertrain.durations import spell_duration
from evertrain.frozen import Record
from evertrain.mlflow_client import without_credentials
from evertrain.settings import Settings
from flows.schedules import delay_of

TAG = "evertrain"
"""The tag that each of our deployments bears."""
SLUGS = ("train", "check", "score", "rollout")
ENTRYPOINTS = {
    "training": "flows.training.training_flow",
    "drift_check": "flows.drift_check.drift_check_flow",
    "batch_scoring": "flows.batch_scoring.batch_scoring_flow",
    "rollout": "flows.rollout.rollout_flow",
}
TITLES = {
    "config": "Pipeline",
    "as_of": "As of",
    "trigger": "Trigger",
    "overrides": "Overrides",
    "retrain": "Retrain",
    "source": "Input",
    "target": "Output",
    "version": "Version",
    "query": "Run data.query first",
}
WORKING_FOLDER = "prefect.deployments.steps.set_working_directory"
CONTAINERS = ("docker", "kubernetes")

Json = dict[str, Any]


class Place(Record):
    """Where the runs of a deployment take place.

    Attributes:
        folder: The folder that the YAML's relative paths start at; None: the container image's own.
        pool: The work pool; None: this machine's runner.
        variables: The pool's job variables.
    """

    folder: str | None
    pool: str | None = None
    variables: Json = {}


class Planned(Record):
    """One deployment as it is to be.

    Attributes:
        cron: When it is due; None: only when asked.
        schedule_parameters: What a scheduled run is given beside *parameters*.
    """

    flow: str
    pipeline: str
    description: str
    version: str
    tags: tuple[str, ...]
    parameters: Json
    form: Json
    pull_steps: tuple[Json, ...]
    pool: str | None
    variables: Json
    slug: str
    cron: str | None
    timezone: str
    schedule_parameters: Json

    @property
    def full_name(self) -> str:
        """The deployment's name as Prefect spells it."""
        return f"{self.flow}/{self.pipeline}"

    @property
    def entrypoint(self) -> str:
        """The flow, by module: a file would be loaded as a second copy of its module."""
        return ENTRYPOINTS[self.flow]


def installation_tag(settings: Settings) -> str:
    """Name the installation: deployments of one store bear it, and no others."""
    return f"store-{hashlib.sha256(settings.store.rstrip('/').encode()).hexdigest()[:10]}"


def plan_deployments(
    config: PipelineConfig, file: str, place: Place, settings: Settings, forms: Mapping[str, Json]
) -> tuple[Planned, ...]:
    """Plan the training and the drift check of one pipeline, and its batch scoring where it names a batch.

    Args:
        config: The pipeline.
        file: Its YAML, as a run in *place* finds it.
        place: Where its runs take place.
        settings: Which installation this is.
        forms: Each flow's parameters, as `plan_form` gives them.
    """
    # This machine's runner has a limit and starts what is due one by one; a pool starts all of it at once.
    delay = {"delay_seconds": delay_of(config.name)} if place.pool else {}
    due = {
        "training": ("train", config.schedule.train, {"trigger": "schedule", **delay}),
        "drift_check": ("check", config.drift.schedule, delay),
    }
    if config.batch.input is not None:
        due["batch_scoring"] = ("score", config.batch.schedule, delay)
    if config.promotion.strategy.plan().percents:
        due["rollout"] = ("rollout", None, {})
    tell = {
        "training": describe_training,
        "drift_check": describe_check,
        "batch_scoring": describe_batch,
        "rollout": describe_rollout,
    }
    return tuple(
        Planned(
            flow=flow,
            pipeline=config.name,
            description=tell[flow](config),
            version=config.digest()[:12],
            tags=(TAG, config.name, installation_tag(settings)),
            parameters={"config": file},
            form=fix_config(forms[flow], file),
            pull_steps=({WORKING_FOLDER: {"directory": place.folder}},) if place.folder else (),
            pool=place.pool,
            variables=place.variables,
            slug=slug,
            cron=" ".join(cron.split()) if cron else None,
            timezone=config.schedule.timezone,
            schedule_parameters=parameters,
        )
        for flow, (slug, cron, parameters) in due.items()
    )


def plan_form(parameters: Json) -> Json:
    """Make a flow's parameters a form that Prefect's pages show well.

    "Text or nothing" becomes text that may be left empty: the pages show it as two buttons otherwise.
    """
    properties = {}
    for name, field in parameters["properties"].items():
        if name not in TITLES:
            continue
        kinds = [kind for kind in field.get("anyOf", ()) if kind != {"type": "null"}]
        kept = {key: value for key, value in field.items() if key not in ("anyOf", "title", "description")}
        if kinds:
            kept = {**kept, **kinds[0]}
        if kept.get("default", ...) is None:
            del kept["default"]
        described = field["description"].replace("``", "")
        properties[name] = {**kept, "title": TITLES[name], "description": described}
    return {"title": "Parameters", "type": "object", "properties": properties, "required": ["config"]}


def fix_config(form: Json, file: str) -> Json:
    """Leave *file* as the form's one choice: a deployment is one pipeline's."""
    fixed = {**form["properties"]["config"], "enum": [file], "readOnly": True}
    return {**form, "properties": {**form["properties"], "config": fixed}}


def describe_training(config: PipelineConfig) -> str:
    """Say in Markdown what is learnt, by whom it is owned, and what decides."""
    gates = [
        f"- {_spell_kind(gate.model_dump(mode='json', exclude_none=True))}"
        for gate in config.evaluation.gates
    ]
    rules = ["A version takes over when none of its gates says no:", "", *(gates or ["- no gate"])]
    strategy = config.promotion.strategy.model_dump(mode="json", exclude_none=True)
    words = f"Promotion: {_spell_kind(strategy)}; approval {config.promotion.approval}."
    return "\n".join([*_introduce(config), *rules, "", words, "", _spell_due(config.schedule.train, config)])


def describe_check(config: PipelineConfig) -> str:
    """Say in Markdown what is looked at, and what starts a retrain."""
    drift = config.drift
    current = f"the newest {spell_duration(drift.current.window)} of {drift.current.from_}"
    rules = [f"- **data**: over {drift.max_share:.0%} of the columns drifted"]
    if drift.performance is not None:
        lost = f"{drift.performance.metric} fell by more than {drift.performance.max_drop:g}"
        rules.append(f"- **performance**: {lost} on rows whose labels arrived")
    if drift.regret is not None:
        gain = f"by more than {drift.regret.min_gain:g} of {drift.regret.metric}"
        rules.append(f"- **regret**: a probe that saw newer rows beats the champion {gain}")
    confirm, cooldown = drift.confirm, spell_duration(drift.cooldown)
    retrain = ", ".join(drift.retrain_on) or "nothing"
    policy = (
        f"Retrains on {retrain}, once {confirm.checks} of {confirm.of} checks agree; cooldown {cooldown}."
    )
    policy += "".join(f" {name.capitalize()}: {said}." for name, said in spell_limits(drift))
    head = f"Compares {current} with the champion's {drift.reference} rows and looks for:"
    due = _spell_due(drift.schedule, config)
    return "\n".join([*_introduce(config), head, "", *rules, "", policy, "", due])


def describe_batch(config: PipelineConfig) -> str:
    """Say in Markdown which rows are scored, and where the answers go."""
    batch = config.batch
    words = f"Scores `{batch.input}` with the champion; the answers go to `{batch.output}`."
    dated = "`{date}` is the day that the run was due, in UTC."
    lines = [words, *([dated] if "{date}" in f"{batch.input}{batch.output}" else [])]
    return "\n".join([*_introduce(config), *lines, "", _spell_due(batch.schedule, config)])


def describe_rollout(config: PipelineConfig) -> str:
    """Say in Markdown how a version is rolled out, and what ends it."""
    strategy = config.promotion.strategy.model_dump(mode="json", exclude_none=True)
    limits = config.promotion.guardrails
    words = f"Walks a version that passed its gates: {_spell_kind(strategy)}."
    rails = (
        f"It is rolled back where it errs more than the champion or on over {limits.max_error_rate:.1%} of "
        f"requests, or answers {limits.max_p99_ratio:g} times as slowly."
    )
    return "\n".join([*_introduce(config), words, "", rails, "", "Due: when a training run begins one."])


def _introduce(config: PipelineConfig) -> list[str]:
    lines = [config.description, ""] if config.description else []
    owner = f"Owner: {config.owner}. " if config.owner else ""
    task = config.evaluation.task.replace("_", " ")
    learnt = f"Learns `{config.data.target}` ({task}) with `{config.training.estimator}`."
    return [*lines, owner + learnt, ""]


def _spell_due(cron: str | None, config: PipelineConfig) -> str:
    return f"Due: `{cron}` ({config.schedule.timezone})." if cron else "Due: only when asked."


def _spell_kind(facts: Json) -> str:
    name = facts.pop("type")
    words = ", ".join(value if key == "metric" else f"{key} {value}" for key, value in facts.items())
    return f"**{name}**: {words}" if words else f"**{name}**"


def name_file(path: Path, place_folder: Path) -> str:
    """Spell *path* from the folder where runs start; a file elsewhere by its whole path."""
    whole = path.absolute()
    return whole.relative_to(place_folder).as_posix() if whole.is_relative_to(place_folder) else str(whole)


def worker_environment(settings: Settings, kind: str) -> dict[str, str]:
    """Build the variables that put a worker's runs into this installation; never one with a password.

    Args:
        settings: This installation.
        kind: The work pool's type. A container doesn't see this machine's folders.
    """
    wanted = {
        "EVERTRAIN_STORE": settings.store if "://" in settings.store or kind not in CONTAINERS else "",
        "EVERTRAIN_HOME": "" if kind in CONTAINERS else str(settings.home),
        "EVERTRAIN_ALLOWED_PACKAGES": os.environ.get("EVERTRAIN_ALLOWED_PACKAGES", ""),
        "EVERTRAIN_ALLOW_PYTHON_SOURCES": "1" if settings.allow_python_sources else "",
        "MLFLOW_TRACKING_URI": settings.mlflow_uri or "",
        "EVERTRAIN_MLFLOW_PAGES": settings.mlflow_pages or "",
        "AWS_ENDPOINT_URL": os.environ.get("AWS_ENDPOINT_URL", ""),
    }
    return {name: value for name, value in wanted.items() if value and without_credentials(value) == value}
