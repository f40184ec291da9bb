"""`make stage`: for each function the folder that is uploaded, in `.local/stage/`.

A root `main.py`, the function's own package, `shared/`, and the requirements with their hashes, made from the
lock file; nothing else, so that what a function must not do is not there to be called.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
STAGE = REPOSITORY / ".local" / "stage"
FUNCTIONS = ("execute", "scan_tick", "cleanup")

_UPLOADED = (".py", ".md")
"""Code, and the prompt that scan_tick reads."""


class StageError(Exception):
    """A folder cannot be made; the text says why."""


def stage(function: str, place: Path = STAGE) -> Path:
    """Make the folder of one function anew and hand it back; it is there whole or not at all."""
    folder = place / function
    draft = place / f".{function}.{os.getpid()}"
    shutil.rmtree(draft, ignore_errors=True)
    for source in _sources(function):
        target = draft / source
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPOSITORY / source, target)
    (draft / "main.py").write_text(
        '"""The entry point that the platform looks for."""\n\n'
        f"from functions.{function}.main import {function}\n\n"
        f'__all__ = ["{function}"]\n'
    )
    (draft / "requirements.txt").write_text(requirements(function))
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)
    return folder


def requirements(function: str) -> str:
    """The packages of one function, pinned with their hashes, as `uv.lock` has them. Raises `StageError`."""
    uv = REPOSITORY / ".local" / "uv" / "bin" / "uv"
    try:
        told = subprocess.run(
            [uv, "export", "--frozen", "--only-group", function, "--no-emit-project", "--no-header"],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=True,
        )
    except FileNotFoundError:
        raise StageError("uv is missing: run make setup.") from None
    except subprocess.CalledProcessError as error:
        raise StageError(f"The requirements of {function} cannot be made: {error.stderr.strip()}") from None
    return f"# Made from uv.lock for {function}; change pyproject.toml instead.\n{told.stdout}"


def digest(folder: Path) -> str:
    """What tells two folders apart: a hash over every name and content."""
    whole = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        for part in (str(file.relative_to(folder)).encode(), file.read_bytes()):
            whole.update(len(part).to_bytes(8, "big") + part)
    return whole.hexdigest()


def _sources(function: str) -> Iterator[Path]:
    yield Path("functions/__init__.py")
    for package in (Path("functions") / function, Path("shared")):
        for file in sorted((REPOSITORY / package).rglob("*")):
            if file.is_file() and file.suffix in _UPLOADED:
                yield file.relative_to(REPOSITORY)


def main(arguments: list[str]) -> None:
    """Stage the named functions, or all; one line a folder, with its digest."""
    for function in arguments or FUNCTIONS:
        if function not in FUNCTIONS:
            sys.exit(f"There is no function {function}: name {', '.join(FUNCTIONS)}.")
        try:
            folder = stage(function)
        except StageError as error:
            sys.exit(str(error))
        files = sum(path.is_file() for path in folder.rglob("*"))
        print(f"{folder.relative_to(REPOSITORY)}\t{files} files\t{digest(folder)}")


if __name__ == "__main__":
    main(sys.argv[1:])
