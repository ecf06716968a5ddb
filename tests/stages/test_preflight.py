"""Before the first stage: what can only fail later is refused, and receipts that the buckets do not bear out go."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from tabveil.artifacts import Artifacts, read_json, write_json, write_text
from tabveil.config import Config
from tabveil.errors import ConfigError, CostError, ObjectNotFoundError
from tabveil.stages import preflight, pull
from tabveil.stages.app import compose_config
from tabveil.storage import ObjectInfo
from tabveil.storage.receipts import is_known, landing_holds, publication_holds, remember

EMBEDDED = ["dataset=loans", "environment=embedded"]
LANDING, OUTPUT = "tabveil-landing", "tabveil-output"
FOLDER = "synthetic/loans/0123456789abcdef/"
SOURCE = {"uri": f"s3://{LANDING}/raw/loans.csv", "version_id": "v1", "sha256": "a1", "size_bytes": 3}
PUBLISHED = {
    "uri": f"s3://{OUTPUT}/{FOLDER}",
    "files": {"synthetic.csv": {"sha256": "b1", "size_bytes": 3, "version_id": "p1"}},
    "manifest": {"sha256": "c1", "size_bytes": 3, "version_id": "p2"},
}


class FakeStore:
    """Objects by (bucket, key); counts what it was asked."""

    def __init__(self) -> None:
        self.objects = {
            (LANDING, "raw/loans.csv"): ObjectInfo(LANDING, "raw/loans.csv", 3, "e", "v1", "a1"),
            (OUTPUT, f"{FOLDER}synthetic.csv"): ObjectInfo(OUTPUT, f"{FOLDER}synthetic.csv", 3, "e", "p1", "b1"),
            (OUTPUT, f"{FOLDER}manifest.json"): ObjectInfo(OUTPUT, f"{FOLDER}manifest.json", 3, "e", "p2", "c1"),
        }
        self.requests = {"HeadObject": 0}

    def head(self, bucket: str, key: str, version_id: str | None = None) -> ObjectInfo:
        self.requests["HeadObject"] += 1
        found = self.objects.get((bucket, key))
        if found is None or version_id not in (None, found.version_id):
            raise ObjectNotFoundError(f"no s3://{bucket}/{key}")
        return found

    def put(self, bucket: str, key: str, version_id: str | None, sha256: str | None = None) -> None:
        self.objects[bucket, key] = ObjectInfo(bucket, key, 3, "e", version_id, sha256)


@pytest.fixture
def project(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(repository / "conf", tmp_path / "conf")
    monkeypatch.setenv("TABVEIL_ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture
def artifacts(project: Path) -> Artifacts:
    """What an earlier run left."""
    made = Artifacts(project / "artifacts")
    write_text(made.raw, "a,b\n1,2\n")
    write_json(made.source, SOURCE)
    write_json(made.published, PUBLISHED)
    return made


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    fake = FakeStore()

    @contextmanager
    def connected(*_: object) -> Iterator[FakeStore]:
        yield fake

    monkeypatch.setattr(preflight, "connect", connected)
    return fake


def test_true_receipts_stay_and_the_place_is_written(project, artifacts, store):
    (project / ".tabveil" / "s3").mkdir(parents=True)
    preflight.run(compose_config(["dataset=loans"]), artifacts)
    assert json.loads(artifacts.source.read_text()) == SOURCE
    assert json.loads(artifacts.published.read_text()) == PUBLISHED
    assert json.loads(artifacts.place.read_text()) == {
        "environment": "local",
        "region": "eu-central-1",
        "landing": f"s3://{LANDING}/raw/loans.csv",
        "version_id": None,
        "output": f"s3://{OUTPUT}/synthetic/loans/",
    }
    assert store.requests == {"HeadObject": 3}
    preflight.run(compose_config(["dataset=loans"]), artifacts)
    assert store.requests == {"HeadObject": 3}  # nothing changed: the embedded store is not even started


@pytest.mark.parametrize(
    ("bucket", "key", "lost"),
    [
        (LANDING, "raw/loans.csv", "source"),
        (OUTPUT, f"{FOLDER}synthetic.csv", "published"),
        (OUTPUT, f"{FOLDER}manifest.json", "published"),
    ],
)
@pytest.mark.parametrize("change", ["gone", "another version"])
def test_a_receipt_that_its_bucket_does_not_bear_out_goes_and_the_other_stays(
    bucket, key, lost, change, project, artifacts, store, capsys
):
    (project / ".tabveil" / "s3").mkdir(parents=True)
    if change == "gone":
        del store.objects[bucket, key]
    else:
        store.put(bucket, key, "v2")
    preflight.run(compose_config(["dataset=loans"]), artifacts)
    assert artifacts.source.exists() == (lost != "source")
    assert artifacts.published.exists() == (lost != "published")
    assert f"{bucket} does not hold what artifacts/" in capsys.readouterr().out


def test_other_buckets_hold_nothing_of_an_earlier_account(artifacts, store):
    config = compose_config(["dataset=loans"])
    config.environment.landing_bucket, config.environment.output_bucket = "other-landing", "other-output"
    preflight.run(config, artifacts)
    assert not artifacts.source.exists()
    assert not artifacts.published.exists()


def test_a_damaged_receipt_is_none(project, artifacts, store):
    (project / ".tabveil" / "s3").mkdir(parents=True)
    artifacts.published.write_text("{", encoding="utf-8")
    preflight.run(compose_config(["dataset=loans"]), artifacts)
    assert not artifacts.published.exists()
    assert artifacts.source.exists()


def test_a_bucket_without_versions_is_judged_by_digest(store):
    config = compose_config(["dataset=loans"])
    store.put(LANDING, "raw/loans.csv", None, "a1")
    assert landing_holds(store, config.environment, config.dataset, SOURCE)
    for digest in ("a2", None):
        store.put(LANDING, "raw/loans.csv", None, digest)
        assert not landing_holds(store, config.environment, config.dataset, SOURCE)


def test_a_pinned_version_is_the_one_that_counts(store):
    config = compose_config(["dataset=loans"])
    config.dataset.source.version_id = "v0"
    assert not landing_holds(store, config.environment, config.dataset, SOURCE)


def test_another_datasets_publication_is_not_this_ones(store):
    config = compose_config(["dataset=loans"])
    assert publication_holds(store, config.environment, config.dataset, PUBLISHED)
    config.dataset.name = "accounts"
    assert not publication_holds(store, config.environment, config.dataset, PUBLISHED)


def test_what_is_known_ends_with_any_change(tmp_path):
    config = compose_config(["dataset=loans"])
    data, receipt = tmp_path / ".tabveil" / "s3" / "data", tmp_path / "source.json"
    (data / "filerldb2").mkdir(parents=True)
    (data / f"{LANDING}_1.dat").write_bytes(b"x")
    write_json(receipt, SOURCE)

    def known(dataset=config.dataset) -> bool:
        return is_known(config.environment, dataset, tmp_path, LANDING, receipt)

    assert not known()
    remember(config.environment, config.dataset, tmp_path, LANDING, receipt)
    assert known()
    assert not known(compose_config(["dataset=loans", "dataset.source.key=raw/other.csv"]).dataset)
    (data / f"{LANDING}_1.dat").write_bytes(b"xy")
    assert not known()
    remember(config.environment, config.dataset, tmp_path, LANDING, receipt)
    write_json(receipt, {**SOURCE, "version_id": "v9"})
    assert not known()
    remember(config.environment, config.dataset, tmp_path, LANDING, receipt)
    shutil.rmtree(data)
    assert not known()


def test_aws_is_asked_every_time(tmp_path):
    config = compose_config(["dataset=loans", "environment=aws"])
    receipt = tmp_path / "source.json"
    write_json(receipt, SOURCE)
    remember(config.environment, config.dataset, tmp_path, LANDING, receipt)
    assert not is_known(config.environment, config.dataset, tmp_path, LANDING, receipt)
    assert [path.name for path in tmp_path.iterdir()] == ["source.json"]


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        (["environment.glue.role_arn=null"], ConfigError, "glue.role_arn must be set"),
        (["environment.sagemaker.role_arn=null"], ConfigError, "sagemaker.role_arn must be set"),
        (["environment.sagemaker.image_uri=null"], ConfigError, "image_uri must be set"),
        (["synthesizer=sdv_gaussian_copula"], ConfigError, "saves a pickle"),
        (["environment.max_cost_usd=0.5"], CostError, r"max_cost_usd=0\.5 USD, however this one .* glue 0\.44,"),
    ],
)
def test_a_run_is_refused_before_anything_is_asked(overrides, error, message, project, artifacts, store):
    artifacts.source.unlink()
    artifacts.published.unlink()
    (project / "data").mkdir()
    (project / "data" / "loans.csv").write_bytes(b"x" * 5_000_000)
    with pytest.raises(error, match=message):
        preflight.run(compose_config([*EMBEDDED, *overrides]), artifacts)
    assert store.requests == {"HeadObject": 0}
    assert not artifacts.place.exists()


def test_the_jobs_of_a_run_share_one_limit(project, artifacts, store):
    """Glue's limit is 0.44 USD and SageMaker's 0.233: each is below 0.5, both together are not."""
    (project / ".tabveil" / "s3").mkdir(parents=True)
    with pytest.raises(CostError, match=r"up to 0\.67"):
        preflight.run(compose_config([*EMBEDDED, "environment.max_cost_usd=0.5"]), artifacts)
    preflight.run(compose_config([*EMBEDDED, "environment.max_cost_usd=0.7"]), artifacts)


def test_a_table_that_was_not_here_is_judged_by_pull_before_any_job(project, monkeypatch):
    """A Parquet object that is small and long: Macie is billed by its text."""
    made = Artifacts(project / "artifacts")
    config: Config = compose_config([*EMBEDDED, "dataset.source.format=parquet", "environment.max_cost_usd=0.7"])
    config.dataset.source.seed_file = None
    config.environment.embedded_s3 = config.environment.embedded_aws = False
    source = project / "remote.parquet"
    pd.DataFrame({"note": ["the same long text in every row"] * 2_000_000}).to_parquet(source)

    def get(bucket: str, key: str, destination: Path, **_: object) -> ObjectInfo:
        shutil.copyfile(source, destination)
        return ObjectInfo(bucket, key, source.stat().st_size, "e", "v1", "a1")

    @contextmanager
    def connected(*_: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(get=get, requests={"GetObject": 1})

    monkeypatch.setattr(pull, "connect", connected)
    assert source.stat().st_size < 100_000
    preflight.run(config, made)
    with pytest.raises(CostError, match=r"macie 0\.06"):
        pull.run(config, made)
    assert not made.raw.exists()
    config.environment.max_cost_usd = 1.0
    pull.run(config, made)
    assert read_json(made.source, "pull")["version_id"] == "v1"
