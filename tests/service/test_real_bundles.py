"""The service with bundles as they lie in the store: ONNX, digests and golden rows."""

from __future__ import annotations

import pytest

from evertrain.errors import BundleRefused
from serving.fleet import Fleet
from serving.follower import load_verified
from serving.watcher import Watcher

ROW = {"distance": 7, "carrier": None, "night flight": None, "departs": None}


def test_an_onnx_bundle_answers_by_http(store, constant_bundle, promote, asker, row):
    """From the store to an answer: a bundle in ONNX, loaded by its promotion, answers a request."""
    promote(store, "flights", 1, constant_bundle(store, 0.75))
    service = asker()
    Watcher(store, service.fleet).look()

    answer = service.post({"instances": [row, ROW]})

    assert answer.json() == {
        "predictions": ["Yes", "Yes"],
        "probabilities": [[0.25, 0.75], [0.25, 0.75]],
        "classes": ["No", "Yes"],
    }


def test_a_changed_byte_is_not_served(store, constant_bundle):
    """A model file that was changed after it was written is refused."""
    digest = constant_bundle(store, 0.75)
    key = f"bundles/{digest}/model.onnx"
    data = store.get(key)
    store.put(key, data[:-1] + bytes([data[-1] ^ 1]))

    with pytest.raises(BundleRefused, match=r"model\.onnx"):
        load_verified(store, digest)


def test_a_model_that_answers_otherwise_than_when_it_was_made_is_not_served(store, constant_bundle):
    """Golden rows that don't come out are a refusal."""
    with pytest.raises(BundleRefused, match="golden"):
        load_verified(store, constant_bundle(store, 0.75, golden_late=0.9))


def test_a_champion_whose_bundle_is_bad_is_not_swapped_in(store, constant_bundle, promote):
    """A promoted bundle that fails its golden rows leaves the one before it serving."""
    fleet = Fleet()
    watcher = Watcher(store, fleet, ["flights"])
    promote(store, "flights", 1, constant_bundle(store, 0.25))
    watcher.look()
    promote(store, "flights", 2, constant_bundle(store, 0.75, golden_late=0.9))
    watcher.look()

    assert fleet.find("flights").version == 1
