"""Numbers and sentences as the book prints them.

Everything here returns `Prose`: Markdown that is ready to stand in a sentence. A value that comes
from a table goes through `escape` first, so that no data can act as markup.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Context, Decimal

import pycountry

MINUS = "\u2212"
NBSP = "\u00a0"
MISSING = "\u2013"
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
           "October", "November", "December")
# With digits for every float there is. A half goes away from 0, as readers round.
_ROUNDING = Context(prec=1_000, rounding=ROUND_HALF_UP)


class Prose(str):
    """A string that is Markdown already; notebooks and renderers show it as it is."""

    def _repr_markdown_(self) -> str:
        return str(self)


def escape(value: object) -> Prose:
    """Makes a data value harmless in Markdown, in a pipe table, in HTML and in Typst.

    Every character that could begin markup in Pandoc's Markdown is escaped; line breaks and
    other control characters become spaces (a space that keeps words together stays one), and signs
    that reverse the direction of text go.
    """
    forward = re.sub(r"[\u200e\u200f\u202a-\u202e\u2066-\u2069]", "", str(value))
    flat = re.sub(r"(?:[^\S\u00a0]|[\x00-\x1f\x7f-\x9f])+", " ", forward).strip()
    return Prose(re.sub(r"([\\`*_{}\[\]()<>#+\-.!|$@~^:\"'=/&%])", r"\\\1", flat))


def plain(markdown: str) -> str:
    """The Markdown of a cell or a caption as the text that it shows, its spaces plain ones."""
    # Escaped characters stand aside, as private ones, while markup goes.
    text = re.sub(r"\\([!-/:-@\[-`{-~])", lambda sign: chr(0xE000 + ord(sign[1])), markdown)
    text = re.sub(r"\[([^\[\]]*)\](?:\([^()]*\)|\{[^{}]*\})", r"\1", text)
    text = re.sub(r"\*+|`|(?<!\w)_|_(?!\w)", "", text)
    text = re.sub(r"[\ue021-\ue07e]", lambda sign: chr(ord(sign[0]) - 0xE000), text)
    return text.replace(NBSP, " ").strip()


def rounded(value: float, digits: int = 0) -> Decimal:
    """A number as it is printed with so many decimals: halves go away from 0, so 58.5 becomes 59.

    A float is taken by its first fifteen digits, so that the rounding errors of arithmetic decide
    no half: 100 * 0.145, which is 14.499999999999998, is 14.5. A result of 0 has no sign.
    """
    found = _exact(value).quantize(Decimal((0, (1,), -digits)), context=_ROUNDING)
    return found if found else abs(found)


def _exact(value: float) -> Decimal:
    return Decimal(int(value)) if float(value).is_integer() else Decimal(f"{value:.15g}")


def number(value: float, digits: int = 0) -> Prose:
    """A number with thousands separators and a real minus sign: 1,234.5."""
    if value is None or not math.isfinite(value):
        return Prose(MISSING)
    return Prose(f"{rounded(value, digits):,f}".replace("-", MINUS))


def significant(value: float, figures: int = 3) -> Prose:
    """A number rounded to significant figures, never in exponent form."""
    if value is None or not math.isfinite(value):
        return Prose(MISSING)
    digits = figures - 1 - math.floor(math.log10(abs(value))) if value else figures - 1
    return number(rounded(value, digits), max(digits, 0))


def percent(share: float, digits: int = 1) -> Prose:
    """A share (0..1) as a percentage."""
    return Prose(MISSING) if not math.isfinite(share) else Prose(f"{number(100 * share, digits)}%")


def change(ratio: float, digits: int = 0) -> Prose:
    """A ratio as a signed change: 1.08 is "+8%"."""
    # The difference is taken of decimals: that of floats has lost digits.
    value = number(100 * (_exact(ratio) - 1) if math.isfinite(ratio) else ratio, digits)
    return Prose(f"{value}%" if value.startswith(MINUS) or value == "0" else f"+{value}%")


def p_value(p: float) -> Prose:
    """A p-value as an equation: "p = 0.034", "p \\< 0.001"."""
    if not math.isfinite(p):
        return Prose(MISSING)
    # Escaped, since at a bare "<" Pandoc looks for HTML in all that follows.
    if p < 0.001:
        return Prose(f"p{NBSP}\\<{NBSP}0.001")
    if p > 0.999:
        return Prose(f"p{NBSP}\\>{NBSP}0.999")
    return Prose(f"p{NBSP}={NBSP}{number(p, 3)}")


def day(iso: str) -> Prose:
    """A day (ISO 8601) as people write it: "11 March 2024"."""
    date = dt.date.fromisoformat(iso[:10])
    return Prose(f"{date.day}{NBSP}{_MONTHS[date.month - 1]}{NBSP}{date.year}")


def p_cell(p: float) -> Prose:
    """A p-value in a column of them: "0.034", "\\< 0.001"."""
    return Prose(p_value(p).removeprefix(f"p{NBSP}").removeprefix(f"={NBSP}"))


def digits_of_points(first: float, second: float, least: int = 1) -> int:
    """Digits with which two shares (0..1), in percent, and their difference are seen to add up.

    They are `least`, or one more where rounding hides it, as in 6.6% and 8.3%, so 1.8 percentage
    points, and the further digit shows it. (Thirds add up with no number of digits.)
    """
    a, b = 100 * first, 100 * second
    for digits in (least, least + 1):
        if rounded(b, digits) - rounded(a, digits) == rounded(b - a, digits):
            return digits
    return least


def interval(low: float, high: float, digits: int = 1, unit: str = "") -> Prose:
    """The two ends of an interval: "4.2 to 9.9"; a dash where there is none."""
    if not math.isfinite(low):
        return Prose(MISSING)
    return low_to_high(f"{number(low, digits)}{unit}", f"{number(high, digits)}{unit}")


def low_to_high(low: object, high: object) -> Prose:
    """Two ends as they are printed, which stay on one line: "+1% to +37%"."""
    return Prose(f"{low}{NBSP}to{NBSP}{high}")


def percents(low: float, high: float, digits: int = 1) -> Prose:
    """The two ends of an interval of shares (0..1): "4.2% to 9.9%"."""
    return interval(100 * low, 100 * high, digits, "%")


def capital(text: str) -> Prose:
    """A text with its first letter large, as the beginning of a sentence."""
    return Prose(text[:1].upper() + text[1:])


def listing(parts: Iterable[str], last: str = "and") -> Prose:
    """Parts as an enumeration: "a, b and c"."""
    parts = list(parts)
    if len(parts) < 2:
        return Prose("".join(parts))
    return Prose(f"{', '.join(parts[:-1])} {last} {parts[-1]}")


def paragraph(*sentences: str, nothing: str = "") -> Prose:
    """The sentences that there are, in order: empty ones have nothing to say, and none is repeated.

    Args:
        sentences: The sentences.
        nothing: What to say where all are empty.
    """
    return Prose(" ".join(dict.fromkeys(sentence for sentence in sentences if sentence)) or nothing)


def count(n: int, singular: str, plural: str | None = None) -> Prose:
    """A count with its noun: "1 student", "3,433 students"."""
    return Prose(f"{number(n)} {singular if n == 1 else plural or singular + 's'}")


def dropped(kept: float) -> Prose:
    """What is left out when values up to a quantile are kept: "nothing", "1%"."""
    return Prose("nothing" if kept == 1 else f"{100 * (1 - kept):g}%")


def country(code: str) -> str:
    """A country by its ISO 3166-1 alpha-3 code, as people call it: plain text, not yet Markdown."""
    found = pycountry.countries.get(alpha_3=code)
    if found is None:
        return {"XKX": "Kosovo"}.get(code, code)
    # "Korea, Republic of" is for sorting.
    name, *title = getattr(found, "common_name", found.name).split(", ")
    return " ".join([*title, name])


def quotient(a: float, b: float) -> float:
    """a / b of numbers from 0 up; infinite where only b is 0, and 1 where both are."""
    if b == 0:
        return 1.0 if a == 0 else math.inf
    return a / b
