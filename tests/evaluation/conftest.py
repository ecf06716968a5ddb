from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pandas as pd
import pytest

from tabveil.config import EvaluationConfig
from tabveil.evaluation import Evaluation, ReportContext, evaluate

_spec = importlib.util.spec_from_file_location("evaluation_tables", Path(__file__).with_name("tables.py"))
assert _spec is not None
assert _spec.loader is not None
tables = importlib.util.module_from_spec(_spec)
sys.modules["evaluation_tables"] = tables
_spec.loader.exec_module(tables)

METADATA = tables.metadata()


@pytest.fixture(scope="session")
def train() -> pd.DataFrame:
    return tables.real_table(500, seed=1)


@pytest.fixture(scope="session")
def holdout() -> pd.DataFrame:
    return tables.real_table(300, seed=2)


@pytest.fixture(scope="session")
def fresh() -> pd.DataFrame:
    """What a perfect synthesizer would give: new rows of the same distribution."""
    return tables.real_table(500, seed=3)


@pytest.fixture(scope="session")
def good(train: pd.DataFrame, holdout: pd.DataFrame, fresh: pd.DataFrame) -> Evaluation:
    return evaluate(train, holdout, fresh, METADATA, EvaluationConfig())


@pytest.fixture(scope="session")
def shuffled(train: pd.DataFrame, holdout: pd.DataFrame) -> Evaluation:
    return evaluate(train, holdout, tables.independent(train), METADATA, EvaluationConfig())


@pytest.fixture(scope="session")
def copied(train: pd.DataFrame, holdout: pd.DataFrame) -> Evaluation:
    return evaluate(train, holdout, train.copy(), METADATA, EvaluationConfig())


def scan(*findings: tuple[str, str, int]) -> dict[str, object]:
    return {
        "findings": [
            {
                "sensitiveData": {"category": "PERSONAL_INFORMATION", "detections": [{"type": kind, "count": count}]},
                "x-tabveil": {"column": column},
            }
            for column, kind, count in findings
        ]
    }


@pytest.fixture(scope="session")
def context() -> ReportContext:
    return ReportContext(
        dataset="toy <b>",
        synthesizer="tvae",
        seed=7,
        findings={
            "before": scan(("e_mail", "EMAIL_ADDRESS", 480), ("note", "PHONE_NUMBER", 12)),
            "after": scan(),
            "columns": {
                "e_mail": {"action": "regenerate", "semantic_type": "EMAIL_ADDRESS", "reason": None},
                "note": {"action": "drop", "semantic_type": None, "reason": "free text"},
                "grade": {"action": "keep", "semantic_type": None, "reason": None},
            },
        },
        synthetic_pii={"real_identity_values_by_column": {"e_mail": 0}},
        source={"uri": "s3://landing/toy.csv", "version_id": "v1", "sha256": "ab" * 32, "size_bytes": 12345},
        counts={"read": 820, "kept": 800, "rejected": 5, "duplicates": 15},
        loss_curve=pd.DataFrame({"step": [0, 50, 100], "train": [9.0, 5.0, 4.0], "validation": [9.1, 5.2, 4.4]}),
    )
