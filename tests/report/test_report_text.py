"""Numbers, tables and escaping: what the reader sees is what was computed, and nothing else."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pypandoc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.report import sentences, tables, text
from render import qmd

ROOT = Path(__file__).resolve().parents[2]

HOSTILE = [
    "<script>alert(1)</script>", "a|b", "$x^2$", "#set page(width: 1pt)", "@fig-a", "\\input{x}",
    "*b* _c_ ~d~", "[a](javascript:x)", "`{python} 1`", "=cmd()", "-- --- ...", "a\nb", "^1^",
    "'q' \"r\"", "&amp; &lt;", "# h", "1. x", "+ y", "{.class}", "http://a.b/c", "<!-- c -->",
    "![i](j)", "\u2028x", "= h", "== h", "- i", "/ term: x", "=", "12. x",
]  # fmt: skip


def plain(markdown: str) -> str:
    """What Pandoc takes the Markdown to say, as bare text."""
    return pypandoc.convert_text(markdown, "plain", "markdown", extra_args=["--wrap=none"])


def native(markdown: str) -> str:
    return pypandoc.convert_text(markdown, "native", "markdown")


@pytest.mark.parametrize("value", HOSTILE)
def test_escaped_value_is_only_text(value):
    said = native(f"Before {text.escape(value)} after.")
    for markup in ("RawInline", "RawBlock", "Link", "Image", "Math", "Cite", "Emph", "Strong",
                   "Code", "Superscript", "Subscript", "Header", "List", "Strikeout", "Quoted"):
        assert markup not in said, said
    assert " ".join(plain(f"x {text.escape(value)} y").split()) == f"x {' '.join(value.split())} y"


def test_direction_of_text_cannot_be_reversed():
    assert text.escape("safe\u202egnp.exe") == "safegnp\\.exe"


@settings(max_examples=60)
@given(
    st.text(
        st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Cf")), min_size=1, max_size=30
    )
)
def test_table_cell_holds_any_value(value):
    frame = pd.DataFrame({"name": [value, "b"], "n": [1234.5, 2]})
    made = tables.table(frame, {"n": text.number})
    said = native(made)
    assert said.count("[ Row") + said.count(", Row") == 3
    shown = plain(made)
    expected = " ".join(value.split())
    assert expected.replace(" ", "") in "".join(shown.split())
    assert "1,235" in shown


def test_table_refuses_a_format_for_a_missing_column():
    with pytest.raises(KeyError, match="prise"):
        tables.table(pd.DataFrame({"price": [1]}), {"prise": text.number})


def test_missing_cells_are_dashes():
    frame = pd.DataFrame({"a": ["x", None], "b": [1.0, float("nan")]})
    assert tables.table(frame, {"b": text.number}).count(text.MISSING) == 2


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (text.number(1234.56, 1), "1,234.6"),
        (text.number(-0.004, 2), "0.00"),
        (text.number(-1234.5, 1), "\u22121,234.5"),
        (text.number(float("nan")), "\u2013"),
        (text.percent(0.6473), "64.7%"),
        (text.change(1.08), "+8%"),
        (text.change(0.52), "\u221248%"),
        (text.change(1.0), "0%"),
        (text.p_value(0.0312), "p\u00a0=\u00a00.031"),
        (text.p_value(1e-12), "p\u00a0\\<\u00a00.001"),
        (text.p_value(0.99999), "p\u00a0\\>\u00a00.999"),
        (text.significant(0.0012345), "0.00123"),
        (text.significant(123456), "123,000"),
        (text.significant(9.999), "10.00"),
        (text.listing(["a", "b", "c"]), "a, b and c"),
        (text.listing(["a"]), "a"),
        (text.count(1, "student"), "1 student"),
        (text.count(3433, "student"), "3,433 students"),
    ],
)
def test_numbers_as_printed(made, expected):
    assert made == expected


@given(st.floats(-1e12, 1e12, allow_nan=False), st.integers(0, 4))
def test_printed_number_reads_back(value, digits):
    printed = text.number(value, digits).replace(",", "").replace(text.MINUS, "-")
    assert float(printed) == pytest.approx(value, abs=0.5 * 10**-digits + 1e-9 * abs(value))


def half_up(exact: Fraction, digits: int) -> Fraction:
    """To so many decimals, halves away from 0, without any floating point."""
    whole = int(abs(exact) * 10**digits + Fraction(1, 2))
    return Fraction(whole if exact > 0 else -whole, 10**digits)


def read(printed: str) -> Fraction:
    return Fraction(printed.strip("%").replace(",", "").replace(text.MINUS, "-"))


@given(st.integers(-(10**9), 10**9), st.integers(0, 5))
def test_halves_go_away_from_zero(units, digits):
    value = (2 * units + 1) / 2 / 10**digits
    exact = Fraction(2 * units + 1, 2 * 10**digits)
    assert read(text.number(value, digits)) == half_up(exact, digits)
    # What is left of 0 is what is right of it.
    other = text.number(-value, digits)
    assert other.lstrip(text.MINUS) == text.number(value, digits).lstrip(text.MINUS)


@given(st.integers(0, 5_000), st.integers(1, 5_000), st.integers(0, 2))
def test_shares_of_counts_are_printed_as_exact_arithmetic_has_them(some, all_of_them, digits):
    exact = half_up(Fraction(100 * some, all_of_them), digits)
    assert read(text.percent(some / all_of_them, digits)) == exact
    assert read(text.number(100 * some / all_of_them, digits)) == exact


@pytest.mark.parametrize(("made", "expected"), [
    (text.percent(0.585, 0), "59%"), (text.percent(0.945, 0), "95%"),
    (text.percent(0.815, 0), "82%"), (text.percent(0.145, 0), "15%"),
    (text.p_value(0.0625), "p\u00a0=\u00a00.063"), (text.significant(1250, 2), "1,300"),
    (text.significant(0.125, 2), "0.13"), (text.change(0.935), "\u22127%"),
    (text.number(-0.5), "\u22121"), (text.number(-0.49), "0"),
    (text.number(12345678901234567), "12,345,678,901,234,567"),
    (text.number(5e-324, 3), "0.000"), (text.number(1.5e300)[:8], "1,500,00"),
])
def test_halves_as_printed(made, expected):
    assert made == expected


@given(st.floats(0, 1), st.floats(0, 1))
def test_shares_and_their_difference_add_up_as_printed(first, second):
    digits = text.digits_of_points(first, second)
    a, b = 100 * first, 100 * second
    low, high, gap = (read(text.number(x, digits)) for x in (a, b, b - a))
    assert digits in (1, 2)
    assert digits == 1 or high - low == gap
    if digits == 1 and high - low != gap:  # nor would two digits have done
        assert text.rounded(b, 2) - text.rounded(a, 2) != text.rounded(b - a, 2)


def test_digits_are_added_where_rounding_hides_a_difference():
    assert text.digits_of_points(0.06566, 0.08349) == 2  # 6.6% and 8.3%, so 1.8
    assert text.digits_of_points(0.15476, 0.18825) == 1  # 15.5% and 18.8%, so 3.3
    assert text.digits_of_points(236 / 1500, 364 / 1500) == 1  # 15.733..., 24.266...: no digits do
    assert text.digits_of_points(0.5, 0.25) == 1 and text.digits_of_points(0.2, 0.3, least=0) == 0


def test_tables_are_typst_safe(tmp_path):
    """A hostile cell reaches Typst as text: Pandoc escapes what the Markdown escape lets by."""
    frame = pd.DataFrame({"name": HOSTILE})
    made = subprocess.run(
        [pypandoc.get_pandoc_path(), "-f", "markdown", "-t", "typst"],
        input=tables.table(frame), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    typst = pytest.importorskip("typst")
    source = tmp_path / "t.typ"
    source.write_text(made)
    pdf = typst.compile(source)
    assert pdf.startswith(b"%PDF")
    assert "#set page" not in made.replace("\\#set page", "")
    for markup in ("heading", "list", "enum", "terms", "raw", "link", "math.equation"):
        assert json.loads(typst.query(source, markup)) == []


def test_days_countries_and_paragraphs():
    assert text.day("2024-03-01") == text.day("2024-03-01 23:59:59") == "1\u00a0March\u00a02024"
    codes = ("USA", "KOR", "COD", "XKX", "ZZZ")
    assert [text.country(code) for code in codes] == [
        "United States", "South Korea", "The Democratic Republic of the Congo", "Kosovo", "ZZZ"]
    assert text.paragraph("One.", "", "Two.", "One.") == "One. Two."


def test_the_front_page_says_whose_tables_these_are():
    def study(origin, shipped):
        return SimpleNamespace(origin=origin, shipped=shipped, fallback=False)

    both = {"a": study("data/a", True), "b": study("data/b", True)}
    assert "All tables" in sentences.whose(both) and "synthetic" in sentences.whose(both)
    mixed = sentences.whose({"a": study("my_<b>", False), "b": study("data/b", True)})
    today = text.day(dt.date.today().isoformat())
    assert f"made from my\\_\\<b\\> (a) on {today}." in mixed
    assert "The tables of b are synthetic" in mixed
    assert "synthetic" not in sentences.whose({"a": study("mine", False)})
    assert today not in sentences.whose(both)


@pytest.mark.parametrize(("shipped", "fallback", "said"), [
    (True, False, False), (False, False, False), (True, True, True)])
def test_only_a_study_that_own_data_lack_has_a_banner(shipped, fallback, said):
    s = SimpleNamespace(origin="data/a", shipped=shipped, fallback=fallback)
    found = sentences.banner(s)
    assert (found is not None) == said
    if said:
        assert "synthetic" in found and "not" in found.lower()


def test_a_page_about_several_studies_names_those_that_own_data_lack():
    own, shipped = (SimpleNamespace(origin="a", shipped=s, fallback=s) for s in (False, True))
    assert sentences.banner_of_several({"a": own, "b": own}) is None
    one = sentences.banner_of_several({"a": own, "b": shipped})
    assert "no tables for b; what this page says of it is" in one
    some = sentences.banner_of_several({"a": shipped, "b": own, "c": shipped})
    assert "no tables for a and c; what this page says of them is" in some
    assert "synthetic" in some and some.splitlines()[0] == one.splitlines()[0]


@pytest.mark.parametrize(("page", "answer"), [
    ("index.qmd", "key_figures("), ("chapters/claims.qmd", ".answer}")])
def test_pages_about_several_studies_have_the_banner_before_their_answers(page, answer):
    read = qmd.read(ROOT, Path(page))
    setup, banner = read.cells[:2]
    assert banner.code.startswith("banner_of_several(") and banner.options["label"] == "banner"
    before = read.blocks[read.blocks.index(setup) + 1: read.blocks.index(banner)]
    assert not any(answer in block.source for block in before)
    assert any(answer in block.source for block in read.blocks)


@pytest.mark.parametrize("chapter", [
    "engagement", "customer-analytics", "mooc-segmentation", "netflix-churn", "trialer-ab-test"])
def test_every_study_s_chapter_has_the_banner_before_its_answer(chapter):
    read = qmd.read(ROOT, Path("chapters") / f"{chapter}.qmd")
    setup, banner = read.cells[:2]
    assert (banner.code, banner.options) == ("banner(s)", {"label": "banner", "echo": False})
    before = read.blocks[: read.blocks.index(banner)]
    assert not any(
        ".answer" in block.source or "\n## " in block.source for block in before
        if not isinstance(block, qmd.Cell))
    assert "import banner" in setup.code
