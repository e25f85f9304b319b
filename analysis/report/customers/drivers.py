"""What goes with paying: tables, figures and sentences of the tests and the regressions."""

from __future__ import annotations

import pandas as pd
import plotnine as p9

from analysis.customers import Study
from analysis.customers import drivers as study
from analysis.customers.events import NOT_STATED
from analysis.report import figures
from analysis.report.customers import labels
from analysis.report.customers.app import money
from analysis.report.tables import table
from analysis.report.text import (
    Prose,
    change,
    count,
    digits_of_points,
    escape,
    interval,
    listing,
    low_to_high,
    number,
    p_value,
    percent,
)
from analysis.stats.power import smallest_n_for_normal_mean
from analysis.stats.regression import Fit

ALPHA = 0.05
FACTORS = {"device": "device", "country": "country", "gender": "gender", "age_band": "age band",
           "age": "age", "paying": "paying"}
PER_TEN_YEARS = "each ten years of age"
MISFIT = 0.01  # below it a check of the model's form is taken as a warning
NOTHING_TO_EXPLAIN = Prose("There is nothing to explain here, either (@sec-customers-drivers).")
KINDS = ("with the others held equal", "as they come")
NO_MODEL = Prose("There is no model of paying to read (@sec-customers-confounding).")


def _level(factor: str, level: str) -> str:
    """A level as it stands in a figure: plain text."""
    if factor == "age" and level == study.PER_TEN_YEARS:
        return PER_TEN_YEARS
    if factor in ("age", "gender") and level in (NOT_STATED, "other"):
        return f"{factor} {level}" if level == NOT_STATED else f"{level} {factor}"
    if level == study.OTHERS:
        return {"country": "all other countries"}.get(factor, f"all other, {factor}")
    return labels.group(factor, str(level))


def _against(row) -> str | None:
    """What a coefficient compares with; nothing for a number."""
    return None if row.level == study.PER_TEN_YEARS else _level(row.factor, row.reference)


def _in_text(factor: str, level: str) -> Prose:
    return escape(_level(factor, level))


def _points(low: float, high: float, digits: int = 1) -> Prose:
    return interval(100 * low, 100 * high, digits)


def _without_model(s: Study, what: str = "paying") -> Prose:
    """Why a regression is missing."""
    d = s.drivers
    if what in ("mean", "ratio") and d.payers in (0, d.users):
        return NOTHING_TO_EXPLAIN
    if not d.users:
        return Prose(f"Nobody's first {d.window} days lie wholly in the period, so nothing can be said about who pays within them.")
    if not d.payers:
        return Prose(f"Nobody paid within {count(d.window, 'day')} of registration, so there is nothing to explain.")
    if d.payers == d.users:
        return Prose(f"Everybody paid within {count(d.window, 'day')} of registration, so there is nothing to explain.")
    reason = d.reasons.get(what, "")
    if reason == "no factor":
        return Prose(
            f"No model can be fitted: with {count(d.payers, 'payer')} among {count(d.users, 'user')}, no factor has "
            f"two groups of at least {count(d.least_users, 'user')}, which it takes to expect {study.EXPECTED_EVENTS} payers in each."
        )
    if "separated by " in reason:
        return Prose(
            f"This model cannot be fitted: in {escape(reason.split('separated by ')[1])} nobody, or everybody, "
            f"{'spent anything' if what in ('mean', 'ratio') else 'paid'}, so that no finite ratio fits best."
        )
    if what in ("mean", "ratio") and not d.revenue:
        return Prose("All purchases were free of charge, so there is no revenue to explain.")
    return Prose(f"This model cannot be fitted to these data ({escape(reason)}).")


# The base


def base(s: Study) -> Prose:
    """Whose paying is explained."""
    d = s.drivers
    if not d.users:
        return _without_model(s)
    return Prose(
        f"The base is the {count(d.users, 'user')} whose first {d.window} days lie wholly in the period; "
        f"{number(d.payers)} of them ({percent(d.payers / d.users)}) paid within these days."
    )


# Association


def _pair(row) -> str:
    return f"{FACTORS[row.row_factor].capitalize()} and {FACTORS[row.column_factor]}"


def associations_table(s: Study) -> Prose:
    """The chi-squared tests, one a pair of factors."""
    tests = s.drivers.associations
    if tests.empty:
        return Prose("No two factors have two groups each, so there is no association to test.")
    rows = [{
        "Pair": _pair(row),
        "χ² (df)": Prose(f"{number(row.statistic, 1)} ({row.df})"),
        "p, corrected": p_value(row.p_adjusted),
        "Cramér’s V (95% interval)": Prose(
            f"{number(row.v_corrected, 3)} ({interval(row.v_low, row.v_high, 3)})"),
        "Smallest expected count": row.smallest_expected,
    } for row in tests.itertuples()]
    return table(pd.DataFrame(rows), {
        "χ² (df)": Prose, "p, corrected": Prose, "Cramér’s V (95% interval)": Prose,
        "Smallest expected count": lambda value: number(value, 1)})


