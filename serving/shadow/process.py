"""Owns a challenger's process as its service sees it: started, fed, heard and ended, in bounded time."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from evertrain.child_process import child_environment
from evertrain.errors import ServiceError
from serving.shadow.frames import MOST_REPLY_BYTES, Reply, read_frame, send_frame

LOAD_SECONDS = 60.0
"""So long a challenger may take until it is loaded."""
LAST_SECONDS = 2.0
"""So long one that closed its end may take to be gone."""


class ChallengerProcess:
    """A challenger's process; as a context it is ended.

    Args:
        store: Where its bundle is.
        digest: The bundle's.
        answer_seconds: How long it may say nothing while it has something to compare.
        memory_bytes: How much memory it may take once it is loaded.

    Raises:
        ServiceError: It can't be started.
    """

    def __init__(self, store: str, digest: str, answer_seconds: float, memory_bytes: int) -> None:
        self._answer_seconds = answer_seconds
        self._channel, theirs = socket.socketpair()
        words = [str(theirs.fileno()), str(os.getpid()), digest, str(answer_seconds), str(memory_bytes)]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-P", "-m", "serving.shadow.challenger", *words],
                env=child_environment() | {"EVERTRAIN_STORE": store},
                pass_fds=(theirs.fileno(),),
                # What its libraries print, once a request, must not bury what the service has to say.
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # A Ctrl-C in the terminal is the service's to answer. Not a session of its own: between
                # sessions Linux shares a core evenly, however nice one is.
                process_group=0,
            )
        except OSError as cause:
            self._channel.close()
            raise ServiceError(f"its process can't be started: {cause}") from cause
        finally:
            theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._process.wait()
        self._channel.close()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def kill(self) -> None:
        """End it whatever it does; whoever waits for it, in any thread, is told that it ended."""
        self._process.kill()

    def await_ready(self) -> None:
        """Wait until it is loaded.

        Raises:
            ServiceError: It can't be loaded, ended, or took too long.
        """
        self._read_reply(LOAD_SECONDS, "it wasn't loaded")

    def check_running(self) -> None:
        """Raise ServiceError if it ended while it had nothing to do."""
        if self._process.poll() is not None:
            raise ServiceError(f"it ended by {self._ending()}")

    def send(self, lines: bytes) -> None:
        """Give it requests to compare.

        Raises:
            ServiceError: It ended, or takes nothing.
        """
        self._channel.settimeout(self._answer_seconds)
        try:
            send_frame(self._channel, lines)
        except TimeoutError as cause:
            raise ServiceError(f"it took no request for {self._answer_seconds:g} s") from cause
        except OSError as cause:
            raise ServiceError(f"it ended by {self._ending()}") from cause

    def await_reply(self, most_requests: int) -> Reply:
        """Wait for what came of the next requests, at most *most_requests*.

        Raises:
            ServiceError: It ended, said nothing for too long, or nothing that makes sense.
        """
        reply = self._read_reply(self._answer_seconds, "it said nothing")
        if not 0 < reply.requests <= most_requests:
            raise ServiceError(f"it told of {reply.requests} requests where it had {most_requests}")
        return reply

    def _read_reply(self, seconds: float, late: str) -> Reply:
        self._channel.settimeout(seconds)
        try:
            data = read_frame(self._channel, MOST_REPLY_BYTES)
            if not data:
                raise ServiceError(f"it ended by {self._ending()}")
            reply = Reply.model_validate_json(data)
        except TimeoutError as cause:
            raise ServiceError(f"{late} for {seconds:g} s") from cause
        except OSError as cause:
            raise ServiceError(f"it ended by {self._ending()}") from cause
        except (ValidationError, ValueError) as cause:
            raise ServiceError("it said what makes no sense") from cause
        if reply.ended:
            raise ServiceError(reply.ended)
        return reply

    def _ending(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(LAST_SECONDS)
        code = self._process.poll()
        if code is None:
            return "closing its end"
        return f"signal {-code}" if code < 0 else f"exit code {code}"
