"""Whatever the mess, every record read is kept, a duplicate, or rejected: exactly once."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tabveil.config import BadValue, DatasetConfig, PreprocessConfig, SourceConfig
from tabveil.errors import SchemaError, UnreadableFileError
from tabveil.preprocess import preprocess
from tabveil.schema import ColumnSpec, ColumnType, ConstraintKind, ConstraintSpec, NullPolicy

CELL = st.sampled_from(
    ["1", "2", "-5", "2.5", "x", "", "N/A", " 1", '"', '"q"', "2020-01-01", "31/02/2020", "yes", "\u00a0"]
)
LINE = st.lists(CELL, min_size=2, max_size=4).map(",".join)
COLUMNS = {
    "a": ColumnSpec(type=ColumnType.integer, minimum=-1, clip=True),
    "b": ColumnSpec(type=ColumnType.decimal, nulls=NullPolicy.impute),
    "c": ColumnSpec(nulls=NullPolicy.drop),
}
CONSTRAINTS = [
    ConstraintSpec(low="a", high="b"),
    ConstraintSpec(kind=ConstraintKind.unique, columns=["c"]),
]


@settings(max_examples=30, deadline=None)
@given(st.lists(LINE, min_size=1, max_size=25), st.sampled_from(BadValue), st.booleans())
def test_counts_add_up(lines, bad_values, deduplicate):
    dataset = DatasetConfig(
        name="messy", source=SourceConfig(key="k"), columns=COLUMNS, constraints=CONSTRAINTS,
        deduplicate=deduplicate, max_rejected_fraction=1.0,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "raw"
        path.write_text("a,b,c\n" + "\n".join(["1,1,first", *lines]) + "\n", encoding="utf-8")
        try:
            result = preprocess(path, dataset, PreprocessConfig(bad_values=bad_values))
        except (SchemaError, UnreadableFileError):
            return  # nothing left
    counts = result.profile["counts"]
    assert counts["read"] == counts["kept"] + counts["duplicates"] + counts["rejected"]
    assert counts["kept"] == len(result.table)
    assert counts["rejected"] == len(result.quarantine) == sum(counts["rejected_by_reason"].values())
    assert counts["rejected_by_reason"] == result.quarantine["_reason"].value_counts().to_dict()
    assert result.quarantine["_row"].is_unique
    assert counts["malformed"] == (result.quarantine["_reason"] == "malformed line").sum()
    assert not result.table["c"].isna().any()
    for constraint in CONSTRAINTS:
        assert not constraint.broken(result.table).any()
