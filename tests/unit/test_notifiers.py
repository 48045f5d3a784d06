from __future__ import annotations

import base64
import json
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from email import message_from_bytes
from email.policy import default as modern
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import TypeAdapter

from evertrain.notifiers import Notice, Notifier, posts, send_to_all, spell_notifiers

NOTICE = Notice(
    title="flights: version 7 promoted",
    text="roc_auc 0.71 <b> & more\nNext: evertrain audit show flights",
    body={"event": "evertrain.train.promoted", "pipeline": "flights"},
)
SECRET = "s3cr3tt0ken"
SLACK = f"https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/{SECRET}LazkcOXrIdevi7"


class Sink(ThreadingHTTPServer):
    """A real HTTP server that keeps what it was sent, and answers with the codes it was given, then 200."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Take)
        self.got: list[dict[str, Any]] = []
        self.codes: list[int] = []
        self.silent = threading.Event()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Take(BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append({"path": self.path, "headers": self.headers, "body": json.loads(body)})
        code = self.server.codes.pop(0) if self.server.codes else 200
        if code == 0:
            self.server.silent.wait(30)
            return
        self.send_response(code)
        if code == 302:
            self.send_header("Location", f"http://{self.server.place}/elsewhere")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posts, "PAUSES_SECONDS", (0.01, 0.01))


@pytest.fixture
def sink() -> Iterator[Sink]:
    server = Sink()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.silent.set()
    server.shutdown()
    server.server_close()
    thread.join()


class MailServer(threading.Thread):
    """A real, small SMTP server: takes one mail, from whoever logs in, and keeps it."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.mail = b""
        self.login = b""

    def run(self) -> None:
        with self.listener:
            connection, _ = self.listener.accept()
        with connection, connection.makefile("rwb", buffering=0) as line:
            line.write(b"220 mail ready\r\n")
            while command := line.readline():
                self.answer(command, line)

    def answer(self, command: bytes, line: Any) -> None:
        verb = command[:4].upper()
        if verb == b"EHLO":
            line.write(b"250-mail\r\n250 AUTH PLAIN\r\n")
        elif verb == b"AUTH":
            self.login = base64.b64decode(command.split()[-1])
            line.write(b"235 welcome\r\n")
        elif verb == b"DATA":
            line.write(b"354 go on\r\n")
            while (text := line.readline()) != b".\r\n":
                self.mail += text
            line.write(b"250 taken\r\n")
        else:
            line.write(b"250 ok\r\n")


def notifier(kind: str, variable: str = "TEAM") -> Notifier:
    made: Notifier = TypeAdapter(Notifier).validate_python({"type": kind, "url_env": variable})
    return made


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port: int = probe.getsockname()[1]
        return port


def test_a_webhook_gets_the_body_as_json(sink: Sink, caplog: pytest.LogCaptureFixture) -> None:
    """The address's path, query and login are used; the body is a plain JSON object."""
    address = f"http://ann:pa%40ss@{sink.place}/hook?room=1"

    send_to_all([notifier("webhook")], NOTICE, {"TEAM": address})

    (got,) = sink.got
    assert (got["path"], got["body"]) == ("/hook?room=1", NOTICE.body)
    assert got["headers"]["content-type"] == "application/json"
    assert base64.b64decode(got["headers"]["authorization"].split()[1]) == b"ann:pa@ss"
    assert caplog.text == ""


def test_a_busy_server_is_asked_again(sink: Sink, caplog: pytest.LogCaptureFixture) -> None:
    """503 and 429 are tried again; what then succeeds is told of nowhere."""
    sink.codes = [503, 429]

    send_to_all([notifier("webhook")], NOTICE, {"TEAM": f"http://{sink.place}"})

    assert [got["body"] for got in sink.got] == [NOTICE.body] * 3
    assert caplog.text == ""


