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
    found, larger = measured["medians"], measured["scale"]
    columns = [("ours", found["ours"]), ("official", found["official"])]
    wide = [(f"ours, {size['rows']:,} rows", size) for size in larger]
    lines = [
        f"Measured on {measured['machine']}. {measured['rows']:,} rows, medians of runs: {measured['repeats']} "
        f"(load average of the last 15 minutes: {measured['load']:.1f}).",
        "",
        "| | " + " | ".join(name for name, _ in [*columns, ("official : ours", {}), *wide]) + " |",
        "|---|" + "---|" * (len(columns) + 1 + len(wide)),
    ]
    for title, (name, form) in FIGURES.items():
        ours, official = (values[name] for _, values in columns)
        ratio = f"{official / ours:.1f}" if ours else "–"
        told = [form.format(values[name]) for _, values in columns] + [ratio]
        lines.append(f"| {title} | {' | '.join(told + [form.format(size[name]) for size in larger])} |")
    return "\n".join([*lines, "", *_tasks(columns)])


def _tasks(columns: list[tuple[str, dict[str, Any]]]) -> list[str]:
    lines = ["Seconds of each task:", "", "| DAG | task | seconds |", "|---|---|---|"]
    for kind, values in columns:
        lines += [f"| {kind} | {task} | {taken:.1f} |" for task, taken in values["tasks"].items()]
    return lines


def write_page(measured: dict[str, Any], page: Path) -> None:
    """Put the table between the marks of a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n{table(measured)}\n{END}{after}", encoding="utf-8")
