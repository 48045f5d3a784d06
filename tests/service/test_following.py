"""How the service follows journals: what it loads, what it refuses, when it tries again."""

from __future__ import annotations

import hashlib
import logging

import pytest

from evertrain.canonical import canonical_json
from evertrain.errors import BundleRefused, ModelNotReady, StorageError
from evertrain.journal import head_key
from evertrain.release import decide_rolled_back, open_journal
from evertrain.storage import LocalStore

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def serving(fleet):
    """What is served, as {name: (version, generation, first letter of the digest)}."""
    return {each.name: (each.version, each.generation, each.bundle.digest[0]) for each in fleet.loaded()}


def test_the_champion_is_served_and_then_the_next(store, fleet, promote, watch):
    """A promotion is picked up at the next look, with its version and generation."""
    promote(store, "flights", 1, A)
    watcher = watch("flights")
    watcher.look()
    first = serving(fleet)
    promote(store, "flights", 2, B)
    watcher.look()

    assert [first, serving(fleet)] == [{"flights": (1, 1, "a")}, {"flights": (2, 2, "b")}]


def test_a_rollback_is_followed(store, fleet, promote, watch):
    """A rollback is a promotion of the version before, in a new generation."""
    promote(store, "flights", 1, A)
    promote(store, "flights", 2, B)
    watcher = watch("flights")
    watcher.look()
    open_journal(store, "flights", "test").append(decide_rolled_back())
    watcher.look()

    assert serving(fleet) == {"flights": (1, 3, "a")}


def test_a_bundle_that_is_loaded_is_not_loaded_again(store, fleet, promote, watch, shelf):
    """A version with the bundle that is served already changes the number alone."""
    promote(store, "flights", 1, A)
    watcher = watch("flights")
    watcher.look()
    promote(store, "flights", 2, A)
    watcher.look()
    watcher.look()

    assert (serving(fleet), shelf.loads) == ({"flights": (2, 2, "a")}, ["a"])


def test_without_a_champion_the_service_waits(store, fleet, promote, watch):
    """A pipeline without a champion is known and not ready; its first champion makes it ready."""
    watcher = watch("flights")
    watcher.look()

    with pytest.raises(ModelNotReady, match="flights"):
        fleet.check_ready()
    with pytest.raises(ModelNotReady):
        fleet.find("flights")
    promote(store, "flights", 1, A)
    watcher.look()
    fleet.check_ready()


def test_a_bad_bundle_leaves_the_old_one_serving(store, fleet, promote, watch, shelf, clock, caplog):
    """A champion that can't be served is told once, and tried again ever more rarely until it can be."""
    caplog.set_level(logging.WARNING)
    promote(store, "flights", 1, A)
    watcher = watch("flights")
    watcher.look()
    promote(store, "flights", 2, B)
    shelf.broken[B] = BundleRefused("model.onnx isn't as it was written.")

    for _ in range(61):
        watcher.look()
        clock.now += 0.5

    assert serving(fleet) == {"flights": (1, 1, "a")}
    fleet.check_ready()
    assert caplog.messages == [
        "Can't serve the new champion of flights: v2 (bundle bbbbbbbbbbbb): model.onnx isn't as it was "
        "written. Serving goes on as before; trying again."
    ]
    assert "".join(shelf.loads) == "abbbbbb"  # after 1, 2, 4, 8 and 10 seconds
    shelf.broken.clear()
    clock.now += 10
    watcher.look()
    assert serving(fleet) == {"flights": (2, 2, "b")}


def test_a_mend_does_not_wait_for_the_bad_bundle(store, fleet, promote, watch, shelf, clock):
    """A new champion is loaded at once even while a bad one is being put off."""
    promote(store, "flights", 1, A)
    shelf.broken[A] = BundleRefused("Bad.")
    watcher = watch("flights")
    for _ in range(20):
        watcher.look()
        clock.now += 0.5
    promote(store, "flights", 2, B)
    watcher.look()

    assert serving(fleet) == {"flights": (2, 2, "b")}


