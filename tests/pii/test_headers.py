import pytest

from tabveil.errors import PolicyViolationError
from tabveil.pii import check_headers
from tabveil.pii.identifiers import QUASI_TYPES, TYPES

RECORDS = [
    (["C1", "anna@acme.org", "3"], "2"),
    (["x", "4111111111111111"], "2"),
    (["4111 1111 1111 1111"], "1"),
    (["DE89370400440532013000", "x"], "1"),
    (["+1 212 555 0134"], "1"),
    (["0912345678"], "1"),
    (["012345678901"], "1"),
    (["536-90-4399"], "1"),
    (["192.168.1.77"], "1"),
    (["12 Main Street"], "1"),
    (["Hauptstraße 12"], "1"),
    (["write to jo@acme.org"], "1"),
    (["C1", "1984-03-02", "52000.50"], "2, 3"),
    (["03.02.1984 10:15", "yes", "7"], "1, 3"),
    (["Anna Schmidt", "Berlin", "34"], "1, 3"),
    (["jo\u200b@acme.org"], "1"),
]


@pytest.mark.parametrize(("headers", "positions"), RECORDS)
def test_record_in_place_of_a_header_is_refused_by_position(headers, positions):
    with pytest.raises(PolicyViolationError, match="looks like a record, not a header: add a header line") as caught:
        check_headers(headers)
    assert str(caught.value).endswith(f": {positions})")
    assert "\n" not in str(caught.value)
    assert not any(header in str(caught.value) for header in headers if len(header) > 3)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        ["", " "],
        ["country", "2019", "2020"],
        ["Province", "1/22/20", "1/23/20"],
        ["0", "1", "2"],
        ["400.5", "401.0"],
        ["Min Price", "Max Price", "Mark Price"],
        ["Trạng Thái", "Năm Sinh", "Họ và tên"],
        ["30 days past due", "12 month rolling view", "Customer Name", "Phone (home)", "v1.2.3", "card_4_digits"],
    ],
)
def test_header_is_a_header(headers):
    check_headers(headers)


def test_words_of_the_lexicon_are_headers():
    words = {word for kind in TYPES.values() for word in kind.headers} | {w for ws in QUASI_TYPES.values() for w in ws}
    check_headers(words)
    check_headers(word.replace("_", " ").title() for word in words)


def test_many_positions_are_cut():
    with pytest.raises(PolicyViolationError, match=r"9, 10, \.\.\.\)$"):
        check_headers(f"jo{n}@acme.org" for n in range(20))
