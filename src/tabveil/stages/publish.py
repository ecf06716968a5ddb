"""Stage `publish`: who gets it, and can they trust it?

Reads: `artifacts/evaluate/gate.json` (first of all), the synthetic table, report, metrics and model.
Writes: objects below `<output_prefix><dataset>/<content digest>/` in the output bucket, each with a checksum and never
over another; a manifest last, without which nothing counts as published; `artifacts/publish/published.json`.
Fails when: the gate is missing, failed or judged other files, or an upload breaks off (what this call uploaded is
removed again).
"""

from __future__ import annotations

from pathlib import Path

from tabveil.artifacts import Artifacts, read_json, require, write_json
from tabveil.aws.charges import record, s3_charge
from tabveil.config import Config, project_root
from tabveil.errors import ArtifactError, GateError
from tabveil.evaluation.gate import Verdict
from tabveil.provenance import sha256_of, sha256_of_files
from tabveil.stages.app import stage_app
from tabveil.storage import connect
from tabveil.storage.receipts import publications, remember
from tabveil.synthesizers import is_shareable, model_files


def run(config: Config, artifacts: Artifacts) -> None:
    """Upload what passed the gate; publishing the same content again changes nothing."""
    require_passed(artifacts, config)
    files = publishable(artifacts)
    environment = config.environment
    prefix = f"{publications(environment, config.dataset)}{sha256_of_files(files)[:16]}/"
    with connect(environment, project_root()) as store:
        manifest = store.publish(environment.output_bucket, prefix, files)
        record(project_root(), "publish", environment, [s3_charge(environment.prices, store.requests)])
    write_json(artifacts.published, manifest)
    remember(environment, config.dataset, project_root(), environment.output_bucket, artifacts.published)


def require_passed(artifacts: Artifacts, config: Config) -> None:
    """Refuse to publish anything that did not pass what the configuration asks.

    Raises:
        GateError: the verdict is missing, unreadable, contradicts itself, is no pass, asked for less than the
            configuration does, or is of other files or another dataset.
    """
    dataset = config.dataset.name
    try:
        report = read_json(artifacts.gate, "evaluate")
    except ArtifactError as err:
        raise GateError(f"nothing is published without a verdict: {err}") from err
    verdict = Verdict.from_dict(report)
    if not verdict.passed:
        raise GateError(f"the gate of {artifacts.gate} did not pass: nothing is published")
    weaker = verdict.weaker_than(config.evaluation)
    if weaker:
        raise GateError(
            f"{artifacts.gate} must hold the checks of conf/evaluation/, however it asked less for: "
            f"{', '.join(weaker)}; run the stage 'evaluate' again"
        )
    if report.get("dataset") != dataset:
        raise GateError(f"{artifacts.gate} must judge dataset '{dataset}', however it does not: run dvc repro")
    for path in artifacts.judged_files():
        if report.get("judged", {}).get(path.name) != sha256_of(require(path, "evaluate")):
            raise GateError(f"{path.name} is not what {artifacts.gate} judged: run the stage 'evaluate' again")


def publishable(artifacts: Artifacts) -> dict[str, Path]:
    """Name below the prefix -> local file; without the model where it is a pickle that holds real values (SDV's)."""
    files = {
        "synthetic.csv": artifacts.synthetic_csv,
        "synthetic.parquet": artifacts.synthetic_parquet,
        "report.html": require(artifacts.report, "evaluate"),
        "metrics.json": require(artifacts.metrics, "evaluate"),
        "gate.json": artifacts.gate,
    }
    if not is_shareable(artifacts.model):
        return files
    return files | {f"model/{path.name}": path for path in model_files(artifacts.model)}


main = stage_app("publish", run)

if __name__ == "__main__":
    main()
