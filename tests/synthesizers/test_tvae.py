from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

from tabveil.config import TVAEConfig
from tabveil.errors import ConfigError, NotFittedError, SynthesizerError, TrainingError
from tabveil.schema import ColumnType
from tabveil.synthesizers import LossRecord, create_synthesizer, load_synthesizer
from tabveil.synthesizers.progress import training_progress
from tabveil.synthesizers.tvae import TVAE
from tabveil.synthesizers.tvae.schedule import Batches, planned_steps, split_rows


def folder_bytes(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_sample_has_the_schema_of_the_training_table(fitted, table):
    sample = fitted.sample(300, seed=1)
    assert sample.shape == (300, table.shape[1])
    assert sample.dtypes.equals(table.dtypes)
    assert list(sample.columns) == list(table.columns)


def test_special_columns_come_out_as_they_went_in(fitted):
    sample = fitted.sample(500, seed=2)
    assert (sample["constant"] == 7).all()
    assert sample["empty"].isna().all()
    assert sample["empty_number"].isna().all()
    assert (sample["steps_of_25"] % 25 == 0).all()
    assert (sample["opened"] == sample["opened"].dt.normalize()).all()
    assert sample["opened"].between("2020-01-01", "2022-06-20").all()


def test_missing_values_are_modelled_jointly(fitted, table):
    sample = fitted.sample(2000, seed=3)
    assert abs(sample["age"].isna().mean() - table["age"].isna().mean()) < 0.1
    assert (sample["age"].isna() == sample["grade"].isna()).mean() > 0.85


def test_a_total_is_the_sum_of_its_parts(fitted):
    sample = fitted.sample(500, seed=4)
    assert np.allclose(sample["total"], sample["principal"] + sample["interest"], atol=0.005)


def test_a_strong_relation_is_learned(make_metadata, quick):
    rng = np.random.default_rng(0)
    x = rng.normal(size=2000)
    frame = pd.DataFrame({"x": x, "y": 3 * x + rng.normal(0, 0.1, 2000), "sign": np.where(x > 0, "up", "down")})
    described = make_metadata({"x": ColumnType.decimal, "y": ColumnType.decimal, "sign": ColumnType.string})
    synthesizer = create_synthesizer(quick(max_steps=400, batch_size=256, full_budget_rows=1000, decoder_dim=96))
    synthesizer.fit(frame, described)
    sample = synthesizer.sample(2000, seed=0)
    assert sample["x"].corr(sample["y"]) > 0.95
    assert ((sample["x"] > 0) == (sample["sign"] == "up")).mean() > 0.95
    assert abs(sample["x"].std() - 1) < 0.1


def test_two_fits_give_the_same_bytes_and_leave_the_global_generators_alone(table, metadata, quick, tmp_path):
    torch.manual_seed(123)
    np.random.seed(123)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    settings = (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())
    samples = []
    for run in ("a", "b"):
        synthesizer = create_synthesizer(quick(max_steps=60))
        synthesizer.fit(table, metadata)
        synthesizer.save(tmp_path / run)
        samples.append(synthesizer.sample(200, seed=5))
    assert folder_bytes(tmp_path / "a") == folder_bytes(tmp_path / "b")
    pd.testing.assert_frame_equal(samples[0], samples[1])
    assert torch.equal(before, torch.get_rng_state())
    assert (numpy_before == np.random.get_state()[1]).all()
    assert settings == (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())


def test_another_seed_gives_another_model_and_another_sample(fitted, table, metadata, quick):
    other = create_synthesizer(quick(seed=1))
    other.fit(table, metadata)
    assert not other.sample(50, seed=0).equals(fitted.sample(50, seed=0))
    assert not fitted.sample(50, seed=1).equals(fitted.sample(50, seed=0))


def test_a_loaded_model_samples_the_same_rows(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    loaded = load_synthesizer(tmp_path / "model")
    pd.testing.assert_frame_equal(loaded.sample(100, seed=9), fitted.sample(100, seed=9))
    pd.testing.assert_frame_equal(loaded.loss_curve, fitted.loss_curve)
    assert loaded.metadata == fitted.metadata


def test_fitted_again_a_model_draws_from_what_it_learned_last(table, metadata, quick):
    again, once = create_synthesizer(quick(max_steps=5)), create_synthesizer(quick(max_steps=5))
    again.fit(table, metadata)
    again.sample(10, seed=0)  # what sampling keeps is of the first fit
    half = table[: len(table) // 2]
    for synthesizer in (again, once):
        synthesizer.fit(half, metadata)
    pd.testing.assert_frame_equal(again.sample(50, seed=0), once.sample(50, seed=0))


def test_saving_again_replaces_the_folder(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    (tmp_path / "model" / "left.over").write_text("x")
    fitted.save(tmp_path / "model")
    assert not (tmp_path / "model" / "left.over").exists()


def test_the_stored_metadata_tells_no_small_count(make_metadata, quick, table, tmp_path):
    import dataclasses

    described = make_metadata({"age": ColumnType.integer, "grade": ColumnType.string})
    columns = tuple(
        dataclasses.replace(c, null_fraction=f) for c, f in zip(described.columns, (3 / 400, 0.3), strict=True)
    )
    synthesizer = create_synthesizer(quick(max_steps=20))
    synthesizer.fit(table, dataclasses.replace(described, columns=columns))
    synthesizer.save(tmp_path / "model")
    stored = load_synthesizer(tmp_path / "model").metadata
    assert [c.null_fraction for c in stored.columns] == [0.0, 0.3]


def test_training_stops_early_when_validation_does_not_improve(make_metadata, quick):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({name: rng.normal(size=60) for name in "abcdef"})
    described = make_metadata(dict.fromkeys("abcdef", ColumnType.decimal))
    config = quick(max_steps=2000, full_budget_rows=10, validate_every=10, patience=2)
    config.small_table_dropout = config.weight_decay = 0.0
    synthesizer = create_synthesizer(config)
    seen: list[LossRecord] = []
    synthesizer.fit(frame, described, on_loss=seen.append)
    assert seen[-1].step < 2000
    assert synthesizer.loss_curve["step"].tolist() == [record.step for record in seen]
    assert seen[-1].validation > min(record.validation for record in seen)


def test_the_loss_falls(fitted):
    curve = fitted.loss_curve
    assert list(curve.columns) == ["step", "train", "validation"]
    assert curve["train"].iloc[-1] < curve["train"].iloc[0]


def test_a_loss_that_is_not_finite_ends_training(table, metadata, quick):
    with pytest.raises(TrainingError, match="loss must be finite"):
        create_synthesizer(quick(learning_rate=1e30)).fit(table, metadata)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.iloc[:10], "at least 20 rows, however: 10"),
        (lambda t: t.iloc[:0], "at least 20 rows, however: 0"),
        (lambda t: t.drop(columns="age"), "these miss: \\['age'\\]"),
        (lambda t: pd.concat([t, t[["age"]]], axis=1), "must be unique"),
    ],
)
def test_unfit_tables_are_refused(table, metadata, quick, change, message):
    with pytest.raises(TrainingError, match=message):
        create_synthesizer(quick()).fit(change(table), metadata)


def test_a_table_without_modelled_columns_is_refused(table, make_metadata, quick):
    with pytest.raises(TrainingError, match="at least one modelled column"):
        create_synthesizer(quick()).fit(table, make_metadata({}))


def test_a_single_column_is_enough(make_metadata, quick, table):
    synthesizer = create_synthesizer(quick(max_steps=20))
    synthesizer.fit(table, make_metadata({"grade": ColumnType.string}))
    assert set(synthesizer.sample(200, seed=0)["grade"].dropna()) <= {"A", "B", "C"}


def test_an_unfitted_synthesizer_says_so(quick, tmp_path):
    synthesizer = create_synthesizer(quick())
    assert synthesizer.loss_curve.empty
    for call in (
        lambda: synthesizer.sample(1, 0),
        lambda: synthesizer.save(tmp_path / "m"),
        lambda: synthesizer.metadata,
    ):
        with pytest.raises(NotFittedError):
            call()


@pytest.mark.parametrize(("num_rows", "seed"), [(0, 0), (-1, 0), (1, -1), (1, 2**31)])
def test_sample_refuses_arguments_out_of_range(fitted, num_rows, seed):
    with pytest.raises(SynthesizerError, match="must be"):
        fitted.sample(num_rows, seed)


def test_the_configuration_must_be_its_own(quick_sdv):
    with pytest.raises(ConfigError, match="TVAEConfig"):
        TVAE(quick_sdv("sdv_tvae"))


def test_small_tables_get_a_shorter_schedule(quick):
    config = quick(max_steps=800, full_budget_rows=20_000)
    assert planned_steps(20_000, config) == planned_steps(10**6, config) == 800
    assert planned_steps(625, config) == 400
    assert planned_steps(10, quick(max_steps=400, full_budget_rows=20_000)) == 100
    assert planned_steps(10, quick(max_steps=30)) == 30


def test_large_tables_get_a_longer_schedule_unless_a_budget_is_given():
    config = TVAEConfig(preset="balanced")
    assert planned_steps(50_000, config) == planned_steps(20_000, config) == config.step_budget
    assert planned_steps(200_000, config) == 2 * config.step_budget
    assert planned_steps(10**8, config) == 3 * config.step_budget
    assert planned_steps(10**8, TVAEConfig(max_steps=700)) == 700


def test_small_tables_are_held_back_more():
    config = TVAEConfig(full_budget_rows=20_000, dropout=0.05, small_table_dropout=0.2, weight_decay=2.5)
    assert config.dropout_at(20_000) == config.dropout_at(10**6) == 0.05
    assert config.dropout_at(14_000) == pytest.approx(0.1)
    assert config.dropout_at(8_000) == config.dropout_at(10) == 0.2
    assert config.weight_decay_at(10_000) == pytest.approx(2.5 * 2**0.8)
    assert config.weight_decay_at(320_000) == pytest.approx(2.5 / 16**0.8)
    assert config.weight_decay_at(100) == 15.0
    assert TVAEConfig(small_table_dropout=0.0).dropout_at(100) == 0.0
    assert TVAEConfig(dropout=0.6).dropout_at(100) == 0.6
    assert TVAEConfig().dropout_at(20_000) == 0.0


def test_training_drops_units_and_the_likelihood_does_not(table, metadata, quick, fitted):
    weights = []
    for dropout in (0.0, 0.5):
        model = create_synthesizer(quick(max_steps=3, dropout=dropout, small_table_dropout=0.0))
        model.fit(table, metadata)
        weights.append(model._model[1].decoder.heads.weight.detach())
    assert not torch.equal(*weights)
    assert np.array_equal(fitted.log_prob(table), fitted.log_prob(table))


def test_the_split_covers_every_row_once():
    train, validation = split_rows(101, 0.1, np.random.default_rng(0))
    assert sorted([*train.tolist(), *validation.tolist()]) == list(range(101))
    assert len(validation) == 10


def test_a_large_table_is_validated_on_some_ten_thousand_rows():
    people = np.repeat(np.arange(100_000), 3)
    for entities in (None, people):
        train, validation = split_rows(300_000, 0.1, np.random.default_rng(0), entities)
        assert len(train) + len(validation) == 300_000
        assert abs(len(validation) - 10_000) <= 3


def test_batches_visit_every_row_before_repeating():
    source = Batches(10, 5, np.random.default_rng(0))
    assert sorted(torch.cat([next(source), next(source)]).tolist()) == list(range(10))


def test_the_progress_bar_shows_steps_and_loss_only_when_asked():
    for enabled in (True, False):
        output = io.StringIO()
        with training_progress(10, enabled, Console(file=output, force_terminal=True, width=120)) as advance:
            advance(LossRecord(10, 1.25, 2.5))
        assert ("10/10" in output.getvalue()) == enabled
        assert ("loss 1.25, validation 2.50" in output.getvalue()) == enabled


@pytest.mark.parametrize(("preset", "max_steps", "budget"), [("fast", 0, 250), ("best", 0, 2000), ("best", 7, 7)])
def test_the_preset_is_a_step_budget_unless_one_is_given(preset, max_steps, budget):
    config = TVAEConfig(preset=preset, max_steps=max_steps)
    assert planned_steps(config.full_budget_rows, config) == budget


def test_a_better_preset_has_more_steps():
    budgets = [TVAEConfig(preset=preset).step_budget for preset in ("fast", "balanced", "best")]
    assert budgets == sorted(set(budgets))
