"""Owns how a pipeline's state is spelled in checkpoints, and which rules it was folded by."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from evertrain.canonical import digest_of
from evertrain.journal.chain import JSON, Codec
from evertrain.release.state import PipelineState
from evertrain.runs import digest_sources


@cache
def state_codec() -> Codec[PipelineState]:
    """The codec of PipelineState; its rules change with every source in this folder."""
    from pydantic import TypeAdapter

    adapter = TypeAdapter(PipelineState)

    def encode(state: PipelineState) -> JSON:
        spelled: JSON = adapter.dump_python(state, mode="json")
        return spelled

    def decode(spelled: JSON) -> PipelineState:
        state = adapter.validate_python(spelled)
        # JSON sorts its keys as texts: 10 before 2.
        return replace(state, versions=dict(sorted(state.versions.items())))

    rules = digest_of([digest_sources(Path(__file__).parent), adapter.json_schema()])
    return Codec(rules, encode, decode)
