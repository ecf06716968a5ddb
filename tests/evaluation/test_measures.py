from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from evaluation_tables import independent, metadata, real_table
from hypothesis import given, settings
from hypothesis import strategies as st
from sdmetrics.reports import DiagnosticReport, QualityReport

from tabveil.evaluation import stock
from tabveil.evaluation.association import association_matrix
from tabveil.evaluation.baselines import bootstrap_table, floor_table
from tabveil.evaluation.encoding import MAX_LEVELS, fit_encoding
from tabveil.evaluation.frames import plain
from tabveil.evaluation.neighbours import Reference, fit_space, nearest_sides
from tabveil.evaluation.privacy import (
    balanced,
    distance_ratio,
    distances,
    effective_rows,
    identical_metrics,
    wilson_interval,
)
from tabveil.evaluation.rare import rare_groups
from tabveil.evaluation.shared import pair_counts, shared_scores
from tabveil.evaluation.utility import macro_auc
from tabveil.schema import Column, ColumnType, Metadata, SDType

METADATA = metadata()
seeds = st.integers(0, 10_000)


def small(seed: int, num_rows: int = 80) -> pd.DataFrame:
    return plain(real_table(num_rows, seed), METADATA)


def test_plain_gives_one_dtype_per_declared_type() -> None:
    table = small(1)
    assert table["count"].dtype == table["amount"].dtype == "float64"
    assert table["opened"].dtype == "float64"
    assert set(table["active"]) <= {True, False, None}
    assert "customer_id" not in table


def test_plain_counts_dates_in_seconds_and_writes_them_as_text_where_they_are_levels() -> None:
    days = pd.Series(["1970-01-02", "9999-12-31", "0001-01-01", None]).astype("datetime64[us]")
    number, level = (Column("x", "x", ColumnType.date, kind) for kind in (SDType.datetime, SDType.categorical))
    seconds = plain(days.to_frame("x"), Metadata("one", (number,)))["x"]
    assert seconds[:3].tolist() == [86_400.0, 253_402_214_400.0, -62_135_596_800.0]
    assert np.isnan(seconds[3])
    text = plain(days.to_frame("x"), Metadata("one", (level,)))["x"]
    assert text.tolist() == ["1970-01-02", "9999-12-31", "0001-01-01", None]


@pytest.mark.parametrize("with_nulls", [False, True])
def test_dates_as_numbers_score_what_sdmetrics_gives_dates(with_nulls: bool) -> None:
    tables = [real_table(300, seed)[["amount", "grade", "opened"]] for seed in (1, 2)]
    if with_nulls:
        tables = [table.assign(opened=table["opened"].mask(table.index % 7 == 0)) for table in tables]
    described = Metadata("three", tuple(METADATA[name] for name in tables[0].columns))
    sdtypes = {"amount": "numerical", "grade": "categorical", "opened": "datetime"}
    dates = {"tables": {"table": {"columns": {name: {"sdtype": kind} for name, kind in sdtypes.items()}}}}
    nanoseconds = [{"table": t.astype({"opened": "datetime64[ns]"})} for t in tables]
    for report, ours in ((QualityReport(), stock.quality), (DiagnosticReport(), stock.diagnostic)):
        report.generate(*nanoseconds, dates, verbose=False)
        scored = ours(*(plain(t, described) for t in tables), described)
        assert report.get_score() == pytest.approx(scored["overall"] if isinstance(scored, dict) else scored.overall)


@pytest.mark.parametrize("other", ["floor", "bootstrap", "fresh"])
def test_quality_of_pairs_is_the_stock_score(other: str) -> None:
    real = small(1, 300)
    made = {"floor": floor_table(real, 0), "bootstrap": bootstrap_table(real, 0), "fresh": small(2, 250)}[other]
    report = stock.quality(real, made, METADATA)
    assert 0 < len(report.pairs) < 21
    assert stock.quality_of_pairs(real, made, METADATA, report.pairs).overall == pytest.approx(
        report.overall, abs=1e-12
    )


def test_floor_keeps_columns_and_breaks_rows() -> None:
    real = small(1, 300)
    floor = floor_table(real, 0)
    assert (floor.dtypes == real.dtypes).all()
    assert sorted(floor["amount"]) == sorted(real["amount"])
    assert abs(floor["amount"].corr(floor["income"])) < 0.2 < real["amount"].corr(real["income"])
    pd.testing.assert_frame_equal(floor, floor_table(real, 0))


