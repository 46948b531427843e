"""The second signer: nothing is public that he has not built himself, and what he builds is the same to the last byte."""

import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from builder.pack import read_pack, write_pack
from builder.site import Site, entry_of
from publish.cli.keys import create_keys
from publish.cli.main import terbit
from publish.errors import PendingError, PublishError, SigningError, TargetError
from publish.progress import Stages
from publish.release.exchange import Answer, Exchange
from publish.release.flow import Flow
from publish.release.intake import take_in_packages
from publish.release.second import Outcome, SecondSigner
from publish.signing.keyring import Keyring
from publish.signing.keys import ONLINE_COST, SecretKey, write_secret_key
from publish.targets.local import LocalTarget
from publish.workspace import Workspace
from tests.election import NIGHT, correction, minutes, package, row, write_definition, write_package
from tests.officials import Official
from tests.publish.test_officials import enrol, sign_as
from tests.publish.workspace import changed_area_files, deliver, publish, tree
from tests.storage import BUCKET, Server
from verifier.client import Client
from verifier.fetcher import DirectoryFetcher
from verifier.site import check_site

CONFIG = """\
workers = 1
[roles.site]
keys = ["site", "second"]
threshold = 2
[roles.results]
keys = ["results", "second"]
threshold = 2
[roles.snapshot]
keys = ["snapshot", "second"]
threshold = 2
[exchange]
folder = "../exchange"
wait = 0
"""


class Pair:
    """The publisher's workspace and the second signer's, who has the publisher's public files and a key of his own."""

    def __init__(self, folder: Path, config: str = CONFIG) -> None:
        self.publisher, self.second, self.exchange = folder / "a", folder / "b", folder / "exchange" / "uji"
        key = SecretKey.generate(os.urandom)
        write_definition(self.publisher / "content")
        (self.publisher / "terbit.toml").write_text(config)
        public = self.publisher / "keys" / "public"
        public.mkdir(parents=True)
        (public / "second.pub").write_text(key.public.file_text())
        create_keys(Workspace(self.publisher), NIGHT)
        shutil.copytree(self.publisher, self.second, ignore=shutil.ignore_patterns("online", "offline", "build"))
        (self.second / "keys" / "online").mkdir()
        write_secret_key(self.second / "keys" / "online" / "second.key", key, None, ONLINE_COST, os.urandom)

    def sign(self, now: datetime = NIGHT, *, again: bool = True) -> Outcome | None:
        workspace = Workspace(self.second)
        with workspace.lock():
            return SecondSigner(workspace, Stages(quiet=True), now).run(again=again)

    def hold(self, now: datetime = NIGHT) -> str:
        with pytest.raises(PendingError) as caught:
            publish(self.publisher, now)
        return str(caught.value)

    def release(self, now: datetime = NIGHT) -> None:
        """Both parts, as the two machines take turns."""
        self.hold(now)
        assert (found := self.sign(now)) is not None
        assert not found.differences
        self.hold(now)
        assert (found := self.sign(now)) is not None
        assert found.complete
        assert not found.differences
        publish(self.publisher, now)

    def check(self, now: datetime = NIGHT) -> int:
        """The release that the public sees, checked as anyone would."""
        fetcher = DirectoryFetcher(self.publisher / "public" / "uji")
        root = (self.publisher / "keys" / "metadata" / "1.root.json").read_bytes()
        with ThreadPoolExecutor(1) as executor:
            client = Client(fetcher, self.publisher / "build" / "state-of-a-reader", now, root=root)
            client.refresh()
            report = check_site(client, fetcher, executor, signatures=True)
        assert not report.failures
        return report.release


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    found = Pair(tmp_path)
    deliver(found.publisher)
    return found


def test_both_machines_make_a_release(pair: Pair) -> None:
    """A release is public once both have signed it, and every online list but the timestamp has two signatures."""
    pair.release()
    assert pair.check() == 1
    for path in (pair.publisher / "public" / "uji" / "metadata").glob("1.*.json"):
        role = path.name.split(".")[1]
        if role not in {"root", "targets", "trust"}:
            assert len(json.loads(path.read_bytes())["signatures"]) == 2, role


def test_releases_go_on(pair: Pair) -> None:
    """A correction costs the second signer what it costs the publisher: what he has signed before he goes on from."""
    pair.release()
    deliver(pair.publisher, {"fix": correction()})
    pair.release(NIGHT + minutes(1))
    assert pair.check(NIGHT + minutes(1)) == 2
    drafts = pair.second / "build" / "second" / "draft" / "2" / "files"
    assert {path.stem for path in drafts.glob("*.pack")} == {"ppwp", "ppwp-1101", "ppwp-data-files", "site", "trust"}


