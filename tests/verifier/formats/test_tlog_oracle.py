"""Go's note and tlog packages, which run Go's checksum database, say the same as we do."""

import base64
import itertools
import json
import random

import pytest

from tests.oracles.tlog import go_tlog
from tests.verifier.formats.tlog import LOG, VECTORS, WITNESS, grown, signer
from verifier.errors import FormatError, VerificationError
from verifier.formats import merkle
from verifier.formats.checkpoint import Checkpoint, SignedCheckpoint
from verifier.formats.cosignature import cosign, cosigned_at
from verifier.formats.encoding import encode_base64
from verifier.formats.note import ED25519, Note, VerifierKey, sign, signed_by
from verifier.formats.tiles import Tile, node_reader

SIZE = 66_000

# What Go takes and we refuse: it caps nothing at 64 lines or 255 bytes, decodes base64 with spare bits, and looks only
# at the first of a signer's lines.
STRICTER = {"65-signatures", "name-of-256-bytes", "spare-bits", "wrong-signature-beside-a-good-one"}


@pytest.fixture(scope="module")
def go(tmp_path_factory):
    return go_tlog(tmp_path_factory.mktemp("go"))


def verdict(data: bytes, vkeys: list[str]) -> str:
    """What we say of a note, in the oracle's words."""
    try:
        note = Note.parse(data)
        signers = [key for key in vkeys if signed_by(note, VerifierKey.parse(key))]
    except FormatError:
        return "format"
    except VerificationError:
        return "verification"
    return "signed" if signers else "unsigned"


def test_go_reads_notes_as_we_do(go):
    """Go's verdict on every shared note is ours, but for the few that we refuse on purpose."""
    notes = json.loads((VECTORS / "note.json").read_bytes())["notes"]
    said = go(open=[{"note": one["note_base64"], "vkeys": one["vkeys"]} for one in notes])["open"]
    differing = {one["name"] for one, verdict in zip(notes, said, strict=True) if one["expect"] != verdict}
    assert differing == STRICTER


def test_nothing_holds_for_us_that_does_not_hold_for_go(go):
    """Of 3,000 damaged notes, none is signed in our eyes and not in Go's, and what we call broken Go never calls signed."""
    chance = random.Random(1)
    text = "hasil.example/pemilu\n7\n\nbaris é\n"
    lines = [sign(text, LOG, signer(1)).encode(), "— other.example AAECA////w==\n"]
    pieces = [
        b"\n",
        b" ",
        b"+",
        b"=",
        b"\t",
        b"\0",
        b"\xff",
        "\u2014".encode(),
        "\u2003".encode(),
        b"A",
        b"\n\n",
        b"\r",
    ]
    notes = []
    for _ in range(3_000):
        chance.shuffle(lines)
        note = bytearray(f"{text}\n{''.join(lines)}".encode())
        for _ in range(chance.randint(0, 2)):
            place = chance.randrange(len(note))
            note[place : place + chance.randint(0, 1)] = chance.choice(pieces)
        notes.append(bytes(note))
    ours = [verdict(note, [LOG.encode()]) for note in notes]
    said = go(open=[{"note": encode_base64(note), "vkeys": [LOG.encode()]} for note in notes])["open"]
    assert {"signed", "unsigned", "format", "verification"} == set(ours)
    differing = [(mine, its) for mine, its in zip(ours, said, strict=True) if mine != its]
    assert {mine for mine, _ in differing} <= {"format"}
    assert len(differing) < 60


def test_go_signs_as_we_do(go):
    """Go's signature on a text is ours, byte for byte."""
    texts = ["\n", "satu\n", "satu\n\n\ndua é\n", Checkpoint(LOG.name, 7, bytes(32)).encode()]
    secret = f"PRIVATE+KEY+{LOG.name}+{LOG.key_id.hex()}+{encode_base64(bytes([ED25519]) + bytes([1]) * 32)}"
    said = go(sign=[{"text": text, "skey": secret} for text in texts])["sign"]
    assert [base64.b64decode(note) for note in said] == [
        Note(text, (sign(text, LOG, signer(1)),)).encode() for text in texts
    ]


def test_go_verifies_our_cosignatures(go):
    """A checkpoint that a witness cosigned is signed by that witness in Go's eyes, and not once its time is changed."""
    head = Checkpoint(LOG.name, 7, bytes(32))
    whole = SignedCheckpoint(head, (cosign(head, WITNESS, 1_555_570_800, signer(10)),))
    other = SignedCheckpoint(Checkpoint(LOG.name, 8, bytes(32)), whole.signatures)
    asked = [{"note": encode_base64(one.encode()), "vkeys": [WITNESS.encode()]} for one in (whole, other)]
    assert cosigned_at(whole, WITNESS) == 1_555_570_800
    assert go(open=asked)["open"] == ["signed", "verification"]


def test_go_grows_the_same_tree(go):
    """Roots, proofs and tiles of a log of 66,000 entries are Go's, whatever pieces it was appended in."""
    chance = random.Random(2)
    sizes = sorted(
        {1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, SIZE, *chance.choices(range(1, SIZE), k=100)}
    )
    inclusion = [(chance.randrange(size), size) for size in sizes]
    consistency = [(chance.randint(1, size), size) for size in sizes]
    _, files = grown(*(b - a for a, b in itertools.pairwise([0, *sizes])))
    tiles = [path for path in files if "entries" not in path]
    said = go(
        entries=SIZE,
        sizes=sizes,
        inclusion=inclusion,
        consistency=consistency,
        tiles=[path.replace("tile/", "tile/8/") for path in tiles],
    )

    def node(size):
        return node_reader(
            size, lambda tile: (files.get(tile.path) or files[Tile(tile.level, tile.index).path])[: tile.width * 32]
        )

    def text(hashes):
        return [encode_base64(one) for one in hashes]

    assert said["roots"] == text(merkle.tree_hash(size, node(size)) for size in sizes)
    assert said["inclusion"] == [text(merkle.inclusion_proof(index, size, node(size))) for index, size in inclusion]
    assert said["consistency"] == [text(merkle.consistency_proof(old, size, node(size))) for old, size in consistency]
    assert [base64.b64decode(data) for data in said["tiles"]] == [files[path] for path in tiles]


def test_go_reads_paths_as_we_do(go):
    """Go reads every shared tile path that we read; what we refuse it refuses too, but for levels that no tree has."""
    cases = json.loads((VECTORS / "tile-paths.json").read_bytes())
    paths = [case["path"].replace("tile/", "tile/8/", 1).replace("/entries/", "/data/") for case in cases]
    for case, taken in zip(cases, go(paths=paths)["paths"], strict=True):
        deeper = case["path"] in {"tile/8/000", "tile/64/000", "tile/data/000"}
        assert taken == (case["expect"] == "success" or deeper), case["path"]
