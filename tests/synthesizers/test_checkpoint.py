from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tabveil.config import TVAEConfig
from tabveil.errors import SynthesizerError
from tabveil.synthesizers import create_synthesizer
from tabveil.synthesizers.tvae import training
from tabveil.synthesizers.tvae.checkpoint import STATE, TENSORS
from tabveil.synthesizers.tvae.schedule import learning_rate

TRAIN = """
import sys, time
from pathlib import Path
from tabveil.config import TVAEConfig
from tabveil.schema import Metadata, canonical
from tabveil.synthesizers import create_synthesizer
import pandas as pd, json
folder = Path(sys.argv[1])
metadata = Metadata.from_json((folder / "metadata.json").read_text())
table = canonical(pd.read_pickle(folder / "table.pkl"), metadata)
model = create_synthesizer(TVAEConfig(**json.loads((folder / "config.json").read_text())))
model.fit(table, metadata, checkpoint=folder / "checkpoint", on_loss=lambda record: time.sleep(float(sys.argv[2])))
model.save(folder / "model")
"""
SETTINGS = {"max_steps": 200, "validate_every": 20, "patience": 100, "encoder_dim": 32, "decoder_dim": 48,
            "latent_dim": 4, "batch_size": 64, "min_rows": 20, "full_budget_rows": 400, "max_seconds": 0.0}  # fmt: skip


class KilledError(Exception):
    pass


def interrupted(config: TVAEConfig, table, metadata, folder: Path, step: int) -> None:
    """A training that ends right after the check at a step."""

    def stop(record):
        if record.step == step:
            raise KilledError

    with pytest.raises(KilledError):
        create_synthesizer(config).fit(table, metadata, checkpoint=folder, on_loss=stop)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("step", [20, 100, 200])
def test_a_resumed_training_ends_in_the_same_bytes(table, metadata, tmp_path, step):
    config, checkpoint = TVAEConfig(**SETTINGS), tmp_path / "checkpoint"
    whole = create_synthesizer(config)
    whole.fit(table, metadata)
    interrupted(config, table, metadata, checkpoint, step)
    seen = []
    resumed = create_synthesizer(config)
    resumed.fit(table, metadata, checkpoint=checkpoint, on_loss=seen.append)
    whole.save(tmp_path / "whole")
    resumed.save(tmp_path / "resumed")
    assert files(tmp_path / "resumed") == files(tmp_path / "whole")
    assert [record.step for record in seen] == list(range(20, 201, 20))
    assert not checkpoint.exists()


def test_a_killed_process_goes_on_where_it_stood(table, metadata, tmp_path):
    for name in ("killed", "whole"):
        (tmp_path / name).mkdir()
        table.to_pickle(tmp_path / name / "table.pkl")
        (tmp_path / name / "metadata.json").write_text(metadata.to_json())
        (tmp_path / name / "config.json").write_text(json.dumps(SETTINGS))
    killed = subprocess.Popen([sys.executable, "-c", TRAIN, str(tmp_path / "killed"), "0.3"])
    deadline = time.monotonic() + 120
    while not (tmp_path / "killed" / "checkpoint").exists():
        assert killed.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "killed" / "model").exists()
    for name in ("killed", "whole"):
        subprocess.run([sys.executable, "-c", TRAIN, str(tmp_path / name), "0"], check=True)
    assert files(tmp_path / "killed" / "model") == files(tmp_path / "whole" / "model")


@pytest.mark.parametrize("damage", ["other settings", "other rows", "cut tensors", "cut state", "newer"])
def test_a_checkpoint_that_does_not_fit_is_not_used(table, metadata, tmp_path, damage):
    config, checkpoint = TVAEConfig(**SETTINGS), tmp_path / "checkpoint"
    interrupted(config, table, metadata, checkpoint, 100)
    rows = table
    if damage == "other settings":
        config = TVAEConfig(**{**SETTINGS, "dropout": 0.1})
    elif damage == "other rows":
        rows = table.iloc[::-1].reset_index(drop=True)
    elif damage == "cut tensors":
        (checkpoint / TENSORS).write_bytes((checkpoint / TENSORS).read_bytes()[:1000])
    elif damage == "cut state":
        (checkpoint / STATE).write_text("{")
    else:
        (checkpoint / STATE).write_text(json.dumps({**json.loads((checkpoint / STATE).read_text()), "version": 99}))
    fresh, other = create_synthesizer(config), create_synthesizer(config)
    fresh.fit(rows, metadata)
    other.fit(rows, metadata, checkpoint=checkpoint)
    assert other.loss_curve.equals(fresh.loss_curve)


