"""tabveil.aws.stack: up and down against the embedded endpoint, and what goes wrong on the way.

moto 5.2.5 deploys key, alias, buckets, roles, repository and log groups. Of the template it leaves out bucket policies
and the budget (no such resources), and of a bucket everything but its name and encryption: versioning, the public
access block, ownership and lifecycle are asserted on the template itself (tests/infra/test_template.py).
"""

from __future__ import annotations

import io
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from tabveil.aws import stack as module
from tabveil.aws.session import AWS, connect_aws
from tabveil.aws.stack import Stack, main
from tabveil.aws.stack_variables import (
    OUTPUTS,
    Place,
    choose_place,
    recorded_place,
    shell_region,
    variables,
    write_variables,
)
from tabveil.config import EnvironmentConfig
from tabveil.errors import CloudError
from tabveil.stages.app import compose_config
from tabveil.storage.connection import without_aws_settings

NOT_BY_MOTO = {"AWS::S3::BucketPolicy", "AWS::Budgets::Budget"}
PARAMETERS = {"Prefix": "tv-test", "BudgetEmail": "someone@bank.example", "BudgetUsd": "5"}
NONSENSE = {"AWS_ACCESS_KEY_ID": "nonsense", "AWS_PROFILE": "no-such-profile", "AWS_REGION": "nowhere"}


