"""Owns reading and checking a pipeline's YAML: every fault in one go, before any work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evertrain.config import PipelineConfig
from evertrain.config.estimator_faults import find_estimator_faults
from evertrain.config.faults import Fault, refuse
from evertrain.config.overrides import apply_overrides
from evertrain.config.query_syntax import find_query_faults
from evertrain.config.rules import find_rule_faults
from evertrain.config.rules.raw import Raw
from evertrain.config.type_faults import parse_config
from evertrain.config.yaml_reader import read_yaml
from evertrain.settings import Settings

SECTIONS = tuple(PipelineConfig.model_fields)


def load_config(
    path: Path, settings: Settings, overrides: Sequence[str] = (), *, defer_vendors: bool = False
) -> PipelineConfig:
    """Read the pipeline's YAML at *path*, with ``--set`` *overrides* put in, and check all of it.

    Args:
        path: The file.
        settings: Which packages and sources are allowed.
        overrides: ``a.b[2].c=VALUE`` each, the value in YAML.
        defer_vendors: Leave the estimator and the query, which need scikit-learn and DuckDB, unchecked where
            all else is right: for a run that may turn out to be done already. `check_trainable` catches up.

    Raises:
        ConfigError: The file can't be read, or is wrong; its attribute ``faults`` lists each place with what
            was found and what was expected.
    """
    raw, faults = apply_overrides(read_yaml(path), overrides)
    config, type_faults = parse_config(raw)
    faults += type_faults
    faults += find_rule_faults(raw, settings)
    if faults or not defer_vendors:
        faults += _find_vendor_faults(raw, settings)
    refuse(str(path), _in_order(faults))
    assert config is not None
    return config


def check_trainable(config: PipelineConfig, settings: Settings, origin: str) -> None:
    """Check what `load_config` left out with ``defer_vendors``.

    Args:
        config: The pipeline.
        settings: Which packages are allowed.
        origin: Names the file in the message.

    Raises:
        ConfigError: The estimator or the query is wrong.
    """
    raw = config.model_dump(mode="json", by_alias=True)
    refuse(origin, _in_order(_find_vendor_faults(raw, settings)))


def _find_vendor_faults(raw: Raw, settings: Settings) -> list[Fault]:
    return find_query_faults(raw) + find_estimator_faults(raw, settings)


def _in_order(faults: list[Fault]) -> list[Fault]:
    """One fault a place, the first found there, in the order of the configuration's sections."""
    by_path: dict[str, Fault] = {}
    for fault in faults:
        by_path.setdefault(fault.path, fault)
    return sorted(by_path.values(), key=_section_place)


def _section_place(fault: Fault) -> int:
    section = fault.path.partition(".")[0].partition("[")[0]
    return SECTIONS.index(section) if section in SECTIONS else len(SECTIONS)
