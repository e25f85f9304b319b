"""The CSV of tables and figures: what was printed, in full, and harmless to a spreadsheet."""

from __future__ import annotations

import csv
import datetime as dt
import io
import math
import re

import numpy as np
import pandas as pd
import plotnine as p9
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_report_text import HOSTILE

from analysis.report import figures, numbers, text
from analysis.report.tables import table
from analysis.report.text import Prose

SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n")


def rows(written: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(written, newline="")))


def of(frame: pd.DataFrame, formats: dict | None = None) -> list[list[str]]:
    return rows(table(frame, formats)._repr_csv_())


def is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


texts = (
    st.text() | st.sampled_from(HOSTILE) | st.builds(str.__add__, st.sampled_from(SIGNS), st.text())
)
columns = (
    st.lists(texts)
    | st.lists(st.integers())
    | st.lists(st.none() | st.floats(width=32))
    | st.lists(st.none() | texts)
)


@given(st.dictionaries(texts, columns, min_size=1))
def test_parsing_gives_the_frame_back_and_no_text_is_a_formula(data):
    length = min(map(len, data.values()))
    frame = pd.DataFrame({name: values[:length] for name, values in data.items()}, dtype=object)
    head, *read = rows(numbers.csv(frame))
    for field, name in zip(head, frame.columns, strict=True):
        assert not field.startswith(SIGNS)
        assert field in (name, f"'{name}")
    assert len(read) == length or frame.shape[1] == 1  # a lone empty field is an empty line
    if frame.shape[1] == 1:
        return
    for fields, values in zip(read, frame.itertuples(index=False, name=None), strict=True):
        for field, value in zip(fields, values, strict=True):
            if value is None or value != value:
                assert field == ""
            elif isinstance(value, str):
                assert not field.startswith(SIGNS)
                assert field == (f"'{value}" if value.startswith(SIGNS) else value)
            elif isinstance(value, int):
                assert field == str(value)
            else:
                assert float(field) == pytest.approx(value, rel=1e-11, abs=0)


def test_numbers_stay_numbers_and_days_days():
    frame = pd.DataFrame({
        "n": pd.array([1, None, -3], dtype="Int64"), "counts": [1.0, math.nan, -3.0],
        "share": [-0.5, math.inf, 1 / 3], "yes": [True, False, None], "small": np.int8([-1, 0, 1]),
        "day": [pd.Timestamp("2024-03-01"), pd.NaT, pd.Timestamp("2024-03-01 12:30")],
        "kind": pd.Categorical(["-a", "b", None]), "date": [dt.date(2024, 3, 1)] * 3,
    })  # fmt: skip
    assert rows(numbers.csv(frame))[1:] == [
        ["1", "1", "-0.5", "True", "-1", "2024-03-01", "'-a", "2024-03-01"],
        ["", "", "inf", "False", "0", "", "b", "2024-03-01"],
        ["-3", "-3", "0.333333333333", "", "1", "2024-03-01T12:30:00", "", "2024-03-01"],
    ]


def test_a_table_gives_what_it_holds_not_what_it_prints():
    frame = pd.DataFrame({
        "what": ["=cmd()|' /C calc'!A0", "a|b\nc \"d\""], "share": [0.07312345, -0.5],
        "n": [1234, 2], "p": [0.00012345, math.nan],
    })  # fmt: skip
    found = of(frame, {"share": text.percent, "n": text.number, "p": text.p_cell})
    assert found == [
        ["what", "share", "n", "p"],
        ["'=cmd()|' /C calc'!A0", "0.07312345", "1234", "0.00012345"],
        ['a|b\nc "d"', "-0.5", "2", ""],
    ]


