#!/usr/bin/env bash
# The guarantees on Supabase's own containers instead of the local stand-in: needs Docker.
# Untried so far: the machines that this was written on have no Docker.
set -euo pipefail
cd "$(dirname "$0")/.."

docker info >/dev/null 2>&1 || {
    echo "Docker does not run here: start it, or leave this to the workflow." >&2
    exit 1
}
supabase=node_modules/.bin/supabase
trap '"$supabase" stop --no-backup' EXIT
"$supabase" start --exclude realtime,storage-api,imgproxy,mailpit,postgres-meta,studio,edge-runtime,logflare,vector,supavisor
variables=$(
    "$supabase" status --output env \
        --override-name db.url=DATABASE_URL \
        --override-name api.url=SUPABASE_URL \
        --override-name auth.publishable_key=SUPABASE_PUBLISHABLE_KEY \
        --override-name auth.secret_key=SUPABASE_SECRET_KEY \
        --override-name auth.jwt_secret=SUPABASE_JWT_SECRET
)
set -a
eval "$variables"
set +a
STACK=given .venv/bin/python -m pytest tests/guarantees tests/contract
