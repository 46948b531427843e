"""What of missing scans is said without a whole site: tests/publish/test_redaction.py has the rest."""

from verifier.errors import FetchError
from verifier.files import MissingScan
from verifier.formats.checkpoint import Checkpoint
from verifier.withheld import Redactions, judge_missing


class Silent:
    """A source that answers nothing, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def fetch(self, path: str, max_length: int) -> bytes:
        self.asked += 1
        raise FetchError(f"{path} could not be fetched")


def test_a_log_that_cannot_be_had_is_asked_for_once() -> None:
    """A source without scans and without a log is not asked for the whole log again for each scan, and each is told of."""
    source, missing = Silent(), [MissingScan(f"packages/{number}/c1.png", f"{number}", "00") for number in range(50)]
    order = Redactions(source, Checkpoint("log.example", 1, bytes(32))).order  # type: ignore[arg-type]
    withheld, failures = judge_missing(missing, source, order)  # type: ignore[arg-type]
    assert withheld == ()
    assert [(one.path, one.unanswered) for one in failures] == [(one.path, True) for one in missing]
    assert source.asked == 1
