"""The witness: what it answers, what it remembers, and that it never cosigns two stories."""

import base64
import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.programs import require
from tests.servers import serving
from tests.verifier.formats.tlog import LOG, ORIGIN, VECTORS, WITNESS, decode, entries, grown, signer, verifier_key
from verifier import limits
from verifier.cli.main import main
from verifier.errors import FormatError, VerificationError
from verifier.formats import merkle
from verifier.formats.checkpoint import Checkpoint, SignedCheckpoint
from verifier.formats.cosignature import cosigned_at
from verifier.formats.minisign import PublicKey
from verifier.formats.minisign_secret import SecretKey, is_encrypted
from verifier.formats.note import Note, VerifierKey, sign
from verifier.formats.tiles import RightEdge, node_reader
from verifier.formats.tlog_witness import AddCheckpoint, parse_cosignatures, parse_size
from verifier.witness import Answer, Request, decide, open_request
from verifier.witness_server import RateLimit, WitnessServer
from verifier.witness_store import StoreError, WitnessStore, origin_hash, read_seen

LOGS = {ORIGIN: (LOG,)}
NOW = 1_800_000_000
OTHER_FROM = 5  # the forked log has other entries from here on


@cache
def tree(size: int, forked: bool = False) -> tuple[RightEdge, dict[str, bytes]]:
    """A log of `size` entries and its files; the forked one has other entries from the sixth on."""
    if not forked or size <= OTHER_FROM:
        return grown(size)
    edge, files = grown(OTHER_FROM)
    edge, new = edge.append([b"lain " + entry for entry in entries(size - OTHER_FROM, OTHER_FROM)])
    return edge, {**files, **new}


def head(size: int, forked: bool = False, *, root: bytes | None = None, key: int = 1) -> bytes:
    """The log's signed checkpoint of its first `size` entries."""
    checkpoint = Checkpoint(ORIGIN, size, root or tree(size, forked)[0].root())
    return SignedCheckpoint(checkpoint, (sign(checkpoint.encode(), verifier_key(key), signer(key)),)).encode()


def proof(old: int, size: int, forked: bool = False) -> tuple[bytes, ...]:
    files = tree(size, forked)[1]
    return merkle.consistency_proof(old, size, node_reader(size, lambda tile: files[tile.path]))


def body(old: int, size: int, forked: bool = False) -> bytes:
    """The request that an honest log would send, were this its tree."""
    return AddCheckpoint(old, proof(old, size, forked) if old <= size else (), head(size, forked)).encode()


SIGNER = signer(10)


def open_store(folder: Path, ed25519=SIGNER) -> WitnessStore:
    if not (folder / "witness.sqlite").exists():
        WitnessStore.create(folder, WITNESS)
    return WitnessStore(folder, WITNESS, ed25519, lambda: NOW)


def ask(store: WitnessStore, data: bytes, logs=LOGS) -> Answer:
    request = open_request(data, logs)
    return request if isinstance(request, Answer) else store.add(request, "test")


def evidence(folder: Path) -> list[dict]:
    return [json.loads(path.read_bytes()) for path in sorted(folder.glob("evidence/*.json"))]


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path) as store:
        yield store


def test_the_requests_of_litewitness(tmp_path):
    """THREATS 14, 16: litewitness's published requests, in their order, get the statuses of tlog-witness."""
    vectors = json.loads((VECTORS / "litewitness.json").read_bytes())
    key = VerifierKey.parse(vectors["vkey"])
    with open_store(tmp_path) as store:
        answers = [ask(store, decode(vector, "body"), {key.name: (key,)}) for vector in vectors["requests"]]
    assert [answer.status for answer in answers] == [vector["status"] for vector in vectors["requests"]]
    assert [answer.body for answer in answers if answer.status == 409] == [b"3\n", b"5\n"]


def test_what_is_cosigned_is_what_was_asked(store):
    """The answer is one line, ours, and holds over the checkpoint at the witness's time."""
    answer = ask(store, body(0, 7))
    assert (answer.status, answer.content_type) == (200, "text/plain; charset=utf-8")
    (line,) = parse_cosignatures(answer.body)
    asked = SignedCheckpoint.parse(head(7))
    assert cosigned_at(SignedCheckpoint(asked.checkpoint, (*asked.signatures, line)), WITNESS) == NOW
    assert store.cosigned(ORIGIN) == SignedCheckpoint(asked.checkpoint, (*asked.signatures, line))


