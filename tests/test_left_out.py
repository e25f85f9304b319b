"""What `open_study` leaves out: exactly the rows that a plain pandas reading would drop."""

import numpy as np
import pandas as pd
import pytest
import small_tables

from analysis import sources
from analysis.checks import ContractError


def opened(tmp_path, study, frames):
    """The study's tables as they come out, and the warnings as {(table, column): rows}."""
    (tmp_path / study).mkdir()
    for name, frame in frames.items():
        frame.to_csv(tmp_path / study / f"{name}.csv", index=False)
    tables = sources.open_study(study, tmp_path)
    read = {name: tables.table(name).to_pandas() for name in frames}
    for problem in tables.warnings:
        assert problem.handling
    return read, tables.warnings


def same_rows(found, expected):
    """Whether two frames hold the same rows, however often, in any order."""
    found, expected = (
        frame.astype(object).where(frame.notna(), None).astype(str)
        .sort_values(list(frame.columns)).reset_index(drop=True)
        for frame in (found, expected[list(found.columns)])
    )
    pd.testing.assert_frame_equal(found, expected)


def frames_of(study, times):
    """Many copies of the small tables, keys made different, so that dirt stays a small share."""
    tables = small_tables.good(study)
    keys = {"uid", "user_id", "order_id", "customer_id"}
    out = {}
    for name, rows in tables.items():
        if name in ("courses", "releases", "planned_split"):
            out[name] = pd.DataFrame(rows)
            continue
        copies = [
            {c: f"{v}-{i}" if c in keys else v for c, v in row.items()}
            for i in range(times) for row in rows
        ]
        out[name] = pd.DataFrame(copies)
    return {name: frame.replace("", None) for name, frame in out.items()}


def shuffled(rows, rng):
    return pd.concat(rows).sample(frac=1, random_state=int(rng.integers(2**31)))


@pytest.mark.parametrize("seed", [1, 2])
def test_customers(tmp_path, seed):
    rng = np.random.default_rng(seed)
    clean = frames_of("customers", 10)
    dirty = dict(clean)
    for name in ("purchases", "paywall_views"):
        rows = clean[name]
        timed = rows[pd.to_datetime(rows["date"]).dt.time != pd.Timestamp(0).time()]
        plain = rows[rows["purchase"] == 0] if "purchase" in rows else rows.tail(100)
        day_only = plain.head(3).assign(date="2024-06-01")
        dirty[name] = shuffled([
            rows, timed.head(7), timed.head(2),  # rows that repeat once and twice
            day_only, day_only,  # a day alone does not tell a repeat from a second time
            plain.head(4).assign(uid="nobody"),
            plain.head(5).assign(date="2024-02-01 08:00:00"),
        ], rng)
        clean[name] = pd.concat([rows, day_only, day_only])
    dirty["paywall_test"] = pd.concat([clean["paywall_test"],
                                       clean["paywall_test"].head(2).assign(uid=["x", "y"])])
    read, warnings = opened(tmp_path, "customers", dirty)
    for name, frame in clean.items():
        for column in ("date", "assigned_at", "reg_date"):
            if column in frame:
                frame[column] = pd.to_datetime(frame[column], format="mixed")
                read[name][column] = pd.to_datetime(read[name][column])
        for column in ("age", "price"):
            if column in frame:
                frame[column] = frame[column].astype(float)
                read[name][column] = read[name][column].astype(float)
        same_rows(read[name], frame)
    told = {(w.file.rsplit("/", 1)[1], w.rule.split()[2], w.count) for w in warnings}
    assert told == {
        *((f"{t}.csv", "a", 4) for t in ("purchases", "paywall_views")),
        ("paywall_test.csv", "a", 2),
        *((f"{t}.csv", "be", n) for t, n in (("purchases", 9), ("paywall_views", 9))),
        *((f"{t}.csv", "be", 5) for t in ("purchases", "paywall_views")),
    }


