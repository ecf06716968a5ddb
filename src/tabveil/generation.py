"""A whole synthetic table: what the model samples, joined by invented identities, in the original order.

The one place where `synthesizers` and `pii` meet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pandas as pd

from tabveil.pii import IdentityDigests, generate_identities
from tabveil.schema import Metadata, canonical
from tabveil.synthesizers import Synthesizer, sample_chunks
from tabveil.synthesizers.sampling import SampleCounts


@dataclass
class TableGenerator:
    """Rows on demand.

    Args:
        synthesizer: fitted on the modelled columns of `metadata`.
        metadata: description of the clean table.
        digests: keyed digests of the real identity values; no invented value may be among them.
        counts: rows drawn and rejected so far, by constraint.
    """

    synthesizer: Synthesizer
    metadata: Metadata
    digests: IdentityDigests
    counts: SampleCounts = field(default_factory=SampleCounts)

    def chunks(
        self, num_rows: int, seed: int, *, chunk_rows: int, max_rejected_fraction: float
    ) -> Iterator[pd.DataFrame]:
        """Frames of at most `chunk_rows` rows, `num_rows` in all; memory does not grow with `num_rows`.

        Yields:
            Columns `metadata.output_columns`, canonical dtypes.

        Raises:
            SynthesizerError: the model breaks declared constraints too often.
            PrivacyError: no invented value differs from the real ones.
        """
        generated = [column for column in self.metadata.columns if column.generated]
        start = 0
        for chunk in sample_chunks(
            self.synthesizer,
            num_rows,
            seed,
            chunk_rows=chunk_rows,
            max_rejected_fraction=max_rejected_fraction,
            counts=self.counts,
        ):
            invented = generate_identities(generated, len(chunk), seed, start=start, digests=self.digests)
            start += len(chunk)
            joined = pd.concat([chunk, invented], axis=1)
            yield canonical(joined[self.metadata.output_columns], self.metadata)