def _lesson(s: Study) -> pd.DataFrame:
    """The cells of the table that is shown in full: device, or else what is smallest, by paying."""
    cells = s.drivers.association_cells
    cells = cells[cells["column_factor"] == "paying"]
    if cells.empty:
        return cells
    sizes = cells.groupby("row_factor").size()
    factor = "device" if "device" in sizes.index else sizes.idxmin()
    return cells[cells["row_factor"] == factor]


def expected_table(s: Study) -> Prose:
    """One table in full: what is observed, what independence would give, and the residuals."""
    cells = _lesson(s)
    if cells.empty:
        return Prose("There is no table of two factors to show.")
    factor = cells["row_factor"].iloc[0]
    frame = pd.DataFrame({
        FACTORS[factor].capitalize(): [_level(factor, row) for row in cells["row"]],
        "Paying": cells["column"],
        "Observed": cells["observed"],
        "Expected": cells["expected"],
        "Part of χ²": cells["contribution"],
        "Residual": cells["residual"],
    })
    one = lambda value: number(value, 1)  # noqa: E731
    return table(frame, {"Observed": number, "Expected": one, "Part of χ²": one, "Residual": one})


def expected(s: Study) -> Prose:
    """How an expected count comes about, with the numbers of the table."""
    cells = _lesson(s)
    if cells.empty:
        return Prose("Here there is no such table: all users are alike, or all of them, or none, paid.")
    factor = cells["row_factor"].iloc[0]
    paid = cells[cells["column"] == study.PAYING[True]]
    cell = paid.loc[paid["residual"].idxmax()]
    users = int(cells.loc[cells["row"] == cell["row"], "observed"].sum())
    everybody, payers = int(cells["observed"].sum()), int(paid["observed"].sum())
    return Prose(
        f"If {FACTORS[factor]} and paying had nothing to do with each other, "
        f"{percent(payers / everybody)} of every group would pay: of the {count(users, 'user')} in "
        f"group {_in_text(factor, cell['row'])}, {number(users)} × {number(payers)} / {number(everybody)} = "
        f"{number(cell['expected'], 1)}. There are {number(cell['observed'])}, and the residual says that this is "
        f"{number(cell['residual'], 1)} standard deviations more than that."
    )


def rule(s: Study) -> Prose:
    """Whether the chi-squared distribution may be used, and what was done where not."""
    tests = s.drivers.associations
    if tests.empty:
        return Prose("Here there is no table to hold against it.")
    failed = tests[~tests["rule_holds"]]
    least = tests["smallest_expected"].min()
    if failed.empty:
        return Prose(
            f"Here {'it holds in every table' if len(tests) > 1 else 'it holds'}: the smallest "
            f"expected count is {number(least, 1)}."
        )
    told = listing(f"{_pair(row).lower()} (p-value: {row.method})" for row in failed.itertuples())
    return Prose(
        f"Here it fails for {told}; the smallest expected count is {number(least, 1)}. There the "
        "p-value does not rest on the approximation: it comes from tables with the same margins."
    )


def associated(s: Study) -> Prose:
    """What goes with paying, and how closely; never "unrelated" for "not shown"."""
    tests = s.drivers.associations
    tests = tests[tests["column_factor"] == "paying"]
    if tests.empty:
        return Prose("Whether anything goes with paying cannot be tested here.")
    found = tests[tests["p_adjusted"] <= ALPHA].sort_values("v_corrected", ascending=False)
    rest = tests[tests["p_adjusted"] > ALPHA]
    parts = []
    if len(found):
        names = listing(
            f"{FACTORS[row.row_factor]} (V = {number(row.v_corrected, 3)})"
            for row in found.itertuples())
        top = found["v_high"].max()
        size = (
            "though none of it closely: V is 0 without any association and 1 if one factor decides the other"
            if top < 0.15 else "where V is 0 without any association and 1 if one factor decides the other")
        parts.append(f"Paying goes with {names}, {size}.")
    if len(rest):
        names = listing((FACTORS[row.row_factor] for row in rest.itertuples()), "or")
        parts.append(
            f"That paying goes with {names} is not shown; if it does, then with a V of at most "
            f"{number(rest['v_high'].max(), 3)}, where the "
            f"{'interval ends' if len(rest) == 1 else 'intervals end'}."
        )
    return Prose(" ".join(parts))


