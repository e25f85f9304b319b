"""The claims audit in words: tables, a figure, and sentences that count verdicts."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
import plotnine as p9

from analysis.claims.claim import (
    KINDS,
    Arithmetic,
    Audit,
    Cause,
    Claim,
    Counted,
    Difference,
    Direction,
    Equality,
    Finding,
    Found,
    Printed,
    Unseen,
    Verdict,
)
from analysis.report import figures
from analysis.report.sentences import digits_of_ends
from analysis.report.tables import table, typeset
from analysis.report.text import (
    Prose,
    capital,
    count,
    day,
    escape,
    interval,
    listing,
    number,
    p_value,
    percent,
)
from analysis.stats.intervals import Interval

# What each kind of claim is called.
KIND_NAMES = {
    Printed: "a printed number",
    Arithmetic: "arithmetic of the source",
    Counted: "a matter of counting",
    Found: "found among many",
    Direction: "more, or less",
    Difference: "groups differ",
    Equality: "no difference, no relation",
    Cause: "a cause",
    Unseen: "nothing of it in the tables",
}
COLOURS = {
    Verdict.SUPPORTED: figures.BLUE, Verdict.NOT_SUPPORTED: figures.SKY,
    Verdict.CONTRADICTED: figures.VERMILION, Verdict.UNTELLABLE: figures.GREY,
}
PALE = (Verdict.NOT_SUPPORTED, Verdict.UNTELLABLE)  # with dark figures on their colour
CLAIM = "Claim, and what would have to be true"  # a column
PLANTED = "°"  # marks verdicts about what a generator planted


class _Forms(string.Formatter):
    """Prints a value as its place in a sentence asks; see `filled`."""

    def format_field(self, value: object, form: str) -> str:
        if isinstance(value, Interval):
            return self._interval(value, form)
        if form == "day":
            return day(value)
        if isinstance(value, str):
            return value
        if form == "" or form.isdigit():
            return number(value, int(form or 0))
        if form.endswith("%"):
            return percent(value, int(form[:-1]))
        return count(value, *form.split(":"))

    def _interval(self, value: Interval, form: str) -> str:
        scale, digits, unit, after = 1, 0, "", ""
        if form == "points":
            scale, digits, after = 100, 1, " points"
        elif form.endswith("%"):
            scale, digits, unit = 100, int(form[:-1]), "%"
        else:
            digits = int(form)
        digits = digits_of_ends(scale * value.low, scale * value.high, digits)
        ends = interval(scale * value.low, scale * value.high, digits, unit)
        return (f"{number(scale * value.estimate, digits)}{unit}{after} "
                f"({100 * value.confidence:g}% interval {ends})")


def filled(said: str, values: Mapping[str, object]) -> str:
    """A sentence of evidence with its numbers: plain text, not yet Markdown.

    Forms of places: `{x}` a whole number, `{x:2}` one with two decimals, `{x:1%}` a share as a
    percentage, `{x:student}` a count with its noun (`{x:query:queries}` with an odd plural),
    `{x:day}` an ISO date. An interval prints its estimate in that form and its ends after it, with
    more decimals where an end would look like 0; `{x:points}` is for differences of shares. Texts
    go in as they are.
    """
    return _Forms().vformat(said, (), values)


def _findings(audits: Iterable[Audit]) -> list[Finding]:
    return [finding for audit in audits for finding in audit.findings]


def _counts(findings: Iterable[Finding]) -> dict[Verdict, int]:
    """How many have each verdict, in the order of `Verdict`."""
    found = [finding.verdict for finding in findings]
    return {verdict: found.count(verdict) for verdict in Verdict}


def _planted(audit: Audit, finding: Finding) -> bool:
    """Whether a verdict is about what the generator of the shipped tables planted."""
    return audit.shipped and finding.claim.planted and finding.verdict is not Verdict.UNTELLABLE


def evidence(finding: Finding) -> str:
    """The evidence of a claim in a sentence: plain text, not yet Markdown."""
    said = filled(finding.evidence.said, finding.evidence.values)
    if finding.p_adjusted is not None:
        said += "; corrected " + p_value(finding.p_adjusted).replace("\\", "")
    return capital(said) + "."


def _quoted(claim: Claim) -> Prose:
    """The source's words in quotation marks; what only tells a row of its tables has none."""
    quote = typeset(claim.quote)
    return escape(f"“{quote}”" if claim.verbatim else quote)


