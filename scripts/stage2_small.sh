#!/bin/sh
# Stage 2: nothing breaks and nothing does harm, on twenty samples. The same command goes on where it stopped.
# STUDY names the study (default demo); further arguments go to `sluicegate stage 2`.
set -eu
PATH="$(cd "$(dirname "$0")/.." && pwd)/.venv/bin:$PATH"
command -v sluicegate >/dev/null || {
    echo "sluicegate: not installed; mend: run make demo once, or pip install 'sluicegate[train,eval]'" >&2
    exit 2
}
exec sluicegate stage 2 --study "${STUDY:-demo}" "$@"
