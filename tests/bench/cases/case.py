"""Run one case in a process of its own, and say how long it took and how far its memory rose above its imports.

`python case.py module function JSON-arguments`: the module of this folder is imported and its `warm` called, so that
everything that is imported late is there; then the peak is reset.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

STATUS = Path("/proc/self/status")


def resident(field: str) -> float:
    """Read VmRSS or VmHWM in MB."""
    line = next(
        line for line in STATUS.read_text().splitlines() if line.startswith(field)
    )
    return int(line.split()[1]) * 1024 / 1e6


def main(module: str, function: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Call the function and measure it."""
    loaded = importlib.import_module(f"tests.bench.cases.{module}")
    loaded.warm()
    call = getattr(loaded, function)
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    clock, busy = time.perf_counter(), time.process_time()
    value = call(**arguments)
    seconds, cpu = time.perf_counter() - clock, time.process_time() - busy
    peak = resident("VmHWM") - before
    return {
        "seconds": round(seconds, 4),
        "cpu": round(cpu, 4),
        "peak_mb": round(peak, 1),
        "value": value,
    }


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[3]))
    print(json.dumps(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))))
