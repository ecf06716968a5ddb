"""What every synthesizer can do, and what is the same for all: checks, computed totals, the model folder.

A model folder describes itself: `synthesizer.json` (kind, format version, configuration, checksums of the other
files), `metadata.json`, `loss.csv`, and the files of the kind.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tabveil.artifacts import atomic_folder, to_json
from tabveil.config import SYNTHESIZER_CONFIGS, SynthesizerConfig
from tabveil.entities import Codes, entities_per_group, entity_codes, num_entities
from tabveil.errors import ConfigError, ModelFileError, NotFittedError, SchemaError, SynthesizerError, TrainingError
from tabveil.schema import ColumnType, Metadata, canonical
from tabveil.synthesizers.constraints import DerivedTotal, add_totals, derive_totals

FORMAT = "tabveil-synthesizer"
FORMAT_VERSION = 1
MANIFEST, METADATA, LOSSES = "synthesizer.json", "metadata.json", "loss.csv"
LOSS_COLUMNS = ["step", "train", "validation"]
MIN_COUNT = 8  # a count of fewer rows is not written to a model folder


@dataclasses.dataclass(frozen=True)
class LossRecord:
    """Mean loss per row since the last record; `validation` is None for models without a validation split."""

    step: int
    train: float
    validation: float | None = None


OnLoss = Callable[[LossRecord], None]


@dataclasses.dataclass(frozen=True)
class Watch:
    """Who looks on while a model trains: a callback, a progress bar, a folder to go on from."""

    on_loss: OnLoss
    progress: bool = False
    checkpoint: Path | None = None


Conditions = Mapping[str, Any] | pd.DataFrame


class Synthesizer(ABC):
    """A generative model of one table.

    Args:
        config: settings of this kind; `config.name` equals the class's `name`.

    Attributes:
        shareable: whether the model folder holds nothing but protected statistics and no pickle, so that it may leave
            the machine. Recorded in `synthesizer.json`; see `is_shareable`, which does not believe that file alone.
    """

    name: ClassVar[str]
    shareable: ClassVar[bool] = True

    def __init__(self, config: SynthesizerConfig) -> None:
        self.config = config
        self._metadata: Metadata | None = None
        self._totals: tuple[DerivedTotal, ...] = ()
        self._losses: list[LossRecord] = []
        self._num_train_rows = 0

    @property
    def metadata(self) -> Metadata:
        """Metadata of the fitted table.

        Raises:
            NotFittedError: before `fit`.
        """
        if self._metadata is None:
            raise NotFittedError(f"synthesizer '{self.name}' must be fitted or loaded first: call fit()")
        return self._metadata

    @property
    def loss_curve(self) -> pd.DataFrame:
        """Columns step (int64), train and validation (float64, NaN when there is none); empty without a curve."""
        frame = pd.DataFrame([dataclasses.asdict(record) for record in self._losses], columns=LOSS_COLUMNS)
        return frame.astype({"step": "int64", "train": "float64", "validation": "float64"})

    def fit(
        self,
        real_data: pd.DataFrame,
        metadata: Metadata,
        *,
        progress: bool = False,
        on_loss: OnLoss | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        """Learn the modelled columns of a table.

        Args:
            real_data: clean training rows with at least the modelled columns; where the metadata has an entity key,
                also with the column that says whose row each is (`entities.entity_codes`).
            progress: show a progress bar on the terminal.
            on_loss: called with every loss record as it comes.
            checkpoint: folder that holds an unfinished training, where the kind can go on with one (`tvae`); after a
                kill the same call ends in the same model. It holds weights of the real table: keep it beside that.

        Raises:
            TrainingError: too few rows or entities, no or missing columns, infinite numbers, or the loss is not finite.
            SchemaError: values do not fit the declared types, or nothing says whose row each is.
        """
        table = self._checked(real_data, metadata)
        entities = entity_codes(real_data, metadata)
        if num_entities(entities, len(table)) < 2:
            raise TrainingError("the training table must hold at least 2 entities, however it holds 1: bring more")
        self._totals, self._losses, self._num_train_rows = derive_totals(table, metadata), [], len(table)

        def record(loss: LossRecord) -> None:
            self._losses.append(loss)
            if on_loss is not None:
                on_loss(loss)

        computed = {derived.total for derived in self._totals}
        self._metadata = None
        modelled = table[[n for n in table.columns if n not in computed]]
        self._fit(modelled, metadata, entities, Watch(record, progress, checkpoint))
        self._metadata = _without_few_missing(metadata, table, entities, self._min_count)

    def sample(self, num_rows: int, seed: int, *, conditions: Conditions | None = None) -> pd.DataFrame:
        """New rows; the same model, `num_rows`, `seed` and `conditions` give the same rows.

        Declared constraints other than computed totals may be broken: see `sample_chunks`.

        Args:
            conditions: values that the rows must have, by column: one value each, the same in all rows (a mapping), or
                one row each (a frame of `num_rows` rows). They hold exactly; the other columns follow from them. None
                or NaN asks for a missing value.

        Returns:
            Canonical frame with the modelled columns in the metadata's order, shape (num_rows, num_columns).

        Raises:
            NotFittedError: before `fit`.
            SchemaError: conditions on a column that is not modelled, or of another type.
            SynthesizerError: an argument is out of range, a condition is something the model has never learned, or
                this kind takes no conditions.
        """
        metadata = self.metadata
        _require_range(num_rows, seed)
        if conditions is None or not len(conditions):
            table = self._sample(num_rows, seed)
        else:
            given = self._conditions(conditions, num_rows)
            table = self._sample_given(given, np.ones(given.shape, dtype=bool), seed, complete=False)
        return canonical(add_totals(table, self._totals)[metadata.modelled_columns], metadata)

    def impute(self, table: pd.DataFrame, seed: int) -> pd.DataFrame:
        """The table with every missing cell of the modelled columns drawn given the rest of its row.

        Cells that are not missing stay as they are, and so do columns in which the model knows nothing but missing
        values. A computed total is computed where it is missing and its parts are not, or have been drawn.

        Args:
            table: the modelled columns; further ones are left out.

        Returns:
            Canonical frame, shape (len(table), number of modelled columns), with a fresh index.

        Raises:
            NotFittedError: before `fit`.
            SchemaError: a modelled column is missing from the table, or of another type.
            SynthesizerError: the table is empty, the seed out of range, or this kind cannot impute.
        """
        metadata, names = self.metadata, self.metadata.modelled_columns
        missing = [name for name in names if name not in table.columns]
        if missing:
            raise SchemaError(f"the table to impute must hold every modelled column, however these miss: {missing}")
        _require_range(len(table), seed)
        given = canonical(table[names], metadata)
        modelled = given[self._modelled()]
        filled = self._sample_given(modelled, modelled.notna().to_numpy(), seed, complete=True)
        totals = [derived.total for derived in self._totals]
        result = add_totals(filled, self._totals)
        for name in totals:
            result[name] = given[name].where(given[name].notna(), result[name])
        return canonical(result[names], metadata)

    def log_prob(self, table: pd.DataFrame, *, seed: int = 0) -> NDArray[np.float64]:
        """How likely the model finds each row, in nats, shape (len(table),); an estimate, repeatable by `seed`.

        Numbers count by their density over the ranks of the training values, computed totals not at all. So the figures
        compare rows under one model, not models with each other.

        Args:
            table: the modelled columns; further ones are left out. A category that the model does not know counts as
                a rare one, a number beyond the learned range as its end.

        Raises:
            NotFittedError: before `fit`.
            SchemaError: a modelled column is missing from the table, or of another type.
            SynthesizerError: the table is empty, the seed out of range, or this kind has no likelihood.
        """
        names = self._modelled()
        missing = [name for name in names if name not in table.columns]
        if missing:
            raise SchemaError(f"the table must hold every modelled column, however these miss: {missing}")
        _require_range(len(table), seed)
        return self._log_prob(canonical(table[names], self.metadata), seed)

    def save(self, folder: Path) -> None:
        """Write the model folder; an existing one is replaced as a whole.

        Raises:
            NotFittedError: before `fit`.
        """
        metadata = _protected(self.metadata, self._num_train_rows, self._min_count)
        with atomic_folder(folder) as target:
            (target / METADATA).write_text(metadata.to_json(), encoding="utf-8")
            self.loss_curve.to_csv(target / LOSSES, index=False, lineterminator="\n")
            self._save(target)
            files = {path.name: _sha256(path) for path in sorted(target.iterdir())}
            (target / MANIFEST).write_text(to_json(self._manifest(files)), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Inverse of `save`.

        Raises:
            ModelFileError: no model of this kind, corrupt, or of a newer format.
        """
        manifest = read_manifest(folder)
        if manifest["kind"] != cls.name:
            raise ModelFileError(f"{folder} must hold a '{cls.name}' model, however: kind={manifest['kind']!r}")
        _verify(folder, manifest["files"])
        try:
            synthesizer = cls(SYNTHESIZER_CONFIGS[cls.name](**manifest["config"]))
            synthesizer._metadata = Metadata.from_json((folder / METADATA).read_text(encoding="utf-8"))
            synthesizer._totals = tuple(_total(record) for record in manifest["totals"])
            synthesizer._num_train_rows = int(manifest["num_train_rows"])
            synthesizer._losses = _losses(pd.read_csv(folder / LOSSES))
            synthesizer._load(folder)
        except (KeyError, TypeError, ValueError, OSError, ConfigError, SchemaError) as err:
            raise ModelFileError(
                f"{folder} is not a complete model ({type(err).__name__}: {err}): train again"
            ) from err
        return synthesizer

    @abstractmethod
    def _fit(self, table: pd.DataFrame, metadata: Metadata, entities: Codes | None, watch: Watch) -> None:
        """Learn every column of a checked, canonical table. `entities`: whose row each is; None: its own."""

    @abstractmethod
    def _sample(self, num_rows: int, seed: int) -> pd.DataFrame:
        """The fitted columns, canonical dtypes, any order."""

    @abstractmethod
    def _save(self, folder: Path) -> None:
        """Write the files of this kind."""

    @abstractmethod
    def _load(self, folder: Path) -> None:
        """Read them; called with `config`, metadata and totals in place and checksums verified."""

    def _sample_given(
        self, table: pd.DataFrame, given: NDArray[np.bool_], seed: int, *, complete: bool
    ) -> pd.DataFrame:
        """Rows that agree with the `given` cells of a canonical frame; `complete`: no free cell is missing."""
        raise SynthesizerError(
            f"rows given some of their cells need synthesizer 'tvae', however this model is a '{self.name}': train one"
        )

    def _log_prob(self, table: pd.DataFrame, seed: int) -> NDArray[np.float64]:
        """Log likelihood of canonical rows."""
        raise SynthesizerError(f"log_prob needs synthesizer 'tvae', however this model is a '{self.name}': train one")

    @property
    def _min_count(self) -> int:
        return MIN_COUNT

    def _modelled(self) -> list[str]:
        """The modelled columns that are not computed."""
        computed = {derived.total for derived in self._totals}
        return [name for name in self.metadata.modelled_columns if name not in computed]

    def _conditions(self, conditions: Conditions, num_rows: int) -> pd.DataFrame:
        """Conditions as a canonical frame of `num_rows` rows."""
        names, known = [str(name) for name in conditions], self._modelled()
        foreign = [name for name in names if name not in known]
        if foreign:
            raise SchemaError(
                f"conditions must be on modelled columns that are not computed, however: {foreign}; there are: {known}"
            )
        if isinstance(conditions, pd.DataFrame):
            if len(conditions) != num_rows or not conditions.columns.is_unique:
                raise SynthesizerError(
                    f"conditions must be a frame of num_rows={num_rows} rows with unique columns, however it has "
                    f"{len(conditions)} rows and the columns {names}"
                )
            return canonical(conditions, self.metadata)
        repeated = {str(name): pd.Series([value] * num_rows, dtype="object") for name, value in conditions.items()}
        return canonical(pd.DataFrame(repeated), self.metadata)

    def _checked(self, real_data: pd.DataFrame, metadata: Metadata) -> pd.DataFrame:
        names = metadata.modelled_columns
        if not names:
            raise TrainingError("there must be at least one modelled column, however the metadata has none")
        missing = [name for name in names if name not in real_data.columns]
        if missing:
            raise TrainingError(f"the training table must hold every modelled column, however these miss: {missing}")
        if not real_data.columns.is_unique:
            raise TrainingError("the training table's column names must be unique, however some are repeated")
        if len(real_data) < self.config.min_rows:
            raise TrainingError(
                f"the training table must have at least {self.config.min_rows} rows, however: {len(real_data)} "
                "(synthesizer.min_rows sets the limit)"
            )
        table = canonical(real_data[names], metadata)
        infinite = [n for n in names if metadata[n].type is ColumnType.decimal and np.isinf(table[n]).any()]
        if infinite:
            raise TrainingError(
                f"decimal columns must hold finite numbers, however infinite ones were found in: {infinite}; declare "
                "minimum or maximum for these columns, or empty the cells in the source"
            )
        return table

    def _manifest(self, files: dict[str, str]) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "kind": self.name,
            "shareable": self.shareable,
            "config": dataclasses.asdict(self.config),
            "num_train_rows": self._num_train_rows,
            "totals": [{**dataclasses.asdict(t), "type": t.type.value, "parts": list(t.parts)} for t in self._totals],
            "files": files,
        }


