import datetime
import random
from collections import Counter

import pandas as pd
import pytest
from omegaconf import OmegaConf

from tabveil.config import CsvConfig, DatasetConfig, PreprocessConfig
from tabveil.errors import UnreadableFileError
from tabveil.ingest.draft import draft_dataset
from tabveil.ingest.guess import guess_column
from tabveil.ingest.guess_dates import guess_formats
from tabveil.ingest.roles import Found
from tabveil.preprocess import preprocess
from tabveil.schema import Action, ColumnType, Generalisation, SDType

NULLS = frozenset(["", "NA", "-"])


def guessed(values, name="v", csv=None):
    return guess_column(name, name, Counter(values), NULLS, csv or CsvConfig())


def loaded(draft):
    schema = OmegaConf.structured(DatasetConfig)
    return OmegaConf.to_object(OmegaConf.merge(schema, OmegaConf.create(draft.yaml)))


def drafted(tmp_path, text, scan=None, name="t", encoding="utf-8"):
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode(encoding))
    draft = draft_dataset(path, name, scan)
    return draft, loaded(draft), path


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2", "3.0", ""], ColumnType.integer),
        (["1", "2.5"], ColumnType.decimal),
        (["$1", "$2.50", "3"], ColumnType.decimal),
        (["Yes", "no", ""], ColumnType.boolean),
        (["0", "1"], ColumnType.integer),
        (["2020-01-01", "2020-02-28"], ColumnType.date),
        (["2020-01-01 10:00", "2020-02-28 11:30"], ColumnType.datetime),
        (["007", "008", "119"], ColumnType.string),
        (["1" * 25, "2" * 25], ColumnType.string),
        (["a", "1"], ColumnType.string),
        ([""], ColumnType.string),
        (["10.0.0.1", "10.0.0.2"], ColumnType.string),
    ],
)
def test_guess_type(values, kind):
    assert guessed(values).type is kind


def test_guess_tolerates_a_few_misfits_and_counts_them():
    guess = guessed([*map(str, range(500)), "see file"])
    assert (guess.type, guess.num_unfit) == (ColumnType.integer, 1)
    assert guessed([*map(str, range(50)), "see file"]).type is ColumnType.string


def test_guess_reads_words_as_missing_in_numbers_only():
    assert guessed([*map(str, range(20)), *["unknown"] * 9]).null_tokens == ("unknown",)
    assert guessed(["red", "blue", "unknown"]).null_tokens == ()
    assert guessed(["red", "?"]).null_tokens == ("?",)


def test_guess_leaves_postcodes_as_text():
    assert guessed(["10115", "20095"], name="zip_code").type is ColumnType.string


@pytest.mark.parametrize(
    ("values", "formats"),
    [
        (["2020-01-31"], ()),
        (["31/01/2020", "01/02/2020"], ("%d/%m/%Y",)),
        (["01/31/2020", "01/02/2020"], ("%m/%d/%Y",)),
        (["31.01.2020", "01.02.2020", "2020-02-01"], ("%d.%m.%Y", "%Y-%m-%d")),
        (["Mar-2018", "Jan-2019"], ("%b-%Y",)),
        (["5 March 2018", "17 May 2018"], ("%d %B %Y",)),
        (["2020-01-01T10:00:00Z"], ("%Y-%m-%dT%H:%M:%S%z",)),
    ],
)
def test_guess_formats(values, formats):
    assert guess_formats("v", Counter(values), day_first=True).formats == formats


def test_guess_formats_says_when_undecidable():
    ambiguous = Counter(["01/02/2020", "03/04/2021"])
    first = guess_formats("v", ambiguous, day_first=True)
    assert first.formats == ("%d/%m/%Y",)
    assert "every value fits both" in first.notes[0]
    assert guess_formats("v", ambiguous, day_first=False).formats == ("%m/%d/%Y",)
    assert guess_formats("v", Counter(["31/01/2020"]), day_first=False).notes == ()


