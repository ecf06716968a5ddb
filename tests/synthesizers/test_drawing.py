"""The column-by-column sampler computes what the decoder was trained for, in any number of threads."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from tabveil.schema import ColumnType, canonical
from tabveil.synthesizers import create_synthesizer, load_synthesizer
from tabveil.synthesizers.tvae import sampling
from tabveil.synthesizers.tvae.kernel import log_density_in_slice
from tabveil.synthesizers.tvae.parallel import side_by_side
from tabveil.synthesizers.tvae.sampling import BATCH_ROWS, BLOCK_COLUMNS, Batch

WIDE = 2 * BLOCK_COLUMNS + 7  # a first, a whole and an incomplete block


class Watched(Batch):
    """Keeps the log probability with which each token was drawn, and the density of each place."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.log_probs = torch.zeros(self.num_rows, self.plan.layout.num_columns)

    def _choose(self, column):
        logits, kernel = self._logits(column)
        drawn = self._draw(column, logits.clone())
        self._record(column, drawn, kernel)
        self.log_probs[:, column] = logits.log_softmax(1).gather(1, drawn[:, None])[:, 0]
        if kernel is not None:
            network, number = self.plan.network, self.plan.columns[column].number
            flat = drawn + self.plan.layout.offsets[column]
            kernels = type(kernel)(*(part[:, 0] for part in kernel))
            inside = log_density_in_slice(network.low, network.high, flat, self.places[:, number].float(), kernels)
            self.log_probs[:, column] += torch.where(network.is_bin[flat], inside, 0.0)


@pytest.fixture(scope="module")
def wide(make_metadata, quick):
    rng = np.random.default_rng(0)
    base, types = rng.normal(size=500), {}
    columns = {}
    for i in range(WIDE):
        number = i % 3 == 0
        values = (base + rng.normal(size=500)).round(2)
        columns[f"c{i}"] = values if number else np.where(values > 0, "up", "down")
        types[f"c{i}"] = ColumnType.decimal if number else ColumnType.string
    metadata = make_metadata(types)
    synthesizer = create_synthesizer(quick(min_bin_rows=50, max_steps=60))
    synthesizer.fit(canonical(pd.DataFrame(columns), metadata), metadata)
    return synthesizer


@torch.inference_mode()
def test_drawing_column_by_column_computes_what_the_whole_decoder_does(wide):
    """Across the blocks of columns whose sums are carried on."""
    plan = wide._plan()
    batch = Watched(plan, 64, torch.Generator().manual_seed(0))
    z = batch.inputs[: plan.latent_dim].t().clone()
    drawn = batch.run()
    tokens, places = torch.from_numpy(drawn.tokens), torch.from_numpy(drawn.places).float()
    flat, features = plan.network.inputs(tokens, places)
    expected = -plan.network.column_loss(plan.network.decoder(flat, features, z), tokens, places)
    assert plan.layout.num_columns == WIDE
    assert torch.allclose(batch.log_probs, expected, atol=2e-3)
    assert expected.std() > 0.1  # there is something to compare


@pytest.mark.parametrize("conditions", [None, {"c1": "up"}])
def test_the_rows_do_not_depend_on_the_number_of_threads(wide, conditions, tmp_path):
    wide.save(tmp_path / "model")
    tables = []
    for threads in (1, 3):
        synthesizer = load_synthesizer(tmp_path / "model")
        synthesizer.config.sampling_threads = threads
        tables.append(synthesizer.sample(2 * BATCH_ROWS + 50, 0, conditions=conditions))
    pd.testing.assert_frame_equal(*tables)
    assert not tables[0].duplicated().any()  # each batch has random numbers of its own


@pytest.mark.parametrize(
    ("bound", "most"),
    [("BATCH_ROWS", 70), ("BATCH_LOGITS", 640), ("BATCH_INPUTS", 30_000), ("BATCH_INPUTS", 1)],
)
def test_batches_are_bounded_by_rows_logits_and_inputs(wide, monkeypatch, bound, most):
    plan = wide._plan()
    monkeypatch.setattr(sampling, bound, most)
    per_row = {"BATCH_ROWS": 1, "BATCH_LOGITS": max(plan.layout.sizes), "BATCH_INPUTS": plan.num_inputs}[bound]
    expected = max(most // per_row, 1)
    assert plan.batch_rows == expected < sampling.BATCH_ROWS + 1
    sizes = []
    batch = sampling.Batch
    monkeypatch.setattr(sampling, "Batch", lambda plan, rows, rng: sizes.append(rows) or batch(plan, rows, rng))
    assert len(sampling.draw(plan, 150, 0).tokens) == sum(sizes) == 150
    assert max(sizes) <= expected


def test_work_side_by_side_comes_back_in_order_and_fails_as_it_would_alone():
    single, several = (side_by_side(lambda g, i: (i, torch.rand(1, generator=g).item()), 5, 7, n) for n in (1, 4))
    assert single == several
    assert [i for i, _ in single] == [0, 1, 2, 3, 4]
    assert len({value for _, value in single}) == 5

    def broken(generator: torch.Generator, i: int) -> int:
        return 1 // (3 - i)

    with pytest.raises(ZeroDivisionError):
        side_by_side(broken, 5, 0, 4)
