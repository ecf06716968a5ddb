"""The synthesizer as an MLflow pyfunc model ("models from code": MLflow runs this file to build it).

``model.predict(None, params={"num_rows": 1000, "seed": 7})`` gives a frame of the modelled columns. Identity columns
are left out on purpose: proving that an invented name is not a real one needs the keyed digests of the real names,
which never leave the pipeline. The stage `sample` makes the whole table.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from tabveil.errors import ConfigError
from tabveil.synthesizers import load_synthesizer, sample_chunks

DEFAULTS = {"num_rows": 1000, "seed": 0}
LIMITS = {"num_rows": (1, 10_000_000), "seed": (0, 2**31 - 1)}


class SynthesizerModel(PythonModel):  # type: ignore[misc]
    """Samples rows; `model_input` is ignored, `params` holds `num_rows` and `seed`."""

    # MLflow asks for an annotation of `model_input` to infer a signature from; this model has no input
    _skip_type_hint_validation = True

    def load_context(self, context: PythonModelContext) -> None:
        """Load the model folder that was logged with the model."""
        self.synthesizer = load_synthesizer(Path(context.artifacts["model"]))

    def predict(  # type: ignore[no-untyped-def]
        self,
        context: PythonModelContext,
        model_input=None,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Rows that satisfy the declared constraints.

        Args:
            context: MLflow's; unused.
            model_input: unused.
            params: `num_rows` and `seed`.

        Raises:
            ConfigError: an unknown parameter, or one out of range.
        """
        asked = {**DEFAULTS, **checked(params or {})}
        chunks = sample_chunks(self.synthesizer, asked["num_rows"], asked["seed"])
        return pd.concat(chunks, ignore_index=True)


def checked(params: dict[str, Any]) -> dict[str, int]:
    """The parameters as integers within their limits."""
    unknown = sorted(set(params) - set(DEFAULTS))
    if unknown:
        raise ConfigError(f"unknown parameters {unknown}; there are: {sorted(DEFAULTS)}")
    for name, value in params.items():
        low, high = LIMITS[name]
        if int(value) != value or not low <= value <= high:
            raise ConfigError(f"{name} must be an integer from {low} to {high}, however: {name}={value}")
    return {name: int(value) for name, value in params.items()}


set_model(SynthesizerModel())
