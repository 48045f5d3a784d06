"""Which pipelines are served: those named, or all that are found, and when that is ready."""

from __future__ import annotations

import pytest

from evertrain.errors import BundleRefused, ConfigError, ModelNotReady
from serving.problems import Refusal
from serving.watcher import find_pipelines

A, B = ("a" * 64, "b" * 64)


def served_names(fleet):
    return {each.name for each in fleet.loaded()}


def test_without_names_pipelines_are_found_as_they_come(store, fleet, promote, watch, clock):
    """Every pipeline of the store is served, and one that begins later joins within two seconds."""
    promote(store, "flights", 1, A)
    watcher = watch()
    watcher.look()
    promote(store, "weather", 1, B)
    watcher.look()
    before = served_names(fleet)
    clock.now += 2
    watcher.look()

    assert [{"flights"}, {"flights", "weather"}] == [before, served_names(fleet)]


def test_with_names_only_those_are_served(store, fleet, promote, watch, clock):
    """Pipelines that weren't named are not served, however many there are."""
    promote(store, "flights", 1, A)
    promote(store, "weather", 1, B)
    watcher = watch("weather")
    watcher.look()
    clock.now += 5
    watcher.look()

    assert sorted(served_names(fleet)) == ["weather"]
    with pytest.raises(Refusal, match="weather"):
        fleet.find("flights")


def test_a_broken_model_keeps_the_service_from_becoming_ready(store, fleet, promote, watch, shelf):
    """At the start every champion that is found has to be loaded before the service is ready."""
    promote(store, "flights", 1, A)
    promote(store, "weather", 1, B)
    shelf.broken[B] = BundleRefused("Bad.")
    watch().look()

    assert sorted(served_names(fleet)) == ["flights"]
    with pytest.raises(ModelNotReady, match="weather"):
        fleet.check_ready()


def test_a_broken_newcomer_does_not_unready_the_service(store, fleet, promote, watch, shelf, clock):
    """A pipeline that begins later and can't be served leaves the others ready, and is itself not ready."""
    promote(store, "flights", 1, A)
    watcher = watch()
    watcher.look()
    promote(store, "weather", 1, B)
    shelf.broken[B] = BundleRefused("Bad.")
    clock.now += 2
    watcher.look()

    fleet.check_ready()
    assert fleet.only_lineup().stable.name == "flights"
    with pytest.raises(ModelNotReady, match="weather"):
        fleet.find("weather")


def test_an_empty_store_is_not_ready(store, fleet, watch):
    """With no pipeline at all the service runs and isn't ready."""
    watch().look()

    with pytest.raises(ModelNotReady):
        fleet.check_ready()
    with pytest.raises(ModelNotReady):
        fleet.only_lineup()


def test_what_is_no_pipeline_is_not_found(store, promote):
    """Other files beside the hints are not taken for pipelines."""
    promote(store, "flights", 1, A)
    store.put("heads/.DS_Store", b"x")
    store.put("heads/Notes.txt", b"x")

    assert find_pipelines(store) == ["flights"]


def test_a_name_that_can_be_no_pipeline_is_refused(watch):
    """A name with other characters is a wrong option."""
    with pytest.raises(ConfigError, match=r"\.\./x"):
        watch("../x")
