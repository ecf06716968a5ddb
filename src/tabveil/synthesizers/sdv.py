"""SDV's synthesizers as baselines: the only module that imports `sdv` (BUSL-1.1; called, never copied).

SDV offers no other public way to store a fitted synthesizer than its own `save`, which is a (cloud)pickle. It is kept
in `model.pkl` and unpickled only after its sha256 matched the one in `synthesizer.json`. Both files come from the same
folder, so this catches damage, not a forged folder: load SDV models only from a place you trust. The pickle also holds
statistics of the training table (minima, maxima, every category): treat it like the table itself.

SDV sees the modelled columns only: no id, no free text, no personal column. Its fit and sample use process-wide
random generators; they run seeded and isolated, with the states put back afterwards. SDV samples from one fixed seed
after every fit; `_set_random_state` is the only way to ask for another, and the one private name used here.
"""

from __future__ import annotations

import contextlib
import io
import logging
import pickle
import warnings
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import sdv.errors
from sdv.metadata import Metadata as SDVMetadata
from sdv.single_table import CTGANSynthesizer, GaussianCopulaSynthesizer, TVAESynthesizer
from sdv.utils import load_synthesizer as load_sdv

from tabveil.config import SDVConfig, SynthesizerConfig
from tabveil.entities import Codes
from tabveil.errors import ConfigError, ModelFileError, NotFittedError, SynthesizerError, TrainingError
from tabveil.schema import Column, ColumnType, Metadata, SDType
from tabveil.synthesizers.base import LossRecord, OnLoss, Synthesizer, Watch
from tabveil.synthesizers.runtime import isolated
from tabveil.synthesizers.values import INSTANTS, from_floats, learned_as, to_floats

MODEL, TABLE = "model.pkl", "table"
SDV_ERRORS = (
    sdv.errors.InvalidDataError,
    sdv.errors.SynthesizerInputError,
    sdv.errors.SamplingError,
    ArithmeticError,
    ValueError,
    TypeError,
    KeyError,
    RuntimeError,
)


class SDVSynthesizer(Synthesizer):
    """What SDV's baselines share.

    Args:
        config: an `SDVConfig`.
    """

    config: SDVConfig
    shareable: ClassVar[bool] = False

    def __init__(self, config: SynthesizerConfig) -> None:
        if not isinstance(config, SDVConfig):
            raise ConfigError(f"synthesizer '{self.name}' needs an SDVConfig, however: {type(config).__name__}")
        super().__init__(config)
        self._model: Any = None
        self._columns: list[Column] = []
        self._empty: list[Column] = []

    @abstractmethod
    def _build(self, metadata: Any, verbose: bool) -> Any:
        """The unfitted SDV synthesizer."""

    def _fit(self, table: pd.DataFrame, metadata: Metadata, entities: Codes | None, watch: Watch) -> None:
        self._choose_columns(metadata, list(table.columns), [n for n in table.columns if table[n].isna().all()])
        if not self._columns:
            raise TrainingError("SDV needs a column that is neither empty nor a computed total, however there is none")
        frame = pd.DataFrame({c.name: _to_sdv(table[c.name], c) for c in self._columns})
        kinds = {c.name: _sdtype(frame[c.name], c) for c in self._columns}
        with isolated(self.config.seed, self.config.num_threads, deterministic=False), _quiet(not watch.progress):
            try:
                model = self._build(_sdv_metadata(kinds), watch.progress)
                model.fit({TABLE: frame})
            except SDV_ERRORS as err:  # its messages quote values of the table: only the kind may pass
                raise TrainingError(f"SDV must accept the table, however it raised {type(err).__name__}") from None
        self._model = model
        self._report(watch.on_loss)

    def _sample(self, num_rows: int, seed: int) -> pd.DataFrame:
        if self._model is None:
            raise NotFittedError(f"synthesizer '{self.name}' must be fitted or loaded first: call fit()")
        with isolated(seed, self.config.num_threads, deterministic=False), _quiet():
            try:
                self._model.reset_sampling()
                self._model._set_random_state(seed)
                sampled = self._model.sample(num_rows)[TABLE]
            except SDV_ERRORS as err:
                raise SynthesizerError(f"SDV must sample, however it raised {type(err).__name__}") from None
        columns = {c.name: _from_sdv(sampled[c.name], c) for c in self._columns}
        for column in self._empty:
            columns[column.name] = pd.Series([None] * num_rows, dtype="object")
        return pd.DataFrame(columns, index=pd.RangeIndex(num_rows))

    def _save(self, folder: Path) -> None:
        (folder / "columns.txt").write_text("".join(f"{c.name}\n" for c in self._columns), encoding="utf-8")
        with _quiet():
            self._model.save(folder / MODEL)

    def _load(self, folder: Path) -> None:
        used = (folder / "columns.txt").read_text(encoding="utf-8").splitlines()
        names = self._modelled()
        self._choose_columns(self.metadata, names, [n for n in names if n not in used])
        with _quiet():
            try:
                self._model = load_sdv(folder / MODEL)
            except (*SDV_ERRORS, pickle.UnpicklingError, EOFError, AttributeError, ImportError, OSError) as err:
                raise ModelFileError(
                    f"{folder / MODEL} must be readable by SDV, however: {type(err).__name__}"
                ) from err

    def _choose_columns(self, metadata: Metadata, names: list[str], empty: list[str]) -> None:
        self._columns = [metadata[name] for name in names if name not in empty]
        self._empty = [metadata[name] for name in empty]

    def _report(self, on_loss: OnLoss) -> None:
        """One loss record per epoch."""
        losses = self._model.get_loss_values()
        name = next(column for column in losses.columns if column in ("Loss", "Generator Loss"))
        per_epoch = losses[name].astype("float64").groupby(losses["Epoch"]).mean()
        if not np.isfinite(per_epoch).all():
            raise TrainingError("SDV's loss must be finite, however it is not: try another seed or fewer epochs")
        for epoch, loss in per_epoch.items():
            on_loss(LossRecord(int(epoch) + 1, float(loss)))


