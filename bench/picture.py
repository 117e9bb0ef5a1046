"""Results as a picture: SVG, CPU for each call and the latency that is added, over the number of calls."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from bench.report import Results, summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.figures import Figures

WIDTH, HEIGHT, MARGIN = 420, 260, 48
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#57606a")
PANELS: tuple[tuple[str, Callable[[Figures], float]], ...] = (
    ("CPU ms for each call and second", lambda figures: figures.cpu_ms_per_call_s),
    ("added latency, p99, ms (the worse way)", lambda figures: max(figures.up_p99_ms, figures.down_p99_ms)),
)


def picture(results: Results) -> str:
    """The SVG text."""
    names = list(dict.fromkeys(name for name, _ in results))
    panels = [_panel(index, title, value, results, names) for index, (title, value) in enumerate(PANELS)]
    legend = [
        f'<text x="{MARGIN + 130 * i}" y="{HEIGHT + 24}" fill="{_colour(i)}">● {escape(name)}</text>'
        for i, name in enumerate(names)
    ]
    size = f'width="{WIDTH * len(PANELS)}" height="{HEIGHT + 36}"'
    body = "\n".join([*panels, *legend])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def _panel(index: int, title: str, value: Callable[[Figures], float], results: Results, names: list[str]) -> str:
    left, right, top, bottom = index * WIDTH + MARGIN, (index + 1) * WIDTH - 12, 32, HEIGHT - 24
    points = {key: value(summary(runs)) for key, runs in results.items()}
    most_calls, most = max(calls for _, calls in points), max([*points.values(), 0.001]) * 1.1

    def place(calls: int, height: float) -> tuple[float, float]:
        return left + (right - left) * calls / most_calls, bottom - (bottom - top) * height / most

    out = [
        f'<text x="{left}" y="18" font-weight="bold">{escape(title)}</text>',
        f'<path d="M{left} {top}V{bottom}H{right}" fill="none" stroke="#57606a"/>',
    ]
    out += [
        f'<text x="{left - 4}" y="{place(0, height)[1] + 4:.0f}" text-anchor="end">{height:.2g}</text>'
        for height in (most / 2, most)
    ]
    out += [
        f'<text x="{place(calls, 0)[0]:.0f}" y="{bottom + 16}" text-anchor="middle">{calls}</text>'
        for calls in sorted({calls for _, calls in points})
    ]
    for i, name in enumerate(names):
        line = [place(calls, points[key]) for key in points if (calls := key[1]) and key[0] == name]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in line)
        out.append(f'<polyline points="{path}" fill="none" stroke="{_colour(i)}" stroke-width="2"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{_colour(i)}"/>' for x, y in line]
    return "\n".join(out)


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]
