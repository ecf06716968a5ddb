import csv as csv_module
import io

import pytest

from tabveil.config import CsvConfig, DatasetConfig, PreprocessConfig, SourceConfig
from tabveil.preprocess import preprocess


@pytest.fixture
def run(tmp_path):
    """Preprocess rows given as lists of text (or a whole file as text or bytes)."""

    def _run(rows, columns, *, options=None, csv=None, encoding="utf-8", **dataset):
        content = rows
        if isinstance(rows, list):
            text = io.StringIO(newline="")
            csv_module.writer(text, delimiter=(csv or CsvConfig()).delimiter).writerows(rows)
            content = text.getvalue()
        path = tmp_path / "raw"
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        dataset.setdefault("max_rejected_fraction", 1.0)
        declared = DatasetConfig(
            name="small", source=SourceConfig(key="raw/small.csv"), csv=csv or CsvConfig(), columns=columns, **dataset
        )
        return preprocess(path, declared, options or PreprocessConfig())

    return _run
