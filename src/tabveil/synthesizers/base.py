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
from tabveil.entities import Codes, entity_codes
from tabveil.errors import ConfigError, ModelFileError, NotFittedError, SchemaError, SynthesizerError
from tabveil.schema import Metadata, canonical
from tabveil.synthesizers.arguments import (
    Conditions,
    checked_seed,
    condition_table,
    folder_path,
    modelled_cells,
    replaceable_folder,
    require_several,
    rows_and_seed,
    training_table,
)
from tabveil.synthesizers.combinations import KnownCombinations, find_combinations, require_allowed
from tabveil.synthesizers.constraints import (
    DerivedTotal,
    add_totals,
    derive_totals,
    require_order,
    require_ordered,
    total_from_record,
    with_asked_totals,
)
from tabveil.synthesizers.model_folder import LOSSES, MANIFEST, METADATA, read_manifest, reading, verify, write_manifest
from tabveil.synthesizers.protection import MIN_COUNT, protected, without_few_missing
from tabveil.synthesizers.saved import read_combinations, read_losses, read_metadata, require_usable, require_whole

CHECKPOINT_STATE = "state.json"  # by which the folder of an unfinished training is known
LOSS_COLUMNS = ["step", "train", "validation"]
_NO_CONDITIONS = "rows given some of their cells need synthesizer 'tvae', however this model is a '{}': train one"


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

    Raises:
        ConfigError: settings of another kind.
    """

    name: ClassVar[str]
    shareable: ClassVar[bool] = True

    def __init__(self, config: SynthesizerConfig) -> None:
        if config.name != self.name:
            raise ConfigError(
                f"the settings of a '{self.name}' must be its own, however: synthesizer.name={config.name}"
            )
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
            SchemaError: the metadata cannot be used, values do not fit the declared types, or nothing says whose row
                each is.
            SynthesizerError: `checkpoint` is a folder that holds something else, or `on_loss` no function.

        A synthesizer that was fitted before is not fitted after an error.
        """
        self._metadata = None
        checkpoint = None if checkpoint is None else replaceable_folder("checkpoint", checkpoint, CHECKPOINT_STATE)
        if on_loss is not None and not callable(on_loss):
            raise SynthesizerError(f"on_loss must be a function, however it is a {type(on_loss).__name__}")
        _require_usable(metadata)
        table = training_table(real_data, metadata, self.config.min_rows)
        entities = entity_codes(real_data, metadata)
        require_several(entities, len(table))
        self._totals = derive_totals(table, metadata, self._min_count, entities)
        self._losses, self._num_train_rows = [], len(table)
        self._combinations = find_combinations(table, metadata, entities, self._min_count)

        def record(loss: LossRecord) -> None:
            self._losses.append(loss)
            if on_loss is not None:
                on_loss(loss)

        computed = self._computed()
        modelled = table[[n for n in table.columns if n not in computed]]
        self._fit(modelled, metadata, entities, Watch(record, progress, checkpoint))
        self._metadata = without_few_missing(metadata, table, entities, self._min_count)

    def sample(self, num_rows: int, seed: int, *, conditions: Conditions | None = None) -> pd.DataFrame:
        """New rows; the same model, `num_rows`, `seed` and `conditions` give the same rows.

        A declared sum holds in every row. Another constraint may be broken here and there, unless the kind keeps it:
        see `sample_chunks`.

        Args:
            conditions: values that the rows must have, by column: one value each, the same in all rows (a mapping), or
                one row each (a frame of `num_rows` rows). They hold exactly; the other columns follow from them. None,
                NaN, NaT or NA asks for a missing value. A category must be one that the model has learned; a number
                or instant beyond the learned range is set as it is, and counts as the nearest learned one for the
                other columns. Values of another Python type become the column's: 1 is '1' in a text column, a moment
                its day in a date column. Without columns nothing is asked for.

        Returns:
            Canonical frame with the modelled columns in the metadata's order, shape (num_rows, num_columns).

        Raises:
            NotFittedError: before `fit`.
            SchemaError: conditions on a column that is not modelled, or of another type.
            SynthesizerError: an argument is out of range, a condition is infinite or never learned by the model, the
                conditions of a row contradict a constraint among themselves or leave nothing that keeps it, or this
                kind takes no conditions.
        """
        metadata = self.metadata
        num_rows, seed = rows_and_seed(num_rows, seed)
        asked = self.check_conditions(conditions, num_rows)
        if asked is None:
            table = add_totals(self._sample(num_rows, seed), self._totals)
        else:
            table = self._sample_given(asked, np.ones(asked.shape, dtype=bool), seed, complete=False)
            table = with_asked_totals(add_totals(table, self._totals), self._totals, asked)
            totals = [derived.total for derived in self._totals if derived.total in asked.columns]
            if totals:  # what is left of a total may be no part of a combination
                require_allowed(table, self._combinations, totals)
        return canonical(table[metadata.modelled_columns], metadata)

    def check_conditions(self, conditions: Conditions | None, num_rows: int) -> pd.DataFrame | None:
        """Conditions as `sample` reads them, a canonical frame of `num_rows` rows; None where nothing is asked for.

        Raises:
            SchemaError, SynthesizerError: as `sample`, before anything is drawn.
        """
        asked = condition_table(conditions, num_rows, self.metadata.modelled_columns, self.metadata)
        if asked is not None:
            require_order(asked, self.metadata)
            self._require_learned(asked)
        return asked

    def impute(self, table: pd.DataFrame, seed: int) -> pd.DataFrame:
        """The table with every missing cell of the modelled columns drawn given the rest of its row.

        Cells that are not missing stay as they are, and so do columns in which the model knows nothing but missing
        values. Where they contradict a constraint, the free cells of the row keep what constraints they still can. A
        total is computed from its parts where it is missing; where it is not, the missing parts are what is left of it,
        also beyond what the model draws.

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
        given = modelled_cells(table, names, metadata)
        seed = checked_seed(seed)
        filled = self._sample_given(given, given.notna().to_numpy(), seed, complete=True)
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
        given = modelled_cells(table, self._modelled(), self.metadata)
        seed = checked_seed(seed)
        return self._log_prob(given, seed)

    def save(self, folder: Path) -> None:
        """Write the model folder; an existing one is replaced as a whole.

        Raises:
            NotFittedError: before `fit`.
            SynthesizerError: the folder holds something else than a model, or cannot be one.
        """
        folder = replaceable_folder("folder", folder, MANIFEST)
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
            ModelFileError: no model of this kind, corrupt, or of a newer format; it names the file.
        """
        folder = folder_path("folder", folder)
        manifest = read_manifest(folder)
        if manifest["kind"] != cls.name:
            raise ModelFileError(f"{folder} must hold a '{cls.name}' model, however: kind={manifest['kind']!r}")
        verify(folder, manifest["files"])
        with reading(folder / MANIFEST):
            synthesizer = cls(SYNTHESIZER_CONFIGS[cls.name](**manifest["config"]))
            require_whole(manifest, synthesizer.config)
            synthesizer._num_train_rows = manifest["num_train_rows"]
        with reading(folder / METADATA):
            synthesizer._metadata = metadata = read_metadata(folder / METADATA)
        with reading(folder / MANIFEST):
            synthesizer._totals = tuple(total_from_record(record, metadata) for record in manifest["totals"])
            require_ordered(synthesizer._totals)
            synthesizer._combinations = read_combinations(manifest["combinations"], metadata)
        with reading(folder / LOSSES):
            synthesizer._losses = _losses(read_losses(folder / LOSSES))
        with reading(folder):
            synthesizer._load(folder)
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
        """Rows that agree with the `given` cells of a canonical frame; `complete`: no free cell is missing.

        A given total is met by its parts, except where other given cells contradict it.
        """
        raise SynthesizerError(_NO_CONDITIONS.format(self.name))

    def _require_learned(self, asked: pd.DataFrame) -> None:
        """Refuse conditions that the model has never learned."""
        raise SynthesizerError(_NO_CONDITIONS.format(self.name))

    def _log_prob(self, table: pd.DataFrame, seed: int) -> NDArray[np.float64]:
        """Log likelihood of canonical rows."""
        raise SynthesizerError(f"log_prob needs synthesizer 'tvae', however this model is a '{self.name}': train one")

    @property
    def _min_count(self) -> int:
        return MIN_COUNT

    def _modelled(self) -> list[str]:
        """The modelled columns that are not computed."""
        computed = self._computed()
        return [name for name in self.metadata.modelled_columns if name not in computed]

    def _computed(self) -> set[str]:
        """The totals that are no columns of the model."""
        return {derived.total for derived in self._totals if not derived.modelled}

    def _described(self) -> dict[str, Any]:
        return {
            "kind": self.name,
            "shareable": self.shareable,
            "config": dataclasses.asdict(self.config),
            "num_train_rows": self._num_train_rows,
            "totals": [{**dataclasses.asdict(t), "type": t.type.value, "parts": list(t.parts)} for t in self._totals],
            "combinations": [known.to_record() for known in self._combinations],
        }


def _require_usable(metadata: Any) -> None:
    if not isinstance(metadata, Metadata):
        raise SchemaError(f"the metadata must be a tabveil.schema.Metadata, however: a {type(metadata).__name__}")
    try:
        require_usable(metadata)
    except (ValueError, TypeError) as err:  # made of names and types, no cell is in it
        raise SchemaError(f"the metadata must be usable, however: {err}") from None


def _losses(frame: pd.DataFrame) -> list[LossRecord]:
    rows = zip(frame["step"], frame["train"], frame["validation"], strict=True)
    return [LossRecord(int(s), float(t), None if pd.isna(v) else float(v)) for s, t, v in rows]