def test_guess_formats_reads_compact_dates_under_a_date_header_only():
    values = Counter(["20200131", "20200201"])
    assert guess_formats("booking_date", values, day_first=True).formats == ("%Y%m%d",)
    assert guess_formats("amount", values, day_first=True) is None


def adult_like():
    rng = random.Random(0)
    lines = ["Age;Work Class;Capital Gain;Hours per Week;Salary"]
    for _ in range(300):
        work = rng.choice(["Private", "State-gov", "?", "Self-emp"])
        gain = f"{rng.uniform(0, 9000):.2f}".replace(".", ",")
        lines.append(f"{rng.randint(17, 90)};{work};{gain};{rng.randint(1, 99)};{rng.choice(['<=50K', '>50K'])}")
    return "\n".join(lines) + "\n"


def wide_numbers():
    rng = random.Random(1)
    lines = ["\t".join(f"Sensor {n}" for n in range(40))]
    lines += ["\t".join(f"{rng.gauss(0, 1):.4f}" for _ in range(40)) for _ in range(200)]
    return "\n".join(lines) + "\n"


def transactions():
    rng = random.Random(2)
    lines = ["transaction_id,customer_id,e-mail,Booked At,amount,Is Refund,branch_id,Memo"]
    for number in range(400):
        moment = datetime.datetime(2024, 1, 1) + datetime.timedelta(minutes=rng.randrange(500_000))
        customer = rng.randrange(150)
        memo = " ".join(rng.choice(["rent", "coffee", "salary", "gift", "books", "fuel"]) for _ in range(9))
        lines.append(
            f"T{number:06d},{1000 + customer},user{customer}@example.com,{moment:%d/%m/%Y %H:%M},"
            f'"{rng.randrange(1, 9)},{rng.randrange(1000):03d}.{rng.randrange(100):02d}",'
            f"{rng.choice(['true', 'false'])},{rng.randrange(4)},{memo} {number}"
        )
    return "\n".join(lines) + "\n"


def test_draft_adult_with_semicolons_and_decimal_comma(tmp_path):
    draft, dataset, path = drafted(tmp_path, adult_like())
    assert (dataset.csv.delimiter, dataset.csv.decimal) == (";", ",")
    assert dataset.columns["capital_gain"].type is ColumnType.decimal
    assert "?" in dataset.null_tokens
    assert dataset.target is None
    result = preprocess(path, dataset, PreprocessConfig())
    assert result.profile["counts"]["rejected"] == 0
    assert result.table["work_class"].isna().any()
    assert result.table["capital_gain"].max() < 9001
    assert "# target: " in draft.yaml


def test_draft_wide_numbers_with_tabs(tmp_path):
    _, dataset, path = drafted(tmp_path, wide_numbers())
    assert len(dataset.columns) == 40
    assert {spec.type for spec in dataset.columns.values()} == {ColumnType.decimal}
    assert preprocess(path, dataset, PreprocessConfig()).table.shape == (200, 40)


def test_draft_transactions(tmp_path):
    seen = {}

    def scan(table, headers):
        seen.update(table=table, headers=headers)
        return {"e_mail": Found("EMAIL_ADDRESS"), "memo": Found("NAME", in_text=True)}

    draft, dataset, path = drafted(tmp_path, transactions(), scan)
    columns = dataset.columns
    assert dataset.entity_key == "customer_id"
    assert columns["customer_id"].policy.action is Action.pseudonymise
    assert columns["transaction_id"].sdtype is SDType.id
    assert columns["transaction_id"].policy.action is Action.regenerate
    assert (columns["e_mail"].semantic_type, columns["e_mail"].policy.action) == ("EMAIL_ADDRESS", Action.regenerate)
    assert (columns["memo"].semantic_type, columns["memo"].sdtype) == ("FREE_TEXT", SDType.text)
    assert (columns["booked_at"].type, columns["booked_at"].formats) == (ColumnType.datetime, ["%d/%m/%Y %H:%M"])
    assert columns["is_refund"].type is ColumnType.boolean
    assert (columns["branch_id"].type, columns["branch_id"].sdtype) == (ColumnType.integer, SDType.categorical)
    assert (columns["amount"].type, dataset.csv.thousands) == (ColumnType.decimal, ",")
    assert any("EMAIL_ADDRESS" in assumption for assumption in draft.assumptions)
    result = preprocess(path, dataset, PreprocessConfig())
    assert result.profile["counts"]["kept"] == 400
    pd.testing.assert_frame_equal(seen["table"], result.table)
    assert seen["headers"]["booked_at"] == "Booked At"


