"""Stage `train`: what did we learn, reproducibly?

Reads: `artifacts/verify/train.parquet`, `metadata.json` and `findings.json`: no model is fitted on an unscanned table.
Writes: `artifacts/train/model/` (safetensors and JSON), `loss.csv`, `run.json` (the MLflow run that later stages
resume). Logs parameters, loss curves, table digests and the model to MLflow (SDV's pickles stay here).
Fails when: the scan report is not of these very tables, a loss is not finite, or there are fewer rows than
`synthesizer.min_rows`.
"""

from __future__ import annotations

import sys

from tabveil.artifacts import Artifacts, atomic_folder, read_parquet, write_json, write_text
from tabveil.config import Config, project_root
from tabveil.schema import Metadata, canonical
from tabveil.stages.app import stage_app
from tabveil.stages.inputs import load_metadata, require_scanned
from tabveil.synthesizers import Synthesizer, create_synthesizer, is_shareable
from tabveil.tracking import TRAINING_GROUPS, Tracker


def run(config: Config, artifacts: Artifacts) -> None:
    """Fit the configured synthesizer on the training rows and start the pipeline's MLflow run."""
    require_scanned(artifacts)
    metadata = load_metadata(config, artifacts)
    train_data = canonical(read_parquet(artifacts.train_data, "verify"), metadata)

    Tracker(config, project_root()).client()  # a store that does not answer is told before the work, not after
    synthesizer = create_synthesizer(config.synthesizer)
    synthesizer.fit(train_data[metadata.modelled_columns], metadata, progress=sys.stderr.isatty())

    write_text(artifacts.loss_curve, synthesizer.loss_curve.to_csv(index=False))
    with atomic_folder(artifacts.model) as folder:
        synthesizer.save(folder)
    write_json(artifacts.run, track(config, artifacts, synthesizer, metadata))


def run_name(config: Config) -> str:
    """What the run is called in the UI, e.g. ``tvae seed=0``."""
    return f"{config.synthesizer.name} seed={config.synthesizer.seed}"


def track(config: Config, artifacts: Artifacts, synthesizer: Synthesizer, metadata: Metadata) -> dict[str, str | None]:
    """Start the MLflow run, log what was learned, and return what later stages need to find it."""
    tracker = Tracker(config, project_root())
    run_id = tracker.start(run_name(config), parent_run_id=config.tracking.parent_run_id)
    with tracker.closing(run_id):
        tracker.log_params(run_id, TRAINING_GROUPS)
        tracker.log_losses(run_id, synthesizer.loss_curve)
        tracker.log_table(run_id, artifacts.train_data, "training")
        tracker.log_table(run_id, artifacts.holdout_data, "holdout")
        tracker.log_files(run_id, {artifacts.loss_curve: ""})
        model_uri = tracker.log_model(run_id, artifacts.model, metadata) if is_shareable(artifacts.model) else None
    return {"run_id": run_id, "model_uri": model_uri}


main = stage_app("train", run)

if __name__ == "__main__":
    main()
