"""The reports: what of the store is shown, to whom, and what happens where it can't be read."""

from __future__ import annotations

import asyncio
import re
import shutil
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from evertrain.api_keys import add_key
from evertrain.errors import StorageUnavailable
from evertrain.storage import LocalStore
from serving.app import create_app
from serving.fleet import Fleet, Served
from serving.guard import KeyRing
from serving.problems import PROBLEM_TYPE
from serving.reports import MOST_LISTED, MOST_PAGE_BYTES, WAITING, Reports
from tests.service.conftest import Asker

PAGE = b"<!DOCTYPE html><html><head><style>p {color: red}</style></head><body><p>told</p></body></html>"
ODD_NAMES = (
    *("%2e%2e", ".hidden.html", "x.json", "index.json", "3.html.bak", "a%00.html", "a%0a.html", "-.html"),
    *("..%2f..%2fsecret.html", "..%5csecret.html", "%2e%2e%2fsecret.html", "a/b.html", "%C3%A9.html"),
    *("x" * 200, "3.HTML", "index.html%2f", "index.html;x"),
)
SHOWN = ("index.html", "3.html", "drift-1.html", "drift-1-evidently.html")
SECRET = ("reports/flights/index.json", "reports/other/index.html", "reports/secret.html", "secret.html")


@pytest.fixture
def shelf_of_pages(store: LocalStore) -> LocalStore:
    """A store with a pipeline's page, a run's, a check's, and things that are nobody's business."""
    for page in SHOWN:
        store.put(f"reports/flights/{page}", PAGE + page.encode())
    for key in SECRET:
        store.put(key, b"secret")
    return store


def ask(fleet: Fleet, store: LocalStore | None) -> Asker:
    asker = Asker(fleet)
    asker.app = create_app(fleet, store=store)
    return asker


@pytest.fixture
def served(fleet: Fleet, bundle_of, shelf_of_pages: LocalStore) -> Asker:
    fleet.put(Served("flights", 3, 2, bundle_of()))
    fleet.expect("weather")
    return ask(fleet, shelf_of_pages)


def assert_problem(answer: httpx.Response, status: int, slug: str, said: str) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM_TYPE)
    assert answer.json()["type"] == f"urn:evertrain:problem:{slug}"
    assert said in answer.json()["detail"]


def test_the_index_lists_the_models_that_are_served(served: Asker) -> None:
    """Each model leads to its page; those of the store that aren't served stay unnamed."""
    for path in ("/reports", "/"):
        assert served.get(path).status_code == 200
    page = served.get("/reports").text

    assert re.findall(r'href="(/reports/[^"]+)"', page) == ["/reports/flights/", "/reports/weather/"]
    assert 'href="/reports"' in served.get("/").text


def test_without_a_model_the_index_says_so(fleet: Fleet, store: LocalStore) -> None:
    """A service that knows no model has an index that says it in words."""
    assert "No model is known here yet." in ask(fleet, store).get("/reports").text


@pytest.mark.parametrize("page", ["", *SHOWN])
def test_a_page_is_shown_as_it_lies_in_the_store(served: Asker, page: str) -> None:
    """The pipeline's page, a run's, a check's and Evidently's are the store's own bytes, as HTML."""
    answer = served.get(f"/reports/flights/{page}")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.content == PAGE + (page or "index.html").encode()
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


def test_only_evidentlys_page_runs_scripts_and_nobody_may_be_asked(served: Asker) -> None:
    """Our pages run nothing; Evidently's runs as a stranger; neither may fetch or send anything."""
    policies = {
        page: served.get(f"/reports/flights/{page}").headers["content-security-policy"]
        for page in ("index.html", "drift-1-evidently.html")
    }

    for policy in policies.values():
        assert policy.startswith("default-src 'none'; ")
        assert not {"connect-src", "allow-same-origin", "http:", "https:", "*"} & {*re.split("[; ]+", policy)}
    assert "script" not in policies["index.html"]
    assert policies["index.html"].endswith("; sandbox")
    assert policies["drift-1-evidently.html"].endswith("; sandbox allow-scripts")


