"""synthcity's TabDDPM at its defaults, in an environment with `synthcity` and `pyarrow`.

Written from synthcity's public documentation. It takes no missing values: a table with some becomes a failed row.
"""

from __future__ import annotations

from typing import Any

from protocol import serve
from synthcity.plugins import Plugins
from synthcity.plugins.core.dataloader import GenericDataLoader


def fit(train: Any, job: dict[str, Any]) -> Any:
    if train.isna().any(axis=None):
        raise SystemExit("synthcity needs a table without missing values")
    discrete = job["columns"][job["target"]]["sdtype"] != "numerical"
    model = Plugins().get("ddpm", is_classification=discrete, random_state=job["seed"])
    model.fit(GenericDataLoader(train, target_column=job["target"]))
    return model


def sample(model: Any, num_rows: int) -> Any:
    return model.generate(count=num_rows).dataframe()


if __name__ == "__main__":
    serve(fit, sample)
