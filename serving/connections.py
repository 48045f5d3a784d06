"""Owns what one connection may hold up: how long a request may take to arrive, how many may be open."""

from __future__ import annotations

import asyncio
import resource
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.problems import BAD_REQUEST, HEADERS_TOO_LARGE, OVERLOADED, PROBLEM_TYPE, TOO_SLOW, Refusal

# Kept for files, the store's connections, the journal.
OTHER_DESCRIPTORS = 100


@dataclass(frozen=True)
class Patience:
    """How long a client may take, and how many may be connected.

    Attributes:
        headers_seconds: From a connection's opening, or a request's first byte, to its last header.
        headers_bytes: What the headers may hold.
        body_seconds: From the last header to the end of the body.
        connections: How many may be open in one process.
    """

    headers_seconds: float = 10.0
    headers_bytes: int = 64 << 10
    body_seconds: float = 30.0
    connections: int = 1024


def fitted_patience() -> Patience:
    """The default, with no more connections than this process may open files."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Patience(connections=max(1, min(Patience.connections, files - OTHER_DESCRIPTORS)))


class PatientProtocol(HttpToolsProtocol):
    """One connection of uvicorn's, closed with a 408 where the client takes longer than its patience."""

    patience = Patience()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request, or turn away what is one too many."""
        super().connection_made(transport)
        self._reading_headers = False
        self._header_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None
        if len(self.connections) > self.patience.connections:
            told = f"More than {self.patience.connections} connections are open; try again shortly."
            self._answer_and_close(Refusal(OVERLOADED, told, headers={"retry-after": "1"}))
            return
        self._set_deadline(self.patience.headers_seconds, self._close_silent)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._unset_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, and begin to wait for what is still missing."""
        if self.transport.is_closing():
            return
        if self._reading_headers:
            self._header_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._reading_headers:
            # Only of headers that come in several pieces: most requests are one.
            self._header_bytes = self._header_bytes or len(data)
            if self._header_bytes > self.patience.headers_bytes:
                told = f"The headers are over {self.patience.headers_bytes} bytes."
                self._answer_and_close(Refusal(HEADERS_TOO_LARGE, told))
            elif self._deadline is None:
                self._set_deadline(self.patience.headers_seconds, self._close_late)
        elif self._deadline is None and self._awaits_body():
            self._set_deadline(self.patience.body_seconds, self._close_late)

    def on_message_begin(self) -> None:
        """Count the bytes of the headers from here."""
        super().on_message_begin()
        self._reading_headers = True
        self._header_bytes = 0

    def on_headers_complete(self) -> None:
        """Wait for the body next."""
        self._reading_headers = False
        self._unset_deadline()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Wait for nothing but the answer."""
        self._unset_deadline()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, or may be read in two ways, as everything else is refused."""
        self._answer_and_close(Refusal(BAD_REQUEST, f"{msg} Nothing after it on this connection is read."))

    def _awaits_body(self) -> bool:
        return self.cycle is not None and self.cycle.more_body and not self.cycle.response_complete

    def _set_deadline(self, seconds: float, late: Any) -> None:
        self._deadline = self.loop.call_later(seconds, late)

    def _unset_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _close_silent(self) -> None:
        """A connection that never said anything isn't told anything."""
        if self._reading_headers:
            self._close_late()
        else:
            self.transport.close()

    def _close_late(self) -> None:
        self._deadline = None
        part, seconds = "body", self.patience.body_seconds
        if self._reading_headers:
            part, seconds = "headers", self.patience.headers_seconds
        if self._owes_an_answer():
            # What is written now would be taken for the answer to another request.
            self.transport.close()
        else:
            told = f"The {part} of the request took over {seconds:g} s to arrive."
            self._answer_and_close(Refusal(TOO_SLOW, told))

    def _owes_an_answer(self) -> bool:
        if self.cycle is None or self.cycle.response_complete:
            return False
        return self._reading_headers or self.cycle.response_started or bool(self.pipeline)

    def _answer_and_close(self, refusal: Refusal) -> None:
        self.transport.write(_spell_answer(refusal))
        self.transport.close()


def patient_protocol(patience: Patience) -> type[PatientProtocol]:
    """The protocol for uvicorn's configuration, with *patience*."""
    return type("PatientProtocol", (PatientProtocol,), {"patience": patience})


def _spell_answer(refusal: Refusal) -> bytes:
    body = refusal.response().body
    kind = refusal.kind
    headers = {
        "content-type": PROBLEM_TYPE,
        "content-length": str(len(body)),
        "connection": "close",
        **refusal.headers,
    }
    lines = [f"HTTP/1.1 {kind.status} {kind.title}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + bytes(body)