@pytest.fixture(scope="module")
def template(repository) -> str:
    return (repository / "infra" / "template.yaml").read_text()


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """The embedded endpoint, whatever AWS_* variables say."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in NONSENSE.items():
            patch.setenv(name, value)
        root = tmp_path_factory.mktemp("project")
        with connect_aws(EnvironmentConfig(name="embedded", embedded_aws=True), root) as aws:
            yield aws


@pytest.fixture
def stack(embedded) -> Stack:
    return Stack(embedded, "tv-test", {"project": "tabveil"}, {"Delay": 1, "MaxAttempts": 5}, lambda _: None)


@pytest.fixture
def up(stack, template):
    outputs = stack.up(template, PARAMETERS)
    yield outputs
    if stack.status() is not None:
        stack.down()


def test_the_template_is_deployed_but_for_what_moto_cannot(stack, up, embedded, template):
    assert stack.status() == "CREATE_COMPLETE"
    found = embedded.client("cloudformation").list_stack_resources(StackName="tv-test")["StackResourceSummaries"]
    deployed = {item["LogicalResourceId"] for item in found} - {""}
    import yaml

    loader = type("Loader", (yaml.SafeLoader,), {})
    loader.add_multi_constructor("!", lambda *_: None)
    wanted = {name: r["Type"] for name, r in yaml.load(template, Loader=loader)["Resources"].items()}
    missing = {kind for name, kind in wanted.items() if name not in deployed}
    assert missing == NOT_BY_MOTO
    assert {name for name, kind in wanted.items() if kind not in NOT_BY_MOTO} == deployed


def test_what_was_deployed_is_what_was_asked_for(up, embedded):
    s3, iam = embedded.client("s3"), embedded.client("iam")
    for name in module.BUCKETS:
        rule = s3.get_bucket_encryption(Bucket=up[name])["ServerSideEncryptionConfiguration"]["Rules"][0]
        assert rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == up["KmsKey"]
    assert embedded.client("kms").get_key_rotation_status(KeyId=up["KmsKey"])["KeyRotationEnabled"] is True
    assert embedded.client("ecr").describe_repositories()["repositories"][0]["imageTagMutability"] == "IMMUTABLE"
    role = up["PipelineRole"].rsplit("/", 1)[1]
    document = iam.get_role_policy(RoleName=role, PolicyName="macie")["PolicyDocument"]
    assert "macie2:GetSensitiveDataOccurrences" in str(document)  # moto keeps it as text
    groups = embedded.client("logs").describe_log_groups()["logGroups"]
    assert [group["retentionInDays"] for group in groups] == [30, 30, 30]


def test_a_second_up_changes_nothing(stack, up, template):
    assert stack.up(template, PARAMETERS) == up


def test_down_leads_back_to_nothing_with_every_version(stack, up, embedded):
    s3 = embedded.client("s3")
    bucket = up["LandingBucket"]
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1", b"2"):
        s3.put_object(Bucket=bucket, Key="raw/table.csv", Body=body)
    s3.delete_object(Bucket=bucket, Key="raw/table.csv")
    s3.put_object(Bucket=up["OutputBucket"], Key="x", Body=b"3")
    glue = embedded.client("glue")
    assert up["GlueJob"] == "tv-test-preprocess"
    job = {"Role": up["GlueRole"], "Command": {"Name": "glueetl", "ScriptLocation": "s3://x"}}
    for name in (up["GlueJob"], "tabveil-preprocess"):
        glue.create_job(Name=name, **job)
    assert stack.down() == 4
    assert stack.status() is None
    assert glue.list_jobs()["JobNames"] == ["tabveil-preprocess"]  # of another stack
    glue.delete_job(JobName="tabveil-preprocess")
    assert s3.list_buckets()["Buckets"] == []
    assert embedded.client("ecr").describe_repositories()["repositories"] == []
    assert embedded.client("logs").describe_log_groups()["logGroups"] == []
    assert embedded.client("iam").list_roles()["Roles"] == []


def test_outputs_of_no_stack_are_an_error(stack):
    with pytest.raises(CloudError, match=r"must exist, however it does not: make aws-up"):
        stack.outputs()


def test_an_answer_that_is_not_the_services_is_one_line(stack):
    """moto answers an unreadable template by a page of its web server, as a proxy on the way would."""
    with pytest.raises(CloudError, match="create the stack tv-test, however the answer is not the service's") as caught:
        stack.up("{not a template", PARAMETERS)
    assert "\n" not in str(caught.value)


class Scripted:
    """An account whose CloudFormation answers by script, checked against the service's model."""

    def __init__(self) -> None:
        with without_aws_settings():
            session = boto3.Session("x", "x", region_name="eu-central-1")
            self.formation, self.s3 = session.client("cloudformation"), session.client("s3")
            self.glue = session.client("glue")
        self.stub, self.s3_stub = Stubber(self.formation), Stubber(self.s3)
        glue_stub = Stubber(self.glue)
        glue_stub.add_response("delete_job", {"JobName": "tv-test-preprocess"}, {"JobName": "tv-test-preprocess"})
        glue_stub.activate()
        self.stub.activate()
        self.s3_stub.activate()

    def client(self, service: str) -> Any:
        return {"cloudformation": self.formation, "s3": self.s3, "glue": self.glue}[service]

    def has(self, status: str | None, outputs: dict[str, str] | None = None) -> None:
        if status is None:
            self.stub.add_client_error("describe_stacks", "ValidationError", "Stack with id tv-test does not exist")
            return
        shown = [{"OutputKey": key, "OutputValue": value} for key, value in (outputs or {}).items()]
        found = {
            "StackName": "tv-test",
            "StackId": "arn:stack",
            "StackStatus": status,
            "CreationTime": datetime.now(UTC),
            "Outputs": shown,
        }
        self.stub.add_response("describe_stacks", {"Stacks": [found]})

    def events(self, *told: tuple[str, str, str]) -> None:
        """Newest first, as the service lists them."""
        base = {"StackId": "arn:stack", "EventId": "e", "StackName": "tv-test", "Timestamp": datetime.now(UTC)}
        listed = [
            {**base, "LogicalResourceId": name, "ResourceStatus": status, "ResourceStatusReason": why}
            for name, status, why in told
        ]
        self.stub.add_response("describe_stack_events", {"StackEvents": listed}, {"StackName": "arn:stack"})


@pytest.fixture
def scripted() -> Scripted:
    return Scripted()


@pytest.fixture
def by_script(scripted) -> Stack:
    return Stack(scripted, "tv-test", {}, {"Delay": 0, "MaxAttempts": 2}, lambda _: None)  # type: ignore[arg-type]


def test_a_failed_update_names_the_first_failures_and_not_what_followed(scripted, by_script):
    scripted.has("CREATE_COMPLETE")
    scripted.has("CREATE_COMPLETE")
    scripted.stub.add_response("update_stack", {"StackId": "arn:stack"})
    scripted.has("UPDATE_ROLLBACK_COMPLETE")
    scripted.events(
        ("tv-test", "UPDATE_ROLLBACK_COMPLETE", ""),
        ("Budget", "CREATE_FAILED", "Resource creation cancelled"),
        ("LandingBucket", "CREATE_FAILED", "tv-landing already exists"),
    )
    with pytest.raises(CloudError, match=r"however: LandingBucket CREATE_FAILED \(tv-landing already exists\)$"):
        by_script.up("{}", {})
    scripted.stub.assert_no_pending_responses()


