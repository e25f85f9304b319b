"""Sentences of the engagement chapter, chosen from its results."""

from __future__ import annotations

from math import isfinite

from analysis import engagement as study
from analysis.report import sentences as common
from analysis.report.engagement import AFTER, BEFORE, PLAN_STUDENTS
from analysis.report.sentences import (
    difference_sentence,
    equivalence_sentence,
    increase_sentence,
    rise,
)
from analysis.report.text import (
    Prose,
    capital,
    change,
    count,
    dropped,
    interval,
    listing,
    number,
    p_value,
    percent,
    quotient,
    significant,
)
from analysis.stats.decision import Finding, decide
from analysis.stats.power import smallest_n_for_normal_mean


def answer_plan(s: study.Headline, plan: str) -> Prose:
    """One plan's answer in a sentence."""
    c = s.comparisons[plan]
    who = PLAN_STUDENTS[plan].capitalize()
    finding = decide(c.welch).finding
    _, low, high = rise(c.welch)
    size = (
        f"{change(c.means[1] / c.means[0])} (95% interval of the change {interval(low, high)} "
        f"minutes; {_everybody(s, plan)} with the top {trimmed_share()} in)"
    )
    moved = f"from {number(c.means[0], 1)} to {number(c.means[1], 1)} minutes a quarter"
    if finding is Finding.LOWER:
        return Prose(f"**{who}** watched more on average, {moved}, {size}.")
    if finding is Finding.CONTRARY:
        return Prose(f"**{who}** watched less on average, {moved}, {size}.")
    return Prose(
        f"For **{PLAN_STUDENTS[plan]}** no increase is shown: the mean went {moved}, {size}."
    )


def _everybody(s: study.Headline, plan: str) -> Prose:
    """How the mean changed if nobody is left out."""
    before, after = (s.groups[plan, q].raw_summary.mean for q in study.QUARTERS)
    return change(after / before)


def no_countries() -> Prose:
    """Why no countries are compared, where none are."""
    return Prose(
        f"The table has no two countries with three free-plan students of {AFTER} and different "
        "minutes each, so countries are not compared."
    )


def third_question(s: study.Study) -> Prose:
    """The question about countries."""
    if s.countries is None:
        return Prose(
            "Do free-plan students of two countries watch equally long? (This table has no two "
            "countries with enough of them, so the question stays open.)"
        )
    first, second = s.countries.labels
    return Prose(f"Do free-plan students in {first} and in {second} watch equally long?")


def tested(s: study.Study) -> Prose:
    """How many questions are tested, and at which level."""
    all_ = "All three" if s.countries else "Both of the first two"
    return Prose(
        f"{all_} are tested at the {percent(study.ALPHA, 0)} level, and because there are several, "
        "their [p-values](glossary.qmd#gl-p-value) are corrected together in @sec-engagement-family."
    )


def countries_question(s: study.Study) -> Prose:
    """The question about countries, with how it is tested."""
    if s.countries is None:
        return no_countries()
    first, second = s.countries.labels
    return Prose(
        f"Do free-plan students in {first} watch as long as those in {second}? No direction is "
        "expected, so the test is two-sided; the spreads come first, as before."
    )


def answer_countries(s: study.Headline) -> Prose:
    """The answer to the third question in a sentence."""
    c = s.countries
    if c is None:
        return no_countries()
    first, second = c.labels
    (p,) = s.family.p_adjusted[s.family.test == c.name]
    if p <= study.ALPHA:
        sign = 1 if c.welch.estimate > 0 else -1
        more, less = (first, second) if sign > 0 else (second, first)
        low, high = sorted((sign * c.welch.interval.low, sign * c.welch.interval.high))
        return Prose(
            f"In the free plan, students in **{more}** watch longer on average than those in "
            f"**{less}**, by {number(abs(c.welch.estimate), 1)} minutes "
            f"(95% interval {interval(low, high)}; corrected {p_value(p)})."
        )
    gap = c.medians[0] - c.medians[1]
    tail = ""
    if c.mann_whitney.reject:
        more, less = (first, second) if gap > 0 else (second, first)
        tail = f", although the typical student in {more} watches longer than the one in {less}"
    return Prose(
        f"In the free plan, the means of **{first}** and **{second}** are not shown to differ "
        f"({number(c.welch.estimate, 1)} minutes, 95% interval "
        f"{interval(c.welch.interval.low, c.welch.interval.high)}; corrected {p_value(p)}){tail}."
    )


