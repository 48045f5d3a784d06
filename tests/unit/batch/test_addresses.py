"""Where a batch's rows come from, and where its answers go."""

from __future__ import annotations

from datetime import date

import pytest

from evertrain.batch.addresses import choose_addresses
from evertrain.config import BatchConfig
from evertrain.errors import ConfigError

DAY = date(2013, 1, 31)
BATCH = BatchConfig(input="new/{date}/*.csv", output="s3://lake/{date}.parquet")


def test_the_yaml_names_both_and_the_day():
    """`{date}` stands for the batch's day; a bucket's address is as good as a path."""
    assert choose_addresses(BATCH, DAY) == ("new/2013-01-31/*.csv", "s3://lake/2013-01-31.parquet")


def test_what_is_asked_goes_before_the_yaml():
    """Each of the two can be given in place of the YAML's."""
    assert choose_addresses(BATCH, DAY, source="a.csv") == ("a.csv", "s3://lake/2013-01-31.parquet")
    assert choose_addresses(BatchConfig(), DAY, source="a.csv", target="b.csv") == ("a.csv", "b.csv")


def test_a_batch_without_an_end_is_refused():
    """The message names the option and the YAML's key."""
    with pytest.raises(ConfigError, match=r"give --output URI, or set batch\.output"):
        choose_addresses(BatchConfig(), DAY, source="a.csv")