OWNERS = {"customer_id": "person", "account_no": "other", "card_ref": "other", "member_no": "person"}


def owned(*_):
    return {name: Found("UNIQUE_IDENTIFIER", quasi=True, owner=owner) for name, owner in OWNERS.items()}


def test_draft_never_models_the_id_of_a_person_however_often_it_repeats(tmp_path):
    lines = [f"CU{n % 40:04d},{n % 90},{n},{n % 3},{n % 4},{n % 7 + 0.5}" for n in range(2400)]
    header = "customer_id,account_no,card_ref,member_no,branch_id,account_balance"
    draft, dataset, path = drafted(tmp_path, "\n".join([header, *lines]) + "\n", owned)
    assert dataset.entity_key == "customer_id"
    actions = {name: spec.policy.action for name, spec in dataset.columns.items() if spec.sdtype is SDType.id}
    assert actions == {
        "customer_id": Action.pseudonymise, "account_no": Action.pseudonymise, "card_ref": Action.regenerate,
        "member_no": Action.pseudonymise,
    }  # fmt: skip
    assert {dataset.columns[name].semantic_type for name in actions} == {"UNIQUE_IDENTIFIER"}
    assert dataset.columns["branch_id"].sdtype is SDType.categorical
    said = "customer_id: id of a person or contract, never modelled; entity key: repeats across rows -> pseudonymise"
    assert said in draft.assumptions
    assert preprocess(path, dataset, PreprocessConfig()).profile["counts"]["kept"] == 2400


def test_draft_takes_codes_under_a_word_for_people_as_ids(tmp_path):
    lines = [f"K{n % 60:03d},{n % 400},{'new' if n % 2 else 'old'}" for n in range(1800)]
    _, dataset, _ = drafted(tmp_path, "\n".join(["Customer,account_balance,client", *lines]) + "\n")
    assert dataset.entity_key == "customer"
    assert dataset.columns["customer"].sdtype is SDType.id
    assert dataset.columns["account_balance"].policy is None
    assert dataset.columns["client"].policy is None


def test_draft_has_no_entity_key_of_too_few_people(tmp_path):
    text = "member_no,x\n" + "".join(f"{n % 5},{n}\n" for n in range(400))
    _, dataset, _ = drafted(
        tmp_path, text, lambda *_: {"member_no": Found("UNIQUE_IDENTIFIER", quasi=True, owner="person")}
    )
    assert dataset.entity_key is None
    assert dataset.columns["member_no"].policy.action is Action.pseudonymise


def test_draft_date_of_birth_keeps_its_year(tmp_path):
    text = "dob,x\n" + "".join(f"{1950 + n % 40}-01-{1 + n % 28:02d},{n}\n" for n in range(60))
    _, dataset, _ = drafted(tmp_path, text, lambda *_: {"dob": Found("DATE_OF_BIRTH")})
    assert dataset.columns["dob"].policy.method is Generalisation.year


