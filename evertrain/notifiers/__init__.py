"""Owns the kinds of notifier: who hears of a decision; addresses come from the environment, not the YAML."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from evertrain.notifiers.errors import NotSentError
from evertrain.numbers import VariableName
from evertrain.quiet import quiet

if TYPE_CHECKING:
    from apprise import Apprise

ALL_SECONDS = 20.0
"""How long all notifiers together may hold a run up."""
SLACK = re.compile(r"(https://hooks\.slack(-gov)?\.com/|slack://)", re.IGNORECASE)
MAIL = re.compile(r"mailtos?://", re.IGNORECASE)
CHATTY = ("urllib3", "requests")
logger = logging.getLogger("evertrain.notices")


@dataclass(frozen=True)
class Notice:
    """What one decision says to people (``title``, ``text``) and to programs (``body``, JSON)."""

    title: str
    text: str
    body: Mapping[str, Any]


class Webhook(BaseModel):
    """A JSON POST to the address in the environment variable ``url_env``."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["webhook"]
    url_env: VariableName

    def send(self, notice: Notice, address: str) -> None:
        """Post the notice's body; tried again where the server is busy.

        Raises:
            NotSentError: It wasn't taken.
        """
        from evertrain.notifiers.posts import post_json

        post_json(address, notice.body)


class Slack(BaseModel):
    """A message to the Slack webhook in the environment variable ``url_env``."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["slack"]
    url_env: VariableName

    def send(self, notice: Notice, address: str) -> None:
        """Send title and text, to Slack or to a server that takes what Slack's webhooks take.

        Raises:
            NotSentError: It wasn't taken.
        """
        if SLACK.match(address):
            joined = "&" if "?" in address else "?"
            send_by_apprise(notice, f"{address}{joined}image=no&footer=no")
        else:
            from evertrain.notifiers.posts import post_json

            post_json(address, {"text": f"*{escape_slack(notice.title)}*\n{escape_slack(notice.text)}"})


class Email(BaseModel):
    """A mail through the server whose address stands in the environment variable ``url_env``."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["email"]
    url_env: VariableName

    def send(self, notice: Notice, address: str) -> None:
        """Send a mail by an address such as ``mailtos://user:password@host/?to=team@example.org``.

        Raises:
            NotSentError: It wasn't taken.
        """
        if not MAIL.match(address):
            raise NotSentError(
                "it holds no address such as mailtos://user:password@host/?to=team@example.org"
            )
        send_by_apprise(notice, address)


def send_to_all(
    notifiers: Sequence[Notifier],
    notice: Notice,
    environment: Mapping[str, str],
    within_seconds: float = ALL_SECONDS,
) -> None:
    """Send *notice* by all *notifiers* at once; whoever can't be told is named in a warning, and no more.

    Args:
        notifiers: Who is to hear of it.
        notice: Of what.
        environment: Where the addresses stand.
        within_seconds: After how long to go on without an answer.
    """
    faults: dict[int, str | None] = {}

    def send(number: int, notifier: Notifier) -> None:
        faults[number] = _send(notifier, notice, environment)

    threads = [threading.Thread(target=send, args=numbered, daemon=True) for numbered in enumerate(notifiers)]
    deadline = time.monotonic() + within_seconds
    with quiet(*CHATTY):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
    for number, notifier in enumerate(notifiers):
        fault = faults.get(number, f"there was no answer within {within_seconds:.0f} s")
        if fault is not None:
            logger.warning(
                "No notice of it went out by %s to the address in %s: %s.",
                notifier.type,
                notifier.url_env,
                fault,
            )


def spell_notifiers(notifiers: Sequence[Notifier], environment: Mapping[str, str]) -> tuple[str, ...]:
    """Say by what each notifier tells, and where *environment* lacks its address: runs may have another."""
    return tuple(
        f"{notifier.type}, to the address in {notifier.url_env}"
        + ("" if environment.get(notifier.url_env, "").strip() else " (not set here)")
        for notifier in notifiers
    )


def _send(notifier: Notifier, notice: Notice, environment: Mapping[str, str]) -> str | None:
    """Send by one; gives why it couldn't be, None where it was."""
    address = environment.get(notifier.url_env, "").strip()
    if not address:
        return "the variable isn't set where this run took place"
    try:
        notifier.send(notice, address)
    except NotSentError as cause:
        return str(cause)
    except Exception as cause:
        # Its text may quote the address.
        return f"it failed with {type(cause).__name__}"
    return None


def send_by_apprise(notice: Notice, address: str) -> None:
    """Send title and text by the service that *address*, one of Apprise's, names.

    Raises:
        NotSentError: It wasn't taken.
    """
    sender = _open_apprise(address)
    if not sender.notify(title=notice.title, body=notice.text, body_format="text"):
        raise NotSentError("the server can't be reached, or refused it; try the address by hand")


def _open_apprise(address: str) -> Apprise:
    # It takes a second to import, and few pipelines mail.
    from apprise import Apprise, AppriseAsset

    # What it says of a failure quotes the address.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    sender = Apprise(asset=AppriseAsset(app_id="evertrain", app_desc="evertrain", app_url=""))
    if not sender.add(address):
        raise NotSentError("its address isn't one that can be used")
    return sender


def escape_slack(text: str) -> str:
    """Spell *text* so that Slack takes nothing in it for markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


Notifier = Annotated[Webhook | Slack | Email, Field(discriminator="type")]
