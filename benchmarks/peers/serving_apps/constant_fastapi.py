"""The floor of a FastAPI service: an endpoint that parses the JSON and answers a constant."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request

app = FastAPI()


@app.post("/invocations")
async def predict(request: Request) -> dict[str, Any]:
    """Answer any rows."""
    await request.json()
    return {"predictions": [False], "probabilities": [[0.75, 0.25]], "classes": [False, True]}