def test_an_address_without_its_slash_leads_to_the_one_with_it(served: Asker) -> None:
    """The page's links are relative, so that it is shown below its own folder, behind any prefix."""
    answer = served.get("/reports/flights")

    assert (answer.status_code, answer.headers["location"]) == (307, "flights/")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_odd_name_reads_nothing(served: Asker, name: str) -> None:
    """What isn't a page's name is refused, whatever way it is spelled."""
    answer = served.get(f"/reports/flights/{name}")

    assert (answer.status_code, answer.headers["content-type"]) == (404, PROBLEM_TYPE)


@pytest.mark.parametrize(
    "path", ["flights/..", "flights/../secret.html", "../secret.html", "flights/index.json"]
)
def test_a_path_that_leads_out_reads_nothing(served: Asker, path: str) -> None:
    """A client that sends dots as they are, as no browser does, is refused as well."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asked = {"type": "http", "method": "GET", "path": f"/reports/{path}", "query_string": b"", "headers": []}
    asyncio.run(served.app(asked, receive, send))

    assert sent[0]["status"] == 404


@pytest.mark.parametrize("name", ["other", "%2e%2e", "nobody", "flights%2f..%2fother", "FLIGHTS", ""])
@pytest.mark.parametrize("page", ["", "index.html", "secret.html"])
def test_a_model_that_is_not_served_has_no_reports_here(served: Asker, name: str, page: str) -> None:
    """Reports of what isn't served stay unread; what is served is listed."""
    answer = served.get(f"/reports/{name}/{page}")

    assert (answer.status_code, answer.headers["content-type"]) == (404, PROBLEM_TYPE)
    if name == "other":
        assert_problem(answer, 404, "unknown-model", "No model 'other' here; there are flights, weather.")


def test_a_page_that_is_not_there_names_those_that_are(served: Asker, store: LocalStore) -> None:
    """Who asks for an unknown page reads which there are, as many as can be told."""
    told = "flights has no page 4.html; there are 3.html, drift-1-evidently.html, drift-1.html, index.html."
    assert_problem(served.get("/reports/flights/4.html"), 404, "no-report", told)
    none = "weather has no page index.html; there is none yet: the next train or check writes one."
    assert_problem(served.get("/reports/weather/"), 404, "no-report", none)
    for number in range(100, 100 + MOST_LISTED):
        store.put(f"reports/flights/{number}.html", PAGE)

    assert_problem(served.get("/reports/flights/4.html"), 404, "no-report", "139.html and more.")


def test_a_page_beyond_measure_is_not_passed_on(served: Asker, store: LocalStore) -> None:
    """A page that is too large is refused with where it lies; one that just fits is shown."""
    store.put("reports/flights/4.html", b"x" * (MOST_PAGE_BYTES + 1))
    store.put("reports/flights/5.html", b"x" * MOST_PAGE_BYTES)

    assert_problem(served.get("/reports/flights/4.html"), 404, "no-report", "under reports/flights/4.html")
    assert len(served.get("/reports/flights/5.html").content) == MOST_PAGE_BYTES


def test_a_service_without_a_store_has_no_reports(fleet: Fleet, bundle_of) -> None:
    """Where nobody said where the reports are, each page is simply not there."""
    fleet.put(Served("flights", 3, 2, bundle_of()))

    assert_problem(ask(fleet, None).get("/reports/flights/"), 404, "no-report", "there is none yet")


class Down(LocalStore):
    """A store that can't be read."""

    def get(self, key: str) -> bytes | None:
        raise StorageUnavailable(f"{key}: no route to the bucket at 10.1.2.3")


class Silent(LocalStore):
    """A store that answers once it is let."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.answering = threading.Event()

    def get(self, key: str) -> bytes | None:
        assert self.answering.wait(20)
        return super().get(key)


def test_a_store_that_is_down_is_told_with_when_to_come_again(
    fleet: Fleet, bundle_of, tmp_path: Path
) -> None:
    """A store that can't be read is a 503 with Retry-After, and its addresses stay in the log."""
    fleet.put(Served("flights", 3, 2, bundle_of()))

    answer = ask(fleet, Down(tmp_path)).get("/reports/flights/")

    assert_problem(answer, 503, "no-store", "The store can't be read now")
    assert int(answer.headers["retry-after"]) > 0
    assert "10.1.2.3" not in answer.text


