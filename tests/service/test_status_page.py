"""The status page: what it shows, that nothing from outside gets into it as markup, how a browser sees it."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from html.parser import HTMLParser

import httpx
import pytest

from evertrain.api_keys import add_key
from evertrain.journal import Draft, Entry, Fold, Journal
from evertrain.release import decide_rolled_back, open_journal
from serving.fleet import Fleet, Served
from serving.guard import KeyRing
from serving.status.history import History
from serving.status.journal_lines import MOST_ENTRIES, Noted
from serving.status.page import MOST_ROWS, render_page
from serving.status.records import Arm, JournalStatus, ModelStatus, ServiceStatus
from serving.watcher import Watcher

A = "a" * 64
HOSTILE = "\"'><script>alert(1)</script><img src=x>&lt;"
MOST_BYTES = 100_000
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")


class Reader(HTMLParser):
    """Reads a page: its tags in order, and its text in one line."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(page)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        if self.tags[-1:] != ["style"]:
            self.words.append(data)


def text_of(service):
    answer = service.get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    return Reader(answer.text).text


def noted(text=""):
    moment = f"{text}2026-11-27T17:00:01.123456+00:00"
    facts = {"version": text or 3, "generation": 2}
    return Noted(
        Entry(7, "id", "p", "promoted", "flights", moment, text or "ada", text or "why", None, facts, "h"), ""
    )


def status_of(*models, not_ready="", has_siblings=False):
    return ServiceStatus(models, not_ready, "0.1.0", 4711, has_siblings, datetime(2026, 11, 27, tzinfo=UTC))


def model_of(name="flights", generation=2, arms=("stable",), journal=None, bundle=A, runtime="onnx"):
    return ModelStatus(name, generation, [Arm(arm, 50, 3, bundle, runtime) for arm in arms], journal)


def shown(model, clock, **more):
    return Reader(render_page(status_of(model, **more), History(clock).look())).text


@pytest.fixture
def followed(asker, store, shelf):
    """A service, and the watcher that fills it from the store."""
    service = asker()
    return service, Watcher(store, service.fleet, ["flights"], load=shelf)


def test_without_a_model_the_page_says_so(asker):
    """A service that knows no model says in words that none is ready and that nothing was asked."""
    text = text_of(asker())

    assert "No model is ready yet." in text
    assert "generation" not in text


def test_a_model_is_shown_as_its_own_address_tells_it(asker, bundle_of):
    """Arm, weight, version, bundle, runtime and generation are those of /models/{name}."""
    service = asker(bundle_of())
    told = service.get("/models/flights").json()
    (arm,) = told["arms"]

    text = text_of(service)

    assert "Ready: 1 model answers." in text
    assert f"Generation {told['generation']}." in text
    assert f"{arm['arm']} {arm['weight']} % v{arm['version']}" in text
    assert f"{arm['bundle'][:12]} {arm['runtime']}" in text
    assert "No requests yet" in text


def test_two_models_have_an_overview_and_a_section_each(asker, bundle_of):
    """With several models a table names all of them, and each has its own section that the table links to."""
    service = asker(bundle_of(), bundle_of(runtime="native"))

    page = service.get("/").text

    assert "Ready: 2 models answer." in Reader(page).text
    for name in ("flights", "weather"):
        assert (page.count(f'href="#{name}"'), page.count(f'<section id="{name}">')) == (1, 1)
    assert "answers generation requests/s" in Reader(page).text


def test_requests_are_counted_where_they_belong(asker, bundle_of, row):
    """Answers, refusals and requests for no model are each counted under their own words."""
    service = asker(bundle_of(), bundle_of())
    for _ in range(3):
        assert service.post({"instances": [row]}, "/models/flights/invocations").status_code == 200
    assert service.post({"instances": [{}]}, "/models/flights/invocations").status_code == 422
    assert service.post({"instances": [row]}, "/models/nobody/invocations").status_code == 404

    text = text_of(service)

    assert re.search("4 requests so far|4 in all", text)
    assert "1 request in the last half hour found no model" in text
    assert text.count("No requests yet") == 1


