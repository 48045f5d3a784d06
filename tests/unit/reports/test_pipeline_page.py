"""A pipeline's page: told from a real journal in a local store, bounded and escaped."""

from __future__ import annotations

import re
import time
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

from evertrain.release import (
    ReleaseJournal,
    open_journal,
)
from evertrain.release.rollouts import (
    decide_awaiting_approval,
)
from evertrain.reports.pipeline_reading import read_story
from evertrain.reports.pipeline_report import render_pipeline, summarise_pipeline
from evertrain.reports.pipeline_story import MOST_CHECKS, MOST_VERSIONS, PipelineStory
from evertrain.storage import LocalStore
from tests.unit.reports.pipeline_life import (
    CONFIG,
    check,
    long_life,
    name_page,
    outcome,
    promote,
    register,
    retrain,
    write_chain,
)

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"
MOST_BYTES = 1_000_000


class Reader(HTMLParser):
    """Collects a page's tags, addresses and text, and sees that every element is closed."""

    VOID = frozenset({"meta", "br", "path", "rect", "line", "polyline"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str | None] = []
        self.words: list[str] = []
        self.feed(page)
        assert self.open == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("href", "src")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag in self.VOID or self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)


def page_of(story: PipelineStory) -> Reader:
    return Reader(render_pipeline(CONFIG, story))


def test_an_empty_journal_is_told_in_words(journal: ReleaseJournal) -> None:
    """Without a version and a check the page says so, draws nothing and breaks nowhere."""
    story = read_story(journal, outcome)

    page = page_of(story)

    assert "There is no champion yet." in page.text
    assert "No version was registered yet." in page.text
    assert page.text.count("No drift check yet") == 3
    assert "svg" not in page.tags


def test_a_life_is_told_whole(lived: ReleaseJournal) -> None:
    """Champion, lineage, trends, decisions and counts are those of the journal and of run outcomes."""
    (lived.store).put(f"reports/flights/{name_page(23).replace('.html', '-evidently.html')}", b"drawn")

    page = page_of(read_story(lived, outcome))

    # 2, 4 … 12 were promoted; then 12 was left for 10.
    assert "Version 10 is the champion since 2026-0" in page.text
    assert "It was returned to: wrong carriers" in page.text
    assert "A rollout is under way: version 15 answers 5 % of requests (canary, paused: no data)" in page.text
    assert "15 versions, 7 promotions, 1 rollback, 24 checks (12 drifted), 12 retrains" in page.text
    assert page.tags.count("svg") == 5
    for told in (
        "retrained: v12 promoted",
        "retrained: v13 held",
        "nothing: cooling down",
        "nothing: not confirmed yet",
        "nothing: a retrain runs already",
        "drifted (regret) 25% of columns drifted: carrier; roc_auc 0.64, 0.66 held out: fell by too much; "
        "the model's answers drifted; carrier: 9.0% of the rows have no value, 0.0% had none; "
        "a probe gains +0.0200 (+0.0100 to +0.0300 at 99.8 %), not counted as a look; "
        "5,000 labels are newer than what was learnt from; 6,023 rows",
        "v14 rollout ended",
        "v12 rolled back",
        "v13: 80,013 rows, 7 without a label, 3 quarantined",
    ):
        assert told in page.text, told
    assert {"13.html", name_page(23), name_page(23).replace(".html", "-evidently.html")} <= {*page.addresses}
    assert "12.html" not in page.addresses
    assert name_page(22).replace(".html", "-evidently.html") not in page.addresses


def test_the_trends_show_limits_and_changes_of_champion(journal: ReleaseJournal) -> None:
    """Each trend has a dot a check, its limit dashed, a mark where another champion was looked at."""
    promote(journal, 1)
    check(journal, 0)
    retrain(journal, 7, 2, promoted=True)
    check(journal, 14)

    html = render_pipeline(CONFIG, read_story(journal, outcome))
    drift, metric, regret = re.findall(r"<figure>.*?</figure>", html, re.DOTALL)[:3]

    for picture in (drift, metric, regret):
        assert picture.count("<circle") == 3
        assert picture.count('stroke-dasharray="5 3"') == 1
        assert re.findall(r'text-anchor="middle">(v\d)<', picture) == ["v2"]
    assert [each.count('fill="var(--hue1)"') for each in (drift, metric, regret)] == [0, 3, 3]
    assert "2013-04-08, champion v1: gain +0.0200 (+0.0100 to +0.0300 at 99.8 %)" in unescape(regret)
    assert "dashed: the 30% that may" in drift
    assert "dashed: 0.66 on its own held-out rows" in metric


