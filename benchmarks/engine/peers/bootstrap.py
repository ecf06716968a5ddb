"""A peer without a model: training rows drawn again. It shows the hook at work, and what copying scores."""

from __future__ import annotations

from typing import Any

from protocol import serve


def fit(train: Any, job: dict[str, Any]) -> Any:
    return train, job["seed"]


def sample(model: Any, num_rows: int) -> Any:
    train, seed = model
    return train.sample(num_rows, replace=True, random_state=seed)


if __name__ == "__main__":
    serve(fit, sample)
