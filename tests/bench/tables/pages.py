"""From measurements to the pages of docs/: a table between two marks, and a figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CASES = ("| | seconds | CPU seconds | MB above imports |", "|---|---|---|---|")
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def table(measured: dict[str, Any]) -> str:
    """Write the measurements as Markdown tables."""
    lines = [f"Measured on {measured['machine']}."]
    for name, part in (
        ("compared", _compared),
        ("scale", _scale),
        ("history", _history),
        ("nights", _nights),
    ):
        if name in measured:
            lines += [
                "",
                *part(
                    measured[name], f"load average then: {measured[name + '_load']:.1f}"
                ),
            ]
    return "\n".join(lines)


def _compared(compared: dict[str, Any], load: str) -> list[str]:
    lines = [
        f"{compared['rows']:,} rows, medians of runs: {compared['repeats']} ({load}); ratio: the SDK's over ours.",
        "",
        *CASES,
    ]
    for title, ratio in compared["ratios"].items():
        lines.append(
            f"| **{title}: ratio** | {ratio['seconds']} | {ratio['cpu']} | {ratio['peak_mb']} |"
        )
    return [*lines, *_cases(compared["cases"])]


def _cases(cases: dict[str, Any]) -> list[str]:
    return [
        f"| {name} | {found['seconds']:.2f} | {found['cpu']:.2f} | {found['peak_mb']:.0f} |"
        for name, found in cases.items()
    ]


def _scale(sizes: list[dict[str, Any]], load: str) -> list[str]:
    lines = [
        f"Seconds and memory against rows, one run each ({load}):",
        "",
        "| rows | step | seconds | CPU seconds | rows a second | MB above imports |",
        "|---|---|---|---|---|---|",
    ]
    for size in sizes:
        for name, found in size["cases"].items():
            speed, seconds = (
                size["rows"] / found["seconds"],
                f"{found['seconds']:.2f} | {found['cpu']:.2f}",
            )
            rows = f"{size['rows']:,}{', narrow' if size['narrow'] else ''}"
            lines.append(
                f"| {rows} | {name} | {seconds} | {speed:,.0f} | {found['peak_mb']:.0f} |"
            )
    return lines


def _history(sizes: list[dict[str, Any]], load: str) -> list[str]:
    lines = [
        f"The plan's difference against indexed settled ids ({load}):",
        "",
        "| settled ids | asked | left | seconds | CPU seconds | MB above imports |",
        "|---|---|---|---|---|---|",
    ]
    for one in sizes:
        counts = (
            f"{one['settled']:,} | {one['value']['asked']:,} | {one['value']['left']:,}"
        )
        lines.append(
            f"| {counts} | {one['seconds']:.2f} | {one['cpu']:.2f} | {one['peak_mb']:.0f} |"
        )
    return lines


def _nights(found: dict[str, Any], load: str) -> list[str]:
    told = f"Publishing {found['rows']:,} narrow rows whose answers came in {found['nights']} nights ({load}):"
    return [told, "", *CASES, *_cases(found["cases"])]


def write_page(measured: dict[str, Any], page: Path) -> None:
    """Put the tables between the marks of a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(
        f"{before}{BEGIN}\n{table(measured)}\n{END}{after}", encoding="utf-8"
    )


def figure(measured: dict[str, Any], path: Path) -> None:
    """Draw seconds and memory against rows."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    drawn, (time, memory) = plt.subplots(1, 2, figsize=(10, 4))
    sizes = [size for size in measured.get("scale", []) if not size["narrow"]]
    names = sorted({name for size in sizes for name in size["cases"]})
    for name in names:
        found = [
            (size["rows"], size["cases"][name])
            for size in sizes
            if name in size["cases"]
        ]
        rows = [one for one, _ in found]
        style = "--x" if name.startswith("sdk") else "-o"
        time.plot(rows, [case["seconds"] for _, case in found], style, label=name)
        memory.plot(rows, [case["peak_mb"] for _, case in found], style, label=name)
    for axes, title in ((time, "seconds"), (memory, "MB above the imports")):
        axes.set(xscale="log", yscale="log", xlabel="rows", title=title)
        axes.grid(visible=True, alpha=0.3)
    if names:
        time.legend()
    drawn.tight_layout()
    drawn.savefig(path, dpi=120)
    plt.close(drawn)
