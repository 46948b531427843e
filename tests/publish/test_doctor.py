"""`terbit doctor`: every trouble that it is to see is seen, with its fix; a healthy workspace has none."""

import http.server
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from builder.ledger import Ledger, RefusedRecord
from publish.cli.keys import create_keys
from publish.cli.main import terbit
from publish.doctor import judge, public
from publish.doctor.judge import ORIGIN, Finding, Size
from publish.serve import Server as PublicServer
from publish.signing.keyring import Keyring
from publish.signing.keys import ONLINE_COST, read_secret_key, write_secret_key
from publish.workspace import Workspace
from tests.election import NIGHT, write_definition
from tests.publish.test_translog import ask_for, witness
from tests.publish.workspace import deliver, make_workspace, publish
from tests.servers import QuietHandler, serving, url_of
from tests.storage import BUCKET, rclone, seaweedfs
from verifier.formats.checkpoint import Checkpoint, SignedCheckpoint
from verifier.formats.note import sign
from verifier.headers import headers_for

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NAME = "hasil.example.id/uji/log"
LOCAL = 'workers = 1\n[targets.public]\nfolder = "public"\n'
CONFIG = 'workers = 1\n[targets.bucket]\nbucket = "{bucket}"\nendpoint = "{url}"\nprefix = "doctor/"\n{more}'


def doctor(directory: Path, *words: str) -> tuple[int, list[dict[str, str]]]:
    done = CliRunner().invoke(terbit, ["doctor", "-C", str(directory), "--json", *words])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, json.loads(done.stdout)


def troubles(findings: list[dict[str, str]]) -> list[tuple[str, str]]:
    assert all(one["fix"] for one in findings if one["level"] != "ok"), "each trouble has a fix"
    return [(one["level"], one["what"]) for one in findings if one["level"] != "ok"]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published workspace whose offline keys lie elsewhere."""
    made = make_workspace(tmp_path_factory.mktemp("healthy"), f'{LOCAL}[log]\norigin = "{NAME}"\n')
    deliver(made)
    publish(made, datetime.now(UTC).replace(microsecond=0))
    (made / "keys/offline").rename(made.parent / f"{made.name}-offline")
    return made


@pytest.fixture
def made(healthy: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    subprocess.run(["cp", "-a", healthy, tmp_path / "work"], check=True)
    return tmp_path / "work"


@pytest.mark.parametrize(
    ("seconds", "level"), [(0, "ok"), (-5.9, "ok"), (6.5, "warn"), (-60.5, "warn"), (62, "fail"), (-3600, "fail")]
)
def test_clock(seconds: float, level: str) -> None:
    """A clock that is off by 5 seconds is warned of, by a minute fails; the other one's has whole seconds."""
    assert judge.judge_clock("there", seconds).level == level


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"date": "Sat, 21 Nov 2026 05:00:00 GMT"}, 0),
        ({"date": "Sat, 21 Nov 2026 05:00:00 GMT", "age": "90"}, 90),
        ({"date": "Sat, 21 Nov 2026 05:00:00 -0000"}, 0),
        ({"date": "Sat, 21 Nov 2026 05:00:00 GMT", "age": "9" * 18}, None),
        ({"date": "Fri, 31 Dec 9999 23:59:59 GMT", "age": "1"}, None),
        ({"date": "Sat, 21 Nov 2026 05:00:00 GMT", "age": "old"}, None),
        ({"date": "yesterday"}, None),
        ({"age": "90"}, None),
    ],
    ids=["origin", "cache", "no zone", "age too great", "end of time", "no age", "no date", "nothing"],
)
def test_when_an_answer_came(headers: dict[str, str], seconds: int | None) -> None:
    """The time of an answer is that of its headers, and none where they say nothing that can be understood."""
    start = datetime(2026, 11, 21, 5, tzinfo=UTC)
    assert judge.answered_at(headers) == (None if seconds is None else start + timedelta(seconds=seconds))