def test_a_stack_that_takes_too_long_is_told(scripted, by_script):
    scripted.has("CREATE_COMPLETE")
    scripted.has("CREATE_COMPLETE")
    scripted.stub.add_response("update_stack", {"StackId": "arn:stack"})
    scripted.has("UPDATE_IN_PROGRESS")
    scripted.has("UPDATE_IN_PROGRESS")
    scripted.events()
    with pytest.raises(CloudError, match="did not end in time"):
        by_script.up("{}", {})


def test_nothing_to_update_is_no_error(scripted, by_script):
    scripted.has("CREATE_COMPLETE")
    scripted.has("CREATE_COMPLETE")
    scripted.stub.add_client_error("update_stack", "ValidationError", "No updates are to be performed.")
    scripted.has("CREATE_COMPLETE", {"KmsKey": "arn"})
    assert by_script.up("{}", {}) == {"KmsKey": "arn"}


def test_a_first_creation_that_failed_is_made_anew(scripted, by_script):
    scripted.has("ROLLBACK_COMPLETE")
    scripted.has("ROLLBACK_COMPLETE")
    scripted.stub.add_response("delete_stack", {})
    scripted.has(None)
    scripted.has(None)
    scripted.stub.add_response("create_stack", {"StackId": "arn:stack"})
    scripted.has("CREATE_COMPLETE")
    scripted.has("CREATE_COMPLETE", {"KmsKey": "arn"})
    assert by_script.up("{}", {}) == {"KmsKey": "arn"}
    scripted.stub.assert_no_pending_responses()


def test_refused_access_is_one_line(scripted, by_script):
    scripted.stub.add_client_error("describe_stacks", "AccessDenied", "not authorized")
    with pytest.raises(CloudError, match="access was refused"):
        by_script.status()


def test_versions_that_cannot_be_deleted_keep_the_stack(scripted, by_script):
    scripted.has("CREATE_COMPLETE")
    scripted.has("CREATE_COMPLETE", {"LandingBucket": "tv-landing", "GlueJob": "tv-test-preprocess"})
    versions = [{"Key": "private/name.csv", "VersionId": "1"}]
    scripted.s3_stub.add_response("list_object_versions", {"Versions": versions})
    errors = [{"Key": "private/name.csv", "Code": "AccessDenied"}]
    scripted.s3_stub.add_response("delete_objects", {"Errors": errors})
    with pytest.raises(CloudError, match=r"1 stay \(AccessDenied\)"):
        by_script.down()
    scripted.stub.assert_no_pending_responses()  # nothing was asked to be deleted but the objects


OUT = {key: f"value of {key}" for key in OUTPUTS}


def test_variables_are_those_that_the_environment_reads(tmp_path):
    place = Place("tv-test", "eu-west-1")
    values = variables(OUT, place, "0.2.0")
    assert values["TABVEIL_IMAGE"] == "value of Repository:0.2.0"
    assert values["AWS_REGION"] == "eu-west-1"
    path = tmp_path / ".tabveil" / "aws.env"
    write_variables(path, values)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "TABVEIL_KMS_KEY='value of KmsKey'\n" in path.read_text()
    assert recorded_place(path) == place
    with pytest.raises(CloudError, match="GlueRole are missing"):
        variables({k: v for k, v in OUT.items() if k != "GlueRole"}, place, "1")


@pytest.fixture
def project(tmp_path, monkeypatch, repository) -> Path:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.yaml").write_text("")
    (tmp_path / "infra").mkdir()
    (tmp_path / "infra" / "template.yaml").write_text((repository / "infra" / "template.yaml").read_text())
    monkeypatch.setenv("TABVEIL_ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture
def command(project, embedded: AWS, monkeypatch):
    """The command line, on the embedded endpoint instead of an account."""

    class Connected:
        def __init__(self, *_: object) -> None:
            pass

        def __enter__(self) -> AWS:
            return embedded

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(module, "connect_aws", Connected)
    monkeypatch.setattr(module, "WAIT", {"Delay": 1, "MaxAttempts": 5})
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    return lambda *arguments: main([*arguments])


def test_up_status_and_down_by_the_command_line(command, project, monkeypatch, capsys):
    assert command("up", "--email", "someone@bank.example", "--image-tag", "7", "--prefix", "tv-test") == 0
    monkeypatch.setenv("AWS_REGION", "us-east-1")  # the file knows better
    written = (project / ".tabveil" / "aws.env").read_text()
    assert "TABVEIL_IMAGE=123456789012.dkr.ecr.eu-central-1.amazonaws.com/tv-test:7\n" in written
    command("status")
    assert "stack tv-test in eu-central-1: CREATE_COMPLETE (account 123456789012)" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO("no\n"))
    with pytest.raises(SystemExit):
        command("down")
    assert "the stack tv-test in eu-central-1 stays" in capsys.readouterr().err
    assert (project / ".tabveil" / "aws.env").exists()
    monkeypatch.setattr("sys.stdin", io.StringIO("tv-test\n"))
    command("down")
    assert not (project / ".tabveil" / "aws.env").exists()
    command("status", "--prefix", "tv-test")
    assert "stack tv-test in us-east-1: there is none" in capsys.readouterr().out


