"""Claims, the evidence for them, and the rules that turn evidence into verdicts.

A claim is something that a source says and that could be false. Its test looks at what a study
measures and returns evidence of one kind; the kind's `verdict` is the rule, the same for all claims
of that kind. The rules are the only place that decides:

* `Printed`, a number in the source: supported if the recomputed one rounds to it.
* `Counted`, something that counting settles: supported if it is so, contradicted if not.
* `Arithmetic`, the same from the source's own figures alone, whatever the tables hold.
* `Found`, a search among many, with a correction of its own: supported if it finds one.
* `Direction`, one thing lies above (or below) another: supported if the 95% interval lies wholly
  on that side and p, corrected, is at most 5%; contradicted likewise on the other side.
* `Difference`, some of several groups differ: supported by a corrected p of at most 5%,
  contradicted if none is shown and the effect is shown to be too small to matter.
* `Equality`, two things are alike or unrelated: supported only by a test of equivalence,
  contradicted only by a difference that is shown to be larger than the margin.
* `Cause`, one thing brings another about that nobody dealt out by lot: cannot be told.
* `Unseen`, it speaks of something that no table holds: cannot be told.

What is neither supported nor contradicted is not supported. p-values are corrected by Holm's (1979)
method, as one family, for all claims of a source that they decide; the intervals are not widened.

Evidence is data: numbers by name, and a sentence with places for them. The sentence stands beside
the test, so that a claim is one place; `report.claims` prints the numbers into it.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pandas as pd

from analysis.sources import Tables
from analysis.stats.intervals import Interval
from analysis.stats.multiplicity import holm

ALPHA = 0.05


class Verdict(StrEnum):
    """What the evidence says about a claim."""

    SUPPORTED = "supported"
    """It is shown to be so."""
    NOT_SUPPORTED = "not supported"
    """Neither it nor its opposite is shown."""
    CONTRADICTED = "contradicted"
    """It is shown not to be so."""
    UNTELLABLE = "cannot be told"
    """Tables like these cannot say."""


@dataclass(frozen=True, kw_only=True)
class Evidence(ABC):
    """What a test has found.

    Attributes:
        said: A sentence without its full stop, with places in braces for `values`: `{name:FORM}`,
            where FORM says how to print it (see `report.claims.filled`).
        values: Numbers, intervals and texts by name.
    """

    said: str
    values: Mapping[str, float | int | str | Interval] = field(default_factory=dict)

    @property
    def tested(self) -> float | None:
        """The p-value that takes part in the correction; None where none decides."""
        return None

    @property
    def size(self) -> Interval | None:
        """What is estimated, where it is one number."""
        return None

    @abstractmethod
    def verdict(self, p_adjusted: float | None) -> Verdict:
        """The rule of this kind of claim.

        Args:
            p_adjusted: `tested` after correction.
        """


@dataclass(frozen=True, kw_only=True)
class Printed(Evidence):
    """Numbers that the source prints.

    Attributes:
        numbers: For each the printed number, its decimals, and the recomputed one.
    """

    numbers: tuple[tuple[float, int, float], ...]

    def verdict(self, p_adjusted: float | None) -> Verdict:
        # Half a unit of the last decimal either way, and a hair for numbers that are no sums of
        # powers of two.
        return _settled(all(
            abs(found - printed) <= 0.5 * 10.0**-digits * (1 + 1e-9)
            for printed, digits, found in self.numbers
        ))


@dataclass(frozen=True, kw_only=True)
class Counted(Evidence):
    """Something that counting settles.

    Attributes:
        holds: Whether it is so.
    """

    holds: bool

    def verdict(self, p_adjusted: float | None) -> Verdict:
        return _settled(self.holds)


@dataclass(frozen=True, kw_only=True)
class Found(Evidence):
    """Something that was searched for among many, with a correction for their number.

    Attributes:
        found: How many were found.
    """

    found: int

    def verdict(self, p_adjusted: float | None) -> Verdict:
        return Verdict.SUPPORTED if self.found else Verdict.NOT_SUPPORTED


@dataclass(frozen=True, kw_only=True)
class Arithmetic(Evidence):
    """Something that the source's own figures settle.

    Attributes:
        holds: Whether they allow it.
    """

    holds: bool

    def verdict(self, p_adjusted: float | None) -> Verdict:
        return _settled(self.holds)


@dataclass(frozen=True, kw_only=True)
class Direction(Evidence):
    """One thing lies above another, or a share above a limit.

    Attributes:
        estimate: Its size, with a 95% interval.
        p_value: Two-sided, against `null`.
        null: The estimate if there were nothing.
        below: Whether the claim says that it lies below.
    """

    estimate: Interval
    p_value: float
    null: float = 0.0
    below: bool = False

    @property
    def tested(self) -> float:
        return self.p_value

    @property
    def size(self) -> Interval:
        return self.estimate

    def verdict(self, p_adjusted: float | None) -> Verdict:
        above, under = self.estimate.low > self.null, self.estimate.high < self.null
        as_said, otherwise = (under, above) if self.below else (above, under)
        return _shown(as_said, otherwise, p_adjusted)


@dataclass(frozen=True, kw_only=True)
class Difference(Evidence):
    """Some of several groups differ.

    Attributes:
        effect: How much, on a scale where 0 is not at all.
        p_value: Of the test that all are alike.
        p_small: Of the test that they differ by what matters, against less.
    """

    effect: Interval
    p_value: float
    p_small: float

    @property
    def tested(self) -> float:
        """`p_small` where no difference is shown, but that there is no larger one."""
        return self.p_small if self._small else self.p_value

    @property
    def size(self) -> Interval:
        return self.effect

    @property
    def _small(self) -> bool:
        return self.p_small <= ALPHA < self.p_value

    def verdict(self, p_adjusted: float | None) -> Verdict:
        return _shown(not self._small, self._small, p_adjusted)


@dataclass(frozen=True, kw_only=True)
class Equality(Evidence):
    """Two things are alike, or unrelated.

    Attributes:
        estimate: Their difference, ratio or correlation.
        low, high: Margins: between them it is too small to matter.
        p_within: Of the test of equivalence, the larger of two one-sided ones (Schuirmann 1987).
        p_beyond: Two-sided, of the nearer margin against values beyond it.
    """

    estimate: Interval
    low: float
    high: float
    p_within: float
    p_beyond: float

    @property
    def tested(self) -> float:
        """The smaller of the two: at most one of the hypotheses that they reject can be true."""
        return min(self.p_within, self.p_beyond)

    @property
    def size(self) -> Interval:
        return self.estimate

    def verdict(self, p_adjusted: float | None) -> Verdict:
        # A 95% interval within the margins asks a little more than two one-sided tests at 5% do.
        within = self.low < self.estimate.low and self.estimate.high < self.high
        beyond = self.estimate.low > self.high or self.estimate.high < self.low
        return _shown(within, beyond, p_adjusted)


@dataclass(frozen=True, kw_only=True)
class Cause(Evidence):
    """One thing brings another about that nobody dealt out by lot; the evidence tells how they go
    together, if that is known."""

    def verdict(self, p_adjusted: float | None) -> Verdict:
        return Verdict.UNTELLABLE


@dataclass(frozen=True, kw_only=True)
class Unseen(Evidence):
    """Something that no table holds."""

    def verdict(self, p_adjusted: float | None) -> Verdict:
        return Verdict.UNTELLABLE


def _settled(holds: bool) -> Verdict:
    return Verdict.SUPPORTED if holds else Verdict.CONTRADICTED


def _shown(as_said: bool, otherwise: bool, p_adjusted: float | None) -> Verdict:
    if p_adjusted <= ALPHA and (as_said or otherwise):
        return _settled(as_said)
    return Verdict.NOT_SUPPORTED


KINDS = (Printed, Arithmetic, Counted, Found, Direction, Difference, Equality, Cause, Unseen)


class CannotTell(Exception):
    """The tables lack what a test needs; the claim's verdict is then that it cannot be told."""

    def __init__(self, said: str, **values: float | int | str) -> None:
        """Takes `said` and `values` as `Evidence` has them."""
        super().__init__(said)
        self.evidence = Unseen(said=said, values=values)


