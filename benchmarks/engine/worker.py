"""One model on one table with one seed, in a process of its own: fit, sample, then the scores."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .models import PROTECTED, REAL, make
from .tables import load_table


def measure(table: str, model: str, seed: int, settings: Sequence[str], peer_python: str | None) -> dict[str, object]:
    """Scores and costs, all finite; the scores' libraries are loaded after the fit, so that its peak is its own.

    Raises:
        TabVeilError: the model failed.
    """
    loaded = load_table(table)
    made = make(loaded, model, seed, settings, peer_python)
    from .protected import protect
    from .scores import membership, score, score_ceiling

    if model in REAL:
        found = score_ceiling(loaded, seed, protect(loaded, seed) if model == PROTECTED else loaded)
    else:
        found = score(loaded, made.synthetic, seed)
    if made.log_prob is not None:
        found["membership"] = membership(made.log_prob, loaded, seed)
    measures = {name: float(value) for name, value in (found | made.cost).items() if math.isfinite(value)}
    return {"measures": measures, "rows": len(loaded.train), "columns": loaded.train.shape[1]}