def _stop(claim: Claim) -> str:
    """What ends a quotation that a sentence follows, where it does not end itself."""
    return "" if claim.quote.endswith((".", "?", "!")) else "."


def claims_table(audit: Audit) -> Prose:
    """A source's claims with their verdicts and the evidence."""
    frame = pd.DataFrame([
        {
            CLAIM: f"*{_quoted(f.claim)}*{_stop(f.claim)} {escape(typeset(f.claim.statement))}",
            "Verdict": capital(f.verdict) + PLANTED * _planted(audit, f),
            "Evidence": typeset(evidence(f)),
            "More": f"@{f.claim.where}" if f.claim.where else None,
        }
        for f in audit.findings
    ])
    return table(frame, {CLAIM: Prose, "More": Prose}, left=(CLAIM, "More"))


def counts_table(audits: Sequence[Audit]) -> Prose:
    """How many claims of each source have which verdict."""
    rows = [(audit.source.name, audit.findings) for audit in audits]
    return _verdicts_table("Source", [*rows, ("All", _findings(audits))])


def kinds_table(audits: Sequence[Audit]) -> Prose:
    """How many claims of each kind have which verdict."""
    findings = _findings(audits)
    by_kind = {kind: [f for f in findings if f.claim.kind is kind] for kind in KINDS}
    return _verdicts_table("Kind of claim", [
        (capital(KIND_NAMES[kind]), found) for kind, found in by_kind.items() if found
    ])


def _verdicts_table(what: str, rows: Iterable[tuple[str, Sequence[Finding]]]) -> Prose:
    names = {verdict: capital(verdict) for verdict in Verdict}
    frame = pd.DataFrame([
        {what: name, "Claims": len(found)}
        | {names[verdict]: n for verdict, n in _counts(found).items()}
        for name, found in rows
    ])
    return table(frame, dict.fromkeys(("Claims", *names.values()), number))


def counts_figure(audits: Sequence[Audit]) -> p9.ggplot:
    """Claims of each source by verdict."""
    frame = pd.DataFrame([
        {"source": audit.source.name, "verdict": verdict, "claims": n}
        for audit in audits for verdict, n in _counts(audit.findings).items()
    ])
    frame["source"] = pd.Categorical(frame.source, [a.source.name for a in audits][::-1])
    # plotnine stacks the last level first.
    frame["verdict"] = pd.Categorical(frame.verdict, [v.value for v in Verdict][::-1])
    frame["label"] = [str(n) if n else "" for n in frame.claims]
    return (
        figures.Plot(frame, p9.aes("source", "claims", fill="verdict"))
        + p9.geom_col(width=0.7)
        + p9.geom_text(
            p9.aes(label="label", color="verdict"), position=p9.position_stack(vjust=0.5),
            size=8.5, show_legend=False)
        + p9.coord_flip()
        + p9.scale_fill_manual(
            {verdict.value: colour for verdict, colour in COLOURS.items()},
            breaks=[v.value for v in Verdict])
        + p9.scale_color_manual(
            {verdict.value: figures.INK if verdict in PALE else "white" for verdict in Verdict},
            guide=None)
        + p9.labs(x="", y="Claims")
        + figures.theme(height=2.5)
    )


def _told(findings: Iterable[Finding]) -> Prose:
    """Counts of verdicts, as the end of "Of ... claims": "3 are supported, 1 is contradicted"."""
    return listing(
        f"{number(n)} cannot be told" if verdict is Verdict.UNTELLABLE
        else f"{number(n)} {'is' if n == 1 else 'are'} {verdict}"
        for verdict, n in _counts(findings).items() if n
    )


def counts_sentence(audits: Sequence[Audit]) -> Prose:
    """How many claims of all sources have which verdict."""
    findings = _findings(audits)
    return Prose(f"Of {count(len(findings), 'published claim')}, {_told(findings)}.")


def answer(audits: Sequence[Audit]) -> Prose:
    """The audit in two sentences."""
    own = _counts(_of_kinds(audits, Arithmetic))[Verdict.CONTRADICTED]
    causes = len(_of_kinds(audits, Cause))
    return Prose(
        f"**{counts_sentence(audits)}** The sources' own figures are enough to refute {number(own)} of "
        f"them, and of the {count(causes, 'claim')} that one thing, which nobody dealt out by lot, brings "
        "another about, no table can bear out a single one."
    )


