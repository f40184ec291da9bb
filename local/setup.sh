#!/usr/bin/env bash
# Installs what the project needs into its own folder: .venv (Python), node_modules (Postgres, the Supabase parts).
# With `bench`, also the queues that `make bench` measures against. Outside, only the caches of pip, uv and npm are
# written. Runs in no time when nothing has changed. Says in one line what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
trap 'exit 130' INT

uv_version=0.13.9
node_at_least=20

stop() {
    printf '%s\n' "$1" >&2
    exit 1
}

python=$(command -v python3) || stop "python3 is missing: install Python 3.11 or later."
# What Python would say of an interrupt is no help to anybody.
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    stop "$("$python" --version) is too old: Interlock needs Python 3.11 or later as python3."
command -v node >/dev/null || stop "node is missing: install Node.js $node_at_least or later."
command -v npm >/dev/null || stop "npm is missing: install it with Node.js."
node_version=$(node -p 'parseInt(process.versions.node)' 2>/dev/null) || stop "node does not run: install Node.js $node_at_least or later."
[ "$node_version" -ge "$node_at_least" ] ||
    stop "Node.js $node_version is too old: install version $node_at_least or later."
if ! mkdir -p .local 2>/dev/null || [ ! -w .local ] || [ ! -w . ]; then
    stop "$PWD cannot be written by $(id -un): use a folder of your own, or change its owner."
fi

# A virtual environment is useless to another user, another Python or another place: its links lead to the old one.
made_for="$(id -u) $PWD $("$python" -c 'import sys; print(sys.version, sys.base_prefix)' 2>/dev/null) uv $uv_version"
python_stamp="$made_for $(cat pyproject.toml uv.lock | cksum)"
npm_stamp="$(id -u) $(node --version) $(cat package.json package-lock.json | cksum)"
is_done() { [ "$(cat ".local/$1.done" 2>/dev/null)" = "$2" ] && [ -d "$3" ]; }
bench_stamp="$python_stamp $npm_stamp $(cksum <bench/rivals/package-lock.json)"
is_ready() { [ "$1" != bench ] || is_done bench "$bench_stamp" bench/rivals/node_modules; }
is_done python "$python_stamp" .venv && is_done npm "$npm_stamp" node_modules && is_ready "${1:-}" && exit 0

exec 9>.local/setup.lock
if command -v flock >/dev/null; then flock 9; fi
log=.local/setup.log

if ! is_done uv "$made_for" .local/uv; then
    echo "Setting up: uv $uv_version …"
    rm -rf .local/uv .venv 2>/dev/null || stop ".venv and .local belong to another user: remove them first."
    "$python" -m venv .local/uv >"$log" 2>&1 ||
        stop "python3 cannot make virtual environments: install its venv module (Debian: python3-venv)."
    .local/uv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$uv_version" >"$log" 2>&1 ||
        stop "uv could not be installed from PyPI: check the network. $(tail -n 1 "$log")"
    printf '%s' "$made_for" >.local/uv.done
fi

# The system's certificates, since a company's proxy signs with its own; the lock file in this folder, not in /tmp.
install_python() {
    TMPDIR="$PWD/.local" UV_PROJECT_ENVIRONMENT=.venv \
        .local/uv/bin/uv sync --frozen --all-groups "$@" --system-certs --python "$python" >"$log" 2>&1 ||
        stop "The Python packages could not be installed: $(grep -m 1 -iE '(error|cause):|cause' "$log" || tail -n 1 "$log") (all of it: $log)"
}
install_npm() {
    npm ci --ignore-scripts --no-audit --no-fund --prefix "$1" >"$log" 2>&1 ||
        stop "The npm packages could not be installed: $(grep -m 1 'npm error' "$log" || tail -n 1 "$log") (all of it: $log)"
}

if ! is_done python "$python_stamp" .venv; then
    echo "Setting up: Python packages …"
    rm -f .local/bench.done
    install_python --no-group bench
    printf '%s' "$python_stamp" >.local/python.done
fi

if ! is_done npm "$npm_stamp" node_modules; then
    echo "Setting up: npm packages (Postgres, the Supabase command line and API server) …"
    install_npm .
    printf '%s' "$npm_stamp" >.local/npm.done
fi

if ! is_ready "${1:-}"; then
    echo "Setting up: queues to measure against …"
    install_python
    install_npm bench/rivals
    printf '%s' "$bench_stamp" >.local/bench.done
fi
