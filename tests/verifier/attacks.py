"""What a stranger, or a thief of a key, does to a simulated site."""

from collections.abc import Callable

from securesystemslib.signer import CryptoSigner

from tests.verifier.site_simulator import A, B, SiteSimulator

__all__ = ["Change", "drop", "flip", "strangers_key", "swap_objects", "with_other_shards_key"]

Change = Callable[[SiteSimulator], None]


def flip(path_of: Callable[[SiteSimulator], str]) -> Change:
    """One bit of a file."""

    def change(site: SiteSimulator) -> None:
        path = path_of(site)
        data = bytearray(site.tree[path])
        data[len(data) // 2] ^= 1
        site.tree[path] = bytes(data)

    return change


def drop(path_of: Callable[[SiteSimulator], str]) -> Change:
    return lambda site: site.tree.pop(path_of(site)) and None


def swap_objects(site: SiteSimulator) -> None:
    first, second = site.object_of(A), site.object_of(B)
    site.tree[first], site.tree[second] = site.tree[second], site.tree[first]


def with_other_shards_key(site: SiteSimulator) -> None:
    site.signers["ppwp-12"] = site.keys["ppwp-11"]
    site.publish()


def strangers_key(role: str) -> Change:
    def change(site: SiteSimulator) -> None:
        site.signers[role] = CryptoSigner.generate_ed25519()
        site.publish()

    return change
