"""Stage `preflight`: may this run begin, and do the buckets still hold what earlier runs say?

DVC sees files, neither buckets nor the variables that name them. So this stage always runs, and makes files of both.

Reads: the configuration; `artifacts/pull/source.json` and `artifacts/publish/published.json`, where earlier runs left
them; what the buckets hold under the names in them (HEAD requests; nothing is downloaded).
Writes: `artifacts/preflight/place.json` (environment, Region, buckets, key). Removes a receipt of those two that is not
true any more, so that DVC runs `pull` or `publish` again.
Fails when: what a job on AWS needs is not set (role, image, a synthesizer that may leave the machine), or the run could
cost more than `environment.max_cost_usd`. A table that is not on this machine yet is judged by `pull`, before any job.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tabveil.artifacts import Artifacts, read_json, write_json
from tabveil.aws.charges import record, s3_charge
from tabveil.aws.estimate import require_affordable_run
from tabveil.config import Config, Processing, Training, project_root
from tabveil.errors import ArtifactError
from tabveil.stages.app import stage_app
from tabveil.storage import connect
from tabveil.storage.receipts import (
    is_known,
    landing_holds,
    publication_holds,
    publications,
    remember,
)


def run(config: Config, artifacts: Artifacts) -> None:
    """Refuse what can only fail or cost too much later, and take back receipts that are not true any more."""
    require_jobs_ready(config)
    withdraw_untrue(config, artifacts)
    require_affordable_table(config, artifacts)
    environment = config.environment
    write_json(
        artifacts.place,
        {
            "environment": environment.name,
            "region": environment.region,
            "landing": f"s3://{environment.landing_bucket}/{config.dataset.source.key}",
            "version_id": config.dataset.source.version_id,
            "output": f"s3://{environment.output_bucket}/{publications(environment, config.dataset)}",
        },
    )


def require_jobs_ready(config: Config) -> None:
    """Refuse what a job of any later stage could only fail with (see the adapters' `require_ready`).

    Raises:
        ConfigError: a role or an image is not set, a price or size is not known, or the model may not leave a machine.
        CostError: one job alone could cost more than `environment.max_cost_usd`.
    """
    environment = config.environment
    if environment.processing is Processing.glue:
        from tabveil.aws import glue  # imported where it is needed: a run with nothing to do is to be quick

        glue.require_ready(environment)
    if environment.training is Training.sagemaker:
        from tabveil.aws import sagemaker

        sagemaker.require_ready(environment, config.synthesizer)


def require_affordable_table(config: Config, artifacts: Artifacts) -> None:
    """Refuse a run that could cost too much, by the table that is on this machine, pulled or to be seeded.

    Raises:
        CostError: all jobs together could cost more than `environment.max_cost_usd`.
    """
    source = config.dataset.source
    here = [artifacts.raw] if artifacts.source.is_file() else []  # a receipt that is left is true of the raw file
    here += [project_root() / source.seed_file] if source.seed_file else []
    for path in here:
        if path.is_file():
            require_affordable_run(config.environment, path, source.format)
            return


def withdraw_untrue(config: Config, artifacts: Artifacts) -> None:
    """Remove `source.json` and `published.json` where the buckets do not hold what they say.

    The embedded store is started only if something in it changed since a receipt was last known to be true.

    Raises:
        StorageError: a bucket does not answer.
        ConfigError, ServerError: see `tabveil.storage.connect`.
    """
    environment, dataset, root = config.environment, config.dataset, project_root()
    buckets = {artifacts.source: environment.landing_bucket, artifacts.published: environment.output_bucket}
    there = [path for path in buckets if path.is_file()]
    doubtful = [path for path in there if not is_known(environment, dataset, root, buckets[path], path)]
    if not doubtful:
        return
    true = true_receipts(config, artifacts, doubtful)
    for path in doubtful:
        if path in true:
            remember(environment, dataset, root, buckets[path], path)
        else:
            path.unlink()
            print(f"{buckets[path]} does not hold what {path.relative_to(root)} says: its stage runs again")


def true_receipts(config: Config, artifacts: Artifacts, doubtful: Sequence[Path]) -> list[Path]:
    """Those that the buckets bear out."""
    checks = {
        artifacts.source: (landing_holds, "pull", ("uri", "version_id", "sha256")),
        artifacts.published: (publication_holds, "publish", ("uri", "files", "manifest")),
    }
    true = []
    with connect(config.environment, project_root()) as store:
        for path in doubtful:
            holds, stage, keys = checks[path]
            with suppress(ArtifactError):  # a damaged receipt is none
                if holds(store, config.environment, config.dataset, read_json(path, stage, *keys)):
                    true.append(path)
        charge = s3_charge(config.environment.prices, store.requests)
        record(project_root(), "preflight", config.environment, [charge])
    return true


main = stage_app("preflight", run)

if __name__ == "__main__":
    main()