NO_TEXT = head(12).partition(b"\n\n")[0].decode().replace("\n12\n", "\n012\n") + "\n"
NO_CHECKPOINT = Note(NO_TEXT, (sign(NO_TEXT, LOG, signer(1)),)).encode()
EMPTY_LIE = head(0, root=bytes(range(32)))
HASH = (bytes(32),)
CASES = {
    "grows": (200, body(7, 12), b"hasil"),
    "again": (200, body(7, 7), b"hasil"),
    "no-request": (400, b"", b""),
    "leading-zero": (400, body(7, 12).replace(b"old 7", b"old 07"), b""),
    "64-hashes": (400, b"old 7\n" + b"A" * 43 + b"=\n" + (b"A" * 43 + b"=\n") * 63 + b"\n" + head(12), b""),
    "old-beyond-size": (400, AddCheckpoint(8, (), head(7)).encode(), b"fewer than the old size"),
    "not-a-checkpoint": (400, b"old 7\n\n" + NO_CHECKPOINT, b"leading zeros"),
    "unknown-log": (404, body(7, 12).replace(ORIGIN.encode(), b"lain.example/log"), b"does not know"),
    "unknown-key": (403, AddCheckpoint(7, proof(7, 12), head(12, key=2)).encode(), b"not signed by a key"),
    "broken-signature": (403, AddCheckpoint(7, (), head(12).replace(b"\n12\n", b"\n13\n")).encode(), b"does not hold"),
    "unsigned": (403, b"old 7\n\n" + head(12).partition(b"\n\n")[0] + b"\n", b"must be a text"),
    "spare-bits": (403, body(7, 12)[:-3] + b"B=\n", b"base64"),
    "old-too-low": (409, body(3, 12), b"7\n"),
    "old-too-high": (409, body(9, 12), b"7\n"),
    "first-asked-again": (409, body(0, 7), b"7\n"),
    "empty-tree-later": (409, AddCheckpoint(0, (), head(0)).encode(), b"7\n"),
    "no-proof": (422, AddCheckpoint(7, (), head(12)).encode(), b"NOT PROVEN"),
    "wrong-proof": (422, AddCheckpoint(7, proof(6, 12), head(12)).encode(), b"NOT PROVEN"),
    "needless-proof": (422, AddCheckpoint(7, HASH, head(7)).encode(), b""),
    "fork": (422, body(7, 12, forked=True), b"NOT PROVEN"),
    "split-view": (422, body(7, 7, forked=True), b"SPLIT VIEW"),
    "rollback": (400, AddCheckpoint(7, (), head(4)).encode(), b"ROLLBACK"),
    "rollback-asked-from-below": (409, body(3, 4), b"7\n"),
}  # fmt: skip


@pytest.mark.parametrize(("status", "data", "says"), CASES.values(), ids=CASES)
def test_statuses(store, status, data, says):
    """THREATS 14, 16: after seven entries each request gets the status of the specification, and only what follows is kept."""
    assert ask(store, body(0, 7)).status == 200
    answer = ask(store, data)
    assert answer.status == status
    assert says in (answer.signed.encode() if answer.signed else answer.body)
    assert answer.content_type == ("text/x.tlog.size" if status == 409 else "text/plain; charset=utf-8")
    assert store.cosigned(ORIGIN).checkpoint.size == (12 if data == CASES["grows"][1] else 7)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (AddCheckpoint(0, (), EMPTY_LIE).encode(), 422),
        (AddCheckpoint(0, HASH, head(7)).encode(), 422),
        (AddCheckpoint(1, (), head(7)).encode(), 409),
        (AddCheckpoint(0, (), head(0)).encode(), 200),
        (AddCheckpoint(0, (), head(7)).encode(), 200),
    ],
    ids=["empty-tree-with-a-root", "proof-from-nothing", "says-one-was-seen", "empty-tree", "first"],
)
def test_first_requests(store, data, status):
    """A log that was never cosigned has size zero, and an empty tree has one root hash."""
    answer = ask(store, data)
    assert answer.status == status
    assert status != 409 or parse_size(answer.body) == 0


@pytest.mark.parametrize(
    ("kind", "data", "known"),
    [
        ("split-view", body(12, 12, forked=True), 12),
        ("split-view", body(7, 7, forked=True), 7),
        ("broken-proof", body(12, 20, forked=True), 12),
        ("rollback", AddCheckpoint(12, (), head(4)).encode(), 12),
        ("rollback", body(3, 4), 12),
    ],
    ids=["newest-size", "earlier-size", "longer", "cut", "cut-and-asked-from-below"],
)
def test_evidence_is_kept(store, tmp_path, kind, data, known):
    """THREATS 14, 16: both checkpoints, as the log signed them, are in a file that can be published, and in the answer."""
    ask(store, body(0, 7))
    ask(store, body(7, 12))
    answer = ask(store, data)
    (found,) = evidence(tmp_path)
    assert found["kind"] == kind
    cosigned, shown = (SignedCheckpoint.parse(found[part].encode()) for part in ("known", "shown"))
    assert (cosigned.checkpoint.size, cosigned_at(cosigned, WITNESS)) == (known, NOW)
    assert shown == SignedCheckpoint.parse(AddCheckpoint.parse(data).checkpoint)
    assert answer.status == 409 or (found["known"].encode() in answer.body and found["shown"].encode() in answer.body)
    assert answer.message == found["says"]
    ask(store, data)
    assert len(evidence(tmp_path)) == 1