@dataclass(frozen=True)
class Claim:
    """Something that a source says.

    Attributes:
        key: Its name within the source.
        quote: The source's words, in brief; where not `verbatim`, what a row of its tables holds.
        statement: What would have to be true, in one sentence.
        kind: Which kind of evidence decides it.
        where: The section that shows the evidence; None if there is none.
        planted: Whether the shipped tables hold nothing of the source's that could decide it, so
            that the verdict on them is about what their generator planted.
        test: From what the study measures to the evidence.
        verbatim: Whether the quote is in the source's words.
    """

    key: str
    quote: str
    statement: str
    kind: type[Evidence]
    where: str | None
    planted: bool
    test: Callable[[Any], Evidence]
    verbatim: bool = True


@dataclass(frozen=True)
class Source:
    """A source and its claims.

    Attributes:
        study: The study of its tables.
        name: What the reader calls it.
        measure: What the tests need, of the tables or, where it has been run on them, of the
            study: takes both, the study being None where it has not.
        planted: Whether its claims are `planted` unless they say otherwise.
        claims: In the order of the text; `claim` adds to them.
    """

    study: str
    name: str
    measure: Callable[[Tables, Any], Any]
    planted: bool = False
    claims: list[Claim] = field(default_factory=list)

    def claim(
        self, kind: type[Evidence], quote: str, *, where: str | None = None,
        planted: bool | None = None, statement: str | None = None, verbatim: bool = True,
    ) -> Callable[[Callable[[Any], Evidence]], Callable[[Any], Evidence]]:
        """Makes the function below it the test of a claim.

        The function's name is the claim's key, its docstring the statement: what would have to be
        true.

        Args:
            kind: The evidence that the function returns.
            quote, verbatim: See `Claim`.
            where: The section that shows the evidence.
            planted: See `Claim`; None: as the source.
            statement: Instead of the docstring.
        """
        def add(test: Callable[[Any], Evidence]) -> Callable[[Any], Evidence]:
            self.claims.append(Claim(
                key=test.__name__,
                quote=quote,
                statement=" ".join((statement or inspect.getdoc(test)).split()),
                kind=kind,
                where=where,
                planted=self.planted if planted is None else planted,
                test=test,
                verbatim=verbatim,
            ))
            return test

        return add


