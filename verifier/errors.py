"""The verifier's errors: one root, four leaves, each with its exit code."""

__all__ = ["FetchError", "FormatError", "StaleError", "VerificationError", "VerifierError"]


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
