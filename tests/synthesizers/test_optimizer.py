from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from tabveil.synthesizers.tvae.optimizer import BETAS, AdamW, Group


def parameters():
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((3, 4), (5,), (1,))]


def move(optimizer_step, ours, steps):
    generator = torch.Generator().manual_seed(1)
    for step in range(steps):
        for parameter in ours:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer_step(0.01 * (step + 1))


def test_the_steps_are_those_of_torch():
    ours, theirs = parameters(), parameters()
    optimizer = AdamW([Group(ours[:1], 2.5), Group(ours[1:], 0.0)])
    groups = [{"params": theirs[:1], "weight_decay": 2.5}, {"params": theirs[1:], "weight_decay": 0.0}]
    reference = torch.optim.AdamW(groups, betas=BETAS, fused=True)

    def step(learning_rate):
        for group in reference.param_groups:
            group["lr"] = learning_rate
        reference.step()

    move(optimizer.step, ours, 7)
    move(step, theirs, 7)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_restored_state_goes_on_to_the_same_bytes():
    first, second = parameters(), parameters()
    whole = AdamW([Group(first, 0.1)])
    move(whole.step, first, 4)
    half = AdamW([Group(second, 0.1)])
    with torch.no_grad():
        for a, b in zip(second, first, strict=True):
            a.copy_(b)
    half.restore({name: value.clone() for name, value in whole.state().items()})
    for optimizer, moved in ((whole, first), (half, second)):
        move(optimizer.step, moved, 3)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_state_of_other_parameters_is_refused():
    with pytest.raises(KeyError):
        AdamW([Group(parameters(), 0.1)]).restore(AdamW([Group(parameters()[:1], 0.1)]).state())


def test_training_does_not_load_torchs_compiler():
    code = """
import sys
import numpy as np, pandas as pd
from tabveil.config import TVAEConfig
from tabveil.schema import Column, ColumnType, Metadata, SDType
from tabveil.synthesizers import create_synthesizer
table = pd.DataFrame({"a": np.arange(300.0) % 17})
metadata = Metadata("t", (Column("a", "a", ColumnType.decimal, SDType.numerical),))
model = create_synthesizer(TVAEConfig(max_steps=2, num_threads=2))
model.fit(table, metadata)
model.sample(10, seed=0)
sys.exit("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
