"""API keys: made once, kept as hashes, found only whole."""

from __future__ import annotations

import re
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertrain.api_keys import SCOPES, add_key, find_key, read_keys, remove_key
from evertrain.errors import ConfigError, StorageError

HASH = "a" * 64


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys"


def test_a_key_is_found_by_itself_alone(path):
    """The key that was printed is found with its scopes; a changed one, a name alone or a hash isn't."""
    key = add_key(path, "shop", ["predict", "read"])

    keys = read_keys(path)
    found = find_key(keys, key)
    assert found is not None
    assert (found.name, found.allows("predict"), found.allows("feedback")) == ("shop", True, False)
    for wrong in ("", "shop", "shop.", key[:-1], f"{key}x", key.upper(), keys["shop"].sha256, key[5:]):
        assert find_key(keys, wrong) is None, wrong


def test_the_file_holds_no_key_and_is_its_owners(path):
    """Whoever reads the file can't ask anything with it; and only its owner reads it."""
    key = add_key(path, "shop", ["predict"])

    assert key not in path.read_text()
    assert key.partition(".")[2] not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_admin_is_for_everything(path):
    """A key of the scope admin is allowed each scope."""
    add_key(path, "root", ["admin"])

    assert all(read_keys(path)["root"].allows(scope) for scope in SCOPES)


def test_a_removed_key_is_gone_and_the_others_stay(path):
    """Removing one leaves the other; its name may be used again."""
    kept, gone = add_key(path, "kept", ["read"]), add_key(path, "gone", ["read"])
    remove_key(path, "gone")

    assert find_key(read_keys(path), kept) is not None
    assert find_key(read_keys(path), gone) is None
    assert add_key(path, "gone", ["predict"]) != gone


@pytest.mark.parametrize(
    ("name", "scopes", "told"),
    [
        ("a b", ["read"], "no name of a key"),
        ("a.b", ["read"], "no name of a key"),
        ("", ["read"], "no name of a key"),
        ("x" * 65, ["read"], "no name of a key"),
        ("a", ["write"], "'write' is no scope"),
        ("a", [], "no scope"),
    ],
)
def test_what_is_no_key_is_refused(path, name, scopes, told):
    """A name or scope that can't be used is told, and nothing is written."""
    with pytest.raises(ConfigError, match=told):
        add_key(path, name, scopes)
    assert not path.exists()


def test_a_name_that_is_taken_or_missing_is_told(path):
    """Adding twice and removing what isn't there are refused, by name."""
    add_key(path, "shop", ["read"])
    before = path.read_text()

    with pytest.raises(ConfigError, match="a key 'shop'"):
        add_key(path, "shop", ["predict"])
    with pytest.raises(ConfigError, match=r"no key 'store'.*shop"):
        remove_key(path, "store")
    assert path.read_text() == before


@pytest.mark.parametrize(
    "line",
    [
        "shop",
        "shop:predict",
        f"shop:predict:{HASH[:-1]}",
        f"shop:predict:{HASH.upper()}",
        f"shop::{HASH}",
        f"shop:all:{HASH}",
        f"sh op:predict:{HASH}",
        f"shop:predict:{HASH}\nshop:read:{HASH}",
    ],
)
def test_a_broken_line_is_named_and_not_shown(path, line):
    """A file that was edited wrongly is refused by its line; what stands there may be a secret."""
    path.write_text(f"# heading\n\n{line}\n")

    with pytest.raises(ConfigError, match=r"line [34]") as refused:
        read_keys(path)
    assert HASH[:-1] not in refused.value.message


def test_a_file_that_is_not_there_names_the_command_that_makes_it(path):
    """A missing file, and one that isn't text, are told."""
    with pytest.raises(ConfigError, match=r"EVERTRAIN_API_KEYS_FILE.*keys add"):
        read_keys(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_keys(path)


def test_a_file_that_cannot_be_written_is_told(tmp_path):
    """Where the folder can't be made, the error names the file."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="can't be written"):
        add_key(tmp_path / "file" / "keys", "a", ["read"])


def test_keys_that_are_added_at_once_all_stand(path):
    """Twenty writers lose none of each other's keys."""
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda place: add_key(path, f"k{place}", ["read"]), range(20)))

    keys = read_keys(path)
    assert len(keys) == 20
    assert all(find_key(keys, key) for key in made)
    assert not list(path.parent.glob("*.tmp"))


@given(st.text())
def test_no_text_is_a_key_by_accident(text):
    """Whatever is presented, nothing is raised and no key is found."""
    assert find_key({}, text) is None


def test_keys_are_random(path):
    """Two keys share nothing but the shape."""
    first, second = add_key(path, "a", ["read"]), add_key(path, "b", ["read"])

    assert re.fullmatch(r"a\.[\w-]{43}", first)
    assert first[2:] != second[2:]
