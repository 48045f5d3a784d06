"""No body, however made, gets anything but an answer or a problem."""

from __future__ import annotations

import json
from math import isfinite

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evertrain.errors import InvalidInput
from serving.arms import Lineup
from serving.problems import Refusal
from serving.protocols import JSON, Call
from serving.protocols.json_forms import FORMS
from serving.protocols.mlflow_scoring import MLFLOW_SCORING
from serving.scoring import score

FEATURES = ("distance", "carrier", "night flight", "departs")
CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.text(),
    st.text(st.characters()),
    st.sampled_from(["\ud800", "2013-01-01", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00+14:00", "nan"]),
    st.lists(st.none(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.none(), max_size=2),
)
FITTING = st.fixed_dictionaries(
    {
        "distance": st.one_of(
            st.none(), st.integers(-(10**38), 10**38), st.floats(width=32, allow_nan=False)
        ),
        "carrier": st.one_of(st.none(), st.text(), st.booleans(), st.integers(), st.floats(allow_nan=False)),
        "night flight": st.one_of(st.none(), st.booleans(), st.sampled_from([0, 1, 1.0])),
        "departs": st.one_of(st.none(), st.datetimes().map(str), st.dates().map(str)),
    }
).filter(lambda row: all(not isinstance(cell, float) or isfinite(cell) for cell in row.values()))
NAMES = st.one_of(st.sampled_from([*FEATURES, "late", "data", "columns"]), st.text(max_size=3))
RECORDS = st.one_of(
    FITTING,
    st.builds(lambda row, name, cell: {**row, name: cell}, FITTING, st.sampled_from(FEATURES), CELLS),
    st.fixed_dictionaries(dict.fromkeys(FEATURES, CELLS), optional={"late": CELLS}),
    st.dictionaries(NAMES, CELLS, max_size=5),
)
ROWS = st.lists(st.one_of(st.lists(CELLS, min_size=4, max_size=4), st.lists(CELLS, max_size=5)), max_size=3)
COLUMNS = st.dictionaries(NAMES, st.one_of(st.lists(CELLS, min_size=2, max_size=2), CELLS), max_size=5)
SPLITS = st.fixed_dictionaries(
    {
        "columns": st.one_of(st.just(list(FEATURES)), st.lists(CELLS, max_size=4)),
        "data": st.one_of(ROWS, CELLS),
    }
)
PARTS = st.one_of(st.lists(RECORDS, max_size=3), ROWS, COLUMNS, SPLITS, CELLS)
DOCUMENTS = st.one_of(
    st.dictionaries(st.sampled_from(FORMS), PARTS, min_size=1, max_size=1),
    st.dictionaries(st.one_of(st.sampled_from([*FORMS, "params"]), st.text()), PARTS, max_size=3),
    PARTS,
)


def refusal_of(served, body):
    """What becomes of *body*: None if it is answered; whatever isn't a refusal fails the test."""
    try:
        answer = score(Lineup(served), MLFLOW_SCORING, Call(body, JSON, {}, "r"), 1_000).spelled.body
    except Refusal as error:
        refusal = error
    else:
        return check_answer(answer)
    assert refusal.kind.status in (400, 413, 422)
    json.loads(refusal.response().body)
    return refusal


def check_answer(answer):
    found = json.loads(answer, parse_constant=pytest.fail)
    assert len(found["predictions"]) == len(found["probabilities"])


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(FITTING, min_size=1, max_size=4), form=st.sampled_from(["instances", "inputs"]))
def test_any_fitting_rows_are_answered(asker, bundle_of, rows, form):
    """Rows of the right types are answered whatever they hold: no rule refuses too much."""
    served = asker(bundle_of()).fleet.find("flights")

    assert refusal_of(served, json.dumps({form: rows}).encode()) is None


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=DOCUMENTS)
def test_any_json_is_answered_or_refused(asker, bundle_of, document):
    """Random documents of nearly the right shape get finite numbers or a problem."""
    refusal_of(asker(bundle_of()).fleet.find("flights"), json.dumps(document).encode())


@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(max_size=5), at=st.integers(0, 80), cut=st.integers(0, 10))
def test_any_bytes_are_answered_or_refused(asker, bundle_of, noise, at, cut):
    """A good body with some bytes replaced is answered or refused."""
    body = b'{"instances": [{"distance": 1e3, "carrier": "U\\u00c4", "night flight": true, "departs": null}]}'

    refusal_of(asker(bundle_of()).fleet.find("flights"), body[:at] + noise + body[at + cut :])


@pytest.mark.parametrize("depth", [50, 900, 990, 1000, 5000])
@pytest.mark.parametrize("wrap", [("[", "]"), ('{"a":', "}")])
def test_any_depth_is_refused(asker, bundle_of, depth, wrap):
    """A value nested to any depth, in a cell, beside the rows or around them, is refused or passed over."""
    served = asker(bundle_of()).fleet.find("flights")
    deep = wrap[0] * depth + "1" + wrap[1] * depth

    for body in (
        f'{{"instances": [[{deep}, "UA", true, null]]}}',
        f'{{"instances": [[1, {deep}, true, null]]}}',
        f'{{"instances": [[1, "UA", true, {deep}]]}}',
        f'{{"instances": {deep}}}',
        f'{{"inputs": {{"distance": {deep}}}}}',
        f'{{"dataframe_split": {{"columns": {deep}, "data": []}}}}',
        deep,
    ):
        assert isinstance(refusal_of(served, body.encode()), Refusal)


def test_a_model_that_refuses_a_value_is_a_refusal(asker, bundle_of):
    """An InvalidInput from behind the column layer is the caller's fault, too."""

    def refuse(_):
        raise InvalidInput("Too far.", field="distance")

    refused = refusal_of(
        asker(bundle_of(refuse)).fleet.find("flights"), b'{"instances": [[1, "UA", true, null]]}'
    )

    assert refused.field == "distance"
