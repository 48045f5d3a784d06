"""Owns what is looked at from inside and beside: that no container has more rights than it needs."""

from __future__ import annotations

from typing import Any

from engines import CheckFailed, say

LOOPBACK = "127.0.0.1"


def check_container(service: str, facts: dict[str, Any]) -> None:
    """Hold *facts*, which the engine tells of the container of *service*, against what the file promises.

    Raises:
        CheckFailed: All promises that are broken.
    """
    host, config = facts["HostConfig"], facts["Config"]
    published = [
        binding["HostIp"]
        for bindings in (host.get("PortBindings") or {}).values()
        for binding in bindings or ()
    ]
    promises = {
        "it runs as somebody but root": config["User"].split(":")[0] not in ("", "0", "root"),
        "its root file system is read-only": host["ReadonlyRootfs"],
        "it has no capability": not _capabilities(facts),
        "it can't gain privileges": any(
            "no-new-privileges" in option for option in host["SecurityOpt"] or ()
        ),
        "its memory is limited": host["Memory"] > 0,
        "its ports are on loopback alone": all(address == LOOPBACK for address in published),
        "it isn't privileged": not host["Privileged"],
    }
    broken = [promise for promise, holds in promises.items() if not holds]
    if broken:
        raise CheckFailed(f"Of {service} these don't hold: {'; '.join(broken)}.")
    say(
        "holds",
        f"{service}: user {config['User']}, read-only, no capability, {host['Memory'] >> 20} MiB at most",
    )


def _capabilities(facts: dict[str, Any]) -> list[str]:
    # Podman tells which are left; Docker, which were dropped.
    if "EffectiveCaps" in facts:
        return list(facts["EffectiveCaps"] or ())
    host = facts["HostConfig"]
    return ["all but some"] if "ALL" not in (host.get("CapDrop") or ()) else list(host.get("CapAdd") or ())
