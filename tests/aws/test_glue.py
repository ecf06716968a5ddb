"""tabveil.aws.glue against botocore's stubs: every state of a run, what is refused, what is left behind."""

from __future__ import annotations

import dataclasses
import functools
import http.server
import json
import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from aws_shapes import service_model, watch
from botocore.exceptions import ReadTimeoutError
from botocore.retries import standard
from botocore.stub import ANY, Stubber

from tabveil.artifacts import write_text
from tabveil.aws import glue
from tabveil.aws.glue import GlueRun, run_on_glue
from tabveil.aws.polling import poll
from tabveil.config import EnvironmentConfig, GlueConfig
from tabveil.errors import CloudError, ConfigError, CostError, StorageError
from tabveil.preprocess.local_spark import SCRIPT
from tabveil.storage.connection import client_settings

ROLE = "arn:aws:iam::123456789012:role/tabveil-glue"
OWN = GlueConfig(role_arn=ROLE, poll_seconds=0.001)
ENVIRONMENT = EnvironmentConfig(name="embedded", glue=OWN)
JOB, RUN_ID, TOKEN = OWN.job_name, "jr_" + "0" * 64, "abcdef"
SESSION = boto3.Session("AKIATEST", "secret", region_name="eu-central-1")
RESULT = {"result/part-0.txt": b"{}", "table/_SUCCESS": b"", "table/part-0.parquet": b"rows"}


class FakeStore:
    """An object store in memory, with the calls that the adapter makes."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.broken: set[str] = set()

    def put_version(self, bucket: str, key: str, path: Path) -> None:
        assert bucket == "tabveil-work"
        self.objects[key] = path.read_bytes()

    def get(self, bucket: str, key: str, destination: Path, *, max_bytes: int) -> None:
        if "get" in self.broken:
            raise StorageError("the connection broke off")
        assert len(self.objects[key]) <= max_bytes
        destination.write_bytes(self.objects[key])

    def list(self, bucket: str, prefix: str) -> list[Any]:
        found = sorted(key for key in self.objects if key.startswith(prefix))
        return [SimpleNamespace(key=key, size_bytes=len(self.objects[key])) for key in found]

    def delete_prefix(self, bucket: str, prefix: str) -> int:
        if "delete" in self.broken:
            raise StorageError("the store refused")
        gone = [key for key in self.objects if key.startswith(prefix)]
        for key in gone:
            del self.objects[key]
        return len(gone)


@dataclasses.dataclass
class FakeAWS:
    """`tabveil.aws.session.AWS` with a client of the test's."""

    environment: EnvironmentConfig
    store: FakeStore
    glue: Any

    def client(self, service: str) -> Any:
        assert service == "glue"
        return self.glue


def make_client(**settings: Any) -> Any:
    return watch(SESSION.client("glue", **settings))


@pytest.fixture
def aws() -> FakeAWS:
    return FakeAWS(ENVIRONMENT, FakeStore(), make_client())


@pytest.fixture
def stub(aws: FakeAWS) -> Iterator[Stubber]:
    with Stubber(aws.glue) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture(autouse=True)
def known_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glue.secrets, "token_hex", lambda size: TOKEN)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    write_text(tmp_path / "input" / "plan.json", "{}")
    write_text(tmp_path / "input" / "raw" / "part-0.parquet", "rows")
    return tmp_path / "input", tmp_path / "output"


def described(state: str, **more: Any) -> dict[str, Any]:
    return {"JobRun": {"Id": RUN_ID, "JobName": JOB, "JobRunState": state, "ExecutionTime": 83, **more}}


def definition(aws: FakeAWS) -> dict[str, Any]:
    return glue.job_definition(aws.environment, glue.upload_script(aws))


def expect_job(stub: Stubber, aws: FakeAWS) -> None:
    stub.add_response("get_job", {"Job": {"Name": JOB, **definition(aws)}}, {"JobName": JOB})


def expect_start(stub: Stubber, aws: FakeAWS) -> None:
    expect_job(stub, aws)
    arguments = {"--input": ANY, "--output": ANY}
    stub.add_response("start_job_run", {"JobRunId": RUN_ID}, {"JobName": JOB, "Arguments": arguments})


def expect_states(stub: Stubber, *answers: dict[str, Any]) -> None:
    for answer in answers:
        stub.add_response("get_job_run", answer, {"JobName": JOB, "RunId": RUN_ID})


