"""``python -m tabveil.aws.stack up|down|status``: the account's resources, by CloudFormation from infra/template.yaml.

`up` creates or updates the stack and writes what conf/environment/aws.yaml reads to `.tabveil/aws.env` (mode 0600).
`down` deletes every version of every object in the three buckets, then the stack and that file; it asks first. Which
stack, and in which Region, the file says; `--prefix` and `--region` name another one.
Both need an administrator's credentials; the pipeline itself runs with the role that the stack makes.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError, WaiterError

import tabveil
from tabveil.aws.failures import aws_border, error_code
from tabveil.aws.session import AWS, connect_aws
from tabveil.aws.stack_variables import (
    DEFAULT_PREFIX,
    DEFAULT_REGION,
    VARIABLES,
    Place,
    choose_place,
    recorded_place,
    refuse_second,
    shell_region,
    variables,
    write_variables,
)
from tabveil.cli import process_border
from tabveil.config import EnvironmentConfig, Processing, Scanning, Training, project_root
from tabveil.errors import CloudError, ConfigError

SERVICE = "CloudFormation"
TEMPLATE = Path("infra") / "template.yaml"
BUCKETS = ("LandingBucket", "WorkBucket", "OutputBucket")
WAIT = {"Delay": 10, "MaxAttempts": 120}  # seconds; 20 minutes in all
DELETE_BATCH = 1000  # objects of one request: S3's limit
EVENTS_SHOWN = 5
NO_CHANGE = "No updates are to be performed"
GONE = ("DELETE_COMPLETE", None)


@dataclass(frozen=True)
class Stack:
    """One CloudFormation stack of the template.

    Args:
        aws: the account.
        prefix: of every name; the stack's name.
        tags: of every resource.
        wait: pace of CloudFormation's waiters.
        say: told what happens.
    """

    aws: AWS
    prefix: str
    tags: Mapping[str, str]
    wait: Mapping[str, int]
    say: Callable[[str], object] = print

    def status(self) -> str | None:
        """CloudFormation's status, such as ``CREATE_COMPLETE``; None: there is no such stack.

        Raises:
            CloudError: refused.
        """
        found = self._describe()
        return None if found is None else str(found["StackStatus"])

    def outputs(self) -> dict[str, str]:
        """Output key -> value.

        Raises:
            CloudError: there is no such stack; refused.
        """
        found = self._describe()
        if found is None:
            raise CloudError(f"the stack {self.prefix} must exist, however it does not: make aws-up")
        return {item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])}

    def up(self, template: str, parameters: Mapping[str, str]) -> dict[str, str]:
        """Create the stack, or bring it up to date; returns its outputs.

        A stack whose first creation failed holds nothing and is made anew.

        Raises:
            CloudError: refused or failed; the message holds the first failed resources and their reasons.
        """
        status = self.status()
        if status in ("ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS"):
            self._delete()
            status = None
        arguments = {
            "StackName": self.prefix,
            "TemplateBody": template,
            "Parameters": [{"ParameterKey": k, "ParameterValue": v} for k, v in sorted(parameters.items())],
            "Capabilities": ["CAPABILITY_IAM"],
            "Tags": [{"Key": k, "Value": v} for k, v in sorted(self.tags.items())],
        }
        if status is None:
            self.say(f"creating stack {self.prefix}: about two minutes")
            self._change("create", "stack_create_complete", lambda client: client.create_stack(**arguments))
        else:
            self.say(f"updating stack {self.prefix} ({status})")
            self._change("update", "stack_update_complete", lambda client: _update(client, arguments))
        return self.outputs()

    def down(self) -> int:
        """Delete the Glue job, every object version in the stack's buckets, and the stack.

        Macie stays as it is: others in the account may use it.

        Returns:
            How many object versions there were.

        Raises:
            CloudError: there is no such stack; refused or failed.
        """
        if self.status() in GONE:
            where = f"{self.aws.environment.region} of account {self.aws.account_id()}"
            raise CloudError(
                f"there must be a stack {self.prefix}, however there is none in {where}: nothing was deleted; say "
                "PREFIX=... and REGION=... of the stack that is meant, use its account's credentials, or remove "
                f"{VARIABLES} if the stack was deleted elsewhere"
            )
        outputs = self.outputs()
        if "GlueJob" in outputs:
            with aws_border("Glue", f"delete job {outputs['GlueJob']}"):
                self.aws.client("glue").delete_job(JobName=outputs["GlueJob"])  # none: no error
        deleted = sum(self._empty(outputs[name]) for name in BUCKETS if name in outputs)
        self._delete()
        return deleted

    def _empty(self, bucket: str) -> int:
        client, deleted = self.aws.client("s3"), 0
        with aws_border("S3", f"empty {bucket}"):
            pages = client.get_paginator("list_object_versions").paginate(Bucket=bucket)
            for batch in _batches(pages):
                answer = client.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
                if answer.get("Errors"):
                    raise CloudError(
                        f"S3 must delete {len(batch)} versions in {bucket}, however {len(answer['Errors'])} stay "
                        f"({answer['Errors'][0].get('Code')}): look at the bucket, then run it again"
                    )
                deleted += len(batch)
        return deleted

    def _delete(self) -> None:
        self.say(f"deleting stack {self.prefix}")
        self._change(
            "delete", "stack_delete_complete", lambda client: client.delete_stack(StackName=self.prefix) or True
        )

    def _change(self, action: str, waiter: str, call: Callable[[Any], object]) -> None:
        client = self.aws.client("cloudformation")
        with aws_border(SERVICE, f"{action} the stack {self.prefix}"):
            identity = (self._describe() or {}).get("StackId", self.prefix)
            if not call(client):
                return
            try:
                client.get_waiter(waiter).wait(StackName=self.prefix, WaiterConfig=dict(self.wait))
            except WaiterError as err:
                raise CloudError(
                    f"{SERVICE} must {action} the stack {self.prefix}, however: {self._reasons(client, identity)}"
                ) from err

    def _reasons(self, client: Any, identity: str) -> str:
        """The first failed resources, oldest first: what follows them was only cancelled."""
        events = client.describe_stack_events(StackName=identity)["StackEvents"]
        failed = [
            f"{event['LogicalResourceId']} {event['ResourceStatus']} ({event.get('ResourceStatusReason', 'no reason')})"
            for event in reversed(events)
            if event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in event.get("ResourceStatusReason", "")
        ]
        return "; ".join(failed[:EVENTS_SHOWN]) or "it did not end in time, look at its events in the console"

    def _describe(self) -> dict[str, Any] | None:
        with aws_border(SERVICE, f"describe the stack {self.prefix}"):
            try:
                found: dict[str, Any] = self.aws.client("cloudformation").describe_stacks(StackName=self.prefix)
            except ClientError as err:
                if error_code(err) == "ValidationError" and "does not exist" in str(err):
                    return None
                raise
        return dict(found["Stacks"][0])


def _update(client: Any, arguments: Mapping[str, Any]) -> object:
    try:
        return client.update_stack(**arguments)
    except ClientError as err:
        if NO_CHANGE in str(err):
            return None
        raise


def _batches(pages: Any) -> Iterator[list[dict[str, str]]]:
    """Versions and delete markers, as many as one request may delete (a page has at most as many)."""
    for page in pages:
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        for start in range(0, len(found), DELETE_BATCH):
            yield [{"Key": i["Key"], "VersionId": i["VersionId"]} for i in found[start : start + DELETE_BATCH]]


def administrator(region: str) -> EnvironmentConfig:
    """The settings that `up`, `down` and `status` need of the environment 'aws'."""
    return EnvironmentConfig(
        name="aws",
        embedded_s3=False,
        region=region,
        processing=Processing.glue,
        scanning=Scanning.macie,
        training=Training.sagemaker,
    )


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tabveil.aws.stack", description=__doc__)
    parser.add_argument("action", choices=["up", "down", "status"])
    parser.add_argument("--prefix", help=f"first part of every name (as in {VARIABLES}, else {DEFAULT_PREFIX})")
    parser.add_argument(
        "--region", help=f"(as in {VARIABLES}, else AWS_REGION or AWS_DEFAULT_REGION, else {DEFAULT_REGION})"
    )
    parser.add_argument("--email", help="up: where the budget alarm goes")
    parser.add_argument("--budget-usd", default="10", help="up: monthly budget of the account (10)")
    parser.add_argument("--image-tag", default=tabveil.__version__, help="up: tag of the image in ECR (the version)")
    parser.add_argument("--training-log-group", choices=["create", "existing"], default="create", help="up: see docs")
    parser.add_argument("--yes", action="store_true", help="down: delete all objects without asking")
    return parser.parse_args(arguments)


def _up(stack: Stack, asked: argparse.Namespace, place: Place, root: Path) -> None:
    if not asked.email:
        raise ConfigError(
            "the budget alarm needs an address, however there is none: make aws-up EMAIL=you@bank.example"
        )
    parameters = {
        "Prefix": place.prefix,
        "BudgetEmail": asked.email,
        "BudgetUsd": asked.budget_usd,
        "TrainingLogGroup": asked.training_log_group,
    }
    outputs = stack.up((root / TEMPLATE).read_text(encoding="utf-8"), parameters)
    values = variables(outputs, place, asked.image_tag)
    write_variables(root / VARIABLES, values)
    print(f"{VARIABLES} names what was made; push the image to {values['TABVEIL_IMAGE']} (docs/aws.md)")


def _down(stack: Stack, asked: argparse.Namespace, place: Place, root: Path) -> None:
    if stack.status() not in GONE and not asked.yes and not _confirmed(place):
        raise ConfigError(f"the stack {place} stays: type its name, or say YES=1 (--yes), to delete everything")
    deleted = stack.down()
    print(f"stack {place} and {deleted} object versions are gone; AWS deletes its key after 7 days")
    if recorded_place(root / VARIABLES) in (place, None):
        (root / VARIABLES).unlink(missing_ok=True)
    else:
        print(f"{VARIABLES} stays: it names another stack")
    print("Macie is as it was; if nobody else in the account uses it: aws macie2 disable-macie")


def _status(stack: Stack, place: Place) -> None:
    print(f"stack {place}: {stack.status() or 'there is none'} (account {stack.aws.account_id()})")


def _confirmed(place: Place) -> bool:
    print(f"this deletes every object version in the three buckets of {place}, and the stack.")
    print(f"type {place.prefix} to go on: ", end="", flush=True)
    return sys.stdin.readline().strip() == place.prefix


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    asked = _arguments(arguments)
    with process_border():
        root = project_root()
        recorded = recorded_place(root / VARIABLES)
        asks = asked.action == "up" or recorded is None  # else the shell may be another one than that of `up`
        place = choose_place(asked.prefix, asked.region or (shell_region(os.environ) if asks else None), recorded)
        if asked.action == "up":
            refuse_second(place, recorded)
        environment = administrator(place.region)
        with connect_aws(environment, root) as aws:
            stack = Stack(aws, place.prefix, environment.tags, WAIT)
            if asked.action == "status":
                _status(stack, place)
            else:
                {"up": _up, "down": _down}[asked.action](stack, asked, place, root)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