def test_draft_names_quasi_identifiers_where_their_values_agree(tmp_path):
    def row(n):
        return (
            f"K{n:04d},{'Berlin' if n % 2 else f'Village {n}'},{n % 9:05d},{20 + n % 50},{n % 7},{'mf'[n % 2]},x{n % 3}"
        )

    text = "client_id,city,zip,age,land,sex,state\n" + "".join(row(n) + "\n" for n in range(400))
    quasi = {"client_id": "UNIQUE_IDENTIFIER", "city": "CITY", "zip": "POSTAL_CODE"}
    quasi |= {"age": "AGE", "land": "COUNTRY", "sex": "GENDER"}
    found = {name: Found(type_, quasi=True) for name, type_ in {**quasi, "state": "UNIQUE_IDENTIFIER"}.items()}
    draft, dataset, _ = drafted(tmp_path, text, lambda *_: found)
    columns = dataset.columns
    assert {name for name, spec in columns.items() if spec.semantic_type} == {"client_id", "city", "zip", "age", "sex"}
    assert (columns["client_id"].sdtype, columns["client_id"].policy.action) == (SDType.id, Action.regenerate)
    for name in ("city", "zip"):
        assert columns[name].semantic_type == quasi[name]
        assert (columns[name].policy.method, columns[name].policy.min_count) == (Generalisation.frequent, 20)
    assert columns["age"].policy is None
    assert "sex: looks like GENDER" in draft.assumptions


def test_draft_says_nothing_where_nothing_follows(tmp_path):
    draft, _, _ = drafted(tmp_path, "month,x\n" + "".join(f"2024-0{1 + n % 3}-01,{n}\n" for n in range(60)))
    assert "month: 3 different dates: a category" in draft.assumptions
    assert not any("None" in assumption for assumption in draft.assumptions)


def test_draft_reads_an_open_end(tmp_path):
    seen = []
    text = "valid_to,x\n" + "".join(f"{2000 + n}-12-31,{n}\n9999-12-31,{n}\n" for n in range(30))
    _, dataset, path = drafted(tmp_path, text, lambda table, _: seen.append(table) or {})
    assert str(seen[0]["valid_to"].max().date()) == "9999-12-31"
    assert preprocess(path, dataset, PreprocessConfig()).table["valid_to"].max().year == 9999


def test_draft_many_levels(tmp_path):
    jobs = [f"job {n % 4}" if n % 2 else f"rare job {n}" for n in range(400)]
    texts = [f"a long remark that nobody else wrote down, number {n}, in words" for n in range(400)]
    text = "job,remark\n" + "".join(f'{job},"{remark}"\n' for job, remark in zip(jobs, texts, strict=True))
    _, dataset, _ = drafted(tmp_path, text)
    assert dataset.columns["job"].policy.method is Generalisation.frequent
    assert dataset.columns["job"].policy.min_count == 20
    assert dataset.columns["remark"].policy.action is Action.regenerate


def test_draft_odd_headers_make_valid_yaml(tmp_path):
    header = 'No,"y","on ","a ""b"": # c","$' + '{x}",Größe,,No\n'
    draft, dataset, path = drafted(tmp_path, header + "1,2,3,4,5,6,7,8\n2,3,4,5,6,7,8,9\n")
    assert list(dataset.columns) == ["no", "y", "on", "a_b_number_c", "x", "groesse", "column_7", "no_2"]
    assert len(preprocess(path, dataset, PreprocessConfig()).table) == 2
    assert any("2 columns want the name no" in assumption for assumption in draft.assumptions)


def test_draft_says_when_the_header_looks_like_data(tmp_path):
    draft, _, _ = drafted(tmp_path, "1,a@b.de,x\n2,c@d.de,y\n3,e@f.de,z\n")
    assert any("2 headers look like values" in assumption for assumption in draft.assumptions)


