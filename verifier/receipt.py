"""Receipts: what became of a package that was handed in, proved by the public log (docs/formats.md, "Receipt").

Whoever holds one can show that a package came, though the publisher drops it or says that it never did (threat 28).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from verifier.errors import VerificationError
from verifier.formats.leaves import Package, Refused, parse_leaf
from verifier.formats.tlog_policy import Policy
from verifier.formats.tlog_proof import LogProof

__all__ = ["Receipt", "check_receipt"]


@dataclass(frozen=True)
class Receipt:
    """Entry `index` of the log `origin` says that the package was accepted, or refused for these `rules`; which witnesses saw it, and when (Unix
    seconds)."""

    package: str
    rules: tuple[str, ...]
    index: int
    origin: str
    witnesses: Mapping[str, int]

    @property
    def accepted(self) -> bool:
        return not self.rules


def check_receipt(data: bytes, package: str, policy: Policy) -> Receipt:
    """What a receipt proves about the package of this hash; VerificationError if it proves nothing, or is about another one."""
    proof = LogProof.parse(data)
    witnesses = policy.check(proof.checkpoint)
    proof.check(proof.extra)
    leaf = parse_leaf(proof.extra)
    if not isinstance(leaf, Package | Refused):
        raise VerificationError("this is a log proof, but not of a package that came in")
    if leaf.package != package:
        raise VerificationError(f"the receipt is for package {leaf.package}, not for {package}")
    rules = leaf.rules if isinstance(leaf, Refused) else ()
    return Receipt(package, rules, proof.index, proof.checkpoint.checkpoint.origin, witnesses)