@dataclass(frozen=True)
class Finding:
    """A claim with its verdict.

    Attributes:
        claim: The claim.
        verdict: What the evidence says about it.
        evidence: That evidence.
        p_adjusted: The p-value that decided, corrected; None where none did.
    """

    claim: Claim
    verdict: Verdict
    evidence: Evidence
    p_adjusted: float | None


@dataclass(frozen=True)
class Audit:
    """All claims of a source with their verdicts.

    Attributes:
        source: The source.
        findings: One a claim, in the order of the text.
        origin: Where the tables are that they were held against, for people.
        shipped: Whether those are the shipped ones.
        fallback: Whether that is because the place named has none.
    """

    source: Source
    findings: tuple[Finding, ...]
    origin: str
    shipped: bool
    fallback: bool

    def to_frame(self) -> pd.DataFrame:
        """Index `claim`; `kind`, `verdict`, `estimate`, `low`, `high`, `p_value`, `p_adjusted`."""
        rows = []
        for f in self.findings:
            size = f.evidence.size
            rows.append({
                "claim": f.claim.key,
                "kind": f.claim.kind.__name__.lower(),
                "verdict": f.verdict.value,
                **{name: getattr(size, name, None) for name in ("estimate", "low", "high")},
                "p_value": f.evidence.tested,
                "p_adjusted": f.p_adjusted,
            })
        return pd.DataFrame(rows).set_index("claim")


def judge(claims: Sequence[Claim], measured: Any) -> tuple[Finding, ...]:
    """Tests claims, corrects their p-values as one family, and applies the rules.

    Args:
        claims: The claims.
        measured: What their tests take.

    Raises:
        TypeError: A test returns another kind of evidence than its claim names.
    """
    found = [_evidence(claim, measured) for claim in claims]
    tested = [i for i, evidence in enumerate(found) if evidence.tested is not None]
    adjusted = dict(zip(tested, map(float, holm([found[i].tested for i in tested])), strict=True))
    return tuple(
        Finding(claim, evidence.verdict(adjusted.get(i)), evidence, adjusted.get(i))
        for i, (claim, evidence) in enumerate(zip(claims, found, strict=True))
    )


def _evidence(claim: Claim, measured: Any) -> Evidence:
    try:
        evidence = claim.test(measured)
    except CannotTell as reason:
        return reason.evidence
    if not isinstance(evidence, claim.kind):
        raise TypeError(f"{claim.key}: {type(evidence).__name__} is no {claim.kind.__name__}")
    return evidence


def audit(source: Source, tables: Tables, study: Any = None) -> Audit:
    """Holds all claims of a source against tables of its study.

    Args:
        source: The source.
        tables: The tables.
        study: The study of these tables, where it has been run already: the whole of it, or its
            headline where it has one. The audit is the same, and sooner done.
    """
    return Audit(
        source=source,
        findings=judge(source.claims, source.measure(tables, study)),
        origin=tables.origin,
        shipped=tables.shipped,
        fallback=tables.fallback,
    )
