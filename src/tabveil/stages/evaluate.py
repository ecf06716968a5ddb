"""Stage `evaluate`: is it true, useful, private?

Reads: `artifacts/verify/` (train, holdout, metadata, findings, identity digests), `artifacts/sample/` (the synthetic
table), `artifacts/train/` (model, loss curve, run).
Writes: `artifacts/evaluate/metrics.json` (all scores, flat), `gate.json` (the verdict, bound to the table and model it
judged), `report.html` (one self-contained page), `plots/` (PNGs). Logs all of it to the MLflow run and registers the
model when the gate passes.
Fails when: the gate does: quality below `evaluation.min_quality`, PII found, or another threshold of `conf/` missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, ParamSpec, TypeVar

import pandas as pd

from tabveil.artifacts import (
    STAGES,
    Artifacts,
    atomic_folder,
    read_json,
    read_parquet,
    require,
    write_json,
    write_text,
)
from tabveil.aws.charges import cost_metrics
from tabveil.config import Config, project_root
from tabveil.errors import ArtifactError, GateError, ScanIncompleteError
from tabveil.evaluation import Evaluation, ReportContext, Verdict, evaluate, judge, render_report, write_plots
from tabveil.pii import DeclaredTypes, SyntheticVerdict, check_synthetic, scan_table
from tabveil.provenance import sha256_of
from tabveil.schema import Metadata, canonical
from tabveil.stages.app import stage_app
from tabveil.stages.inputs import load_digests, load_metadata, require_scanned
from tabveil.synthesizers import is_shareable
from tabveil.synthesizers.model_folder import check_folder
from tabveil.tables import csv_sha256
from tabveil.tracking import EVALUATION_GROUPS, Tracker

P = ParamSpec("P")
R = TypeVar("R")
BEFORE_PUBLISH = STAGES[: STAGES.index("publish")]  # what publishing cost is not known yet
SOURCE_KEYS = ("uri", "sha256", "size_bytes")  # what dvc.yaml watches of `source.json`


@dataclass(frozen=True)
class Tables:
    """What is compared: clean training and holdout rows, and the synthetic table."""

    train: pd.DataFrame
    holdout: pd.DataFrame
    synthetic: pd.DataFrame
    metadata: Metadata


def run(config: Config, artifacts: Artifacts) -> None:
    """Score, judge, report, track; the files are written before a failed gate stops the pipeline."""
    artifacts.gate.unlink(missing_ok=True)  # no earlier verdict outlives a failure
    require_scanned(artifacts)
    check_folder(require(artifacts.model, "train"))
    tracker = Tracker(config, project_root())
    tracker.client()  # an unusable store is told before the work
    tables = load_tables(config, artifacts)
    require_same_rows(artifacts, tables.metadata)
    with meanwhile(scan_synthetic, config, artifacts) as scan:
        evaluation = evaluate(tables.train, tables.holdout, tables.synthetic, tables.metadata, config.evaluation)
        pii = scan_result(scan)
    verdict = judge(
        evaluation.metrics,
        config.evaluation,
        unexplained_pii_findings=pii.num_unexplained,
        real_identity_values=pii.num_real_values,
    )
    write(config, artifacts, evaluation, verdict, pii)
    gate = {**verdict.to_dict(), "dataset": config.dataset.name, "judged": judged(artifacts)}
    track(tracker, config, artifacts, evaluation, gate)
    write_json(artifacts.gate, gate)
    if not verdict.passed:
        raise GateError(f"the gate failed:\n{verdict.table()}\nreport: {artifacts.report}")


def load_tables(config: Config, artifacts: Artifacts) -> Tables:
    """Read the three tables with canonical dtypes."""
    metadata = load_metadata(config, artifacts)
    return Tables(
        train=canonical(read_parquet(artifacts.train_data, "verify"), metadata),
        holdout=canonical(read_parquet(artifacts.holdout_data, "verify"), metadata),
        synthetic=canonical(read_parquet(artifacts.synthetic_parquet, "sample"), metadata),
        metadata=metadata,
    )


def require_same_rows(artifacts: Artifacts, metadata: Metadata) -> None:
    """Refuse a CSV that is not the Parquet file's rows, byte for byte: the Parquet file is what gets scanned.

    Raises:
        ArtifactError: they differ.
    """
    if sha256_of(require(artifacts.synthetic_csv, "sample")) != csv_sha256(artifacts.synthetic_parquet, metadata):
        raise ArtifactError(
            f"{artifacts.synthetic_csv} must hold the rows of {artifacts.synthetic_parquet.name}, however it does not: "
            "run the stage 'sample' again"
        )


@contextmanager
def meanwhile(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Iterator[Future[R]]:
    """Run `work` in a process of its own, on another core, during the block."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        yield pool.submit(work, *args, **kwargs)


