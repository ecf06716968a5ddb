"""The whole pipeline by `dvc repro` on a small table in a temporary clone: repeatable, killable, all or nothing."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pandas as pd
import psutil
import pytest
from playwright.sync_api import Browser, Page

from tabveil.artifacts import STAGES, Artifacts
from tabveil.stages.app import compose_config
from tabveil.storage import connect
from tabveil.storage.receipts import landing_holds, publication_holds

pytestmark = pytest.mark.pipeline

EMAILS = [f"person{i}@bank.test" for i in range(1200)]


def write_accounts(path: Path) -> None:
    """1,200 accounts: ids, e-mails, a date, numbers that depend on each other, a category, a flag."""
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(["Account No", "E-Mail", "Opened", "Balance", "Limit", "Segment", "Active"])
        for i, email in enumerate(EMAILS):
            limit = 1000 * (1 + i * 7919 % 9)
            balance = round(limit * (i * 104729 % 997) / 1000, 2)
            segment = ("retail", "premium", "business")[min(2, limit // 3500)]
            opened = f"{2010 + i % 12}-{1 + i * 31 % 12:02d}-{1 + i * 17 % 28:02d}"
            writer.writerow([100000 + i, email, opened, balance, limit, segment, "yes" if i % 3 else "no"])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, make_clone, clean_environment) -> Path:
    """A clone that is set to a small dataset, drafted by new_dataset and run once."""
    folder = make_clone(tmp_path_factory.mktemp("pipeline") / "clone")
    write_accounts(folder / "accounts.csv")
    environment = {
        **clean_environment,
        "PYTHONPATH": f"{folder / 'src'}:{clean_environment['PYTHONPATH']}",
    }
    for command in (
        ["tabveil.sample_data"],  # data.dvc's file, which `make run` composes as well
        ["tabveil.new_dataset", "accounts.csv"],
        ["tabveil.use", "dataset=accounts"],
    ):
        subprocess.run([sys.executable, "-m", *command], cwd=folder, env=environment, check=True)
    tvae = folder / "conf" / "synthesizer" / "tvae.yaml"
    tvae.write_text(tvae.read_text().replace("max_steps: 0 ", "max_steps: 200 "))
    result = subprocess.run(["dvc", "repro"], cwd=folder, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return folder


def artifact_paths(folder: Path) -> list[Path]:
    artifacts = Artifacts(folder / "artifacts")
    return [getattr(artifacts, name) for name, value in vars(Artifacts).items() if isinstance(value, property)]


def leftovers(folder: Path) -> list[Path]:
    return [
        path for path in (folder / "artifacts").rglob("*") if path.name.startswith(".") and path.name.endswith(".tmp")
    ]


def test_every_artifact_is_there_and_nothing_is_half_written(project: Path):
    assert [path for path in artifact_paths(project) if not path.exists()] == []
    assert leftovers(project) == []


def test_the_synthetic_csv_has_the_original_header_and_no_real_identity(project: Path):
    raw, synthetic = project / "data" / "accounts.csv", Artifacts(project / "artifacts").synthetic_csv
    assert synthetic.read_text().splitlines()[0] == raw.read_text().splitlines()[0]
    text = synthetic.read_text()
    assert [email for email in EMAILS if email in text] == []


def stages_run(output: str) -> list[str]:
    """The stages that `dvc repro` says it ran, but for the one that always runs."""
    ran = re.findall(r"Running stage '(\w+)'", output)
    assert ran[0] == "preflight"
    return ran[1:]


def assert_up_to_date(project: Path, run_in) -> None:
    """`dvc status` names nothing but the stage that always runs."""
    assert run_in(project, "dvc", "status").stdout.split() == ["preflight:", "always", "changed"]


def test_the_second_repro_runs_nothing_and_status_is_clean(project: Path, run_in):
    assert stages_run(run_in(project, "dvc", "repro").stdout) == []
    assert_up_to_date(project, run_in)


@pytest.mark.parametrize("times", [1, 2])  # the second time DVC's run cache knows both stages
def test_a_lost_store_is_filled_again_without_training_again(project: Path, run_in, times: int):
    """Same files, other bucket: what an account that was taken down and up again looks like."""
    made = Artifacts(project / "artifacts")
    before = json.loads(made.published.read_text())
    shutil.rmtree(project / ".tabveil" / "s3")
    assert stages_run(run_in(project, "dvc", "repro").stdout) == ["pull", "publish"]
    after = json.loads(made.published.read_text())
    assert after["uri"] == before["uri"]
    assert after["manifest"]["version_id"] != before["manifest"]["version_id"]
    config = compose_config(["dataset=accounts"], conf=project / "conf")
    with connect(config.environment, project) as store:
        assert landing_holds(store, config.environment, config.dataset, json.loads(made.source.read_text()))
        assert publication_holds(store, config.environment, config.dataset, after)
    assert stages_run(run_in(project, "dvc", "repro").stdout) == []


def test_a_run_that_could_cost_too_much_is_refused_by_plain_dvc_repro(project: Path, run_in):
    """Both jobs are below the limit, their sum is not: nothing runs, and no job is billed."""
    files = [project / "conf" / "config.yaml", project / "conf" / "environment" / "embedded.yaml"]
    before = [path.read_text() for path in files]
    files[0].write_text(before[0].replace("environment: local", "environment: embedded"))
    files[1].write_text(before[1].replace("max_cost_usd: 1.0", "max_cost_usd: 0.5"))
    try:
        refused = run_in(project, "dvc", "repro", check=False)
        assert refused.returncode != 0
        assert stages_run(refused.stdout) == []
        assert "error: a run may cost at most environment.max_cost_usd=0.5 USD" in refused.stderr
    finally:
        for path, text in zip(files, before, strict=True):
            path.write_text(text)
    run_in(project, "dvc", "repro")


def test_published_objects_carry_their_checksums(project: Path):
    published = json.loads(Artifacts(project / "artifacts").published.read_text())
    assert published["uri"].startswith("s3://tabveil-output/synthetic/accounts/")
    files = published["files"]
    assert {"synthetic.csv", "report.html", "metrics.json", "gate.json"} <= set(files)
    local = Artifacts(project / "artifacts").synthetic_csv.read_bytes()
    assert files["synthetic.csv"]["sha256"] == hashlib.sha256(local).hexdigest()


def test_dvc_push_sends_no_real_row_and_no_model(project: Path, run_in, tmp_path: Path):
    remote = tmp_path / "remote"
    run_in(project, "dvc", "remote", "add", "--local", "--default", "--force", "here", str(remote))
    run_in(project, "dvc", "push", "--run-cache")
    sent = {hashlib.md5(path.read_bytes()).hexdigest() for path in remote.rglob("*") if path.is_file()}
    made = Artifacts(project / "artifacts")
    assert hashlib.md5(made.synthetic_parquet.read_bytes()).hexdigest() in sent
    kept = [made.raw, made.table, made.quarantine, made.train_data, made.holdout_data]
    kept += [path for path in made.model.iterdir() if path.name != made.loss_curve.name]
    kept += [made.identity_digests, made.profile, made.sql, made.findings]
    assert [path.name for path in kept if hashlib.md5(path.read_bytes()).hexdigest() in sent] == []


def test_the_model_is_registered_and_samples(project: Path, run_in):
    code = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "import mlflow; mlflow.set_tracking_uri('sqlite:///mlruns/mlflow.db')\n"
        "model = mlflow.pyfunc.load_model('models:/tabveil-accounts@champion')\n"
        "a = model.predict(None, params={'num_rows': 25, 'seed': 3})\n"
        "b = model.predict(None, params={'num_rows': 25, 'seed': 3})\n"
        "assert a.equals(b)\n"
        "print(a.shape, sorted(a.columns))\n"
    )
    out = run_in(project, sys.executable, "-c", code).stdout
    assert out.startswith("(25, ")
    assert "'balance'" in out
    assert "e_mail" not in out


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_stage_leaves_nothing_half_written_and_can_be_repeated(
    stage: str, project: Path, run_in, clean_environment
):
    outputs = [path for path in artifact_paths(project) if path.is_relative_to(project / "artifacts" / stage)]
    run_in(project, "dvc", "repro")
    before = {path: path.read_bytes() for path in outputs if path.is_file()}
    environment = {
        **clean_environment,
        "PYTHONPATH": f"{project / 'src'}:{clean_environment['PYTHONPATH']}",
        "OMP_NUM_THREADS": "1",
    }
    for seconds in (1.5, 0.5, 0.2, 0.1, 0.0):  # of work before the kill; a fast machine may be done by then
        with subprocess.Popen(
            ["dvc", "repro", "--force", "--single-item", stage],
            cwd=project,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            held = hold_stage(process.pid, stage, seconds)
            if held:
                os.killpg(process.pid, signal.SIGKILL)
        if held:
            break
    else:
        pytest.fail(f"the stage {stage} always ended before it could be killed")

    for path in outputs:  # each output is whole or absent
        if path.suffix == ".json" and path.exists():
            json.loads(path.read_text())
        if path.suffix == ".parquet" and path.exists():
            pd.read_parquet(path)
    run_in(project, "dvc", "repro")
    assert leftovers(project) == []
    assert [path for path in outputs if not path.exists()] == []
    if stage not in ("train", "evaluate", "publish"):  # those name the MLflow run, which is a new one
        assert {path: path.read_bytes() for path in outputs if path.is_file()} == before


def hold_stage(dvc: int, stage: str, seconds: float) -> bool:
    """Hold the stage's own process once it has been at work for so long, so that it is what the kill meets.

    (A kill of DVC while it writes dvc.lock, after the stage, leaves half a lock: DVC's own, not ours to mend.)

    Returns:
        Whether it is held; False: it ended before.
    """
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(psutil.NoSuchProcess):  # a process may end while it is looked at
            for child in psutil.Process(dvc).children(recursive=True):
                if f"tabveil.stages.{stage}" in child.cmdline()[1:]:
                    return suspended(child, seconds)
        time.sleep(0.05)
    pytest.fail(f"the stage {stage} did not start")


def suspended(process: psutil.Process, seconds: float) -> bool:
    """Stop a process after so many seconds; False: it has ended by then."""
    time.sleep(seconds)
    try:
        process.suspend()
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_failed_gate_publishes_nothing(project: Path, run_in):
    conf = project / "conf" / "evaluation" / "default.yaml"
    original = conf.read_text()
    conf.write_text(original.replace("min_quality: 0.90", "min_quality: 1.0"))
    try:
        result = run_in(project, "dvc", "repro", check=False)
        assert result.returncode != 0
        assert "the gate failed" in result.stdout + result.stderr
        artifacts = Artifacts(project / "artifacts")
        assert json.loads(artifacts.gate.read_text())["passed"] is False
        assert artifacts.report.exists()
        alone = run_in(project, sys.executable, "-m", "tabveil.stages.publish", check=False)
        assert alone.returncode == 2
        assert "nothing is published" in alone.stderr
    finally:
        conf.write_text(original)
    run_in(project, "dvc", "repro")


@pytest.fixture(scope="module")
def sweep_output(project: Path, clean_environment) -> str:
    """What a sweep over two synthesizers and two seeds printed."""
    overrides = ("synthesizer=tvae,sdv_gaussian_copula", "synthesizer.seed=0,1", "evaluation.num_plots=1")
    result = subprocess.run(
        [sys.executable, "-m", "tabveil.sweep", "--multirun", *overrides],
        cwd=project,
        env={
            **clean_environment,
            "PYTHONPATH": f"{project / 'src'}:{clean_environment['PYTHONPATH']}",
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


def test_a_sweep_leaves_dvc_clean_and_prints_a_leaderboard(project: Path, sweep_output: str, run_in):
    assert "Leaderboard" in sweep_output
    assert sweep_output.count("sdv_gaussian_copula") >= 2
    assert_up_to_date(project, run_in)


def test_a_failing_trial_does_not_end_the_sweep(project: Path, run_in):
    arguments = ("synthesizer=sdv_gaussian_copula", "synthesizer.min_rows=100000,200", "evaluation.num_plots=1")
    result = run_in(project, sys.executable, "-m", "tabveil.sweep", "--multirun", *arguments, check=False)
    assert result.returncode == 2
    assert "error: trial 0: the training table must have at least 100000 rows" in result.stderr
    assert "Leaderboard" in result.stdout
    assert result.stderr.strip().splitlines()[-1] == "error: 1 trial failed: 0 (see above)"


@pytest.fixture(scope="module")
def ui(project: Path, clean_environment) -> Iterator[str]:
    """Address of the MLflow UI over the project's store."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        ["make", "ui", f"PORT={port}", f"STAMP={sys.executable}"],  # there already: nothing is installed from the clone
        cwd=project,
        env={
            **clean_environment,
            "PYTHONPATH": f"{project / 'src'}:{clean_environment['PYTHONPATH']}",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/health")
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=60)


def wait_for(address: str, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


QUALITY_CELL = "[row-id] [col-id='metrics.`quality/overall`']"


def quality_column(page: Page) -> dict[str, float]:
    """Run id -> number below quality/overall, in the order of the rows; rows without a number are left out."""
    read = (
        "cells => cells.map(cell => [cell.closest('[row-id]'), cell.innerText])"
        ".map(([row, text]) => [Number(row.getAttribute('row-index')), row.getAttribute('row-id'), text])"
    )
    cells = sorted(page.locator(QUALITY_CELL).evaluate_all(read))
    return {run_id: round(float(text), 9) for _, run_id, text in cells if text.strip() != "-"}


def assert_shows(page: Page, logged: dict[str, float], seconds: float = 60.0) -> None:
    """Soon every run's row has its own score, no other row has one, and the best is on top."""
    scores = {run_id: round(score, 9) for run_id, score in logged.items()}
    best_first = sorted(scores.values(), reverse=True)
    deadline = time.monotonic() + seconds
    column = quality_column(page)
    while (column != scores or list(column.values()) != best_first) and time.monotonic() < deadline:
        page.wait_for_timeout(500)
        column = quality_column(page)
    assert column == scores
    assert list(column.values()) == best_first


def logged_scores(store: Path, parent_run_id: str = "") -> dict[str, float]:
    """Run id -> quality/overall, of one sweep's children or of all runs, read without MLflow."""
    query = (
        "select run_uuid, value from latest_metrics where key = 'quality/overall' and (:parent = '' or run_uuid in "
        "(select run_uuid from tags where key = 'mlflow.parentRunId' and value = :parent))"
    )
    with closing(sqlite3.connect(store)) as connection:
        return dict(connection.execute(query, {"parent": parent_run_id}).fetchall())


@pytest.mark.browser
def test_the_link_that_a_sweep_prints_opens_the_table_of_its_runs_and_their_scores(
    project: Path, sweep_output: str, ui: str, browser: Browser
):
    page_path, parent = re.findall(r"http://127\.0\.0\.1:5000(/#\S+viewStateShareKey=(\w+)\S*)", sweep_output)[0]
    scores = logged_scores(project / "mlruns" / "mlflow.db", parent)
    assert len(scores) == 4
    assert len(set(scores.values())) > 1
    page = browser.new_page(viewport={"width": 2400, "height": 1600})
    page.goto(f"{ui}{page_path}", wait_until="load")
    assert_shows(page, scores)
    headings = page.locator("[role=columnheader]").all_inner_texts()
    assert {"quality/overall", "utility/tstr", "synthesizer.name", "synthesizer.seed"} <= {h.strip() for h in headings}


@pytest.mark.browser
def test_make_ui_keeps_a_view_of_all_runs_and_their_scores(project: Path, sweep_output: str, ui: str, browser: Browser):
    page = browser.new_page(viewport={"width": 2400, "height": 3000})
    page.goto(f"{ui}/#/experiments/1/runs?workflowType=machine_learning", wait_until="load")
    page.get_by_text("sweep: synthesizer=tvae,sdv_gaussian_copula").first.wait_for(timeout=60_000)
    page.get_by_test_id("saved-views-trigger").click()
    page.get_by_role("menu").get_by_text("Scores", exact=True).click()
    assert_shows(page, logged_scores(project / "mlruns" / "mlflow.db"))


@pytest.mark.browser
def test_the_report_draws_its_charts_and_asks_the_network_for_nothing(project: Path, browser: Browser):
    page = browser.new_page(viewport={"width": 1400, "height": 1200})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    report = Artifacts(project / "artifacts").report.as_uri()
    page.goto(report, wait_until="load")
    page.wait_for_function("document.querySelectorAll('svg, canvas').length > 5", timeout=60_000)
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert problems == []
    text = page.inner_text("body")
    assert "balance" in text
    assert [email for email in EMAILS if email in text] == []


def test_the_embedded_aws_path_gives_the_same_tables_model_and_verdict(project: Path, run_in):
    """Glue, Macie and SageMaker through boto3 instead of DuckDB, the local scanner alone and training in process."""
    local = evidence(project)
    said = run_in(project, "make", "run", "ENVIRONMENT=embedded").stdout
    assert "gate passed" in said
    assert evidence(project) == local
    made = Artifacts(project / "artifacts")
    assert json.loads(made.run.read_text())["training"]["by"] == "sagemaker"
    assert json.loads(made.findings.read_text())["macie"]
    charged = {path.stem for path in (project / ".tabveil" / "costs").glob("*.json")}
    assert {"preprocess", "verify", "train"} <= charged


def evidence(folder: Path) -> dict[str, object]:
    """What must not depend on where a run took place: digests of tables and model, and what the gate measured."""
    made = Artifacts(folder / "artifacts")
    files = (made.table, made.quarantine, made.train_data, made.holdout_data, made.synthetic_csv)
    weights = made.model / "weights.safetensors"
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (*files, weights)}
    gate = json.loads(made.gate.read_text())
    return {**digests, "checks": gate["checks"], "passed": gate["passed"]}
