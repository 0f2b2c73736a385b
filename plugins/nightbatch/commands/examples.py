"""Copy the example DAGs, with their prompts and SQL, into a folder of yours; without a folder, print where they are.

The folder gets `dags/` and `include/`. No file that is there is changed: the command names those that it left.
"""

from __future__ import annotations

import shutil
from argparse import ArgumentParser, Namespace
from pathlib import Path

from nightbatch.commands import _printing
from nightbatch.wording import counted

PARTS = ("dags", "include")
_PACKAGE = Path(__file__).resolve().parents[1]


def examples_folder() -> Path:
    """Return the folder that holds `dags/` and `include/`: in an installed package, or of the source tree."""
    installed_folder = _PACKAGE / "examples"
    return installed_folder if installed_folder.is_dir() else _PACKAGE.parents[1]


def arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        help="where to copy them, such as $AIRFLOW_HOME; its dags/ is the folder that Airflow reads",
    )
    _printing.argument(parser)


def run(options: Namespace) -> int:
    """Copy the files that are not there yet, or print the folder of the examples."""
    source_folder = examples_folder()
    if options.folder is None:
        _printing.show(options, {"folder": str(source_folder)}, [str(source_folder)])
        return 0
    copied: list[str] = []
    kept: list[str] = []
    for source in _files(source_folder):
        target = options.folder / source.relative_to(source_folder)
        outcome = copied if _copy(source, target) else kept
        outcome.append(str(target))
    result = {"copied": copied, "kept": kept}
    kept_lines = [f"already there, not changed: {path}" for path in kept]
    lines = [f"{counted(len(copied), 'file')} copied", *copied, *kept_lines]
    _printing.show(options, result, lines)
    return 0


def _files(folder: Path) -> list[Path]:
    """Return the files of the examples, without what Python has compiled."""
    parts = [folder / part for part in PARTS]
    return sorted(
        file
        for part in parts
        for file in part.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    )


def _copy(source: Path, target: Path) -> bool:
    """Copy a file unless there is one already; tell whether it was copied."""
    if target.exists():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return True
