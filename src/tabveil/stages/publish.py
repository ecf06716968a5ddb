"""Stage `publish`: who gets it, and can they trust it?

Reads: `artifacts/evaluate/gate.json` (first of all), the synthetic table, report, metrics and model.
Writes: objects below `<output_prefix><dataset>/<content digest>/` in the output bucket, each with a checksum and never
over another; a manifest last, without which nothing counts as published; `artifacts/publish/published.json`.
Fails when: the gate is missing or failed, or an upload breaks off (what this call uploaded is removed again).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from tabveil.artifacts import Artifacts, read_json, require, write_json
from tabveil.config import Config, project_root
from tabveil.errors import ArtifactError, GateError
from tabveil.evaluation.gate import Verdict
from tabveil.stages.app import stage_app
from tabveil.storage import connect


def run(config: Config, artifacts: Artifacts) -> None:
    """Upload what passed the gate; publishing the same content again changes nothing."""
    require_passed(artifacts)
    files = publishable(artifacts)
    environment = config.environment
    prefix = f"{environment.output_prefix}{config.dataset.name}/{content_digest(files)}/"
    with connect(environment, project_root()) as store:
        manifest = store.publish(environment.output_bucket, prefix, files)
    write_json(artifacts.published, manifest)


def require_passed(artifacts: Artifacts) -> None:
    """Refuse to publish anything that did not pass.

    Raises:
        GateError: the verdict is missing, unreadable, contradicts itself, or is not a pass.
    """
    try:
        verdict = Verdict.from_dict(read_json(artifacts.gate, "evaluate"))
    except ArtifactError as err:
        raise GateError(f"nothing is published without a verdict: {err}") from err
    if not verdict.passed:
        raise GateError(f"the gate of {artifacts.gate} did not pass: nothing is published")


def publishable(artifacts: Artifacts) -> dict[str, Path]:
    """Name below the prefix -> local file."""
    files = {
        "synthetic.csv": require(artifacts.synthetic_csv, "sample"),
        "synthetic.parquet": require(artifacts.synthetic_parquet, "sample"),
        "report.html": require(artifacts.report, "evaluate"),
        "metrics.json": require(artifacts.metrics, "evaluate"),
        "gate.json": require(artifacts.gate, "evaluate"),
    }
    model = require(artifacts.model, "train")
    parts = sorted(path for path in model.rglob("*") if path.is_file())
    return files | {f"model/{path.relative_to(model).as_posix()}": path for path in parts}


def content_digest(files: dict[str, Path]) -> str:
    """First 16 hex digits of the SHA-256 over names and file hashes: same content, same prefix."""
    total = hashlib.sha256()
    for name, path in sorted(files.items()):
        with path.open("rb") as handle:
            total.update(f"{name}\0{hashlib.file_digest(handle, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()[:16]


main = stage_app("publish", run)

if __name__ == "__main__":
    main()
