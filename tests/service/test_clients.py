"""Clients that aren't ours ask a real server: MLflow's, Triton's, and one led by the OpenAPI page."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.e2e
ANSWER = {
    "predictions": ["Yes", "No"],
    "probabilities": [[0.25, 0.75], [0.75, 0.25]],
    "classes": ["No", "Yes"],
}
FRAME = pd.DataFrame(
    {
        "distance": [1400.0, 200.5],
        "carrier": ["UA", None],
        "night flight": [False, True],
        "departs": ["2013-01-31T05:00:00Z", "2013-07-04"],
    }
)


def test_mlflows_scoring_client_is_answered(module_server):
    """What MLflow itself asks a scoring server with: ping, a data frame, a data frame with parameters."""
    with warnings.catch_warnings():
        # MLflow's, about type hints of its own.
        warnings.simplefilter("ignore")
        from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    host, port = module_server.removeprefix("http://").split(":")
    client = ScoringServerClient(host, port)
    client.wait_server_ready(timeout=20)

    assert client.invoke(FRAME) == ANSWER
    assert client.invoke(FRAME, params={"temperature": 0.5}) == ANSWER
    with pytest.raises(Exception, match="422"):
        client.invoke(FRAME.drop(columns="distance"))


@pytest.fixture
def triton(module_server):
    with warnings.catch_warnings():
        # gevent's, about the ssl module, on import.
        warnings.simplefilter("ignore")
        import tritonclient.http as triton

    with triton.InferenceServerClient(module_server.removeprefix("http://")) as client:
        yield triton, client


def inputs_of(triton, binary):
    columns = {
        "distance": ("FP64", FRAME["distance"].to_numpy()),
        "carrier": ("BYTES", np.array(["UA", "AA"], dtype=object)),
        "night flight": ("BOOL", FRAME["night flight"].to_numpy()),
        "departs": ("BYTES", FRAME["departs"].to_numpy()),
    }
    tensors = []
    for name, (datatype, values) in columns.items():
        tensor = triton.InferInput(name, [2, 1], datatype)
        tensor.set_data_from_numpy(values.reshape(2, 1), binary_data=binary)
        tensors.append(tensor)
    return tensors


def test_tritons_client_finds_what_it_looks_for(triton):
    """Liveness, readiness, metadata of server and model, by Triton's own client."""
    _, client = triton

    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("flights")
    assert client.is_model_ready("flights", "1")
    assert not client.is_model_ready("trains")
    assert client.get_server_metadata()["name"] == "evertrain"
    assert [each["name"] for each in client.get_model_metadata("flights")["inputs"]] == list(FRAME)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("packing", [None, "gzip", "deflate"])
def test_tritons_client_is_answered(triton, binary, packing):
    """The same rows as JSON and as bytes, packed or not, give the same tensors."""
    module, client = triton
    outputs = [
        module.InferRequestedOutput(name, binary_data=binary) for name in ("prediction", "probabilities")
    ]
    options = {"outputs": outputs, "request_id": "7", "request_compression_algorithm": packing}
    found = client.infer("flights", inputs_of(module, binary), **options)

    predictions = [each.decode() if binary else each for each in found.as_numpy("prediction")]
    assert predictions == ["Yes", "No"]
    np.testing.assert_array_equal(found.as_numpy("probabilities"), [[0.25, 0.75], [0.75, 0.25]])
    assert found.get_response()["id"] == "7"
    assert found.get_response()["model_version"] == "1"


def test_tritons_client_understands_a_refusal(triton):
    """What is wrong reaches its user in words, with the status."""
    module, client = triton
    tensors = inputs_of(module, True)[:3]

    with pytest.raises(module.InferenceServerException, match="departs") as refused:
        client.infer("flights", tensors)
    assert refused.value.status() == "422"
