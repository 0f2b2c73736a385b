"""A SeaweedFS server, from its wheel, on free ports and with a folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nightbatch.local.stack.ports import free_port

ACCESS, SECRET = "suite", "suite-secret"
IDENTITY = {
    "name": "admin",
    "credentials": [{"accessKey": ACCESS, "secretKey": SECRET}],
    "actions": ["Admin", "Read", "Write", "List", "Tagging"],
}


@contextmanager
def seaweed(folder: Path) -> Iterator[str]:
    """Run a server for as long as the block lasts; return its S3 URL."""
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [IDENTITY]}))
    data = folder / "data"
    data.mkdir()
    names = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc",
             "s3.port", "s3.port.grpc")  # fmt: skip
    ports = {name: free_port() for name in names}
    weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or "weed"
    command = [
        weed, "-logtostderr=true", "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3",
        "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={config}", "-volume.max=0",
        "-master.volumeSizeLimitMB=256", "-master.telemetry=false", "-master.electionTimeout=1s",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]  # fmt: skip
    log_file = folder / "weed.log"
    log = log_file.open("wb")
    env = {**os.environ, "GOMEMLIMIT": "300MiB"}
    server = subprocess.Popen(
        command, stdout=log, stderr=subprocess.STDOUT, cwd=folder, env=env
    )
    url = f"http://127.0.0.1:{ports['s3.port']}"
    try:
        _wait(url, server, log_file)
        yield url
    finally:
        server.kill()
        server.wait()
        log.close()


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Block until the server can make a bucket and keep an object in it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text(errors="replace")[-2000:]
        try:
            urllib.request.urlopen(url, timeout=2)
        except urllib.error.HTTPError as answer:
            if answer.code < 500:
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise TimeoutError(log.read_text(errors="replace")[-2000:])