@pytest.mark.parametrize("error", [RuntimeError("boom"), MemoryError(), StorageError("Can't read.")])
def test_no_failure_ends_the_watch(store, fleet, promote, watch, shelf, clock, error):
    """Whatever loading raises, the pipeline is followed further."""
    promote(store, "flights", 1, A)
    shelf.broken[A] = error
    watcher = watch("flights")
    watcher.look()
    shelf.broken.clear()
    clock.now += 1
    watcher.look()

    assert serving(fleet) == {"flights": (1, 1, "a")}


def cut_tail(store, keep):
    """Remove all entries after *keep*, and make the head say so: the journal that is left holds by itself."""
    keys = list(store.list("journal/flights/"))
    for key in keys[keep:]:
        store.delete(key)
    last = hashlib.sha256(store.get(keys[keep - 1])).hexdigest()
    store.put(head_key("flights"), canonical_json({"number": keep, "hash": last}))
    open_journal(store, "flights", "test").read()


def test_a_journal_cut_short_is_refused(store, fleet, promote, watch, clock, caplog):
    """A journal that lost its newest entries, head included, doesn't bring the old champion back."""
    promote(store, "flights", 1, A)
    promote(store, "flights", 2, B)
    watcher = watch("flights")
    watcher.look()
    cut_tail(store, 2)
    clock.now += 20
    watcher.look()

    assert serving(fleet) == {"flights": (2, 2, "b")}
    assert "Can't follow flights: The journal of flights was tampered with" in caplog.text


def test_another_journal_of_the_same_length_is_refused(store, fleet, promote, watch, clock, caplog):
    """A journal that was cut and then written on is refused, too."""
    promote(store, "flights", 1, A)
    promote(store, "flights", 2, B)
    watcher = watch("flights")
    watcher.look()
    cut_tail(store, 2)
    promote(store, "flights", 2, C)
    promote(store, "flights", 3, A)
    clock.now += 20
    watcher.look()

    assert serving(fleet) == {"flights": (2, 2, "b")}
    assert caplog.text.count("tampered") == 1


def test_a_lost_hint_is_made_up_for(store, fleet, promote, watch, clock):
    """An entry whose hint was never written is found within ten seconds."""
    promote(store, "flights", 1, A)
    watcher = watch("flights")
    watcher.look()
    hint = store.get(head_key("flights"))
    promote(store, "flights", 2, B)
    store.put(head_key("flights"), hint)
    watcher.look()
    before = serving(fleet)
    clock.now += 10
    watcher.look()

    assert [before, serving(fleet)] == [{"flights": (1, 1, "a")}, {"flights": (2, 2, "b")}]


class CountingStore(LocalStore):
    """Counts what is read."""

    reads = 0

    def get(self, key):
        self.reads += 1
        return super().get(key)


def test_a_quiet_journal_costs_one_read_a_look(store, promote, watch):
    """Between promotions a look reads the hint and nothing else."""
    promote(store, "flights", 1, A)
    counting = CountingStore(store.root)
    watcher = watch("flights", store=counting)
    watcher.look()
    before = counting.reads
    for _ in range(10):
        watcher.look()

    assert counting.reads - before == 10


class FailingStore(LocalStore):
    """A store that can't be read while it is told so."""

    down = False

    def get(self, key):
        if self.down:
            raise StorageError("The disk is gone.")
        return super().get(key)

    def list(self, prefix):
        if self.down:
            raise StorageError("The disk is gone.")
        return super().list(prefix)


@pytest.mark.parametrize("names", [(), ("flights",)])
def test_without_the_store_the_old_model_serves_on(store, fleet, promote, watch, clock, names, caplog):
    """While the store can't be read nothing changes; once it can, the new champion comes."""
    promote(store, "flights", 1, A)
    failing = FailingStore(store.root)
    watcher = watch(*names, store=failing)
    watcher.look()
    failing.down = True
    for _ in range(20):
        clock.now += 1
        watcher.look()
    promote(store, "flights", 2, B)
    fleet.check_ready()
    during = serving(fleet)
    failing.down = False
    clock.now += 10
    watcher.look()

    assert [during, serving(fleet)] == [{"flights": (1, 1, "a")}, {"flights": (2, 2, "b")}]
    assert caplog.text.count("Can't follow flights: The disk is gone.") == 1