def _require_range(num_rows: int, seed: int) -> None:
    if num_rows < 1:
        raise SynthesizerError(f"num_rows must be positive, however: num_rows={num_rows}")
    if not 0 <= seed < 2**31:
        raise SynthesizerError(f"seed must be in [0, 2**31), however: seed={seed}")


def read_manifest(folder: Path) -> dict[str, Any]:
    """`synthesizer.json` of a model folder, its format checked.

    Raises:
        ModelFileError: missing, not JSON, foreign, or newer than this version reads.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise ModelFileError(
            f"{folder} must hold a model, however {MANIFEST} cannot be read: run the stage 'train'"
        ) from err
    except ValueError as err:
        raise ModelFileError(f"{path} must be JSON, however it is damaged: train again") from err
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ModelFileError(f"{path} must describe a TabVeil model, however it was written by something else")
    version = manifest.get("version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise ModelFileError(
            f"{path} must have format version <= {FORMAT_VERSION}, however: {version}: upgrade TabVeil"
        )
    if not isinstance(manifest.get("kind"), str) or not isinstance(manifest.get("files"), dict):
        raise ModelFileError(f"{path} must name the model's kind and files, however one is missing: train again")
    return manifest


def check_folder(folder: Path) -> None:
    """Hold every file of a model folder against the checksums of its manifest, without loading the model.

    Raises:
        ModelFileError: no model, or a file is missing, differs, or is there without being listed.
    """
    _verify(folder, read_manifest(folder)["files"])


def model_files(folder: Path) -> list[Path]:
    """Every file of a model: those that its manifest lists, and the manifest.

    Raises:
        ModelFileError: as `check_folder`.
    """
    files = read_manifest(folder)["files"]
    _verify(folder, files)
    return [folder / name for name in sorted([*files, MANIFEST])]


def _verify(folder: Path, files: dict[str, str]) -> None:
    for name, expected in sorted(files.items()):
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise ModelFileError(f"{folder} must hold the file {name}, however it is missing: train again")
        if _sha256(path) != expected:
            raise ModelFileError(f"{path} must have the checksum of {MANIFEST}, however it differs: train again")
    foreign = sum(path.name not in files and path.name != MANIFEST for path in folder.iterdir())
    if foreign:
        raise ModelFileError(
            f"{folder} must hold the files of {MANIFEST} and nothing else, however it holds {foreign} more: remove "
            "them, or train again"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _without_few_missing(metadata: Metadata, table: pd.DataFrame, entities: Codes | None, min_count: int) -> Metadata:
    """Metadata whose null fractions do not tell of missing values that fewer than `min_count` entities have.

    Of columns that are not in `table` the rows count, see `_protected`.
    """
    if entities is None:
        return metadata
    few = {n for n in table.columns if _holders(table[n].isna().to_numpy(), entities) < min_count}
    columns = tuple(dataclasses.replace(c, null_fraction=0.0) if c.name in few else c for c in metadata.columns)
    return dataclasses.replace(metadata, columns=columns)


def _holders(marked: NDArray[np.bool_], entities: Codes) -> int:
    return int(entities_per_group(np.where(marked, 0, -1), 1, entities)[0])


def _protected(metadata: Metadata, num_rows: int, min_count: int) -> Metadata:
    """Metadata whose null fractions do not tell of fewer than `min_count` rows."""
    columns = tuple(
        dataclasses.replace(c, null_fraction=0.0) if c.null_fraction * num_rows < min_count else c
        for c in metadata.columns
    )
    return dataclasses.replace(metadata, columns=columns)


def _total(record: dict[str, Any]) -> DerivedTotal:
    return DerivedTotal(record["total"], tuple(record["parts"]), ColumnType(record["type"]), record["decimals"])


def _losses(frame: pd.DataFrame) -> list[LossRecord]:
    rows = zip(frame["step"], frame["train"], frame["validation"], strict=True)
    return [LossRecord(int(s), float(t), None if pd.isna(v) else float(v)) for s, t, v in rows]