def answer_cause(s: study.Headline) -> Prose:
    """Why none of it is the features' doing, as far as anybody can tell."""
    growth = s.turnover["free"].growth
    crowd = ""
    if abs(growth - 1) > 0.05:
        crowd = (
            ", and in the same time the number of active free-plan students changed by a factor "
            f"of {number(growth, 1)}"
        )
    return Prose(
        f"None of this shows what the features did: there was no group without them{crowd}."
    )


def provenance(s: study.Headline) -> Prose:
    """Whose tables these are."""
    return common.provenance(
        s, "to agree with the figures that the source published; no row is a real student"
    )


def sizes(s: study.Study) -> Prose:
    """How many students there are, by plan and quarter."""
    parts = [
        f"{number(s.groups[plan, BEFORE].raw_summary.n)} {PLAN_STUDENTS[plan]} were active in {BEFORE} "
        f"and {number(s.groups[plan, AFTER].raw_summary.n)} in {AFTER}"
        for plan in study.PLANS
    ]
    return Prose(f"Of {count(s.registered, 'student')} in the table, {parts[0]}; {parts[1]}.")


def tail(s: study.Study) -> Prose:
    """How far the longest-watching student is from the middle one."""
    ratio = max(quotient(g.raw_summary.maximum, g.raw_summary.median) for g in s.groups.values())
    if ratio == float("inf"):
        return Prose(
            "In at least one group most students watched nothing at all, so that every minute is "
            "in the tail."
        )
    if ratio > 10:
        return Prose(
            "Minutes watched have a long tail: a few students leave a lesson running, or live on the "
            f"platform, and the longest is up to {significant(ratio, 2)} times the median of its group."
        )
    return Prose(
        f"The longest-watching student is at most {number(ratio, 1)} times the median of the group; "
        "there is no long tail to fear."
    )


def trimmed_share() -> Prose:
    """The share that the outlier rule drops."""
    return percent(1 - study.TRIM, 0)


def subset_range() -> Prose:
    """The minutes that make a student "low"."""
    return interval(*study.SUBSET, 0)


def normality(s: study.Study) -> Prose:
    """Whether the samples could pass for normal."""
    skew = max((g.summary.skewness for g in s.groups.values()), key=abs)
    kurtosis = max((g.summary.excess_kurtosis for g in s.groups.values()), key=abs)
    if abs(skew) > 1 or abs(kurtosis) > 2:
        return Prose(f"these are not, with a skewness of up to {number(skew, 1)}")
    return Prose(f"these nearly are, with a skewness of {number(skew, 1)} at most")


def smallest_significant(s: study.Study) -> Prose:
    """The change that would just be significant, by plan."""
    parts = [
        f"{number(abs(c.welch.critical_value) * c.welch.standard_error, 1)} minutes among {PLAN_STUDENTS[plan]}"
        for plan, c in s.comparisons.items()
    ]
    return Prose(
        f"With this many students a rise of {listing(parts)} would already be significant."
    )


def mean_against_median(s: study.Study) -> Prose:
    """By how much the mean exceeds the median."""
    ratios = [quotient(g.summary.mean, g.summary.median) for g in s.groups.values()]
    least, most = min(ratios), max(ratios)
    if most == float("inf"):
        return Prose("In at least one group the median is 0: most of its students watched nothing.")
    if least > 1.2:
        return Prose(
            f"In every group the mean is far above the median, {number(least, 1)} to "
            f"{number(most, 1)} times as large: it is pulled up by few students who watch very much."
        )
    return Prose(
        f"The mean is {number(least, 1)} to {number(most, 1)} times the median, depending on the group."
    )


