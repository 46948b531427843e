"""boto3's side of a bucket: what is no matter of single objects."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import urllib3

from publish.targets.waiting import BUSY
from verifier.deadline import Deadline, with_deadlines

if TYPE_CHECKING:
    from publish.config import TargetConfig

__all__ = ["open_client", "retry_after"]

SECONDS = 5.0


def open_client(config: "TargetConfig", profile: str | None) -> Any:  # noqa: ANN401 - boto3 has no types
    """boto3's client for a target's server, with the credentials of `profile` or the target's own."""
    import boto3
    from botocore.config import Config

    style = Config(
        signature_version="s3v4",
        connect_timeout=SECONDS,
        read_timeout=30,
        retries={"mode": "standard", "total_max_attempts": 3},
        s3={"addressing_style": "path" if config.path_style else "virtual"},
    )
    session = boto3.Session(profile_name=profile or config.profile)
    return session.client("s3", endpoint_url=config.endpoint, region_name=config.region, config=style)


def retry_after(config: "TargetConfig", profile: str | None) -> Callable[[], float]:
    """Asks a busy server what obstore does not tell: for how many seconds it wants to be left alone (RFC 9110, section 10.2.3); 0 if it is not busy any more."""

    def ask() -> float:
        from botocore.exceptions import BotoCoreError

        pool = with_deadlines(urllib3.PoolManager(retries=False, timeout=SECONDS))
        try:
            url = open_client(config, profile).generate_presigned_url("head_bucket", {"Bucket": config.bucket})
            with Deadline().running(SECONDS):
                answer = pool.request("HEAD", url)
            asked = answer.headers.get("Retry-After") if answer.status in BUSY else None
            return max(0.0, float(urllib3.Retry().parse_retry_after(asked))) if asked else 0.0
        except (BotoCoreError, urllib3.exceptions.HTTPError, ValueError, OSError):
            return 0.0

    return ask
