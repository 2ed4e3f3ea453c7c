"""The plots of docs/performance.md."""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from benchmarks.measurements import Samples, Spread
from benchmarks.systems import DIRECT, EMPTY, NAIVE, OURS, SYSTEMS
from benchmarks.throughput import GET, POST, PUT

TITLES = {POST: "POST /tasks", GET: "GET /tasks/{id}", PUT: "PUT /tasks/{id}/status"}
# A light card on any page, so that the plots read the same in light and in dark.
CARD, INK, GRID = "#ffffff", "#24292f", "#d8dee4"
# Told apart by their shades and markers too, not by colour alone.
STYLES = {
    OURS: ("#0550ae", "o", 2.6),
    NAIVE: ("#bc4c00", "s", 1.6),
    DIRECT: ("#1a7f37", "^", 1.6),
    EMPTY: ("#8c959f", "D", 1.6),
}


def draw(samples: Samples, folder: Path) -> list[Path]:
    """Write a plot of throughput and one of latency against connections; return their paths."""
    throughput, latency = folder / "performance-throughput.svg", folder / "performance-latency.svg"
    _draw(samples, samples.per_second, "requests a second", throughput)
    _draw(samples, samples.p50_ms, "p50, milliseconds", latency)
    return [throughput, latency]


def _draw(
    samples: Samples, value: Callable[[str, int, str], Spread], label: str, target: Path
) -> None:
    works = [work for work in TITLES if any(each == work for each, _ in samples.works())]
    if not works:
        return
    # With this salt and without a date the same figures make the same file.
    with mpl.rc_context({"svg.hashsalt": "performance", "font.size": 12}):
        figure = Figure(figsize=(4 * len(works), 4.2), facecolor=CARD, layout="constrained")
        panels = figure.subplots(1, len(works), sharey=True, squeeze=False)[0]
        for work, panel in zip(works, panels, strict=True):
            _panel(panel, samples, value, work)
        panels[0].set_ylabel(label, color=INK)
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(
            handles,
            names,
            loc="outside upper center",
            ncols=len(names),
            frameon=False,
            labelcolor=INK,
        )
        figure.savefig(target, metadata={"Date": None, "Creator": None})


def _panel(
    panel: Axes, samples: Samples, value: Callable[[str, int, str], Spread], work: str
) -> None:
    connections = [number for each, number in samples.works() if each == work]
    for system in SYSTEMS:
        measured = [number for number in connections if samples.has(work, number, system)]
        spreads = [value(work, number, system) for number in measured]
        if not spreads:
            continue
        colour, marker, width = STYLES[system]
        middle = [each.median for each in spreads]
        below = [each.median - each.low for each in spreads]
        above = [each.high - each.median for each in spreads]
        panel.errorbar(
            [connections.index(number) for number in measured],
            middle,
            yerr=[below, above],
            label=system,
            color=colour,
            marker=marker,
            markersize=7,
            linewidth=width,
            capsize=4,
        )
    panel.set_yscale("log")
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.yaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    panel.set_xticks(range(len(connections)), [str(number) for number in connections])
    panel.set_xlabel("connections", color=INK)
    panel.set_title(TITLES[work], color=INK, fontsize=12)
    panel.set_facecolor(CARD)
    panel.grid(axis="y", color=GRID)
    panel.tick_params(colors=INK, which="both")
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(INK)
