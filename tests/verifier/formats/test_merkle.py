"""The Merkle tree: proofs made and verified at every size, against the recursive definitions of RFC 6962."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.verifier.formats.tlog import expecting, naive_root, vectors
from verifier.errors import VerificationError
from verifier.formats import merkle

HASHES = [merkle.leaf_hash(bytes([number % 256, number // 256])) for number in range(300)]


def node(level: int, index: int) -> bytes:
    return naive_root(HASHES[index << level : (index + 1) << level])


def hashes(values: list[str]) -> list[bytes]:
    return [bytes.fromhex(value) for value in values]


@vectors("tree", "inclusion")
def test_shared_inclusion_proofs(vector):
    """Each shared inclusion proof holds, or is refused."""
    with expecting(vector["expect"]):
        merkle.verify_inclusion(
            bytes.fromhex(vector["leaf_hex"]),
            vector["index"],
            vector["size"],
            bytes.fromhex(vector["root_hex"]),
            hashes(vector["proof_hex"]),
        )


@vectors("tree", "consistency")
def test_shared_consistency_proofs(vector):
    """THREATS 14, 16: each shared consistency proof holds; rollback, fork and two heads of one size are refused."""
    with expecting(vector["expect"]):
        merkle.verify_consistency(
            vector["old_size"],
            bytes.fromhex(vector["old_root_hex"]),
            vector["size"],
            bytes.fromhex(vector["root_hex"]),
            hashes(vector["proof_hex"]),
        )


sizes = st.integers(1, len(HASHES)).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1)))


@given(sizes)
def test_inclusion_proofs_hold_for_their_entry_alone(case):
    """At every size, an entry's proof is RFC 6962's, holds for that entry and index, and for no other."""
    size, index = case
    proof, root = merkle.inclusion_proof(index, size, node), naive_root(HASHES[:size])
    assert list(proof) == naive_path(index, HASHES[:size])
    merkle.verify_inclusion(HASHES[index], index, size, root, proof)
    for other in {0, index ^ 1, index - 1, index + 1, size - 1} - {index}:
        with pytest.raises(VerificationError):
            merkle.verify_inclusion(HASHES[index], other, size, root, proof)
    with pytest.raises(VerificationError):
        merkle.verify_inclusion(HASHES[index - 1] if size > 1 else bytes(32), index, size, root, proof)


@given(sizes)
def test_consistency_proofs_hold_for_their_trees_alone(case):
    """Between any two sizes, a proof is RFC 6962's and holds, and for no changed root and no part of the proof."""
    size, old = case
    proof = merkle.consistency_proof(old, size, node)
    old_root, root = naive_root(HASHES[:old]), naive_root(HASHES[:size])
    assert list(proof) == (naive_consistency(old, HASHES[:size], True) if old else [])
    merkle.verify_consistency(old, old_root, size, root, proof)
    changed = [(bytes(32), root, proof), (old_root, root, (*proof, bytes(32)))]
    changed += [(old_root, bytes(32), proof), (old_root, root, proof[:-1]), (old_root, root, proof[1:])] if old else []
    for arguments in changed:
        with pytest.raises(VerificationError):
            merkle.verify_consistency(old, arguments[0], size, *arguments[1:])


def test_every_size_has_the_root_that_the_definition_gives():
    """From 0 to 300 entries the tree hash is that of the recursive definition."""
    assert all(merkle.tree_hash(size, node) == naive_root(HASHES[:size]) for size in range(0, 301, 7))


@given(st.integers(), st.integers(), st.lists(st.binary(min_size=32, max_size=32), max_size=70))
def test_verification_ends_for_any_numbers(index, size, proof):
    """Whatever numbers and hashes a stranger sends, verification says no."""
    with pytest.raises(VerificationError):
        merkle.verify_inclusion(HASHES[0], index, size, HASHES[1], proof)
    with pytest.raises(VerificationError):
        merkle.verify_consistency(index, HASHES[0], size, HASHES[1], [HASHES[2], *proof])


@pytest.mark.parametrize("ask", [(5, 5), (-1, 5), (0, 0)], ids=["beyond", "negative", "empty"])
def test_no_proof_is_made_of_what_is_not_there(ask):
    """An entry outside the tree, or a tree larger than its successor, has no proof."""
    with pytest.raises(VerificationError):
        merkle.inclusion_proof(*ask, node)
    with pytest.raises(VerificationError):
        merkle.consistency_proof(6 if ask[0] >= 0 else -1, 5, node)


def split(size: int) -> int:
    return max(1 << bit for bit in range(10) if 1 << bit < size)


def naive_path(index: int, tree: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962, section 2.1.1."""
    if len(tree) == 1:
        return []
    k = split(len(tree))
    if index < k:
        return [*naive_path(index, tree[:k]), naive_root(tree[k:])]
    return [*naive_path(index - k, tree[k:]), naive_root(tree[:k])]


def naive_consistency(old: int, tree: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962, section 2.1.2."""
    if old == len(tree):
        return [] if whole else [naive_root(tree)]
    k = split(len(tree))
    if old <= k:
        return [*naive_consistency(old, tree[:k], whole), naive_root(tree[k:])]
    return [*naive_consistency(old - k, tree[k:], False), naive_root(tree[:k])]
