"""Owns the OpenAPI document and its page; FastAPI makes them, and is loaded for nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cache

from starlette.responses import Response

from serving.openapi import SCORING_ROUTES, describe
from serving.problems import encode_json

TITLE = "evertrain"


def spell_document(looks: Mapping[str, Callable[..., Awaitable[Response]]]) -> bytes:
    """The OpenAPI document in JSON.

    Args:
        looks: What answers GET, by path; its parameters are the path's, its docstring tells what it is.
    """
    from fastapi import FastAPI
    from fastapi.routing import APIRoute

    app = FastAPI(title=TITLE, summary="Answers from the champion's bundle.")
    for path, described in SCORING_ROUTES.items():
        route = APIRoute(
            path,
            _answered_elsewhere,
            methods=["POST"],
            name=described.name,
            response_class=Response,
            responses=described.responses,
            openapi_extra=described.extra,
            description=described.summary,
        )
        app.router.routes.append(route)
    for path, look in looks.items():
        app.add_api_route(path, look, response_class=Response, **describe(path))
    return encode_json(app.openapi())


@cache
def make_page(document: str) -> str:
    """The page for people, who read the *document* at that path in it."""
    from fastapi.openapi.docs import get_swagger_ui_html

    page = get_swagger_ui_html(openapi_url=document, title=f"{TITLE} - Swagger UI")
    return bytes(page.body).decode()


async def _answered_elsewhere() -> None:
    """Stand in the documentation for an endpoint that is no function."""
