"""The settings file: lines of `NAME=value`. Read, never run: a settings file is data, not a script."""

from __future__ import annotations

import re
from pathlib import Path

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")


class EnvFileError(Exception):
    """The settings file cannot be read; the text says where and why, and holds no value."""


def read(file: Path) -> dict[str, str]:
    """The settings by name, without the empty ones.

    A value ends with its line or at a `#` after a space; quotes keep both. Raises `EnvFileError`.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise EnvFileError(f"{file} is missing: copy deploy.env.example to it and fill it in.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise EnvFileError(f"{file} cannot be read ({type(error).__name__}).") from None
    settings: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        found = _LINE.fullmatch(text)
        if found is None:
            raise EnvFileError(f"{file}, line {number}: this is not NAME=value.")
        name, value = found[1], _value(found[2])
        if name in settings:
            raise EnvFileError(f"{file}, line {number}: {name} is set twice.")
        settings[name] = value
    return {name: value for name, value in settings.items() if value}


def _value(text: str) -> str:
    quoted = re.fullmatch(r"""(["'])(.*)\1(?:\s+#.*)?""", text)
    if quoted is not None:
        return quoted[2]
    return re.split(r"(?:^|\s+)#", text, maxsplit=1)[0].strip()
