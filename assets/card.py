"""Draws card.png, which stands for the book where somebody links to it: `python assets/card.py`."""

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt

GROUND, INK, MUTED, BLUE, ORANGE = "#10202e", "#ffffff", "#b9c7d3", "#56b4e9", "#e69f00"
WIDTH, HEIGHT, DPI = 1200, 630, 100


def draw(file: Path) -> None:
    """The title beside two curves of customers who stay, fewer each month."""
    figure = plt.figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, facecolor=GROUND)
    figure.text(0.065, 0.70, "Customer", color=INK, fontsize=58, weight="bold")
    figure.text(0.065, 0.555, "analytics", color=INK, fontsize=58, weight="bold")
    figure.text(0.068, 0.43, "From question to decision", color=MUTED, fontsize=27)
    figure.text(0.068, 0.12, "Five studies, recomputed from their tables", color=MUTED, fontsize=20)
    axes = figure.add_axes((0.57, 0.17, 0.37, 0.66), facecolor=GROUND)
    month = np.arange(13)
    for rate, colour in ((0.07, BLUE), (0.17, ORANGE)):
        axes.step(month, np.exp(-rate * month), where="post", color=colour, linewidth=7)
    axes.set(xlim=(0, 11.9), ylim=(0, 1.06), xticks=[], yticks=[])
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set(color=MUTED, linewidth=2)
    figure.savefig(file, facecolor=GROUND, metadata={"Software": None})


if __name__ == "__main__":
    draw(Path(__file__).with_name("card.png"))