def devices_by_country(s: Study) -> Prose:
    """How much the countries differ in their devices."""
    tests, cells = s.drivers.associations, s.drivers.association_cells
    tests = tests[(tests["row_factor"] == "country") & (tests["column_factor"] == "device")]
    if tests.empty:
        return Prose("Countries cannot be compared by their devices here: that takes users of two countries and of two devices.")
    test = tests.iloc[0]
    cells = cells[(cells["row_factor"] == "country") & (cells["column_factor"] == "device")]
    counts = cells.pivot(index="row", columns="column", values="observed")
    device = "iOS" if "iOS" in counts.columns else counts.columns[-1]
    sizes = counts.sum(axis=1)
    enough = sizes >= s.drivers.least_users
    shares = (counts[device] / sizes)[enough if enough.sum() > 1 else sizes > 0]
    strong = "far more closely than anything goes with paying" if test.v_low > s.drivers.associations.loc[
        s.drivers.associations["column_factor"] == "paying", "v_high"].max() else "all the same"
    if test.p_adjusted > ALPHA:
        return Prose(
            f"Countries are not shown to differ in their devices ({p_value(test.p_adjusted)}; V at most {number(test.v_high, 3)})."
        )
    return Prose(
        f"Country and device go together, {strong} (V = {number(test.v_corrected, 3)}): "
        f"the share of {_in_text('device', device)} runs from {percent(shares.min(), 0)} of the users in "
        f"{_in_text('country', shares.idxmin())} to {percent(shares.max(), 0)} in {_in_text('country', shares.idxmax())}. "
        "This pair does not mention paying, and yet it decides how a link of either with paying is to be read."
    )


# The model of paying


def pooling(s: Study) -> Prose:
    """Which groups were pooled, by which rule, and which factors are left out."""
    d = s.drivers
    if d.models.paying is None and d.models.mean is None:
        return NO_MODEL
    text = (
        f"A group stands for itself if it has at least {count(d.least_users, 'user')}, enough to expect "
        f"{study.EXPECTED_EVENTS} payers at the overall rate"
    )
    rest = d.pooled
    if rest.empty:
        text += "; here every group has."
    else:
        parts = []
        for factor, part in rest.groupby("factor", sort=False):
            names = [_in_text(factor, level) for level in part["level"]]
            shown = listing(names) if len(names) <= 5 else f"{len(names)} groups"
            parts.append(f"{shown} ({FACTORS[factor]}, {count(int(part['users'].sum()), 'user')})")
        text += f"; the others are pooled: {listing(parts)}."
        together = rest.groupby("factor")["users"].sum()
        for row in rest[rest["reason"] == "joined"].itertuples():
            text += (
                f" {_in_text(row.factor, row.level)}, with {count(row.users, 'user')}, is among them, "
                f"because what is smaller comes to {number(together[row.factor] - row.users)} only."
            )
        many = rest.loc[rest["reason"] == "many", "factor"].unique()
        if len(many):
            text += (
                f" No more than {study.MOST_LEVELS} groups of a factor stand for themselves, so "
                f"that larger ones are pooled as well ({listing(FACTORS[f] for f in many)})."
            )
    for reason, told in (("one group", "there are not two groups of that size to compare"),
                         ("not told apart", "its groups cannot be told apart from those of the other factors")):
        names = [FACTORS[f] for f in d.left_out.loc[d.left_out["reason"] == reason, "factor"]]
        if names:
            text += f" The models do without {listing(names)}, since {told}."
    return Prose(text)


def factors_table(s: Study) -> Prose:
    """Each factor of the logit, all its coefficients tested together."""
    paying = s.drivers.models.paying
    if paying is None:
        return NO_MODEL
    tests = paying.tests.merge(s.drivers.models.inflation[["factor", "inflation"]], on="factor")
    rows = [{
        "Factor": FACTORS[row.factor].capitalize(),
        "df": row.df,
        "Wald χ²": row.wald,
        "Likelihood ratio χ²": row.likelihood_ratio,
        "p, corrected": p_value(row.p_adjusted),
        "Inflation": row.inflation,
    } for row in tests.itertuples()]
    one = lambda value: number(value, 1)  # noqa: E731
    return table(pd.DataFrame(rows), {
        "df": number, "Wald χ²": one, "Likelihood ratio χ²": one, "p, corrected": Prose,
        "Inflation": lambda value: number(value, 2)})


def odds_table(s: Study) -> Prose:
    """Coefficients of the logit but the countries', as odds ratios and as shares."""
    m = s.drivers.models
    if m.paying is None:
        return NO_MODEL
    rows = m.paying.coefficients.merge(
        m.effects[["factor", "level", "difference", "difference_low", "difference_high"]],
        on=["factor", "level"])
    shown = rows[rows["factor"] != "country"]
    if shown.empty:
        shown = rows
    frame = pd.DataFrame([{
        "Group": _level(row.factor, row.level),
        "Against": _against(row),
        "Odds ratio (95% interval)": Prose(
            f"{number(row.ratio, 2)} ({interval(row.ratio_low, row.ratio_high, 2)})"),
        "Difference in points (95% interval)": Prose(
            f"{number(100 * row.difference, 1)} ({_points(row.difference_low, row.difference_high)})"),
    } for row in shown.itertuples()])
    return table(frame, dict.fromkeys(frame.columns[2:], Prose))


