"""The book's one look for plots: theme, palette and output format, for plotnine.

Importing this module sets plotnine and matplotlib up: figures are SVG (sharp on the website and
in the PDF), and the same plot gives the same file every time.
"""

from __future__ import annotations

import os
import re

import matplotlib
import numpy as np
import plotnine as p9
from matplotlib.collections import PathCollection
from matplotlib.ticker import FixedFormatter
from plotnine import options

from analysis.report.numbers import csv, of_plot
from analysis.report.text import MINUS

# matplotlib stamps drawings with the time and names their parts at random; a fixed epoch and
# salt make an unchanged figure an unchanged file.
os.environ.setdefault("SOURCE_DATE_EPOCH", "0")
matplotlib.rcParams["svg.hashsalt"] = "customer-analytics"

WIDTH = 5.8  # inches: narrow, so that the text stays readable on a phone
HEIGHT = 3.5

# Okabe & Ito (2008), distinguishable with the common kinds of colour blindness.
BLUE, ORANGE, GREEN, VERMILION = "#0072b2", "#e69f00", "#009e73", "#d55e00"
PURPLE, SKY, GREY, INK = "#cc79a7", "#56b4e9", "#8a94a0", "#22292f"
PALETTE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)

options.set_option("figure_format", "svg")


class Plot(p9.ggplot):
    """A plotnine plot that notebooks and renderers show as a drawing of few bytes.

    Attributes:
        numbers: What the figure shows, where the data of its layers do not say it (a map).
    """

    numbers = None

    def _repr_mimebundle_(self, include=None, exclude=None):
        data, metadata = super()._repr_mimebundle_(include, exclude)
        return {mime: _shortened(drawing) for mime, drawing in data.items()}, metadata

    def _repr_csv_(self) -> str:
        return csv(of_plot(self) if self.numbers is None else self.numbers)


def with_numbers(plot: Plot, frame) -> Plot:
    """The plot, giving out this frame as its numbers."""
    plot.numbers = frame
    return plot


def _shortened(drawing: str) -> str:
    """An SVG file with numbers to four digits or so, short names and no blank space."""
    # Numbers below 1 may be factors, of which every digit counts.
    drawing = re.sub(r"(?<![\d.])[1-9]\d?\.\d{3,}", lambda n: f"{float(n[0]):.2f}", drawing)
    drawing = re.sub(r"(?<![\d.])[1-9]\d\d+\.\d{2,}", lambda n: f"{float(n[0]):.1f}", drawing)
    drawing = re.sub(r"\s+", " ", drawing.replace("DejaVuSans-", "g")).replace("> <", "><")
    return re.sub(r'(?<= d=")[^"]*', lambda path: _joined(path[0]), drawing)


def _joined(path: str) -> str:
    """The commands of a path without the blanks and zeros that they can do without."""
    path = re.sub(r"(\.\d*?)0+(?!\d)", r"\1", path)
    return re.sub(r"\.(?!\d)", "", re.sub(r" ?([A-Za-z]) ?", r"\1", path))


class _Light(p9.theme_minimal):
    """plotnine's minimal theme, for drawings of few bytes and with the text's minus signs."""

    def apply(self) -> None:
        """Lets points of one size share their outline, which a file then holds once."""
        super().apply()
        for axes in self.axs:
            for axis in (axes.xaxis, axes.yaxis):
                _with_minus(axis.get_major_formatter())
        for points in (drawn for axes in self.axs for drawn in axes.collections):
            if isinstance(points, PathCollection):
                sizes = points.get_sizes()
                if len(sizes) and np.ptp(sizes) == 0:
                    points.set_sizes(sizes[:1])


def _with_minus(ticks) -> None:
    """Writes the negative numbers of an axis as the text does, not with a hyphen."""
    if isinstance(ticks, FixedFormatter):
        ticks.seq = [re.sub(r"^-(?=[\d.])", MINUS, label) for label in ticks.seq]


def theme(height: float = HEIGHT, legend: str = "top") -> p9.theme:
    """The book's theme.

    Args:
        height: Figure height in inches; the width is always `WIDTH`.
        legend: Where the legend stands: "top", "bottom", "right" or "none".
    """
    return _Light(base_size=10.5) + p9.theme(
        figure_size=(WIDTH, height),
        text=p9.element_text(color=INK),
        axis_text=p9.element_text(color="#4a5560", size=9),
        axis_title=p9.element_text(size=9.5),
        legend_position=legend,
        legend_title=p9.element_blank(),
        legend_text=p9.element_text(size=9),
        legend_key_size=11,
        panel_grid_minor=p9.element_blank(),
        panel_grid_major=p9.element_line(color="#dfe4e9", size=0.5),
        panel_spacing_x=0.035,  # so that the last number of one axis and the first of the next part
        strip_text=p9.element_text(weight="bold", size=9.5, ha="left"),
        plot_background=p9.element_rect(fill="white", color="white"),
    )


def colours(names) -> p9.scale_color_manual:
    """Line and point colours for up to six named groups, in a fixed order."""
    return p9.scale_color_manual(dict(zip(names, PALETTE, strict=False)))


def fills(names) -> p9.scale_fill_manual:
    """Area colours for up to six named groups, in a fixed order."""
    return p9.scale_fill_manual(dict(zip(names, PALETTE, strict=False)))


def log_x(**options) -> p9.scale_x_log10:
    """A logarithmic x axis; without the minor breaks, which fail where there is one major break."""
    return p9.scale_x_log10(minor_breaks=[], **options)


def log_y(**options) -> p9.scale_y_log10:
    """A logarithmic y axis, as `log_x`."""
    return p9.scale_y_log10(minor_breaks=[], **options)


def percents(shares) -> list[str]:
    """Axis labels of shares: "7.5%"."""
    return [f"{100 * share:g}%" for share in shares]


def thousands(values) -> list[str]:
    """Axis labels of large numbers: "100,000"."""
    return [f"{value:,.0f}" for value in values]


def short(name: str, most: int = 34) -> str:
    """A name as a figure's label: on one line, cut to so many characters."""
    name = " ".join(str(name).split())
    name = name if len(name) <= most else f"{name[: most - 1].rstrip()}…"
    # matplotlib takes text between two dollar signs for a formula.
    return name.replace("$", "\\$")
