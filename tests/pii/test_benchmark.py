"""The labelled tables of `benchmarks/pii` are what they say: enough kinds, two parts with nothing in common."""

import sys
from collections import Counter

import pytest


@pytest.fixture(scope="module")
def bench(repository):
    sys.path.insert(0, str(repository / "benchmarks" / "pii"))
    try:
        import lookalikes
        import run
        import tables
        import vocabulary

        yield {"lookalikes": lookalikes, "run": run, "tables": tables, "vocabulary": vocabulary}
    finally:
        sys.path.pop(0)


def test_kinds_are_many_and_headers_are_split(bench):
    kinds = bench["vocabulary"].GENERIC + bench["vocabulary"].NATIONAL_KINDS
    assert len(kinds) >= 30
    assert len(bench["lookalikes"].TUNED) >= 20
    assert not set(bench["lookalikes"].TUNED) & set(bench["lookalikes"].UNSEEN)
    assert [kind.name for kind in kinds if set(kind.tune) & set(kind.measured)] == []


def test_parts_share_no_locale_and_no_seed(bench):
    tune, measured = bench["tables"].PARTS["tune"], bench["tables"].PARTS["measured"]
    assert not set(tune.locales) & set(measured.locales)
    assert not set(tune.seeds) & set(measured.seeds)
    assert len(tune.locales + measured.locales) == 8


def test_tables_are_the_same_every_time_and_labelled_whole(bench):
    first, again = (next(bench["tables"].tables("tune", 30)) for _ in range(2))
    assert first.data.equals(again.data)
    assert set(first.labels) == set(first.data.columns)


def test_score_counts_right_wrong_and_missed(bench):
    table = next(bench["tables"].tables("tune", 10))
    kinds = {label.kind: column for column, label in table.labels.items()}
    score = bench["run"].Score()
    score.add(table, {kinds["email"]: {"EMAIL_ADDRESS", "NAME"}, kinds["sku"]: {"PHONE_NUMBER"}})
    assert (score.findings, score.right, score.columns, score.right_columns) == (3, 1, 2, 1)
    assert score.recalled == Counter({True: 1})
    assert sum(score.missed.values()) == score.labels.total() - 1


def test_scanner_holds_its_targets_on_a_small_tuning_table(bench):
    chosen = [table for table in bench["tables"].tables("tune", 200) if "national/11" in table.name]
    row = bench["run"].quality(chosen).to_dict()
    assert row["precision"] >= 0.97
    assert row["recall_descriptive"] >= 0.95
    assert row["recall_opaque"] >= 0.6  # ids without check digits are told by headers alone
