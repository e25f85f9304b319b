"""A map of the world: shapes of countries, and the projection that the book draws them in.

The shapes are a simplified copy of Natural Earth's 1:110m countries (public domain) as the npm
package `world-atlas` ships them (see LICENSE); `make.py` writes `countries.json`. Borders are those
of that source and take no side: where a territory has no ISO 3166-1 code of its own, it is drawn
with the country that ISO counts it to, and Kosovo has the code XK that is in common use.
"""

from __future__ import annotations

import functools
import json
from importlib.resources import files

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

# The map is cut at 168.4 degrees west, in the Bering Strait, where it cuts no country.
CENTRE = 11.6
# Countries with less land than this are hard to find in a figure of the book's width: a square of
# that size is three points wide. They get a dot.
SMALL = 15_000  # km²
EARTH_RADIUS = 6371.0  # km


def equal_earth(longitude: ArrayLike, latitude: ArrayLike) -> tuple[NDArray, NDArray]:
    """Equal Earth projection (Šavrič, Patterson & Jenny 2018, equations 1 to 4).

    Equal areas on the globe are equal areas on the map, so that no country looks more important
    for being far from the equator.

    Args:
        longitude: Degrees from the central meridian, east positive.
        latitude: Degrees, north positive.

    Returns:
        x and y in km on a sphere of the earth's size.
    """
    a1, a2, a3, a4 = 1.340264, -0.081106, 0.000893, 0.003796
    theta = np.arcsin(np.sqrt(3) / 2 * np.sin(np.radians(latitude)))
    square = theta**2
    power = square**3
    slope = a1 + 3 * a2 * square + power * (7 * a3 + 9 * a4 * square)
    x = 2 * np.sqrt(3) * np.radians(longitude) * np.cos(theta) / (3 * slope)
    y = theta * (a1 + a2 * square + power * (a3 + a4 * square))
    return EARTH_RADIUS * x, EARTH_RADIUS * y


@functools.cache
def _stored() -> dict:
    return json.loads(files(__package__).joinpath("countries.json").read_text(encoding="utf-8"))


@functools.cache
def shapes() -> pd.DataFrame:
    """Outlines of countries on the map; read only.

    Returns:
        `country` (ISO 3166-1 alpha-2), `part` (number of a closed outline; large ones first, so
        that enclaves are drawn over what surrounds them), `x` and `y` (km).
    """
    rings = [(code, ring) for code, rings in _stored()["shapes"].items() for ring in rings]
    drawn = [(code, *equal_earth(*np.array(ring, dtype=float).reshape(-1, 2).T / 10))
             for code, ring in rings]
    drawn.sort(key=lambda ring: (-_area(ring[1], ring[2]), ring[0]))
    return pd.concat([
        pd.DataFrame({"country": code, "part": part, "x": x, "y": y})
        for part, (code, x, y) in enumerate(drawn)
    ], ignore_index=True)


@functools.cache
def places() -> pd.DataFrame:
    """A point for each country to put a sign on: the middle of its widest part; read only.

    Returns:
        Index `country` (ISO 3166-1 alpha-2); `x`, `y` (km) and `small`: whether the shape is too
        small to see, or there is none.
    """
    points = _stored()["places"]
    longitude, latitude = (np.array([p[i] for p in points.values()]) / 10 for i in (0, 1))
    x, y = equal_earth(longitude, latitude)
    outlines = shapes()
    area = {
        part: _area(ring.x.to_numpy(), ring.y.to_numpy())
        for part, ring in outlines.groupby("part")
    }
    of = outlines.drop_duplicates("part").assign(area=lambda o: o.part.map(area))
    land = of.groupby("country").area.sum()
    index = pd.Index(points, name="country")
    small = land.reindex(index).fillna(0).to_numpy() < SMALL
    return pd.DataFrame({"x": x, "y": y, "small": small}, index=index)


def _area(x: NDArray, y: NDArray) -> float:
    """Of a closed outline, by the shoelace formula."""
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)
