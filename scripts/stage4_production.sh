#!/bin/sh
# Stage 4: all scenarios. The same command goes on where it stopped.
# STUDY names the study (default demo); further arguments go to `sluicegate stage 4`.
set -eu
PATH="$(cd "$(dirname "$0")/.." && pwd)/.venv/bin:$PATH"
command -v sluicegate >/dev/null || {
    echo "sluicegate: not installed; mend: run make demo once, or pip install 'sluicegate[train,eval]'" >&2
    exit 2
}
exec sluicegate stage 4 --study "${STUDY:-demo}" "$@"