def shape_sentence(s: study.Study, plan: str) -> Prose:
    """How the typical student and the busiest of a plan moved."""
    c, who = s.comparisons[plan], PLAN_STUDENTS[plan]
    (a, b), busiest = c.medians, _busiest(c)
    middle, moved = quotient(b, a), _top_moved(c)
    if middle == 1 and c.top_difference.value == 0:
        return Prose(f"Among {who} neither the middle nor the busiest twentieth moved.")
    if abs(middle - 1) < 0.05:
        reached = {
            1: "while the busiest twentieth reached further",
            -1: "while the busiest twentieth reached less far",
            0: "and that the busiest twentieth did is not shown",
        }[moved]
        return Prose(
            f"Among {who} the middle hardly moved (median {number(a, 1)}, then {number(b, 1)} "
            f"minutes) {reached} ({busiest})."
        )
    direction = (
        "to the left, towards fewer minutes" if middle < 1 else "to the right, towards more minutes"
    )
    whole = moved == (-1 if middle < 1 else 1)
    return Prose(
        f"Among {who} {'the whole curve' if whole else 'the middle of the curve'} moved {direction}: "
        f"the median went from {number(a, 1)} to {number(b, 1)} minutes ({busiest})."
    )


def _top_moved(c: study.Comparison) -> int:
    """1 if the busiest are shown to have watched more, -1 if less, 0 if neither is shown."""
    first_minus_second = c.top_difference
    return int(first_minus_second.high < 0) - int(first_minus_second.low > 0)


def _busiest(c: study.Comparison) -> str:
    """The quantile of the busiest in both quarters, with the change and its interval."""
    d = c.top_difference
    ends = (
        f"95% interval {interval(-d.high, -d.low, 0)}"
        if isfinite(d.low) and isfinite(d.high)
        else "too few students for an interval"
    )
    sign = "+" if -d.value > 0 else ""
    return (
        f"{number(100 * study.TOP)}th percentile {number(c.top[0])}, then {number(c.top[1])} "
        f"minutes: {sign}{number(-d.value)}, {ends}"
    )


def concentration(s: study.Study) -> Prose:
    """How much of the watching the top tenth does."""
    parts = [
        f"{percent(s.groups[plan, AFTER].raw_summary.top_10_share, 0)} of all minutes among {PLAN_STUDENTS[plan]}"
        for plan in study.PLANS
    ]
    return Prose(f"In {AFTER} the most active tenth of students watched {listing(parts)}.")


def interval_sentence(s: study.Study) -> Prose:
    """Whether the two kinds of interval disagree."""
    leans = []
    for key, bca in s.bca.items():
        half = s.groups[key].t_interval.high - bca.estimate
        shift = ((bca.low + bca.high) / 2 - bca.estimate) / half
        leans.append(shift)
    most = max(leans, key=abs)
    n = min(g.summary.n for g in s.groups.values())
    side = "up" if most > 0 else "down"
    if abs(most) < 0.1:
        return Prose(
            "The two kinds hardly differ: the middle of the BCa interval lies at most "
            f"{percent(abs(most), 0)} of a half-width away from the mean. "
            f"With {number(n)} students and more in a group, the mean of even so skewed a sample is "
            "close to normal (the central limit theorem); with a few dozen it would not be."
        )
    return Prose(
        f"The BCa intervals lean {side} by as much as {percent(abs(most), 0)} of a half-width: with "
        f"as few as {number(n)} students in a group, the long tail still shows in the mean."
    )


def normal_mean(s: study.Study) -> Prose:
    """Whether each group is large enough, for its skewness, for a mean that is about normal."""
    needed = {key: smallest_n_for_normal_mean(g.summary.skewness) for key, g in s.groups.items()}
    short = [key for key, n in needed.items() if s.groups[key].summary.n < n]
    span = f"{number(min(needed.values()))} to {number(max(needed.values()))} students here"
    if not short:
        return Prose(f"That asks for {span}, and every group has more.")
    names = listing(f"{PLAN_STUDENTS[plan]} of {quarter}" for plan, quarter in short)
    return Prose(
        f"That asks for {span}, and there are fewer {names}: their intervals of the mean are to be "
        "read with care, and their ranks before their means."
    )


