#!/usr/bin/env bash
# The unit tests once more on the Python that is deployed, where it is installed; says so where it is not.
set -euo pipefail
cd "$(dirname "$0")/.."

deployed=3.13
python=
for candidate in "$(command -v python$deployed)" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$deployed".*/bin/python; do
    # The launcher that pyenv puts on the path fails where the version is not the chosen one.
    if "$candidate" --version >/dev/null 2>&1; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "Python $deployed, which is deployed, is not on this machine: its unit tests were not run."
    exit 0
fi
TMPDIR="$PWD/.local" UV_PROJECT_ENVIRONMENT=.local/venv-$deployed \
    .local/uv/bin/uv sync --quiet --system-certs --frozen --all-groups --python "$python"
echo "The unit tests once more, on Python $deployed:"
".local/venv-$deployed/bin/python" -m pytest -m unit -q
