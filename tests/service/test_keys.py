"""API keys at the door: what needs which, and that no spelling of an address gets round them."""

from __future__ import annotations

import asyncio
import base64
import itertools
import random
from urllib.parse import quote

import pytest

from evertrain.api_keys import SCOPES, add_key, remove_key
from serving.app import create_app
from serving.fleet import Fleet, Served
from serving.guard import OPEN_PATHS, Guard, KeyRing, needed_scope

SPELLINGS = 5_000


@pytest.fixture
def keys_file(tmp_path):
    return tmp_path / "keys"


@pytest.fixture
def keys(keys_file):
    """One key for each scope, by scope."""
    return {scope: add_key(keys_file, f"for-{scope}", [scope]) for scope in SCOPES}


@pytest.fixture
def app(bundle_of):
    fleet = Fleet()
    fleet.put(Served("flights", 1, 1, bundle_of()))
    return create_app(fleet)


def ask(app, method, path, headers=(), body=b"{}"):
    """Ask an ASGI application as a server would that has decoded *path*; gives status and headers."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": quote(path).encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"application/json"), *headers],
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
    }
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"])


def bearing(key):
    return [(b"authorization", f"Bearer {key}".encode())]


def every_route(app):
    """Each method and path that the service answers, from its own list of routes."""
    for route in app.routes:
        path = route.path.replace("{name}", "flights").replace("{version}", "1")
        for method in sorted(getattr(route, "methods", None) or {"GET", "POST"}):
            yield method, path


def test_every_route_but_health_needs_a_key(app, keys, keys_file):
    """Each route, found in the service itself, answers 401 without a key; health alone doesn't."""
    guarded = Guard(app, KeyRing(keys_file))
    routes = list(every_route(app))

    assert len(routes) > 8
    for method, path in routes:
        status, headers = ask(guarded, method, path)
        assert (status == 401) == (path not in OPEN_PATHS), (method, path)
        if status == 401:
            assert headers[b"www-authenticate"].startswith(b"Bearer")
            assert headers[b"content-type"] == b"application/problem+json"


def test_a_key_opens_what_its_scope_is_for(app, keys, keys_file):
    """For each route the key of its scope and the one for everything get past the door, others get 403."""
    guarded = Guard(app, KeyRing(keys_file))

    for (method, path), scope in itertools.product(every_route(app), SCOPES):
        status, _ = ask(guarded, method, path, bearing(keys[scope]))
        fits = path in OPEN_PATHS or scope in ("admin", needed_scope(method, path))
        assert (status not in (401, 403)) == fits, (method, path, scope, status)


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/invocations", "predict"),
        ("POST", "/models/flights/invocations", "predict"),
        ("POST", "/v2/models/flights/infer", "predict"),
        ("POST", "/v1/models/flights:predict", "predict"),
        ("POST", "/models/flights/feedback", "feedback"),
        ("POST", "/models/feedback/invocations", "predict"),
        ("GET", "/metrics", "read"),
        ("HEAD", "/openapi.json", "read"),
        ("GET", "/models/flights", "read"),
        ("DELETE", "/models/flights", "admin"),
        ("PUT", "/metrics", "admin"),
    ],
)
def test_what_needs_which_scope(method, path, scope):
    """Reading needs read, scoring predict, labels feedback; what nothing takes needs admin."""
    assert needed_scope(method, path) == scope


@pytest.mark.parametrize(
    "headers",
    [
        [(b"authorization", b"Bearer ")],
        [(b"authorization", b"Basic Zm9vOmJhcg==")],
        [(b"authorization", b"Bearer nobody.xyz")],
        [(b"authorization", b"\xff\xfe")],
        [(b"x-api-key", b"")],
        [(b"x-api-key", b"for-admin")],
        [(b"cookie", b"key=for-admin")],
    ],
)
def test_what_is_no_key_is_answered_401(app, keys, keys_file, headers):
    """Empty, foreign and broken credentials are as good as none."""
    assert ask(Guard(app, KeyRing(keys_file)), "GET", "/metrics", headers)[0] == 401


def test_a_key_may_come_in_either_header(app, keys, keys_file):
    """`Authorization: Bearer` in any case, and `X-API-Key`."""
    guarded = Guard(app, KeyRing(keys_file))
    key = keys["read"].encode()

    for headers in (
        [(b"authorization", b"Bearer " + key)],
        [(b"authorization", b"bearer   " + key)],
        [(b"x-api-key", key)],
    ):
        assert ask(guarded, "GET", "/metrics", headers)[0] == 200


def basic(key, name="someone"):
    return (b"authorization", b"Basic " + base64.b64encode(f"{name}:{key}".encode()))


