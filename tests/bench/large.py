"""`make bench`: one large night through `nightbatch run`, with a curve of its memory.

BENCH_LARGE_ROWS (10000000) narrow rows, on SeaweedFS and the local API with ready answers. The command runs as a user
would run it; its resident memory is read twice a second. BENCH_PARTS without `large` leaves it out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import boto3
import psutil
from botocore.config import Config
from tests.bench.data import MODEL, NARROW_SCHEMA, NARROW_TEMPLATE, write_narrow
from tests.bench.on_airflow import answers
from tests.bench.tables.rows import ROOT, busy, machine, renew, show
from tests.support.servers.seaweed import ACCESS, SECRET, seaweed

from nightbatch.local.stack.ports import free_port

ROWS = int(os.environ.get("BENCH_LARGE_ROWS", "10000000"))
FILE_ROWS = 1_000_000
LOOK_SECONDS = 0.5
LABEL_SECONDS = 5.0
"""Steps that follow sooner share a label."""
FIGURE = ROOT / "docs" / "memory.png"
KEPT = ROOT / ".local" / "bench" / "large-curve.json"
TITLE = f"One night of {ROWS:,} narrow rows through `nightbatch run`"


@dataclass
class Curve:
    """Seconds since the start and megabytes of each look; the lines that the command printed, with their seconds."""

    seconds: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    lines: list[tuple[float, str]] = field(default_factory=list)
    cpu: float = 0.0


def main() -> None:
    """Measure, print, renew the page and the figure."""
    if "large" not in os.environ.get("BENCH_PARTS", "large").split(","):
        return
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="nightbatch-bench-") as name:
        folder = Path(name)
        (folder / "s3").mkdir()
        with seaweed(folder / "s3") as s3_url:
            put(folder, s3_url)
            port = free_port()
            emulator = start_emulator(folder, port)
            try:
                curve, report = run_command(s3_url, f"http://127.0.0.1:{port}")
                emulator_cpu = cpu_of(psutil.Process(emulator.pid))
                stored = bytes_below(folder / "s3")
            finally:
                emulator.kill()
                emulator.wait()
    rows = table(curve, report, emulator_cpu, stored)
    show("large", TITLE, rows)
    KEPT.write_text(json.dumps({"curve": asdict(curve), "report": report}))
    above = f"{TITLE}.\nMeasured on {machine()}; {busy(before)}."
    renew("large", above, rows, ROOT / "docs" / "production.md")
    draw(curve)


def put(folder: Path, s3_url: str) -> None:
    """Write the source, a file for each million rows."""
    client = boto3.client(
        "s3",
        endpoint_url=s3_url,
        aws_access_key_id=ACCESS,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )
    client.create_bucket(Bucket="lake")
    (file,) = write_narrow(folder / "rows", ROWS).glob("*.parquet")
    client.upload_file(str(file), "lake", "in/part-0.parquet")
    file.unlink()


def start_emulator(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """Start the local API, whose batches end as soon as they are answered."""
    command = [
        sys.executable, "-m", "nightbatch.emulator", "--port", str(port), "--responder", f"{answers.__name__}:narrow",
        "--seconds", "0", "--retry-after", "1", "--queue-limit", str(10 * ROWS), "--state", str(folder / "account"),
    ]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    time.sleep(4)
    return process


def run_command(s3_url: str, api_url: str) -> tuple[Curve, dict[str, Any]]:
    """Run the command; return the curve of its memory and its report."""
    conf = {
        "source": "s3://lake/in/", "target": "s3://lake/out/", "key": ["ticket_id"], "prompt": NARROW_TEMPLATE,
        "answer_schema": NARROW_SCHEMA, "model": MODEL, "max_tokens": 20, "poll_seconds": 1,
    }  # fmt: skip
    env = {
        **os.environ,
        "AWS_ENDPOINT_URL": s3_url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": ACCESS,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "ANTHROPIC_BASE_URL": api_url,
        "ANTHROPIC_API_KEY": "sk-ant-bench",
    }
    command = [
        sys.executable, "-u", "-m", "nightbatch", "run", "--conf", json.dumps(conf), "--json",
    ]  # fmt: skip
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=log)
        curve = watch(process, log)
        log.seek(0)
        assert process.returncode == 0, log.read()[-3000:]
        output.seek(0)
        report: dict[str, Any] = json.loads(output.read())
    return curve, report


def watch(process: subprocess.Popen[bytes], log: Any) -> Curve:
    """Look at the process until it ends."""
    curve = Curve()
    watched = psutil.Process(process.pid)
    began = time.monotonic()
    position = 0
    while process.poll() is None:
        elapsed = time.monotonic() - began
        try:
            curve.megabytes.append(watched.memory_info().rss / 1e6)
            curve.cpu = cpu_of(watched)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            break
        curve.seconds.append(elapsed)
        text = os.pread(log.fileno(), 1 << 20, position).decode(errors="replace")
        position += len(text.encode())
        curve.lines += [(elapsed, line) for line in text.splitlines()]
        time.sleep(LOOK_SECONDS)
    process.wait()
    return curve


def cpu_of(process: psutil.Process) -> float:
    """Return the CPU seconds that a process has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


def bytes_below(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def table(
    curve: Curve, report: dict[str, Any], emulator_cpu: float, stored: int
) -> list[dict[str, Any]]:
    """Return the one row of the table."""
    return [
        {
            "rows": f"{report['rows']:,}",
            "answered": f"{report['answered']:,}",
            "batches": report["batches"],
            "seconds": round(curve.seconds[-1]),
            "CPU seconds": round(curve.cpu),
            "CPU seconds of the local API": round(emulator_cpu),
            "MB in S3, source included": round(stored / 1e6),
            "peak MB": round(max(curve.megabytes)),
        }
    ]


def steps_of(curve: Curve) -> list[tuple[float, str]]:
    """Return when each kind of line was printed first, by its first word; none that would be drawn over another."""
    steps: list[tuple[float, str]] = []
    for seconds, line in curve.lines:
        word = line.split(" ")[0].strip(":,")
        is_new = word.isalpha() and word not in {step for _, step in steps}
        if is_new and (not steps or seconds - steps[-1][0] > LABEL_SECONDS):
            steps.append((seconds, word))
    return steps


def draw(curve: Curve) -> None:
    """Draw memory against time, with the steps at which the command printed something new."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 3.6))
    axes.plot(curve.seconds, curve.megabytes, linewidth=1.2)
    axes.set_xlabel("seconds")
    axes.set_ylabel("resident memory (MB)")
    axes.set_ylim(bottom=0)
    axes.set_title(TITLE.replace("`", ""))
    for seconds, word in steps_of(curve):
        axes.axvline(seconds, color="gray", linewidth=0.6)
        axes.text(seconds, 0, f" {word}", rotation=90, va="bottom", fontsize=8)
    figure.tight_layout()
    figure.savefig(FIGURE, dpi=130)


if __name__ == "__main__":
    main()
