"""Airflow's commands, one after the other in one process: each alone would import Airflow anew, for seconds.

Run as a script without arguments, this reads a command a line as JSON, `{"arguments": […], "environment": {…}}`, and
answers each with a line, `{"returncode": 0, "stdout": "…", "stderr": "…"}`. With arguments it is the other side.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import IO, Any

STDOUT, STDERR = 1, 2
PRINTED = 3
"""Where a shell's command prints: its own 0 and 1 are the answers and requests of the process.

Of a coprocess's descriptors, bash hands on no copies above 2.
"""
COMMAND = [sys.executable, "-P", __file__]
SHELL_FUNCTION = f"""
airflow() {{
    [ -n "${{COMMANDS_PID-}}" ] || coproc COMMANDS {{ exec {shlex.join(COMMAND)}; }}
    {shlex.join(COMMAND)} "$@" {PRINTED}>&1 <&"${{COMMANDS[0]}}" >&"${{COMMANDS[1]}}"
}}
"""
"""The command `airflow` of a bash script: the first call starts the process, with the environment of that moment."""


class AirflowCommands:
    """A handle on a process that runs commands; what it imports and reads at its start stays as it was then."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(
        self, *arguments: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `airflow` with these arguments, and these variables besides the process's own."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        answer = _call(
            arguments, environment, self._process.stdin, self._process.stdout
        )
        return subprocess.CompletedProcess(arguments, **answer)


@contextmanager
def airflow_commands(environment: Mapping[str, str]) -> Iterator[AirflowCommands]:
    """Start a process that runs commands of Airflow, and end it with the block."""
    with subprocess.Popen(
        COMMAND,
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            yield AirflowCommands(process)
        finally:
            process.kill()


def _call(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    requests: IO[str],
    answers: IO[str],
) -> dict[str, Any]:
    """Have the process at the other end run a command; return its exit code and what it has printed."""
    request = {"arguments": arguments, "environment": dict(environment)}
    print(json.dumps(request), file=requests, flush=True)
    answer_line = answers.readline()
    if not answer_line:
        raise RuntimeError("The process that runs Airflow's commands has ended.")
    answer: dict[str, Any] = json.loads(answer_line)
    return answer


def _serve(requests: IO[str], answers: IO[str]) -> None:
    for line in requests:
        request = json.loads(line)
        answer = _answer(request["arguments"], request["environment"])
        print(json.dumps(answer), file=answers, flush=True)


def _answer(arguments: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    """Run one command with these variables set, and return its exit code and all that it has printed."""
    own_environment = dict(os.environ)
    os.environ.update(environment)
    try:
        with TemporaryFile() as stdout, TemporaryFile() as stderr:
            os.dup2(stdout.fileno(), STDOUT)
            os.dup2(stderr.fileno(), STDERR)
            returncode = _exit_code(arguments)
            sys.stdout.flush()
            sys.stderr.flush()
            return {
                "returncode": returncode,
                "stdout": _content(stdout),
                "stderr": _content(stderr),
            }
    finally:
        os.environ.clear()
        os.environ.update(own_environment)


def _exit_code(arguments: Sequence[str]) -> int:
    """Call what the script `airflow` calls."""
    from airflow.__main__ import main

    sys.argv = ["airflow", *arguments]
    try:
        main()
    except SystemExit as leaving:
        return (
            leaving.code if isinstance(leaving.code, int) else int(bool(leaving.code))
        )
    except Exception:
        traceback.print_exc()
        return 1
    return 0


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _call_from_shell(arguments: Sequence[str]) -> int:
    """Run a command with the variables of this process, print what it has printed, and return its exit code."""
    answer = _call(arguments, os.environ, sys.stdout, sys.stdin)
    with os.fdopen(PRINTED, "w") as printed:
        printed.write(answer["stdout"])
    sys.stderr.write(answer["stderr"])
    return int(answer["returncode"])


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit(_call_from_shell(sys.argv[1:]))
    # Commands print to the descriptors 1 and 2, so answers have a descriptor of their own.
    with os.fdopen(os.dup(STDOUT), "w") as own_answers:
        _serve(sys.stdin, own_answers)
