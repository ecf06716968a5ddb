"""What every synthesizer can do, and what is the same for all: checks, computed totals, saving and loading."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tabveil.artifacts import atomic_folder
from tabveil.config import SYNTHESIZER_CONFIGS, SynthesizerConfig
from tabveil.entities import Codes, entity_codes, num_entities
from tabveil.errors import ConfigError, ModelFileError, NotFittedError, SchemaError, SynthesizerError, TrainingError
from tabveil.schema import ColumnType, Metadata, canonical
from tabveil.synthesizers.arguments import Conditions, condition_table, require_range, training_table
from tabveil.synthesizers.combinations import KnownCombinations, find_combinations, require_complete
from tabveil.synthesizers.constraints import DerivedTotal, add_totals, derive_totals
from tabveil.synthesizers.model_folder import LOSSES, METADATA, read_manifest, verify, write_manifest
from tabveil.synthesizers.protection import MIN_COUNT, protected, without_few_missing

LOSS_COLUMNS = ["step", "train", "validation"]


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
        self._combinations: tuple[KnownCombinations, ...] = ()
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
    def combinations(self) -> tuple[KnownCombinations, ...]:
        """What the declared constraints allow of combinations of values, as the training table showed it."""
        return self._combinations

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
        table = training_table(real_data, metadata, self.config.min_rows)
        entities = entity_codes(real_data, metadata)
        if num_entities(entities, len(table)) < 2:
            raise TrainingError("the training table must hold at least 2 entities, however it holds 1: bring more")
        self._totals, self._losses, self._num_train_rows = derive_totals(table, metadata), [], len(table)
        self._combinations = find_combinations(table, metadata, entities, self._min_count)

        def record(loss: LossRecord) -> None:
            self._losses.append(loss)
            if on_loss is not None:
                on_loss(loss)

        computed = {derived.total for derived in self._totals}
        self._metadata = None
        modelled = table[[n for n in table.columns if n not in computed]]
        self._fit(modelled, metadata, entities, Watch(record, progress, checkpoint))
        self._metadata = without_few_missing(metadata, table, entities, self._min_count)

    def sample(self, num_rows: int, seed: int, *, conditions: Conditions | None = None) -> pd.DataFrame:
        """New rows; the same model, `num_rows`, `seed` and `conditions` give the same rows.

        A declared constraint may be broken here and there, unless the kind keeps it: see `sample_chunks`.

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
        require_range(num_rows, seed)
        if conditions is None or not len(conditions):
            table = self._sample(num_rows, seed)
        else:
            given = condition_table(conditions, num_rows, self._modelled(), metadata)
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
        require_range(len(table), seed)
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
        require_range(len(table), seed)
        return self._log_prob(canonical(table[names], self.metadata), seed)

    def save(self, folder: Path) -> None:
        """Write the model folder; an existing one is replaced as a whole.

        Raises:
            NotFittedError: before `fit`.
        """
        metadata = protected(self.metadata, self._num_train_rows, self._min_count)
        with atomic_folder(folder) as target:
            (target / METADATA).write_text(metadata.to_json(), encoding="utf-8")
            self.loss_curve.to_csv(target / LOSSES, index=False, lineterminator="\n")
            self._save(target)
            write_manifest(target, self._described())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Inverse of `save`.

        Raises:
            ModelFileError: no model of this kind, corrupt, or of a newer format.
        """
        manifest = read_manifest(folder)
        if manifest["kind"] != cls.name:
            raise ModelFileError(f"{folder} must hold a '{cls.name}' model, however: kind={manifest['kind']!r}")
        verify(folder, manifest["files"])
        try:
            synthesizer = cls(SYNTHESIZER_CONFIGS[cls.name](**manifest["config"]))
            synthesizer._metadata = Metadata.from_json((folder / METADATA).read_text(encoding="utf-8"))
            synthesizer._totals = tuple(_total(record) for record in manifest["totals"])
            synthesizer._combinations = tuple(
                KnownCombinations.from_record(record, synthesizer.metadata) for record in manifest["combinations"]
            )
            require_complete(synthesizer._combinations, synthesizer.metadata)
            synthesizer._num_train_rows = int(manifest["num_train_rows"])
            synthesizer._losses = _losses(pd.read_csv(folder / LOSSES))
            synthesizer._load(folder)
        except (LookupError, TypeError, ValueError, OverflowError, OSError, ConfigError, SchemaError) as err:
            # not the error's own text: it may show a value of the table
            raise ModelFileError(f"{folder} is not a complete model ({type(err).__name__}): train again") from err
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

    def _described(self) -> dict[str, Any]:
        return {
            "kind": self.name,
            "shareable": self.shareable,
            "config": dataclasses.asdict(self.config),
            "num_train_rows": self._num_train_rows,
            "totals": [{**dataclasses.asdict(t), "type": t.type.value, "parts": list(t.parts)} for t in self._totals],
            "combinations": [known.to_record() for known in self._combinations],
        }


def _total(record: dict[str, Any]) -> DerivedTotal:
    return DerivedTotal(record["total"], tuple(record["parts"]), ColumnType(record["type"]), record["decimals"])


def _losses(frame: pd.DataFrame) -> list[LossRecord]:
    rows = zip(frame["step"], frame["train"], frame["validation"], strict=True)
    return [LossRecord(int(s), float(t), None if pd.isna(v) else float(v)) for s, t, v in rows]
