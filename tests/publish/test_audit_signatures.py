"""Who signed an earlier release: the keys of its time, under the root that the log names for it."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from publish.signing.keyring import Keyring
from publish.signing.repository import tuf_key
from publish.workspace import Workspace
from tests.election import NIGHT, correction, minutes
from tests.publish.test_audit import Published
from tests.publish.test_rotation import Operator, run
from tests.publish.workspace import copy_tree, deliver, make_workspace
from verifier.audit.earlier import Earlier
from verifier.audit.lists import Lists, read_lists
from verifier.audit.signatures import Signatures
from verifier.audit.workshop import Workshop
from verifier.cli.main import main as terbit_verify
from verifier.errors import VerificationError
from verifier.fetcher import DirectoryFetcher
from verifier.formats import canonical_json, leaves
from verifier.mirror.metadata import Listed


@pytest.fixture(scope="module")
def two_releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = Published(make_workspace(tmp_path_factory.mktemp("two") / "site"))
    found.release()
    found.release(NIGHT + minutes(1), fix=correction())
    return found.folder


@pytest.fixture
def site(two_releases: Path, tmp_path: Path) -> Published:
    return Published(copy_tree(two_releases, tmp_path / "site"))


def lists_of(public: Path, release: int) -> Lists:
    data = (public / f"metadata/{release}.snapshot.json").read_bytes()
    leaf = leaves.Release(f"{release}.snapshot.json", len(data), hashlib.sha256(data).hexdigest())
    return read_lists(DirectoryFetcher(public), leaf, {})


def problems(public: Path, lists: Lists, root: int = 1) -> list[str]:
    data = (public / f"metadata/{root}.root.json").read_bytes()
    return [*Signatures(DirectoryFetcher(public)).problems(data, lists)]


def signed_anew(site: Published, name: str, key_of: str, change: Callable[[dict[str, Any]], None]) -> Lists:
    """The lists of release 1, one of which was changed, signed by the key of another role, and named by the snapshot as it is."""
    lists = lists_of(site.public, 1)
    one = lists.named[name]
    document = json.loads((site.public / one.path).read_bytes())
    change(document["signed"])
    (key, *_) = Keyring(Workspace(site.folder))._signers(key_of)
    signature = key.sign(canonical_json.encode(document["signed"])).hex()
    document["signatures"] = [{"keyid": tuf_key(key.public).keyid, "sig": signature}]
    data = canonical_json.encode(document)
    (site.public / one.path).unlink()
    (site.public / one.path).write_bytes(data)
    listed = Listed(one.path, len(data), hashlib.sha256(data).hexdigest())
    return lists._replace(named={**lists.named, name: listed}, read={})


def nothing(signed: dict[str, Any]) -> None:
    pass


def another_version(signed: dict[str, Any]) -> None:
    signed["version"] += 1


@pytest.mark.parametrize("name", ["site", "ppwp", "ppwp-1101"])
def test_who_signed_a_list(site: Published, name: str) -> None:
    """A list counts with the signature of its own role's key, and with no other key of the publisher's."""
    assert problems(site.public, lists_of(site.public, 1)) == problems(site.public, lists_of(site.public, 2)) == []
    assert problems(site.public, signed_anew(site, name, name, nothing)) == []
    (told,) = problems(site.public, signed_anew(site, name, "timestamp", nothing))[:1]
    assert told.startswith(f"metadata/1.{name}.json: wrong or too few signatures")


def test_an_audit_tells_of_it(site: Published, tmp_path: Path) -> None:
    """What the wrong key signed is a finding about the release that names it."""
    cut, lists = Workspace(site.folder).ledger.cuts[0], signed_anew(site, "site", "timestamp", nothing)
    with Workshop(1) as workshop:
        (told,) = Earlier(DirectoryFetcher(site.public), tmp_path, [], 1, workshop)._trust_problems(cut, lists)
    assert told.startswith("release 1: metadata/1.site.json: wrong or too few signatures")


def test_a_list_of_another_version(site: Published) -> None:
    """A list that says another version than its name is none of that release's."""
    assert problems(site.public, signed_anew(site, "site", "site", another_version)) == [
        "metadata/1.site.json: it is version 2"
    ]


def test_lists_that_nobody_delegates_to(site: Published) -> None:
    """A snapshot names all lists to which a role delegates, and no others."""
    lists = lists_of(site.public, 1)
    more = lists._replace(named={**lists.named, "guest": lists.named["site"]})
    assert problems(site.public, more) == ["its snapshot names guest, to which nobody delegates"]
    less = lists._replace(named={name: one for name, one in lists.named.items() if name != "ppwp-1101"})
    assert problems(site.public, less) == ["its snapshot leaves out ppwp-1101, to which a role delegates"]


def test_delegations_in_a_circle(site: Published) -> None:
    """A role to which two delegate is told, and a circle of them has an end."""

    def to_itself(signed: dict[str, Any]) -> None:
        signed["delegations"]["roles"][0]["name"] = "ppwp"

    told = problems(site.public, signed_anew(site, "ppwp", "ppwp", to_itself))
    assert "two roles delegate to ppwp" in told


def test_a_root_that_has_not_signed_itself(site: Published) -> None:
    """Bytes that only look like the root of then vouch for nothing."""
    path = site.public / "metadata/1.root.json"
    data = path.read_bytes().replace(b'"sig":"', b'"sig":"00')
    path.unlink()
    path.write_bytes(data)
    with pytest.raises(VerificationError):
        problems(site.public, lists_of(site.public, 1))


def test_a_list_that_is_gone(site: Published) -> None:
    """Of a list that is not public any more nothing is said here, nor of those below it."""
    (site.public / "metadata/1.ppwp.json").unlink()
    assert problems(site.public, lists_of(site.public, 1)) == []


def test_the_keys_of_then_count(tmp_path: Path) -> None:
    """After a key was replaced an earlier release is judged by the root of its own time, and not by today's."""
    operator = Operator(tmp_path)
    operator.rotate("snapshot")
    operator.sign()
    deliver(tmp_path, {"one": correction()})
    assert operator.publish() == 2
    public = tmp_path / "public" / "uji"
    (told,) = problems(public, lists_of(public, 1), root=2)
    assert told.startswith("its snapshot: wrong or too few signatures")
    root = tmp_path / "keys/metadata/1.root.json"
    words = ("--root", root, "--state", tmp_path / "auditor", "--all-releases", "--json")
    told_of = json.loads(run(terbit_verify, "audit", public, *words).stdout)
    assert (told_of["problems"], [one["verdict"] for one in told_of["releases"]]) == ([], ["same", ""])
