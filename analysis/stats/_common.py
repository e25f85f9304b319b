"""The rules for input and the shape of results, shared by the modules of this package."""

from dataclasses import fields
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Alternative = Literal["two-sided", "less", "greater"]
Values = NDArray[np.float64]

# Fourth powers (kurtosis) of larger values would overflow double precision.
LARGEST = 1e60
NUMERIC = "biuf"  # kinds of NumPy's types: booleans, integers with and without sign, floats


class Record:
    """What the frozen result dataclasses share: a view as a table with one row."""

    __slots__ = ()

    def to_frame(self) -> pd.DataFrame:
        """The fields as a data frame with one row; fields left out of the repr are left out."""
        shown = [f.name for f in fields(self) if f.repr]  # type: ignore[arg-type]
        return pd.DataFrame([{name: getattr(self, name) for name in shown}])


def as_sample(sample: ArrayLike, name: str = "sample", least: int = 1) -> Values:
    """A sample as a one-dimensional array of finite floats.

    Args:
        sample: Numbers: a list, array or pandas Series of any integer, float, boolean or
            decimal type.
        name: The parameter's name, for the error.
        least: The smallest number of values that the method can use.

    Raises:
        ValueError: More than one dimension, values that are not numbers, missing or infinite
            values, magnitudes above 1e60, or too few values.
    """
    if isinstance(sample, (str, bytes)) or np.ndim(sample) != 1:  # type: ignore[arg-type]
        raise ValueError(f"{name}: must be one column of numbers (one dimension)")
    if type(sample) is np.ndarray and sample.dtype.kind in NUMERIC:
        values = sample.astype(float)
    else:
        values = _floats(pd.Series(sample), name)  # type: ignore[arg-type]
    if not np.isfinite(values).all():
        bad = np.flatnonzero(~np.isfinite(values))
        raise ValueError(
            f"{name}: every value must be a finite number; {bad.size} of {values.size} are not "
            f"(the first at position {bad[0]})"
        )
    if values.size < least:
        raise ValueError(f"{name}: needs at least {least} value(s), got {values.size}")
    if values.size and np.abs(values).max() > LARGEST:
        raise ValueError(f"{name}: magnitudes above {LARGEST:g} are out of range")
    return values


def _floats(column: pd.Series, name: str) -> Values:
    """The numbers of a column of any type, nan where one is missing."""
    kind = column.dtype.kind
    if kind == "O" and not any(isinstance(value, str) for value in column):
        column = pd.to_numeric(column, errors="coerce")
    elif kind not in NUMERIC:
        raise ValueError(f"{name}: must hold numbers, not {column.dtype}")
    return column.to_numpy(dtype=float, na_value=np.nan)


def check_fraction(value: float, name: str, below: float = 1.0) -> None:
    """Raises ValueError unless 0 < value < below."""
    if not 0 < value < below:
        raise ValueError(f"{name}: must lie strictly between 0 and {below:g}, got {value!r}")


def check_count(value: Any, name: str, least: int = 1) -> int:
    """The value as an int; raises ValueError unless it is a whole number of at least `least`."""
    if not float(value).is_integer() or value < least:
        raise ValueError(f"{name}: must be a whole number of at least {least}, got {value!r}")
    return int(value)


def check_alternative(value: str) -> None:
    """Raises ValueError unless the value is one of the three alternatives."""
    if value not in get_args(Alternative):
        raise ValueError(f"alternative: must be one of {get_args(Alternative)}, got {value!r}")