@settings(deadline=None, max_examples=15)
@given(seeds, seeds)
def test_shared_scores_are_bounded_symmetric_and_one_for_equals(first: int, second: int) -> None:
    real, made = small(first), small(second)
    encoding = fit_encoding(real, METADATA)
    sizes = encoding.num_codes
    a, b = (pair_counts(encoding.codes(t), sizes) for t in (real, made))
    scores, same = shared_scores(a, b, sizes), shared_scores(a, a, sizes)
    assert ((scores.shapes >= 0) & (scores.shapes <= 1)).all()
    assert np.allclose(scores.trends, scores.trends.T, equal_nan=True)
    assert (scores.trends[0, 1:] <= scores.shapes[1:] + 1e-9).all()  # a pair differs at least as much as its parts
    assert same.mean_shape == same.mean_trend == 1.0
    assert np.allclose(shared_scores(b, a, sizes).trends, scores.trends, equal_nan=True)


@settings(deadline=None, max_examples=10)
@given(seeds, st.permutations(range(80)))
def test_scores_do_not_depend_on_row_order(seed: int, order: list[int]) -> None:
    real = small(seed)
    moved = real.iloc[list(order)].reset_index(drop=True)
    encoding = fit_encoding(real, METADATA)
    assert fit_encoding(moved, METADATA) == encoding
    counts, moved_counts = (pair_counts(encoding.codes(t), encoding.num_codes) for t in (real, moved))
    assert (counts == moved_counts).all()
    assert np.allclose(association_matrix(real, counts, encoding), association_matrix(moved, moved_counts, encoding))


def test_pair_counts_are_the_contingency_tables() -> None:
    real = small(1)
    encoding = fit_encoding(real, METADATA)
    codes, counts = encoding.codes(real), pair_counts(encoding.codes(real), encoding.num_codes)
    first = int(encoding.num_codes[:3].sum())
    expected = pd.crosstab(codes[:, 3], codes[:, 4]).reindex(
        index=range(encoding.num_codes[3]), columns=range(encoding.num_codes[4]), fill_value=0
    )
    middle = first + encoding.num_codes[3]
    assert (counts[first:middle, middle : middle + encoding.num_codes[4]] == expected.to_numpy()).all()


def test_associations_match_their_definitions() -> None:
    real = small(1, 400)
    encoding = fit_encoding(real, METADATA)
    matrix = association_matrix(real, pair_counts(encoding.codes(real), encoding.num_codes), encoding)
    place = encoding.names.index
    assert matrix[place("amount"), place("income")] == pytest.approx(real["amount"].corr(real["income"]))
    grand = real["amount"].mean()
    groups = real.groupby("grade")["amount"]
    eta = np.sqrt((groups.size() * (groups.mean() - grand) ** 2).sum() / ((real["amount"] - grand) ** 2).sum())
    assert matrix[place("grade"), place("amount")] == pytest.approx(eta)
    table = pd.crosstab(real["grade"], real["region"]).to_numpy()
    expected = np.outer(table.sum(1), table.sum(0)) / table.sum()
    cramer = np.sqrt(((table - expected) ** 2 / expected).sum() / table.sum() / (min(table.shape) - 1))
    assert matrix[place("grade"), place("region")] == pytest.approx(cramer)
    assert np.isfinite(matrix).all()


def test_encoding_shares_bins_and_pools_unknown_levels() -> None:
    encoding = fit_encoding(small(1), METADATA)
    region = next(c for c in encoding.columns if c.name == "region")
    assert region.codes(pd.Series(["north", "mars", None], dtype=object)).tolist() == [
        1 + region.levels.index("north"),
        len(region.levels) + 1,
        0,
    ]
    amount = next(c for c in encoding.columns if c.name == "amount")
    assert amount.codes(pd.Series([-1e9, np.nan, 1e9])).tolist() == [1, 0, amount.num_codes - 1]


def test_encoding_caps_levels() -> None:
    column = Column(name="code", original_name="code", type=ColumnType.integer, sdtype=SDType.categorical)
    table = pd.DataFrame({"code": np.arange(500, dtype="float64")})
    encoding = fit_encoding(table, Metadata("wide", (column,)))
    assert encoding.num_codes.tolist() == [MAX_LEVELS + 2]
    assert encoding.columns[0].levels[0] == "0"


def levels(name: str, *values: str) -> tuple[pd.DataFrame, Metadata]:
    column = Column(name=name, original_name=name, type=ColumnType.string, sdtype=SDType.categorical)
    return pd.DataFrame({name: pd.Series(values, dtype=object)}), Metadata("levels", (column,))


