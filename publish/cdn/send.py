"""Sends purge requests: several at once, each repeated while its server is busy, none at all to one that is down."""

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import urllib3

from publish.cdn.batches import HttpRequest, Invalidation, Request
from verifier.deadline import Deadline, with_deadlines

__all__ = ["Sender"]

CONCURRENCY = 16
ATTEMPTS = 4
FIRST_WAIT = 0.5  # seconds; doubled for each further attempt, and a random part of it added
LONGEST_WAIT = 30.0  # a server that wants to be left alone for longer is: the next run comes soon
GIVE_UP = 8  # failed requests without one success between: the rest would only hold up the publisher
BUSY = frozenset([408, 429, 500, 502, 503, 504])
# The modules for nginx answer so where nothing was kept under the address.
NOTHING_KEPT = frozenset([404, 412])
TIMEOUT = urllib3.Timeout(connect=5, read=30)
ALTOGETHER = 40.0  # seconds for one request and its answer
ANSWER = 4_096  # bytes read of an answer


class Sender:
    """Sends to one CDN. `profile` is of AWS's files, `distribution` CloudFront's; `sleep` waits some seconds."""

    def __init__(
        self, *, distribution: str = "", profile: str | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._distribution, self._profile, self._sleep = distribution, profile, sleep
        self._pool = with_deadlines(urllib3.PoolManager(maxsize=CONCURRENCY, timeout=TIMEOUT, retries=False))
        self._lock, self._failed_in_a_row = threading.Lock(), 0

    def send(self, requests: Iterable[Request], advance: Callable[[int], None]) -> list[tuple[Request, str]]:
        """Send all; returns those that failed, and why. Calls `advance` with the number of paths done."""
        failed = []

        def work(request: Request) -> None:
            if problem := self._send(request):
                failed.append((request, problem))
            advance(len(request.paths))

        with ThreadPoolExecutor(CONCURRENCY) as threads:
            list(threads.map(work, requests))
        return failed

    def _send(self, request: Request) -> str | None:
        if self._failed_in_a_row >= GIVE_UP:
            return "not tried after the others had failed"
        problem = self._invalidate(request) if isinstance(request, Invalidation) else self._repeat(request)
        with self._lock:
            self._failed_in_a_row = self._failed_in_a_row + 1 if problem else 0
        return problem

    def _repeat(self, request: HttpRequest) -> str | None:
        """Send one request until it is answered for good. None, or the last problem."""
        for attempt in range(1, ATTEMPTS + 1):
            problem, wait = self._once(request)
            if problem is None or wait is None or attempt == ATTEMPTS:
                break
            backoff = FIRST_WAIT * 2 ** (attempt - 1) * (1 + random.random())  # noqa: S311 - only spreads the load
            if (pause := max(wait, backoff)) > LONGEST_WAIT:
                break
            self._sleep(pause)
        return problem

    def _once(self, request: HttpRequest) -> tuple[str | None, float | None]:
        """The problem if there is one, and how long to wait at least before it is worth another try (None: it is not)."""
        where = f"{request.method} {request.url}"
        with Deadline().running(ALTOGETHER) as deadline:
            try:
                # A redirect is not followed: the secret in the headers is for this server alone.
                answer = self._pool.request(
                    request.method,
                    request.url,
                    headers=dict(request.headers),
                    body=request.body,
                    redirect=False,
                    preload_content=False,
                )
                answer.read1(ANSWER)
                if answer.length_remaining != 0:
                    answer.close()
                answer.release_conn()
            except (urllib3.exceptions.HTTPError, ValueError, OSError) as error:
                # Names the kind of failure alone: an address or a header in the text might hold a secret.
                if not deadline.expired:
                    return f"{type(error).__name__}: {where}", 0.0
        if deadline.expired:  # whoever drips would do so again
            return f"no whole answer within {ALTOGETHER:g} s: {where}", None
        if 200 <= answer.status < 300 or (request.method == "PURGE" and answer.status in NOTHING_KEPT):
            return None, None
        return f"status {answer.status}: {where}", _retry_after(answer.headers) if answer.status in BUSY else None

    def _invalidate(self, one: Invalidation) -> str | None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            with self._lock:
                client = self._cloudfront
            client.create_invalidation(
                DistributionId=self._distribution,
                InvalidationBatch={
                    "Paths": {"Quantity": len(one.items), "Items": list(one.items)},
                    "CallerReference": one.reference,
                },
            )
        except (BotoCoreError, ClientError) as error:
            return f"CloudFront: {error}"
        return None

    @cached_property
    def _cloudfront(self) -> Any:  # noqa: ANN401 - boto3 has no types
        import boto3
        from botocore.config import Config

        retries = {"mode": "standard", "total_max_attempts": ATTEMPTS}
        config = Config(connect_timeout=5, read_timeout=30, retries=retries)
        # A global service; any region's name will do.
        return boto3.Session(profile_name=self._profile, region_name="us-east-1").client("cloudfront", config=config)


def _retry_after(headers: Mapping[str, str]) -> float:
    try:
        return max(0.0, float(urllib3.Retry().parse_retry_after(headers.get("Retry-After", "0"))))
    except urllib3.exceptions.InvalidHeader:
        return 0.0