def variance_sentence(comparisons: list[study.Comparison]) -> Prose:
    """What the tests of the spreads decide."""
    if not comparisons:
        return Prose("")
    unequal = [c.name for c in comparisons if c.brown_forsythe.reject]
    disagree = [c.name for c in comparisons if c.f_test.reject != c.brown_forsythe.reject]
    if len(unequal) == len(comparisons):
        told = "the spreads differ" + (" in both plans" if len(unequal) > 1 else "")
    elif unequal:
        told = f"the spreads differ in the {listing(n.lower() for n in unequal)} only"
    else:
        told = "the spreads are not shown to differ"
    if disagree:
        about = f" about the {listing(n.lower() for n in disagree)}" if len(comparisons) > 1 else ""
        told = (
            f"the two tests disagree{about}, and the F test, which trusts the data to be normal, is "
            f"the one to doubt; by the other, {told}"
        )
    return Prose(
        f"{capital(told)}. Either way Welch's test, which does not assume equal variances, is the "
        "one to read; choosing between tests by a preliminary test would spoil the error rate."
    )


def increase(s: study.Study, plan: str) -> Prose:
    """The verdict on a plan's increase."""
    c = s.comparisons[plan]
    return increase_sentence(c.welch, c.means, PLAN_STUDENTS[plan])


def effect_meaning(s: study.Study, plan: str) -> Prose:
    """An effect size in plain words."""
    c = s.comparisons[plan]
    d = abs(c.welch.effect("Hedges' g").value)
    size = "tiny" if d < 0.1 else "small" if d < 0.35 else "medium" if d < 0.65 else "large"
    p = 1 - c.mann_whitney.estimate
    minutes = c.means[1] - c.means[0]
    more = "more" if minutes >= 0 else "less"
    return Prose(
        f"Among {PLAN_STUDENTS[plan]} the average student watched {number(abs(minutes))} minutes {more} "
        f"a quarter, a {size} difference beside how much students differ from each other; pick one "
        f"student from each quarter at random, and the later one watched longer in "
        f"{percent(p, 0)} of such pairs."
    )


def median_sentence(s: study.Study, plan: str) -> Prose:
    """Whether the typical student moved as the mean did."""
    c = s.comparisons[plan]
    a, b = c.medians
    who = PLAN_STUDENTS[plan]
    medians = f"the median went from {number(a, 1)} to {number(b, 1)} minutes"
    mean_up, ranks_up = c.welch.reject, c.mann_whitney.reject
    if mean_up and not ranks_up:
        return Prose(
            f"Among {who} the mean rose but the typical student did not watch more: {medians}, "
            f"and the ranks show no increase ({p_value(c.mann_whitney.p_value)}). "
            "The rise sits in the upper tail."
        )
    if mean_up:
        return Prose(f"Among {who} mean and ranks agree on an increase; {medians}.")
    if ranks_up:
        return Prose(
            f"Among {who} the typical student watched more although the mean shows no increase: {medians}."
        )
    return Prose(f"Among {who} neither mean nor ranks show an increase; {medians}.")


def sensitivity_sentence(s: study.Study, plan: str) -> Prose:
    """Whether the outlier rule decides the verdict."""
    rows = s.sensitivity[s.sensitivity.plan == plan]
    significant_at = rows[rows.p_value <= study.ALPHA]
    who = PLAN_STUDENTS[plan]
    span = f"(ratio of the means {number(rows.ratio.min(), 2)} to {number(rows.ratio.max(), 2)})"
    if len(significant_at) == len(rows):
        return Prose(f"Among {who} the increase is found under every rule {span}.")
    if significant_at.empty:
        return Prose(f"Among {who} no rule finds an increase {span}.")
    yes = listing(dropped(k) for k in significant_at.kept)
    no = listing(dropped(k) for k in rows[rows.p_value > study.ALPHA].kept)
    return Prose(
        f"Among {who} the verdict depends on the tail: an increase is found when one drops {yes} of "
        f"the top, and none when one drops {no} {span}."
    )


