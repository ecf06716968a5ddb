"""sdmetrics' own reports, quiet and seeded from outside, and the same score at a fraction of the cost.

`QualityReport` computes every pair but averages only those that are associated in the real data (13 of 105 on
Adult). The floor and the ceilings are compared with the same real table, so only the pairs known to count are
computed again, with sdmetrics' public metrics: the same number (a test proves it) in a tenth of the time.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sdmetrics.column_pairs import ContingencySimilarity, CorrelationSimilarity
from sdmetrics.errors import ConstantInputError, IncomputableMetricError
from sdmetrics.reports import DiagnosticReport, QualityReport
from sdmetrics.single_column import KSComplement, TVComplement

from tabveil.evaluation.frames import is_numeric, numbers
from tabveil.schema import ColumnType, Metadata, SDType

MAX_ROWS = 50_000  # above this sdmetrics samples by itself, without a seed
TABLE = "table"


@dataclass(frozen=True)
class StockScores:
    """sdmetrics' quality: each in [0, 1]; NaN when nothing could be computed.

    Args:
        columns: per column: column, metric, score.
        pairs: the pairs that count: first, second, metric, score.
    """

    shapes: float
    trends: float
    columns: pd.DataFrame
    pairs: pd.DataFrame

    @property
    def overall(self) -> float:
        """Mean of the properties that have a score, as sdmetrics does."""
        return _mean([self.shapes, self.trends])


def quality(real_data: pd.DataFrame, synthetic_data: pd.DataFrame, metadata: Metadata) -> StockScores:
    """The stock `QualityReport` on plain frames of at most `MAX_ROWS` rows."""
    report = QualityReport()
    with _quiet():
        report.generate({TABLE: real_data}, {TABLE: synthetic_data}, sdv_metadata(metadata), verbose=False)
        shapes, trends = (report.get_details(name) for name in ("Column Shapes", "Column Pair Trends"))
        scores = report.get_properties().set_index("Property")["Score"]
    counted = trends[trends["Meets Threshold?"].astype("boolean").fillna(False).astype(bool)]
    return StockScores(
        shapes=float(scores["Column Shapes"]),
        trends=float(scores["Column Pair Trends"]),
        columns=_renamed(shapes, {"Column": "column", "Metric": "metric", "Score": "score"}),
        pairs=_renamed(counted, {"Column 1": "first", "Column 2": "second", "Metric": "metric", "Score": "score"}),
    )


def quality_of_pairs(
    real_data: pd.DataFrame, synthetic_data: pd.DataFrame, metadata: Metadata, pairs: pd.DataFrame
) -> StockScores:
    """`quality`, given which pairs count (`StockScores.pairs` of a report on the same real table)."""
    continuous = {n: is_numeric(metadata, n) for n in metadata.modelled_columns}
    with _quiet():
        shapes = [_shape_score(real_data[n], synthetic_data[n], is_number) for n, is_number in continuous.items()]
        trends = [
            _pair_score(first, second, real_data, synthetic_data, continuous)
            for first, second in zip(pairs["first"], pairs["second"], strict=True)
        ]
    columns = pd.DataFrame({"column": list(continuous), "score": shapes})
    return StockScores(_mean(shapes), _mean(trends), columns, pairs.assign(score=trends))


def diagnostic(real_data: pd.DataFrame, synthetic_data: pd.DataFrame, metadata: Metadata) -> dict[str, float]:
    """The stock `DiagnosticReport`: overall, data_validity, data_structure, each in [0, 1]."""
    report = DiagnosticReport()
    with _quiet():
        report.generate({TABLE: real_data}, {TABLE: synthetic_data}, sdv_metadata(metadata), verbose=False)
        scores = report.get_properties().set_index("Property")["Score"]
    parts = {"data_validity": float(scores["Data Validity"]), "data_structure": float(scores["Data Structure"])}
    return {"overall": _mean(list(parts.values())), **parts}


def sdv_metadata(metadata: Metadata) -> dict[str, object]:
    """The modelled columns in SDV's metadata format.

    Dates are `numerical`, as in the plain frames: sdmetrics would take them to nanoseconds, which end in 2262. Its
    scores do not change, they rest on ranks, correlations and equal bins.
    """
    columns = {name: {"sdtype": _sdtype(metadata, name).value} for name in metadata.modelled_columns}
    return {"METADATA_SPEC_VERSION": "V1", "tables": {TABLE: {"columns": columns}}}


def _sdtype(metadata: Metadata, name: str) -> SDType:
    if is_numeric(metadata, name):
        return SDType.numerical
    return SDType.boolean if metadata[name].type is ColumnType.boolean else SDType.categorical


def _shape_score(real: pd.Series, synthetic: pd.Series, is_number: bool) -> float:
    """NaN, as in the report, where a column is empty."""
    try:
        return float((KSComplement if is_number else TVComplement).compute(real, synthetic))
    except IncomputableMetricError:
        return float("nan")


def _pair_score(
    first: str, second: str, real: pd.DataFrame, synthetic: pd.DataFrame, continuous: dict[str, bool]
) -> float:
    names = [first, second]
    if continuous[first] and continuous[second]:
        return _correlation_score(real[names], synthetic[names])
    binned = [n for n in names if continuous[n]]
    try:
        coarse = [_own_bins(table[names], binned) for table in (real, synthetic)]
    except ValueError:  # NumPy: too many bins for the range of huge, nearly equal numbers; the report has no score then
        return float("nan")
    return float(ContingencySimilarity.compute(*coarse))


def _correlation_score(real: pd.DataFrame, synthetic: pd.DataFrame) -> float:
    """NaN, as in the report, where a correlation is undefined: a constant column, or fewer than two rows."""
    if min(len(real.dropna()), len(synthetic.dropna())) < 2:
        return float("nan")
    try:
        return float(CorrelationSimilarity.compute(real, synthetic))
    except ConstantInputError:
        return float("nan")


def _own_bins(table: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Ten bins at the table's own edges, as `QualityReport` does for a number paired with levels."""
    binned = table.copy()
    for name in names:
        values = numbers(table[name])
        binned[name] = np.digitize(values, np.histogram_bin_edges(values[~np.isnan(values)]))
    return binned


def _renamed(details: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    return details[list(names)].rename(columns=names).reset_index(drop=True)


def _mean(values: list[float]) -> float:
    present = [value for value in values if not np.isnan(value)]
    return float(np.mean(present)) if present else float("nan")


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence: sdmetrics warns about constant columns and exact p-values it does not use; neither changes a score."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
