"""From Macie's findings to ours: every occurrence counted once, none blamed on a column that Macie did not name."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabveil.aws.embedded.macie_answers import Origin, finding
from tabveil.aws.embedded.macie_reading import Detected
from tabveil.aws.macie_findings import (
    COMPLETE,
    MARKER,
    MARKER_TYPE,
    UNLOCATED,
    Detection,
    ObjectFinding,
    by_object,
    column_findings,
    parse,
    require_read,
)
from tabveil.custom_types import MAX_REGEX
from tabveil.errors import CloudError, ScanIncompleteError
from tabveil.pii.custom import MANAGED_IDENTIFIERS
from tabveil.pii.identifiers import Category, Severity

COLUMNS = {"Loan purpose": "purpose", "Employer": "employer"}
CELLS = {"amount": 900, "purpose": 1000, "employer": 800}
END = Detection(MARKER_TYPE, Category.CUSTOM, 1, (("end", 1001),))


def found(*detections: Detection, key="p/train.csv", status=COMPLETE, version_id="v1") -> ObjectFinding:
    return ObjectFinding(key, version_id, status, "a reason", Severity.HIGH, detections)


def named(type_: str, count: int, *places: tuple[str, int]) -> Detection:
    return Detection(type_, Category.PERSONAL, count, places)


def as_dict(findings) -> dict[tuple[str, str], int]:
    return {(f.column, f.type): f.count for f in findings}


def test_located_occurrences_belong_to_their_columns():
    seen = found(END, named("NAME", 3, ("Employer", 7), ("Loan purpose", 9), ("Employer", 2)))
    findings = column_findings(seen, COLUMNS, CELLS)
    assert as_dict(findings) == {("employer", "NAME"): 2, ("purpose", "NAME"): 1}
    employer = findings[0]
    assert (employer.column_number, employer.rows, employer.share) == (3, (2, 7), 2 / 800)


def test_what_macie_does_not_locate_is_nobodys():
    places = tuple(("Employer", row) for row in range(1, 16))
    findings = column_findings(found(END, named("NAME", 500, *places)), COLUMNS, CELLS)
    assert as_dict(findings) == {("employer", "NAME"): 15, (UNLOCATED, "NAME"): 485}


def test_occurrences_in_lines_or_unknown_columns_are_nobodys():
    seen = found(END, named("NAME", 4), named("ADDRESS", 1, ("Loan purpose, mangled", 3)))
    assert as_dict(column_findings(seen, COLUMNS, CELLS)) == {(UNLOCATED, "NAME"): 4, (UNLOCATED, "ADDRESS"): 1}


def test_a_file_of_one_column_locates_everything():
    seen = found(END, named("NAME", 500, ("Employer", 3)))
    (finding_,) = column_findings(seen, {"Employer": "employer"}, CELLS)
    assert (finding_.column, finding_.count) == ("employer", 500)


def test_no_finding_is_made_of_the_end_marker():
    assert column_findings(found(END), COLUMNS, CELLS) == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["NAME", "ADDRESS", "EMAIL_ADDRESS"]),
            st.lists(st.sampled_from(["Loan purpose", "Employer", "other", ""]), max_size=15),
            st.integers(0, 1000),
        ),
        max_size=6,
    )
)
def test_every_occurrence_is_counted_exactly_once(drawn):
    detections = [
        named(type_, len(headers) + more, *((h, row) for row, h in enumerate(headers, start=1)))
        for type_, headers, more in drawn
        if headers or more
    ]
    findings = column_findings(found(END, *detections), COLUMNS, CELLS)
    assert sum(f.count for f in findings) == sum(d.count for d in detections)
    assert {f.column for f in findings} <= {*COLUMNS.values(), UNLOCATED}
    assert all(0 < f.share <= 1 and len(f.rows) <= 15 for f in findings)


def origin(key: str = "p/train.csv") -> Origin:
    head = {
        "ContentLength": 12,
        "ETag": '"e"',
        "LastModified": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        "VersionId": "v1",
    }
    return Origin("123456789012", "eu-central-1", "job1", "bucket", key, head)


def test_an_answer_of_macie_is_read():
    detected = [
        Detected("GERMANY_BANK_ACCOUNT_NUMBER", Category.FINANCIAL, Severity.HIGH, 2, cells=[(5, 2, "Employer")]),
        Detected(MARKER["name"], Category.CUSTOM, Severity.LOW, 1, arn="arn", cells=[(9, 3, "end")]),
    ]
    seen = parse(finding("f1", origin(), detected, {"code": "COMPLETE"}))
    assert (seen.key, seen.version_id, seen.severity) == ("p/train.csv", "v1", Severity.HIGH)
    assert seen.read_to_its_end
    assert [(d.type, d.count, d.places) for d in seen.detections] == [
        ("BANK_ACCOUNT_NUMBER", 2, (("Employer", 5),)),
        (MARKER_TYPE, 1, (("end", 9),)),
    ]


def test_a_type_that_only_macie_knows_keeps_its_name():
    detected = [Detected("NEW_ZEALAND_SECRET", Category.PERSONAL, Severity.HIGH, 1)]
    assert parse(finding("f1", origin(), detected, {"code": "COMPLETE"})).detections[0].type == "NEW_ZEALAND_SECRET"


@pytest.mark.parametrize("path", ["$.Employer", "$['Employer']", '$["Employer"]'])
def test_records_of_parquet_name_their_column(path):
    answer = finding("f", origin(), [Detected("NAME", Category.PERSONAL, Severity.HIGH, 1)], {"code": "COMPLETE"})
    detection = answer["classificationDetails"]["result"]["sensitiveData"][0]["detections"][0]
    detection["occurrences"] = {"records": [{"jsonPath": path, "recordIndex": 4}, {"recordIndex": 7}]}
    assert parse(answer).detections[0].places == (("Employer", 5), ("", 8))


@pytest.mark.parametrize("missing", ["classificationDetails", "resourcesAffected", "severity"])
def test_an_answer_without_what_it_must_have_is_an_error(missing):
    answer = finding("f", origin(), [Detected("NAME", Category.PERSONAL, Severity.HIGH, 1)], {"code": "COMPLETE"})
    del answer[missing]
    with pytest.raises(CloudError, match="as its service model has them"):
        parse(answer)


def test_every_object_read_to_its_end_is_accepted():
    seen = by_object([found(END), found(END, named("NAME", 1), key="p/holdout.csv", version_id=None)])
    require_read(seen, {"p/train.csv": "v1", "p/holdout.csv": None})


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        ([], "train.csv was not read to its end"),
        ([found(named("NAME", 1))], "train.csv was not read to its end"),
        ([found(END, status="PARTIAL")], r"train.csv is PARTIAL \(a reason\)"),
        ([found(status="SKIPPED")], "train.csv is SKIPPED"),
        ([found(END), found(END, status="PARTIAL")], "train.csv is PARTIAL"),
        ([found(END, status="PARTIAL"), found(END)], "train.csv is PARTIAL"),
        ([found(END, version_id="v0")], "train.csv is not what was uploaded"),
        ([found(END), found(END, key="p/other.csv")], "other.csv is not what was uploaded"),
    ],
)
def test_no_finding_is_not_clean(seen, message):
    with pytest.raises(ScanIncompleteError, match=message):
        require_read(by_object(seen), {"p/train.csv": "v1"})


def test_several_findings_of_one_object_are_one():
    (merged,) = by_object([found(END), found(named("NAME", 1))]).values()
    assert {d.type for d in merged.detections} == {MARKER_TYPE, "NAME"}
    assert merged.read_to_its_end


def test_the_end_marker_is_within_macies_limits():
    assert len(MARKER["regex"]) <= MAX_REGEX
    assert len(MARKER["name"]) <= 128
    assert MARKER_TYPE not in MANAGED_IDENTIFIERS
