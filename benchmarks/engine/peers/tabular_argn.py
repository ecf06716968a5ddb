"""MOSTLY AI's TabularARGN at its defaults, told which columns are categories; needs `mostlyai-engine` and `pyarrow`.

Written from the public documentation of `mostlyai-engine` 2.x (class `TabularARGN`).
"""

from __future__ import annotations

from typing import Any

from mostlyai.engine import TabularARGN
from protocol import serve


def fit(train: Any, job: dict[str, Any]) -> Any:
    categories = [name for name, column in job["columns"].items() if column["sdtype"] != "numerical"]
    types = dict.fromkeys(categories, "TABULAR_CATEGORICAL")
    return TabularARGN(tgt_encoding_types=types, random_state=job["seed"], device="cpu").fit(train)


def sample(model: Any, num_rows: int) -> Any:
    return model.sample(n_samples=num_rows)


if __name__ == "__main__":
    serve(fit, sample)