def scan_synthetic(config: Config, artifacts: Artifacts) -> SyntheticVerdict:
    """Scan the whole synthetic table, and look every invented identity up among the real ones."""
    metadata = load_metadata(config, artifacts)
    synthetic = canonical(read_parquet(artifacts.synthetic_parquet, "sample"), metadata)
    digests = load_digests(config, artifacts)
    headers = {column.name: column.original_name for column in metadata.columns}
    declared = DeclaredTypes.of(config.pii)
    result = scan_table(synthetic, timeout_seconds=config.pii.timeout_seconds, headers=headers, declared=declared)
    return check_synthetic(result, synthetic, metadata, digests, config.pii.tolerated_types)


def scan_result(scan: Future[SyntheticVerdict]) -> SyntheticVerdict:
    """Wait for the scan's verdict.

    Raises:
        ScanIncompleteError: its process was ended from outside; whatever else the scan raises comes as it is.
    """
    try:
        return scan.result()
    except BrokenProcessPool as err:
        raise ScanIncompleteError(
            "the PII scan of the synthetic table must end, however its process was killed (by the system, for its "
            "memory?): run the stage 'evaluate' again"
        ) from err


def write(
    config: Config, artifacts: Artifacts, evaluation: Evaluation, verdict: Verdict, pii: SyntheticVerdict
) -> None:
    """Write every output of the stage but the verdict, which comes last.

    The raw file is named by its place and its SHA-256: the same bytes under a new version id need no new evaluation.
    """
    source = read_json(artifacts.source, "pull", *SOURCE_KEYS)
    context = ReportContext(
        dataset=config.dataset.name,
        synthesizer=config.synthesizer.name,
        seed=config.seed,
        findings=read_json(artifacts.findings, "verify", "before", "after", "columns"),
        synthetic_pii=pii.to_dict(),
        source={key: source[key] for key in SOURCE_KEYS},
        counts=read_json(artifacts.profile, "preprocess", "counts")["counts"],
        loss_curve=pd.read_csv(require(artifacts.loss_curve, "train")),
    )
    with atomic_folder(artifacts.plots) as folder:
        write_plots(evaluation, folder, config.evaluation.num_plots, loss_curve=context.loss_curve)
    write_text(artifacts.report, render_report(evaluation, verdict, context))
    write_json(artifacts.metrics, {name: round(value, 6) for name, value in evaluation.metrics.items()})


def judged(artifacts: Artifacts) -> dict[str, str]:
    """Digests of what the verdict is about."""
    return {path.name: sha256_of(path) for path in artifacts.judged_files()}


def track(
    tracker: Tracker, config: Config, artifacts: Artifacts, evaluation: Evaluation, gate: Mapping[str, Any]
) -> None:
    """Log to the run that `train` started, and promote a model that passed and may leave the machine."""
    passed = gate["passed"]
    trained = read_json(artifacts.run, "train", "run_id", "model_uri")
    run_id = tracker.resume(trained["run_id"])
    with tracker.closing(run_id, failed=not passed):
        tracker.log_params(run_id, EVALUATION_GROUPS)
        tracker.log_metrics(run_id, {**evaluation.metrics, **cost_metrics(project_root(), BEFORE_PUBLISH)})
        tracker.log_files(run_id, {artifacts.report: "", artifacts.plots: "plots"})
        tracker.log_json(run_id, gate, artifacts.gate.name)
        tracker.set_tag(run_id, "gate", "passed" if passed else "failed")
        if passed and config.tracking.register_model and is_shareable(artifacts.model):
            uri = trained["model_uri"] if run_id == trained["run_id"] else None
            metadata = load_metadata(config, artifacts)
            tracker.promote(run_id, uri or tracker.log_model(run_id, artifacts.model, metadata))


main = stage_app("evaluate", run)

if __name__ == "__main__":
    main()
