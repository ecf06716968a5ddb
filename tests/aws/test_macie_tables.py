"""The copies that Macie reads: the whole table, descriptive headers, an end marker; and nothing of them stays."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd
import pytest

from tabveil.aws.macie_findings import MARKER, MARKER_TEXT
from tabveil.aws.macie_scan import affordable_usd
from tabveil.aws.macie_tables import MARKER_HEADER, uploaded, write_copies
from tabveil.config import EnvironmentConfig
from tabveil.errors import CostError, StorageError
from tabveil.schema import Action, Column, ColumnType, Metadata, SDType
from tabveil.storage import ObjectInfo

TABLE = pd.DataFrame(
    {
        "amount": pd.array([1, None, 3], dtype="Int64"),
        "purpose": ["car, red", 'the "best"', "Zürich\nline two"],
        "employer": ["Müller", None, "x"],
    }
)


def column(name: str, **settings) -> Column:
    return Column(name=name, original_name=name, type=ColumnType.string, sdtype=SDType.categorical, **settings)


METADATA = Metadata("loans", (column("amount"), column("purpose"), column("employer")))
HEADERS = {"amount": "Loan amount", "purpose": "Zweck", "employer": "Employer"}


def test_a_copy_is_the_whole_table_under_descriptive_headers(tmp_path):
    (copy,) = write_copies({"train": TABLE}, METADATA, HEADERS, tmp_path)
    assert (copy.table, copy.path.name) == ("train", "train.csv")
    assert copy.columns == {"Loan amount": "amount", "Zweck": "purpose", "Employer": "employer"}
    read = pd.read_csv(copy.path, dtype=str, keep_default_na=False)
    assert [*read.columns] == ["Loan amount", "Zweck", "Employer", MARKER_HEADER]
    assert read["Zweck"].tolist() == [*TABLE["purpose"], ""]
    assert read["Loan amount"].tolist() == ["1", "", "3", ""]
    assert read[MARKER_HEADER].tolist() == ["", "", "", MARKER_TEXT]


def test_the_end_marker_is_what_its_identifier_looks_for(tmp_path):
    (copy,) = write_copies({"train": TABLE}, METADATA, HEADERS, tmp_path)
    assert len(re.findall(MARKER["regex"], copy.path.read_text(encoding="utf-8"))) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"action": Action.keep, "semantic_type": "NAME", "reason": "public register"},
        {"action": Action.pseudonymise},
    ],
)
def test_a_column_that_may_hold_personal_data_has_a_file_of_its_own(tmp_path, settings):
    metadata = replace(METADATA, columns=(*METADATA.columns[:2], column("employer", **settings)))
    copies = write_copies({"train": TABLE, "holdout": TABLE}, metadata, HEADERS, tmp_path)
    assert [(c.table, c.path.name, [*c.columns.values()]) for c in copies] == [
        ("train", "train.csv", ["amount", "purpose"]),
        ("train", "train.employer.csv", ["employer"]),
        ("holdout", "holdout.csv", ["amount", "purpose"]),
        ("holdout", "holdout.employer.csv", ["employer"]),
    ]


def test_a_kept_quasi_identifier_stays_with_the_others(tmp_path):
    kept = column("employer", action=Action.keep, semantic_type="CITY", reason="shared by many")
    metadata = replace(METADATA, columns=(*METADATA.columns[:2], kept))
    assert len(write_copies({"train": TABLE}, metadata, HEADERS, tmp_path)) == 1


def test_headers_that_would_be_mistaken_for_each_other_give_way_to_names(tmp_path):
    headers = {"amount": "Value", "purpose": "Value", "employer": MARKER_HEADER}
    (copy,) = write_copies({"train": TABLE}, METADATA, headers, tmp_path)
    assert copy.columns == {name: name for name in TABLE.columns}


class FakeStore:
    """A bucket in a dictionary."""

    def __init__(self, *, fail_at: int | None = None, keep: bool = False) -> None:
        self.keys: list[str] = []
        self._fail_at, self._keep = fail_at, keep

    def put_version(self, bucket, key, path):
        if len(self.keys) == self._fail_at:
            raise StorageError("the connection broke off")
        self.keys.append(key)
        return ObjectInfo(bucket, key, 1, "etag", version_id=f"v{len(self.keys)}")

    def delete_prefix(self, bucket, prefix):
        if self._keep:
            raise StorageError("deleting was refused")
        self.keys = [key for key in self.keys if not key.startswith(prefix)]


@pytest.fixture
def copies(tmp_path):
    return write_copies({"train": TABLE, "holdout": TABLE}, METADATA, HEADERS, tmp_path)


def test_copies_are_there_for_the_block_and_gone_after_it(copies):
    store = FakeStore()
    with uploaded(store, "work", "verify/run/", copies) as versions:
        assert versions == {"verify/run/train.csv": "v1", "verify/run/holdout.csv": "v2"}
    assert store.keys == []


def test_copies_are_gone_when_the_block_fails(copies):
    store = FakeStore()
    with pytest.raises(KeyboardInterrupt), uploaded(store, "work", "verify/run/", copies):
        raise KeyboardInterrupt
    assert store.keys == []


def test_copies_are_gone_when_an_upload_fails(copies):
    store = FakeStore(fail_at=1)
    with pytest.raises(StorageError, match="broke off"), uploaded(store, "work", "verify/run/", copies):
        pytest.fail("the block must not start")
    assert store.keys == []


def test_copies_that_cannot_be_deleted_are_an_error(copies):
    with pytest.raises(StorageError, match="refused"), uploaded(FakeStore(keep=True), "work", "verify/run/", copies):
        pass


def test_copies_that_cannot_be_deleted_after_a_failure_are_a_note_to_it(copies):
    with pytest.raises(ValueError, match="why") as caught, uploaded(FakeStore(keep=True), "w", "verify/run/", copies):
        raise ValueError("why")
    assert caught.value.__notes__ == [
        "s3://w/verify/run/ holds real rows and could not be deleted: deleting was refused"
    ]


def test_the_estimate_is_the_documented_price_of_the_uncompressed_bytes():
    assert affordable_usd(EnvironmentConfig(), 2_925_961) == pytest.approx(0.00292596)


def test_what_costs_too_much_is_refused():
    with pytest.raises(CostError, match=r"at most 0.5 USD, however 600000000 bytes are estimated at 0.60 USD"):
        affordable_usd(EnvironmentConfig(max_cost_usd=0.5), 600_000_000)