def test_an_earlier_checkpoint_of_ours_is_no_evidence(store, tmp_path):
    """Who sends what we cosigned before is late and proves nothing."""
    ask(store, body(0, 7))
    ask(store, body(7, 12))
    assert ask(store, body(0, 7)).status == 409
    assert evidence(tmp_path) == []


def test_evidence_has_a_cap_for_each_kind(store, tmp_path, monkeypatch):
    """Old checkpoints, which anyone can replay, fill their own share only: a proof of a split view is still kept."""
    monkeypatch.setattr(limits, "WITNESS_EVIDENCE_COUNT", 2)
    ask(store, body(0, 12))
    for size in (1, 2, 3, 4):
        ask(store, AddCheckpoint(12, (), head(size)).encode())
    ask(store, body(12, 12, forked=True))
    assert [found["kind"] for found in evidence(tmp_path)] == ["rollback", "rollback", "split-view"]


def test_strangers_lines_are_not_kept(store):
    """Signature lines of unknown keys are ignored, and neither stored nor served."""
    stranger = sign(SignedCheckpoint.parse(head(7)).checkpoint.encode(), verifier_key(2, "asing"), signer(2))
    assert ask(store, AddCheckpoint(0, (), head(7) + stranger.encode().encode() * 20).encode()).status == 200
    assert [line.name for line in store.cosigned(ORIGIN).signatures] == [ORIGIN, WITNESS.name]


def test_only_another_past_is_called_a_fork():
    """A proof that does not hold is no fork where the log's tiles show the past that was cosigned."""
    seven, twelve = (SignedCheckpoint.parse(head(size)) for size in (7, 12))
    for past, kind in ((seven.checkpoint.root, "broken-proof"), (bytes(32), "fork")):
        answer = decide(Request(7, proof(6, 12), twelve, past), seven, None)
        assert (answer.status, answer.evidence.kind) == (422, kind)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 14), st.booleans(), st.one_of(st.none(), st.integers(0, 14)), st.booleans())))
def test_no_history_leads_to_two_stories(requests):
    """Whatever two forks of a log show, in whatever order, all that is cosigned is the past of one of them."""
    latest, cosigned = None, {}
    for size, forked, old, lie in requests:
        known = latest.checkpoint.size if latest else 0
        start = known if old is None else old
        hashes = proof(start, size, forked or lie) if start <= size else ()
        signed = SignedCheckpoint.parse(head(size, forked))
        if decide(Request(start, hashes, signed), latest, cosigned.get(size)).status == 200:
            assert size >= known
            latest = cosigned[size] = signed
    stories = [{size: tree(size, forked)[0].root() for size in cosigned} for forked in (False, True)]
    assert {size: one.checkpoint.root for size, one in cosigned.items()} in stories


def test_the_state_outlives_the_process(tmp_path):
    """After a restart the witness goes on where it was, and says what it saw."""
    with open_store(tmp_path) as store:
        ask(store, body(0, 7))
    with open_store(tmp_path) as store:
        assert ask(store, body(0, 7, forked=True)).status == 409
        assert ask(store, body(7, 12)).status == 200
    assert [(row.old_size, row.size, row.status) for row in read_seen(tmp_path, 10)] == [
        (0, 7, 200),
        (0, 7, 409),
        (7, 12, 200),
    ]
    assert [row.number for row in read_seen(tmp_path, 1)] == [3]


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.verifier import test_witness as t
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
before = sys.argv[2] == "before"
store = t.open_store(Path(sys.argv[1]), die if before else t.signer(10))
print(t.ask(store, t.body(7, 12)).status)
die()
"""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_around_the_commit(tmp_path, moment):
    """Killed before the commit nothing was cosigned; killed after it, before the answer was sent, the state has it: the log
    learns the size by 409 and gets its cosignature, another tree does not."""
    with open_store(tmp_path) as store:
        ask(store, body(0, 7))
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), moment],
        cwd=Path(__file__).parents[2],
        check=False,
        capture_output=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    with open_store(tmp_path) as store:
        size = 7 if moment == "before" else 12
        assert store.cosigned(ORIGIN).checkpoint.size == size
        assert ask(store, body(3, 12)).body == f"{size}\n".encode()
        assert ask(store, body(size, 12, forked=True)).status == 422
        assert ask(store, body(size, 12)).status == 200


def test_no_memory_no_cosignature(tmp_path):
    """A memory that is missing, another's, damaged or there already is an error, never an empty beginning."""
    with pytest.raises(StoreError):
        WitnessStore(tmp_path, WITNESS, signer(10), lambda: NOW)
    assert list(tmp_path.iterdir()) == []
    open_store(tmp_path).close()
    with pytest.raises(StoreError, match="never overwritten"):
        WitnessStore.create(tmp_path, WITNESS)
    with pytest.raises(VerificationError, match="another witness"):
        WitnessStore(tmp_path, verifier_key(11, "lain", 4), signer(11), lambda: NOW)
    (tmp_path / "witness.sqlite").write_bytes(b"x" * 4096)
    with pytest.raises(StoreError):
        WitnessStore(tmp_path, WITNESS, signer(10), lambda: NOW)