@pytest.fixture
def recorded(project) -> Path:
    """What an earlier `up` of another stack left."""
    path = project / ".tabveil" / "aws.env"
    write_variables(path, variables(OUT, Place("bank-a", "eu-central-1"), "1"))
    return path


@pytest.mark.parametrize("arguments", [[], ["--prefix", "tv-other"], ["--yes"]])
def test_down_of_a_stack_that_is_not_there_is_an_error_and_keeps_the_file(command, recorded, capsys, arguments):
    before = recorded.read_bytes()
    with pytest.raises(SystemExit) as ended:
        command("down", *arguments)
    assert ended.value.code == 2
    prefix = "tv-other" if "--prefix" in arguments else "bank-a"
    said = capsys.readouterr().err
    assert f"there must be a stack {prefix}, however there is none in eu-central-1 of account 123456789012" in said
    assert recorded.read_bytes() == before


def test_down_of_another_stack_keeps_the_file(command, stack, template, recorded, capsys):
    stack.up(template, PARAMETERS)
    command("down", "--yes", "--prefix", "tv-test")
    assert stack.status() is None
    assert "aws.env stays: it names another stack" in capsys.readouterr().out
    assert recorded.exists()


@pytest.mark.parametrize("arguments", [["--prefix", "tv-test"], ["--region", "eu-west-1"], []])
def test_up_of_a_second_stack_would_forget_the_first(command, stack, recorded, monkeypatch, capsys, arguments):
    if not arguments:
        monkeypatch.setenv("AWS_REGION", "us-east-1")
    with pytest.raises(SystemExit):
        command("up", "--email", "someone@bank.example", *arguments)
    assert "aws.env names bank-a in eu-central-1, however" in capsys.readouterr().err
    assert recorded_place(recorded) == Place("bank-a", "eu-central-1")
    assert stack.status() is None


@pytest.mark.parametrize(
    ("shell", "region"),
    [
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-1"}, "eu-west-1"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "us-east-1"}, "us-east-1"),
        ({}, "eu-central-1"),
    ],
)
def test_a_region_is_the_shells_or_the_default(shell, region):
    assert choose_place(None, shell_region(shell), None) == Place("tabveil", region)


def test_the_environment_is_where_the_file_or_the_shell_says(monkeypatch):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", *OUTPUTS.values()):
        monkeypatch.delenv(name, raising=False)
    assert compose_config(["environment=aws"]).environment.region == "eu-central-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert compose_config(["environment=aws"]).environment.region == "us-east-1"
    for name, value in variables(OUT, Place("bank-a", "eu-west-1"), "1").items():
        monkeypatch.setenv(name, value)
    environment = compose_config(["environment=aws"]).environment
    assert (environment.region, environment.glue.job_name) == ("eu-west-1", "value of GlueJob")
    assert environment.glue.log_group_prefix == "value of GlueLogs"


@pytest.mark.parametrize("text", ["AWS_REGION=eu-west-1\n", "x", "TABVEIL_PREFIX='open"])
def test_a_file_that_does_not_name_the_stack_is_one_line(command, recorded, capsys, text):
    recorded.write_text(text)
    with pytest.raises(SystemExit):
        command("down", "--yes")
    assert "must name AWS_REGION and TABVEIL_PREFIX, however it does not" in capsys.readouterr().err
    assert recorded.read_text() == text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["up"], "the budget alarm needs an address"), (["status", "--prefix", "Not_A_Prefix"], "--prefix must be")],
)
def test_wrong_arguments_are_one_line(command, capsys, arguments, message):
    with pytest.raises(SystemExit) as ended:
        command(*arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_dummy_credentials_are_refused_before_any_request(project, monkeypatch, capsys):
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with pytest.raises(SystemExit):
        main(["status"])
    assert "is a dummy" in capsys.readouterr().err
