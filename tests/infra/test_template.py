"""infra/template.yaml: linted, and what a bank would ask for is in it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tabveil.aws import stack_variables

BUCKETS = ("LandingBucket", "WorkBucket", "OutputBucket")
ROLES = ("PipelineRole", "GlueRole", "SageMakerRole")
# what IAM knows no resource of (Service Authorization Reference)
WITHOUT_RESOURCE = {
    "macie2:GetMacieSession",
    "macie2:EnableMacie",
    "macie2:ListCustomDataIdentifiers",
    "macie2:ListAllowLists",
    "macie2:ListClassificationJobs",
    "macie2:ListFindings",
    "macie2:GetFindings",
    "ecr:GetAuthorizationToken",
    "cloudwatch:PutMetricData",
}


def statements(template, role):
    """(policy name, statement) of a role."""
    for policy in template["Resources"][role]["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            yield policy["PolicyName"], statement


def listed(value):
    return value if isinstance(value, list) else [value]


def test_cfn_lint_has_nothing_to_say(template_path):
    linter = Path(sys.executable).with_name("cfn-lint")
    result = subprocess.run([linter, str(template_path)], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize("name", BUCKETS)
def test_buckets_are_versioned_encrypted_private_and_short_lived_where_they_can_be(template, name):
    bucket = template["Resources"][name]["Properties"]
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {
        "SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": {"Fn::GetAtt": ["Key", "Arn"]},
    }
    (lifecycle,) = bucket["LifecycleConfiguration"]["Rules"]
    assert lifecycle["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert lifecycle["NoncurrentVersionExpiration"]["NoncurrentDays"] >= 1
    assert ("ExpirationInDays" in lifecycle) == (name == "WorkBucket")


@pytest.mark.parametrize("name", BUCKETS)
def test_buckets_refuse_plain_http_old_tls_and_other_encryption(template, name):
    policy = template["Resources"][f"{name}Policy"]["Properties"]
    assert policy["Bucket"] == {"Ref": name}
    by_sid = {s["Sid"]: s for s in policy["PolicyDocument"]["Statement"]}
    assert all((s["Effect"], s["Principal"]) == ("Deny", "*") for s in by_sid.values())
    everything = [{"Fn::GetAtt": [name, "Arn"]}, {"Fn::Sub": f"${{{name}.Arn}}/*"}]
    for sid in ("TlsOnly", "Tls12"):
        assert (by_sid[sid]["Action"], by_sid[sid]["Resource"]) == ("s3:*", everything)
    assert by_sid["TlsOnly"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert by_sid["Tls12"]["Condition"] == {"NumericLessThan": {"s3:TlsVersion": "1.2"}}
    others = [by_sid[sid] for sid in by_sid.keys() - {"TlsOnly", "Tls12"}]
    assert all((s["Action"], s["Resource"]) == ("s3:PutObject", everything[1]) for s in others)
    assert ("NothingIsOverwritten" in by_sid) == (name == "OutputBucket")


KEY_ID = "s3:x-amz-server-side-encryption-aws-kms-key-id"
ALGORITHM = "s3:x-amz-server-side-encryption"
CALLERS_KEY = "s3:x-amz-server-side-encryption-customer-algorithm"
OURS = {"Fn::GetAtt": ["Key", "Arn"]}


def holds(condition, request):
    """IAM's evaluation of a condition: every operator and key must match; a key that is not sent matches by `Null` and
    by negated operators only (IAM User Guide, "IAM JSON policy elements: Condition operators").
    """
    tests = {
        "Null": lambda key, value: (key not in request) == (value == "true"),
        "StringEquals": lambda key, value: key in request and request[key] == value,
        "StringNotEquals": lambda key, value: request.get(key) != value,
        "Bool": lambda key, value: request.get(key) == value,
    }
    return all(tests[operator](key, value) for operator, keys in condition.items() for key, value in keys.items())


def refused(template, name, request):
    """Sids of the statements that refuse an upload."""
    statements = template["Resources"][f"{name}Policy"]["Properties"]["PolicyDocument"]["Statement"]
    return {s["Sid"] for s in statements if s["Action"] == "s3:PutObject" and holds(s["Condition"], request)}


WHOLE = {"s3:ObjectCreationOperation": "true"}
ONLY_NEW = {**WHOLE, "s3:if-none-match": "*"}


@pytest.mark.parametrize("name", BUCKETS)
@pytest.mark.parametrize(
    ("headers", "sids"),
    [
        ({}, set()),  # the bucket encrypts by its default: our key
        ({ALGORITHM: "aws:kms", KEY_ID: OURS}, set()),
        ({ALGORITHM: "aws:kms", KEY_ID: "arn:aws:kms:eu-central-1:999999999999:key/theirs"}, {"NoOtherKey"}),
        ({ALGORITHM: "aws:kms"}, {"NoKeyOfAws"}),
        ({ALGORITHM: "AES256"}, {"NoOtherEncryption"}),
        ({ALGORITHM: "aws:kms:dsse", KEY_ID: OURS}, {"NoOtherEncryption"}),
        ({CALLERS_KEY: "AES256"}, {"NoKeyOfTheCaller"}),
    ],
)
def test_uploads_are_encrypted_by_our_key_or_refused(template, name, headers, sids):
    assert refused(template, name, {**ONLY_NEW, **headers}) == sids


@pytest.mark.parametrize(
    ("request_", "sids"),
    [
        (ONLY_NEW, set()),
        (WHOLE, {"NothingIsOverwritten"}),
        ({"s3:ObjectCreationOperation": "false"}, set()),  # UploadPart and the beginning of an upload in parts
    ],
)
def test_what_was_published_is_not_overwritten(template, request_, sids):
    assert refused(template, "OutputBucket", request_) == sids


def test_the_key_rotates_and_only_this_accounts_services_may_use_it(template):
    key = template["Resources"]["Key"]["Properties"]
    assert key["EnableKeyRotation"] is True
    by_sid = {s["Sid"]: s for s in key["KeyPolicy"]["Statement"]}
    macie = by_sid["MacieReadsObjects"]
    assert macie["Action"] == "kms:Decrypt"
    assert macie["Condition"]["StringEquals"] == {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}
    assert "AWSServiceRoleForAmazonMacie" in macie["Condition"]["ArnEquals"]["aws:PrincipalArn"]["Fn::Sub"]
    assert by_sid["LogGroupsOfThisAccount"]["Condition"]
    assert set(by_sid) == {"AccountByIam", "MacieReadsObjects", "LogGroupsOfThisAccount"}


@pytest.mark.parametrize("role", ROLES)
def test_roles_allow_named_actions_on_named_resources(template, role):
    properties = template["Resources"][role]["Properties"]
    assert "ManagedPolicyArns" not in properties  # above all none of the *FullAccess ones
    for _, statement in statements(template, role):
        actions = listed(statement["Action"])
        assert [action for action in actions if not re.fullmatch(r"[a-z0-9]+:[A-Za-z0-9]+", action)] == []
        assert "NotAction" not in statement
        assert "NotResource" not in statement
        if "*" in listed(statement["Resource"]) and statement["Effect"] == "Allow":
            assert set(actions) <= WITHOUT_RESOURCE


def test_nothing_may_reveal_what_macie_found(template):
    denied = [set(listed(s["Action"])) for _, s in statements(template, "PipelineRole") if s["Effect"] == "Deny"]
    assert len(denied) == 1
    assert "macie2:GetSensitiveDataOccurrences" in denied[0]
    allowed = {
        a for r in ROLES for _, s in statements(template, r) if s["Effect"] == "Allow" for a in listed(s["Action"])
    }
    assert not allowed & denied[0]


def test_the_pipeline_may_only_read_raw_tables(template):
    for _, statement in statements(template, "PipelineRole"):
        if any("LandingBucket" in json.dumps(resource) for resource in listed(statement["Resource"])):
            assert set(listed(statement["Action"])) <= {"s3:ListBucket", "s3:GetObject", "s3:GetObjectVersion"}


@pytest.mark.parametrize(("role", "service"), [("GlueRole", "glue"), ("SageMakerRole", "sagemaker")])
def test_a_services_role_is_for_it_alone_and_passed_to_it_alone(template, role, service):
    (trust,) = template["Resources"][role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": f"{service}.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    passing = [s for _, s in statements(template, "PipelineRole") if s["Action"] == "iam:PassRole"]
    (own,) = [s for s in passing if s["Resource"] == {"Fn::GetAtt": [role, "Arn"]}]
    assert own["Condition"] == {"StringEquals": {"iam:PassedToService": f"{service}.amazonaws.com"}}
    assert len(passing) == 2


def test_sagemakers_role_reads_and_writes_checkpoints_and_deletes_nothing(template):
    """SageMaker deletes in S3 what a container deletes in its folder for checkpoints; ours deletes nothing there."""
    allowed = {
        action for _, statement in statements(template, "SageMakerRole") for action in listed(statement["Action"])
    }
    objects = {action for action in allowed if action.startswith("s3:")}
    assert objects == {"s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"}


@pytest.mark.parametrize(("role", "module"), [("GlueRole", "glue"), ("SageMakerRole", "sagemaker")])
def test_a_services_role_sees_its_adapters_prefix_of_the_work_bucket_and_no_other_bucket(template, role, module):
    adapter = pytest.importorskip(f"tabveil.aws.{module}")
    prefix = adapter.PREFIX.rstrip("/")
    for _, statement in statements(template, role):
        actions = listed(statement["Action"])
        if any(action.startswith("s3:") for action in actions):
            resources = json.dumps(statement["Resource"])
            assert "LandingBucket" not in resources
            assert "OutputBucket" not in resources
            if actions == ["s3:ListBucket"]:
                patterns = listed(statement["Condition"]["StringLike"]["s3:prefix"])
                assert {pattern.split("/")[0] for pattern in patterns} == {prefix}
            else:
                assert statement["Resource"] == {"Fn::Sub": f"${{WorkBucket.Arn}}/{prefix}/*"}


def test_the_repository_scans_and_its_tags_stay(template):
    repository = template["Resources"]["Repository"]["Properties"]
    assert repository["ImageTagMutability"] == "IMMUTABLE"
    assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}
    json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])


def test_logs_end_and_are_encrypted(template):
    groups = [r["Properties"] for r in template["Resources"].values() if r["Type"] == "AWS::Logs::LogGroup"]
    assert len(groups) == 3
    for group in groups:
        assert group["RetentionInDays"] <= 30
        assert group["KmsKeyId"] == {"Fn::GetAtt": ["Key", "Arn"]}


def test_the_budget_alarms_by_mail(template):
    budget = template["Resources"]["Budget"]["Properties"]
    assert budget["Budget"]["BudgetLimit"] == {"Amount": {"Ref": "BudgetUsd"}, "Unit": "USD"}
    for notification in budget["NotificationsWithSubscribers"]:
        assert notification["Subscribers"] == [{"SubscriptionType": "EMAIL", "Address": {"Ref": "BudgetEmail"}}]


def test_every_output_becomes_a_variable_that_the_environment_aws_reads(template, repository):
    described = {name: output["Description"] for name, output in template["Outputs"].items()}
    assert described == stack_variables.OUTPUTS
    conf = (repository / "conf" / "environment" / "aws.yaml").read_text()
    read = set(re.findall(r"oc\.env:(\w+)", conf))
    written = {*described.values(), "AWS_REGION", "TABVEIL_PREFIX", "TABVEIL_IMAGE"}
    assert read - written == {"AWS_DEFAULT_REGION"}  # a shell's own
    assert written - read == {"TABVEIL_PIPELINE_ROLE", "TABVEIL_REPOSITORY", "TABVEIL_PREFIX"}  # docs/aws.md, `down`


def test_glues_logs_and_job_are_where_the_role_and_the_environment_look_for_them(template):
    groups = [template["Resources"][f"Glue{name}Logs"]["Properties"] for name in ("Error", "Output")]
    prefix, job = (template["Outputs"][name]["Value"]["Fn::Sub"] for name in ("GlueLogs", "GlueJob"))
    assert [group["LogGroupName"]["Fn::Sub"] for group in groups] == [f"{prefix}/error", f"{prefix}/output"]
    (logs,) = [s for _, s in statements(template, "GlueRole") if "logs:PutLogEvents" in s["Action"]]
    assert logs["Resource"] == [{"Fn::GetAtt": [f"Glue{name}Logs", "Arn"]} for name in ("Error", "Output")]
    (own,) = [s for _, s in statements(template, "PipelineRole") if "glue:CreateJob" in s["Action"]]
    assert own["Resource"]["Fn::Sub"].endswith(f":job/{job}")


def test_names_are_within_s3s_limit(template):
    longest = max(template["Resources"][name]["Properties"]["BucketName"]["Fn::Sub"] for name in BUCKETS)
    filled = longest.replace("${Prefix}", "p" * 20).replace("${AWS::AccountId}", "1" * 12)
    assert len(filled.replace("${AWS::Region}", "ap-southeast-2")) <= 63
    assert template["Parameters"]["Prefix"]["AllowedPattern"] == stack_variables.PREFIX.pattern
