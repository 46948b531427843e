"""aics-tlog, another C2SP implementation in Python (3.12 and later), takes our log."""

import pytest

from tests.verifier.formats.tlog import LOG, WITNESS, entries, grown, signed, signer
from verifier.formats import merkle
from verifier.formats.checkpoint import Checkpoint, SignedCheckpoint
from verifier.formats.cosignature import cosign
from verifier.formats.tiles import node_reader

aics = pytest.importorskip("aics_tlog")

EDGE, FILES = grown(70_000)
HEAD = Checkpoint(LOG.name, EDGE.size, EDGE.root())
CHECKPOINT = SignedCheckpoint(HEAD, (*signed(HEAD).signatures, cosign(HEAD, WITNESS, 1_555_570_800, signer(10))))


def test_every_tile_and_entry_is_authentic():
    """aics-tlog audits every tile and bundle of 70,000 entries against our root hash."""
    report = aics.audit_tiles(aics.MemoryTileReader(FILES), EDGE.size, EDGE.root())
    assert report.size == EDGE.size


def test_proofs_are_the_same():
    """aics-tlog makes our proofs from our tiles, and verifies them."""
    node, reader = node_reader(EDGE.size, lambda tile: FILES[tile.path]), aics.MemoryTileReader(FILES)
    proof = merkle.inclusion_proof(65_535, EDGE.size, node)
    assert tuple(aics.inclusion_proof_from_tiles(reader, 65_535, EDGE.size)) == proof
    assert aics.verify_leaf_inclusion(entries(1, 65_535)[0], 65_535, EDGE.size, proof, EDGE.root())
    assert tuple(aics.consistency_proof_from_tiles(reader, 257, EDGE.size)) == merkle.consistency_proof(
        257, EDGE.size, node
    )


def test_the_checkpoint_is_signed_and_witnessed():
    """aics-tlog finds our log's signature and our witness's cosignature on our checkpoint."""
    note = aics.parse_note(CHECKPOINT.encode())
    result = aics.verify_checkpoint(
        note, aics.parse_vkey(LOG.encode()), [aics.parse_vkey(WITNESS.encode())], 1, expected_origin=LOG.name
    )
    assert result.ok, result
