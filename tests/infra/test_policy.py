"""The pipeline's role allows exactly what the adapters call: no more, no less.

The calls are read from the source: methods of a boto3 client, and what is asked of its paginators and waiters. Each
becomes botocore's operation, and that becomes IAM's actions: of the same name, or by the table of exceptions.
"""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

SERVICES = ("s3", "glue", "macie2", "sagemaker", "sts", "logs")
NOT_THE_PIPELINE = {"stack.py"}  # an administrator's
CLIENT_NAMES = {"client", "_client"}
NO_OPERATION = {"meta", "exceptions", "get_paginator", "get_waiter"}
READ, WRITE = {"kms:Decrypt"}, {"kms:Decrypt", "kms:GenerateDataKey"}  # what SSE-KMS asks on top
PUT = {"s3:PutObject", "s3:PutObjectTagging", *WRITE}
# operation -> IAM actions, where they are not the one action of its name
EXCEPTIONS: dict[tuple[str, str], set[str]] = {
    ("s3", "HeadObject"): {"s3:GetObject", "s3:GetObjectVersion", *READ},
    ("s3", "GetObject"): {"s3:GetObject", "s3:GetObjectVersion", *READ},
    ("s3", "PutObject"): PUT,
    ("s3", "CreateMultipartUpload"): PUT,
    ("s3", "UploadPart"): {"s3:PutObject", *WRITE},
    ("s3", "CompleteMultipartUpload"): {"s3:PutObject", *WRITE},
    ("s3", "ListParts"): {"s3:ListMultipartUploadParts"},
    ("s3", "DeleteObject"): {"s3:DeleteObjectVersion"},  # always a version: the buckets are versioned
    ("s3", "ListObjectsV2"): {"s3:ListBucket"},  # also what makes a missing key a 404 instead of a 403
    ("s3", "ListObjectVersions"): {"s3:ListBucketVersions"},
    # `ensure_bucket` is for the embedded store only; on AWS the stack makes the buckets
    ("s3", "HeadBucket"): set(),
    ("s3", "CreateBucket"): set(),
    ("s3", "GetBucketVersioning"): set(),
    ("s3", "PutBucketVersioning"): set(),
    ("sts", "GetCallerIdentity"): set(),  # needs no permission
    ("glue", "CreateJob"): {"glue:CreateJob", "glue:TagResource", "iam:PassRole"},
    ("glue", "UpdateJob"): {"glue:UpdateJob", "iam:PassRole"},
    ("macie2", "EnableMacie"): {"macie2:EnableMacie", "iam:CreateServiceLinkedRole"},
    ("macie2", "CreateClassificationJob"): {"macie2:CreateClassificationJob", "macie2:TagResource"},
    ("macie2", "CreateCustomDataIdentifier"): {"macie2:CreateCustomDataIdentifier", "macie2:TagResource"},
    ("macie2", "CreateAllowList"): {"macie2:CreateAllowList", "macie2:TagResource"},
    ("sagemaker", "CreateTrainingJob"): {"sagemaker:CreateTrainingJob", "sagemaker:AddTags", "iam:PassRole"},
}


@functools.cache
def operations(service: str) -> dict[str, str]:
    """Method of the client -> operation."""
    model = botocore.session.get_session().get_service_model(service)
    return {xform_name(name): name for name in model.operation_names}


@functools.cache
def waiter_operations(service: str) -> dict[str, str]:
    waiters = botocore.session.get_session().get_waiter_model(service)
    return {xform_name(name): waiters.get_waiter(name).operation for name in waiters.waiter_names}


def adapter_files(repository: Path) -> list[Path]:
    package = repository / "src" / "tabveil"
    files = [*(package / "storage").glob("*.py"), *(package / "aws").glob("*.py")]
    return sorted(path for path in files if path.name not in NOT_THE_PIPELINE)


def services_of(path: Path) -> tuple[str, ...]:
    """The services that a file may talk to."""
    if path.parent.name == "storage":
        return ("s3",)
    for start, service in (("glue", "glue"), ("macie", "macie2"), ("sagemaker", "sagemaker")):
        if path.name.startswith(start):
            return (service, "logs")
    return SERVICES


