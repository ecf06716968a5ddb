"""Stage `pull`: do we have exactly this file?

Reads: the raw object in the landing bucket (`environment.landing_bucket`, `dataset.source.key`).
Writes: `artifacts/pull/raw` (byte for byte), `artifacts/pull/source.json` (uri, version id, sha256, size in bytes).
Fails when: the object is missing, empty, not of the declared format, larger than the limit, or its checksum differs;
where jobs run on AWS also when they could together cost more than `environment.max_cost_usd` for this table.
"""

from __future__ import annotations

from tabveil.artifacts import Artifacts, atomic, write_json
from tabveil.aws.charges import record, s3_charge
from tabveil.aws.estimate import require_affordable_run
from tabveil.config import Config, project_root
from tabveil.ingest.inspect import check_readable
from tabveil.stages.app import stage_app
from tabveil.storage import connect, seed_landing
from tabveil.storage.receipts import remember


def run(config: Config, artifacts: Artifacts) -> None:
    """Fetch the raw object and check that it is what the dataset's configuration says."""
    source, environment = config.dataset.source, config.environment
    with connect(environment, project_root()) as store, atomic(artifacts.raw) as temporary:
        if environment.embedded_s3:
            seed_landing(store, environment, config.dataset, project_root())
        info = store.get(
            environment.landing_bucket,
            source.key,
            temporary,
            version_id=source.version_id,
            max_bytes=environment.max_object_bytes,
            sha256=source.sha256,
        )
        check_readable(temporary, source.format, f"s3://{info.bucket}/{info.key}")
        record(project_root(), "pull", environment, [s3_charge(environment.prices, store.requests)])
        require_affordable_run(environment, temporary, source.format)
    write_json(
        artifacts.source,
        {
            "uri": f"s3://{info.bucket}/{info.key}",
            "version_id": info.version_id,
            "sha256": info.sha256,
            "size_bytes": info.size_bytes,
        },
    )
    remember(environment, config.dataset, project_root(), environment.landing_bucket, artifacts.source)


main = stage_app("pull", run)

if __name__ == "__main__":
    main()
