"""What the service tells Prometheus."""

from __future__ import annotations

import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from evertrain.errors import StorageUnavailable
from serving.fleet import Fleet, Reading, Served
from serving.metrics import ServiceMetrics
from serving.scoring import Limits


@pytest.fixture
def samples():
    """Every sample of what ``/metrics`` answered, by name and labels."""

    def read(text):
        return {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    return read


def requests(samples, model, code):
    """How many requests were answered so, of all versions and arms; None where there is no such series."""
    found = [
        value
        for (name, *labels), value in samples.items()
        if name == "evertrain_requests_total" and {("model", model), ("code", str(code))} <= set(labels)
    ]
    return sum(found) if found else None


def seconds_counted(samples, model):
    """How many requests to *model* were timed."""
    return sum(
        value
        for (name, *labels), value in samples.items()
        if name == "evertrain_request_seconds_count" and ("model", model) in labels
    )


def test_a_request_is_counted_by_model_and_answer(asker, bundle_of, row, samples):
    """Each scoring request adds one to its model and status, and one to that model's time."""
    service = asker(bundle_of(), bundle_of())
    for _ in range(3):
        assert service.post({"instances": [row]}, "/models/flights/invocations").status_code == 200
    assert service.post(b"{", "/models/flights/invocations").status_code == 400

    answer = service.get("/metrics")

    told = samples(answer.text)
    assert requests(told, "flights", 200) == 3
    assert requests(told, "flights", 400) == 1
    assert seconds_counted(told, "flights") == 4
    assert requests(told, "weather", 200) is None
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")


def test_a_made_up_name_makes_no_new_series(asker, bundle_of, row, samples):
    """Whoever asks for models that aren't there can't fill Prometheus: all count under no model."""
    service = asker(bundle_of())
    for name in ("a", "b", "c"):
        assert service.post({"instances": [row]}, f"/models/{name}/invocations").status_code == 404

    told = samples(service.get("/metrics").text)

    assert requests(told, "", 404) == 3
    assert not [key for key in told if ("model", "a") in key]


def test_a_request_that_is_too_large_is_counted(asker, bundle_of, row, samples):
    """A body that is refused half-way counts as the refusal that the caller saw."""
    service = asker(bundle_of(), limits=Limits(body_bytes=10))

    assert service.post({"instances": [row]}).status_code == 413

    assert requests(samples(service.get("/metrics").text), "flights", 413) == 1


def test_what_is_served_is_told(asker, bundle_of, samples):
    """Readiness, version, bundle and generation are those that answer."""
    told = samples(asker(bundle_of()).get("/metrics").text)

    info = ("bundle", "d" * 64), ("model", "flights"), ("runtime", "onnx"), ("version", "3")
    assert told["evertrain_model_info", *info] == 1
    assert told["evertrain_model_generation", ("model", "flights")] == 2
    assert told["evertrain_ready",] == 1
    assert told["process_resident_memory_bytes",] > 1e6


def test_a_service_without_a_model_says_that_it_is_not_ready(asker, samples):
    """The metrics answer also where nothing else does."""
    assert samples(asker().get("/metrics").text)["evertrain_ready",] == 0


def test_a_champion_that_cannot_be_loaded_shows(store, watch, fleet, shelf, promote, samples):
    """The generation that the journal wants runs ahead of the one that answers."""
    promote(store, "flights", 1, "a" * 64)
    watcher = watch("flights")
    watcher.look()
    promote(store, "flights", 2, "b" * 64)
    shelf.broken["b" * 64] = ValueError("torn")
    watcher.look()

    told = samples(ServiceMetrics(fleet).render().decode())

    assert told["evertrain_model_generation", ("model", "flights")] == 1
    assert told["evertrain_journal_generation", ("model", "flights")] == 2


def test_a_store_that_is_silent_grows_stale(store, watch, fleet, clock, promote, samples, monkeypatch):
    """While the store doesn't answer, the reading ages; the first good answer makes it fresh."""
    clock.now = time.monotonic() - 100
    promote(store, "flights", 1, "a" * 64)
    watcher = watch("flights")
    watcher.look()
    stale = "evertrain_stale_seconds", ("model", "flights")

    def silent(*_):
        raise StorageUnavailable("The store doesn't answer.")

    with monkeypatch.context() as patch:
        patch.setattr(type(store), "get_if_changed", silent)
        clock.now += 50
        watcher.look()
        assert samples(ServiceMetrics(fleet).render().decode())[stale] >= 100

    clock.now = time.monotonic()
    watcher.look()
    assert samples(ServiceMetrics(fleet).render().decode())[stale] < 50


def test_counting_a_request_costs_next_to_nothing(bundle_of):
    """The hot path pays under 50 microseconds a request: against a request's 500, unseen."""
    fleet = Fleet()
    fleet.put(Served("flights", 3, 2, bundle_of()))
    fleet.note_reading("flights", Reading(2, time.monotonic()))
    metrics = ServiceMetrics(fleet)

    began = time.process_time()
    for _ in range(10_000):
        metrics.count("flights", 200, 0.0007)

    assert (time.process_time() - began) / 10_000 < 50e-6