class Runs:
    """Answers `get_job_runs` with a run that writes where the adapter was told to, once it is known."""

    def __init__(self, aws: FakeAWS, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
        self.asked = 0
        self._aws, self._state = aws, state
        monkeypatch.setattr(aws.glue, "get_job_runs", self.answer)

    def answer(self, JobName: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        self.asked += 1
        prefix = next(key for key in self._aws.store.objects if key.endswith("/input/plan.json"))
        output = f"s3://tabveil-work/{prefix.removesuffix('/input/plan.json')}/output"
        return {"JobRuns": [{**described(self._state)["JobRun"], "Arguments": {"--output": output}}]}


def prefixes(aws: FakeAWS) -> set[str]:
    return {key.split("/")[1] for key in aws.store.objects}


def test_a_run_that_succeeds_brings_its_output_and_its_bill(aws, stub, folders):
    source, target = folders
    told: list[str] = []

    def finish(state: str) -> None:
        told.append(state)
        (run,) = prefixes(aws) - {"scripts"}
        assert aws.store.objects[f"glue/{run}/input/raw/part-0.parquet"] == b"rows"
        aws.store.objects |= {f"glue/{run}/output/{name}": content for name, content in RESULT.items()}

    expect_start(stub, aws)
    expect_states(stub, *(described(state) for state in ("WAITING", "STARTING", "RUNNING", "RUNNING", "SUCCEEDED")))
    done = run_on_glue(aws, source, target, on_status=finish)
    assert done == GlueRun(JOB, RUN_ID, 83, 166.0)
    assert told == ["WAITING", "STARTING", "RUNNING", "SUCCEEDED"]
    found = {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}
    assert found == {name: content for name, content in RESULT.items() if content}
    assert prefixes(aws) == {"scripts"}  # the rows are gone
    assert list(aws.store.objects.values()) == [SCRIPT.read_bytes()]


def test_what_glue_bills_is_taken_where_it_says_so():
    billed = glue._summary(described("SUCCEEDED", DPUSeconds=41.5)["JobRun"], ENVIRONMENT)
    assert billed.dpu_seconds == 41.5
    short = glue._summary({**described("SUCCEEDED")["JobRun"], "ExecutionTime": 5}, ENVIRONMENT)
    assert (short.seconds, short.dpu_seconds) == (5, 120.0)  # a minute on two workers at least


ENDS = [
    ("STOPPED", None, "it was stopped by someone else"),
    ("FAILED", "SystemExit: the Spark job\n failed: X", "it failed (SystemExit: the Spark job failed: X)"),
    ("TIMEOUT", None, "it ran longer than environment.glue.timeout_minutes"),
    ("ERROR", None, "Glue itself broke off"),
    ("EXPIRED", None, "no workers became free in time"),
    ("RESTING", None, "its state is RESTING, which this version does not know"),
]


@pytest.mark.parametrize(("state", "reason", "message"), ENDS)
def test_every_other_end_is_an_error_that_says_why(aws, folders, state: str, reason: str | None, message: str):
    aws.glue = SESSION.client("glue")  # a state of the future breaks today's model
    source, target = folders
    with Stubber(aws.glue) as stub:
        expect_start(stub, aws)
        expect_states(stub, described("RUNNING"), described(state, **({"ErrorMessage": reason} if reason else {})))
        with pytest.raises(CloudError) as caught:
            run_on_glue(aws, source, target)
    said = str(caught.value)
    assert message in said
    assert RUN_ID in said
    assert "log-group/$252Faws-glue$252Ftabveil$252Ferror$3FlogStreamNameFilter$3D" + RUN_ID in said
    assert len(said.splitlines()) == 1
    assert not target.exists()
    assert prefixes(aws) == {"scripts"}


def test_every_state_of_the_service_model_is_handled():
    shape = service_model("glue").operation_model("GetJobRun").output_shape.members["JobRun"]
    states = set(shape.members["JobRunState"].enum)
    assert states == glue.ACTIVE_STATES | glue.FINAL_STATES
    assert glue.FINAL_STATES - {"SUCCEEDED"} == set(glue.ENDINGS) == {state for state, *_ in ENDS} - {"RESTING"}


@pytest.mark.parametrize("signal", [KeyboardInterrupt(), SystemExit(143), ValueError("broken")])
def test_an_interrupt_stops_the_run_and_waits_for_its_end(aws, stub, folders, monkeypatch, signal: BaseException):
    source, target = folders
    Runs(aws, monkeypatch, "RUNNING")

    def interrupt(state: str) -> None:
        raise signal

    expect_start(stub, aws)
    expect_states(stub, described("RUNNING"))
    stopped = {"SuccessfulSubmissions": [{"JobName": JOB, "JobRunId": RUN_ID}], "Errors": []}
    stub.add_response("batch_stop_job_run", stopped, {"JobName": JOB, "JobRunIds": [RUN_ID]})
    expect_states(stub, described("STOPPING"), described("STOPPED"))
    with pytest.raises(type(signal)) as caught:
        run_on_glue(aws, source, target, on_status=interrupt)
    assert not hasattr(caught.value, "__notes__")
    assert not target.exists()
    assert prefixes(aws) == {"scripts"}


@pytest.mark.parametrize("second", [KeyboardInterrupt(), SystemExit(143)])
def test_a_second_interrupt_leaves_neither_job_nor_rows_unmentioned(aws, stub, folders, monkeypatch, second):
    source, target = folders

    def interrupt(state: str) -> None:
        raise KeyboardInterrupt

    def impatient(*_: Any) -> None:
        raise second

    monkeypatch.setattr(glue, "stop", impatient)
    monkeypatch.setattr(aws.store, "delete_prefix", impatient)
    expect_start(stub, aws)
    expect_states(stub, described("RUNNING"))
    with pytest.raises(KeyboardInterrupt) as caught:
        run_on_glue(aws, source, target, on_status=interrupt)
    runs_on, later, left = caught.value.__notes__
    assert runs_on.startswith("the job may run on, its cancellation was interrupted")
    assert f"{TOKEN}/ is deleted all the same" in later
    assert f"{TOKEN}/ holds real rows, deleting it was interrupted" in left


def test_rows_that_a_killed_process_left_are_deleted_by_the_next_run(aws, stub, folders):
    now, source, target = datetime.now(UTC), *folders
    names = {age: f"glue/{now - timedelta(hours=age):%Y%m%d-%H%M%S}-{TOKEN}/input/raw.parquet" for age in (1, 23, 25)}
    kept = {names[1], names[23], "glue/2-not-a-run/x", "glue/20200101-000000-of-others/x"}
    aws.store.objects |= dict.fromkeys([*kept, names[25], "glue/20200101-000000-abc/output/x"], b"rows")
    expect_start(stub, aws)
    expect_states(stub, described("SUCCEEDED"))
    run_on_glue(aws, source, target)
    assert {key for key in aws.store.objects if "scripts" not in key} == kept


def test_a_run_that_has_ended_by_itself_is_not_stopped(aws, stub, monkeypatch, folders):
    Runs(aws, monkeypatch, "FAILED")
    aws.store.objects["glue/r/input/plan.json"] = b""
    glue.stop(aws.glue, ENVIRONMENT, "s3://tabveil-work/glue/r/output")
    glue.stop(aws.glue, ENVIRONMENT, "s3://tabveil-work/glue/another/output")


def test_expired_credentials_end_the_wait_and_what_could_not_be_done_is_told(aws, stub, folders):
    source, target = folders
    aws.store.broken.add("delete")
    expect_start(stub, aws)
    stub.add_client_error("get_job_run", "ExpiredTokenException", "expired")
    stub.add_client_error("get_job_runs", "ExpiredTokenException", "expired")
    with pytest.raises(CloudError, match="the credentials have expired") as caught:
        run_on_glue(aws, source, target)
    cancelled, later, deleted = caught.value.__notes__
    assert "the job may run on, it could not be cancelled" in cancelled
    assert "is deleted all the same; what the job still writes there" in later
    assert "holds real rows and could not be deleted" in deleted


def test_a_run_that_outlives_its_limits_is_stopped(aws, stub, folders, monkeypatch):
    source, target = folders
    Runs(aws, monkeypatch, "STOPPED")
    ticks = iter(range(0, 10**9, 5000))
    impatient = functools.partial(poll, clock=lambda: float(next(ticks)), sleep=lambda seconds: None)
    monkeypatch.setattr(glue, "poll", impatient)
    expect_start(stub, aws)
    expect_states(stub, described("RUNNING"))
    with pytest.raises(CloudError, match="must end within 3600 s"):
        run_on_glue(aws, source, target)


def test_output_that_cannot_be_fetched_leaves_nothing(aws, stub, folders):
    source, target = folders
    aws.store.broken.add("get")
    write_text(target / "older", "result")
    expect_start(stub, aws)
    expect_states(stub, described("SUCCEEDED"))

    def finish(state: str) -> None:
        (run,) = prefixes(aws) - {"scripts"}
        aws.store.objects[f"glue/{run}/output/table/part-0.parquet"] = b"rows"

    with pytest.raises(StorageError, match="broke off"):
        run_on_glue(aws, source, target, on_status=finish)
    assert [path.name for path in target.rglob("*")] == ["older"]
    assert prefixes(aws) == {"scripts"}


def test_a_key_that_climbs_out_of_the_folder_is_refused(aws, tmp_path):
    aws.store.objects["glue/r/output/../../evil"] = b"x"
    with pytest.raises(StorageError, match="must name a file there"):
        glue.fetch(aws, "glue/r/output/", tmp_path / "output")
    assert list(tmp_path.iterdir()) == []


# starting


def test_a_job_that_is_missing_is_created_and_one_that_differs_is_updated(aws, stub):
    wanted = definition(aws)
    stub.add_client_error("get_job", "EntityNotFoundException", "no such job")
    stub.add_response("create_job", {"Name": JOB}, {"Name": JOB, "Tags": {"project": "tabveil"}, **wanted})
    glue.ensure_job(aws.glue, wanted, ENVIRONMENT)
    stub.add_response("get_job", {"Job": {"Name": JOB, **wanted, "GlueVersion": "5.0"}}, {"JobName": JOB})
    stub.add_response("update_job", {"JobName": JOB}, {"JobName": JOB, "JobUpdate": wanted})
    glue.ensure_job(aws.glue, wanted, ENVIRONMENT)
    expect_job(stub, aws)
    glue.ensure_job(aws.glue, wanted, ENVIRONMENT)


def test_the_definition_pins_what_glue_would_choose_itself(aws):
    wanted = definition(aws)
    assert wanted["GlueVersion"] == "5.1"
    assert (wanted["Timeout"], wanted["MaxRetries"], wanted["ExecutionClass"]) == (30, 0, "STANDARD")
    assert wanted["Command"]["Name"] == "glueetl"
    assert re.fullmatch(
        r"s3://tabveil-work/glue/scripts/spark_job-[0-9a-f]{16}\.py", wanted["Command"]["ScriptLocation"]
    )
    assert wanted["DefaultArguments"] == {"--custom-logGroup-prefix": "/aws-glue/tabveil"}
    assert "SecurityConfiguration" not in wanted
    secured = dataclasses.replace(ENVIRONMENT, glue=dataclasses.replace(OWN, security_configuration="bank"))
    assert glue.job_definition(secured, "s3://b/k")["SecurityConfiguration"] == "bank"


@pytest.mark.parametrize("wrong", [{"worker_type": "G.3X"}, {"version": "five"}])
def test_the_judge_notices_a_definition_that_glue_would_refuse(aws, wrong: dict[str, str]):
    environment = dataclasses.replace(ENVIRONMENT, glue=dataclasses.replace(OWN, **wrong))
    with Stubber(aws.glue) as stub:
        stub.add_client_error("get_job", "EntityNotFoundException", "no such job")
        with pytest.raises(AssertionError, match=r"does not match|is not one of"):
            glue.ensure_job(aws.glue, glue.job_definition(environment, "s3://b/k"), environment)


def test_a_start_whose_answer_was_lost_is_found_again(aws, stub, folders, monkeypatch):
    """botocore sends the request again, and Glue refuses a second run beside the first."""
    source, target = folders
    runs = Runs(aws, monkeypatch, "RUNNING")
    expect_job(stub, aws)
    stub.add_client_error("start_job_run", "ConcurrentRunsExceededException", "one at a time")
    expect_states(stub, described("SUCCEEDED"))
    assert run_on_glue(aws, source, target).run_id == RUN_ID
    assert runs.asked == 1


def test_another_active_run_is_an_error(aws, stub):
    stub.add_client_error("start_job_run", "ConcurrentRunsExceededException", "one at a time")
    stub.add_response("get_job_runs", {"JobRuns": [described("RUNNING")["JobRun"]]}, {"JobName": JOB})
    with pytest.raises(CloudError, match="another run of it is active: wait"):
        glue.start(aws.glue, ENVIRONMENT, "s3://tabveil-work/glue/r/input", "s3://tabveil-work/glue/r/output")


@pytest.mark.parametrize("began", [True, False])
def test_a_start_without_an_answer_is_repeated_only_if_nothing_runs(aws, stub, monkeypatch, began: bool):
    output, starts = "s3://tabveil-work/glue/r/output", []

    def lost(**_: Any) -> dict[str, Any]:
        starts.append(1)
        if len(starts) == 1:
            raise ReadTimeoutError(endpoint_url="http://127.0.0.1")
        return {"JobRunId": "jr_second"}

    monkeypatch.setattr(aws.glue, "start_job_run", lost)
    run = {**described("STARTING")["JobRun"], "Arguments": {"--output": output}}
    stub.add_response("get_job_runs", {"JobRuns": [run] if began else []}, {"JobName": JOB})
    found = glue.start(aws.glue, ENVIRONMENT, "s3://tabveil-work/glue/r/input", output)
    assert (found, len(starts)) == ((RUN_ID, 1) if began else ("jr_second", 2))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("AccessDeniedException", "access was refused"),
        ("ThrottlingException", "it was throttled repeatedly"),
        ("ResourceNumberLimitExceededException", "it answered ResourceNumberLimitExceededException: quota"),
    ],
)
def test_a_refused_start_is_told_in_glues_own_words(aws, stub, folders, code: str, message: str):
    source, target = folders
    expect_job(stub, aws)
    stub.add_client_error("start_job_run", code, "quota")
    stub.add_response("get_job_runs", {"JobRuns": []})
    with pytest.raises(CloudError, match=message):
        run_on_glue(aws, source, target)
    assert prefixes(aws) == {"scripts"}