def test_a_checkpoint_holds_no_pickle(table, metadata, tmp_path):
    interrupted(TVAEConfig(**SETTINGS), table, metadata, tmp_path / "checkpoint", 20)
    assert sorted(path.name for path in (tmp_path / "checkpoint").iterdir()) == [STATE, TENSORS]


def test_max_seconds_ends_the_training_and_the_learning_rate_cools_down_in_that_time(table, metadata):
    config = TVAEConfig(**{**SETTINGS, "max_steps": 10**6, "max_seconds": 2.0, "patience": 10**6})
    synthesizer = create_synthesizer(config)
    started = time.monotonic()
    synthesizer.fit(table, metadata)
    assert time.monotonic() - started < 60  # a million steps would take hours
    assert 1 <= synthesizer.loss_curve["step"].max() < 10**5
    assert len(synthesizer.sample(10, seed=0)) == 10


def test_the_learning_rate_rises_to_its_peak_and_falls_to_nothing():
    rates = [learning_rate(progress / 100, 1.0) for progress in range(101)]
    assert rates[0] == pytest.approx(1 / 25)
    assert max(rates) == rates[15] == pytest.approx(1.0)
    assert rates[-1] == pytest.approx(0, abs=1e-5)
    assert all(a < b for a, b in pairwise(rates[:16]))
    assert all(a > b for a, b in pairwise(rates[15:]))


@pytest.mark.parametrize("max_seconds", [1.0, *range(97, 107)])
def test_every_step_of_a_limited_time_is_judged(table, metadata, monkeypatch, max_seconds):
    """With a clock that ticks at every look, wherever in the loop the time ends."""
    ticks = itertools.count()
    monkeypatch.setattr(training.time, "monotonic", lambda: float(next(ticks)))
    settings = {**SETTINGS, "max_steps": 60, "validate_every": 50, "max_seconds": float(max_seconds)}
    model, steps = create_synthesizer(TVAEConfig(**settings)), []
    step = training._Run._step
    monkeypatch.setattr(
        training._Run, "_step", lambda run, index, at, pieces: steps.append(at) or step(run, index, at, pieces)
    )
    model.fit(table, metadata)
    assert steps
    assert model.loss_curve["step"].iloc[-1] == steps[-1]


def test_another_number_of_threads_goes_on_with_a_checkpoint(table, metadata, tmp_path, monkeypatch):
    interrupted(TVAEConfig(**SETTINGS, num_threads=2), table, metadata, tmp_path / "checkpoint", 100)
    config, batches = TVAEConfig(**SETTINGS, num_threads=1, sampling_threads=1), []
    take = training.Batches.__next__

    def counted(source):
        batches.append(1)
        return take(source)

    monkeypatch.setattr(training.Batches, "__next__", counted)
    model, fresh = create_synthesizer(config), create_synthesizer(config)
    model.fit(table, metadata, checkpoint=tmp_path / "checkpoint")
    resumed = len(batches)
    fresh.fit(table, metadata)
    assert len(batches) - resumed == resumed + 100
    assert model.loss_curve.equals(fresh.loss_curve)


@pytest.mark.parametrize("part", ["best", "position", "numpy_state", "records", "one bit of the tensors"])
def test_a_damaged_checkpoint_begins_anew(table, metadata, tmp_path, part):
    config, checkpoint = TVAEConfig(**SETTINGS), tmp_path / "checkpoint"
    interrupted(config, table, metadata, checkpoint, 100)
    if part in ("best", "position", "numpy_state", "records"):
        state = json.loads((checkpoint / STATE).read_text())
        (checkpoint / STATE).write_text(json.dumps({**state, part: None}))
    else:
        tensors = bytearray((checkpoint / TENSORS).read_bytes())
        tensors[-1] ^= 1
        (checkpoint / TENSORS).write_bytes(tensors)
    fresh, other = create_synthesizer(config), create_synthesizer(config)
    fresh.fit(table, metadata)
    other.fit(table, metadata, checkpoint=checkpoint)
    assert other.loss_curve.equals(fresh.loss_curve)


def test_a_folder_that_is_no_checkpoint_is_left_alone(table, metadata, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    with pytest.raises(SynthesizerError, match=r"checkpoint must be a new or empty folder, .* holds something else"):
        create_synthesizer(TVAEConfig(**SETTINGS)).fit(table, metadata, checkpoint=tmp_path / "home")
    assert (tmp_path / "home" / "thesis.txt").read_text() == "years of work"