def is_client(node: ast.expr) -> bool:
    if ast.unparse(node) == "http.client":
        return False
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Attribute) and node.func.attr == "client"
    return (isinstance(node, ast.Name) and node.id in CLIENT_NAMES) or (
        isinstance(node, ast.Attribute) and node.attr in CLIENT_NAMES
    )


def named_in(call: ast.AST, function: str) -> Iterator[str]:
    """The argument of every ``client.<function>("...")``; it has to be written out."""
    for node in ast.walk(call):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == function:
            (argument,) = node.args
            assert isinstance(argument, ast.Constant), ast.unparse(node)
            yield argument.value


def calls(source: str, services: tuple[str, ...], where: str = "") -> set[tuple[str, str]]:
    """(service, operation) of every call of a client.

    Raises:
        AssertionError: something is done with a client that this cannot read.
    """
    tree, found = ast.parse(source), set()
    for method in named_in(tree, "get_paginator"):
        found.add(resolve(method, services, where))
    for waiter in named_in(tree, "get_waiter"):
        found |= {(s, waiter_operations(s)[waiter]) for s in services if waiter in waiter_operations(s)}
    for node in ast.walk(tree):
        used = isinstance(node, ast.Attribute) and is_client(node.value) and node.attr not in NO_OPERATION
        if used:
            found.add(resolve(node.attr, services, where))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
            assert not is_client(node.args[0]), f"{where}: getattr on a client"
    return found


def resolve(method: str, services: tuple[str, ...], where: str) -> tuple[str, str]:
    matching = [(service, operations(service)[method]) for service in services if method in operations(service)]
    assert len(matching) == 1, f"{where}: client.{method} must be one operation of {services}, however: {matching}"
    return matching[0]


def needed_actions(called: set[tuple[str, str]]) -> set[str]:
    return {
        action
        for service, operation in called
        for action in EXCEPTIONS.get((service, operation), {f"{service}:{operation}"})
    }


@pytest.fixture(scope="module")
def called(repository) -> set[tuple[str, str]]:
    files = adapter_files(repository)
    return {c for path in files for c in calls(path.read_text(), services_of(path), path.name)}


@pytest.fixture(scope="module")
def allowed(template) -> set[str]:
    actions: set[str] = set()
    for policy in template["Resources"]["PipelineRole"]["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement["Effect"] == "Allow":
                action = statement["Action"]
                actions |= set(action) if isinstance(action, list) else {action}
    return actions


def test_the_role_allows_what_the_adapters_call_and_nothing_else(called, allowed):
    needed = needed_actions(called)
    assert sorted(needed - allowed) == [], "called, but not allowed"
    assert sorted(allowed - needed) == [], "allowed, but never called"


def test_every_exception_is_of_a_call_that_is_made(called):
    assert sorted(set(EXCEPTIONS) - called) == []


@pytest.mark.parametrize("service", ["s3", "glue", "macie2", "sagemaker", "sts"])
def test_every_service_is_found(called, service):
    assert [operation for s, operation in called if s == service]


def test_no_call_reveals_values(called):
    assert not [
        operation for _, operation in called if "SensitiveDataOccurrences" in operation or "Reveal" in operation
    ]


def test_calls_are_read_from_source():
    source = """
def work(client, aws, self):
    client.start_job_run(JobName="x")
    self._client.get_paginator("get_job_runs").paginate()
    aws.client("glue").batch_stop_job_run()
    client.meta.endpoint_url
    other.create_job()
"""
    expected = {("glue", "StartJobRun"), ("glue", "GetJobRuns"), ("glue", "BatchStopJobRun")}
    assert calls(source, ("glue",)) == expected
    assert calls('client.get_waiter("training_job_completed_or_stopped")', ("sagemaker",)) == {
        ("sagemaker", "DescribeTrainingJob")
    }


@pytest.mark.parametrize("source", ["client.no_such_call()", "getattr(client, name)()", "client.get_paginator(name)"])
def test_what_cannot_be_read_is_not_passed_over(source):
    with pytest.raises(AssertionError):
        calls(source, ("s3",))