def odds_figure(s: Study) -> p9.ggplot | Prose:
    """Odds ratios, adjusted with their intervals and unadjusted."""
    m = s.drivers.models
    if m.paying is None:
        return NO_MODEL
    adjusted = m.paying.coefficients.iloc[1:]
    frame = adjusted.merge(m.alone[["factor", "level", "odds"]], on=["factor", "level"])
    of_countries = (frame["factor"] == "country").to_numpy()
    against = [_level("country", code) for code in frame.loc[of_countries, "reference"].head(1)]
    of_country = "".join(f" (countries: against {name})" for name in against)
    frame["panel"] = pd.Categorical(of_countries, [False, True])
    frame["label"] = [
        _level(row.factor, row.level) if row.factor == "country" or _against(row) is None
        else f"{_level(row.factor, row.level)} against {_against(row)}"
        for row in frame.itertuples()
    ]
    # Countries by what was found, the others in their order.
    place = frame["ratio"].where(of_countries, -pd.Series(range(len(frame)), dtype=float))
    frame["label"] = pd.Categorical(
        frame["label"], list(dict.fromkeys(frame["label"].iloc[place.argsort()])))
    points = pd.concat([
        frame.assign(odds=frame["ratio"], kind=KINDS[0]), frame.assign(kind=KINDS[1])])
    points["kind"] = pd.Categorical(points["kind"], KINDS)
    return (
        figures.Plot(points, p9.aes("odds", "label", color="kind", shape="kind"))
        + p9.geom_vline(xintercept=1, color=figures.GREY, linetype="dotted")
        + p9.geom_segment(
            p9.aes(x="ratio_low", xend="ratio_high", y="label", yend="label"),
            data=frame, inherit_aes=False, color=figures.BLUE)
        + p9.geom_point(size=2)
        + p9.facet_grid("panel", scales="free_y", space="free_y")
        + figures.log_x(breaks=[2.0**k for k in range(-6, 7)],
                           labels=[f"1/{2**-k}" if k < 0 else str(2**k) for k in range(-6, 7)])
        + figures.colours(KINDS)
        + p9.scale_shape_manual(dict(zip(KINDS, ("o", "x"), strict=True)))
        + p9.labs(x=f"Odds ratio of paying{of_country}", y="")
        + figures.theme(height=1.3 + 0.19 * len(frame))
        + p9.theme(strip_text=p9.element_blank())
    )


def _kept(fit: Fit) -> tuple[list[str], list[str]]:
    """Factors whose coefficients are shown not to be all 0, and the others."""
    shown = fit.tests["p_adjusted"] <= ALPHA
    return list(fit.tests.loc[shown, "factor"]), list(fit.tests.loc[~shown, "factor"])


def factors(s: Study) -> Prose:
    """Which factors tell who pays, the others held equal."""
    paying = s.drivers.models.paying
    if paying is None:
        return NO_MODEL
    kept, rest = _kept(paying)
    parts = []
    if kept:
        parts.append(
            f"With the others held equal, {listing(FACTORS[f] for f in kept)} "
            f"{'tells' if len(kept) == 1 else 'tell'} who pays.")
    if rest:
        rows = paying.coefficients[paying.coefficients["factor"].isin(rest)]
        parts.append(
            f"For {listing(FACTORS[f] for f in rest)} that is not shown"
            f"{', which is not the same as none: their intervals' if len(rest) > 1 else ', which is not the same as no part: its intervals'} "
            f"leave room for odds ratios from {number(rows['ratio_low'].min(), 2)} to "
            f"{number(rows['ratio_high'].max(), 2)}."
        )
    return Prose(" ".join(parts))


def countries(s: Study) -> Prose:
    """The countries at both ends, the others held equal."""
    m = s.drivers.models
    if m.paying is None or "country" not in set(m.effects["factor"]):
        return Prose("Countries cannot be compared here.")
    rows = m.effects[(m.effects["factor"] == "country") & (m.effects["level"] != study.OTHERS)]
    if rows.empty:
        return Prose("Countries other than the largest are pooled here.")
    reference = rows["reference"].iloc[0]
    every = pd.concat([rows[["level", "share"]], pd.DataFrame(
        [{"level": reference, "share": rows["share_reference"].iloc[0]}])])
    low, high = (every.iloc[place] for place in (every["share"].argmin(), every["share"].argmax()))
    return Prose(
        f"With the same devices, genders and ages everywhere, the share who pay would run from {percent(low['share'])} in "
        f"{_in_text('country', low['level'])} to {percent(high['share'])} in "
        f"{_in_text('country', high['level'])}, as far as these data can tell: "
        "the ends of such a list are where chance has helped most."
    )


# Confounding


def _device(s: Study) -> tuple[pd.Series, pd.Series] | None:
    """The device's effect with the others held equal, and as the users come."""
    m = s.drivers.models
    if m.paying is None or "device" not in m.paying.tests["factor"].to_list():
        return None
    return tuple(frame[frame["factor"] == "device"].iloc[0] for frame in (m.effects, m.alone))