@pytest.mark.parametrize(("days", "level"), [(61, "ok"), (60, "warn"), (1, "warn"), (0, "fail"), (-1, "fail")])
def test_expiry(days: int, level: str) -> None:
    """What the offline keys have to sign is told sixty days ahead."""
    assert judge.judge_expiry("keys", "root", NOW + timedelta(days=days), NOW, judge.CEREMONY, "sign").level == level


def headers_of(path: str, **changes: str | None) -> dict[str, str]:
    headers = {name.lower(): value for name, value in headers_for(path).items()}
    return {name: value for name, value in {**headers, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    ("path", "changes", "wanted"),
    [
        ("uji/index.html", {}, []),
        ("uji/index.html", {"content-type": "text/html;charset=UTF-8"}, []),
        ("uji/index.html", {"content-type": "application/octet-stream"}, [("fail", "Content-Type")]),
        ("uji/index.html", {"content-security-policy": None}, [("warn", "without Content-Security-Policy")]),
        ("uji/index.html", {"x-content-type-options": None, "cache-control": "no-store"}, [("warn", "without X-Content"), ("warn", "Cache-Control (no-store)")]),
        ("uji/ppwp/1.json", {"access-control-allow-origin": ORIGIN}, []),
        ("uji/ppwp/1.json", {"access-control-allow-origin": None}, [("warn", "Access-Control-Allow-Origin")]),
        ("uji/ppwp/1.json", {"strict-transport-security": None}, [("warn", "Strict-Transport")]),
    ],
    ids=["right", "spelt otherwise", "download", "no policy", "two", "origin echoed", "no cors", "no hsts"],
)  # fmt: skip
def test_headers(path: str, changes: dict[str, str | None], wanted: list[tuple[str, str]]) -> None:
    """Public headers are compared with the one source of them; only a wrong type fails."""
    found = [one for one in judge.judge_headers("https://x.id/", path, headers_of(path, **changes)) if one.fix]
    assert [one.level for one in found] == [level for level, _ in wanted]
    assert all(text in one.what for one, (_, text) in zip(found, wanted, strict=True))


@pytest.mark.parametrize(
    ("host", "size", "level"),
    [
        ("hasil.pages.dev", Size(20_000, 1), "ok"),
        ("hasil.pages.dev", Size(20_001, 1), "fail"),
        ("hasil.pages.dev", Size(1, 1, largest=26 << 20), "fail"),
        ("kpu.github.io", Size(1, 1_000_000_001), "fail"),
        ("hasil.netlify.app", Size(60_000, 1, in_folder=54_001), "fail"),
        ("hasil.example.id", Size(10**9, 10**15), None),
        ("notpages.dev", Size(10**9, 10**15), None),
    ],
)
def test_known_hosts(host: str, size: Size, level: str | None) -> None:
    """A host of static sites is known by the end of its name, and its limits with it."""
    assert [one.level for one in judge.judge_host("https://x/", host, size)] == ([level] if level else [])


@pytest.mark.parametrize(
    ("free", "level"),
    [(Size(100, 1000), "ok"), (Size(100, 199), "warn"), (Size(100, 99), "fail"), (Size(9, 1000), "fail")],
)
def test_space(free: Size, level: str) -> None:
    """A full release has to fit, in bytes and in files; one that fits once only is warned of."""
    assert judge.judge_space("disk", free, Size(10, 100)).level == level


def test_aged_tools() -> None:
    """A Python without security fixes and a library that is too old are told."""
    assert judge.judge_python((3, 11), date(2026, 1, 1)).level == "ok"
    assert judge.judge_python((3, 11), date(2027, 10, 1)).level == "warn"
    found = judge.judge_tools([("tuf", "7.0.0", "7.0.1"), ("rich", "14.10", "14.9"), ("gone", None, "1")])
    assert [one.where for one in found] == ["tuf", "gone"]


def test_a_healthy_workspace(healthy: Path) -> None:
    """A workspace that just published has nothing to mend; all that is missing is the public address."""
    assert troubles(doctor(healthy, "--offline")[1]) == []
    code, findings = doctor(healthy)
    assert (code, [level for level, _ in troubles(findings)]) == (0, ["warn"])


def encrypt(made: Path, name: str = "site", passphrase: bytes = b"rahasia") -> None:
    path = made / f"keys/online/{name}.key"
    key = read_secret_key(path, None)
    path.unlink()
    write_secret_key(path, key, passphrase, ONLINE_COST, os.urandom)


def hand_in(made: Path) -> None:
    deliver(made)
    for path in (made / "inbox").iterdir():
        os.utime(path, (0, 0))


def refuse(made: Path) -> None:
    ledger = Ledger(made / "ledger")
    with ledger.lock():
        ledger.add([RefusedRecord("0" * 64, ("cover",))])


def cut_off(records: Path) -> None:
    records.write_bytes(b"".join(records.read_bytes().splitlines(keepends=True)[:-1]))


SPOILT: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "configuration": (lambda made: (made / "terbit.toml").write_text("workers = 0\n"), "fail", "workers"),
    "definition": (lambda made: (made / "content/areas.csv").write_text("code\n"), "fail", "areas.csv"),
    "not signed": (
        lambda made: subprocess.run("echo '# changed' >> content/election.toml", shell=True, cwd=made, check=True),
        "fail",
        "not what the offline keys signed",
    ),
    "key gone": (lambda made: (made / "keys/online/snapshot.key").unlink(), "fail", "role snapshot needs 1"),
    "key readable": (lambda made: (made / "keys/online/site.key").chmod(0o644), "fail", "may be read by others"),
    "key damaged": (lambda made: (made / "keys/online/site.key").write_bytes(b"x"), "fail", "damaged"),
    "key encrypted": (encrypt, "warn", "encrypted and was not tried"),
    "offline key": (
        lambda made: ((made / "keys/offline").mkdir(), (made / "keys/offline/root-1.key").write_bytes(b"")),
        "warn",
        "root-1 lie on this machine",
    ),
    "others may write": (lambda made: (made / "public/uji").chmod(0o777), "fail", "others on this machine may write"),
    "others may look": (lambda made: (made / "build").chmod(0o755), "fail", "may look into it"),
    "no record": (lambda made: (made / "build/targets/public/record.json").unlink(), "warn", "no record"),
    "record cut short": (lambda made: (made / "build/targets/public/checkpoint.json").unlink(), "fail", "No such file"),
    "root gone": (lambda made: (made / "keys/metadata/1.root.json").unlink(), "fail", "not what the last release was"),
    "trust gone": (
        lambda made: [one.unlink() for one in (made / "keys/trust").iterdir()],
        "fail",
        "missing or damaged",
    ),
    "frozen": (lambda made: (made / "frozen.toml").write_text('since = "x"\nreason = "y"\n'), "warn", "frozen since x"),
    "waiting": (hand_in, "warn", "packages wait"),
    "records not logged": (refuse, "warn", "it lacks what the ledger has last (1 record)"),
    "ledger behind the log": (lambda made: cut_off(made / "ledger/records.jsonl"), "fail", "which is an old copy"),
    "ledger lost": (lambda made: shutil.rmtree(made / "ledger"), "fail", "the ledger here ends with 0: an old copy"),
    "machine lost": (
        lambda made: [shutil.rmtree(made / name) for name in ("ledger", "build", "public")],
        "fail",
        "the keys here have signed a public log",
    ),
    "log damaged": (lambda made: (made / "ledger/log/state.json").write_bytes(b"{"), "fail", "cannot be read"),
    "strays": (lambda made: (made / "inbox/catatan.txt").write_text("x"), "warn", "no packages"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_is_wrong_here_is_seen(made: Path, name: str) -> None:
    """Each trouble on this machine is told, with its level, and decides the exit code."""
    spoil, level, text = SPOILT[name]
    (made / "inbox").mkdir(exist_ok=True)
    spoil(made)
    code, findings = doctor(made, "--offline")
    assert any(one == level and text in what for one, what in troubles(findings)), troubles(findings)
    assert code == (1 if level == "fail" else 0)


@pytest.mark.parametrize(
    ("before", "after", "urls", "level"),
    [
        ("", "", "", "warn"),
        ("test = true\n", "", "", "ok"),
        ("", "", 'urls = ["https://hasil.example.id/"]\n', "warn"),
        ("test = true\n", "", 'urls = ["https://hasil.example.id/"]\n', "warn"),
        ("test = true\n", 'address = "https://hasil.example.id/"\n', "", "warn"),
        ('address = "https://hasil.example.id/uji/"\n', "", "", "ok"),
    ],
    ids=["real", "rehearsal", "urls later", "rehearsal, urls later", "address later", "address"],
)
def test_a_log_that_is_named_after_this_machine(tmp_path: Path, before: str, after: str, urls: str, level: str) -> None:
    """A log's name is for ever: `localhost` is warned of, but for a rehearsal that is at home nowhere else."""
    write_definition(tmp_path / "content")
    (tmp_path / "terbit.toml").write_text(LOCAL)
    definition = tmp_path / "content/election.toml"
    definition.write_text(before + definition.read_text())
    create_keys(Workspace(tmp_path), NIGHT)
    definition.write_text(after + definition.read_text())
    (tmp_path / "terbit.toml").write_text(LOCAL + urls)
    found = [one for one in doctor(tmp_path, "--offline")[1] if "its origin is" in one["what"]]
    name = "hasil.example.id/uji/log" if level == "ok" and "address" in before else "localhost/uji/log"
    assert [(one["level"], name in one["what"]) for one in found] == [(level, True)]


def test_a_key_that_others_may_read_has_one_remedy(made: Path) -> None:
    """A key with the wrong mode is one finding, whose fix is chmod: no backup and no new key is asked for."""
    path = made / "keys/online/site.key"
    path.chmod(0o644)
    bad = [one for one in doctor(made, "--offline")[1] if one["level"] != "ok"]
    assert [(one["where"], one["fix"]) for one in bad] == [("key site", f"run: chmod 600 '{path}'")]
    assert "chmod" not in bad[0]["what"]


@pytest.mark.parametrize("words", [[], ["--offline"]], ids=["online", "offline"])
def test_a_workspace_without_keys_has_one_failure(tmp_path: Path, words: list[str]) -> None:
    """Before `terbit keys init` that is the one thing to mend."""
    done = CliRunner().invoke(terbit, ["init", str(tmp_path / "new")])
    assert done.exit_code == 0
    code, findings = doctor(tmp_path / "new", *words)
    failures = [(one["what"], one["fix"]) for one in findings if one["level"] == "fail"]
    assert (code, failures) == (1, [("there are no keys yet", "next: terbit keys init")])


def test_an_old_release_is_stale(tmp_path: Path) -> None:
    """Where no run has succeeded for days, timestamp and snapshot have ended."""
    made = make_workspace(tmp_path)
    deliver(made)
    publish(made)
    code, findings = doctor(made, "--offline")
    assert code == 1
    ended = [what.partition(" ")[0] for level, what in troubles(findings) if level == "fail"]
    assert ended == ["timestamp", "snapshot"]


def test_a_passphrase_is_tried_and_never_told(made: Path, tmp_path: Path) -> None:
    """With its file the passphrase is tried on encrypted keys; it stands in no finding."""
    encrypt(made)
    passphrase = tmp_path / "passphrase"
    passphrase.write_bytes(b"rahasia\n")
    code, findings = doctor(made, "--offline", "--passphrase-file", str(passphrase))
    assert (code, troubles(findings)) == (0, [])
    passphrase.write_bytes(b"salah-sekali\n")
    code, findings = doctor(made, "--offline", "--passphrase-file", str(passphrase))
    assert code == 1
    told = [(one["what"], one["fix"]) for one in findings if one["level"] != "ok"]
    wrong = "the passphrase given opens none of the encrypted keys (site)"
    assert told == [(wrong, "give the right passphrase file: terbit doctor --passphrase-file FILE")]
    encrypt(made, "snapshot", b"lain")
    passphrase.write_bytes(b"rahasia\n")
    code, findings = doctor(made, "--offline", "--passphrase-file", str(passphrase))
    assert [one["where"] for one in findings if one["level"] != "ok"] == ["key snapshot"]
    assert not any(secret in json.dumps(findings) for secret in ("rahasia", "salah-sekali"))


@pytest.mark.usefixtures("credentials")
def test_buckets(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A good server is found to honour conditions and checksums; one that does not is told, and so are wrong credentials and a dead endpoint."""

    def examine(url: str, more: str = "") -> list[tuple[str, str]]:
        (made / "terbit.toml").write_text(CONFIG.format(bucket=BUCKET, url=url, more=more))
        found = [one for one in doctor(made)[1] if one["where"] == "target bucket"]
        assert "adminsecret123" not in json.dumps(found)
        return [(level, what) for level, what in troubles(found) if "record" not in what and "reads it" not in what]

    def remedy(url: str, bucket: str = BUCKET) -> str:
        (made / "terbit.toml").write_text(CONFIG.format(bucket=bucket, url=url, more=""))
        found = doctor(made)[1]
        return next(one["fix"] for one in found if one["where"] == "target bucket" and "probe" in one["what"])

    with seaweedfs(tmp_path / "weed") as server:
        assert examine(server.url) == [("warn", "these credentials may delete: so could whoever steals them")]
        # What strangers may do is asked for without credentials.
        policy = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": [f"arn:aws:s3:::{BUCKET}{end}" for end in ("", "/*")]}  # fmt: skip
        server.client().put_bucket_policy(
            Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [policy]})
        )
        assert [what for level, what in examine(server.url) if level == "fail"] == [
            "anybody may list the bucket",
            "anybody may write into it",
        ]
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "adminsecret12x")
        (fault,) = examine(server.url)
        assert fault[0] == "fail"
        assert "cannot be written and read (HTTP 403" in fault[1]
        assert remedy(server.url).startswith("look at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "adminsecret123")
        assert remedy(server.url, "nowhere").startswith("look at bucket and endpoint")
    assert examine("http://127.0.0.1:9")[0][1].startswith("it cannot be reached")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "adminsecret123")
    with rclone(tmp_path / "rclone") as simple:
        levels = {what.partition(":")[0]: level for level, what in examine(simple.url)}
        assert levels["the server ignores or refuses conditional writes"] == "fail"
        assert "an upload that does not fit its SHA-256 is taken" in levels
        levels = {what.partition(":")[0]: level for level, what in examine(simple.url, 'without_conditions = "lock"\n')}
        assert levels["the server ignores or refuses conditional writes"] == "warn"


class Unending(QuietHandler):
    """A server that says no length, and sends a byte now and then."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        with suppress(OSError):
            while True:
                self.wfile.write(b"{")
                time.sleep(0.05)


def test_a_public_address_that_does_not_end(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an answer that was cut off when its time was up it is told just that, and not that what it says is wrong."""
    monkeypatch.setattr(public, "ALTOGETHER", 0.5)
    with serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Unending)) as server:
        url = f"{url_of(server)}/"
        (made / "terbit.toml").write_text(f'workers = 1\n[targets.public]\nfolder = "public"\nurls = ["{url}"]\n')
        found = troubles([one for one in doctor(made)[1] if one["where"].startswith("http")])
    assert found == [("fail", "no whole answer within 0.5 seconds")]


class Plain(QuietHandler, http.server.SimpleHTTPRequestHandler):
    """A web server as it comes: hardly any headers."""


def test_public_addresses(made: Path) -> None:
    """The public's view is compared with what we published: right headers, missing ones, an old timestamp, a foreign one, no answer."""

    def examine(url: str) -> list[tuple[str, str]]:
        (made / "terbit.toml").write_text(f'workers = 1\n[targets.public]\nfolder = "public"\nurls = ["{url}"]\n')
        return troubles([one for one in doctor(made)[1] if one["where"].startswith("http")])

    with serving(PublicServer(made / "public", "127.0.0.1", 0)) as server:
        url = f"{url_of(server)}/"
        assert examine(url) == []
        publish(made, datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=5))
        older = (made / "public/uji/metadata/timestamp.json").read_bytes()
        publish(made, datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=20))
        (made / "public/uji/metadata/timestamp.json").write_bytes(older)
        ((level, what),) = examine(url)
        assert (level, "older than our last one" in what) == ("warn", True)
        (made / "public/uji/metadata/timestamp.json").write_bytes(b"{}")
        assert [level for level, what in examine(url) if "have not signed" in what] == ["fail"]
    with serving(
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Plain, directory=made / "public"))
    ) as server:
        found = examine(f"{url_of(server)}/")
        assert any("without Cache-Control, Content-Security-Policy" in what for _, what in found)
    assert any("no answer" in what for _, what in examine("http://127.0.0.1:9/"))


