from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabveil.artifacts import to_json
from tabveil.config import EvaluationConfig
from tabveil.errors import GateError
from tabveil.evaluation.gate import Check, Verdict, judge

GOOD = {
    "quality/overall": 0.95, "diagnostic/overall": 1.0, "privacy/identical_ratio": 1.0,
    "privacy/dcr_share_closer_to_holdout": 0.5, "privacy/dcr_share_closer_to_train_low": 0.48,
}  # fmt: skip


def failed_checks(result: Verdict) -> list[Check]:
    return [check for check in result.checks if not check.passed]


def verdict(metrics: dict[str, float], findings: int = 0, values: int = 0, **options: float) -> Verdict:
    config = EvaluationConfig(**options)  # type: ignore[arg-type]
    return judge(metrics, config, unexplained_pii_findings=findings, real_identity_values=values)


def test_judge_passes_when_every_threshold_holds() -> None:
    result = verdict(GOOD, max_identical_ratio=2.0, min_dcr_share_closer_to_holdout=0.45)
    assert result.passed
    assert len(result.checks) == 7


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"quality/overall": 0.8999}, "quality/overall"),
        ({"diagnostic/overall": 0.98}, "diagnostic/overall"),
        ({"privacy/identical_ratio": 2.1}, "privacy/identical_ratio"),
        ({"privacy/dcr_share_closer_to_holdout": 0.44}, "privacy/dcr_share_closer_to_holdout"),
        ({"privacy/dcr_share_closer_to_train_low": 0.601}, "privacy/dcr_share_closer_to_train_low"),
    ],
)
def test_judge_fails_on_a_missed_threshold(change: dict[str, float], name: str) -> None:
    result = verdict({**GOOD, **change}, max_identical_ratio=2.0, min_dcr_share_closer_to_holdout=0.45)
    assert not result.passed
    assert [check.name for check in failed_checks(result)] == [name]
    assert f"try: {failed_checks(result)[0].hint}" in result.table()


@pytest.mark.parametrize(("findings", "values"), [(1, 0), (0, 1)])
def test_judge_fails_on_personal_data(findings: int, values: int) -> None:
    assert not verdict(GOOD, findings, values).passed


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
@pytest.mark.parametrize("name", sorted(GOOD))
def test_judge_fails_closed_without_a_measure(name: str, value: float | None) -> None:
    metrics = {key: number for key, number in GOOD.items() if key != name}
    if value is not None:
        metrics[name] = value
    result = verdict(metrics, max_identical_ratio=2.0, min_dcr_share_closer_to_holdout=0.45)
    assert [check.name for check in failed_checks(result)] == [name]
    assert "not computed" in result.table()


def test_judge_does_not_ask_for_a_threshold_of_none() -> None:
    config = EvaluationConfig(min_diagnostic=None, max_identical_ratio=None, max_dcr_share_low=None)
    result = judge({"quality/overall": 0.9}, config, unexplained_pii_findings=0, real_identity_values=0)
    assert result.passed
    assert [c.name for c in result.checks] == [
        "quality/overall",
        "privacy/unexplained_pii_findings",
        "privacy/real_identity_values",
    ]


def test_judge_cannot_be_overruled_by_a_metric_of_the_same_name() -> None:
    assert not verdict({**GOOD, "privacy/real_identity_values": 0.0}, values=3).passed


def test_table_shows_measured_against_asked() -> None:
    lines = verdict({**GOOD, "quality/overall": 0.5}, findings=3).table().splitlines()
    assert lines[0].split() == ["check", "measured", "asked"]
    assert lines[2].split() == ["quality/overall", "0.5000", ">=", "0.9000", "FAILED"]
    assert any(line.split()[:2] == ["privacy/unexplained_pii_findings", "3"] for line in lines)


def test_verdict_without_checks_has_not_passed() -> None:
    assert not Verdict(()).passed


@given(st.floats(0, 1), st.integers(0, 3), st.integers(0, 3))
def test_verdict_round_trips_through_json(quality: float, findings: int, values: int) -> None:
    original = verdict({**GOOD, "quality/overall": quality}, findings, values)
    restored = Verdict.from_dict(json.loads(to_json(original.to_dict())))
    assert restored == original
    assert restored.passed == (quality >= 0.9 and findings == 0 and values == 0)


@pytest.mark.parametrize("data", [{}, {"passed": True}, {"passed": True, "checks": [{"name": "x"}]}, {"checks": 3}])
def test_from_dict_refuses_what_is_no_verdict(data: dict[str, object]) -> None:
    with pytest.raises(GateError, match="run evaluate again"):
        Verdict.from_dict(data)


def test_from_dict_refuses_an_edited_verdict() -> None:
    data = verdict({**GOOD, "quality/overall": 0.5}).to_dict()
    with pytest.raises(GateError, match="contradicts"):
        Verdict.from_dict({**data, "passed": True})
    data["checks"][0]["passed"] = True
    with pytest.raises(GateError, match="contradicts"):
        Verdict.from_dict({**data, "passed": True})


def test_gate_needs_neither_sdmetrics_nor_sklearn() -> None:
    code = (
        "import sys; import tabveil.evaluation.gate; from tabveil.evaluation import Verdict, judge; "
        "print({'sdmetrics', 'sklearn', 'scipy', 'altair', 'jinja2', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_hint_says_when_real_rows_do_not_reach_the_threshold_either() -> None:
    reachable = failed_checks(verdict({**GOOD, "quality/overall": 0.8, "quality/ceiling": 0.95}))[0].hint
    unreachable = failed_checks(verdict({**GOOD, "quality/overall": 0.8, "quality/ceiling": 0.869}))[0].hint
    assert "train longer" in reachable
    assert "reach only 0.869" in unreachable