class SDVTVAE(SDVSynthesizer):
    """SDV's TVAESynthesizer at its defaults but for the number of epochs."""

    name: ClassVar[str] = "sdv_tvae"

    def _build(self, metadata: Any, verbose: bool) -> Any:
        return TVAESynthesizer(metadata, epochs=self.config.epochs, verbose=verbose, enable_gpu=False)


class SDVCTGAN(SDVSynthesizer):
    """SDV's CTGANSynthesizer at its defaults but for the number of epochs."""

    name: ClassVar[str] = "sdv_ctgan"

    def _build(self, metadata: Any, verbose: bool) -> Any:
        return CTGANSynthesizer(metadata, epochs=self.config.epochs, verbose=verbose, enable_gpu=False)


class SDVGaussianCopula(SDVSynthesizer):
    """SDV's GaussianCopulaSynthesizer at its defaults; it has no loss curve."""

    name: ClassVar[str] = "sdv_gaussian_copula"

    def _build(self, metadata: Any, verbose: bool) -> Any:
        return GaussianCopulaSynthesizer(metadata)

    def _report(self, on_loss: OnLoss) -> None:
        """Nothing: a copula is fitted in one step."""


def _sdv_metadata(kinds: dict[str, SDType]) -> Any:
    described = {name: {"sdtype": kind.value} for name, kind in kinds.items()}
    return SDVMetadata.load_from_dict({"METADATA_SPEC_VERSION": "V1", "tables": {TABLE: {"columns": described}}})


def _sdtype(prepared: pd.Series[Any], column: Column) -> SDType:
    """As our own engine reads the column; instants that went to numbers are numbers."""
    kind = learned_as(column)
    return SDType.numerical if kind is SDType.datetime and prepared.dtype.kind == "f" else kind


def _to_sdv(series: pd.Series[Any], column: Column) -> pd.Series[Any]:
    """Dtypes that SDV reads rightly: float64, datetime64[ns] (it takes microseconds for nanoseconds), else object.

    Instants outside the years that nanoseconds hold (1677 to 2262) are given as microseconds since 1970.
    """
    kind = learned_as(column)
    if kind is SDType.numerical:
        return pd.Series(to_floats(series))
    if kind is SDType.datetime:
        try:
            return pd.Series(series.to_numpy()).dt.as_unit("ns")
        except pd.errors.OutOfBoundsDatetime:
            return pd.Series(to_floats(series))
    return series.astype("object").mask(series.isna(), None)


def _from_sdv(series: pd.Series[Any], column: Column) -> pd.Series[Any]:
    """Values that `schema.canonical` accepts."""
    if column.type in (ColumnType.integer, *INSTANTS) and series.dtype.kind == "f":
        return from_floats(series.to_numpy(dtype=np.float64), column.type)
    if column.type in INSTANTS:
        instants = series.astype("datetime64[us]")
        return instants.dt.normalize() if column.type is ColumnType.date else instants
    return series


@contextlib.contextmanager
def _quiet(enabled: bool = True) -> Iterator[None]:
    """SDV's console output, log lines and advice held back; errors still raise."""
    if not enabled:
        yield
        return
    before = logging.root.manager.disable
    nowhere = io.StringIO()
    try:
        logging.disable(logging.WARNING)
        with warnings.catch_warnings(), contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
