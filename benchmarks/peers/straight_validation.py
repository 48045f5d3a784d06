"""What a user would write: Great Expectations on pandas, as its documentation shows it."""

from __future__ import annotations

import json
import sys

import great_expectations as gx
import pandas as pd
from great_expectations import expectations as gxe
from validation_suite import SUITE


def main(path: str) -> None:
    """Read, validate, tell the verdict and how many unexpected values there are."""
    frame = pd.read_parquet(path)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("p").add_dataframe_asset("a")
    batch = asset.add_batch_definition_whole_dataframe("b").get_batch({"dataframe": frame})
    expectations = [getattr(gxe, kind.title().replace("_", ""))(**arguments) for kind, arguments in SUITE]
    outcome = batch.validate(gx.ExpectationSuite(name="suite", expectations=expectations))
    unexpected = sum(result.result.get("unexpected_count") or 0 for result in outcome.results)
    print(json.dumps({"success": outcome.success, "unexpected": unexpected}))


if __name__ == "__main__":
    main(sys.argv[1])