@pytest.mark.parametrize(
    ("held", "show", "given"),
    [
        ([0.0731234, 0.5], lambda x: text.number(100 * x, 1), ["7.31234", "50"]),
        ([123456, 250], lambda x: text.number(x / 100, 2), ["1234.56", "2.5"]),
        ([0.0731, 0.5], lambda x: Prose(f"{text.percent(x)} paid"), ["7.3% paid", "50.0% paid"]),
        ([3.0, 4.0], lambda x: text.number(x * x), ["9", "16"]),
        ([1234.5, 0.01234], text.significant, ["1234.5", "0.01234"]),
    ],
    ids=["points", "cents", "words", "another number", "figures"],
)  # fmt: skip
def test_the_csv_never_contradicts_the_print(held, show, given):
    """What is held is given on the scale on which it is printed; else, what is printed is."""
    found = of(pd.DataFrame({"x": held}), {"x": show})
    assert [float(row[0]) if is_number(row[0]) else row[0] for row in found[1:]] == [
        pytest.approx(float(value)) if is_number(value) else value for value in given
    ]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.integers(0, 3), st.sampled_from([1, 100]))
def test_a_column_rounds_to_its_print(values, digits, scale):
    def show(value: float) -> Prose:
        return text.number(value * scale, digits)

    found = of(pd.DataFrame({"x": values}), {"x": show})
    for field, value in zip(found[1:], values, strict=True):
        printed = float(show(value).replace(",", "").replace(text.MINUS, "-"))
        assert abs(float(field[0]) - printed) <= 0.5001 * 10.0**-digits + 0.01 * abs(printed)


def test_printed_cells_are_read():
    cells = {
        "7.3% (6.1% to 8.5%)": {"value": "0.073", "low": "0.061", "high": "0.085"},
        f"{text.MINUS}1,234.5 ({text.MINUS}2,000{text.NBSP}to{text.NBSP}3)":
            {"value": "-1234.5", "low": "-2000", "high": "3"},
        "4.2 to 9.9 ▲": {"low": "4.2", "high": "9.9", "mark": "▲"},
        "9,907 (45.1%)": {"value": "9907", "share": "0.451"},
        "+8%": {"value": "0.08"},
        "31.0% of 493": {"value": "0.31", "of": "493"},
        "344.3 → 407.6": {"before": "344.3", "after": "407.6"},
        f"p{text.NBSP}={text.NBSP}0.026": {"value": "0.026"},
        "×1.28 (1.12 to 1.47)": {"value": "1.28", "low": "1.12", "high": "1.47"},
        "0.811 ± 0.017": {"value": "0.811", "error": "0.017"},
        text.MISSING: {},
        "007": {"value": "007"},
        "1,23": {"value": "1,23"},
        "2.4 (4)": {"value": "2.4 (4)"},
        text.p_value(0.0001): {"value": "p < 0.001"},
        "**up** to [here](x.qmd#sec-a)": {"value": "up to here"},
        "[=]{.underline} x": {"value": "'= x"},
        "": {},
    }  # fmt: skip
    for cell, parts in cells.items():
        head, found = of(pd.DataFrame({"x": [Prose(cell)]}), {"x": Prose})
        names = {
            name.partition(", ")[2] or "value": field
            for name, field in zip(head, found, strict=True)
        }
        assert {name: field for name, field in names.items() if field} == parts, cell


def test_a_value_and_its_interval_are_columns_of_one_table():
    frame = pd.DataFrame({"Rate": ["7% (6% to 8%)", text.MISSING, "9%", "none seen"]})
    assert of(frame, {"Rate": Prose}) == [
        ["Rate", "Rate, low", "Rate, high"],
        ["0.07", "0.06", "0.08"], ["", "", ""], ["0.09", "", ""], ["none seen", "", ""],
    ]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE)
def test_plain_undoes_escape(value):
    assert text.plain(text.escape(value)) == " ".join(value.split())


def test_an_empty_table_has_its_head():
    assert of(pd.DataFrame({"a": [], "b": []}), {"b": text.number}) == [["a", "b"]]


# Figures -------------------------------------------------------------------------------------


def drawn(plot) -> list[list[str]]:
    return rows(plot._repr_csv_())


FRAME = pd.DataFrame({
    "day": [1, 2], "rate": [0.1, 1 / 3], "low": [0.0, 0.2], "high": [0.2, 0.5],
    "kind": pd.Categorical(["=a", "b\nc"]), "panel": ["p", "q"], "not drawn": [8, 9],
})  # fmt: skip


