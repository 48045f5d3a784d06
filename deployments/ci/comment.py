"""Owns the one comment that a CI job leaves on a pull or merge request, brought up to date by each run.

Needs Python alone. ``comment.py SUMMARY.md NAME URL``: a run's summary, the pipeline's name, the job's page.
On GitHub it reads GITHUB_API_URL, GITHUB_REPOSITORY, GITHUB_TOKEN, COMMENT_NUMBER (the pull request's) and
COMMENT_AUTHOR; on GitLab CI_API_V4_URL, CI_PROJECT_ID, CI_MERGE_REQUEST_IID and EVERTRAIN_GITLAB_TOKEN (scope
``api``: a job's own token may not write notes). A comment that can't be written is a warning: the run stands.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

MOST_CHARACTERS = 65_536
MOST_PAGES = 30
PAGE_SIZE = 100
TIMEOUT_SECONDS = 20
Json = dict[str, Any]


@dataclass(frozen=True)
class Forge:
    """Where the comments of one request are: all of them, one of them, and whose ours are."""

    comments: str
    one: str
    headers: Mapping[str, str]
    update: str
    author: str


def main(arguments: list[str]) -> int:
    """Write the comment; gives the exit code, which is 0 unless the call itself is wrong."""
    path, name, page = Path(arguments[0]), arguments[1], arguments[2]
    try:
        forge = find_forge(os.environ)
        if forge is None:
            print("Not a pull or merge request, or no token: no comment.")
            return 0
        print(write_comment(forge, marker(name), spell_body(path, name, page)))
    except (OSError, HTTPException, ValueError) as error:
        told = f"HTTP {error.code} {error.reason}" if isinstance(error, HTTPError) else str(error)
        prefix = "::warning::" if os.environ.get("GITHUB_ACTIONS") == "true" else "warning: "
        why = "may the token write comments? A fork's pull request has one that may only read"
        print(f"{prefix}The comment can't be written ({' '.join(told.split())}): {why}.")
    return 0


def find_forge(environment: Mapping[str, str]) -> Forge | None:
    """Find the request that this job is about; none where there is none, or no token to comment with."""
    number, token = environment.get("COMMENT_NUMBER"), environment.get("GITHUB_TOKEN")
    if number and token:
        root = f"{environment['GITHUB_API_URL']}/repos/{environment['GITHUB_REPOSITORY']}/issues"
        headers = {"authorization": f"Bearer {token}", "accept": "application/vnd.github+json"}
        author = environment.get("COMMENT_AUTHOR") or "github-actions[bot]"
        return Forge(f"{root}/{int(number)}/comments", f"{root}/comments", headers, "PATCH", author)
    number, token = environment.get("CI_MERGE_REQUEST_IID"), environment.get("EVERTRAIN_GITLAB_TOKEN")
    if number and token:
        api, project = environment["CI_API_V4_URL"], quote(environment["CI_PROJECT_ID"], safe="")
        notes = f"{api}/projects/{project}/merge_requests/{int(number)}/notes"
        headers = {"private-token": token}
        author = call("GET", f"{api}/user", headers)["username"]
        return Forge(notes, notes, headers, "PUT", author)
    return None


def marker(name: str) -> str:
    """Spell the line, hidden when rendered, by which a later run finds its comment."""
    return f"<!-- evertrain retrain {quote(name, safe='')} -->"


def spell_body(path: Path, name: str, page: str) -> str:
    """Spell the comment: marker, summary, the job's page; at most 65,536 characters."""
    head = f"{marker(name)}\n"
    tail = f"\n\n[The job]({page})\n"
    if path.is_file():
        # A value of the data may look like a mention: nobody is to be called by one.
        text = re.sub(r"@(?=\w)", "@\u200b", path.read_text("utf-8").strip())
    else:
        text = f"## {name}: failed\n\nThe job ended before evertrain could train."
    room = MOST_CHARACTERS - len(head) - len(tail)
    cut = "\n\n… cut here, the whole is in the job's summary."
    if len(text) > room:
        text = text[: room - len(cut)].rpartition("\n")[0] + cut
    return f"{head}{text}{tail}"


def write_comment(forge: Forge, mark: str, body: str) -> str:
    """Bring our comment up to date, or write the first; says what was done."""
    for comment in list_comments(forge):
        if comment["body"].startswith(mark) and author_of(comment) == forge.author:
            call(forge.update, f"{forge.one}/{comment['id']}", forge.headers, {"body": body})
            return f"Comment {comment['id']} is up to date."
    return f"Comment {call('POST', forge.comments, forge.headers, {'body': body})['id']} is written."


def list_comments(forge: Forge) -> Iterator[Json]:
    """Give the request's comments, page by page."""
    for number in range(1, MOST_PAGES + 1):
        page = call("GET", f"{forge.comments}?per_page={PAGE_SIZE}&page={number}", forge.headers)
        yield from page
        if len(page) < PAGE_SIZE:
            return


def author_of(comment: Json) -> str | None:
    """Say who wrote a comment, as GitHub (``user.login``) or GitLab (``author.username``) tells it."""
    who = comment.get("user") or comment.get("author") or {}
    return who.get("login") or who.get("username")


def call(method: str, url: str, headers: Mapping[str, str], sent: Json | None = None) -> Any:
    """Call the forge's API and read its JSON."""
    if not url.startswith(("https://", "http://")):
        raise ValueError("the API's address is not one of HTTP")
    data = None if sent is None else json.dumps(sent).encode()
    request = Request(url, data, {**headers, "content-type": "application/json"}, method=method)  # noqa: S310
    with urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - the scheme is looked at above
        return json.load(answer)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