def four_numbers(s: Study) -> Prose:
    """Why there is more than one number for a gap."""
    if _device(s) is None:
        return Prose("A gap between two groups can be measured in several ways, which answer different "
                     "questions.")
    return Prose("The rows of @tbl-customers-gap differ because they answer different questions.")


def gap_table(s: Study) -> Prose:
    """The gap between devices as users come and with the other factors held equal."""
    found = _device(s)
    m = s.drivers.models
    if found is None:
        return Prose("There is no gap to show.")
    equal, come = found
    odds = m.paying.coefficient("device", equal["level"])
    rows = [
        ("Share who pay, difference in points",
         *(f"{number(100 * e['difference'], 1)} ({_points(e['difference_low'], e['difference_high'])})"
           for e in (come, equal))),
        ("Share who pay, ratio",
         *(f"{number(e['ratio'], 2)} ({interval(e['ratio_low'], e['ratio_high'], 2)})" for e in (come, equal))),
        ("Odds ratio of paying",
         f"{number(come['odds'], 2)} ({interval(come['odds_low'], come['odds_high'], 2)})",
         f"{number(odds['ratio'], 2)} ({interval(odds['ratio_low'], odds['ratio_high'], 2)})"),
    ]
    if m.ratio is not None and m.ratio_alone is not None:
        money_rows = [f.coefficient("device", equal["level"]) for f in (m.ratio_alone, m.ratio)]
        rows.append(("Revenue per user, ratio", *(
            f"{number(r['ratio'], 2)} ({interval(r['ratio_low'], r['ratio_high'], 2)})" for r in money_rows)))
    frame = pd.DataFrame(
        [[name, Prose(a), Prose(b)] for name, a, b in rows],
        columns=["Measure (95% interval)", "As they come", "Others held equal"])
    return table(frame, {"As they come": Prose, "Others held equal": Prose})


def _no_gap(s: Study) -> Prose:
    if s.drivers.models.paying is None:
        return _without_model(s)
    return Prose("Devices cannot be compared here: there are not two large enough groups of them.")


def gap(s: Study) -> Prose:
    """How much of the gap between devices is the other factors', above all the countries'."""
    found = _device(s)
    if found is None:
        return _no_gap(s)
    equal, come = found
    names = [_in_text("device", equal["level"]), _in_text("device", equal["reference"])]
    shares = [come["share"], come["share_reference"]]
    # Told as the lead of the device on which more pay.
    sign = 1 if come["difference"] >= 0 else -1
    (a, b), (more, less) = names[::sign], shares[::sign]
    raw, left = sign * come["difference"], sign * equal["difference"]
    ends = [sorted(sign * row[f"difference_{end}"] for end in ("low", "high")) for row in (come, equal)]
    others = [FACTORS[f] for f in s.drivers.models.paying.tests["factor"] if f != "device"]
    digits = digits_of_points(more, less)
    text = (
        f"Of the users on {a}, {percent(more, digits)} pay, and of those on {b} {percent(less, digits)}: "
        f"{number(100 * raw, digits)} points apart (95% interval {_points(*ends[0], digits)})."
    )
    if not others:
        return Prose(text + " There is nothing else here to hold equal.")
    text += (
        f" With {listing(others)} held equal, {number(100 * left, digits)} points "
        f"(95% interval {_points(*ends[1], digits)}) remain"
    )
    if raw * left > 0 and abs(left) < 0.95 * abs(raw):
        text += f", so that {percent(1 - left / raw, 0)} of the gap was the company that the devices keep, not the devices"
        if _same_countries(s, equal["level"], come["difference"]):
            text += f": countries where more of the users have {a} are countries where more of them pay"
    elif raw * left > 0 and abs(left) > 1.05 * abs(raw):
        text += ", more than the plain comparison shows: the other factors had hidden part of it"
    elif raw * left <= 0:
        text += ", on the other side of 0: the plain comparison points the wrong way"
    else:
        text += ", hardly a change: the plain comparison was not misled by what is held equal here"
    return Prose(text + ".")


def _same_countries(s: Study, device: str, gap: float) -> bool:
    """Whether countries with more of the device with more payers are those where more pay."""
    cells = s.drivers.association_cells
    cells = cells[cells["row_factor"] == "country"]
    users, paying = (
        cells[cells["column_factor"] == of].pivot(index="row", columns="column", values="observed")
        for of in ("device", "paying"))
    if device not in users.columns or study.PAYING[True] not in paying.columns:
        return False
    size = users.sum(axis=1)
    shares, paid = users[device] / size, paying[study.PAYING[True]].reindex(size.index) / size
    centre = (shares * size).sum() / size.sum()
    return bool(((shares - centre) * paid * size).sum() * gap > 0)