def test_a_browser_that_wants_a_page_is_asked_for_the_key(app, keys, keys_file):
    """Where it looks at pages alone: it sends what was typed once with all that others make it send, too."""
    door, page = Guard(app, KeyRing(keys_file)), (b"accept", b"text/html,*/*;q=0.8")
    status, headers = ask(door, "GET", "/", [page])
    assert (status, b"Basic" in headers[b"www-authenticate"]) == (401, True)
    assert ask(door, "GET", "/", [page, basic(keys["read"])])[0] == 200
    for typed in (basic("wrong"), basic(""), (b"authorization", b"Basic ?"), (b"authorization", b"Basic")):
        assert ask(door, "GET", "/", [page, typed])[0] == 401

    status, headers = ask(door, "GET", "/metrics")
    assert (status, b"Basic" in headers[b"www-authenticate"]) == (401, False)
    assert ask(door, "GET", "/metrics", [basic(keys["read"])])[0] == 401
    sent = [page, basic(keys["predict"])]
    assert ask(door, "POST", "/models/flights/invocations", sent)[0] == 401


def _spellings():
    """Addresses that look like an open one to something on the way, without being one."""
    rng = random.Random(0)
    opened = sorted(OPEN_PATHS)
    closed = ["/metrics", "/models/flights", "/docs", "/openapi.json", "/models/flights/invocations"]
    marks = [
        "/",
        "//",
        "/.",
        "/./",
        "/..",
        "/../",
        ";",
        ";x",
        "?",
        "#",
        "%",
        "%2f",
        "%2F",
        "%252f",
        "%25252f",
    ]
    marks += ["%00", "\x00", ".", "..", " ", "%20", "\t", "\\", "%5c", "+", "~", "health", "ready", "/health"]
    marks += ["/ready", "/ping", "ｒ", "İ", "\u200b"]
    while True:
        path = rng.choice(opened + closed * 2)
        for _ in range(rng.randint(1, 3)):
            place = rng.randint(0, len(path))
            choice = rng.random()
            if choice < 0.5:
                path = path[:place] + rng.choice(marks) + path[place:]
            elif choice < 0.7:
                path = path + rng.choice(opened)
            elif choice < 0.85:
                path = rng.choice(opened) + "/.." * rng.randint(1, 3) + path
            else:
                path = path[:place] + path[place:].swapcase()
        if path not in OPEN_PATHS:
            yield path


def test_no_spelling_of_an_address_gets_round_the_door(app, keys, keys_file):
    """5,000 twisted spellings (S5): encodings, doubled slashes, dots, case, endings in health: 401 each."""
    guarded = Guard(app, KeyRing(keys_file))

    async def ask_all():
        passed = []
        for path, method in zip(itertools.islice(_spellings(), SPELLINGS), itertools.cycle(["GET", "POST"])):
            sent = []

            async def send(message, sent=sent):
                sent.append(message)

            scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b""}
            await guarded(scope, None, send)
            if sent[0]["status"] != 401:
                passed.append(path)
        return passed

    assert asyncio.run(ask_all()) == []


def test_over_http_no_spelling_gets_an_answer_without_a_key(serve_guarded, keys):
    """Raw request lines to the real server: what answers without a key is health itself, nothing else."""
    address = serve_guarded
    twisted = ["/metrics", "//metrics", "/metrics/", "/METRICS", "/%6detrics", "http://x/metrics"]
    twisted += ["/health/live/../../metrics", "/health/live/..%2f..%2fmetrics", "/health/live;/../metrics"]
    twisted += ["/metrics%23/health/live", "/metrics?/health/live", "/ping/../metrics", "/health/ready/"]
    twisted += ["/health/live%00", "/v2/health/live/x"]
    for path in twisted:
        assert raw_status(address, f"GET {path} HTTP/1.1") in (400, 401), path
    assert raw_status(address, "GET /health/live HTTP/1.1") == 200
    # A server decodes once: this is health in another spelling, and tells what health tells.
    assert raw_status(address, "GET /health/%6cive HTTP/1.1") == 200


def raw_status(address, line):
    """Send one raw request line; gives the answer's status."""
    import socket

    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(f"{line}\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        return int(connection.makefile("rb").readline().split()[1])


@pytest.fixture
def serve_guarded(serve, bundle_of, keys, keys_file):
    fleet = Fleet()
    fleet.put(Served("flights", 1, 1, bundle_of()))
    with serve(fleet, keys=KeyRing(keys_file)) as address:
        yield address


def test_a_changed_file_counts_within_a_second(keys, keys_file, clock):
    """A removed key is refused and a new one taken once a second has passed, without a restart."""
    ring = KeyRing(keys_file, clock)
    assert ring.find(keys["read"])

    remove_key(keys_file, "for-read")
    fresh = add_key(keys_file, "fresh", ["read"])
    clock.now += 1.1

    assert ring.find(keys["read"]) is None
    assert ring.find(fresh)


def test_a_file_that_breaks_later_leaves_the_keys_in_force(keys, keys_file, clock, caplog):
    """What can't be read again is told once; nobody is locked out, nobody let in."""
    ring = KeyRing(keys_file, clock)
    keys_file.write_text("nonsense\n")
    clock.now += 1.1

    assert ring.find(keys["read"])
    assert ring.find("nobody.x") is None
    assert "line 1" in caplog.text


def test_no_websocket_is_let_in(app, keys, keys_file):
    """Whatever isn't HTTP is closed at the door."""
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(Guard(app, KeyRing(keys_file))({"type": "websocket", "path": "/ping"}, None, send))
    assert sent == [{"type": "websocket.close"}]
