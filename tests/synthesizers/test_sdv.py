from __future__ import annotations

import json
import logging
import random

import numpy as np
import pandas as pd
import pytest
import torch

from tabveil.errors import ConfigError, ModelFileError, NotFittedError, TrainingError
from tabveil.provenance import sha256_of
from tabveil.schema import ColumnType
from tabveil.synthesizers import create_synthesizer, is_shareable, load_synthesizer, sdv
from tabveil.synthesizers.model_folder import MANIFEST

KINDS = ["sdv_tvae", "sdv_ctgan", "sdv_gaussian_copula"]


@pytest.fixture(scope="module", params=KINDS)
def baseline(request, table, metadata, quick_sdv):
    synthesizer = create_synthesizer(quick_sdv(request.param))
    synthesizer.fit(table, metadata)
    return synthesizer


@pytest.fixture(scope="module")
def copula(table, metadata, quick_sdv):
    synthesizer = create_synthesizer(quick_sdv("sdv_gaussian_copula"))
    synthesizer.fit(table, metadata)
    return synthesizer


def test_a_baseline_samples_the_canonical_schema(baseline, table):
    sample = baseline.sample(60, seed=1)
    assert len(sample) == 60
    assert sample.dtypes.equals(table.dtypes)
    assert list(sample.columns) == list(table.columns)
    assert sample["empty"].isna().all()
    assert sample["opened"].between("2020-01-01", "2022-06-20").all()
    assert (sample["opened"] == sample["opened"].dt.normalize()).all()
    assert np.allclose(sample["total"], sample["principal"] + sample["interest"], atol=0.005)


def test_a_baseline_comes_back_from_disk_and_the_seed_decides(baseline, tmp_path):
    baseline.save(tmp_path / "model")
    loaded = load_synthesizer(tmp_path / "model")
    pd.testing.assert_frame_equal(loaded.sample(40, seed=2), baseline.sample(40, seed=2))
    assert not loaded.sample(40, seed=3).equals(loaded.sample(40, seed=2))
    assert len(loaded.loss_curve) == (0 if baseline.name == "sdv_gaussian_copula" else 1)


def global_state():
    generators = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    return (*generators, logging.root.manager.disable)


def test_fitting_twice_gives_the_same_rows_and_leaves_global_state_alone(table, metadata, quick_sdv, capfd):
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    before = global_state()
    samples = []
    for _ in range(2):
        synthesizer = create_synthesizer(quick_sdv("sdv_tvae"))
        synthesizer.fit(table, metadata)
        samples.append(synthesizer.sample(30, seed=0))
    after = global_state()
    pd.testing.assert_frame_equal(*samples)
    assert before == after
    assert capfd.readouterr() == ("", "")


def test_a_baselines_folder_must_not_leave_the_machine(copula, tmp_path):
    copula.save(tmp_path / "model")
    assert not is_shareable(tmp_path / "model")


def test_an_altered_pickle_is_never_opened(copula, tmp_path):
    copula.save(tmp_path / "model")
    path = tmp_path / "model" / "model.pkl"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ModelFileError, match="checksum"):
        load_synthesizer(tmp_path / "model")


def test_a_pickle_that_is_none_is_refused(copula, tmp_path):
    copula.save(tmp_path / "model")
    (tmp_path / "model" / "model.pkl").write_bytes(b"not a pickle")
    manifest = json.loads((tmp_path / "model" / MANIFEST).read_text())
    manifest["files"]["model.pkl"] = sha256_of(tmp_path / "model" / "model.pkl")
    (tmp_path / "model" / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ModelFileError, match="must be readable by SDV"):
        load_synthesizer(tmp_path / "model")


def test_what_sdv_refuses_is_reported_without_a_value(make_metadata, quick_sdv, monkeypatch):
    def refuse(self, data):
        raise ValueError(f"cannot read {data['table']['x'].iloc[0]}")

    monkeypatch.setattr(sdv.TVAESynthesizer, "fit", refuse)
    frame = pd.DataFrame({"x": [4_815_162_342.0] * 300})
    with pytest.raises(TrainingError, match="SDV must accept the table, however it raised ValueError") as error:
        create_synthesizer(quick_sdv("sdv_tvae")).fit(frame, make_metadata({"x": ColumnType.decimal}))
    assert "4815162342" not in str(error.value)


def test_a_table_of_empty_columns_is_refused(make_metadata, quick_sdv):
    frame = pd.DataFrame({"x": [None] * 300})
    with pytest.raises(TrainingError, match="neither empty nor a computed total"):
        create_synthesizer(quick_sdv("sdv_gaussian_copula")).fit(frame, make_metadata({"x": ColumnType.string}))


def test_an_unfitted_baseline_and_a_foreign_configuration_are_refused(quick, quick_sdv):
    with pytest.raises(NotFittedError):
        create_synthesizer(quick_sdv("sdv_tvae")).sample(1, 0)
    with pytest.raises(ConfigError, match="needs an SDVConfig"):
        create_synthesizer(quick(name="sdv_tvae"))