def gap_left(s: Study) -> Prose:
    """Whether a gap is shown to remain."""
    found = _device(s)
    if found is None:
        return Prose("")
    equal, _ = found
    test = s.drivers.models.paying.tests.set_index("factor").loc["device"]
    a, b = _in_text("device", equal["level"]), _in_text("device", equal["reference"])
    if test["p_adjusted"] <= ALPHA:
        more, less = (a, b) if equal["difference"] > 0 else (b, a)
        return Prose(
            f"What remains is more than chance would easily do ({p_value(test['p_adjusted'])}): among otherwise equal users, "
            f"those on {more} pay more often than those on {less}."
        )
    return Prose(
        f"What remains may be chance ({p_value(test['p_adjusted'])}); the interval says how large a gap either way is still possible."
    )


def without(s: Study) -> Prose:
    """Whether any one country decides the device's odds ratio."""
    m = s.drivers.models
    if m.without is None or m.paying is None:
        return Prose("")
    whole = m.paying.coefficient("device", m.without["level"].iloc[0])["ratio"]
    low, high = m.without.loc[m.without["ratio"].idxmin()], m.without.loc[m.without["ratio"].idxmax()]
    return Prose(
        f"No single country carries this: with any one of them left out the odds ratio of the device, {number(whole, 2)}, stays between "
        f"{number(low['ratio'], 2)} (without {_in_text('country', low['left_out'])}) and "
        f"{number(high['ratio'], 2)} (without {_in_text('country', high['left_out'])})."
        if (low["ratio"] - 1) * (high["ratio"] - 1) > 0 else
        f"This hangs on single countries: with one left out the odds ratio of the device, {number(whole, 2)}, ranges from "
        f"{number(low['ratio'], 2)} (without {_in_text('country', low['left_out'])}) to "
        f"{number(high['ratio'], 2)} (without {_in_text('country', high['left_out'])})."
    )


# How good the model is


def checks_table(s: Study) -> Prose:
    """The checks of the logit."""
    m = s.drivers.models
    if m.paying is None:
        return NO_MODEL
    rows = [("Share of the log-likelihood explained (McFadden)", percent(m.paying.mcfadden)),
            ("Mean prediction, payers less others (Tjur)", Prose(f"{number(100 * m.paying.tjur, 1)} points"))]
    rows.append(("Area under the ROC curve, same users", _area(m.area_fitted)))
    if m.area is not None:
        rows.append(("The same, users not seen", _area(m.area)))
        rows.append(("Calibration slope, users not seen", _area(m.slope)))
    if m.link is not None:
        rows.append(("Link test: is the form right?", p_value(m.link.p_value)))
    if m.age_bands is not None:
        rows.append(("Age: bands against a straight line", p_value(m.age_bands.p_value)))
    rows.append(("Largest inflation of a standard error", number(m.inflation["inflation"].max(), 2)))
    return table(pd.DataFrame(rows, columns=["Check", "Found"]), {"Found": Prose})


def _area(found) -> Prose:
    return Prose(f"{number(found.estimate, 2)} ({interval(found.low, found.high, 2)})")


def tried_on_others(s: Study) -> Prose:
    """How it is seen whether persons can be told apart; empty where it cannot be."""
    if s.drivers.models.area is None:
        return Prose("")
    return Prose(
        "To see how well they can, the model is fitted ten times to nine tenths of the users and asked "
        "about the tenth that it has not seen."
    )


def calibration_figure(s: Study) -> p9.ggplot | Prose:
    """Predicted against observed shares by tenths of the users, for users not seen."""
    m = s.drivers.models
    if m.paying is None:
        return NO_MODEL
    if m.calibration is None:
        return _without_model(s, "validation")
    frame = m.calibration
    low = min(frame["predicted"].min(), frame["low"].min())
    high = max(frame["predicted"].max(), frame["high"].max())
    overall = s.drivers.payers / s.drivers.users
    return (
        figures.Plot(frame, p9.aes("predicted", "observed", ymin="low", ymax="high"))
        + p9.geom_abline(slope=1, intercept=0, color=figures.GREY, linetype="dashed")
        + p9.geom_hline(yintercept=overall, color=figures.GREY, linetype="dotted")
        + p9.geom_linerange(color=figures.BLUE)
        + p9.geom_point(color=figures.BLUE, size=2)
        + p9.scale_x_continuous(labels=figures.percents)
        + p9.scale_y_continuous(labels=figures.percents, limits=(low, high))
        + p9.labs(x="Predicted share who pay", y="Observed share who pay")
        + figures.theme(height=3.2)
    )


def prediction(s: Study) -> Prose:
    """How well paying can be predicted, in words."""
    m = s.drivers.models
    if m.paying is None:
        return NO_MODEL
    if m.area is None:
        return _without_model(s, "validation")
    area = m.area.estimate
    word = (
        "worse than a coin: what it learned from some users misleads it about the others"
        if m.area.high < 0.5
        else "no better than a coin as far as these data show" if m.area.low <= 0.5
        else "hardly better than a coin" if area < 0.6 else "somewhat better than a coin" if area < 0.7
        else "well" if area < 0.85 else "very well")
    top = m.calibration.iloc[-1]
    overall = s.drivers.payers / s.drivers.users
    return Prose(
        f"Draw one user who pays and one who does not, neither seen by the model before: in {percent(area, 0)} of such pairs "
        f"(95% interval {interval(100 * m.area.low, 100 * m.area.high, 0)}%) it gives the payer the higher chance. A coin would be right in 50%, so it "
        f"tells them apart {word}. In the tenth that it thinks most of, {percent(top['observed'], 0)} pay, against "
        f"{percent(overall, 0)} of all; the factors explain {percent(m.paying.mcfadden)} of what there is to explain about who pays."
    )