def test_equally_near_rows_share_a_synthetic_row() -> None:
    train, described = levels("x", "a", "a", "a", "b")
    (holdout, _), (made, _) = levels("x", "a", "c"), levels("x", "a", "b", "c")
    sides = nearest_sides(
        fit_space(train, fit_encoding(train, described)).points(made),
        Reference(train, np.array([0, 0, 1, 2])),
        Reference(holdout),
        fit_space(train, fit_encoding(train, described)),
    )
    assert sides.from_train.tolist() == [0.75, 1.0, 0.0]
    assert sides.weights * 3 == pytest.approx([0.5, 0.25, 1.0, 0.25, 1.0])


@settings(deadline=None, max_examples=10)
@given(seeds, st.integers(2, 12))
def test_ties_do_not_favour_the_larger_table(seed: int, num_levels: int) -> None:
    rng = np.random.default_rng(seed)
    shares = []
    for _ in range(30):
        tables = [levels("x", *(f"{n}" for n in rng.integers(0, num_levels, size))) for size in (40, 10, 100)]
        (train, described), (holdout, _), (made, _) = tables
        encoding = fit_encoding(train, described)
        shares.append(distances(Reference(train), Reference(holdout), made, encoding, 0).from_train.mean())
    assert np.mean(shares) == pytest.approx(0.8, abs=0.05)


@given(st.floats(0, 1), st.floats(0.01, 0.99))
def test_a_balanced_share_is_a_half_at_chance_and_rises(share: float, chance: float) -> None:
    assert balanced(chance, chance) == pytest.approx(0.5)
    assert balanced(share, 0.5) == pytest.approx(share)
    assert (balanced(share, chance) > 0.5) == (share > chance) or share == pytest.approx(chance)


def test_effective_rows_counts_who_is_near_not_how_often() -> None:
    assert effective_rows(np.full(100, 0.01)) == pytest.approx(100.0)
    assert effective_rows(np.array([0.25, 0.25, 0.5, 0.0])) == pytest.approx(1 / 0.375)


def test_distances_see_copies_of_either_side() -> None:
    train, holdout = small(1, 200), small(2, 200)
    encoding = fit_encoding(train, METADATA)
    of_train, of_holdout = (
        distances(Reference(train), Reference(holdout), table, encoding, 0).metrics() for table in (train, holdout)
    )
    assert of_train["dcr_median"] == of_train["nndr"] == 0.0
    assert of_train["dcr_share_closer_to_train"] == 1.0
    assert of_holdout["dcr_share_closer_to_train"] == 0.0


def test_the_dcr_share_does_not_depend_on_how_the_table_was_split() -> None:
    made = small(3, 1000)
    for num_train, num_holdout in ((1000, 1000), (1600, 400), (400, 1600)):
        train, holdout = small(1, num_train), small(2, num_holdout)
        found = distances(Reference(train), Reference(holdout), made, fit_encoding(train, METADATA), 0).metrics()
        assert found["dcr_share_closer_to_train"] == pytest.approx(0.5, abs=0.06)
        assert found["dcr_share_closer_to_train_low"] <= 0.5 <= found["dcr_share_closer_to_train_high"]


def test_training_rows_with_noise_are_seen_however_large_the_training_table() -> None:
    train, holdout = small(1, 4000), small(2, 300)
    noise = np.random.default_rng(0).normal(0, 1, len(train))
    made = train.assign(amount=train["amount"] + noise, income=train["income"] + noise)
    found = distances(Reference(train), Reference(holdout), made, fit_encoding(train, METADATA), 0).metrics()
    assert found["dcr_share_closer_to_train_low"] > 0.9


def test_people_not_their_rows_decide_how_sure_the_dcr_share_is() -> None:
    rows, holdout = small(1, 40), small(2, 10)
    people = np.repeat(np.arange(40), 30)
    train = rows.iloc[people].reset_index(drop=True).assign(amount=lambda t: t["amount"] + np.arange(1200) / 1e4)
    encoding, made = fit_encoding(train, METADATA), small(3, 1000)
    alone = distances(Reference(train), Reference(holdout), made, encoding, 0).metrics()
    grouped = distances(Reference(train, people), Reference(holdout, np.arange(10)), made, encoding, 0).metrics()
    assert grouped["dcr_effective_rows"] <= 50
    assert grouped["dcr_effective_rows"] < alone["dcr_effective_rows"]
    assert grouped["dcr_share_closer_to_train"] > alone["dcr_share_closer_to_train"]  # 4 in 5 by chance, not 120 in 121
    assert grouped["nndr"] < alone["nndr"]  # the second nearest is somebody else


