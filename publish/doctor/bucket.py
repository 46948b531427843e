"""The doctor at a bucket: what these credentials may do, what the server honours, what strangers may do. Touches a probe object alone."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import boto3
import urllib3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from publish.config import TargetConfig
from publish.doctor.judge import Finding, answered_at, judge_clock

__all__ = ["examine"]

PROBE, BODY = ".terbit-probe", b"terbit\n"
POLICY = "docs/storage/README.md"
WRONG_KEY = (
    "look at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile: the server does not know this key and secret"
)
REMEDIES = {
    "NoSuchBucket": "look at bucket and endpoint in terbit.toml, or make the bucket: docs/storage/apply.py",
    "InvalidAccessKeyId": WRONG_KEY,
    "SignatureDoesNotMatch": WRONG_KEY,
}
TIMEOUT = urllib3.Timeout(connect=5, read=10)
CONFIG = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2})


def examine(name: str, target: TargetConfig, election: str, clock: Callable[[], datetime]) -> Iterator[Finding]:
    """All checks of one bucket; the first that finds no way in is the last."""
    where = f"target {name}"
    try:
        style = CONFIG.merge(Config(s3={"addressing_style": "path" if target.path_style else "virtual"}))
        session = boto3.Session(profile_name=target.profile)
        client = session.client("s3", endpoint_url=target.endpoint, region_name=target.region, config=style)
        yield from _Bucket(where, client, target, election).examine(clock)
    except (BotoCoreError, ValueError) as error:
        fix = "look at endpoint, region, profile and the network; AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"
        yield Finding("fail", where, f"it cannot be reached: {error}", fix)


class _Bucket:
    def __init__(self, where: str, client: Any, target: TargetConfig, election: str) -> None:  # noqa: ANN401 - boto3
        self._where, self._client, self._target = where, client, target
        self._bucket, self._key = target.bucket, f"{target.prefix}{election}/{PROBE}"

    def examine(self, clock: Callable[[], datetime]) -> Iterator[Finding]:
        try:
            answer = self._put()
            yield Finding("ok", self._where, "the probe object was written")
            if (told := answered_at(answer["ResponseMetadata"]["HTTPHeaders"])) is not None:
                yield judge_clock(self._where, (clock() - told).total_seconds())
            if self._client.get_object(Bucket=self._bucket, Key=self._key)["Body"].read() != BODY:
                yield self._fail(
                    "the probe object does not read as it was written", "do not publish there; ask the provider"
                )
        except ClientError as error:
            yield self._fail(f"the probe object cannot be written and read ({_told(error)})", _remedy(error))
            return
        yield self._missing()
        yield self._conditions()
        yield self._checksum()
        yield self._deleting()
        yield from self._strangers()
        yield self._versions()
        yield self._lock()

    def _missing(self) -> Finding:
        """Without the right to list, a file that is missing looks like one that is forbidden."""
        refused = self._refusal(self._client.get_object, Key=f"{self._key}-missing")
        if refused is not None and _status(refused) == 404:
            return Finding("ok", self._where, "a missing file is told from a forbidden one")
        return self._fail(
            "a missing file looks like a forbidden one", f"allow s3:ListBucket, as iam-publisher.json does: {POLICY}"
        )

    def _conditions(self) -> Finding:
        create = self._refusal(self._client.put_object, Key=self._key, Body=BODY, IfNoneMatch="*")
        replace = self._refusal(self._client.put_object, Key=self._key, Body=BODY, IfMatch=f'"{"0" * 32}"')
        if all(one is not None and _status(one) in {409, 412} for one in (create, replace)):
            return Finding("ok", self._where, "conditional writes are honoured")
        what = "the server ignores or refuses conditional writes: two publishers could mix their releases"
        if self._target.without_conditions == "lock":
            return Finding(
                "warn", self._where, f"{what}; a lock object is used", "run one publisher only, or use another server"
            )
        return self._fail(what, 'use another server, or set without_conditions = "lock" for this target')

    def _checksum(self) -> Finding:
        wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
        if self._refusal(self._client.put_object, Key=self._key, Body=BODY, ChecksumSHA256=wrong) is not None:
            return Finding("ok", self._where, "an upload that does not fit its SHA-256 is refused")
        what = "an upload that does not fit its SHA-256 is taken: bytes may break on the way unnoticed"
        return Finding("warn", self._where, what, "let terbit guard run, which reads every file")

    def _deleting(self) -> Finding:
        if self._refusal(self._client.delete_object, Key=self._key) is not None:
            return Finding("ok", self._where, "these credentials may not delete")
        what = "these credentials may delete: so could whoever steals them"
        return Finding("warn", self._where, what, f"apply bucket-policy.json: {POLICY}")

    def _strangers(self) -> Iterator[Finding]:
        """What can be done without credentials."""
        pool = urllib3.PoolManager(retries=urllib3.Retry(total=1, redirect=0, raise_on_redirect=False), timeout=TIMEOUT)
        endpoint = self._target.endpoint or f"https://s3.{self._target.region}.amazonaws.com"
        base = f"{endpoint.rstrip('/')}/{self._bucket}"
        tries = (
            ("GET", f"{base}?list-type=2&max-keys=1", None, "list the bucket"),
            ("PUT", f"{base}/{self._key}", BODY, "write into it"),
        )
        for method, url, body, what in tries:
            try:
                status = pool.request(method, url, body=body).status
            except urllib3.exceptions.HTTPError as error:
                yield Finding(
                    "warn", self._where, f"it is not known whether strangers may {what} ({type(error).__name__})"
                )
                continue
            if status < 300:
                yield self._fail(
                    f"anybody may {what}", f"apply bucket-policy.json, and take other rights away: {POLICY}"
                )
            else:
                yield Finding("ok", self._where, f"strangers may not {what}")

    def _versions(self) -> Finding:
        try:
            status = self._client.get_bucket_versioning(Bucket=self._bucket).get("Status", "off")
        except ClientError as error:
            status = f"not known ({_told(error)})"
        if status == "Enabled":
            return Finding("ok", self._where, "versions are kept: overwritten bytes can be had back")
        return Finding("ok", self._where, f"versions: {status}. With them, overwritten bytes can be had back: {POLICY}")

    def _lock(self) -> Finding:
        try:
            found = self._client.get_object_lock_configuration(Bucket=self._bucket)["ObjectLockConfiguration"]
            rule = found.get("Rule", {}).get("DefaultRetention", {})
            told = (
                f"{rule['Mode']}, {rule.get('Days', rule.get('Years'))} {'days' if 'Days' in rule else 'years'}"
                if rule
                else "on, without a default"
            )
        except ClientError as error:
            told = "off" if "NotFound" in _told(error) else f"not known ({_told(error)})"
        return Finding("ok", self._where, f"Object Lock: {told}")

    def _put(self) -> Any:  # noqa: ANN401 - boto3
        return self._client.put_object(
            Bucket=self._bucket, Key=self._key, Body=BODY, ContentType="text/plain; charset=utf-8"
        )

    def _refusal(self, do: Callable[..., Any], **arguments: Any) -> ClientError | None:  # noqa: ANN401 - boto3
        try:
            do(Bucket=self._bucket, **arguments)
        except ClientError as error:
            return error
        return None

    def _fail(self, what: str, fix: str) -> Finding:
        return Finding("fail", self._where, what, fix)


def _status(error: ClientError) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


def _remedy(error: ClientError) -> str:
    """What mends a refusal, by the server's code."""
    return REMEDIES.get(error.response["Error"].get("Code", ""), f"give these credentials iam-publisher.json: {POLICY}")


def _told(error: ClientError) -> str:
    """The server's code alone: its message may repeat what was sent."""
    return f"HTTP {_status(error)} {error.response['Error'].get('Code', '')}".strip()