def optimism(s: Study) -> Prose:
    """What the model's look at its own data flatters, and whether its predictions are too extreme."""
    m = s.drivers.models
    if m.area is None:
        return Prose("")
    text = (
        f"On the users that it was fitted to, the same model reaches {percent(m.area_fitted.estimate, 0)}; "
        "only the figure for users not seen counts."
    )
    slope = m.slope
    said = f"the calibration slope is {number(slope.estimate, 2)} (95% interval {interval(slope.low, slope.high, 2)})"
    if slope.high < 0:
        return Prose(f"{text} Its predictions point the wrong way: {said}, where 1 would be right.")
    if slope.high < 1:
        return Prose(
            f"{text} Its predictions are somewhat too extreme: {said}, where 1 would be right, the usual price of estimating "
            f"{count(m.paying.parameters - 1, 'coefficient')} from {count(m.paying.successes, 'payer')}."
        )
    if slope.low > 1:
        return Prose(f"{text} Its predictions are not extreme enough: {said}, where 1 would be right.")
    return Prose(f"{text} Its predictions are not shown to be too extreme: {said}, where 1 is right.")


def form(s: Study) -> Prose:
    """Whether the form of the model is in doubt."""
    m = s.drivers.models
    if m.paying is None:
        return Prose("Here there is no model to check.")
    doubts = []
    if m.link is not None and m.link.p_value < MISFIT:
        doubts.append(f"the link test ({p_value(m.link.p_value)})")
    if m.age_bands is not None and m.age_bands.p_value < MISFIT:
        doubts.append(f"age, which does not follow a straight line ({p_value(m.age_bands.p_value)})")
    worst = m.inflation.loc[m.inflation["inflation"].idxmax()]
    if worst["inflation"] > 2:
        doubts.append(f"{FACTORS[worst['factor']]}, whose standard errors are {number(worst['inflation'], 1)} times what they would be without the other factors")
    if doubts:
        return Prose(f"The form of the model is in doubt: {listing(doubts)}.")
    return Prose("Nothing in these checks speaks against the form of the model, which does not prove it right.")


# Money


def money_table(s: Study) -> Prose:
    """Revenue per user: least squares beside ratios."""
    m = s.drivers.models
    if m.mean is None and m.ratio is None:
        return Prose("There is no model of revenue to show.")
    source = m.mean if m.mean is not None else m.ratio
    rows = source.coefficients.iloc[1:]
    if (rows["factor"] != "country").any():
        rows = rows[rows["factor"] != "country"]
    frame = []
    for row in rows.itertuples():
        cells = {"Group": _level(row.factor, row.level), "Against": _against(row)}
        if m.mean is not None:
            c = m.mean.coefficient(row.factor, row.level)
            cells["Difference (95% interval)"] = Prose(
                f"{money(c['estimate'])} ({low_to_high(money(c['low']), money(c['high']))})")
        if m.ratio is not None:
            c = m.ratio.coefficient(row.factor, row.level)
            cells["Ratio (95% interval)"] = Prose(
                f"{number(c['ratio'], 2)} ({interval(c['ratio_low'], c['ratio_high'], 2)})")
        frame.append(cells)
    frame = pd.DataFrame(frame)
    return table(frame, dict.fromkeys(frame.columns[2:], Prose))


def first_look(s: Study) -> Prose:
    """Why least squares is only a first look at revenue."""
    m = s.drivers.models
    if m.mean is None:
        return _without_model(s, "mean")
    low, high = m.spread.iloc[0], m.spread.iloc[-1]
    parts = [
        f"The residuals have a skewness of {number(m.mean.skewness, 1)}, where a normal distribution has 0"]
    if len(m.spread) > 1 and low["sd"] > 0:
        parts.append(
            f"revenue varies {number(high['sd'] / low['sd'], 1)} times as much (standard deviation {money(high['sd'])}) in the tenth of users with the "
            f"highest predictions as in the one with the lowest ({money(low['sd'])})")
    text = "; ".join(parts) + "."
    p = m.mean.breusch_pagan_p
    if p <= ALPHA:
        text += f" The test of Breusch and Pagan agrees that the variance depends on the factors ({p_value(p)})."
    elif p > ALPHA:
        text += (
            f" The test of Breusch and Pagan, in the form that allows for such tails, does not show that the variance depends on the factors ({p_value(p)}), "
            "but it is nearly blind here: squares of so skewed residuals are mostly noise."
            if m.mean.skewness > 3 else
            f" The test of Breusch and Pagan does not show that the variance depends on the factors ({p_value(p)}).")
    if m.negative:
        text += f" And the line predicts a revenue below 0 for {count(m.negative, 'user')}."
    return Prose(text)


