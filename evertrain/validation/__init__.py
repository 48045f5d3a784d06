"""Owns Great Expectations: runs a pipeline's expectations over a table and tells what failed."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evertrain.datasets.frames import fit_arguments, is_integral, to_frame
from evertrain.datasets.mismatches import spell_mismatch
from evertrain.errors import ConfigError, DataRefused
from evertrain.expectations import COLUMN_KEYS, columns_of
from evertrain.quiet import quiet
from evertrain.records import ExpectationResult, Quarantined, ValidationReport

if TYPE_CHECKING:
    import pyarrow as pa
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.expectations.expectation import Expectation

    from evertrain.config import ExpectationConfig, ValidationConfig

EXAMPLES = 5
FAILURES_TOLD = 20
_TEXT_LIMIT = 200
_MAY_NAME_MISSING_COLUMNS = ("expect_column_to_exist", "expect_table_")


def import_great_expectations() -> None:
    """Import the library ahead of its first use, which takes seconds."""
    with quiet("great_expectations"):
        import great_expectations  # noqa: F401 - for those who import it next


def validate(
    config: ValidationConfig, table: pa.Table, names: Sequence[str] | None = None
) -> ValidationReport:
    """Run every expectation over *table* with Great Expectations.

    An expectation that can't be run (no such column, a comparison that makes no sense) is a failed one.

    Args:
        config: The expectations, by Great Expectations' own names and arguments.
        table: Shape (n_rows, n_columns); not modified.
        names: All the columns that there are, where *table* holds only those that are spoken of.

    Returns:
        One result per expectation, in the YAML's order. Without expectations: success, at no cost.

    Raises:
        ConfigError: Great Expectations refuses an argument; the message bears its path in the YAML.
    """
    if not config.expectations:
        return ValidationReport(success=True, rows=table.num_rows)
    names = names or table.column_names
    found: dict[int, ExpectationResult] = {}
    runnable: dict[int, ExpectationConfig] = {}
    for index, expectation in enumerate(config.expectations):
        missing = _missing_column(expectation, names)
        if missing is None:
            runnable[index] = expectation
        else:
            found[index] = _without_column(expectation, missing, names)
    if runnable:
        found |= _run(runnable, table)
    results = tuple(found[index] for index in sorted(found))
    return ValidationReport(success=all(r.success for r in results), rows=table.num_rows, results=results)


def refusal(report: ValidationReport) -> DataRefused:
    """Build the error for a *report* that isn't a success: what failed, where, how often, with examples."""
    failed = [result for result in report.results if result.stops]
    lines = [f"- {_told(result)}" for result in failed[:FAILURES_TOLD]]
    if len(failed) > FAILURES_TOLD:
        lines.append(f"- and {len(failed) - FAILURES_TOLD} more")
    head = f"{len(failed)} of {len(report.results)} expectations failed on {report.rows} rows:"
    tail = "Mend the data, or change validation.expectations in the pipeline's YAML."
    return DataRefused("\n".join([head, *lines, tail]), report=report.model_dump(mode="json"))


def list_quarantined(report: ValidationReport) -> tuple[Quarantined, ...]:
    """List the expectations for which rows were set aside, with how many."""
    return tuple(
        Quarantined(type=result.type, column=result.column, rows=result.quarantined_rows)
        for result in report.results
        if result.quarantined_rows
    )


def _told(result: ExpectationResult) -> str:
    where = f"{result.type} on {result.column!r}" if result.column else result.type
    said = f": {result.observed}" if result.observed else ""
    if result.unexpected_rows is None:
        wanted = [f"{name} {value!r}" for name, value in result.arguments.items() if name not in COLUMN_KEYS]
        return f"{where}{said}{_cut('; expected ' + ', '.join(wanted)) if said and wanted else ''}"
    share = "" if result.unexpected_share is None else f" ({result.unexpected_share:.2%})"
    examples = f", such as {', '.join(result.examples)}" if result.examples else ""
    return f"{where}: {result.unexpected_rows} unexpected{share}{examples}"


def _missing_column(expectation: ExpectationConfig, names: Sequence[str]) -> str | None:
    if expectation.type.startswith(_MAY_NAME_MISSING_COLUMNS):
        return None
    return next((name for name in columns_of(expectation.arguments) if name not in names), None)