def test_a_signer_who_lost_everything_goes_on(pair: Pair) -> None:
    """Without his ledger and his build the second signer takes what he lacks from exchange and public tree."""
    pair.release()
    for name in ("ledger", "build"):
        shutil.rmtree(pair.second / name)
    shutil.rmtree(pair.exchange / "packages")
    text = (pair.second / "terbit.toml").read_text()
    (pair.second / "terbit.toml").write_text(f'public = "../a/public"\n{text}')
    deliver(pair.publisher, {"fix": correction()})
    pair.release(NIGHT + minutes(1))
    assert pair.check(NIGHT + minutes(1)) == 2


def test_until_he_has_signed_nothing_is_public(pair: Pair) -> None:
    """While the second signer is waited for, no object, list or package of the release lies in public, and the heartbeat goes on."""
    pair.release()
    public = pair.publisher / "public"
    before = tree(public, leave_out=("timestamp.json", "latest.json"))
    deliver(pair.publisher, {"fix": correction()})
    told = pair.hold(NIGHT + minutes(1))
    assert "waits for the second signer" in told
    assert "release 1 stays" in told
    pair.sign(NIGHT + minutes(2))
    pair.hold(NIGHT + minutes(2))
    assert tree(public, leave_out=("timestamp.json", "latest.json")) == before
    assert pair.check(NIGHT + minutes(2)) == 1


def test_what_comes_in_meanwhile_waits(pair: Pair) -> None:
    """A package that arrives while a draft waits makes no other draft of it: both machines would never meet."""
    pair.hold()
    deliver(pair.publisher, {"fix": correction()})
    pair.hold(NIGHT + minutes(1))
    assert len(Workspace(pair.publisher).ledger.cuts) == 1
    pair.release(NIGHT + minutes(2))
    assert pair.check(NIGHT + minutes(2)) == 1
    pair.release(NIGHT + minutes(3))
    assert pair.check(NIGHT + minutes(3)) == 2


def _one_vote(path: str, data: bytes) -> bytes:
    return data.replace(b'"votes":[', b'"votes":[1', 1) if path == "ppwp/1101/110101.json" else data


def _a_script(path: str, data: bytes) -> bytes:
    return (
        data.replace(b"</body>", b"<script src=//evil.example></script></body>")
        if path == "ppwp/1101/110101.html"
        else data
    )


@pytest.mark.parametrize(
    ("change", "path"), [(_one_vote, "ppwp/1101/110101.json"), (_a_script, "ppwp/1101/110101.html")]
)
def test_a_compromised_builder_gets_no_signature(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, change: Callable[[str, bytes], bytes], path: str
) -> None:
    """THREATS 19: one vote or one script that does not follow from the inputs, and the second signer refuses and names the file."""
    with monkeypatch.context() as broken:
        broken.setattr(Site, "area_files", changed_area_files(change))
        pair.hold()
    found = pair.sign()
    assert found is not None
    assert [line.split(":")[0] for line in found.differences] == [path]
    assert "from byte" in found.differences[0]
    assert found.differences[0].count("theirs") == 2
    assert json.loads(next(pair.exchange.glob("draft/1/signatures/*.json")).read_bytes())["signatures"] == {}
    assert path in pair.hold()
    assert not (pair.publisher / "public" / "uji" / "metadata" / "timestamp.json").exists()


