"""Every metric's label, the question it answers and how to read it: one list for the report and the docs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """One entry.

    Args:
        name: as in `Evaluation.metrics`, below `group`.
        reading: what is good, in a few words.
        style: "score" (three decimals), "share" (per cent) or "count".
    """

    group: str
    name: str
    label: str
    reading: str
    style: str = "score"

    @property
    def key(self) -> str:
        """Full name, ``quality/overall``."""
        return f"{self.group}/{self.name}"


CATALOGUE = (
    Metric("quality", "overall", "Quality, sdmetrics' stock score", "read it between floor and ceiling"),
    Metric("quality", "column_shapes", "Column shapes, stock", "higher is better; 1 is identical"),
    Metric("quality", "column_pair_trends", "Column pair trends, stock", "counts associated pairs only"),
    Metric("quality", "num_counted_pairs", "Pairs the stock score counts", "context", "count"),
    Metric("quality", "floor", "Floor: columns shuffled independently", "what no relation at all scores"),
    Metric("quality", "ceiling", "Ceiling: real holdout", "what fresh real rows score, on samples of equal size"),
    Metric("quality", "ceiling_bootstrap", "Ceiling: training rows drawn again", "what copying scores"),
    Metric("quality", "overall_at_holdout_size", "Quality at the holdout's size", "compare this one with the ceiling"),
    Metric("quality", "shared_shapes", "Column shapes, shared bins", "higher is better; includes missing values"),
    Metric("quality", "shared_shapes_ceiling", "Column shapes, ceiling", "real holdout, same number of rows"),
    Metric("quality", "shared_trends", "Pair trends, shared bins, all pairs", "higher is better"),
    Metric("quality", "shared_trends_floor", "Pair trends, floor", "columns shuffled, same number of rows"),
    Metric("quality", "shared_trends_ceiling", "Pair trends, ceiling", "real holdout, same number of rows"),
    Metric("quality", "association_difference", "Mean change of an association", "lower is better; 0 is identical"),
    Metric("diagnostic", "overall", "Diagnostic, overall", "1: no value out of range, no unseen category"),
    Metric("diagnostic", "data_validity", "Data validity", "1: ranges and categories hold"),
    Metric("diagnostic", "data_structure", "Data structure", "1: same columns"),
    Metric("detection", "c2st_auc", "Synthetic told apart from holdout (AUC)", "lower is better; 0.5 is undetectable"),
    Metric("detection", "c2st_auc_ceiling", "Training told apart from holdout (AUC)", "the best possible, about 0.5"),
    Metric("utility", "tstr", "Target: trained on synthetic, tested on real", "higher is better; read beside the next"),
    Metric("utility", "trtr", "Target: trained on real, tested on real", "what real data reaches"),
    Metric("utility", "all_columns_tstr", "All columns: trained on synthetic", "higher is better; 0 is chance"),
    Metric("utility", "all_columns_trtr", "All columns: trained on real", "what real data reaches"),
    Metric("privacy", "dcr_share_closer_to_train", "Rows closer to training rows", "50 % shows no copying", "share"),
    Metric("privacy", "dcr_share_closer_to_train_low", "the same, lower 95 % bound", "", "share"),
    Metric("privacy", "dcr_share_closer_to_train_high", "the same, upper 95 % bound", "", "share"),
    Metric("privacy", "dcr_effective_rows", "Independent rows these bounds rest on", "context", "count"),
    Metric("privacy", "dcr_share_closer_to_holdout", "Rows closer to unseen rows", "the complement", "share"),
    Metric("privacy", "dcr_median", "Median distance to the nearest training row", "not far below the next"),
    Metric("privacy", "dcr_median_holdout", "the same, for unseen real rows", "what real rows show"),
    Metric("privacy", "nndr", "Nearest over second nearest distance (median)", "not far below the next"),
    Metric("privacy", "nndr_holdout", "the same, for unseen real rows", "what real rows show"),
    Metric("privacy", "identical_share", "Rows that repeat a training row exactly", "not above the next", "share"),
    Metric("privacy", "identical_share_holdout", "Unseen real rows that do", "what chance gives", "share"),
    Metric("privacy", "identical_ratio", "The two compared, at equal size", "about 1 or less"),
    Metric("rare", "recall", "Share of rare groups kept (mean recall)", "higher is better; 1 is all"),
    Metric("rare", "recall_ceiling", "the same, real holdout", "what fresh real rows reach"),
    Metric("rare", "recall_worst", "Worst kept rare group", "higher is better"),
    Metric("rare", "coverage", "Rare groups that occur at all", "higher is better", "share"),
    Metric("rare", "num_groups", "Rare groups counted", "context", "count"),
)  # fmt: skip

GROUPS = {
    "quality": ("Fidelity", "Is it true to the real table?"),
    "diagnostic": ("Validity", "Does it keep to the real table's ranges and categories?"),
    "detection": ("Detection", "Can a model tell it from real rows?"),
    "utility": ("Usefulness", "Does a model learned on it work on real rows?"),
    "privacy": ("Privacy", "Does it copy or single out people?"),
    "rare": ("Rare groups", "Do small groups survive?"),
}


def formatted(value: float | None, style: str = "score") -> str:
    """A metric as the report writes it; an en dash when it was not computed."""
    if value is None or value != value:  # noqa: PLR0124 (NaN)
        return "–"
    if style == "count":
        return f"{value:,.0f}"
    return f"{value:.1%}" if style == "share" else f"{value:.3f}"