def test_a_figure_gives_the_columns_that_it_draws():
    plot = (
        figures.Plot(FRAME, p9.aes("day", "rate", color="kind"))
        + p9.geom_ribbon(p9.aes(ymin="low", ymax="high"))
        + p9.geom_point()
        + p9.facet_wrap("panel")
        + p9.labs(x="Day since\nregistration (log scale)", y="Share")
    )
    assert drawn(plot) == [
        ["panel", "kind", "Day since registration", "Share", "low", "high"],
        ["p", "'=a", "1", "0.1", "0", "0.2"],
        ["q", "b c", "2", "0.333333333333", "0.2", "0.5"],
    ]


def test_layers_of_other_data_are_told_apart_and_share_the_axes():
    other = pd.DataFrame({"when": [5], "value": [0.7], "name": ["a \\$ b"]})
    plot = (
        figures.Plot(FRAME, p9.aes("day", "rate"))
        + p9.geom_hline(yintercept=0.4)
        + p9.geom_line()
        + p9.geom_point(color="red")
        + p9.geom_text(p9.aes("when", "value", label="name"), data=other, inherit_aes=False)
        + p9.geom_point(data=lambda frame: frame.head(1))
    )
    assert drawn(plot) == [
        ["layer", "rate", "day", "name"],
        ["hline", "0.4", "", ""],
        ["line + point", "0.1", "1", ""],
        ["line + point", "0.333333333333", "2", ""],
        ["text", "0.7", "5", "a $ b"],
        ["point", "0.1", "1", ""],
    ]


def test_an_annotation_gives_its_columns_in_the_same_order_in_every_run():
    """The names of its columns are members of a set, whose order follows Python's hash seed."""
    plot = figures.Plot(FRAME, p9.aes("day", "rate")) + p9.annotate(
        "rect", ymin=3, xmin=1, ymax=4, xmax=2)
    assert drawn(plot) == [["xmax", "xmin", "ymax", "ymin"], ["2", "1", "4", "3"]]


def test_where_a_segment_begins_is_not_the_value_of_its_axis():
    plot = (
        figures.Plot(FRAME, p9.aes("rate", "kind"))
        + p9.geom_segment(p9.aes(x="low", xend="high", yend="kind"))
        + p9.geom_point()
        + p9.labs(x="Rate", y="")
    )
    assert drawn(plot)[0] == ["low", "kind", "high", "Rate"]
    assert drawn(plot)[1] == ["0", "'=a", "0.2", "0.1"]


def test_a_map_gives_its_numbers_not_its_outlines():
    plot = figures.with_numbers(
        figures.Plot(FRAME, p9.aes("low", "high")) + p9.geom_polygon(), FRAME[["panel", "rate"]]
    )
    assert [row[0] for row in drawn(plot)] == ["panel", "p", "q"]


def test_asking_for_the_numbers_leaves_the_drawing_as_it_was():
    plot = figures.Plot(FRAME, p9.aes("day", "rate")) + p9.geom_point() + figures.theme()
    before = plot._repr_mimebundle_()
    plot._repr_csv_()
    assert plot._repr_mimebundle_() == before


def test_a_drawing_of_few_bytes_is_the_same_drawing():
    """Its paths have the same commands and, to what a figure shows, the same points."""
    plot = figures.Plot(FRAME, p9.aes("day", "rate")) + p9.geom_line() + figures.theme()
    long = p9.ggplot._repr_mimebundle_(plot)[0]["image/svg+xml"]
    short = plot._repr_mimebundle_()[0]["image/svg+xml"]
    assert len(short) < 0.9 * len(long)

    def paths(drawing: str) -> list[list]:
        found = re.findall(r' d="([^"]*)"', drawing)
        return [re.findall(r"[A-Za-z]|-?[\d.]+", path) for path in found]

    assert len(paths(long)) > 10
    for before, after in zip(paths(long), paths(short), strict=True):
        for old, new in zip(before, after, strict=True):
            assert old == new if old.isalpha() else abs(float(old) - float(new)) < 0.06
