"""What several stages read, and the checks that it is what it claims to be."""

from __future__ import annotations

from tabveil.artifacts import Artifacts, read_json, read_parquet, require
from tabveil.config import Config, Scanning, project_root
from tabveil.errors import ArtifactError, PrivacyError
from tabveil.pii import IdentityDigests, guarded, load_key
from tabveil.provenance import sha256_of
from tabveil.schema import Metadata


def load_metadata(config: Config, artifacts: Artifacts) -> Metadata:
    """Metadata of the clean table.

    Raises:
        ArtifactError: missing, or of another dataset than the configuration's.
    """
    metadata = Metadata.from_json(require(artifacts.metadata, "verify").read_text(encoding="utf-8"))
    if metadata.dataset != config.dataset.name:
        raise ArtifactError(
            f"{artifacts.metadata} describes dataset '{metadata.dataset}', however the configuration says "
            f"'{config.dataset.name}': python -m tabveil.use dataset={config.dataset.name}, then dvc repro"
        )
    return metadata


def load_digests(config: Config, artifacts: Artifacts) -> IdentityDigests:
    """Keyed digests of the real identity values.

    Raises:
        KeyUnavailableError: there is no usable key, or they were made with another one.
        PrivacyError: a column of the metadata that must be guarded has no digests.
        ArtifactError: missing.
    """
    key = load_key(config.pii.key_env, project_root() / config.pii.key_file)
    digests = IdentityDigests.from_frame(read_parquet(artifacts.identity_digests, "verify"), key)
    unguarded = [c.name for c in load_metadata(config, artifacts).columns if guarded(c) and not digests.guards(c.name)]
    if unguarded:
        raise PrivacyError(
            f"{artifacts.identity_digests} must guard every identity column, however {', '.join(unguarded)} are not: "
            "run the stage 'verify' again (dvc repro --force verify)"
        )
    return digests


def require_scanned(artifacts: Artifacts, scanning: Scanning = Scanning.in_process) -> None:
    """Refuse tables that no complete scan has cleared, and other metadata or digests than belong to them.

    Args:
        scanning: with macie, Macie must have read them too.

    Raises:
        PrivacyError: the scan did not finish, or was of other files than the ones that are there.
        ArtifactError: there is no report.
    """
    report = read_json(artifacts.findings, "verify", "after", "scanned")
    complete = report["after"].get("complete") is True
    scanned = report["scanned"]
    if scanning is Scanning.macie and set(report.get("macie", {}).get("tables", {})) != {"train", "holdout"}:
        raise PrivacyError(
            f"{artifacts.findings} must hold Macie's findings of both tables (environment.scanning=macie), however it "
            "does not: run the stage 'verify' again (dvc repro --force verify)"
        )
    for path in artifacts.scanned_files():
        if not complete or scanned.get(path.name) != sha256_of(require(path, "verify")):
            raise PrivacyError(
                f"{artifacts.findings} must vouch for {path.name} as it is, however it does not: "
                "run the stage 'verify' again (dvc repro --force verify)"
            )