def growth_sentence(s: study.Study) -> Prose:
    """How the number of students and the total minutes changed."""
    parts = []
    for plan, t in s.turnover.items():
        parts.append(
            f"{PLAN_STUDENTS[plan]} went from {number(t.students_before)} to {number(t.students_after)} "
            f"({change(t.growth)}), and the time they watched altogether from "
            f"{number(t.total_before / 60)} to {number(t.total_after / 60)} hours "
            f"({change(t.total_after / t.total_before)})"
        )
    text = f"{parts[0]}; {parts[1]}."
    return capital(text)


def decomposition_sentence(s: study.Study, plan: str) -> Prose:
    """Which part of the change of the mean is the largest."""
    t = s.turnover[plan]
    total = t.mean_after - t.mean_before
    parts = {
        "the same students watching {}": t.from_stayers,
        "newcomers watching {} than those who had left": t.from_exchange,
        "a shift between stayers and the rest that made the average student watch {}": t.from_weights,
    }
    cause, largest = max(parts.items(), key=lambda item: abs(item[1]))
    words = cause.format("more" if largest > 0 else "less")
    direction = "rise" if total > 0 else "fall"
    if largest * total < 0:
        return Prose(
            f"Among {PLAN_STUDENTS[plan]} the mean's {direction} of {number(abs(total), 1)} minutes hides "
            f"opposite moves; the largest is {words} ({number(largest, 1)} minutes)."
        )
    return Prose(
        f"Among {PLAN_STUDENTS[plan]} the largest part of the {direction} of {number(abs(total), 1)} minutes "
        f"is {words} ({number(largest, 1)} minutes)."
    )


def pairs_sentence(s: study.Study, plan: str) -> Prose:
    """How the students of both quarters changed."""
    p = s.pairs[plan]
    diff = p.paired_t
    more = p.watched_more
    if more.low > 0.5:
        who = "most of them watched more"
    elif more.high < 0.5:
        who = "most of them did not watch more"
    else:
        who = "about half of them watched more"
    against = diff.reject and (diff.estimate > 0) != (more.low > 0.5)
    few = " So a few students with large changes carry that mean." if against else ""
    mean_told = (
        "a change that the paired test supports"
        if diff.reject
        else "which the paired test does not support as a change"
    )
    rule = (
        f" For changes as skewed as these the rule of thumb asks for {number(p.needed)} pairs, more "
        "than there are."
        if p.needed > len(p.before)
        else ""
    )
    return Prose(
        f"Of the {number(len(p.before))} {PLAN_STUDENTS[plan]} active in both quarters, {who} "
        f"({percent(more.estimate, 0)}, 95% interval {interval(100 * more.low, 100 * more.high, 0)}%); "
        f"their mean moved by {number(diff.estimate, 1)} minutes "
        f"(95% interval {interval(diff.interval.low, diff.interval.high)}), {mean_told} "
        f"({p_value(diff.p_value)}).{few}{rule}{_without_the_top(p, s.trimmed_pairs[plan])}"
    )


def _without_the_top(p: study.Pairs, trimmed: study.Pairs | None) -> str:
    """What is left of the mean change without the longest watchers of either quarter."""
    if trimmed is None:
        return ""
    t = trimmed.paired_t
    said = (
        f" Without those in the top {trimmed_share()} of either quarter the mean moves by "
        f"{number(t.estimate, 1)} minutes (95% interval "
        f"{interval(t.interval.low, t.interval.high)}; {p_value(t.p_value)})"
    )
    if p.paired_t.reject and not t.reject:
        return f"{said}: the change rests on the longest watchers."
    return f"{said}."


def low_sentence(s: study.Study) -> Prose:
    """What the source's subset seems to show."""
    parts = [
        f"the mean of the {number(len(p.before))} {PLAN_STUDENTS[plan]} goes from "
        f"{number(p.before.mean(), 1)} to {number(p.after.mean(), 1)} minutes"
        for plan, p in s.low_pairs.items()
    ]
    return Prose(f"There {listing(parts)}.")