def hold_with_other_pages(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The publisher drafts a release in which candidate and regency have other names on the pages of `site`."""
    honest = Site.site_files
    with monkeypatch.context() as broken:
        broken.setattr(
            Site, "site_files", lambda self: (entry_of(e.path, d.replace(b"Satu", b"Dua")) for e, d in honest(self))
        )
        pair.hold()


def test_a_compromised_front_page_gets_no_signature(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """THREATS 19: nor does a changed page of the role `site`."""
    hold_with_other_pages(pair, monkeypatch)
    found = pair.sign()
    assert found is not None
    assert [line.split(":")[0] for line in found.differences] == ["index.html"]


def test_a_mended_draft_is_signed(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A publisher who has built the same release anew, and right, gets his signatures: it is his draft of now that is compared."""
    hold_with_other_pages(pair, monkeypatch)
    found = pair.sign()
    assert found is not None
    assert found.differences
    shutil.rmtree(pair.publisher / "build")
    pair.release(NIGHT + minutes(1))
    assert pair.check(NIGHT + minutes(1)) == 1


def test_a_wider_list_gets_no_signature(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """THREATS 19: nor does a list that says something else about its end, with all files as they must be."""
    with monkeypatch.context() as broken:
        broken.setattr("publish.signing.keyring.Keyring.validity", lambda self, role: minutes(10_000_000))
        pair.hold()
    found = pair.sign()
    assert found is not None
    assert all("signed.expires" in line for line in found.differences)


def test_a_pack_with_something_else_in_it_gets_no_signature(pair: Pair) -> None:
    """THREATS 19: what only the last part shows is compared then, too."""
    pair.hold()
    pair.sign()
    pair.hold()
    draft = pair.publisher / "build" / "draft" / "1"
    files = [entry_of(entry.path, b"x" * len(data)) for entry, data in read_pack(draft / "signatures", "ppwp")]
    write_pack(draft / "signatures", "ppwp", files)
    pair.hold()
    found = pair.sign()
    assert found is not None
    assert [line.split(":")[0] for line in found.differences] == ["packs/1-1.tar"]


def test_a_stranger_in_the_exchange_gets_nothing(pair: Pair) -> None:
    """Who can write into the exchange can hold a release up, and put nothing into it."""
    pair.hold()
    path = pair.exchange / "draft" / "1" / "files" / "ppwp.index"
    path.write_bytes(path.read_bytes().replace(b"ppwp/0.json", b"ppwp/9.json"))
    found = pair.sign()
    assert found is not None
    assert not found.differences
    (answer,) = pair.exchange.glob("draft/1/signatures/*.json")
    told = json.loads(answer.read_bytes())
    told["signatures"] = {name: dict.fromkeys(one, "00" * 64) for name, one in told["signatures"].items()}
    answer.write_text(json.dumps(told))
    with pytest.raises(SigningError, match="needs 2"):
        publish(pair.publisher)


def test_other_inputs_are_named(pair: Pair) -> None:
    """Content or templates that are others on the second machine are named file by file, and nothing is signed."""
    page = pair.second / "content" / "pages" / "id" / "tentang.md"
    page.write_text("# Tentang\n\nLain.\n")
    pair.hold()
    found = pair.sign()
    assert found is not None
    assert [line.partition(":")[0] for line in found.differences] == ["content id/tentang.md"]
    assert not Workspace(pair.second).ledger.cuts
    page.write_bytes((pair.publisher / "content" / "pages" / "id" / "tentang.md").read_bytes())
    pair.release(NIGHT + minutes(1))
    assert pair.check(NIGHT + minutes(1)) == 1


def test_content_of_a_cut_that_was_never_signed_is_named(pair: Pair) -> None:
    """THREATS 19: content that was refused, and of which the next cut has nothing, is not published as an input of the past; he who has read it can let it be."""
    pair.release()
    page = pair.publisher / "content" / "pages" / "id" / "tentang.md"
    good = page.read_bytes()
    page.write_text("# Calon 2 menang\n")
    pair.hold(NIGHT + minutes(1))
    found = pair.sign(NIGHT + minutes(1))
    assert found is not None
    assert found.differences
    page.write_bytes(good)
    shutil.rmtree(pair.publisher / "build" / "draft")
    deliver(pair.publisher, {"fix": correction()})
    pair.hold(NIGHT + minutes(2))
    found = pair.sign(NIGHT + minutes(2))
    assert found is not None
    (told,) = found.differences
    archive = told.partition(":")[0]
    assert archive.endswith(".content.tar")
    shutil.copy(pair.publisher / "ledger" / archive, pair.second / "ledger" / archive)
    pair.release(NIGHT + minutes(2))
    assert pair.check(NIGHT + minutes(2)) == 3


@pytest.mark.parametrize("planted", ["empty", "junk"])
def test_a_planted_answer_stops_nobody(pair: Pair, planted: str) -> None:
    """An answer that somebody else put into the exchange in his name is replaced by the second signer's own."""
    pair.hold()
    shared = Exchange(LocalTarget("exchange", pair.exchange, pair.second / "set-aside")).current()
    assert shared is not None
    (keyid,) = Keyring(Workspace(pair.second)).keyids(ours=True)
    answer = pair.exchange / "draft" / "1" / "signatures" / f"{keyid}.json"
    answer.parent.mkdir()
    for _ in range(2):
        answer.write_bytes(Answer("terbit-signatures-1", shared.sha256, {}).encode() if planted == "empty" else b"{")
        assert pair.sign(again=False) is not None
        assert json.loads(answer.read_bytes())["signatures"]
    assert pair.sign(again=False) is None


def test_a_link_in_the_exchange_leads_nowhere(pair: Pair, tmp_path: Path) -> None:
    """Nothing is written through a link that somebody put into the exchange."""
    pair.hold()
    (tmp_path / "elsewhere").mkdir()
    (pair.exchange / "draft" / "1" / "signatures").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TargetError, match="is a link"):
        pair.sign()
    assert not list((tmp_path / "elsewhere").iterdir())


def test_another_definition_or_trust_is_named(pair: Pair) -> None:
    """What the offline keys have signed must be the same on both machines, and the refusal says what to copy."""
    offline = [f"--key={pair.publisher}/keys/offline/root-{number}.key" for number in (1, 2)]
    with (pair.publisher / "content" / "election.toml").open("a") as file:
        file.write("# changed\n")
    assert CliRunner().invoke(terbit, ["keys", "refresh", "-C", str(pair.publisher)]).exit_code == 3
    assert CliRunner().invoke(terbit, ["sign", "-C", str(pair.publisher), "--yes", *offline]).exit_code == 0
    pair.hold()
    found = pair.sign()
    assert found is not None
    assert [line.partition(":")[0] for line in found.differences] == ["definition", "trust"]
    for name in ("content", "keys/metadata", "keys/trust"):
        shutil.copytree(pair.publisher / name, pair.second / name, dirs_exist_ok=True)
    pair.release(NIGHT + minutes(1))
    assert pair.check(NIGHT + minutes(1)) == 1


def test_a_package_that_breaks_a_rule_is_not_followed(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """THREATS 19: what a compromised intake let through is judged again."""
    with monkeypatch.context() as broken:
        broken.setattr("builder.intake.REFUSE_RULES", ())
        deliver(pair.publisher, {"again": correction(revision=7)})
        pair.hold()
    found = pair.sign()
    assert found is not None
    assert len(found.differences) == 1
    assert "wrong-revision" in found.differences[0]
    assert not Workspace(pair.second).ledger.packages


def test_a_package_that_was_dated_back_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """THREATS 19: a package that is said to have come in while its official's key still counted, before the cut that it follows, is not signed for."""
    official, ended = Official("1101"), f"{NIGHT - minutes(1):%Y%m%d%H%M%SZ}"
    line = official.line("1101", "uji").replace('@uji"', f'@uji",valid-before="{ended}"')
    (tmp_path / "a").mkdir()
    enrol(tmp_path / "a", line)
    pair = Pair(tmp_path)
    pair.release()
    write_package(pair.publisher / "inbox" / "a", sign_as(official, package("1101", [row("110101", 1, 100, 90)])))
    with monkeypatch.context() as broken:
        broken.setattr("builder.ledger.Ledger._check_clock", lambda *_: None)
        workspace = Workspace(pair.publisher)
        with workspace.lock():
            assert take_in_packages(workspace, (), Stages(quiet=True), NIGHT - minutes(60)).accepted
    pair.hold(NIGHT + minutes(1))
    found = pair.sign(NIGHT + minutes(1))
    assert found is not None
    assert ["not between the cuts" in line for line in found.differences] == [True]
    assert not Workspace(pair.second).ledger.packages


def test_another_past_is_not_followed(pair: Pair) -> None:
    """A publisher whose ledger does not continue the second signer's gets no signature: an old copy, or a past rewritten."""
    pair.release()
    (pair.publisher / "keys" / "log-begun").unlink()  # which stops an honest one
    shutil.rmtree(pair.publisher / "ledger")
    shutil.rmtree(pair.publisher / "build")
    shutil.rmtree(pair.publisher / "public")
    deliver(pair.publisher)
    pair.hold(NIGHT + minutes(1))
    with pytest.raises(SigningError, match="does not continue"):
        pair.sign(NIGHT + minutes(1))


def test_a_cut_from_tomorrow_is_refused(pair: Pair) -> None:
    """A release dated ahead would be good for longer than anyone meant."""
    pair.hold(NIGHT + minutes(60))
    found = pair.sign(NIGHT)
    assert found is not None
    assert "still to come" in found.differences[0]


def test_without_exchange_a_missing_key_is_told(pair: Pair) -> None:
    """A publisher without exchange cannot begin a release that needs another's key."""
    (pair.publisher / "terbit.toml").write_text(CONFIG.partition("[exchange]")[0])
    with pytest.raises(SigningError, match="needs 2 of the keys"):
        publish(pair.publisher)


def test_an_answered_draft_is_not_built_again(pair: Pair) -> None:
    """A second signer who watches answers each draft once."""
    assert pair.sign(again=False) is None
    pair.hold()
    assert pair.sign(again=False) is not None
    assert pair.sign(again=False) is None


def test_an_exchange_that_was_emptied_is_filled_again(pair: Pair) -> None:
    """What was lost in the exchange costs nothing but another run."""
    pair.hold()
    shutil.rmtree(pair.exchange)
    pair.release(NIGHT + minutes(1))
    assert pair.check(NIGHT + minutes(1)) == 1


def test_stopped_anywhere_both_go_on(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A publisher stopped at any write to the exchange, and a second signer at his, finish the release in the next runs."""
    writes, stops = 0, {number * (number + 1) // 2 for number in range(60)}
    honest = LocalTarget.put_hint

    def put_hint(self: LocalTarget, path: str, data: bytes) -> None:
        nonlocal writes
        writes += self.name == "exchange"
        if self.name == "exchange" and writes in stops:
            raise KeyboardInterrupt
        honest(self, path, data)

    monkeypatch.setattr(LocalTarget, "put_hint", put_hint)
    for _ in range(200):
        for step in (lambda: publish(pair.publisher), pair.sign):
            try:
                step()
            except (KeyboardInterrupt, PendingError):
                continue
        if (pair.publisher / "public" / "uji" / "latest.json").exists():
            break
    assert pair.check() == 1


@pytest.mark.usefixtures("credentials")
def test_a_bucket_does_as_well(storage: Server, tmp_path: Path) -> None:
    """The exchange may be a private prefix of a bucket, where the publisher's machine and the second signer's meet."""
    place = f'bucket = "{BUCKET}"\nendpoint = "{storage.url}"\nprefix = "private/"'
    pair = Pair(tmp_path, CONFIG.replace('folder = "../exchange"', place))
    deliver(pair.publisher)
    pair.release()
    held = storage.keys(prefix="private/")
    assert any(key.endswith("uji/draft/1/draft.json") for key in held)
    assert pair.check() == 1


@pytest.mark.parametrize("roles", ["results", "snapshot", "site"])
def test_any_role_may_want_two(tmp_path: Path, roles: str) -> None:
    """A second signature may be asked for on the results alone, or on any other online role."""
    parts = {part.partition("]")[0]: f"\n[{part}" for part in CONFIG.split("\n[")[1:]}
    pair = Pair(tmp_path, f"workers = 1{parts[f'roles.{roles}']}{parts['exchange']}")
    deliver(pair.publisher)
    pair.release()
    assert pair.check() == 1


@pytest.mark.parametrize("signature", ["", "zz" * 64, "00" * 64, "00" * 70_000])
def test_what_is_no_signature_counts_for_nothing(pair: Pair, signature: str) -> None:
    """Whatever stands where a signature belongs, it is no signature or it is one."""
    pair.hold()
    pair.sign()
    (answer,) = pair.exchange.glob("draft/1/signatures/*.json")
    told = json.loads(answer.read_bytes())
    told["signatures"] = {name: dict.fromkeys(one, signature) for name, one in told["signatures"].items()}
    answer.write_text(json.dumps(told))
    with pytest.raises(SigningError, match="needs 2"):
        publish(pair.publisher)


@pytest.mark.parametrize("path", ["draft/current.json", "draft/1/draft.json"])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'{"format":"\xff"}',
        b'{"format":"terbit-draft-1","release":0}',
        b'{"format":"terbit-draft-1","release":1,"files":{"../../x":[1,""]}}',
    ],
)
def test_an_exchange_full_of_junk_is_told(pair: Pair, path: str, data: bytes) -> None:
    """What is no draft is refused with its place."""
    pair.hold()
    (pair.exchange / path).write_bytes(data)
    with pytest.raises(PublishError, match=path):
        pair.sign()


def test_the_command_line(pair: Pair) -> None:
    """`terbit rebuild-and-sign` says what differs on stdout with exit code 4, signs with 0, and has nothing to do with 0."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(
            terbit, ["rebuild-and-sign", "-C", str(pair.second), *arguments], standalone_mode=False
        )

    assert run().exit_code == 0
    page = pair.second / "content" / "pages" / "id" / "tentang.md"
    right = page.read_text()
    page.write_text("# Lain\n")
    with Flow(Workspace(pair.publisher), Stages(quiet=True), NIGHT) as flow, pytest.raises(PendingError):
        flow.publish()
    found = run()
    assert found.exit_code == 4
    assert found.stdout.startswith("DIFFERS content id/tentang.md: ")
    assert json.loads(run("--json").stdout)["differences"]
    page.write_text(right)