# refused before anything is uploaded


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"role_arn": None}, ConfigError, "TABVEIL_GLUE_ROLE"),
        ({"worker_type": "G.9X"}, ConfigError, "worker_type must be one of"),
        ({"number_of_workers": 20}, CostError, r"cost up to 4\.40 USD"),
    ],
)
def test_what_can_only_fail_is_refused_first(aws, stub, folders, change: dict[str, Any], error, message: str):
    source, target = folders
    aws.environment = dataclasses.replace(ENVIRONMENT, glue=dataclasses.replace(OWN, **change))
    with pytest.raises(error, match=message):
        run_on_glue(aws, source, target)
    assert aws.store.objects == {}


# what botocore repeats, against a server that misbehaves


@pytest.fixture
def unreliable() -> Iterator[Callable[[list[tuple[int, str]]], Any]]:
    """``unreliable([(400, "ThrottlingException")])``: a client whose requests fail so, before one succeeds."""
    servers = []

    def serve(failures: list[tuple[int, str]]) -> Any:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                status, code = failures.pop(0) if failures else (200, "")
                if status == 0:  # drop the connection without a word
                    self.close_connection = True
                    return
                body = json.dumps({"__type": code, "message": "later"} if code else {"JobRunId": RUN_ID, "JobRuns": []})
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, format: str, *args: Any) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        url = f"http://127.0.0.1:{server.server_port}"
        return make_client(endpoint_url=url, config=client_settings(url))

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standard.ExponentialBackoff, "delay_amount", lambda self, context: 0.0)


@pytest.mark.parametrize("failure", [(400, "ThrottlingException"), (500, "InternalServiceException"), (0, "")])
def test_throttles_server_errors_and_dropped_connections_are_repeated(unreliable, impatient, failure):
    client = unreliable([failure, failure])
    assert glue.start(client, ENVIRONMENT, "s3://b/glue/r/input", "s3://b/glue/r/output") == RUN_ID


def test_what_does_not_end_is_a_clear_error(unreliable, impatient):
    with pytest.raises(CloudError, match="it was throttled repeatedly"):
        glue.start(unreliable([(400, "ThrottlingException")] * 9), ENVIRONMENT, "s3://b/i", "s3://b/o")
    with pytest.raises(CloudError, match="the connection broke off"):
        glue.start(unreliable([(0, "")] * 20), ENVIRONMENT, "s3://b/i", "s3://b/o")
