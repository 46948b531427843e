"""A keyid is the hash of its key, for whoever signs and for whoever checks."""

from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner, Key
from tuf.api.metadata import Metadata, Root

from tests.verifier.site_simulator import SiteSimulator
from tests.verifier.test_client import refreshed
from verifier.errors import VerificationError
from verifier.formats.keyid import keyid, misnamed_keys


def under_keyid_of(owner: CryptoSigner, stranger: CryptoSigner) -> Key:
    """The stranger's key under the owner's keyid."""
    return Key.from_dict(owner.public_key.keyid, stranger.public_key.to_dict())


def test_keyids_of_others_agree():
    """Keyids are those that python-tuf and securesystemslib compute by default."""
    for key in (CryptoSigner.generate_ed25519().public_key, CryptoSigner.generate_ecdsa().public_key):
        assert keyid(key.to_dict()) == key.keyid
        assert misnamed_keys({key.keyid: key}) == []


@pytest.mark.parametrize("where", ["first root", "next root", "targets", "ppwp"])
def test_a_strangers_key_under_a_genuine_keyid_is_refused(where: str, tmp_path: Path) -> None:
    """Metadata whose signatures all hold is refused when a keyid in it stands for another key than its own."""
    site, stranger = SiteSimulator(), CryptoSigner.generate_ed25519()
    if where.endswith("root"):
        root = Metadata[Root].from_bytes(site.tree["metadata/1.root.json"]).signed
        genuine = site.keys["timestamp"]
        root.keys[genuine.public_key.keyid] = under_keyid_of(genuine, stranger)
        root.version = 1 if where == "first root" else 2
        metadata = Metadata(root)
        metadata.sign(site.keys["root"])
        site.tree[f"metadata/{root.version}.root.json"] = metadata.to_bytes()
    else:
        name = site.delegations[where][0].name
        delegations = site.roles[where].delegations
        assert delegations is not None
        delegations.keys[site.keys[name].public_key.keyid] = under_keyid_of(site.keys[name], stranger)
        site.sign()
    with pytest.raises(VerificationError, match=r"keyid [0-9a-f]{64} is not the hash"):
        refreshed(site, tmp_path).roles()
