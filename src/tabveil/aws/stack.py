"""``python -m tabveil.aws.stack up|down|status``: the account's resources, by CloudFormation from infra/template.yaml.

`up` creates or updates the stack and writes what conf/environment/aws.yaml reads to `.tabveil/aws.env` (mode 0600).
`down` deletes every version of every object in the three buckets, then the stack and that file; it asks first.
Both need an administrator's credentials; the pipeline itself runs with the role that the stack makes.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError, WaiterError

import tabveil
from tabveil.aws.failures import aws_border, error_code
from tabveil.aws.session import AWS, connect_aws
from tabveil.cli import process_border
from tabveil.config import EnvironmentConfig, GlueConfig, Processing, Scanning, Training, project_root
from tabveil.errors import CloudError, ConfigError
from tabveil.storage.server_state import private_folder, write_private

SERVICE = "CloudFormation"
TEMPLATE = Path("infra") / "template.yaml"
VARIABLES = Path(".tabveil") / "aws.env"
BUCKETS = ("LandingBucket", "WorkBucket", "OutputBucket")
OUTPUTS = {
    "LandingBucket": "TABVEIL_LANDING_BUCKET",
    "WorkBucket": "TABVEIL_WORK_BUCKET",
    "OutputBucket": "TABVEIL_OUTPUT_BUCKET",
    "KmsKey": "TABVEIL_KMS_KEY",
    "PipelineRole": "TABVEIL_PIPELINE_ROLE",
    "GlueRole": "TABVEIL_GLUE_ROLE",
    "SageMakerRole": "TABVEIL_SAGEMAKER_ROLE",
    "GlueLogGroup": "TABVEIL_GLUE_LOG_GROUP",
    "Repository": "TABVEIL_REPOSITORY",
}
REGION = "eu-central-1"
PREFIX = re.compile(r"[a-z][a-z0-9-]{1,18}[a-z0-9]")
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
            CloudError: refused or failed.
        """
        if self.status() in GONE:
            return 0
        outputs = self.outputs()
        with aws_border("Glue", f"delete job {GlueConfig().job_name}"):
            self.aws.client("glue").delete_job(JobName=GlueConfig().job_name)  # none: no error
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


def variables(outputs: Mapping[str, str], region: str, image_tag: str) -> dict[str, str]:
    """Environment variables that conf/environment/aws.yaml reads.

    Raises:
        CloudError: the stack lacks an output of the template.
    """
    missing = sorted(set(OUTPUTS) - set(outputs))
    if missing:
        raise CloudError(f"the stack must have the outputs of {TEMPLATE}, however {', '.join(missing)} are missing")
    named = {variable: outputs[key] for key, variable in OUTPUTS.items()}
    return {"AWS_REGION": region, **named, "TABVEIL_IMAGE": f"{outputs['Repository']}:{image_tag}"}


def write_variables(path: Path, values: Mapping[str, str]) -> None:
    """Write a file for ``set -a; source`` that only its owner can read; it holds names, no credentials."""
    private_folder(path.parent)
    write_private(path, "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items()))


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
    parser.add_argument("--prefix", default="tabveil", help="first part of every name (tabveil)")
    parser.add_argument("--region", default=os.environ.get("AWS_REGION", REGION), help=f"AWS_REGION, else {REGION}")
    parser.add_argument("--email", help="up: where the budget alarm goes")
    parser.add_argument("--budget-usd", default="10", help="up: monthly budget of the account (10)")
    parser.add_argument("--image-tag", default=tabveil.__version__, help="up: tag of the image in ECR (the version)")
    parser.add_argument("--training-log-group", choices=["create", "existing"], default="create", help="up: see docs")
    parser.add_argument("--yes", action="store_true", help="down: delete all objects without asking")
    return parser.parse_args(arguments)


def _up(stack: Stack, asked: argparse.Namespace, root: Path) -> None:
    if not asked.email:
        raise ConfigError(
            "the budget alarm needs an address, however there is none: make aws-up EMAIL=you@bank.example"
        )
    parameters = {
        "Prefix": asked.prefix,
        "BudgetEmail": asked.email,
        "BudgetUsd": asked.budget_usd,
        "TrainingLogGroup": asked.training_log_group,
    }
    outputs = stack.up((root / TEMPLATE).read_text(encoding="utf-8"), parameters)
    values = variables(outputs, asked.region, asked.image_tag)
    write_variables(root / VARIABLES, values)
    print(f"{VARIABLES} names what was made; push the image to {values['TABVEIL_IMAGE']} (docs/aws.md)")


def _down(stack: Stack, asked: argparse.Namespace, root: Path) -> None:
    if not asked.yes and not _confirmed(asked.prefix):
        raise ConfigError(f"the stack {asked.prefix} stays: type its name, or say YES=1 (--yes), to delete everything")
    deleted = stack.down()
    (root / VARIABLES).unlink(missing_ok=True)
    print(f"stack {asked.prefix} and {deleted} object versions are gone; AWS deletes its key after 7 days")
    print("Macie is as it was; if nobody else in the account uses it: aws macie2 disable-macie")


def _confirmed(prefix: str) -> bool:
    print(f"this deletes every object version in the three buckets of {prefix}, and the stack.")
    print(f"type {prefix} to go on: ", end="", flush=True)
    return sys.stdin.readline().strip() == prefix


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    asked = _arguments(arguments)
    with process_border():
        if not PREFIX.fullmatch(asked.prefix):
            raise ConfigError(
                f"--prefix must be 3 to 20 of a-z, 0-9 and -, starting with a letter, however: {asked.prefix}"
            )
        root, environment = project_root(), administrator(asked.region)
        with connect_aws(environment, root) as aws:
            stack = Stack(aws, asked.prefix, environment.tags, WAIT)
            if asked.action == "status":
                print(f"stack {asked.prefix}: {stack.status() or 'there is none'}")
            else:
                {"up": _up, "down": _down}[asked.action](stack, asked, root)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
