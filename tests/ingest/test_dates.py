import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabveil.errors import ConfigError
from tabveil.ingest.dates import compile_format, parse


@pytest.mark.parametrize(
    ("format", "text", "expected"),
    [
        ("%d/%m/%Y", "3/4/2020", datetime.datetime(2020, 4, 3)),
        ("%m/%d/%y", "12/31/99", datetime.datetime(1999, 12, 31)),
        ("%d.%m.%y", "01.02.68", datetime.datetime(2068, 2, 1)),
        ("%d %b %Y", "5 MAR 2021", datetime.datetime(2021, 3, 5)),
        ("%B %d, %Y", "March 5, 2021", datetime.datetime(2021, 3, 5)),
        ("%b-%Y", "Mar-2018", datetime.datetime(2018, 3, 1)),
        ("%Y%m%d", "20240229", datetime.datetime(2024, 2, 29)),
        ("%Y-%m-%d %I:%M %p", "2020-01-01 12:05 am", datetime.datetime(2020, 1, 1, 0, 5)),
        ("%Y-%m-%d %I:%M %p", "2020-01-01 1:05 PM", datetime.datetime(2020, 1, 1, 13, 5)),
        ("%Y-%m-%dT%H:%M:%S.%f", "2020-01-01T01:02:03.5", datetime.datetime(2020, 1, 1, 1, 2, 3, 500000)),
        ("%Y-%m-%dT%H:%M:%S%z", "2020-01-01T01:00:00+07:00", datetime.datetime(2019, 12, 31, 18)),
        ("%Y-%m-%dT%H:%M%z", "2020-01-01T01:00-0530", datetime.datetime(2020, 1, 1, 6, 30)),
        ("%d/%m/%Y", "31/02/2020", None),
        ("%d/%m/%Y", "2020-01-01", None),
        ("%d %b %Y", "5 foo 2021", None),
        ("%d/%m/%Y", " 1/1/2020", None),
        ("100%% %Y", "100% 2020", datetime.datetime(2020, 1, 1)),
    ],
)
def test_parse(format, text, expected):
    assert parse(compile_format(format), text) == expected


@pytest.mark.parametrize("format", ["%d/%m", "%Q-%Y", "%Y %Y", "%Y-%", ""])
def test_compile_format_refuses(format):
    with pytest.raises(ConfigError, match="date format"):
        compile_format(format)


@given(st.datetimes(min_value=datetime.datetime(1000, 1, 1)), st.sampled_from(["%Y-%m-%d %H:%M:%S.%f", "%d.%m.%Y"]))
def test_parse_reads_what_strftime_writes(moment, format):
    expected = datetime.datetime.strptime(moment.strftime(format), format)
    assert parse(compile_format(format), moment.strftime(format)) == expected
