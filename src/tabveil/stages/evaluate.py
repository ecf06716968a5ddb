"""Stage `evaluate`: is it true, useful, private?

Reads: `artifacts/verify/` (train, holdout, metadata, findings, identity digests), `artifacts/sample/synthetic.parquet`,
`artifacts/train/` (loss curve, run).
Writes: `artifacts/evaluate/metrics.json` (all scores, flat), `gate.json` (the verdict), `report.html` (one
self-contained page), `plots/` (PNGs). Logs all of it to the MLflow run and registers the model when the gate passes.
Fails when: the gate does: quality below `evaluation.min_quality`, PII found, or another threshold of `conf/` missed.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from tabveil.artifacts import (
    Artifacts,
    atomic_folder,
    read_json,
    read_parquet,
    require,
    write_json,
    write_text,
)
from tabveil.config import Config, project_root
from tabveil.errors import GateError
from tabveil.evaluation import Evaluation, ReportContext, Verdict, evaluate, judge, render_report, write_plots
from tabveil.pii import IdentityDigests, SyntheticVerdict, check_synthetic, load_key, scan_table
from tabveil.schema import Metadata, canonical
from tabveil.stages.app import stage_app
from tabveil.tracking import Tracker


@dataclass(frozen=True)
class Tables:
    """What is compared: clean training and holdout rows, and the synthetic table."""

    train: pd.DataFrame
    holdout: pd.DataFrame
    synthetic: pd.DataFrame
    metadata: Metadata


def run(config: Config, artifacts: Artifacts) -> None:
    """Score, judge, report, track; the files are written before a failed gate stops the pipeline."""
    tables = load_tables(artifacts)
    pii = scan_synthetic(config, artifacts, tables)
    evaluation = evaluate(tables.train, tables.holdout, tables.synthetic, tables.metadata, config.evaluation)
    verdict = judge(
        evaluation.metrics,
        config.evaluation,
        unexplained_pii_findings=pii.num_unexplained,
        real_identity_values=pii.num_real_values,
    )
    write(config, artifacts, evaluation, verdict, pii)
    track(config, artifacts, evaluation, verdict)
    if not verdict.passed:
        raise GateError(f"the gate failed:\n{verdict.table()}\nreport: {artifacts.report}")


def load_tables(artifacts: Artifacts) -> Tables:
    """Read the three tables with canonical dtypes."""
    metadata = Metadata.from_json(require(artifacts.metadata, "verify").read_text(encoding="utf-8"))
    return Tables(
        train=canonical(read_parquet(artifacts.train_data, "verify"), metadata),
        holdout=canonical(read_parquet(artifacts.holdout_data, "verify"), metadata),
        synthetic=canonical(read_parquet(artifacts.synthetic_parquet, "sample"), metadata),
        metadata=metadata,
    )


def scan_synthetic(config: Config, artifacts: Artifacts, tables: Tables) -> SyntheticVerdict:
    """Scan the whole synthetic table, and look every invented identity up among the real ones."""
    key = load_key(config.pii.key_env, project_root() / config.pii.key_file)
    digests = IdentityDigests.from_frame(read_parquet(artifacts.identity_digests, "verify"), key)
    headers = {column.name: column.original_name for column in tables.metadata.columns}
    result = scan_table(tables.synthetic, timeout_seconds=config.pii.timeout_seconds, headers=headers)
    return check_synthetic(result, tables.synthetic, tables.metadata, digests, config.pii.tolerated_types)


def write(
    config: Config, artifacts: Artifacts, evaluation: Evaluation, verdict: Verdict, pii: SyntheticVerdict
) -> None:
    """Write every output of the stage."""
    context = ReportContext(
        dataset=config.dataset.name,
        synthesizer=config.synthesizer.name,
        seed=config.seed,
        findings=read_json(artifacts.findings, "verify"),
        synthetic_pii=pii.to_dict(),
        source=read_json(artifacts.source, "pull"),
        counts=read_json(artifacts.profile, "preprocess")["counts"],
        loss_curve=pd.read_csv(require(artifacts.loss_curve, "train")),
    )
    with atomic_folder(artifacts.plots) as folder:
        write_plots(evaluation, folder, config.evaluation.num_plots, loss_curve=context.loss_curve)
    write_text(artifacts.report, render_report(evaluation, verdict, context))
    write_json(artifacts.metrics, {name: round(value, 6) for name, value in evaluation.metrics.items()})
    write_json(artifacts.gate, verdict.to_dict())


def track(config: Config, artifacts: Artifacts, evaluation: Evaluation, verdict: Verdict) -> None:
    """Log to the run that `train` started, close it, and promote a model that passed."""
    tracker = Tracker(config, project_root())
    trained = read_json(artifacts.run, "train")
    run_id = tracker.resume(trained["run_id"])
    tracker.log_metrics(run_id, evaluation.metrics)
    tracker.log_files(run_id, {artifacts.report: "", artifacts.gate: "", artifacts.plots: "plots"})
    tracker.set_tag(run_id, "gate", "passed" if verdict.passed else "failed")
    if verdict.passed and config.tracking.register_model:
        metadata = Metadata.from_json(artifacts.metadata.read_text(encoding="utf-8"))
        same_run = run_id == trained["run_id"]
        uri = trained["model_uri"] if same_run else tracker.log_model(run_id, artifacts.model, metadata)
        tracker.promote(run_id, uri)
    tracker.finish(run_id, failed=not verdict.passed)


main = stage_app("evaluate", run)

if __name__ == "__main__":
    main()