def _without_column(expectation: ExpectationConfig, missing: str, names: Sequence[str]) -> ExpectationResult:
    nearest = difflib.get_close_matches(missing, names, n=3) or sorted(names)[:10]
    said = f"there is no column {missing!r}; near it: {', '.join(map(repr, nearest))}"
    return _result(expectation, success=False, observed=said)


def _result(expectation: ExpectationConfig, **facts: Any) -> ExpectationResult:
    column = ", ".join(str(name) for name in columns_of(expectation.arguments)) or None
    return ExpectationResult(type=expectation.type, column=column, arguments=expectation.arguments, **facts)


def _run(expectations: Mapping[int, ExpectationConfig], table: pa.Table) -> dict[int, ExpectationResult]:
    with quiet("great_expectations"):
        import great_expectations as gx

        built = [_build(index, expectation, table) for index, expectation in expectations.items()]
        suite = gx.ExpectationSuite(name="evertrain", expectations=built)
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
        asset = context.data_sources.add_pandas("evertrain").add_dataframe_asset("snapshot")
        whole = asset.add_batch_definition_whole_dataframe("all")
        batch = whole.get_batch({"dataframe": to_frame(table)})
        outcome = batch.validate(
            suite, result_format={"result_format": "SUMMARY", "partial_unexpected_count": 20 * EXAMPLES}
        )
        return dict(_translate(result, expectations, table) for result in outcome.results)


def _build(index: int, config: ExpectationConfig, table: pa.Table) -> Expectation:
    from great_expectations.expectations.registry import get_expectation_impl

    arguments = fit_arguments(config.arguments, table)
    # Results come back in another order.
    arguments["meta"] = {"place": index}
    path = f"validation.expectations[{index}]"
    try:
        return get_expectation_impl(config.type)(**arguments)
    except ValueError as cause:
        raise ConfigError(
            f"{path}: Great Expectations refuses the arguments of {config.type}: {_refused(cause)}.",
            path=path,
        ) from cause


def _refused(cause: ValueError) -> str:
    errors: Sequence[Mapping[str, Any]] = cause.errors() if hasattr(cause, "errors") else ()
    said = {str(error["loc"][0]): str(error["msg"]) for error in reversed(errors)}
    # A refused bound counts as absent in the checks over the whole, so what those say may be untrue.
    whole = said.pop("__root__", str(cause))
    return _cut("; ".join(f"{where}: {what}" for where, what in said.items()) or whole)


def _translate(
    result: ExpectationValidationResult, expectations: Mapping[int, ExpectationConfig], table: pa.Table
) -> tuple[int, ExpectationResult]:
    facts: dict[str, Any] = result.to_json_dict()
    index: int = facts["expectation_config"]["meta"]["place"]
    expectation, details = expectations[index], facts["result"]
    percent = details.get("unexpected_percent")
    integral = all(is_integral(table, name) for name in columns_of(expectation.arguments))
    spelled = (_spelled(value, integral) for value in details.get("partial_unexpected_list") or ())
    return index, _result(
        expectation,
        success=bool(result.success),
        unexpected_rows=details.get("unexpected_count"),
        unexpected_share=None if percent is None else percent / 100,
        observed=_raised(result.exception_info, spell_mismatch(expectation, table))
        or _observed(details, integral),
        examples=tuple(dict.fromkeys(spelled))[:EXAMPLES],
    )


def _raised(info: Mapping[str, Any], mismatch: str | None) -> str | None:
    if info.get("raised_exception") is False:
        return None
    if mismatch:
        return f"can't be checked: {mismatch}; cast it in data.query, or mend the expectation"
    causes = [info, *(value for value in info.values() if isinstance(value, dict))]
    messages = [str(cause["exception_message"]) for cause in causes if cause.get("exception_message")]
    return _cut(f"Great Expectations could not check it: {messages[0] if messages else 'no reason given'}")


def _observed(details: Mapping[str, Any], integral: bool) -> str | None:
    value = details.get("observed_value")
    return None if value is None else _cut(f"found {_spelled(value, integral)}")


def _spelled(value: Any, integral: bool) -> str:
    return _cut(repr(_plain(value, integral)), 60)


def _plain(value: Any, integral: bool) -> Any:
    """Take NumPy's wrapping off *value*, and the point off integers that pandas keeps as floats."""
    if isinstance(value, dict):
        return {key: _plain(item, integral) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, integral) for item in value]
    number = value.item() if hasattr(value, "item") else value
    return int(number) if integral and isinstance(number, float) and number.is_integer() else number


def _cut(text: str, limit: int = _TEXT_LIMIT) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