def explained_money(s: Study) -> Prose:
    """How little of what users spend is explained."""
    mean = s.drivers.models.mean
    if mean is None:
        return Prose("")
    return Prose(
        f"Altogether the factors explain {percent(mean.r_squared)} of the variance of what users spend."
    )


def caution(s: Study) -> Prose:
    """How far the intervals of money can be trusted."""
    m = s.drivers.models
    if m.mean is None:
        return Prose("Here there is no model to trust.")
    needed = smallest_n_for_normal_mean(m.mean.skewness)
    sizes = s.drivers.association_cells
    sizes = sizes[sizes["column_factor"] == "paying"].groupby(["row_factor", "row"])["observed"].sum()
    short = int((sizes < needed).sum())
    if not short:
        return Prose("By that rule every group here is large enough.")
    told = "no group here has so many" if short == len(sizes) else (
        f"{number(short)} of the {number(len(sizes))} groups here {'has' if short == 1 else 'have'} fewer")
    return Prose(
        f"By that rule a group needs {number(needed)} users before the interval of its mean can be taken at its word, and "
        f"{told}: these intervals are rough, and for small groups, above all for countries, too narrow."
    )


def money_ratio(s: Study) -> Prose:
    """What the ratios say about the devices, and about the other factors."""
    m = s.drivers.models
    if m.ratio is None:
        return _without_model(s, "ratio")
    kept, rest = _kept(m.ratio)
    parts = []
    if "device" in m.ratio.tests["factor"].to_list():
        row = m.ratio.coefficients[m.ratio.coefficients["factor"] == "device"].iloc[0]
        come = m.ratio_alone.coefficient("device", row["level"])
        a, b = _in_text("device", row["level"]), _in_text("device", row["reference"])
        tail = "" if "device" in kept else ", which may be chance"
        parts.append(
            f"A user on {a} brings in {percent(abs(row['ratio'] - 1), 0)} {'more' if row['ratio'] >= 1 else 'less'} than an otherwise equal one on {b} "
            f"(95% interval {low_to_high(change(row['ratio_low']), change(row['ratio_high']))}){tail}; as they come, the difference is {change(come['ratio'])}."
        )
    names = [FACTORS[f] for f in kept if f != "device"]
    if names:
        parts.append(f"Revenue also differs by {listing(names)}.")
    names = [FACTORS[f] for f in rest if f != "device"]
    if names:
        parts.append(f"That revenue differs by {listing(names, 'or')} is not shown.")
    return Prose(" ".join(parts))


# What it means


def conclusion(s: Study) -> Prose:
    """What is worth taking away about who pays."""
    m = s.drivers.models
    if m.paying is None:
        return _without_model(s)
    kept, _ = _kept(m.paying)
    weak = m.area is not None and m.area.estimate < 0.7
    if not kept:
        return Prose("Nothing that is known at registration is shown to tell who will pay.")
    text = (
        f"Of what is known at registration, {listing(FACTORS[f] for f in kept)} "
        f"{'tells' if len(kept) == 1 else 'tell'} something about who will pay"
    )
    if weak:
        text += (
            ", but little: groups differ, and yet most of who pays lies in the person, not in the group. "
            "These segments may weigh a forecast; they are no ground for treating a person as a payer or not"
        )
    return Prose(text + ".")


def cause(s: Study) -> Prose:
    """That nobody was given a device at random."""
    found = _device(s)
    if found is None:
        return Prose("None of this is cause: nobody was put into these groups at random.")
    equal, _ = found
    device = {"iOS": "an iPhone", "and": "an Android phone"}.get(
        equal["level"], _in_text("device", equal["level"]))
    return Prose(
        f"None of this is cause. Nobody was given {device} at random: whoever buys one differs in income and "
        "habits that the table does not hold, and holding country, gender and age equal does not hold those equal. "
        "The only comparison in this chapter that can claim a cause is the paywall test."
    )


def answer(s: Study) -> Prose:
    """The third question's answer."""
    m = s.drivers.models
    if m.paying is None:
        return _without_model(s)
    kept, _ = _kept(m.paying)
    if not kept:
        return Prose("Nothing that is known at registration is shown to tell **who will pay**.")
    text = f"**Who will pay** goes with {listing(FACTORS[f] for f in kept)}"
    if m.area is not None:
        text += (
            f", and yet a model that knows {'it' if len(kept) == 1 else 'them'} ranks a payer above "
            f"somebody who does not pay in only {percent(m.area.estimate, 0)} of pairs, where a "
            "coin would in 50%" if m.area.estimate < 0.7 else
            f": a model ranks a payer above somebody who does not pay in {percent(m.area.estimate, 0)} "
            "of pairs"
        )
    return Prose(text + ".")