def mirror_sentence(s: study.Study) -> Prose:
    """Whether the mirror shows regression to the mean."""
    fell = all(p.paired_t.interval.high < 0 for p in s.mirror_pairs.values())
    halved = all(2 * p.after.mean() < p.before.mean() for p in s.mirror_pairs.values())
    parts = [
        f"{number(p.before.mean(), 1)} to {number(p.after.mean(), 1)} minutes among {PLAN_STUDENTS[plan]}"
        for plan, p in s.mirror_pairs.items()
    ]
    if fell:
        return Prose(
            f"Seen that way, the same data show a {'steep ' if halved else ''}*fall*, from "
            f"{listing(parts)}. "
            "Both cannot be the features' doing; what they share is the choice of a low quarter. "
            "A subset chosen by its outcome says nothing about a change."
        )
    return Prose(
        f"Seen that way, the means go from {listing(parts)}: a fall among both is not shown, so the "
        "picture does not simply turn around here, but the choice still bends both comparisons."
    )


def countries_difference(s: study.Study) -> Prose:
    """Whether the means of the two countries differ."""
    c = s.countries
    if c is None:
        return Prose("")
    return difference_sentence(c.welch, "The means", c.labels)


def countries_equivalence(s: study.Study) -> Prose:
    """How large the difference is, or whether the means are shown to be about equal."""
    c = s.countries
    if c is None:
        return Prose("")
    if c.welch.reject:
        return Prose(
            f"The difference amounts to {percent(abs(c.welch.estimate) / c.means[0], 0)} of the first mean."
        )
    return equivalence_sentence(
        c.equivalence, f"{percent(study.RELEVANT_LIFT, 0)} of the first country's mean either way"
    )


def countries_medians(s: study.Study) -> Prose:
    """What the ranks say about the two countries."""
    c = s.countries
    if c is None:
        return Prose("")
    p = c.mann_whitney.estimate
    first, second = c.labels
    medians = (
        f"{number(c.medians[0], 1)} minutes in {first} and {number(c.medians[1], 1)} in {second}"
    )
    if c.mann_whitney.reject:
        more, less = (first, second) if p > 0.5 else (second, first)
        return Prose(
            f"The typical students do differ: the medians are {medians}, and a random student in "
            f"{more} watches longer than one in {less} in {percent(max(p, 1 - p), 0)} of "
            f"pairs (Mann–Whitney, {p_value(c.mann_whitney.p_value)}). "
            "A question about means has one answer, and a question about students another."
        )
    return Prose(
        f"The medians are {medians}, and the ranks do not tell the countries apart either "
        f"({p_value(c.mann_whitney.p_value)})."
    )


def false_alarm(s: study.Study) -> Prose:
    """Chance of at least one false alarm among the study's tests, were they independent."""
    return percent(1 - (1 - study.ALPHA) ** len(s.family), 0)


def family_sentence(s: study.Study) -> Prose:
    """What is left after the correction."""
    before = int((s.family.p_value <= study.ALPHA).sum())
    after = int(s.family.reject.sum())
    if before == after:
        return Prose(
            f"The correction changes no decision: {count(after, 'result')} of {len(s.family)} "
            f"{'is' if after == 1 else 'are'} significant before and after it."
        )
    return Prose(
        f"Of {count(before, 'result')} significant alone, {number(after)} "
        f"{'remains' if after == 1 else 'remain'} after the correction."
    )


def conclusion(s: study.Study) -> Prose:
    """The study's conclusion in a paragraph."""
    sentences = []
    for plan in study.PLANS:
        c = s.comparisons[plan]
        who = PLAN_STUDENTS[plan]
        if c.welch.reject and c.mann_whitney.reject:
            told = f"{who} watched more, the typical one as well as the average"
        elif c.welch.reject:
            told = (
                f"{who} watched more on average, but the typical one did not: the heaviest users of "
                f"{AFTER} watched more than those of {BEFORE}"
            )
        elif decide(c.welch).finding is Finding.CONTRARY:
            told = f"{who} watched less on average"
        else:
            told = f"for {who} neither an increase nor its absence is shown"
        sentences.append(told)
    text = (
        f"{capital(sentences[0])}; {sentences[1]}. "
        f"That leaves out the top {trimmed_share()} of each group, as the source does; with them in, "
        "the means changed by "
        + listing(
            f"{_everybody(s, plan)} among "
            f"{PLAN_STUDENTS[plan]} (95% interval {interval(*rise(s.untrimmed[plan])[1:])} minutes)"
            for plan in study.PLANS
        )
        + "."
    )
    t = s.turnover["free"]
    total = t.total_after / t.total_before
    if t.mean_after < t.mean_before and total > 1:
        text += (
            f" Yet the free plan as a whole is watched more than before ({change(total)} in hours): "
            "a platform that draws a larger and more casual crowd gains minutes and loses "
            "minutes *per student* at once, and no single average can report both."
        )
    return Prose(text)