def test_an_unseen_level_is_no_nearer_than_a_known_one() -> None:
    (train, described), (holdout, _), (made, _) = (levels("firm", *(f"{w}{n}" for n in range(50))) for w in "abc")
    encoding = fit_encoding(train, described)
    found = distances(Reference(train), Reference(holdout), made, encoding, 0).metrics()
    assert found["dcr_share_closer_to_train"] == 0.5


def test_distance_ratio_of_double_zero_is_one() -> None:
    assert distance_ratio(np.array([0.0, 0.0, 1.0]), np.array([0.0, 2.0, 2.0])).tolist() == [1.0, 0.0, 0.5]


@given(st.integers(1, 500), st.floats(0, 1))
def test_wilson_interval_holds_the_share(trials: int, share: float) -> None:
    low, high = wilson_interval(share * trials, trials)
    assert 0.0 <= low <= share + 1e-9
    assert share - 1e-9 <= high <= 1.0


def test_identical_metrics_count_rows_in_every_column() -> None:
    train, holdout = small(1, 50), small(2, 50)
    half = pd.concat([train[:25], holdout[:25]], ignore_index=True)
    metrics = identical_metrics(train, holdout, half)
    assert metrics == {"identical_share": 0.5, "identical_share_holdout": 0.0, "identical_ratio": 26.0}
    near = train.assign(amount=train["amount"] + 0.01)
    assert identical_metrics(train, holdout, near)["identical_share"] == 0.0


def test_rare_groups_notice_a_lost_level() -> None:
    real, made = small(1, 1000), small(2, 1000)
    encoding = fit_encoding(real, METADATA)
    lost = made.assign(region=made["region"].where(made["region"] != "islands", "north"))
    codes, kept, gone = (encoding.codes(t) for t in (real, made, lost))
    assert rare_groups(codes, kept, kept, encoding).metrics()["recall_worst"] > 0.5
    groups = rare_groups(codes, kept, gone, encoding)
    assert groups.metrics()["recall_worst"] == 0.0
    assert groups.groups.iloc[0]["level"] == "islands"


def test_rare_groups_hide_levels_of_fewer_than_ten_rows() -> None:
    real = small(1, 400)
    real.loc[:4, "region"] = "lighthouse"
    codes = fit_encoding(real, METADATA).codes(real)
    groups = rare_groups(codes, codes, codes, fit_encoding(real, METADATA)).groups
    assert "lighthouse" not in set(groups["level"])


def test_rare_groups_hide_levels_of_fewer_than_ten_people() -> None:
    real = small(1, 400)
    real.loc[:11, "region"] = "lighthouse"
    people = np.arange(400)
    encoding = fit_encoding(real, METADATA)
    codes = encoding.codes(real)
    assert "lighthouse" in set(rare_groups(codes, codes, codes, encoding, people).groups["level"])
    people[:12] = 7
    assert "lighthouse" not in set(rare_groups(codes, codes, codes, encoding, people).groups["level"])


def test_macro_auc_ranks_and_knows_unseen_classes() -> None:
    labels = np.repeat([1, 2, 3], 10)
    perfect = np.eye(3)[labels - 1]
    assert macro_auc(labels, perfect, np.array([1, 2, 3])) == 1.0
    assert macro_auc(labels, np.full((30, 3), 1 / 3), np.array([1, 2, 3])) == 0.5
    assert macro_auc(labels, perfect[:, :2], np.array([1, 2])) == pytest.approx(2.5 / 3)
    assert np.isnan(macro_auc(np.ones(10, dtype=int), perfect[:10], np.array([1, 2, 3])))


def test_stock_scores_do_not_reward_missing_relations() -> None:
    real = small(1, 300)
    broken = plain(independent(real_table(300, 1)), METADATA)
    assert stock.quality(real, broken, METADATA).trends < 0.9


def test_diagnostic_sees_values_out_of_range() -> None:
    real = small(1, 200)
    assert stock.diagnostic(real, real, METADATA)["overall"] == 1.0
    strange = real.assign(amount=real["amount"] * 1000, region="atlantis")
    assert stock.diagnostic(real, strange, METADATA)["data_validity"] < 0.8