def test_the_half_hour_is_drawn_and_told_in_words(clock):
    """Each plot says in words what it draws; a canary has rows and lines of its own beside stable."""
    history = History(clock)
    for second in range(120):
        for arm, code in (("stable", 200), ("canary", 500 if second % 10 == 0 else 200)):
            history.count("flights", arm, code, 0.004)
        clock.now += 1

    page = render_page(status_of(model_of(arms=("stable", "canary"))), history.look())
    text = Reader(page).text

    assert "Requests a second 240 in all" in text
    assert "Errors 12 (5 %)" in text
    assert re.search(
        r'aria-label="Latency in the last half hour: p50 [34]\.\d ms, dashed p95 [34]\.\d ms"', page
    )
    assert [page.count(f'class="line hue{arm}"') for arm in (0, 1, 2)] == [3, 3, 0]
    assert [page.count(f'class="line dashed hue{arm}"') for arm in (0, 1)] == [1, 1]
    assert re.search(r"canary 50 % v3 1\.0 [34]\.\d ms [34]\.\d ms 10 % ", text)


def test_an_arm_that_ended_keeps_its_half_hour(clock):
    """What an arm was asked before it ended stays in the plots; its row says that it answers no longer."""
    history = History(clock)
    history.count("flights", "canary", 200, 0.004)
    clock.now += 30

    assert 'class="dots hue1" d="M317 ' in render_page(status_of(model_of()), history.look())
    text = Reader(render_page(status_of(model_of()), history.look())).text
    clock.now += 1800
    later = Reader(render_page(status_of(model_of()), history.look())).text

    assert re.search(r"canary – – 0\.03 [34]\.\d ms [34]\.\d ms 0 % answers no longer", text)
    assert ("canary" in later, "No requests yet in the last half hour." in later) == (False, True)


def test_callers_who_left_are_told_apart(clock):
    """A request whose caller left before an arm was chosen has a row of its own, and isn't an error."""
    history = History(clock)
    history.count("flights", "", 499, 0.004)

    text = Reader(render_page(status_of(model_of()), history.look())).text

    assert "no arm – – 1.0 – – 0 % callers who left" in text


def test_the_journals_last_entries_are_told_from_memory(followed, store, promote):
    """The ten entries read last stand in the audit's words, newest first; the store isn't asked again."""
    for version in range(1, 7):
        promote(store, "flights", version, A)
    service, watcher = followed
    watcher.look()
    open_journal(store, "flights", "ada").append(decide_rolled_back(reason="wrong carriers"))
    watcher.look()
    shutil.rmtree(store.where)

    page = service.get("/").text
    text = Reader(page).text

    assert "version 6 rolled back to 5, generation 7 wrong carriers ada" in text
    assert page.count("<li>") == MOST_ENTRIES
    assert text.index("version 6 rolled back") < text.index("version 6 promoted, generation 6")
    assert "version 6 registered: bundle aaaaaaaaaaaa…, snapshot" in text
    assert "version 1 promoted" not in text


def test_an_entry_that_changed_nothing_says_so(followed, store, promote):
    """An entry that the journal's rules ignore is shown as ignored, with the reason."""
    promote(store, "flights", 1, A)
    lawless = Journal(store, "flights", fold=Fold(0, lambda state, _: state), actor="ghost")
    lawless.append(lambda _: Draft("promoted", {"version": 9, "generation": 2}))
    service, watcher = followed
    watcher.look()

    text = text_of(service)

    assert "Generation 1." in text
    assert "ignored, it isn't legal: " in text


def test_a_model_without_a_champion_is_told_in_words(followed):
    """A pipeline that is followed and has no champion yet stands on the page, and why it isn't ready."""
    service, watcher = followed
    watcher.look()

    text = text_of(service)

    assert "No model is ready yet. Not loaded yet: flights" in text
    assert "No version is ready yet: none was promoted so far." in text


@pytest.mark.parametrize(
    ("journal", "said"),
    [
        (None, "No journal is followed."),
        (JournalStatus(2, 1.0, ()), "That is what the journal wants."),
        (JournalStatus(3, 1.0, ()), "The journal wants generation 3: it is being loaded, or can't be"),
        (JournalStatus(2, 125.0, ()), "The store hasn't answered for 2 minutes; what is loaded goes on"),
    ],
)
def test_a_generation_that_lags_is_told(journal, said, clock):
    """Whether the served generation is the journal's, and whether the store still answers, is in words."""
    assert said in shown(model_of(journal=journal), clock)


