"""Texts as the scanner reads them: one at a time and as a column alike."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabveil.pii.columns import clean_text, plain_signs, read_column, visible_text


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("536\u201190\u20104399", "536-90-4399"),
        ("a \u2013 b \u2014 c \u2212 3", "a - b - c - 3"),
        ("\u0664\u0661\u0661\u0661", "4111"),
        ("\u096f\u0967", "91"),
        ("\uff14\u200b\uff11 ", "41"),
        ("x²", "x2"),
        ("Straße", "Straße"),
    ],
)
def test_dashes_and_digits_of_other_scripts_are_read_as_plain_ones(raw, clean):
    assert clean_text(raw) == clean
    assert read_column(pd.Series([raw]), "c", "c").values.to_list() == [clean]


@given(st.text(max_size=40))
def test_plain_signs_keep_every_character_at_its_place(text):
    visible = visible_text(text)
    plain = plain_signs(visible)
    assert len(plain) == len(visible)
    assert all(a == b or b in "-0123456789" for a, b in zip(visible, plain, strict=True))
    assert plain_signs(plain) == plain


@given(st.lists(st.text(st.characters(categories=["Nd", "Pd", "Ll", "Sm"]), min_size=1, max_size=8), min_size=1))
def test_a_column_is_cleaned_as_its_texts_are(texts):
    cleaned = dict.fromkeys(clean_text(text) for text in texts)
    assert read_column(pd.Series(texts, dtype=object), "c", "c").values.to_list() == list(cleaned)
