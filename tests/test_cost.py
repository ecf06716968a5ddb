"""tabveil.aws.charges and estimate, tabveil.cost: list prices, what stages leave, the estimate before a run."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabveil.artifacts import Artifacts, write_json
from tabveil.aws import charges, estimate
from tabveil.aws.charges import Charge, by_service, cost_metrics, forget, record, recorded
from tabveil.config import EnvironmentConfig, FileFormat, GlueConfig, PricesConfig, SageMakerConfig
from tabveil.errors import ArtifactError, ConfigError, CostError, UnreadableFileError
from tabveil.stages.app import compose_config
from tabveil.stages.evaluate import BEFORE_PUBLISH
from tabveil.summary import cost_section

PRICES = PricesConfig()
LOCAL = EnvironmentConfig()
EMBEDDED = EnvironmentConfig(name="embedded", embedded_aws=True)
AWS = EnvironmentConfig(name="aws", embedded_s3=False)


def test_glue_bills_dpu_seconds_with_a_minimum():
    assert charges.glue_charge(PRICES, 3600).usd == pytest.approx(0.44)
    environment = EnvironmentConfig(glue=GlueConfig(worker_type="G.2X", number_of_workers=3))
    assert charges.glue_dpu_seconds(environment, 100) == 600
    assert charges.glue_dpu_seconds(environment, 1) == 60 * 6


def test_a_worker_type_of_unknown_size_is_refused():
    with pytest.raises(ConfigError, match=r"must be one of G\.1X"):
        charges.glue_dpu_seconds(EnvironmentConfig(glue=GlueConfig(worker_type="Standard")), 60)


def test_macie_bills_gigabytes_and_sagemaker_seconds():
    assert charges.macie_charge(PRICES, 2e9).usd == pytest.approx(2)
    assert charges.sagemaker_charge(PRICES, "ml.c5.xlarge", 1800).usd == pytest.approx(0.233 / 2)
    with pytest.raises(ConfigError, match=r"must have a price for ml\.p5.*ml\.c5\.xlarge"):
        charges.sagemaker_charge(PRICES, "ml.p5.48xlarge", 1)


def test_s3_bills_requests_by_group_and_storage():
    requests = {"PutObject": 1000, "UploadPart": 1000, "GetObject": 500, "HeadObject": 500, "DeleteObject": 10**6}
    charge = charges.s3_charge(PRICES, requests, stored_bytes=1e9)
    assert charge.usd == pytest.approx(2 * 0.0054 + 0.00043 + 0.0245)
    assert charge.usage == "2000 writes and lists, 1000 reads, 1.000 GB for a month"


@pytest.mark.parametrize(("service", "usd"), [("ec2", 1.0), ("s3", -0.1)])
def test_a_charge_that_cannot_be_is_refused(service, usd):
    with pytest.raises(ValueError, match="a charge must be of"):
        Charge(service, "", usd)


@pytest.mark.parametrize(
    ("environment", "usd", "charged"), [(LOCAL, 0.0, False), (EMBEDDED, 0.5, False), (AWS, 0.5, True)]
)
def test_only_aws_is_charged_and_local_costs_nothing(tmp_path, environment, usd, charged):
    record(tmp_path, "train", environment, [Charge("sagemaker", "10 s", 0.5)])
    (entry,) = recorded(tmp_path)
    assert (entry["charges"][0]["usd"], entry["charged"]) == (usd, charged)
    assert (entry["as_of"], entry["source"]) == (PRICES.as_of, PRICES.source)
    expected = 0.5 if charged else 0.0
    assert cost_metrics(tmp_path) == {"cost/sagemaker": expected, "cost/total": expected}


def test_services_are_added_up_over_the_stages(tmp_path):
    record(tmp_path, "verify", AWS, [Charge("s3", "a", 0.1), Charge("macie", "b", 0.2)])
    record(tmp_path, "pull", AWS, [Charge("s3", "c", 0.3)])
    assert [entry["stage"] for entry in recorded(tmp_path)] == ["pull", "verify"]
    totals = by_service(recorded(tmp_path))
    assert list(totals) == ["s3", "macie"]
    assert totals["s3"] == (pytest.approx(0.4), ["c", "a"])
    assert cost_metrics(tmp_path)["cost/total"] == pytest.approx(0.6)


def test_a_stage_that_ran_again_without_a_service_costs_nothing_more(tmp_path):
    record(tmp_path, "train", AWS, [Charge("sagemaker", "10 s", 0.5)])
    forget(tmp_path, "train")
    forget(tmp_path, "train")
    assert recorded(tmp_path) == []
    assert cost_metrics(tmp_path) == {"cost/total": 0}
    assert cost_section(tmp_path) == []


def test_the_evaluation_does_not_count_an_earlier_publication(tmp_path):
    record(tmp_path, "pull", AWS, [Charge("s3", "a", 0.1)])
    record(tmp_path, "publish", AWS, [Charge("s3", "of the last run", 0.7)])
    assert cost_metrics(tmp_path, BEFORE_PUBLISH) == {"cost/s3": 0.1, "cost/total": 0.1}
    assert cost_metrics(tmp_path)["cost/total"] == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("usd", "shown"),
    [(0, "0.00"), (0.673, "0.673"), (12, "12.00"), (0.0042, "0.0042"), (0.00042, "0.00042"), (4.2e-7, "0.00000042")],
)
def test_amounts_for_people_are_never_zero_when_they_are_not(usd, shown):
    assert charges.dollars(usd) == shown


def test_a_damaged_record_is_told(tmp_path):
    write_json(tmp_path / charges.COSTS_FOLDER / "pull.json", {"stage": "pull"})
    with pytest.raises(ArtifactError):
        recorded(tmp_path)


def test_the_summary_says_what_is_charged(tmp_path):
    record(tmp_path, "pull", AWS, [Charge("s3", "3 writes", 0.25)])
    record(tmp_path, "preprocess", AWS, [Charge("glue", "360 DPU-seconds", 0.5)])
    rows = dict(cost_section(tmp_path))
    assert rows["cost (estimated)"] == f"[bold]0.7500 USD[/]  list prices of {PRICES.as_of}"
    assert rows["  glue"] == "0.5000 USD  360 DPU-seconds"
    record(tmp_path, "preprocess", LOCAL, [Charge("glue", "360 DPU-seconds", 0.5)])
    record(tmp_path, "pull", LOCAL, [Charge("s3", "3 writes", 0.25)])
    assert cost_section(tmp_path) == [
        (
            "cost (estimated)",
            f"[bold]0.0000 USD[/]  list prices of {PRICES.as_of}; nothing is charged, environment=local runs on this "
            "machine",
        )
    ]


def test_the_loans_cost_well_under_a_dollar_even_when_every_job_runs_into_its_limit(repository):
    """The sample has 4.6 MB."""
    config = compose_config(["dataset=loans", "environment=aws"], conf=repository / "conf")
    expected = estimate.estimate(config.environment, 4_608_219, config.synthesizer.step_budget)
    assert [item.charge.service for item in expected] == list(charges.SERVICES)
    assert sum(item.charge.usd for item in expected) < 0.10
    assert sum(item.at_most for item in expected) < 0.75
    estimate.require_affordable(config.environment, expected)


@pytest.mark.parametrize("row_group_size", [1000, 100_000])
def test_a_parquet_file_counts_as_the_text_that_it_holds(tmp_path, row_group_size):
    """Values that repeat take no room in a Parquet file; Macie is billed by their text."""
    rows = pd.DataFrame({"grade": ["A", "BB", None, "CCCC"] * 10_000, "amount": [1.5, 22.25, 333.125, None] * 10_000})
    parquet, text = tmp_path / "table.parquet", tmp_path / "table.csv"
    rows.to_parquet(parquet, row_group_size=row_group_size)
    rows.to_csv(text, index=False)
    assert parquet.stat().st_size < text.stat().st_size / 5
    assert estimate.text_bytes(parquet, FileFormat.parquet) == pytest.approx(text.stat().st_size, rel=0.01)
    assert estimate.text_bytes(text, FileFormat.csv) == text.stat().st_size


def test_an_empty_parquet_file_has_no_text_and_another_file_is_refused(tmp_path):
    pd.DataFrame({"a": pd.Series([], dtype="int64")}).to_parquet(tmp_path / "empty.parquet")
    assert estimate.text_bytes(tmp_path / "empty.parquet", FileFormat.parquet) == 0
    (tmp_path / "other.parquet").write_text("a,b\n")
    with pytest.raises(UnreadableFileError, match=r"other\.parquet must be Parquet"):
        estimate.text_bytes(tmp_path / "other.parquet", FileFormat.parquet)


def test_a_local_run_is_estimated_at_nothing():
    assert estimate.estimate(LOCAL, 10**12, 800) == []


@given(st.integers(0, 10**13), st.integers(0, 10**6))
def test_more_bytes_and_steps_never_cost_less_and_never_more_than_the_limits(raw_bytes, max_steps):
    aws = compose_like_aws()
    small, large = (
        estimate.estimate(aws, raw_bytes, max_steps),
        estimate.estimate(aws, raw_bytes * 2 + 1, max_steps + 1),
    )
    for one, other in zip(small, large, strict=True):
        assert one.charge.usd <= other.charge.usd
    assert all(item.charge.usd <= item.at_most for item in large)


def compose_like_aws() -> EnvironmentConfig:
    from tabveil.config import Processing, Scanning, Training

    return EnvironmentConfig(
        name="aws",
        embedded_s3=False,
        processing=Processing.glue,
        scanning=Scanning.macie,
        training=Training.sagemaker,
        sagemaker=SageMakerConfig(max_runtime_seconds=3600),
    )


def test_a_run_above_the_limit_is_refused():
    environment = replace(compose_like_aws(), max_cost_usd=0.01)
    with pytest.raises(CostError, match=r"max_cost_usd=0\.01 USD, however this one is estimated at up to 1\.7727 USD"):
        estimate.require_affordable(environment, estimate.estimate(environment, 10**9, 800))


def test_the_command_prints_the_estimate_and_refuses_above_the_limit(clone, run_in):
    (clone / "data" / "loans.csv").write_bytes(b"x" * 5_000_000)
    command = [sys.executable, "-m", "tabveil.cost", "dataset=loans", "environment=aws"]
    shown = run_in(clone, *command)
    for expected in ("list prices of", "glue", "macie", "sagemaker", "total", "5,000,000 bytes"):
        assert expected in shown.stdout
    refused = run_in(clone, *command, "environment.max_cost_usd=0.001", check=False)
    assert refused.returncode == 2
    assert "environment.max_cost_usd=0.001" in refused.stderr
    assert "0.00 USD" not in refused.stderr


def test_make_aws_run_estimates_what_it_was_asked_to_run(clone, tmp_path, run_in):
    """With a `python` that only says what it was asked for, and ends the run at the estimate."""
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$*"\ncase "$*" in *tabveil.cost*) exit 3;; esac\n')
    python.chmod(0o755)
    (clone / ".tabveil").mkdir()
    (clone / ".tabveil" / "aws.env").write_text("")
    choices = ("DATASET=loans", "SYNTHESIZER=sdv_tvae", "ENVIRONMENT=local")
    said = run_in(clone, "make", "aws-run", *choices, f"VENV={tmp_path / 'venv'}", check=False)
    assert "-m tabveil.cost dataset=loans synthesizer=sdv_tvae environment=aws" in said.stdout.splitlines()


def test_stages_leave_their_requests(clone, run_in):
    """`pull` against the embedded store: requests are counted, and cost nothing."""
    (clone / "accounts.csv").write_text("Account,Balance\n" + "".join(f"{n},{n * 7 % 101}.5\n" for n in range(300)))
    run_in(clone, sys.executable, "-m", "tabveil.new_dataset", "accounts.csv")
    run_in(clone, sys.executable, "-m", "tabveil.stages.pull", "dataset=accounts")
    entry = json.loads((clone / ".tabveil" / "costs" / "pull.json").read_text())
    assert (entry["environment"], entry["charged"]) == ("local", False)
    assert entry["charges"][0]["usd"] == 0
    assert not entry["charges"][0]["usage"].startswith("0 writes")
    assert Artifacts(clone / "artifacts").raw.is_file()