def test_several_workers_are_told(clock):
    """Where workers share a port the page says so; a process alone has no such words."""
    assert "process 4711, one of several workers, whose requests are added up" in shown(
        model_of(), clock, has_siblings=True
    )
    assert "one of several" not in shown(model_of(), clock)


def test_nothing_from_outside_becomes_markup(clock):
    """Names, bundles, actors and reasons full of markup leave the page's tags as they are without."""
    history = History(clock)
    for name, arm in (("flights", "stable"), (HOSTILE, HOSTILE)):
        history.count(name, arm, 200, 0.001)
    clock.now += 60

    def page_of(text):
        name, arm = text or "flights", text or "stable"
        facts = {"bundle": text or A, "runtime": text or "onnx"}
        model = model_of(name, arms=(arm,), journal=JournalStatus(2, 0, [noted(text)]), **facts)
        return Reader(render_page(status_of(model, not_ready=text), history.look()))

    hostile = page_of(HOSTILE)

    assert hostile.tags == page_of("").tags
    assert "script" not in hostile.tags
    assert hostile.text.count(HOSTILE) == 7


def test_the_page_stays_small_whatever_it_holds(clock):
    """Two hundred models and entries of a megabyte stay under 100 kB; what is left out is counted."""
    history = History(clock)
    names = [f"model-{number:03d}" for number in range(200)]
    for _ in range(180):
        for name in names[:20]:
            for arm in ("stable", "canary"):
                history.count(name, arm, 200, 0.001 + clock.now % 7 / 1000)
        clock.now += 10
    entries = [noted("why " * 250_000)] * MOST_ENTRIES
    models = [
        model_of(name, arms=("stable", "canary"), journal=JournalStatus(2, 0, entries)) for name in names
    ]

    page = render_page(status_of(*models), history.look())

    sections = page.count("<section id=")
    assert len(page.encode()) < MOST_BYTES
    assert sections >= 3
    assert f"{200 - sections} more have no room here" in Reader(page).text
    assert (page.count('href="#model-'), page.count('href="/models/')) == (sections, MOST_ROWS - sections)


def test_the_page_may_run_nothing_and_fetch_nothing(asker):
    """Its policy forbids all but its own style sheet, and nobody keeps a copy."""
    headers = asker().get("/").headers

    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert headers["cache-control"] == "no-store"


def test_the_page_needs_a_key_that_reads(bundle_of, serve, tmp_path):
    """Without a key the page is refused, with one for predictions too; a key that reads is shown it."""
    file, fleet = tmp_path / "keys", Fleet()
    fleet.put(Served("flights", 1, 1, bundle_of()))
    keys = {scope: add_key(file, scope, [scope]) for scope in ("read", "predict")}

    with serve(fleet, keys=KeyRing(file)) as address:
        found = [
            httpx.get(address, headers={"x-api-key": key} if key else {}).status_code
            for key in ("", keys["predict"], keys["read"])
        ]

    assert found == [401, 403, 200]


@pytest.mark.e2e
def test_a_browser_shows_it_and_loads_it_again(bundle_of, serve, row):
    """In a real Chromium: light and dark, no sideways scrolling on a phone, no error, news by itself."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("no Chromium is installed")
    from playwright.sync_api import sync_playwright

    fleet, said, asked, backgrounds = Fleet(), [], set(), set()
    fleet.put(Served("flights", 3, 2, bundle_of()))
    with serve(fleet) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        for scheme, width in (("light", 1400), ("dark", 400)):
            page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
            page.on("console", lambda message: said.append(message.text))
            page.on("request", lambda request: asked.add(request.url))
            page.goto(address)
            page.get_by_text("No requests yet").wait_for()
            backgrounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.get_by_text("stable", exact=True).wait_for()
        answer = httpx.post(f"{address}/invocations", json={"instances": [row]})
        page.get_by_text(re.compile("1 request so far|1 in all")).wait_for(timeout=20_000)
        browser.close()

    assert answer.status_code == 200
    assert (len(backgrounds), said) == (2, [])
    assert asked <= {f"{address}/", "data:,"}
