"""From whole runs to the page: a table between two marks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

BEGIN, END = "<!-- dag: begin -->", "<!-- dag: end -->"
FIGURES = {
    "seconds of the run": ("seconds", "{:.1f}"),
    "CPU seconds of all of Airflow's processes": ("cpu", "{:.1f}"),
    "CPU seconds of the local API": ("emulator_cpu", "{:.1f}"),
    "peak MB of a task's process": ("task_mb", "{:.0f}"),
    "peak MB of the API server": ("api_server_mb", "{:.0f}"),
    "bytes in XCom": ("xcom_bytes", "{:,.0f}"),
    "bytes in rendered fields": ("rendered_bytes", "{:,.0f}"),
    "bytes added to the metadata database": ("database_bytes", "{:,.0f}"),
}


def table(measured: dict[str, Any]) -> str:
    """Write the measurements as Markdown."""
    lines = [f"Measured on {measured['machine']}."]
    if "compared" in measured:
        lines += ["", *_compared(measured["compared"])]
    for size in measured.get("scale", []):
        lines += ["", *_alone(size)]
    return "\n".join(lines)


def _compared(compared: dict[str, Any]) -> list[str]:
    found = compared["medians"]
    lines = [
        f"{compared['rows']:,} rows, medians of runs: {compared['repeats']} (load at the end: {_loads(found)}):",
        "",
        "| | ours | official | official : ours |",
        "|---|---|---|---|",
    ]
    for title, (name, form) in FIGURES.items():
        ours, official = found["ours"][name], found["official"][name]
        ratio = f"{official / ours:.1f}" if ours else "–"
        lines.append(
            f"| {title} | {form.format(ours)} | {form.format(official)} | {ratio} |"
        )
    return [*lines, "", *_tasks(found)]


def _loads(found: dict[str, Any]) -> str:
    return ", ".join(f"{kind} {values['load']:.1f}" for kind, values in found.items())


def _alone(size: dict[str, Any]) -> list[str]:
    lines = [
        f"Ours at {size['rows']:,} rows, one run (load at the end: {size['load']:.1f}):",
        "",
        "| | |",
        "|---|---|",
    ]
    return lines + [
        f"| {title} | {form.format(size[name])} |"
        for title, (name, form) in FIGURES.items()
        if name in size
    ]


def _tasks(found: dict[str, Any]) -> list[str]:
    lines = ["Seconds of each task:", "", "| DAG | task | seconds |", "|---|---|---|"]
    for kind, values in found.items():
        lines += [
            f"| {kind} | {task} | {taken:.1f} |"
            for task, taken in values["tasks"].items()
        ]
    return lines


def write_page(measured: dict[str, Any], page: Path) -> None:
    """Put the table between the marks of a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(
        f"{before}{BEGIN}\n{table(measured)}\n{END}{after}", encoding="utf-8"
    )