def test_draft_raises_the_limit_when_many_rows_do_not_fit(tmp_path):
    text = "a,b\n" + "".join(f"{n},{n}\n" if n % 10 else "broken\n" for n in range(100))
    draft, dataset, path = drafted(tmp_path, text)
    assert dataset.max_rejected_fraction == pytest.approx(0.11)
    told = "10 malformed lines will go to quarantine: line 2: 1 field instead of 2; line 12: "
    assert any(sentence.startswith(told) and sentence.endswith("; ...") for sentence in draft.assumptions)
    assert preprocess(path, dataset, PreprocessConfig()).profile["counts"]["rejected"] == 10


def test_draft_refuses_a_file_whose_lines_differ(tmp_path):
    with pytest.raises(UnreadableFileError, match="title lines"):
        drafted(tmp_path, "Report; of; today; x\n" + "1;2;3\n" * 100)
    with pytest.raises(UnreadableFileError, match=r"500 of 1500 lines differ"):
        drafted(tmp_path, "a;b\n" + "1;2\n" * 1000 + "1;2;3\n" * 500)


def test_draft_empty_column_is_dropped(tmp_path):
    _, dataset, _ = drafted(tmp_path, "a,b\n1,\n2,\n")
    assert dataset.columns["b"].policy.action is Action.drop


def test_draft_parquet(tmp_path):
    moments = pd.to_datetime(["2020-01-01 10:00", "2021-01-01 11:00"] * 20)
    frame = pd.DataFrame({"Ok": [True, False] * 20, "When": moments, "X": [0.5, None] * 20, "N": range(40)})
    frame.to_parquet(tmp_path / "t.parquet")
    dataset = loaded(draft_dataset(tmp_path / "t.parquet", "t"))
    types = [spec.type for spec in dataset.columns.values()]
    assert types == [ColumnType.boolean, ColumnType.string, ColumnType.decimal, ColumnType.integer]
    assert len(preprocess(tmp_path / "t.parquet", dataset, PreprocessConfig()).table) == 40


def test_draft_other_encodings(tmp_path):
    for encoding in ("utf-16", "cp1252", "utf-8-sig"):
        _, dataset, path = drafted(tmp_path, "Straße,b\nä,1\nö,2\n", encoding=encoding)
        assert list(dataset.columns) == ["strasse", "b"]
        assert preprocess(path, dataset, PreprocessConfig()).table["strasse"].tolist() == ["ä", "ö"]


def test_draft_is_deterministic(tmp_path):
    assert drafted(tmp_path, transactions())[0] == drafted(tmp_path, transactions())[0]


@pytest.mark.parametrize("num_rows", [100, 5000])
def test_draft_says_where_a_quotation_mark_is_not_closed(tmp_path, num_rows):
    rows = [f"{n},street {n},{n}.5" for n in range(num_rows)]
    rows[20] = '20,"street 20,20.5'
    draft, dataset, path = drafted(tmp_path, "\n".join(["n,street,amount", *rows]) + "\n")
    assert dataset.csv.quote == '"'
    told = "1 malformed line will go to quarantine: line 22: a quotation mark without its partner"
    assert told in draft.assumptions
    quarantine = preprocess(path, dataset, PreprocessConfig()).quarantine
    assert quarantine["_line"].tolist() == ['20,"street 20,20.5']


def test_draft_reads_digits_beyond_exact_numbers_as_text(tmp_path):
    first = 2**53 + 1
    rows = (f"{first + n},{first + n % 3},{n if n else first}\n" for n in range(90))
    draft, dataset, path = drafted(tmp_path, "ref,level,few\n" + "".join(rows))
    types = {name: (spec.type, spec.resolved_sdtype) for name, spec in dataset.columns.items()}
    assert types["ref"] == (ColumnType.string, SDType.id)
    assert types["level"] == (ColumnType.string, SDType.categorical)
    assert types["few"] == (ColumnType.integer, SDType.numerical)
    assert "few: a model rounds its numbers beyond 2^53 (1 different ones)" in draft.assumptions
    table = preprocess(path, dataset, PreprocessConfig()).table
    assert set(table["level"]) == {str(first + n) for n in range(3)}
