"""Owns which version an entry means, and how the fold of a journal changes one."""

from __future__ import annotations

from dataclasses import replace

from evertrain.journal.chain import Entry, Illegal
from evertrain.release.fields import whole_number
from evertrain.release.state import PipelineState, VersionState

CANDIDATE = ("registered", "held")


def with_versions(state: PipelineState, *versions: VersionState) -> PipelineState:
    """The state with *versions* as they are now."""
    return replace(state, versions={**state.versions, **{version.version: version for version in versions}})


def version_of(state: PipelineState, number: int) -> VersionState:
    """The version *number*; Illegal if it isn't registered."""
    if number not in state.versions:
        raise Illegal(f"version {number} is not registered")
    return state.versions[number]


def candidate_of(state: PipelineState, entry: Entry) -> VersionState:
    """The version that *entry* names; Illegal unless it may yet become champion."""
    version = version_of(state, whole_number(entry, "version"))
    if version.status not in CANDIDATE:
        raise Illegal(f"version {version.version} is {version.status}, no longer a candidate")
    return version