def test_evidence_that_is_spelled_otherwise_is_left_out(journal: ReleaseJournal) -> None:
    """What a check didn't measure, or measured in a way that isn't known here, simply doesn't show."""
    promote(journal, 1)
    odd = {"share": None, "regret": {"gain": "much"}, "performance": [1], "rows": 7, "drifted": "all"}
    for day, measured in enumerate(({}, odd, {"share": True, "report": "/x/../etc/passwd"})):
        check(journal, day, measured=measured)
    check(journal, 3, decision="too_little_data", measured={})

    page = page_of(read_story(journal, outcome))

    assert page.text.count("steady nothing why of day") == 3
    assert "too little data" in page.text
    assert page.tags.count("svg") == 2
    assert [address for address in page.addresses if address != "1.html"] == []


def test_without_a_measured_performance_the_probes_champion_is_shown(journal: ReleaseJournal) -> None:
    """Where regret alone is asked for, the champion's metric beside the probe's is the trend."""
    promote(journal, 1)
    probe = {"metric": "roc_auc", "champion": 0.61, "gain": 0.0, "low": -0.1, "high": 0.1}
    check(journal, 0, measured={"champion": 1, "performance": None, "regret": probe})

    text = page_of(read_story(journal, outcome)).text

    assert "The champion's roc_auc on new labels last 0.61; dashed: 0.701 on its own held-out rows" in text


def test_nothing_from_outside_becomes_markup(journal: ReleaseJournal) -> None:
    """Reasons, columns and metrics full of markup leave the page's tags as they are without."""
    promote(journal, 1, HOSTILE)
    check(journal, 0, text=HOSTILE, triggers=(HOSTILE,), decision=HOSTILE)
    config = CONFIG.model_copy(update={"description": HOSTILE})
    hostile = Reader(render_pipeline(config, read_story(journal, outcome)))
    plain_journal = open_journal(LocalStore(Path(journal.store.where) / "other"), "flights", "me")
    promote(plain_journal, 1)
    check(plain_journal, 0, triggers=("data",))

    plain = Reader(render_pipeline(config, read_story(plain_journal, outcome)))

    assert hostile.tags == plain.tags
    assert hostile.text.count(HOSTILE) >= 7


def test_what_an_actor_wrote_stays_text_in_markdown(journal: ReleaseJournal) -> None:
    """The look in Prefect escapes links and images that a reason holds, and links to a known service."""
    promote(journal, 1, "![x](http://far.example/x.png)\n# heading")
    story = read_story(journal, outcome)

    told = summarise_pipeline(story, "/store/reports/flights/index.html", "http://127.0.0.1:8080")

    assert r"- It was promoted: \!\[x\](http://far.example/x.png) \# heading" in told.splitlines()
    assert "[The whole page](http://127.0.0.1:8080/reports/flights/); it lies at" in told
    assert "shows the whole page at `/reports/flights/`" in summarise_pipeline(story, "s", None)


def test_a_version_that_awaits_approval_is_named(journal: ReleaseJournal) -> None:
    """Who looks at the page sees what waits for a person, and which command ends that."""
    promote(journal, 1)
    register(journal, 2)
    waits = decide_awaiting_approval(version=2, run_key="run-2", release={}, judged_generation=1)
    journal.append(waits)

    assert (
        "Version 2 awaits approval: evertrain approve flights 2" in page_of(read_story(journal, outcome)).text
    )


def test_a_thousand_checks_stay_small_and_quick(store: LocalStore, journal: ReleaseJournal) -> None:
    """1,000 checks and 150 versions with long words: a page under 1 MB; the next one takes under 1 s."""
    write_chain(store, long_life())
    first = render_pipeline(CONFIG, read_story(journal, outcome))
    check(journal, 1_001)
    began = time.perf_counter()
    story = read_story(open_journal(store, "flights", "me"), outcome)
    page = render_pipeline(CONFIG, story)
    seconds = time.perf_counter() - began

    assert (len(story.checks), len(story.versions)) == (MOST_CHECKS, MOST_VERSIONS)
    assert max(len(first.encode()), len(page.encode())) < MOST_BYTES
    assert seconds < 1.0
    text = Reader(page).text
    assert "the newest 200 of 1,001" in text
    assert "and 292 more" in text
    assert "… and 951 older." in text
