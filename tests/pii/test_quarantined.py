import pandas as pd
import pytest

from tabveil.config import CsvConfig, DatasetConfig
from tabveil.pii import IdentityDigests, everyone
from tabveil.schema import Action, Column, ColumnSpec, ColumnType, SDType

COLUMNS = {
    "phone": ColumnSpec(sdtype=SDType.id),
    "full_name": ColumnSpec(sdtype=SDType.text),
    "number": ColumnSpec(type=ColumnType.integer, sdtype=SDType.id),
}
TABLE = pd.DataFrame({"phone": ["040 111111"], "full_name": ["Jo Wu"], "number": pd.array([3], "Int64")})
TYPES = {"phone": "PHONE_NUMBER", "full_name": "NAME", "number": "UNIQUE_IDENTIFIER"}


def digests_of(csv: CsvConfig | None = None, **quarantine: list[str | None]) -> IdentityDigests:
    dataset = DatasetConfig(name="people", columns=COLUMNS, csv=csv or CsvConfig(thousands=","))
    people = everyone(TABLE, pd.DataFrame(quarantine, dtype=object), dataset)
    columns = [Column(n, n, c.type, c.resolved_sdtype, Action.regenerate, TYPES[n]) for n, c in COLUMNS.items()]
    return IdentityDigests.build(people, columns, bytes(32))


def test_quarantined_people_are_among_everyone():
    digests = digests_of(_row=["7"], _reason=["number: not an integer"], phone=["414-555-0161"], number=["x"])
    assert digests.contains("phone", ["+1-414-555-0161", "040 111111", "030 222222"]).tolist() == [True, True, False]


@pytest.mark.parametrize("cell", ["1000000.0", "1,000,000", "\u200b1000000", " 1000000. ", "0001000000"])
def test_raw_numbers_are_the_numbers_they_would_have_become(cell):
    digests = digests_of(phone=["x"], full_name=["y"], number=[cell])
    assert digests.contains("number", [1_000_000, 1_000_001]).tolist() == [True, False]


def test_decimal_comma_and_digits_that_no_float_holds():
    comma = digests_of(CsvConfig(decimal=",", thousands="."), number=["1.000.000,0"])
    assert comma.contains("number", [1_000_000]).all()
    large = digests_of(number=["9007199254740993"])
    assert large.contains("number", [9007199254740993, 9007199254740992]).tolist() == [True, False]


def test_raw_texts_lose_what_preprocessing_takes_away_and_null_tokens_are_nobody():
    digests = digests_of(full_name=["\ufeffAnna\u00a0Schmidt ", "N/A", None], phone=["-", "N/A", None])
    assert digests.contains("full_name", ["anna schmidt"]).all()
    assert not digests.contains("full_name", ["N/A"]).any()
    assert len(digests.digests["phone"]) == 1


def test_people_of_a_line_that_was_no_record_are_known_in_every_column():
    digests = digests_of(full_name=[None], _line=['Max Mustermann,"030 901820777",12,surplus'])
    assert digests.contains("full_name", ["Max Mustermann"]).all()
    assert digests.contains("phone", ["+49 30 901820777"]).all()
