"""What a test returns."""

from dataclasses import dataclass

import pandas as pd

from analysis.stats._common import Record
from analysis.stats.effects import Effect
from analysis.stats.intervals import Interval


@dataclass(frozen=True, slots=True)
class TestResult(Record):
    """A test of two samples, a and b, with the size of what it tests.

    Attributes:
        name: The test's usual name.
        alternative: "two-sided"; "less" (a lies below b) or "greater" (a lies above b); or
            "equivalence" (the difference lies within the margins).
        alpha: Significance level.
        n_a, n_b: Sizes of the samples; equal for pairs.
        statistic_name, statistic: The test statistic, for example "t".
        p_value: Probability of a statistic at least this extreme under the null hypothesis.
        interval: Two-sided interval of the estimate at confidence 1 - alpha (1 - 2 alpha for
            "equivalence").
        estimate_name: What is estimated, for example "difference of means", a against b.
        null_value: The estimate's value under the null hypothesis: 0 for a difference, 1 for a
            ratio, 0.5 for a probability of superiority.
        bound: For a one-sided test, the one-sided interval at confidence 1 - alpha, which has
            one infinite (or natural) limit; None otherwise.
        standard_error: Of the estimate; None where the method has none.
        df, df_denominator: Degrees of freedom; the second for F only.
        critical_value: The null hypothesis is rejected when the statistic is below it ("less"),
            above it ("greater") or above it in absolute value ("two-sided"); None where the
            null distribution is discrete.
        critical_low: For a two-sided F test, the statistic below which it rejects as well.
        p_standard_error: Monte-Carlo standard error of a simulated p-value; None if exact.
        effects: Further effect sizes, each with its interval at confidence 1 - alpha.
    """

    __test__ = False  # not a test case, whatever pytest thinks of the name

    name: str
    alternative: str
    alpha: float
    n_a: int
    n_b: int
    statistic_name: str
    statistic: float
    p_value: float
    interval: Interval
    estimate_name: str
    null_value: float = 0.0
    bound: Interval | None = None
    standard_error: float | None = None
    df: float | None = None
    df_denominator: float | None = None
    critical_value: float | None = None
    critical_low: float | None = None
    p_standard_error: float | None = None
    effects: tuple[Effect, ...] = ()

    @property
    def estimate(self) -> float:
        """The point estimate, in the unit that `estimate_name` implies."""
        return self.interval.estimate

    @property
    def reject(self) -> bool:
        """Whether the null hypothesis is rejected at level alpha (no correction for others)."""
        return self.p_value <= self.alpha

    def effect(self, name: str) -> Effect:
        """One of the effects by its name.

        Raises:
            KeyError: There is none of that name; the message lists those that there are.
        """
        for effect in self.effects:
            if effect.name == name:
                return effect
        raise KeyError(f"{name!r} is not among {[effect.name for effect in self.effects]}")

    def effects_frame(self) -> pd.DataFrame:
        """The effects, one a row."""
        columns = ["name", "value", "low", "high", "confidence"]
        rows = [[getattr(effect, column) for column in columns] for effect in self.effects]
        return pd.DataFrame(rows, columns=columns)

    def to_frame(self) -> pd.DataFrame:
        """One row; the interval and the bound are spread over columns, the effects left out."""
        frame = Record.to_frame(self).drop(columns=["interval", "bound", "effects"])
        frame["estimate"] = self.estimate
        frame["low"], frame["high"] = self.interval.low, self.interval.high
        frame["confidence"] = self.interval.confidence
        frame["bound_low"] = self.bound.low if self.bound else None
        frame["bound_high"] = self.bound.high if self.bound else None
        frame["reject"] = self.reject
        return frame
