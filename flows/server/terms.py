"""Owns what a Prefect server's process is told at its start; light, since each command reads it."""

from __future__ import annotations

from dataclasses import dataclass

MODULE = ("-P", "-m", "flows.server.process")


@dataclass(frozen=True)
class Terms:
    """How a server was started.

    Attributes:
        socket: The descriptor of the socket that listens for it.
        server_id: What its answers bear.
        parent: The process that it ends with; 0: none.
        is_recorded: Whether it is the home's server, that its record names.
        idle_seconds: How long it stays without a user; 0: for ever.
    """

    socket: int
    server_id: str
    parent: int = 0
    is_recorded: bool = False
    idle_seconds: float = 0.0

    def as_arguments(self) -> list[str]:
        """Spell the terms for the process's command line."""
        named = [f"--socket={self.socket}", f"--server-id={self.server_id}", f"--parent={self.parent}"]
        return [*named, f"--idle-seconds={self.idle_seconds}", *(["--recorded"] if self.is_recorded else [])]