@pytest.mark.parametrize(("code", "tries"), [(404, 1), (302, 1), (500, 3)])
def test_a_refusal_is_told_by_its_code(
    code: int, tries: int, sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    """A server's no, and a redirect, are final; one that stays broken is given up after three tries."""
    sink.codes = [code] * 3

    send_to_all([notifier("webhook")], NOTICE, {"TEAM": f"http://{sink.place}/{SECRET}"})

    assert len(sink.got) == tries
    assert warnings(caplog) == [f"by webhook to the address in TEAM: the server answered HTTP {code}."]
    assert SECRET not in caplog.text


@pytest.mark.parametrize("kind", ["webhook", "slack", "email"])
@pytest.mark.parametrize(
    "address",
    [
        "",
        f"ftp://ann:{SECRET}@127.0.0.1/x",
        f"http://[{SECRET}",
        f"mailtos://{SECRET}",
        f"http://ann:{SECRET}@127.0.0.1:{{port}}/{SECRET}",
        f"http://ann:{SECRET}@no-such-host.invalid/{SECRET}?key={SECRET}",
        f"http://127.0.0.1:{{port}}/{SECRET}\r\nx: {SECRET}",
        f"mailto://ann:{SECRET}@127.0.0.1:{{port}}/?to=ann@example.org",
        f"slack://{SECRET}",
        f"just {SECRET}",
    ],
)
def test_what_cannot_be_told_is_one_warning(
    kind: str, address: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """An unset or odd address, and one where nobody listens: a warning with the variable, never a secret."""
    caplog.set_level(logging.DEBUG)

    send_to_all([notifier(kind)], NOTICE, {"TEAM": address.format(port=free_port())})

    (warning,) = warnings(caplog)
    assert warning.startswith(f"by {kind} to the address in TEAM: ")
    assert SECRET not in caplog.text + "".join(capfd.readouterr())


def test_a_server_that_says_nothing_is_not_waited_for(sink: Sink, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever answers is told, the silent one is given up after the time that all have together."""
    sink.codes = [0]
    environment = {"SILENT": f"http://{sink.place}/silent", "TEAM": f"http://{sink.place}/team"}
    silent = threading.Thread(
        target=send_to_all, args=([notifier("webhook", "SILENT")], NOTICE, environment, 0.5)
    )

    silent.start()
    silent.join(10)
    send_to_all([notifier("webhook")], NOTICE, environment)

    assert not silent.is_alive()
    assert warnings(caplog) == ["by webhook to the address in SILENT: there was no answer within 0 s."]
    assert [got["path"] for got in sink.got] == ["/silent", "/team"]


def test_slack_is_told_by_its_own_webhook(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address as Slack gives it goes to its three tokens' path, with title and text."""
    from apprise.plugins.slack import NotifySlack

    monkeypatch.setattr(NotifySlack, "webhook_url", f"http://{sink.place}/services")

    send_to_all([notifier("slack")], NOTICE, {"TEAM": SLACK})

    (got,) = sink.got
    assert got["path"] == SLACK.removeprefix("https://hooks.slack.com")
    said = json.dumps(got["body"])
    assert NOTICE.title in said
    assert "Next: evertrain audit show flights" in said
    assert "&lt;b&gt; &amp; more" in said
    assert "apprise" not in said.lower()


def test_a_server_like_slack_is_told_by_its_address(sink: Sink) -> None:
    """Elsewhere than at Slack, the same kind of message goes to the address as it stands."""
    send_to_all([notifier("slack")], NOTICE, {"TEAM": f"http://{sink.place}/hooks/abc"})

    (got,) = sink.got
    assert got["path"] == "/hooks/abc"
    assert got["body"]["text"].startswith("*flights: version 7 promoted*\nroc_auc 0.71 &lt;b&gt; &amp; more")


def test_a_mail_is_sent_by_a_real_server() -> None:
    """The server in the address gets the login, and a mail with title and text for whom the address names."""
    server = MailServer()
    server.start()
    address = f"mailto://ann:{SECRET}@127.0.0.1:{server.port}/?to=team@example.org&from=evertrain@example.org"

    send_to_all([notifier("email")], NOTICE, {"TEAM": address})

    server.join(10)
    mail = message_from_bytes(server.mail, policy=modern)
    assert server.login == f"\0ann\0{SECRET}".encode()
    assert (mail["subject"], mail["to"]) == (NOTICE.title, "team@example.org")
    said = "".join(part.get_content() for part in mail.walk() if part.get_content_maintype() == "text")
    assert "Next: evertrain audit show flights" in said
    assert "apprise" not in str(mail["from"]).lower()


def test_check_says_where_an_address_is_missing() -> None:
    """A plan names the variables, never what they hold, and those that aren't set where it is made."""
    told = spell_notifiers([notifier("webhook", "A"), notifier("email", "B")], {"A": SECRET, "B": " "})

    assert told == ("webhook, to the address in A", "email, to the address in B (not set here)")


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was warned of, after its common beginning."""
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    return [text.removeprefix("No notice of it went out ") for text in told]
