"""Owns what the service shows of the store's reports: a pipeline's page, and those of its runs and checks."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from html import escape
from itertools import islice
from threading import Lock
from typing import TypeVar

from starlette.responses import HTMLResponse, RedirectResponse, Response

from evertrain.errors import StorageError
from evertrain.storage import Store
from serving.fleet import Fleet
from serving.problems import NO_REPORT, NO_STORE, OVERLOADED, UNKNOWN_MODEL, Refusal
from serving.status.style import HEADERS as INDEX_HEADERS
from serving.status.style import STYLE

T = TypeVar("T")

STORE_SECONDS = 10.0
RETRY_AFTER_SECONDS = 5
MOST_PAGE_BYTES = 16 << 20
MOST_LISTED = 40
AT_A_TIME, WAITING = 2, 8
INDEX = "index.html"
_PAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}\.html")
_EVIDENTLY = "-evidently.html"
_SAFE = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
_NOWHERE = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_OWN = {**_SAFE, "content-security-policy": f"{_NOWHERE}; style-src 'unsafe-inline'; img-src data:; sandbox"}
"""Our pages bear their style and run nothing: what somebody else put into the store stays dead, too."""
_SCRIPTED = {
    **_SAFE,
    "content-security-policy": f"{_NOWHERE}; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; sandbox allow-scripts",
}
"""Evidently's page is a program: it runs as a stranger, who may talk to nobody, this service included."""
_log = logging.getLogger(__name__)


class Reports:
    """Answers for what lies under ``reports/`` of the store; nothing but pages of served models is read.

    Reading is done in threads of its own, so that a store that is slow takes none from those who score.

    Args:
        fleet: The models by name: their reports are shown.
        store: Where the reports are; None: nowhere.
        store_seconds: How long a read may take.
    """

    def __init__(self, fleet: Fleet, store: Store | None, store_seconds: float = STORE_SECONDS) -> None:
        self._fleet = fleet
        self._store = store
        self._seconds = store_seconds
        self._threads = ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="evertrain-reports")
        self._under_way, self._counting = 0, Lock()

    async def index(self) -> Response:
        """The models that are served, each with a link to its page; the store isn't asked."""
        return HTMLResponse(_spell_index(list(self._fleet.known())), headers=INDEX_HEADERS)

    async def pipeline(self, name: str) -> Response:
        """A model's champion, lineage, trends and decisions, as the last train or check wrote them."""
        return await self.page(name, INDEX)

    async def to_pipeline(self, name: str) -> Response:
        """Leads to the address with a slash at its end, which the page's links start from."""
        try:
            self._check_name(name)
        except Refusal as refusal:
            return refusal.response()
        return RedirectResponse(f"{name}/", headers=_SAFE)

    async def page(self, name: str, page: str) -> Response:
        """The page of a run (``3.html``), of a drift check, or Evidently's of one."""
        try:
            self._check_name(name)
            if not _PAGE.fullmatch(page):
                told = f"{page[:120]!r} is no page's name; /reports/{name}/ links to those there are."
                raise Refusal(NO_REPORT, told)
            body = await self._ask(partial(self._read, name, page))
        except Refusal as refusal:
            return refusal.response()
        return HTMLResponse(body, headers=_SCRIPTED if page.endswith(_EVIDENTLY) else _OWN)

    def _check_name(self, name: str) -> None:
        known = self._fleet.known()
        if name not in known:
            there = f"are {', '.join(known)}" if known else "is none yet"
            raise Refusal(UNKNOWN_MODEL, f"No model {name[:80]!r} here; there {there}.", field="name")

    async def _ask(self, read: Callable[[], T]) -> T:
        """Have *read* done in time, in a thread.

        Raises:
            Refusal: Too many wait already, the store doesn't answer, or what *read* refuses.
        """
        retry = {"retry-after": str(RETRY_AFTER_SECONDS)}
        if self._under_way >= WAITING:
            told = f"{self._under_way} reports are being read already; try again shortly."
            raise Refusal(OVERLOADED, told, headers=retry)
        self._count(1)
        reading = self._threads.submit(read)
        # One that is given up may still hold its thread: it counts until it ends.
        reading.add_done_callback(lambda _: self._count(-1))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(reading), self._seconds)
        except TimeoutError:
            told = f"The store didn't answer within {self._seconds:g} s; try again shortly."
            raise Refusal(NO_STORE, told, headers=retry) from None
        except StorageError as error:
            _log.warning("A report couldn't be read: %s", error)
            told = "The store can't be read now; try again shortly. The service's log says why."
            raise Refusal(NO_STORE, told, headers=retry) from error

    def _count(self, more: int) -> None:
        with self._counting:
            self._under_way += more

    def _read(self, name: str, page: str) -> bytes:
        body = self._store.get(f"reports/{name}/{page}") if self._store else None
        if body is None:
            raise Refusal(NO_REPORT, f"{name} has no page {page}; {self._list_pages(name)}.")
        if len(body) > MOST_PAGE_BYTES:
            raise Refusal(
                NO_REPORT,
                f"{page} has {len(body):,} bytes, more than the {MOST_PAGE_BYTES:,} that are shown here; "
                f"read it in the store, under reports/{name}/{page}.",
            )
        return body

    def _list_pages(self, name: str) -> str:
        """Name some of the pages that there are."""
        prefix = f"reports/{name}/"
        keys = self._store.list(prefix) if self._store else iter(())
        pages = (key.removeprefix(prefix) for key in keys)
        found = list(islice((each for each in pages if _PAGE.fullmatch(each)), MOST_LISTED + 1))
        if not found:
            return "there is none yet: the next train or check writes one"
        more = " and more" if len(found) > MOST_LISTED else ""
        return f"there are {', '.join(found[:MOST_LISTED])}{more}"


def _spell_index(names: list[str]) -> str:
    rows = "".join(
        f'<tr><td class="name"><a href="/reports/{escape(each)}/">{escape(each)}</a></td></tr>\n'
        for each in names
    )
    whole = "Champion, lineage, trends and decisions of each pipeline."
    told = whole if rows else "No model is known here yet."
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>evertrain: reports</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><style>{STYLE}</style></head>\n<body>\n<h1>Reports</h1>\n'
        f'<p class="soft">{told}</p>\n<table>{rows}</table>\n'
        '<footer><a href="/">How the service fares</a></footer>\n</body></html>\n'
    )
