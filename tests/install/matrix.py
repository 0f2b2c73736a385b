"""`make matrix`: the built wheel in environments of their own, from the oldest dependencies to the newest.

Each environment gets the wheel with its extra `local`, and no source tree: its checks (`check.py`), then the demo,
which runs DAGs over two nights on a real Airflow. CELLS names the ones to run, separated by semicolons; without it,
all. A Python that is not on this machine is left out, and said.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CHECK = Path(__file__).with_name("check.py")
OUT = ROOT / ".local" / "matrix.json"
DEMO_SECONDS = 600
NOT_YET = ("apache-airflow-providers-duckdb",)
"""What was first released after the day of an older cell, and so is not under its constraints."""
NOT_INSTALLED = ("cluster",)
"""Extras that no cell installs: a cluster needs a server that is younger than an older cell."""


@dataclass(frozen=True)
class Cell:
    """One environment: a Python, an Airflow, and how the other versions are chosen.

    `lowest`: each direct dependency at its floor. `day`: those of that day, like the constraints of a managed Airflow.
    """

    name: str
    python: str
    airflow: str
    lowest: bool = False
    day: str = ""


CELLS = (
    Cell("lowest", "3.11", "3.3.0", lowest=True),
    Cell("constraints of 3.3.1", "3.11", "3.3.1", day="2026-08-13"),
    Cell("newest on 3.3.0", "3.11", "3.3.0"),
    Cell("newest", "3.11", "3.3.2"),
    Cell("newest, Python 3.12", "3.12", "3.3.2"),
    Cell("newest, Python 3.13", "3.13", "3.3.2"),
)


def main() -> int:
    """Run the cells, print a line for each, and keep them as JSON; return 1 if one failed."""
    wanted = os.environ.get("CELLS", "")
    chosen = [cell for cell in CELLS if not wanted or cell.name in wanted.split(";")]
    results = []
    with tempfile.TemporaryDirectory(prefix="nightbatch-matrix-") as folder:
        wheel = build(Path(folder) / "dist")
        for number, cell in enumerate(chosen):
            result = run_cell(cell, wheel, Path(folder) / str(number))
            print(json.dumps(result), flush=True)
            results.append(result)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(results, indent=1))
    return int(any(result["outcome"] == "failed" for result in results))


def build(folder: Path) -> Path:
    """Build the wheel."""
    call(["uv", "build", "--quiet", "--wheel", "--out-dir", str(folder), str(ROOT)])
    (wheel,) = folder.glob("*.whl")
    return wheel


def run_cell(cell: Cell, wheel: Path, folder: Path) -> dict[str, object]:
    """Make the environment of one cell and run both checks in it."""
    base = {"cell": cell.name, "python": cell.python, "airflow": cell.airflow}
    interpreter = find_python(cell.python)
    if interpreter is None:
        return {**base, "outcome": f"no Python {cell.python} on this machine"}
    folder.mkdir()
    try:
        python = install(cell, wheel, folder, interpreter)
        checked = call([str(python), "-W", "ignore", str(CHECK)], folder=folder)
        began = time.monotonic()
        demo = [str(python), "-m", "nightbatch.local", "demo", "--home", "demo"]
        call(demo, folder=folder, seconds=DEMO_SECONDS)
    except subprocess.SubprocessError as error:
        output = getattr(error, "output", "") or ""
        return {**base, "outcome": "failed", "why": f"{error}\n{output[-3000:]}"}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    demo_seconds = round(time.monotonic() - began)
    facts = dict(pair.split("=", 1) for pair in checked.splitlines()[-1].split())
    return {**base, "outcome": "passed", "demo_seconds": demo_seconds, **facts}


def find_python(version: str) -> Path | None:
    """Find an interpreter of that version: on PATH, or among those of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates = [
        shutil.which(f"python{version}"),
        *sorted(pyenv.glob(f"versions/{version}.*/bin/python")),
    ]
    for candidate in filter(None, candidates):
        answer = subprocess.run(
            [candidate, "-c", "import sys; print(*sys.version_info[:2], sep='.')"],
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.stdout.strip() == version:
            return Path(candidate)
    return None


def install(cell: Cell, wheel: Path, folder: Path, interpreter: Path) -> Path:
    """Install the wheel and what the cell says into an environment of its own; return its Python."""
    call(["uv", "venv", "--quiet", "--python", str(interpreter), str(folder / "venv")])
    python = folder / "venv" / "bin" / "python"
    constraints = folder / "constraints.txt"
    constraints.write_text(constraints_of(cell, folder))
    call(
        ["uv", "pip", "install", "--quiet", "--python", str(python), "--constraint", str(constraints),
         f"nightbatch[local,iceberg,postgres] @ file://{wheel}"]
    )  # fmt: skip
    return python


def constraints_of(cell: Cell, folder: Path) -> str:
    """Return the versions that a cell fixes, one a line."""
    airflow = f"apache-airflow=={cell.airflow}\n"
    if not cell.lowest and not cell.day:
        return airflow
    pins = folder / "airflow.txt"
    pins.write_text(airflow)
    resolve = [
        "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--python-version", cell.python,
        "--constraint", str(pins),
    ]  # fmt: skip
    if cell.lowest:
        extras = ["--extra", "local", "--extra", "iceberg", "--extra", "postgres"]
        return call(
            [*resolve, "--resolution", "lowest-direct", *extras, "pyproject.toml"]
        )
    wanted = folder / "wanted.txt"
    wanted.write_text("\n".join(names_of_dependencies()))
    return call([*resolve, "--exclude-newer", cell.day, str(wanted)])


def names_of_dependencies() -> list[str]:
    """Return the names of what the package and its extras need, as far as an older day had it."""
    import re
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    installed = extras.keys() - set(NOT_INSTALLED)
    lines = [*project["dependencies"], *(line for name in installed for line in extras[name])]  # fmt: skip
    names = {re.split(r"[\[<>=]", line)[0] for line in lines}
    return sorted(names - {"nightbatch", *NOT_YET})


def call(command: list[str], folder: Path = ROOT, seconds: float = 600) -> str:
    """Run a command without this process's Python settings; return what it printed, raise with it if it failed."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "VIRTUAL_ENV", "AIRFLOW"))
    }
    done = subprocess.run(
        command,
        cwd=folder,
        env={**env, "AIRFLOW_HOME": str(folder / "airflow-home")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=True,
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
