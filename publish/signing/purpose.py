"""What keys are for: a rehearsal or a real election, for as long as they are in force. Pure.

A rehearsal's figures are made up. Keys that have signed for one must never vouch for a real election, nor the other way round: the root that clients
trust, and the log's origin, are what tells the two apart.
"""

from builder.errors import DefinitionError
from builder.toml import parse_toml
from publish.errors import SigningError

__all__ = ["DEFINITION", "check_purpose"]

DEFINITION = "trust/election.toml"


def check_purpose(in_force: bytes | None, wanted: bytes | None) -> None:
    """Compare the definition that keys vouch for with one that they should: `election.toml`, None where there is none.

    Raises:
        SigningError: one has `test = true` and the other has not, or cannot be read.
    """
    before, after = _is_test(in_force), _is_test(wanted)
    if before == after:
        return
    these, other = ("a rehearsal", "a real election") if before else ("a real election", "a rehearsal")
    said = "has test = true, and this one has not" if before else "does not have test = true, and this one has"
    raise SigningError(
        f"these keys are for {these}: the election.toml that they have signed {said}. They never sign for {other}; "
        "make new keys, for a log of another origin, in a new workspace: terbit init NEW, then terbit keys init -C NEW"
    )


def _is_test(definition: bytes | None) -> bool:
    try:
        return (
            definition is not None
            and parse_toml(definition, file=DEFINITION, error=DefinitionError).get("test") is True
        )
    except DefinitionError as error:
        raise SigningError(f"{DEFINITION} cannot be read: {error.problem}; nothing of it is signed") from None
