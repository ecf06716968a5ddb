"""What a training and a model take of the machine: device, memory, threads."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from tabveil.config import TVAEConfig
from tabveil.errors import ConfigError, TrainingError
from tabveil.synthesizers import create_synthesizer, load_synthesizer
from tabveil.synthesizers.runtime import isolated, resolve_device
from tabveil.synthesizers.tvae.memory import ELEMENTS_AT_ONCE, rows_at_once


def test_nothing_relies_on_the_default_device(table, metadata, quick, tmp_path):
    """Every tensor is made on the device that is asked for: a default that holds no values would break the rest.

    So what runs here on the processor runs the same way on a GPU.
    """
    expected = create_synthesizer(quick(max_steps=40, device="cpu"))
    expected.fit(table, metadata)
    synthesizer = create_synthesizer(quick(max_steps=40, device="cpu"))
    asked = {"grade": "A", "age": 40, "total": 900.0}
    with torch.device("meta"):
        synthesizer.fit(table, metadata, checkpoint=tmp_path / "unfinished")
        sampled = synthesizer.sample(50, seed=0)
        given = synthesizer.sample(50, seed=0, conditions=asked)
        imputed = synthesizer.impute(table[:20], seed=0)
        scores = synthesizer.log_prob(table[:50])
        synthesizer.save(tmp_path / "model")
        loaded = load_synthesizer(tmp_path / "model").sample(50, seed=0)
    pd.testing.assert_frame_equal(sampled, expected.sample(50, seed=0))
    pd.testing.assert_frame_equal(loaded, sampled)
    pd.testing.assert_frame_equal(given, expected.sample(50, seed=0, conditions=asked))
    pd.testing.assert_frame_equal(imputed, expected.impute(table[:20], seed=0))
    assert np.array_equal(scores, expected.log_prob(table[:50]))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_refused_before_training(table, metadata, quick):
    assert resolve_device("auto") == torch.device("cpu")
    with pytest.raises(ConfigError, match=r"'cuda:1' of 0 GPUs.*choose auto or cpu"):
        create_synthesizer(quick(device="cuda:1")).fit(table, metadata)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_model_of_a_gpu_is_loaded_to_the_processor(fitted, tmp_path):
    fitted.config.device, before = "cuda", fitted.config.device
    try:
        fitted.save(tmp_path / "model")
    finally:
        fitted.config.device = before
    loaded = load_synthesizer(tmp_path / "model")
    assert loaded.config.device == "cuda"
    pd.testing.assert_frame_equal(loaded.sample(20, seed=0), fitted.sample(20, seed=0))


@pytest.mark.parametrize("device", ["gpu", "CUDA", "cuda:", "cuda:x", "mps", ""])
def test_an_unknown_device_is_a_configuration_error(device):
    with pytest.raises(ConfigError, match="must be auto, cpu, cuda or cuda:<n>"):
        TVAEConfig(device=device)


def test_a_memory_limit_is_kept_by_reading_fewer_rows(table, metadata, quick):
    big = pd.concat([table] * 400, ignore_index=True)
    with pytest.raises(TrainingError, match=r"max_memory_mb must be at least (\d+) for this table") as refusal:
        create_synthesizer(quick(max_steps=20, max_memory_mb=1)).fit(big, metadata)
    needed = int(str(refusal.value).split("at least ")[1].split()[0])
    synthesizer = create_synthesizer(quick(max_steps=20, max_memory_mb=needed + 5))
    with pytest.warns(UserWarning, match=r"lets the network see [\d,]+ of 160,000 rows, drawn at random"):
        synthesizer.fit(big, metadata)
    assert len(synthesizer.sample(10, seed=0)) == 10
    roomy = create_synthesizer(quick(max_steps=20, max_memory_mb=needed + 1000))
    roomy.fit(big, metadata)  # a warning would be an error


def test_what_is_scored_at_once_does_not_grow_with_the_tokens():
    assert rows_at_once(200) == 4096
    assert all(rows_at_once(n) * n <= ELEMENTS_AT_ONCE for n in (2000, 20_000, 60_000))


def test_threads_are_those_asked_for_and_put_back():
    before = torch.get_num_threads()
    with isolated(0, 3):
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == before
