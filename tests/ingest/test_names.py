import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabveil.ingest.names import fold_ascii, snake_case, unique_names
from tabveil.schema import NAME_PATTERN


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Annual Income", "annual_income"),
        ("  Loan Amount\u00a0", "loan_amount"),
        ("E-Mail", "e_mail"),
        ("customerID", "customer_id"),
        ("HTTPServerName", "http_server_name"),
        ("delinq_2Y", "delinq_2y"),
        ("Straße", "strasse"),
        ("Größe (m²)", "groesse_m2"),
        ("Họ và Tên", "ho_va_ten"),
        ("Địa chỉ", "dia_chi"),
        ("Prénom", "prenom"),
        ("2020 total", "n_2020_total"),
        ("rate %", "rate_percent"),
        ("#rooms", "number_rooms"),
        ("PM2.5", "pm2_5"),
        ("", ""),
        ("---", ""),
        ("客户", ""),
    ],
)
def test_snake_case(header, name):
    assert snake_case(header) == name


def test_unique_names_number_blanks_and_repetitions():
    names, collisions = unique_names(["Amount", "amount ", "", "AMOUNT", " "])
    assert names == ("amount", "amount_2", "column_3", "amount_3", "column_5")
    assert collisions == {"amount": ["Amount", "amount ", "AMOUNT"]}


def test_unique_names_does_not_take_a_name_another_header_has():
    names, _ = unique_names(["a", "a", "a_2"])
    assert names == ("a", "a_3", "a_2")


@given(st.lists(st.text(max_size=12), min_size=1, max_size=12))
def test_unique_names_are_unique_and_valid(headers):
    names, _ = unique_names(headers)
    assert len(set(names)) == len(headers)
    assert all(NAME_PATTERN.fullmatch(name) for name in names)


@given(st.from_regex(r"[a-z][a-z]{0,5}(_[a-z]{1,5}){0,3}", fullmatch=True))
def test_snake_case_leaves_names_alone(name):
    assert snake_case(name) == name


@given(st.text())
def test_fold_ascii_gives_ascii(text):
    assert set(fold_ascii(text)) <= {chr(code) for code in range(128)}
    assert fold_ascii(string.ascii_letters) == string.ascii_letters