def held_against(audit: Audit) -> Prose:
    """Which tables a source's claims were held against, and what came out."""
    if audit.fallback:
        whose = "Your data hold no tables for this study, so its claims are held against the shipped ones."
    elif audit.shipped:
        whose = "The claims are held against the shipped tables."
    else:
        whose = (
            f"The claims were made about other tables than those of {escape(audit.origin)}; a verdict "
            "says whether these bear the claim out."
        )
    if any(_planted(audit, finding) for finding in audit.findings):
        whose += f" A verdict marked {PLANTED} rests on what their generator planted, not on anything published."
    return Prose(f"{whose} Of {count(len(audit.findings), 'claim')}, {_told(audit.findings)}.")


def _of_kinds(audits: Sequence[Audit], *kinds: type) -> list[Finding]:
    return [f for f in _findings(audits) if f.claim.kind in kinds]


def printed(audits: Sequence[Audit]) -> Prose:
    """Whether the printed numbers can be recomputed."""
    found = _of_kinds(audits, Printed)
    counts = _counts(found)
    text = (
        f"{number(counts[Verdict.SUPPORTED])} of {number(len(found))} can be "
        "recomputed from these tables"
    )
    wrong = [f for f in found if f.verdict is Verdict.CONTRADICTED]
    if not wrong:
        return Prose(f"{text}.")
    return Prose(f"{text}; {'that' if len(wrong) == 1 else 'those'} which cannot: {_quotes(wrong)}.")


def _quotes(findings: Iterable[Finding]) -> Prose:
    return listing(dict.fromkeys(
        _quoted(f.claim) if f.claim.verbatim else f"*{_quoted(f.claim)}*" for f in findings))


def own_figures(audits: Sequence[Audit]) -> Prose:
    """Which claims the sources' own figures refute."""
    found = _of_kinds(audits, Arithmetic)
    wrong = [f for f in found if f.verdict is Verdict.CONTRADICTED]
    text = f"{count(len(found), 'claim')} can be checked by what the source itself prints"
    if not wrong:
        return Prose(f"{text}, and {'it agrees' if len(found) == 1 else 'all agree with it'}.")
    return Prose(
        f"{text}, without any table, and {number(len(wrong))} of them "
        f"{'fails' if len(wrong) == 1 else 'fail'}: {_quotes(wrong)}."
    )


def comparisons(audits: Sequence[Audit]) -> Prose:
    """How the claims fare that a test decides."""
    found = _of_kinds(audits, Direction, Difference, Equality)
    tested = [f for f in found if f.p_adjusted is not None]
    if not tested:
        return Prose("These tables decide none of them.")
    open_ = [f for f in tested if f.verdict is Verdict.NOT_SUPPORTED]
    text = f"Of {number(len(tested))} that could be tested, {_told(tested)}."
    if not open_:
        return Prose(text)
    return Prose(
        f"{text} Not supported means that neither the claim nor its opposite is shown; a larger table "
        "may decide."
    )


def causes(audits: Sequence[Audit]) -> Prose:
    """What is said to bring what about."""
    found = _of_kinds(audits, Cause)
    unseen = _of_kinds(audits, Unseen)
    return Prose(
        f"{count(len(found), 'claim says', 'claims say')} that one thing, which nobody dealt out by lot, "
        "brings another about, and no table of this kind can tell: the two may go together for "
        f"other reasons. {count(len(unseen), 'more speaks', 'more speak')} of things that no column holds."
    )


def advice(audits: Sequence[Audit]) -> Prose:
    """What a reader of such reports should do."""
    findings = _findings(audits)
    counts = _counts(findings)
    share = counts[Verdict.SUPPORTED] / len(findings)
    return Prose(
        f"{capital(percent(share, 0))} of what the sources say is borne out here. Before acting on a "
        "published claim: recompute its number, ask which share of whom it is, put an interval on every "
        "difference, and where it says that something works, ask who was left without it."
    )


def planted(audits: Sequence[Audit]) -> Prose:
    """What the shipped tables limit."""
    marked = sum(_planted(audit, f) for audit in audits for f in audit.findings)
    if not marked:
        return Prose(
            "The sources spoke of their own tables. A verdict here says what is so in "
            "these, and neither proves nor refutes what was so in theirs."
        )
    return Prose(
        f"The shipped tables are synthetic. Where a source published figures, they were made to agree "
        f"with them, so that a printed number holds is no surprise; {count(marked, 'verdict')}, marked "
        f"{PLANTED}, {'rests' if marked == 1 else 'rest'} on nothing that was published: how a claim is "
        "tested can be seen there, not how it would fare with the source's customers."
    )
