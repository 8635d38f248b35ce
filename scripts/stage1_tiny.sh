#!/bin/sh
# Stage 1: the training code works, on five samples. The same command goes on where it stopped.
# STUDY names the study (default demo); further arguments go to `sluicegate stage 1`.
set -eu
PATH="$(cd "$(dirname "$0")/.." && pwd)/.venv/bin:$PATH"
command -v sluicegate >/dev/null || {
    echo "sluicegate: not installed; mend: run make demo once, or pip install 'sluicegate[train,eval]'" >&2
    exit 2
}
exec sluicegate stage 1 --study "${STUDY:-demo}" "$@"
