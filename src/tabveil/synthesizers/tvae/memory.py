"""What a training takes in memory, and how many rows fit into a limit.

An estimate of what is allocated beyond the table that was handed over and the loaded libraries: a checked copy of that
table, what its columns take while they are learned one by one, the encoded rows and their copies on the two sides of
the validation split, the working arrays of one batch, and the parameters with their gradients, moments, averaged and
best values.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from tabveil.config import TVAEConfig
from tabveil.errors import TrainingError
from tabveil.synthesizers.tvae.network import TVAENetwork

ELEMENTS_AT_ONCE = 2**22  # most logits of one array
FLOAT_BYTES = 4
LOGIT_ARRAYS = 10  # of the size of the logits, while a batch is scored and differentiated
PARAMETER_COPIES = 10  # values, best, averaged, two moments, gradients of each piece and of their sum, two masks
COLUMN_BYTES = 64  # per row while one column is learned or encoded: its values, ranks, order and tokens
MEGABYTE = 2**20
FIRST_USE = 100 * MEGABYTE  # what torch and its libraries allocate for themselves at the first training


def rows_at_once(num_tokens: int) -> int:
    """Rows that are scored together without gradients."""
    return int(np.clip(ELEMENTS_AT_ONCE // num_tokens, 64, 4096))


def rows_within(network: TVAENetwork, config: TVAEConfig, table: pd.DataFrame) -> int:
    """How many rows of a table a training within `config.max_memory_mb` can read; all of them without a limit.

    Raises:
        TrainingError: not even `config.min_rows` rows fit.
    """
    num_rows = len(table)
    if not config.max_memory_mb:
        return num_rows
    fixed = FIRST_USE + _network_bytes(network, config) + int(table.memory_usage().sum()) + COLUMN_BYTES * num_rows
    per_row = 2 * FLOAT_BYTES * (network.layout.num_columns + len(network.layout.numeric))
    fitting = int((config.max_memory_mb * MEGABYTE - fixed) // per_row)
    if fitting < min(config.min_rows, num_rows):
        needed = (fixed + per_row * config.min_rows) / MEGABYTE
        raise TrainingError(
            f"synthesizer.max_memory_mb must be at least {needed:.0f} for this table, however: "
            f"{config.max_memory_mb}: raise it, train on fewer rows, or lower encoder_dim, decoder_dim, embedding_dim, "
            "batch_size or max_categories"
        )
    return min(fitting, num_rows)


def _network_bytes(network: TVAENetwork, config: TVAEConfig) -> int:
    num_tokens = network.layout.num_tokens
    rows = max(config.batch_size, rows_at_once(num_tokens))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return FLOAT_BYTES * (rows * num_tokens * LOGIT_ARRAYS + parameters * PARAMETER_COPIES)
