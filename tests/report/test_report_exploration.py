"""What is said of users without a value is what each study does with them."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from analysis.report import exploration
from analysis.report.customers import app
from analysis.report.mooc import summary


def study(**missing):
    rows = [{"table": "users", "column": name, "rows": 50, "missing": n}
            for name, n in {"user_id": 0, **missing}.items()]
    rows.append({"table": "orders", "column": "channel", "rows": 9, "missing": 4})
    return SimpleNamespace(profile=pd.DataFrame(rows))


@pytest.mark.parametrize("gaps", [summary.gaps, app.gaps])
def test_without_a_gap_nothing_is_said_of_handling_it(gaps):
    assert gaps(study(user_country=0)) == "Nothing is missing in the table of users."


def test_the_study_of_courses_leaves_users_out_where_it_compares_groups():
    s = study(user_country=5, quiz_score_average=10)
    said = summary.gaps(s)
    assert exploration.incomplete(s) == {"user_country", "quiz_score_average"}
    plain = said.replace("\\", "")
    assert "no user_country for 10.0% and no quiz_score_average for 20.0% of the users" in plain
    assert "are left out, or listed" in said and "as a group of their own" not in said
    assert "placed by the other two measures" in said
    assert "quiz" not in summary.gaps(study(user_country=5))
    assert "Where groups are compared" not in summary.gaps(study(quiz_score_average=5))


def test_the_study_of_an_app_compares_them_as_a_group():
    assert "compared as a group of their own" in app.gaps(study(gender=5))


def test_made_tables_are_said_to_be_made_and_no_more():
    said = summary.limit_of_data(SimpleNamespace(shipped=True))
    assert "made with planted effects" in said and "methods work" not in said
    assert "synthetic" not in summary.limit_of_data(SimpleNamespace(shipped=False))
