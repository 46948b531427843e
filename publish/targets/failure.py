"""What an error of the storage library means, in a few words.

object_store gives its errors as text alone: a line with method, address and status, the body of the server's answer, and behind "Debug source:" the chain of
causes. Of this the operator gets the host, the server's code and the innermost cause.
"""

import re
from http.client import responses
from urllib.parse import urlsplit

__all__ = ["explain", "explain_answer", "is_missing_bucket", "is_refused", "is_unanswered"]

# S3's codes for a key that the server does not know, or whose secret is another one (Amazon S3 API Reference, "Error responses").
UNKNOWN_KEYS = frozenset(["InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"])
BROKEN = {"TimedOut": "no answer in time", "IncompleteMessage": "the connection broke off"}
LONGEST = 200


def is_missing_bucket(error: BaseException) -> bool:
    """True if not the file is missing but the whole bucket."""
    return _code(str(error)) == "NoSuchBucket"


def is_refused(error: BaseException | None) -> bool:
    """True if the server answered that these credentials may not do this."""
    return re.search(r"status code: 40[13]", str(error)) is not None


def is_unanswered(error: BaseException | None) -> bool:
    """True if the server gave no answer at all: whoever asks again only waits again."""
    return "HttpError {" in str(error)


def explain(error: BaseException) -> str:
    """Host and cause in one line, and what to look at where that is known."""
    text = str(error)
    code = _code(text)
    address = re.search(r"Error performing [A-Z]+ (\S+)", text)
    host = f"{urlsplit(address[1]).netloc}: " if address else ""
    if code == "NoSuchBucket":
        return f"{host}there is no such bucket; look at bucket, endpoint and region in terbit.toml"
    if code in UNKNOWN_KEYS:
        return f"{host}the server does not take these credentials ({code}); look at key, secret and profile"
    if is_refused(error):
        told = f" ({code})" if code else ""
        return f"{host}these credentials may not do this{told}; look at them and at the bucket's policy"
    return host + _cause(text, code)


def explain_answer(host: str, status: int, body: bytes) -> str:
    """The same for an answer that somebody else has read: its status and the beginning of its body."""
    return f"{host}: " + explain(OSError(f"status code: {status} {responses.get(status, '')}: {body[:2000]!r}"))


def _code(text: str) -> str:
    found = re.search(r"<Code>([A-Za-z0-9]{1,60})</Code>", text)
    return found[1] if found else ""


def _cause(text: str, code: str) -> str:
    if status := re.search(r"status code: (\d{3}[A-Za-z ]*)", text):
        return f"the server answers {status[1].strip()}" + (f" ({code})" if code else "")
    told = re.findall(r'(?:message|error): "([^"\n]+)"', text)
    broken = [words for name, words in BROKEN.items() if name in text]
    return (told or broken or [text.partition("\n")[0]])[-1][:LONGEST]
