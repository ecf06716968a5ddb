"""Saved views of MLflow's runs page: settings and scores as columns, the best run on top.

MLflow's table shows no metric until its reader picks columns. A saved view (the menu "Views" of the page) picks them
once for everybody who opens it. MLflow keeps it as a tag of the experiment, `mlflow.sharedViewState.<key>`, whose value
is JSON: a name, a time, and the page's state, deflated and in base64 as the page itself writes it.
"""

from __future__ import annotations

import base64
import json
import time
import zlib
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from tabveil.tracking import Tracker, store_uri

DEFAULT_PORT = 5000  # of `make ui`
TAG_PREFIX = "mlflow.sharedViewState."
MAX_NAME = 80  # characters
# heading on a terminal -> metric
SCORES = {
    "quality": "quality/overall",
    "shapes": "quality/column_shapes",
    "trends": "quality/column_pair_trends",
    "C2ST": "detection/c2st_auc",
    "TSTR": "utility/tstr",
    "DCR share": "privacy/dcr_share_closer_to_train",
}


@dataclass(frozen=True)
class RunsView:
    """What the runs page shows.

    Args:
        key: unique in the experiment; part of the address.
        name: what the menu "Views" calls it.
        parameters: logged parameters that are columns, before the scores.
        search: MLflow's filter expression; empty for all runs.
    """

    key: str
    name: str
    parameters: tuple[str, ...] = ("synthesizer.name", "synthesizer.seed")
    search: str = ""

    def state(self) -> dict[str, object]:
        """The page's state: columns in their order with widths in pixels, filter, best quality first."""
        names = [("params", name) for name in self.parameters]
        names += [*(("metrics", name) for name in SCORES.values()), ("tags", "gate")]
        widths = {f"{kind}.`{name}`": max(150, 32 + 7 * len(name)) for kind, name in names}
        return {
            "searchFilter": self.search,
            "orderByKey": f"metrics.`{SCORES['quality']}`",
            "orderByAsc": False,
            "selectedColumns": list(widths),
            "columnOrder": list(widths),
            "columnWidths": widths,
            "runsHiddenMode": "SHOW_ALL",
        }

    def tag(self, created: float) -> tuple[str, str]:
        """Key and value of the experiment's tag.

        Args:
            created: seconds since 1970; the menu lists the youngest view first.
        """
        packed = base64.b64encode(zlib.compress(json.dumps(self.state()).encode())).decode()
        value = {"name": self.name[:MAX_NAME], "createdAt": round(created * 1000), "state": f"deflate;{packed}"}
        return f"{TAG_PREFIX}{self.key}", json.dumps(value)


def all_runs() -> RunsView:
    """Every run of the experiment."""
    return RunsView(key="tabveil-scores", name="Scores")


def sweep_runs(parent_run_id: str, name: str, parameters: list[str]) -> RunsView:
    """The children of one sweep, beside the parameters in which they differ."""
    search = f"tags.mlflow.parentRunId = '{parent_run_id}'"
    return RunsView(key=parent_run_id, name=name, parameters=tuple(parameters), search=search)


def save_view(tracker: Tracker, view: RunsView, *, port: int = DEFAULT_PORT) -> str:
    """Keep the view in the tracker's experiment; one of this key stays as it is, for a person may have changed it.

    Returns:
        Where it opens: on the server that keeps the store, or on the loopback port of `make ui`.

    Raises:
        TrackingError: the store cannot be reached.
    """
    client = tracker.client()
    experiment = client.get_experiment_by_name(tracker.experiment)
    key, value = view.tag(time.time())
    if key not in experiment.tags:
        client.set_experiment_tag(experiment.experiment_id, key, value)
    # without workflowType the page may be in the mode for language models, which hides what it does not need
    query = urlencode({"viewStateShareKey": view.key, "workflowType": "machine_learning"})
    return f"{server(tracker, port)}/#/experiments/{experiment.experiment_id}/runs?{query}"


def server(tracker: Tracker, port: int) -> str:
    """The UI's address without the credentials that the store's may contain."""
    parts = urlsplit(store_uri(tracker.config, tracker.root))
    if parts.scheme not in {"http", "https"}:
        return f"http://127.0.0.1:{port}"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
