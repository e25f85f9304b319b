"""Writes `countries.json` from the npm package `world-atlas` (2.0.2). Run by hand, once:

    npm pack world-atlas@2.0.2 && tar xzf world-atlas-2.0.2.tgz
    python -m analysis.report.world.make package

It needs shapely (2.1 or later, with GEOS 3.12), which the book doesn't. Longitudes in the file
count from the map's centre, in tenths of a degree like latitudes: at the size of a figure a tenth
of a degree is an eighth of a point.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pycountry
import shapely
from shapely.geometry import MultiPolygon, Polygon

from analysis.report.world import CENTRE, equal_earth

TOLERANCE = 95  # km: the side of the least triangle that a bend of an outline makes
LEAST_ISLAND = 25_000  # km², unless a country has nothing larger
# What ISO 3166-1 counts to another country, and Kosovo's code in common use.
NO_CODE = {"N. Cyprus": "CY", "Somaliland": "SO", "Kosovo": "XK"}
ANTARCTICA = "AQ"
# Territories with a code of their own that Natural Earth draws as parts of another country.
APART = {
    ("FR", "GF"): lambda lon, lat: lon < -40, ("NO", "SJ"): lambda lon, lat: lat > 74,
}
# Those of which 1:50m has no shape either: longitude, latitude.
POINTS = {
    "BQ": (-68.3, 12.2), "BV": (3.4, -54.4), "CC": (96.8, -12.2), "CX": (105.7, -10.5),
    "GI": (-5.3, 36.1), "GP": (-61.5, 16.2), "MQ": (-61.0, 14.7), "RE": (55.5, -21.1),
    "TK": (-171.8, -9.2), "TV": (179.2, -8.5), "UM": (166.6, 19.3), "YT": (45.2, -12.8),
}


def decoded(topology: dict) -> dict[str, list[list[tuple[float, float]]]]:
    """Rings (longitude, latitude) by ISO alpha-2 code; holes are left to what lies in them."""
    (kx, ky), (dx, dy) = (topology["transform"][name] for name in ("scale", "translate"))
    arcs = []
    for arc in topology["arcs"]:  # steps from point to point
        x, y = np.cumsum(np.array(arc), axis=0).T
        arcs.append(list(zip((x * kx + dx).tolist(), (y * ky + dy).tolist(), strict=True)))

    def ring(numbers):
        # An arc's number in ones' complement is the arc backwards; arcs share their end points.
        parts = [arcs[n] if n >= 0 else arcs[~n][::-1] for n in numbers]
        return list(itertools.chain(parts[0], *(part[1:] for part in parts[1:])))

    rings = defaultdict(list)
    for shape in topology["objects"]["countries"]["geometries"]:
        code = _code(shape)
        if code in (None, ANTARCTICA) or "arcs" not in shape:
            continue
        polygons = [shape["arcs"]] if shape["type"] == "Polygon" else shape["arcs"]
        for outer in (ring(polygon[0]) for polygon in polygons):
            lon, lat = np.mean(outer, axis=0)
            apart = [to for (of, to), is_apart in APART.items()
                     if of == code and is_apart(lon, lat)]
            rings[(apart or [code])[0]].append(outer)
    return rings


def _code(shape: dict) -> str | None:
    found = pycountry.countries.get(numeric=shape.get("id", ""))
    return found.alpha_2 if found else NO_CODE.get(shape["properties"]["name"])


def around_centre(ring):
    """Longitudes from the map's centre, -180 to 180; no country lies across that cut.

    The rings of the source go on across 180 degrees without a cut.
    """
    turned = [((lon - CENTRE + 180) % 360 - 180, lat) for lon, lat in ring]
    longitudes = [lon for lon, _ in turned]
    if max(longitudes) - min(longitudes) > 200:
        raise ValueError(f"an outline lies across the map's cut, near {ring[0]}")
    return turned


def projected(geometry):
    return shapely.transform(geometry, lambda p: np.column_stack(equal_earth(p[:, 0], p[:, 1])))


def main(package: Path) -> None:
    coarse = decoded(json.loads((package / "countries-110m.json").read_text()))
    fine = decoded(json.loads((package / "countries-50m.json").read_text()))
    whole = {
        code: _areas(shapely.union_all([
            shapely.make_valid(Polygon(around_centre(ring))) for ring in rings
        ]))
        for code, rings in sorted(coarse.items())
    }
    source = {}  # where a point of the projected outlines was before
    for geometry in whole.values():
        before = shapely.get_coordinates(geometry)
        after = shapely.get_coordinates(projected(geometry))
        source |= dict(zip(map(tuple, after.tolist()), before.tolist(), strict=True))
    # All at once, so that neighbours keep one border.
    simple = shapely.coverage_simplify(
        [projected(geometry) for geometry in whole.values()], TOLERANCE
    )
    shapes, points = {}, {}
    for code, geometry in zip(whole, simple, strict=True):
        parts = sorted(_parts(geometry), key=lambda p: -p.area)
        kept = [p for i, p in enumerate(parts) if i == 0 or p.area >= LEAST_ISLAND]
        shapes[code] = [
            [round(10 * c) for xy in part.exterior.coords[:-1] for c in source[xy]]
            for part in kept
        ]
        points[code] = _middle(max(_parts(whole[code]), key=lambda p: projected(p).area))
    for code, rings in sorted(fine.items()):
        if code not in points:
            points[code] = _middle(
                max((Polygon(around_centre(r)) for r in rings), key=lambda p: p.area)
            )
    for code, (lon, lat) in POINTS.items():
        points.setdefault(code, [round(10 * v) for v in around_centre([(lon, lat)])[0]])
    text = json.dumps({"shapes": shapes, "places": dict(sorted(points.items()))},
                      separators=(",", ":"))
    Path(__file__).with_name("countries.json").write_text(
        text.replace("]],", "]],\n").replace('"places"', '\n"places"') + "\n", encoding="utf-8"
    )


def _parts(geometry) -> list[Polygon]:
    return list(geometry.geoms) if isinstance(geometry, MultiPolygon) else [geometry]


def _areas(geometry) -> MultiPolygon:
    """Without the points and lines that a ring which touches itself leaves when made valid."""
    return MultiPolygon([p for p in shapely.get_parts(geometry) if isinstance(p, Polygon)])


def _middle(polygon: Polygon) -> list[int]:
    """Centre of the largest circle in it, where degrees are about as long either way."""
    scale = np.cos(np.radians(polygon.centroid.y))
    circle = shapely.maximum_inscribed_circle(
        shapely.transform(polygon, lambda p: p * [scale, 1]), tolerance=0.05
    )
    lon, lat = circle.coords[0]
    return [round(10 * lon / scale), round(10 * lat)]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