def test_what_a_target_shows(made: Path) -> None:
    """A target that shows another timestamp than the one that we put there last is told, and one whose timestamp is gone."""
    timestamp = made / "public/uji/metadata/timestamp.json"
    right = timestamp.read_bytes()
    for wrong in (right.replace(b"a", b"b"), b""):
        timestamp.write_bytes(wrong)
        code, findings = doctor(made)
        assert (code, [what for level, what in troubles(findings) if level == "fail"]) == (
            1, ["it shows a timestamp that we have not signed"],
        )  # fmt: skip


@pytest.mark.parametrize(
    ("shown", "level", "text"),
    [
        (b"", "fail", "no checkpoint"),
        (f"{NAME}\n1\n".encode(), "fail", "not our log's"),
        (None, "warn", "an older checkpoint of the log, of 8 entries"),
    ],
    ids=["none", "a stranger's", "an old one"],
)
def test_the_checkpoint_of_a_target(made: Path, shown: bytes | None, level: str, text: str) -> None:
    """A target that shows no checkpoint, a stranger's, or an earlier one of ours is told."""
    checkpoint = made / "public/uji/log/checkpoint"
    old = checkpoint.read_bytes()
    refuse(made)
    publish(made, datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=20))
    checkpoint.write_bytes(old if shown is None else shown)
    assert any(one == level and text in what for one, what in troubles(doctor(made)[1]))