def test_what_was_seen_has_a_cap(store, tmp_path, monkeypatch):
    """Only the newest requests are remembered; what was cosigned stays."""
    monkeypatch.setattr(limits, "WITNESS_SEEN_COUNT", 3)
    for size in range(1, 8):
        assert ask(store, body(size - 1, size)).status == 200
    assert [row.size for row in read_seen(tmp_path, 100)] == [5, 6, 7]
    assert ask(store, body(2, 2)).body == b"7\n"


@pytest.fixture
def server(store, monkeypatch):
    monkeypatch.setattr(limits, "WITNESS_CONNECTIONS_OF_ADDRESS_COUNT", limits.WITNESS_CONNECTIONS_COUNT)
    rate = RateLimit(1, 1_000, lambda: 0.0)
    with serving(WitnessServer(store, LOGS, "127.0.0.1", 0, rate)) as server:
        yield server


def post(server, data, path="/add-checkpoint", headers=None):
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=20)
    try:
        connection.request("POST", path, data, headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def test_over_http(server):
    """Status, type and body of each answer; the newest checkpoint is there for monitors, with the log's line and ours."""
    path = f"/{origin_hash(ORIGIN)}/checkpoint"
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=20)

    def get(path):
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()

    assert get(path)[0] == 404
    status, headers, data = post(server, body(0, 7))
    assert (status, headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    status, text = get(path)
    assert (status, SignedCheckpoint.parse(text).signatures[1:]) == (200, parse_cosignatures(data))
    status, headers, data = post(server, body(3, 12))
    assert (status, headers["Content-Type"], data) == (409, "text/x.tlog.size", b"7\n")
    status, headers, data = post(server, body(7, 7, forked=True))
    assert (status, headers["Content-Type"]) == (422, "text/plain; charset=utf-8")
    assert data.startswith(b"SPLIT VIEW")
    assert head(7) in data
    assert head(7, forked=True) in data
    assert [post(server, body(7, 12), path)[0] for path in ("/", "/add-checkpoint/", "/x?y")] == [404] * 3
    assert [get(path)[0] for path in ("/", "/add-checkpoint", path.upper(), "/../x")] == [404] * 4
    connection.close()


def test_two_clients_at_once(server, store):
    """Of many who ask from one size at once, for trees of many sizes and of a fork, one is first; the rest get 409."""
    requests = [body(0, size, forked) for size in (8, 9, 10) for forked in (False, True)] * 3
    with ThreadPoolExecutor(len(requests)) as pool:
        statuses = [status for status, _, _ in pool.map(lambda data: post(server, data), requests)]
    assert sorted(statuses) == [200] + [409] * (len(requests) - 1)


def test_two_processes_at_once(tmp_path):
    """Two stores over one file, as `serve` and `pull` are, decide one after the other."""
    with open_store(tmp_path) as one, open_store(tmp_path) as two, ThreadPoolExecutor(2) as pool:
        for size in range(1, 13):
            answers = pool.map(ask, (one, two), (body(size - 1, size), body(size - 1, size, forked=True)))
            statuses = sorted(answer.status for answer in answers)
            assert (statuses[0], statuses[1] in {409, 422}) == (200, True)
        cosigned = one.cosigned(ORIGIN).checkpoint
    assert cosigned.root in {tree(12)[0].root(), tree(12, True)[0].root()}


def raw(server, data: bytes) -> bytes:
    """What comes back for these bytes until the server closes."""
    answer = b""
    # Who closes with bytes unread resets the connection.
    with socket.create_connection(server.server_address[:2], timeout=20) as connection, suppress(ConnectionError):
        with suppress(OSError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(65536):
            answer += part
        return answer


POST = b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (POST + b"\r\n", 411),
        (POST + b"Content-Length: 99999999\r\n\r\n", 413),
        (POST + b"Content-Length: -1\r\n\r\n", 400),
        (POST + b"Content-Length: 1_0\r\n\r\n", 400),
        (POST + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nold 0", 400),
        (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nold 0", 400),
        (POST + b"Content-Length: 50\r\n\r\nold 0", 400),
        (b"PUT /add-checkpoint HTTP/1.1\r\n\r\n", 501),
        (b"POST " + b"/" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (POST + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nContent-Length: 9\r\n\r\n", 404),
        (b"\xff\x00 nonsense HTTP/1.1\r\n\r\n", 501),
    ],
    ids=["no-length", "huge", "negative", "underscore", "two-lengths", "chunked", "cut", "put", "path", "headers", "get-with-body", "noise"],
)  # fmt: skip
def test_abuse_is_refused_and_ends_the_connection(server, request_, status):
    """A request without a clear and small end is answered with one status, as plain text, and the connection closes."""
    answer = raw(server, request_ + POST)
    assert answer.split(b" ", 2)[1] == str(status).encode()
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert b"<html" not in answer.lower()


def test_a_body_that_breaks_off_is_not_read(server, store):
    """Bytes that would be a whole request are none when more were announced."""
    data = body(0, 7)
    answer = raw(server, POST + f"Content-Length: {len(data) + 1}\r\n\r\n".encode() + data)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert store.cosigned(ORIGIN) is None


def test_slow_and_long_connections_end(store, monkeypatch):
    """A client that drips bytes is cut by the connection's own time limit, and keep-alive has a last request."""
    monkeypatch.setattr(limits, "WITNESS_CONNECTION_SECONDS", 0.5)
    monkeypatch.setattr(limits, "WITNESS_REQUESTS_COUNT", 3)
    with serving(WitnessServer(store, LOGS, "127.0.0.1", 0, RateLimit(1, 1_000, lambda: 0.0))) as server:
        with socket.create_connection(server.server_address[:2], timeout=20) as connection:
            connection.sendall(POST + b"Content-Length: 100000\r\n\r\n")
            wait_until(lambda: not drips(connection))
        assert raw(server, b"GET / HTTP/1.1\r\n\r\n" * 5).count(b"HTTP/1.1 404") == 3


def test_rate_limit():
    """An address has its burst and then its rate; others are not touched; an IPv6 network is one address."""
    seconds = [0.0]
    rate = RateLimit(0.5, 3, lambda: seconds[0])
    assert [rate.allows("192.0.2.1") for _ in range(5)] == [True] * 3 + [False] * 2
    assert rate.allows("192.0.2.2")
    seconds[0] = 2.0
    assert [rate.allows("192.0.2.1") for _ in range(2)] == [True, False]
    seconds[0] = 1e6
    assert [rate.allows("192.0.2.1") for _ in range(4)] == [True] * 3 + [False]
    assert [rate.allows(f"2001:db8::{number}") for number in range(4)] == [True] * 3 + [False]
    assert not rate.allows("2001:db8::ffff:1%eth0")
    assert rate.allows("2001:db8:0:1::1")
    assert [rate.allows(name) for name in ("x", "", "y", "z")] == [True] * 3 + [False]


def test_rate_limit_forgets_addresses(monkeypatch):
    """However many addresses there are, only the latest are remembered."""
    monkeypatch.setattr(limits, "WITNESS_ADDRESSES_COUNT", 2)
    rate = RateLimit(1, 1, lambda: 0.0)
    assert all(rate.allows(f"192.0.2.{number}") for number in range(9))
    assert not rate.allows("192.0.2.8")
    assert rate.allows("192.0.2.1")


@pytest.mark.parametrize("behind_proxy", [False, True])
def test_rate_limit_over_http(store, behind_proxy):
    """One too many is 429; what X-Forwarded-For says counts behind a proxy alone, and there its last address."""
    rate = RateLimit(1, 2, lambda: 0.0)
    with serving(WitnessServer(store, LOGS, "127.0.0.1", 0, rate, behind_proxy=behind_proxy)) as server:
        names = ["192.0.2.1", "x, 192.0.2.1", "192.0.2.9, 192.0.2.1", "192.0.2.2", "192.0.2.1, 192.0.2.2"]
        answers = [post(server, b"", headers={"X-Forwarded-For": name}) for name in names]
    assert [status for status, _, _ in answers] == (
        [400, 400, 429, 400, 400] if behind_proxy else [400] * 2 + [429] * 3
    )
    assert (answers[2][1]["Retry-After"], answers[2][1]["Connection"]) == ("10", "close")


def test_too_many_connections(store, monkeypatch):
    """Beyond the cap a connection is closed unanswered, and the others go on."""
    monkeypatch.setattr(limits, "WITNESS_CONNECTIONS_COUNT", 1)
    with serving(WitnessServer(store, LOGS, "127.0.0.1", 0, RateLimit(1, 1_000, lambda: 0.0))) as server:
        first = http.client.HTTPConnection(*server.server_address[:2], timeout=20)
        first.request("GET", "/")
        assert first.getresponse().read()
        assert raw(server, b"GET / HTTP/1.1\r\n\r\n") == b""
        first.request("POST", "/add-checkpoint", body(0, 7))
        assert first.getresponse().status == 200
        first.close()


def test_too_many_connections_of_one_address(store, monkeypatch):
    """One address has fewer connections than all; behind a proxy all clients have one address."""
    monkeypatch.setattr(limits, "WITNESS_CONNECTIONS_OF_ADDRESS_COUNT", 1)
    for behind_proxy, answers in ((False, 0), (True, 1)):
        rate = RateLimit(1, 1_000, lambda: 0.0)
        with (
            serving(WitnessServer(store, LOGS, "127.0.0.1", 0, rate, behind_proxy=behind_proxy)) as server,
            socket.create_connection(server.server_address[:2], timeout=20) as first,
        ):
            first.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert first.recv(12) == b"HTTP/1.1 404"
            assert raw(server, b"GET / HTTP/1.1\r\n\r\n").count(b"HTTP/1.1 404") == answers


def test_connections_are_given_back(store, monkeypatch):
    """Each connection that has ended makes room for the next."""
    monkeypatch.setattr(limits, "WITNESS_CONNECTIONS_COUNT", 2)
    with serving(WitnessServer(store, LOGS, "127.0.0.1", 0, RateLimit(1, 1_000, lambda: 0.0))) as server:
        for _ in range(9):
            assert raw(server, b"GET / HTTP/1.1\r\n\r\n")
            wait_until(lambda: server._open.total() == 0)
        assert not server._open


def drips(connection: socket.socket) -> bool:
    """Send one byte; False once the server has cut the connection."""
    try:
        connection.sendall(b"o")
    except ConnectionError:
        return False
    return True


def wait_until(holds):
    for _ in range(2_000):
        if holds():
            return
        time.sleep(0.01)
    pytest.fail("it never came true")


def test_a_full_disk_is_500(server, store, monkeypatch):
    """Where the memory cannot be written no cosignature leaves."""
    store._database.execute("PRAGMA max_page_count = 1")
    store._database.execute("PRAGMA query_only = ON")
    status, _, data = post(server, body(0, 7))
    assert (status, b"cosigned nothing" in data) == (500, True)
    store._database.execute("PRAGMA query_only = OFF")
    assert store.cosigned(ORIGIN) is None


# The commands


def run(*words, code=0):
    done = CliRunner().invoke(main, ["witness", *map(str, words)])
    assert done.exit_code == code, done.output
    return done


@contextmanager
def published(folder: Path):
    """The log's files behind HTTP, and what is posted there."""
    posted = []

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def do_POST(self):
            posted.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204 if self.path == "/in" else 500)
            self.end_headers()

        def log_message(self, *_):
            pass

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"http://127.0.0.1:{server.server_address[1]}", posted


def show(folder: Path, size: int, forked: bool = False) -> None:
    """Put the log's state of `size` into the folder that is served."""
    for path, data in {**tree(size, forked)[1], "checkpoint": head(size, forked)}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


def test_init_and_pull(tmp_path):
    """`init` makes a witness, `pull` cosigns what has grown, from tiles, and leaves it to be fetched or posts it."""
    public, folder, policy = tmp_path / "public", tmp_path / "saksi", tmp_path / "policy.txt"
    with published(public) as (url, posted):
        policy.write_text(f"log {LOG.encode()} {url}\nquorum none\n")
        done = run(
            "init",
            folder,
            "--name",
            "saksi.example/1",
            "--policy",
            policy,
            "--no-passphrase",
            "--url",
            "https://s.example",
        )
        word, name, vkey, where = done.stdout.split()
        assert (word, name, where) == ("witness", "saksi.example/1", "https://s.example")
        for size in (300, 300, 70_000):
            show(public, size)
            run("pull", folder, "--post", f"{url}/in")
            left = folder / "cosigned" / origin_hash(ORIGIN) / "checkpoint"
            assert cosigned_at(SignedCheckpoint.parse(left.read_bytes()), VerifierKey.parse(vkey))
            assert posted[-1] == left.read_bytes()
        assert "HTTP 500" in run("pull", folder, "--post", f"{url}/no", code=1).stderr
    lines = [json.loads(line) for line in run("log", folder, "--json").stdout.splitlines()]
    assert [(line["old_size"], line["size"], line["status"]) for line in lines][:3] == [
        (0, 300, 200),
        (300, 300, 200),
        (300, 70_000, 200),
    ]
    assert f"200 {ORIGIN} 300 → 70000 from http://127.0.0.1" in run("log", folder, "-n", 2).stdout


@pytest.mark.parametrize(
    ("size", "forked", "change", "code", "says", "kind"),
    [
        (20, True, None, 4, "FORK", "fork"),
        (12, True, None, 4, "SPLIT VIEW", "split-view"),
        (4, False, None, 4, "ROLLBACK", "rollback"),
        (7, False, None, 5, "an old checkpoint", None),
        (300, False, "tile/0/000", 4, "the tiles of", None),
        (300, False, "tile/0/001.p/44", 4, "the tiles of", None),
        (300, False, "checkpoint", 4, "does not hold", None),
        (300, False, "missing", 1, "is missing", None),
    ],
    ids=["fork", "split-view", "rollback", "old-copy", "tile", "last-tile", "signature", "missing"],
)
def test_pull_refuses(tmp_path, size, forked, change, code, says, kind):
    """THREATS 14, 16: fork, split view and rollback at the log's own address, and files that are damaged, each with its message."""
    public, folder, policy = tmp_path / "public", tmp_path / "saksi", tmp_path / "policy.txt"
    with published(public) as (url, _):
        policy.write_text(f"log {LOG.encode()} {url}\nquorum none\n")
        run("init", folder, "--name", "saksi.example/1", "--policy", policy, "--no-passphrase")
        for seen in (7, 12):
            show(public, seen)
            run("pull", folder)
        show(public, size, forked)
        if change == "missing":
            (public / "tile/0/000").unlink()
        elif change is not None:
            data = (public / change).read_bytes()
            (public / change).write_bytes(
                data.replace(b"\n300\n", b"\n301\n") if change == "checkpoint" else data[::-1]
            )
        done = run("pull", folder, "--json", code=code)
    answer = json.loads(done.stdout)
    assert says in answer["message"]
    assert SignedCheckpoint.parse(Path(answer["file"]).read_bytes()).checkpoint.size == 12
    found = evidence(folder)
    assert [one["kind"] for one in found] == ([kind] if kind else [])
    if kind == "fork":
        cut, shown = (SignedCheckpoint.parse(found[0][part].encode()).checkpoint for part in ("known", "shown"))
        past, hashes = base64.b64decode(found[0]["past"]), [base64.b64decode(one) for one in found[0]["proof"]]
        merkle.verify_consistency(cut.size, past, shown.size, shown.root, hashes)
        assert past != cut.root


def test_pull_takes_full_tiles_for_partial_ones(tmp_path):
    """A log that has grown meanwhile may have dropped the partial tiles of the checkpoint that was fetched."""
    public, folder, policy = tmp_path / "public", tmp_path / "saksi", tmp_path / "policy.txt"
    with published(public) as (url, _):
        policy.write_text(f"log {LOG.encode()} {url}\nquorum none\n")
        run("init", folder, "--name", "saksi.example/1", "--policy", policy, "--no-passphrase")
        show(public, 7)
        run("pull", folder)
        show(public, 256)
        for path in (public / "tile/0/000.p").iterdir():
            path.unlink()
        (public / "tile/0/000.p").rmdir()
        (public / "checkpoint").write_bytes(head(200))
        done = run("pull", folder, "--json")
    assert SignedCheckpoint.parse(Path(json.loads(done.stdout)["file"]).read_bytes()).checkpoint.size == 200


def test_serve_command(tmp_path):
    """The server runs as a process of its own with an encrypted key, and starts again after it was killed."""
    folder, policy, words = tmp_path / "saksi", tmp_path / "policy.txt", tmp_path / "passphrase"
    policy.write_text(f"log {LOG.encode()}\nquorum none\n")
    words.write_text("kata sandi\n")
    run("init", folder, "--name", "saksi.example/1", "--policy", policy, "--passphrase-file", words)
    assert "passphrase" in run("serve", folder, code=1).stderr
    for data, status in ((body(0, 7), 200), (body(0, 7, forked=True), 409)):
        command = [sys.executable, "-c", "from verifier.cli.main import main; main()", "witness", "serve", str(folder)]
        with subprocess.Popen(
            [*command, "--port", "0", "--passphrase-file", str(words)], stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                line = process.stderr.readline()
                port = int(line.partition("http://127.0.0.1:")[2].partition("/")[0])
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
                connection.request("POST", "/add-checkpoint", data)
                assert connection.getresponse().status == status
                connection.close()
            finally:
                process.kill()


def test_init_never_starts_over(tmp_path):
    """A second `init` in a folder leaves key and memory as they are."""
    run("init", tmp_path, "--name", "saksi.example/1", "--no-passphrase")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert stat.S_IMODE((tmp_path / "witness.key").stat().st_mode) == 0o600
    assert "never overwritten" in run("init", tmp_path, "--name", "saksi.example/1", "--no-passphrase", code=1).stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert "no log has a URL" in run("pull", tmp_path, code=1).stderr
    os.chmod(tmp_path / "witness.key", 0o644)
    assert "chmod 600" in run("pull", tmp_path, code=1).stderr
    run("init", tmp_path / "other", "--name", "saksi.example/2", "--no-passphrase")
    (tmp_path / "other" / "witness.key").replace(tmp_path / "witness.key")
    assert "is not the key of saksi.example/1" in run("pull", tmp_path, code=1).stderr
    (tmp_path / "witness.key").unlink()
    assert "cannot be read" in run("pull", tmp_path, code=1).stderr


def test_init_refuses(tmp_path):
    """A name that no key can have and a passphrase that is missing are told before anything is made."""
    assert "name" in run("init", tmp_path / "a", "--name", "a b", "--no-passphrase", code=4).stderr
    assert "passphrase" in run("init", tmp_path / "b", "--name", "a", code=1).stderr
    run("init", tmp_path / "c", "--name", "a", "--no-passphrase", "--passphrase-file", __file__, code=2)
    assert not (tmp_path / "a").exists()
    assert not (tmp_path / "b" / "witness.key").exists()


@pytest.mark.parametrize(
    ("file", "data", "says"),
    [
        ("tlog-policy.txt", f"log {LOG.encode()}\n".encode(), "quorum none"),
        ("tlog-policy.txt", b"#" * 3_000_000 + b"\n", "is longer than"),
        ("witness.key", b"x" * 100_000, "is longer than"),
        ("witness.key", b"x", "secret key"),
        ("passphrase", b"x" * 100_000, "is longer than"),
    ],
    ids=["no-quorum", "long-policy", "long-key", "damaged-key", "long-passphrase"],
)
def test_a_file_of_ones_own_is_ones_own_to_mend(tmp_path, file, data, says):
    """What is wrong with key, policy or passphrase is told with the file's name and exit code 1: it says nothing about what was published."""
    words = tmp_path / "passphrase"
    words.write_text("kata sandi\n")
    run("init", tmp_path, "--name", "saksi.example/1", "--passphrase-file", words)
    (tmp_path / file).write_bytes(data)
    told = run("pull", tmp_path, "--passphrase-file", words, code=1).stderr
    assert told.startswith(f"terbit-verify: {tmp_path / file}")
    assert told.count(file) == 1
    assert says in told


@pytest.mark.parametrize("passphrase", [None, b"kata sandi"], ids=["plain", "encrypted"])
def test_keys_are_minisigns(tmp_path, passphrase):
    """minisign reads the key that `init` writes, and signs with it."""
    minisign = require("minisign")
    secret = SecretKey.generate(os.urandom)
    key = tmp_path / "witness.key"
    key.write_bytes(secret.encode(passphrase, os.urandom))
    assert is_encrypted(key.read_bytes()) == (passphrase is not None)
    typed = None if passphrase is None else passphrase.decode() + "\n"
    subprocess.run(
        [minisign, "-R", "-s", key, "-p", tmp_path / "pub"], input=typed, check=True, text=True, capture_output=True
    )
    assert PublicKey.parse((tmp_path / "pub").read_bytes()) == secret.public
    assert SecretKey.parse(key.read_bytes(), passphrase) == secret


def test_damaged_keys_are_refused():
    """A key file that is cut, changed, too costly or opened with another passphrase gives no key."""
    secret = SecretKey.generate(os.urandom)
    plain, sealed = secret.encode(None, os.urandom), secret.encode(b"benar", os.urandom)
    comment, _, text = plain.partition(b"\n")
    whole = base64.b64decode(text)

    def changed(place: int, new: bytes) -> bytes:
        return comment + b"\n" + base64.b64encode(whole[:place] + new + whole[place + len(new) :]) + b"\n"

    assert SecretKey.parse(changed(len(whole) - 32, bytes(32)), None) == secret  # as `minisign -G -W` leaves it
    costly = changed(38, bytes(7) + b"\1"), changed(46, bytes(7) + b"\1")
    for data in (changed(54, b"!" * 8), changed(0, b"ED"), changed(2, b"xx"), *costly):
        with pytest.raises(FormatError):
            SecretKey.parse(data, b"benar")
    for data in (
        b"",
        plain[:-9],
        plain.replace(b"untrusted", b"trusted"),
        b"x" * 5_000,
        sealed[:60] + b"//////" + sealed[66:],
    ):
        with pytest.raises((FormatError, VerificationError)):
            SecretKey.parse(data, b"benar")
    for passphrase in (None, b"salah"):
        with pytest.raises(VerificationError):
            SecretKey.parse(sealed, passphrase)
    assert "seed" not in repr(secret)
