"""The Merkle tree of RFC 6962, section 2.1, over SHA-256: hashes, inclusion and consistency proofs.

Proofs are made through a `Node` function, so that whoever has tiles reads only what a proof needs; they are verified by
the iterative algorithms of RFC 9162, sections 2.1.3.2 and 2.1.4.2, from hashes alone.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence

from verifier.errors import VerificationError

__all__ = [
    "EMPTY_ROOT",
    "Node",
    "consistency_proof",
    "fold",
    "inclusion_proof",
    "leaf_hash",
    "node_hash",
    "tree_hash",
    "verify_consistency",
    "verify_inclusion",
]

EMPTY_ROOT = hashlib.sha256(b"").digest()

Node = Callable[[int, int], bytes]  # (level, index) → hash of the entries index * 2**level … (index + 1) * 2**level - 1


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """The hash of the perfect subtree over `hashes`, whose number is a power of two."""
    while len(hashes) > 1:
        hashes = [node_hash(left, right) for left, right in zip(hashes[::2], hashes[1::2], strict=True)]
    return hashes[0]


def _split(size: int) -> int:
    """The largest power of two smaller than `size`, which is at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def _range_hash(start: int, size: int, node: Node) -> bytes:
    """MTH(D[start : start + size]); as in any RFC 6962 tree, `start` is a multiple of the range's first split."""
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return node(level, start >> level)
    left = _split(size)
    return node_hash(_range_hash(start, left, node), _range_hash(start + left, size - left, node))


def tree_hash(size: int, node: Node) -> bytes:
    """The root hash of the first `size` entries."""
    return _range_hash(0, size, node) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, node: Node) -> tuple[bytes, ...]:
    """PATH(index, D[size]), from the leaf's sibling upwards; VerificationError if there is no such entry."""
    if not 0 <= index < size:
        raise VerificationError(f"there is no entry {index} in a tree of {size}")
    proof, start = [], 0
    while size > 1:
        left = _split(size)
        if index - start < left:
            proof.append(_range_hash(start + left, size - left, node))
            size = left
        else:
            proof.append(_range_hash(start, left, node))
            start, size = start + left, size - left
    return tuple(reversed(proof))


def consistency_proof(old_size: int, size: int, node: Node) -> tuple[bytes, ...]:
    """PROOF(old_size, D[size]); empty from 0 or from `size` itself; VerificationError if the tree has shrunk."""
    if not 0 <= old_size <= size:
        raise VerificationError(f"a tree of {size} entries does not follow one of {old_size}")
    proof: list[bytes] = []
    start, end = 0, old_size
    while 0 < end < size:
        left = _split(size)
        if end <= left:
            proof.append(_range_hash(start + left, size - left, node))
            size = left
        else:
            proof.append(_range_hash(start, left, node))
            start, end, size = start + left, end - left, size - left
    if start:  # the old tree's last subtree is not the whole old tree, which the verifier has
        proof.append(_range_hash(start, size, node))
    return tuple(reversed(proof))


def _climb(position: int, last: int, proof: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each hash of a proof from node `position` of a row that ends at `last`, and whether it stands on the left."""
    for sibling in proof:
        if last == 0:
            raise VerificationError("a proof of the log is too long")
        on_the_left = position & 1 == 1 or position == last
        yield sibling, on_the_left
        while on_the_left and position and not position & 1:  # the last node of a row rises alone
            position, last = position >> 1, last >> 1
        position, last = position >> 1, last >> 1
    if last:
        raise VerificationError("a proof of the log is too short")


def verify_inclusion(leaf: bytes, index: int, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """Return if the entry with hash `leaf` is entry `index` of the tree; else VerificationError."""
    if not 0 <= index < size:
        raise VerificationError(f"there is no entry {index} in a tree of {size}")
    known = leaf
    for sibling, on_the_left in _climb(index, size - 1, proof):
        known = node_hash(sibling, known) if on_the_left else node_hash(known, sibling)
    if known != root:
        raise VerificationError(f"the entry is not entry {index} of the tree of {size} with this root hash")


def verify_consistency(old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """Return if the tree of `size` entries has that of `old_size` as its beginning; else VerificationError."""
    if not 0 <= old_size <= size:
        raise VerificationError(f"a tree of {size} entries does not follow one of {old_size}: the log was cut")
    if (old_size == 0 and old_root != EMPTY_ROOT) or (size == 0 and root != EMPTY_ROOT):
        raise VerificationError("an empty tree has another root hash than this")
    if old_size in {0, size}:
        holds = not proof and (old_size == 0 or old_root == root)
    else:
        holds = _follow(old_size, old_root, size, proof) == (old_root, root)
    if not holds:
        raise VerificationError(
            f"the tree of {size} entries does not continue that of {old_size}: the log's past was changed"
        )


def _follow(old_size: int, old_root: bytes, size: int, proof: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """The old and the new root hash that a proof leads to, 0 < `old_size` < `size`; None if it leads nowhere."""
    if old_size & (old_size - 1) == 0:  # the old tree is one node of the new one; proofs leave it out
        proof = [old_root, *proof]
    if not proof:
        return None
    position, last = old_size - 1, size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = proof[0]
    for sibling, on_the_left in _climb(position, last, proof[1:]):
        if on_the_left:
            old = node_hash(sibling, old)
        new = node_hash(sibling, new) if on_the_left else node_hash(new, sibling)
    return old, new
