"""The gate: what was measured against what was asked, and what to try when it is missed.

Fails closed: a measure that is asked for and was not computed is a failed check.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tabveil.config import EvaluationConfig
from tabveil.errors import GateError

QUALITY_HINT = (
    "train longer (synthesizer.preset=best), or generalise columns with very many levels in the dataset's policy"
)
DIAGNOSTIC_HINT = "values out of range or unseen categories: see the per-column table, and the dataset's column types"
PII_HINT = "give the column an action in the dataset's policy (drop, pseudonymise, regenerate), or a reasoned keep"
IDENTITY_HINT = (
    "a real identity reached the synthetic table: set the column's action to regenerate, then run from verify"
)
COPY_HINT = (
    "train for fewer steps, or raise synthesizer.weight_decay, synthesizer.small_table_dropout (below "
    "synthesizer.full_budget_rows rows) and synthesizer.rare_threshold; where one person has several rows, declare "
    "dataset.entity_key"
)

HINTS = {
    "quality/overall": QUALITY_HINT,
    "diagnostic/overall": DIAGNOSTIC_HINT,
    "privacy/unexplained_pii_findings": PII_HINT,
    "privacy/real_identity_values": IDENTITY_HINT,
    "privacy/identical_ratio": COPY_HINT,
    "privacy/dcr_share_closer_to_train_low": COPY_HINT,
    "privacy/dcr_share_closer_to_holdout": COPY_HINT,
}
OPERATORS = (">=", "<=", "==")


@dataclass(frozen=True)
class Check:
    """One threshold.

    Args:
        name: the metric, as in `Evaluation.metrics`.
        measured: None when it was not computed.
        operator: one of ``>=``, ``<=``, ``==``: measured `operator` asked.
        hint: what to try when it fails.
    """

    name: str
    measured: float | None
    operator: str
    asked: float
    passed: bool
    hint: str


@dataclass(frozen=True)
class Verdict:
    """All checks; passed only if every one is."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether the synthetic table may be published; never without checks."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    def weaker_than(self, config: EvaluationConfig) -> list[str]:
        """Names of checks that `config` asks for and that are not here, or here with a weaker threshold."""
        held = {(check.name, check.operator): check.asked for check in self.checks}
        return [
            name
            for name, operator, limit in thresholds(config)
            if not _as_strict(held.get((name, operator)), operator, limit)
        ]

    def table(self) -> str:
        """Text table, one line per check; failed ones are followed by what to try."""
        rows = [(c.name, _number(c.measured), f"{c.operator} {_number(c.asked)}", _word(c.passed)) for c in self.checks]
        header = ("check", "measured", "asked", "")
        widths = [max(len(row[position]) for row in [header, *rows]) for position in range(4)]
        lines = [_line(header, widths), _line(tuple("-" * width for width in widths), widths)]
        for check, row in zip(self.checks, rows, strict=True):
            lines.append(_line(row, widths))
            if not check.passed:
                lines.append(f"    try: {check.hint}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for `gate.json`."""
        return {"passed": self.passed, "checks": [asdict(check) for check in self.checks]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Verdict:
        """Inverse of `to_dict`.

        Raises:
            GateError: not a verdict, or one that contradicts itself.
        """
        try:
            verdict = cls(tuple(Check(**check) for check in data["checks"]))
            stated = data["passed"]
        except (KeyError, TypeError) as err:
            raise GateError(
                f"expected a gate verdict, however: {type(err).__name__}: {err}; run evaluate again"
            ) from err
        wrong = [c.name for c in verdict.checks if c.passed is not _holds(c.measured, c.operator, c.asked)]
        if wrong or stated is not verdict.passed:
            raise GateError(f"the gate verdict contradicts its own checks ({wrong or 'passed'}): run evaluate again")
        return verdict


def judge(
    metrics: Mapping[str, float],
    config: EvaluationConfig,
    *,
    unexplained_pii_findings: int,
    real_identity_values: int,
) -> Verdict:
    """Hold the measures against the thresholds of `conf/evaluation/`; a threshold of None is not asked for.

    Args:
        metrics: `Evaluation.metrics`.
        unexplained_pii_findings: PII findings in the synthetic table that no reasoned policy covers.
        real_identity_values: identity values of real people in the synthetic table.
    """
    counted = {
        "privacy/unexplained_pii_findings": float(unexplained_pii_findings),
        "privacy/real_identity_values": float(real_identity_values),
    }
    measured = {**metrics, **counted}
    hints = HINTS | {"quality/overall": _quality_hint(metrics, config.min_quality)}
    return Verdict(
        tuple(
            _check(name, measured.get(name), operator, limit, hints[name])
            for name, operator, limit in thresholds(config)
        )
    )


def thresholds(config: EvaluationConfig) -> list[tuple[str, str, float]]:
    """What is asked: metric, operator, limit. The two counts of personal data are always asked for."""
    asked: list[tuple[str, str, float | None]] = [
        ("quality/overall", ">=", config.min_quality),
        ("diagnostic/overall", ">=", config.min_diagnostic),
        ("privacy/unexplained_pii_findings", "==", 0.0),
        ("privacy/real_identity_values", "==", 0.0),
        ("privacy/identical_ratio", "<=", config.max_identical_ratio),
        ("privacy/dcr_share_closer_to_train_low", "<=", config.max_dcr_share_low),
        ("privacy/dcr_share_closer_to_holdout", ">=", config.min_dcr_share_closer_to_holdout),
    ]
    return [(name, operator, limit) for name, operator, limit in asked if limit is not None]


def _as_strict(held: float | None, operator: str, asked: float) -> bool:
    """Whether a threshold that was held asks at least what is asked now."""
    if held is None:
        return False
    return {">=": held >= asked, "<=": held <= asked, "==": held == asked}[operator]


def _quality_hint(metrics: Mapping[str, float], asked: float) -> str:
    """Training longer does not help where real rows do not reach the threshold either."""
    ceiling = metrics.get("quality/ceiling")
    if ceiling is None or ceiling >= asked:
        return QUALITY_HINT
    return (
        f"real rows that were held out reach only {ceiling:.3f} on this table: more rows, fewer rare levels, or a "
        "reasoned evaluation.min_quality below that"
    )


def _check(name: str, measured: float | None, operator: str, asked: float, hint: str) -> Check:
    known = None if measured is None or not math.isfinite(measured) else float(measured)
    return Check(name, known, operator, float(asked), _holds(known, operator, asked), hint)


def _holds(measured: float | None, operator: str, asked: float) -> bool:
    if measured is None:
        return False
    comparisons = {">=": measured >= asked, "<=": measured <= asked, "==": measured == asked}
    if operator not in comparisons:
        raise GateError(f"a check's operator must be one of {OPERATORS}, however: {operator!r}; run evaluate again")
    return comparisons[operator]


def _number(value: float | None) -> str:
    if value is None:
        return "not computed"
    return f"{value:.0f}" if value == int(value) and abs(value) != 1 else f"{value:.4f}"


def _word(passed: bool) -> str:
    return "passed" if passed else "FAILED"


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