def test_a_store_that_is_silent_is_given_up_and_not_asked_without_end(
    fleet: Fleet, bundle_of, tmp_path: Path
) -> None:
    """A read is given up in time; while reads hang, only so many more are let in; then it goes on."""
    fleet.put(Served("flights", 3, 2, bundle_of()))
    store = Silent(tmp_path)
    store.put("reports/flights/index.html", PAGE)
    reports = Reports(fleet, store, store_seconds=0.3)

    async def ask_many() -> list[tuple[int, bytes]]:
        asked = (reports.pipeline("flights") for _ in range(WAITING + 3))
        return [(answer.status_code, bytes(answer.body)) for answer in await asyncio.gather(*asked)]

    answers = asyncio.run(ask_many())
    store.answering.set()

    assert [status for status, _ in answers] == [503] * (WAITING + 3)
    assert sum(b"didn't answer within 0.3 s" in body for _, body in answers) == WAITING
    assert sum(b"are being read already" in body for _, body in answers) == 3
    assert asyncio.run(reports.pipeline("flights")).status_code == 200


def test_reports_need_a_key_that_reads(bundle_of, serve, tmp_path: Path, shelf_of_pages: LocalStore) -> None:
    """Without a key all report addresses are refused, with one for predictions too."""
    file, fleet = tmp_path / "keys", Fleet()
    fleet.put(Served("flights", 1, 1, bundle_of()))
    keys = {scope: add_key(file, scope, [scope]) for scope in ("read", "predict")}

    with serve(fleet, keys=KeyRing(file), store=shelf_of_pages) as address:
        found = {
            path: [
                httpx.get(f"{address}{path}", headers={"x-api-key": key} if key else {}).status_code
                for key in ("", keys["predict"], keys["read"])
            ]
            for path in ("/reports", "/reports/flights", "/reports/flights/", "/reports/flights/3.html")
        }

    assert found == {path: [401, 403, 307 if path == "/reports/flights" else 200] for path in found}


def test_a_refused_method_is_told(served: Asker) -> None:
    """Reports are only looked at: nothing is written through the service."""
    assert served.request("PUT", "/reports/flights/3.html", content=b"x").status_code == 405
    assert served.request("DELETE", "/reports/flights/3.html").status_code == 405


@pytest.mark.e2e
def test_a_browser_shows_the_pages_and_runs_nothing_of_ours(
    bundle_of, serve, shelf_of_pages: LocalStore, tmp_path: Path
) -> None:
    """In a real Chromium: links work, a script that got into our page is dead, nothing is fetched."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium is installed")
    from playwright.sync_api import sync_playwright

    script = b"<script>document.title = 'ran'; fetch('/models/flights').catch(() => 0)</script>"
    link = b'<a href="drift-1-evidently.html">Evidently</a>'
    for page in ("index.html", "drift-1-evidently.html"):
        shelf_of_pages.put(f"reports/flights/{page}", PAGE + link + script)
    fleet, asked = Fleet(), []
    fleet.put(Served("flights", 1, 1, bundle_of()))
    with serve(fleet, store=shelf_of_pages) as address, sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        page = browser.new_page(viewport={"width": 400, "height": 800})
        page.on("request", lambda request: asked.append(request.url.removeprefix(address)))
        page.goto(f"{address}/reports")
        page.get_by_role("link", name="flights").click()
        page.get_by_text("told").wait_for()
        dead = page.title()
        page.get_by_role("link", name="Evidently").click()
        page.wait_for_function("document.title == 'ran'")
        own = page.evaluate("window.origin")
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        browser.close()

    assert (dead, own) == ("", "null")
    assert [each for each in asked if "favicon" not in each and not each.startswith("data:")] == [
        "/reports",
        "/reports/flights/",
        "/reports/flights/drift-1-evidently.html",
    ]
