"""Make a bucket safe to publish to: versions, Object Lock, life cycle, CORS, policy, from the files beside this one.

With an administrator's credentials, by AWS's usual chain; neither the publisher nor the guard may do any of this. May be run again.
"""

import argparse
import json
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from string import Template
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

__all__ = ["apply", "read"]

FOLDER = Path(__file__).parent
LOCAL_ACCOUNT = "arn:aws:iam::000000000000:user/"  # where a server has users and no accounts


def read(name: str, values: Mapping[str, str], without: Collection[str] = ()) -> Any:  # noqa: ANN401 - JSON
    """A file beside this one, its `${…}` filled in; of a policy without the statements with these Sids."""
    found = json.loads(Template((FOLDER / f"{name}.json").read_text()).substitute(values))
    if without:
        found["Statement"] = [one for one in found["Statement"] if one["Sid"] not in without]
    return found


def apply(client: Any, values: Mapping[str, str], without: Collection[str] = ()) -> dict[str, str]:  # noqa: ANN401 - boto3
    """Make the bucket if it is not there, with Object Lock, and set everything; returns what the server refused and why."""
    bucket = values["BUCKET"]
    refused: dict[str, str] = {}

    def attempt(what: str, do: Callable[..., Any], **arguments: Any) -> bool:  # noqa: ANN401 - boto3
        try:
            do(Bucket=bucket, **arguments)
        except ClientError as error:
            refused[what] = str(error)
            return False
        return True

    if not attempt("bucket", client.head_bucket):
        del refused["bucket"]
        region = client.meta.region_name
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        if not attempt("bucket", client.create_bucket, ObjectLockEnabledForBucket=True, **place):
            return refused
    policy = read("bucket-policy", values, without)
    attempt("versioning", client.put_bucket_versioning, VersioningConfiguration=read("versioning", values))
    attempt(
        "object-lock",
        client.put_object_lock_configuration,
        ObjectLockConfiguration=read("object-lock", values),
    )
    attempt("lifecycle", client.put_bucket_lifecycle_configuration, LifecycleConfiguration=read("lifecycle", values))
    attempt("cors", client.put_bucket_cors, CORSConfiguration=read("cors", values))
    attempt(
        "public-access-block",
        client.put_public_access_block,
        PublicAccessBlockConfiguration=read("public-access-block", values),
    )
    attempt("bucket-policy", client.put_bucket_policy, Policy=json.dumps(policy))
    return refused


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bucket")
    parser.add_argument("election", help="its id, the name of its folder")
    parser.add_argument("--prefix", default="", help='as in terbit.toml: ends with "/"')
    parser.add_argument("--endpoint", help="of the server; leave it out for AWS")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--publisher", default=f"{LOCAL_ACCOUNT}publisher", help="ARN")
    parser.add_argument("--guard", default=f"{LOCAL_ACCOUNT}guard", help="ARN")
    parser.add_argument("--without", action="append", default=[], metavar="SID", help="a statement to leave out")
    options = parser.parse_args()
    values = {
        "BUCKET": options.bucket,
        "PREFIX": options.prefix,
        "ELECTION": options.election,
        "PUBLISHER": options.publisher,
        "GUARD": options.guard,
    }
    style = Config(s3={"addressing_style": "path"} if options.endpoint else {})
    client = boto3.client("s3", endpoint_url=options.endpoint, region_name=options.region, config=style)
    refused = apply(client, values, options.without)
    for what, why in refused.items():
        print(f"{what}: {why}", file=sys.stderr)
    sys.exit(1 if refused else 0)


if __name__ == "__main__":
    main()
