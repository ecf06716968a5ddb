"""Declared sums hold in every row: computed totals, totals that the training table knows exceptions of, given ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabveil.constraints import ConstraintKind, ConstraintSpec
from tabveil.errors import SynthesizerError
from tabveil.schema import ColumnType, canonical
from tabveil.synthesizers import SampleCounts, create_synthesizer, load_synthesizer, rebalance, sample_chunks
from tabveil.synthesizers.tvae.cell_numbers import grain, rounded
from tabveil.synthesizers.tvae.tokenizer import fit_tokenizer

NUM_ROWS = 2000
TYPES = {
    "grade": ColumnType.string,
    "principal": ColumnType.decimal,
    "interest": ColumnType.decimal,
    "fee": ColumnType.integer,
    "total": ColumnType.decimal,
}
PARTS = ["principal", "interest", "fee"]
SUM = ConstraintSpec(kind=ConstraintKind.sum, total="total", parts=PARTS)


def total_of(name: str, *parts: str) -> ConstraintSpec:
    return ConstraintSpec(kind=ConstraintKind.sum, total=name, parts=list(parts))


def payments(num_rows: int = NUM_ROWS, seed: int = 0) -> pd.DataFrame:
    """Amounts in cents and a fee in whole units; the grade decides how much was borrowed."""
    rng = np.random.default_rng(seed)
    grade = rng.choice(["A", "B"], num_rows)
    principal = (rng.gamma(2, 400, num_rows) + 1500 * (grade == "B")).round(2)
    interest = (principal * rng.uniform(0.05, 0.2, num_rows)).round(2)
    fee = rng.integers(0, 50, num_rows)
    total = (principal + interest + fee).round(2)
    return pd.DataFrame(
        {"grade": grade, "principal": principal, "interest": interest, "fee": fee, "total": total}, columns=list(TYPES)
    )


def with_gaps(table: pd.DataFrame, shares: dict[str, float], seed: int = 1) -> pd.DataFrame:
    """Cells of each column emptied independently."""
    rng, result = np.random.default_rng(seed), table.copy()
    for name, share in shares.items():
        result[name] = result[name].mask(rng.random(len(result)) < share)
    return result


def fit(table, metadata, config):
    synthesizer = create_synthesizer(config)
    synthesizer.fit(canonical(table, metadata), metadata)
    return synthesizer


@pytest.fixture(scope="module")
def described(make_metadata):
    return make_metadata(TYPES, SUM)


@pytest.fixture(scope="module")
def fitted(described, quick):
    return fit(payments(), described, quick(max_steps=300, full_budget_rows=2000))


@pytest.fixture(scope="module")
def excepting(described, quick):
    """Of a table in which totals and parts are missing without each other, and some sums do not hold."""
    table = with_gaps(payments(), {"total": 0.2, "interest": 0.1})
    table.loc[:9, "total"] = 1.0
    return fit(table, described, quick(max_steps=150, full_budget_rows=2000))


@pytest.fixture(scope="module")
def gapped(described, quick):
    """Of a table in which the total is missing exactly when a part is."""
    table = with_gaps(payments(), {"principal": 0.05, "interest": 0.1})
    table["total"] = table["total"].mask(table[PARTS].isna().any(axis=1))
    return fit(table, described, quick(max_steps=150, full_budget_rows=2000))


@pytest.mark.parametrize("total", [100.5, 700.25, 1234.56, 3000])
def test_a_given_total_stands_exactly_and_its_parts_sum_to_it(fitted, total):
    rows = fitted.sample(500, seed=0, conditions={"total": total})
    assert (rows["total"] == total).all()
    assert not SUM.broken(rows).any()
    cents = (rows["principal"] + rows["interest"] + rows["fee"] - total).abs()
    assert cents.max() < 1e-6
    real = payments()
    for part in PARTS:
        assert rows[part].between(real[part].min(), real[part].max()).all()
    assert rows["principal"].nunique() > 100


def test_parts_of_a_given_total_follow_the_model_as_rejection_would(fitted):
    free = fitted.sample(40_000, seed=1)
    for total in (700, 2500):
        kept = free[(free["total"] - total).abs() < 0.03 * total]
        rows = fitted.sample(2000, seed=2, conditions={"total": total})
        for part in PARTS:
            spread = kept[part].astype("float64").std()
            assert abs(kept[part].mean() - rows[part].mean()) < 0.35 * spread, part
        shares = [table["grade"].value_counts(normalize=True).get("A", 0.0) for table in (kept, rows)]
        assert abs(shares[0] - shares[1]) < 0.12


def test_what_other_given_parts_leave_is_shared_by_the_rest(fitted):
    rows = fitted.sample(300, seed=0, conditions={"total": 700.25, "principal": 600.5})
    assert (rows["principal"] == 600.5).all()
    np.testing.assert_allclose(rows["interest"] + rows["fee"], 99.75, atol=1e-9)
    only = fitted.sample(50, seed=0, conditions={"total": 700.25, "principal": 600.5, "fee": 9, "grade": "A"})
    np.testing.assert_allclose(only["interest"], 90.75, atol=1e-9)
    everything = {"total": 700.25, "principal": 600.5, "fee": 9, "interest": 90.75}
    assert (fitted.sample(50, seed=0, conditions=everything)[list(everything)] == everything).all().all()


def test_a_frame_of_totals_is_met_row_by_row_and_repeatably(fitted):
    real = payments(400, seed=5)
    wanted = real.loc[real["total"].rank(pct=True).sub(0.5).abs() < 0.45, ["total", "grade"]].reset_index(drop=True)
    rows = fitted.sample(len(wanted), seed=3, conditions=wanted)
    pd.testing.assert_frame_equal(rows[["total", "grade"]], wanted)
    assert not SUM.broken(rows).any()
    pd.testing.assert_frame_equal(rows, fitted.sample(len(wanted), seed=3, conditions=wanted))


@pytest.mark.parametrize(
    "conditions",
    [
        {"total": 1.375e9},
        {"total": -1375.0},
        {"total": None},
        {"total": 700.0, "principal": 1375.0},
        {"total": 700.0, "principal": 600.0, "interest": 60.0, "fee": 41},
    ],
)
def test_totals_that_no_parts_can_meet_are_refused_without_their_values(fitted, conditions):
    with pytest.raises(
        SynthesizerError, match=r"conditions on the total 'total' must be .* however 20 rows"
    ) as refusal:
        fitted.sample(20, seed=0, conditions=conditions)
    assert "1375" not in str(refusal.value)


def test_chunks_and_rebalanced_tables_keep_given_totals(fitted):
    counts = SampleCounts()
    table = pd.concat(sample_chunks(fitted, 450, 0, chunk_rows=200, conditions={"total": 900}, counts=counts))
    assert (table["total"] == 900).all()
    assert (len(table), counts.rejected) == (450, 0)
    mixed = rebalance(fitted, "total", {900.0: 0.25, 700.5: 0.75}, num_rows=100, seed=0)
    assert mixed["total"].value_counts().to_dict() == {700.5: 75, 900.0: 25}
    assert not SUM.broken(mixed).any()


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.1, 0.9), seed=st.integers(0, 1000))
def test_imputed_rows_keep_the_sum_and_their_own_cells(fitted, share, seed):
    whole = canonical(payments(150, seed), fitted.metadata)
    holes = canonical(
        with_gaps(whole, dict.fromkeys(["principal", "interest", "fee", "total"], share), seed), fitted.metadata
    )
    filled = fitted.impute(holes, seed)
    assert not SUM.broken(filled).any()
    assert not filled.isna().any().any()
    for name in holes:
        there = holes[name].notna()
        assert filled[name][there].equals(holes[name][there])
    alone = holes["total"].notna() & (holes[PARTS].isna().sum(axis=1) == 1)
    np.testing.assert_allclose(
        filled.loc[alone, PARTS].astype("float64"), whole.loc[alone, PARTS].astype("float64"), atol=1e-6
    )


def test_an_imputed_row_whose_cells_contradict_stays_as_it_is(fitted):
    row = payments(1).assign(total=1.0, grade=None)
    filled = fitted.impute(canonical(row, fitted.metadata), seed=0)
    assert filled["grade"].notna().all()
    assert filled.drop(columns="grade").equals(canonical(row, fitted.metadata).drop(columns="grade"))


def test_a_modelled_total_is_missing_as_in_the_table_and_the_sum_of_its_parts_elsewhere(excepting, tmp_path):
    rows = excepting.sample(3000, seed=1)
    assert not SUM.broken(rows).any()
    whole = rows[["total", *PARTS]].notna().all(axis=1)
    np.testing.assert_allclose(rows["total"][whole], rows.loc[whole, PARTS].astype("float64").sum(axis=1), atol=1e-6)
    assert 0.1 < rows["total"].isna().mean() < 0.3
    assert 0.04 < rows["interest"].isna().mean() < 0.2
    assert (rows["total"].notna() & rows["interest"].isna()).any()
    assert sum(map(len, sample_chunks(excepting, 500, 0))) == 500
    excepting.save(tmp_path / "model")
    pd.testing.assert_frame_equal(
        load_synthesizer(tmp_path / "model").sample(200, seed=4), excepting.sample(200, seed=4)
    )


def test_a_single_missing_total_does_not_make_a_model_unable_to_sample(described, quick):
    table = payments(600)
    table.loc[3, "total"] = np.nan
    counts = SampleCounts()
    model = fit(table, described, quick(max_steps=20))
    rows = pd.concat(sample_chunks(model, 500, 0, counts=counts))
    assert counts.rejected == 0
    assert not SUM.broken(rows).any()
    assert rows["total"].notna().all()  # fewer than 8 people had none


def test_a_modelled_total_may_be_given_like_a_computed_one(excepting):
    rows = excepting.sample(1000, seed=0, conditions={"total": 900.25})
    assert (rows["total"] == 900.25).all()
    assert not SUM.broken(rows).any()
    assert 0.01 < rows["interest"].isna().mean() < 0.5
    empty = excepting.sample(300, seed=0, conditions={"total": None})
    assert empty["total"].isna().all()
    filled = excepting.impute(canonical(payments(200, 7).assign(interest=np.nan), excepting.metadata), seed=0)
    np.testing.assert_allclose(filled["interest"], payments(200, 7)["interest"], atol=1e-6)


def test_a_missing_total_asks_for_a_missing_part(gapped):
    rows = gapped.sample(1000, seed=0, conditions={"total": None})
    assert rows["total"].isna().all()
    missing = rows[["principal", "interest"]].isna()
    assert missing.any(axis=1).all()
    assert 0.5 < missing["interest"].mean() < 0.9
    assert 0.1 < missing["principal"].mean() < 0.6
    rows = gapped.sample(300, seed=0, conditions={"total": None, "principal": 300.0})
    assert rows["interest"].isna().all()
    rows = gapped.sample(500, seed=0, conditions={"total": 900})
    assert rows.notna().all().all()
    assert not SUM.broken(rows).any()


@pytest.mark.parametrize(
    ("conditions", "what"),
    [
        ({"total": None, "principal": 3.0, "interest": 4.0}, "missing"),
        ({"total": 900, "interest": None}, "within reach"),
    ],
)
def test_a_total_and_its_parts_must_be_missing_together(gapped, conditions, what):
    with pytest.raises(SynthesizerError, match=f"conditions on the total 'total' must be {what}"):
        gapped.sample(10, seed=0, conditions=conditions)


def test_rows_of_one_frame_may_ask_for_missing_and_for_given_totals(gapped):
    wanted = pd.DataFrame({"total": [900.0, None, 1500.5, None]})
    rows = gapped.sample(4, seed=0, conditions=wanted)
    assert rows["total"].equals(wanted["total"])
    assert rows[PARTS].isna().any(axis=1).tolist() == [False, True, False, True]


NESTED = {"both": "integer", "a": "integer", "b": "integer", "c": "integer", "all": "integer"}


@pytest.fixture(scope="module")
def nested(make_metadata, quick):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({name: rng.integers(1, top, 800) for name, top in (("a", 50), ("b", 100), ("c", 30))})
    table["both"] = table["a"] + table["b"]
    table["all"] = table["both"] + table["c"]
    kinds = {name: ColumnType(kind) for name, kind in NESTED.items()}
    sums = (total_of("all", "both", "c"), total_of("both", "a", "b"))
    return fit(table[list(NESTED)], make_metadata(kinds, *sums), quick(max_steps=60))


@pytest.mark.parametrize(
    "conditions",
    [{"all": 100}, {"all": 100, "both": 80}, {"all": 100, "c": 3}, {"both": 70}, {"all": 100, "both": 80, "a": 20}],
)
def test_totals_of_totals_may_be_given_together(nested, conditions):
    rows = nested.sample(200, seed=0, conditions=conditions)
    assert not any(constraint.broken(rows).any() for constraint in nested.metadata.constraints)
    assert all((rows[name] == value).all() for name, value in conditions.items())
    assert rows["a"].between(1, 49).all()
    assert rows["c"].between(1, 29).all()


@pytest.mark.parametrize("conditions", [{"all": 100, "both": 101}, {"all": 100, "both": 80, "c": 10}])
def test_totals_of_totals_that_contradict_are_refused(nested, conditions):
    with pytest.raises(SynthesizerError, match="conditions on the total 'all'"):
        nested.sample(200, seed=0, conditions=conditions)


def test_imputed_totals_of_totals_agree(nested):
    holes = nested.sample(400, seed=9)
    rng = np.random.default_rng(0)
    for name in holes:
        holes.loc[rng.random(400) < 0.4, name] = pd.NA
    filled = nested.impute(holes, seed=0)
    assert not any(constraint.broken(filled).any() for constraint in nested.metadata.constraints)
    assert all(filled[name][holes[name].notna()].equals(holes[name].dropna()) for name in holes)


def test_two_totals_share_a_part(make_metadata, quick):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({name: rng.integers(1, top, 600) for name, top in (("a", 50), ("b", 100), ("c", 30))})
    table = table.assign(one=table["a"] + table["c"], two=table["b"] + table["c"])
    sums = (total_of("one", "a", "c"), total_of("two", "b", "c"))
    model = fit(table, make_metadata(dict.fromkeys(table, ColumnType.integer), *sums), quick(max_steps=40))
    rows = model.sample(300, 0, conditions={"one": 40, "two": 90})
    assert not any(constraint.broken(rows).any() for constraint in sums)
    assert rows["c"].between(1, 29).all()


def test_a_part_that_counts_twice_is_halved(make_metadata, quick):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"b": rng.integers(1, 100, 600), "a": rng.integers(1, 50, 600)})
    table = table.assign(both=table["a"] + table["b"], more=2 * table["a"] + table["b"])
    sums = (total_of("both", "a", "b"), total_of("more", "both", "a"))
    model = fit(table, make_metadata(dict.fromkeys(table, ColumnType.integer), *sums), quick(max_steps=40))
    for more in (100, 101):
        rows = model.sample(300, 0, conditions={"more": more})
        assert not any(constraint.broken(rows).any() for constraint in sums)
    with pytest.raises(SynthesizerError, match=r"'more' must be met by its parts \['both', 'a'\], however 300 rows"):
        model.sample(300, 0, conditions={"more": 100, "b": 31})


def test_parts_that_are_categories_are_chosen_to_fit(make_metadata, quick):
    rng = np.random.default_rng(0)
    first, term = rng.integers(0, 2, 600), rng.choice([36, 60], 600)
    kind = np.where(term == 36, "x", rng.choice(["y", "z"], 600))
    table = pd.DataFrame({"first": first, "other": 1 - first, "term": term, "kind": kind, "sum": first + term})
    types = {**dict.fromkeys(table, ColumnType.integer), "kind": ColumnType.string}
    constraints = (
        total_of("sum", "first", "term"),
        ConstraintSpec(kind=ConstraintKind.one_hot, columns=["first", "other"]),
        ConstraintSpec(kind=ConstraintKind.fixed_combinations, columns=["kind", "term"]),
    )
    model = fit(table, make_metadata(types, *constraints), quick(max_steps=40))
    counts = SampleCounts()
    rows = pd.concat(sample_chunks(model, 200, 0, conditions={"sum": 61}, counts=counts))
    assert (rows["first"] == 1).all()
    assert (rows["term"] == 60).all()
    assert counts.rejected == 0
    with pytest.raises(SynthesizerError, match="must be within reach"):
        model.sample(5, 0, conditions={"sum": 62})


def test_a_computed_total_and_an_order_are_kept_together(make_metadata, quick):
    table = payments(800)
    table["limit"] = (table["total"] * np.random.default_rng(0).uniform(1, 1.5, 800)).round(2) + 0.01
    order = ConstraintSpec(low="total", high="limit")
    model = fit(table, make_metadata({**TYPES, "limit": ColumnType.decimal}, SUM, order), quick(full_budget_rows=800))
    for conditions in (None, {"total": 900}, {"limit": 1500.5}):
        counts = SampleCounts()
        rows = pd.concat(sample_chunks(model, 300, 0, conditions=conditions, counts=counts))
        assert not SUM.broken(rows).any()
        assert not order.broken(rows).any()
        assert counts.rejected_by[SUM.label] == 0
    with pytest.raises(SynthesizerError, match="conditions must keep total <= limit"):
        model.sample(5, 0, conditions={"total": 900, "limit": 800})


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_row_of_any_table_keeps_its_sum(make_metadata, quick, data):
    """Any number of parts on any grid, with gaps anywhere, whether they go together or not, and an order of parts."""
    seed, count = data.draw(st.integers(0, 10**6)), data.draw(st.integers(2, 4))
    gaps = data.draw(st.dictionaries(st.sampled_from(["p0", "p1", "sum"]), st.sampled_from([0.01, 0.2])))
    decimals = [data.draw(st.sampled_from([0, 2])) for _ in range(count)]
    rng = np.random.default_rng(seed)
    parts = [f"p{i}" for i in range(count)]
    table = pd.DataFrame({name: rng.gamma(2, 50, 200).round(d) for name, d in zip(parts, decimals, strict=True)})
    table["p1"] = table["p1"] + np.ceil(table["p0"])
    table["sum"] = table.sum(axis=1).round(2)
    table = with_gaps(table, gaps, seed)
    if data.draw(st.booleans()):
        table["sum"] = table["sum"].mask(table[parts].isna().any(axis=1))
    names = data.draw(st.permutations(list(table)))
    constraint, order = total_of("sum", *parts), ConstraintSpec(low="p0", high="p1")
    metadata = make_metadata(dict.fromkeys(names, ColumnType.decimal), constraint, order)
    model = fit(table[names], metadata, quick(max_steps=5, seed=seed % 100))
    free = model.sample(200, seed)
    assert not constraint.broken(free).any()
    assert not order.broken(free).any()
    asked = free.loc[free["sum"].notna(), ["sum"]].reset_index(drop=True)
    met = model.sample(len(asked), seed, conditions=asked)
    assert not constraint.broken(met).any()
    pd.testing.assert_frame_equal(met[["sum"]], asked)
    filled = model.impute(with_gaps(free, dict.fromkeys(names, 0.3), seed), seed)
    assert not constraint.broken(filled).any()


def test_a_number_that_is_left_weighs_by_the_width_of_its_bin(described, quick):
    table = canonical(payments(), described)
    config = quick()
    codec = fit_tokenizer(table, described, ["principal"], config, np.random.default_rng(0)).codecs[0]
    inside, beyond = np.array([500.0, table["principal"].quantile(0.98).round(2)]), np.array([-50.0, 1e6])
    tokens, _ = codec.encode(pd.Series([*inside, *beyond]), np.random.default_rng(0))
    share, distance = grain(codec, tokens, np.concatenate([inside, beyond]))
    assert share[0] > share[1]  # numbers are denser near 500
    assert (distance[:2] == 0).all()
    assert 1 < distance[2] < distance[3]
    assert rounded(codec, np.array([1.23456, np.nan])).tolist()[0] == 1.23