def experiment_terms() -> Prose:
    """What the experiment is planned to see, and how surely."""
    return Prose(
        f"It should see a lift of the mean by {percent(study.RELEVANT_LIFT, 0)} with a "
        f"[power](glossary.qmd#gl-power) of {percent(study.POWER, 0)}, in a two-sided test at "
        f"{percent(study.ALPHA, 0)}."
    )


def experiment_sentence(s: study.Study) -> Prose:
    """What the experiment asks for and whether one quarter suffices."""
    parts = []
    for plan, e in s.experiments.items():
        active = len(s.groups[plan, AFTER].minutes)
        enough = "has" if 2 * e.per_arm <= active else "does not have"
        parts.append(
            f"the {plan} plan needs {number(e.per_arm)} students an arm and, with {number(active)} "
            f"active in a quarter, {enough} them"
        )
    return Prose(
        f"To see a lift of {percent(study.RELEVANT_LIFT, 0)}, {'; '.join(parts)}. "
        "Where they are too few, there are three ways out: run longer, look for a larger effect "
        "only, or measure something less skewed, such as the share of students who come back each week."
    )


def recommendations(s: study.Study) -> Prose:
    """What to do, each item with the result that it rests on."""
    items = [
        "**Do not credit the features yet.** Hold back a random part of new students from the next "
        "feature and compare within the quarter; @tbl-engagement-experiments has the numbers."
    ]
    paid, free = s.comparisons["paid"], s.comparisons["free"]
    if paid.welch.reject and not paid.mann_whitney.reject:
        items.append(
            "**Ask the heavy users.** The rise among paying students sits in the upper tail "
            f"({_busiest(paid)}): find out which feature they use, before building more for everybody."
        )
    elif paid.welch.reject:
        items.append(
            "**Keep what paying students have.** They watch more, and not only the keenest do; make "
            "sure that the next change does not take that away."
        )
    else:
        items.append(
            "**Look at the paying students first.** They pay, and no increase is shown; interview "
            "those who watched less."
        )
    if free.medians[1] < free.medians[0]:
        items.append(
            "**Look at the first lesson.** The typical free-plan student now watches "
            f"{number(free.medians[1], 1)} minutes in a quarter, against {number(free.medians[0], 1)} "
            "before; watch where in that time they leave, and test changes there."
        )
    else:
        items.append(
            "**Build on the free plan.** Its typical student watches "
            f"{number(free.medians[1], 1)} minutes, against {number(free.medians[0], 1)} before; test "
            "what turns that into subscriptions."
        )
    items.append(
        "**Report two numbers, always.** Active students and median minutes beside the mean, so that "
        "growth in numbers is not mistaken for a loss of interest, nor a loud minority for the crowd."
    )
    if s.countries and s.countries.mann_whitney.reject and not s.countries.welch.reject:
        items.append(
            f"**Do not treat {s.countries.labels[0]} and {s.countries.labels[1]} as one market.** Their "
            "means are not shown to differ; their typical students are."
        )
    return Prose("\n".join(f"{i}. {item}" for i, item in enumerate(items, 1)))


def limit_of_data(s: study.Study) -> Prose:
    """What the origin of the tables limits."""
    if s.shipped:
        return Prose(
            "The shipped table is synthetic. It agrees with the published counts, means, spreads and "
            "medians; what was not published, such as how many students were active in both quarters, "
            "is a plausible choice of the generator, and conclusions that rest on it illustrate the method."
        )
    return Prose(
        "The tables are taken as they are; whether a missing minute means absence or a lost log "
        "cannot be seen from them."
    )