@pytest.mark.parametrize("seed", [1, 2])
def test_mooc(tmp_path, seed):
    rng = np.random.default_rng(seed)
    clean = frames_of("mooc", 10)
    events, orders = clean["events"], clean["orders"]
    dirty = clean | {
        "events": shuffled([events, events.head(6), events.tail(4).assign(user_id="nobody"),
                            events[events["course_id"].notna()].head(3).assign(course_id="c999")],
                           rng),
        "orders": shuffled([orders, orders.head(5),
                            orders.head(2).assign(user_id="nobody", order_id="x"),
                            orders.head(2).assign(course_id="c999")], rng),
    }
    read, warnings = opened(tmp_path, "mooc", dirty)
    for name in ("events", "orders"):
        column = "event_timestamp" if name == "events" else "order_timestamp"
        expected = clean[name].assign(**{column: pd.to_datetime(clean[name][column])})
        same_rows(read[name], expected)
    left_out = sum(w.count for w in warnings if not w.handling.startswith("kept"))
    assert left_out == 6 + 4 + 3 + 5 + 2 + 2


def test_trialers(tmp_path):
    clean = frames_of("trialers", 10)
    activity = clean["product_activity"]
    dirty = clean | {
        "product_activity": pd.concat([activity.head(3), activity,
                                       activity.head(2).assign(customer_id="nobody")]),
        "conversion": clean["conversion"].iloc[4:],
    }
    read, _ = opened(tmp_path, "trialers", dirty)
    expected = activity.assign(timestamp=pd.to_datetime(activity["timestamp"]))
    same_rows(read["product_activity"], expected)
    gone = set(clean["test_cohorts"]["customer_id"]) - set(read["test_cohorts"]["customer_id"])
    assert gone == set(clean["conversion"]["customer_id"].head(4))


@pytest.mark.parametrize(("orphans", "refused"), [(21, False), (22, True)])
def test_more_than_five_in_a_hundred_are_not_put_up_with(tmp_path, orphans, refused):
    clean = frames_of("mooc", 10)
    nobody = clean["events"].head(orphans).assign(user_id="nobody")
    nobody = nobody.assign(event_timestamp=pd.date_range("2025-01-01", periods=orphans, freq="h"))
    dirty = clean | {"events": pd.concat([clean["events"].head(400), nobody])}
    if refused:
        with pytest.raises(ContractError, match="5% of the rows break this, at most 5% may"):
            opened(tmp_path, "mooc", dirty)
    else:
        read, warnings = opened(tmp_path, "mooc", dirty)
        assert len(read["events"]) == 400
        assert [w.count for w in warnings if w.handling == "left out"] == [orphans]


def test_an_original_netflix_file_alone_in_its_folder(tmp_path, monkeypatch):
    (tmp_path / "netflix").mkdir()
    rows = [
        {small_tables.NETFLIX_HEADERS[name]: value for name, value in row.items()}
        for row in small_tables.good("netflix")["subscribers"]
    ]
    (tmp_path / "netflix" / "subscribers.csv").write_text(small_tables.text(rows))
    assert list(rows[0])[1] == "Subscription Length (Months)"
    netflix = sources.open_study("netflix", tmp_path)
    assert (netflix.shipped, netflix.fallback, netflix.warnings) == (False, False, ())
    read = netflix.table("subscribers").order_by("subscription_months").to_pandas()
    expected = pd.DataFrame(small_tables.good("netflix")["subscribers"])
    yes = expected["churned"] == "Yes"
    assert read["churned"].tolist() == yes.astype(int).tolist()
    assert read["monthly_income"].tolist() == expected["monthly_income"].tolist()
    # Small tables stand in for the shipped ones, which take seconds to read.
    monkeypatch.setattr(sources, "SHIPPED", tmp_path / "shipped")
    for study in ("engagement", "customers", "mooc", "trialers"):
        small_tables.write(tmp_path / "shipped", study, small_tables.good(study))
        assert sources.open_study(study, tmp_path).fallback
