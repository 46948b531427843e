"""The verifier's errors: one root, four leaves, each with its exit code; and how a message is shown."""

__all__ = ["FetchError", "FormatError", "StaleError", "VerificationError", "VerifierError", "printable"]


class VerifierError(Exception):
    """Anything that keeps the verifier from saying "checked"."""

    exit_code = 1


class FormatError(VerifierError):
    """Bytes that are not what their format says. Nothing in them was trusted."""

    exit_code = 4


class VerificationError(VerifierError):
    """A signature, hash, length or name does not hold: the file is not what was published."""

    exit_code = 4


class StaleError(VerifierError):
    """All signatures hold, but the newest of them has expired: this may be an old state."""

    exit_code = 5


class FetchError(VerifierError):
    """A file could not be had (network, disk, missing): this says nothing about what was published."""


def printable(text: str) -> str:
    """Names come from strangers: no escape sequence or direction mark of theirs reaches the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