def test_another_log_with_our_key(made: Path) -> None:
    """A checkpoint of our own key that this log is no continuation of fails: two publishers, or an old copy."""
    keyring = Keyring(Workspace(made))
    head = Checkpoint(keyring.log_key.name, 3, bytes(32))
    signed = SignedCheckpoint(head, (sign(head.encode(), keyring.log_key, keyring.log_secret.sign),))
    (made / "public/uji/log/checkpoint").write_bytes(signed.encode())
    assert any(level == "fail" and "another log of 3 entries" in what for level, what in troubles(doctor(made)[1]))


def test_witnesses(tmp_path: Path) -> None:
    """A witness that has seen the log is told with how much; one that has not is warned of; where too few answer, no release can go out, which fails."""
    made = make_workspace(tmp_path / "work", LOCAL)

    def witnesses() -> list[tuple[str, str]]:
        return [(one["level"], one["what"]) for one in doctor(made)[1] if one["where"].startswith("witness")]

    assert witnesses() == []
    with witness(made, tmp_path / "saksi") as server:
        ask_for(made, server.url)
        ((level, what),) = witnesses()
        assert (level, "nothing of this log yet" in what) == ("warn", True)
        deliver(made)
        publish(made, datetime.now(UTC).replace(microsecond=0))
        ((level, what),) = witnesses()
        assert (level, what) == ("ok", "it has seen 8 of 8 entries")
    (_, silent), (level, what) = witnesses()
    assert "does not answer" in silent
    assert (level, "no quorum (saksi)" in what) == ("fail", True)


def test_findings_for_people(healthy: Path) -> None:
    """Each finding is a line with its level, and its fix another one."""
    done = CliRunner().invoke(terbit, ["doctor", "-C", str(healthy)])
    assert "ok    terbit.toml: 1 target," in done.stdout
    assert "\n      → urls = " in done.stdout
    assert Finding("ok", "here", "fine").lines() == ["ok    here: fine"]
