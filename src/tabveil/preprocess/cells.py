"""One cell's way from text to a value, as Ibis expressions that mean the same on DuckDB and Spark.

Every cast is gated by a regular expression and then tried, because engines cast differently (``1_000``, ``0x1A``,
``2020`` as a date). Patterns and replacements use no back-references. Where text does not fit, the value is NULL;
whether that makes the row bad is judged later.
"""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

from tabveil.ingest.dates import ISO_DATE, ISO_DATETIME, MONTHS, DatePattern
from tabveil.ingest.text import character_class, group_marks, number_pattern
from tabveil.preprocess.spec import ColumnPlan, TableSpec
from tabveil.schema import ColumnType

# `tabveil.ingest.text.TRIMMED` as a class of code points, readable in the SQL
BLANKS = r"[\x{0009}-\x{000D}\x{0020}\x{00A0}\x{2007}\x{200B}-\x{200D}\x{202F}\x{2060}\x{3000}\x{FEFF}]+"
_MAX_DOUBLE = 1.7976931348623157e308


def whole(pattern: str) -> str:
    """An anchored pattern that ends at the very end: in Java, ``$`` also matches before a last line separator."""
    return f"{pattern.removesuffix('$')}\\z"


def bare(text: ir.StringValue) -> ir.StringValue:
    """Text without blanks, NBSP and zero-width characters at its ends."""
    return text.re_replace(whole(f"^{BLANKS}|{BLANKS}$"), "")


def without_nulls(text: ir.StringValue, null_tokens: tuple[str, ...]) -> ir.StringValue:
    """NULL where the text is a null token.

    CASE instead of IN: DuckDB turns long IN lists into joins, one per column, which is slow on wide tables.
    """
    return text.cases(*((token, ibis.null("string")) for token in null_tokens), else_=text)


def typed(text: ir.StringValue, column: ColumnPlan, spec: TableSpec, sign: str | None) -> ir.Value:
    """The value of trimmed text in the column's type; NULL where it does not fit.

    Args:
        sign: currency or percent sign that this column's numbers carry (fitted).
    """
    kind = column.spec.type
    if kind is ColumnType.string:
        return text
    if kind is ColumnType.boolean:
        return _boolean(text, spec)
    if kind is ColumnType.integer:
        return _integer(text, spec, sign)
    if kind is ColumnType.decimal:
        return _decimal(text, spec, sign)
    return _moment(text, column, spec)


def _boolean(text: ir.StringValue, spec: TableSpec) -> ir.Value:
    tokens = [(token, True) for token in spec.true_tokens] + [(token, False) for token in spec.false_tokens]
    return text.lower().cases(*tokens, else_=ibis.null("boolean"))


def _integer(text: ir.StringValue, spec: TableSpec, sign: str | None) -> ir.Value:
    fits = text.re_search(whole(number_pattern(spec.csv, integer=True, sign=sign)))
    digits = _without_sign(text, sign).re_replace(whole(f"{character_class(spec.csv.decimal)}0*$"), "")
    return ibis.cases((fits, _ungrouped(digits, spec).try_cast("int64")), else_=ibis.null("int64"))


def _decimal(text: ir.StringValue, spec: TableSpec, sign: str | None) -> ir.Value:
    fits = text.re_search(whole(number_pattern(spec.csv, integer=False, sign=sign)))
    plain = _ungrouped(_without_sign(text, sign), spec)
    if spec.csv.decimal != ".":
        plain = plain.replace(spec.csv.decimal, ".")
    value = plain.try_cast("float64")
    return ibis.cases((fits & (value.abs() <= _MAX_DOUBLE), value), else_=ibis.null("float64"))


def _without_sign(text: ir.StringValue, sign: str | None) -> ir.StringValue:
    return text if sign is None else text.replace(sign, "").replace(" ", "")


def _ungrouped(text: ir.StringValue, spec: TableSpec) -> ir.StringValue:
    for mark in group_marks(spec.csv.thousands or ""):
        text = text.replace(mark, "")
    return text


def _moment(text: ir.StringValue, column: ColumnPlan, spec: TableSpec) -> ir.Value:
    kind = "date" if column.spec.type is ColumnType.date else "timestamp"
    branches = [(text.re_search(whole(pattern.regex)), _by_format(text, pattern)) for pattern in column.dates]
    if spec.iso_dates or not column.dates:
        branches.append((text.re_search(whole(ISO_DATE if kind == "date" else ISO_DATETIME)), _by_iso(text, kind)))
    # tried in order: the first format that gives an existing moment
    tried = [ibis.cases((fits, moment.cast(kind)), else_=ibis.null(kind)) for fits, moment in branches]
    return tried[0] if len(tried) == 1 else ibis.coalesce(*tried)


def _by_iso(text: ir.StringValue, kind: str) -> ir.Value:
    if kind == "date":
        return text.substr(0, 10).try_cast("date")
    return text.re_replace(whole("(Z|[+]00:?00|[+]00)$"), "").replace("T", " ").try_cast("timestamp")


def _by_format(text: ir.StringValue, pattern: DatePattern) -> ir.Value:
    part = {name: text.re_extract(whole(pattern.regex), number) for name, number in pattern.groups.items()}
    day = _joined("-", [_year(part), _month(part), _two(part["d"]) if "d" in part else ibis.literal("01")])
    if not pattern.has_time:
        return day.try_cast("timestamp")
    clock = _joined(":", [_hour(part), *(_two(part[p]) if p in part else ibis.literal("00") for p in "MS")])
    moment = day + " " + clock
    if "f" in part:
        moment = moment + "." + part["f"]
    stamp = moment.try_cast("timestamp")
    return stamp - _offset_minutes(part["z"]).as_interval("m") if "z" in part else stamp


def _joined(separator: str, parts: Sequence[ir.StringValue]) -> ir.StringValue:
    """Concatenation that is NULL when a part is (CONCAT_WS would skip the part)."""
    text, *rest = parts
    for part in rest:
        text = text + separator + part
    return text


def _two(digits: ir.StringValue) -> ir.StringValue:
    """One or two digits as two."""
    return (ibis.literal("0") + digits).right(2)


def _year(part: dict[str, ir.StringValue]) -> ir.Value:
    if "Y" in part:
        return part["Y"]
    century = ibis.cases((part["y"] >= "69", "19"), else_="20")  # POSIX pivot; text of two digits sorts as numbers
    return century + part["y"]


def _month(part: dict[str, ir.StringValue]) -> ir.Value:
    name = part.get("b", part.get("B"))
    if name is None:
        return _two(part["m"]) if "m" in part else ibis.literal("01")
    start = name.substr(0, 3).lower()
    numbers = [(start == month, f"{number:02d}") for number, month in enumerate(MONTHS, start=1)]
    return ibis.cases(*numbers, else_=ibis.null("string"))


def _hour(part: dict[str, ir.StringValue]) -> ir.Value:
    if "I" not in part:
        return _two(part["H"])
    afternoon = ibis.cases((part["p"].lower() == "pm", 12), else_=0) if "p" in part else ibis.literal(0)
    return _two((part["I"].try_cast("int64") % 12 + afternoon).cast("string"))


def _offset_minutes(zone: ir.StringValue) -> ir.Value:
    """Minutes east of UTC; 0 for ``Z``."""
    digits = zone.re_replace("[^0-9]", "")
    minutes = digits.substr(0, 2).try_cast("int64") * 60 + digits.substr(2, 2).try_cast("int64")
    return ibis.cases((zone == "Z", 0), (zone.startswith("-"), -minutes), else_=minutes)
