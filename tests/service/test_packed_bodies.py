"""Bodies that come packed: unpacked up to the limit and not a byte further."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib

import pytest

from serving.scoring import Limits

FAR = [1400, "UA", False, None]
BODY = json.dumps({"instances": [FAR]}).encode()
MIB = 1 << 20


@pytest.fixture
def service(asker, bundle_of):
    return asker(bundle_of())


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(BODY)),
        ("x-gzip", gzip.compress(BODY)),
        ("GZIP", gzip.compress(BODY)),
        ("deflate", zlib.compress(BODY)),
        ("identity", BODY),
    ],
    # gzip notes the time: without names no two workers would collect the same tests.
    ids=["gzip", "x-gzip", "GZIP", "deflate", "identity"],
)
def test_packed_rows_are_rows(service, coding, packed):
    """Gzip and deflate mean what was packed."""
    answer = service.post(packed, content_encoding=coding)

    assert (answer.status_code, answer.json()["predictions"]) == (200, ["Yes"])


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "compress", ""])
def test_other_codings_are_415(service, coding):
    """A coding that isn't offered is named."""
    answer = service.post(BODY, content_encoding=coding)

    assert (answer.status_code, answer.json()["field"]) == (415, "content-encoding")


@pytest.mark.parametrize(
    "packed",
    [BODY, b"", gzip.compress(BODY)[:-3], gzip.compress(BODY) + b"x", gzip.compress(BODY)[2:]],
    ids=["plain", "nothing", "cut off", "longer", "beheaded"],
)
def test_what_is_not_packed_is_400(service, packed):
    """Bytes that aren't gzip, that end too soon, or that go on behind it."""
    answer = service.post(packed, content_encoding="gzip")

    assert (answer.status_code, answer.json()["type"]) == (400, "urn:evertrain:problem:not-packed")


def test_a_bomb_is_unpacked_no_further_than_the_limit(service):
    """256 MiB in a quarter of one are 413, and cost no more memory than the limit."""
    bomb = gzip.compress(b" " * (256 * MIB))
    tracemalloc.start()
    answer = service.post(bomb, content_encoding="gzip")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert answer.status_code == 413
    assert peak < 8 * MIB


def test_the_limit_is_of_what_was_packed(asker, bundle_of):
    """A body of exactly the limit is taken, one byte more isn't, packed as small as may be."""
    limits = Limits(body_bytes=10_000)
    service = asker(bundle_of(), limits=limits)
    exact = BODY + b" " * (limits.body_bytes - len(BODY))

    assert service.post(gzip.compress(exact), content_encoding="gzip").status_code == 200
    assert service.post(gzip.compress(exact + b" "), content_encoding="gzip").status_code == 413
