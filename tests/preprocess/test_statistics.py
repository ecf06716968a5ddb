import math

from hypothesis import given
from hypothesis import strategies as st

from tabveil.preprocess.spark_job import round_to, rounding_step
from tabveil.preprocess.statistics import ColumnStatistics, Statistics

NUMBER = st.floats(-1e9, 1e9)


@given(NUMBER, NUMBER)
def test_clip_bounds_round_outwards_by_little(first, second):
    low, high = sorted((first, second))
    step = rounding_step(low, high)
    assert step <= max(high - low, 0) / 999
    slack = 1e-6 * max(1.0, abs(low), abs(high))
    assert low - step - slack <= round_to(low, step, "down") <= low + slack
    assert high - slack <= round_to(high, step, "up") <= high + step + slack


def test_a_constant_is_not_rounded():
    assert rounding_step(3.3, 3.3) == 0
    assert round_to(3.3, 0) == 3.3
    assert rounding_step(0, math.inf) == 0


def test_round_to_leaves_no_binary_dust():
    assert round_to(0.123456, 0.001) == 0.123
    assert round_to(1234567, 100.0, "up") == 1234600


def test_to_dict_hides_categories():
    record = Statistics(
        {"a": ColumnStatistics(fill="x", fill_kind="mode", secret=True), "b": ColumnStatistics(low=0, high=1)}
    ).to_dict()
    assert record == {"columns": {"a": {"mode": "(not shown)"}, "b": {"clip": [0, 1]}}, "signs": {}}


def test_a_range_too_small_to_divide_is_not_rounded():
    assert rounding_step(0.0, 5e-324) == 0
