#!/bin/sh
# Stage 0: is this machine fit for its role?  stage0_check.sh [--json] [local|tower|server|laptop]
#
# Needs sh and the standard tools, and docker, nvidia-smi, ssh or curl where the role has them. Looks and changes
# nothing. One line a check: state, name, what was wanted, what was seen, how to mend it. No check takes over two
# minutes. Exit code: 0 no check failed, 1 one did, 2 a wrong argument.
# TOWER and SERVER name the other machines to a laptop (user@host); STAGE0_LIMIT shortens every time limit.
set -u
here=$(cd "$(dirname "$0")/.." && pwd)
IMAGE=llama3-training
API=http://127.0.0.1:5000/api/2.0/mlflow/experiments/search
json='' role=local roles='' failures=0 rows='' sep=''

usage() {
    echo "usage: stage0_check.sh [--json] [local|tower|server|laptop], seen: $1" >&2
    exit 2
}

# ---- how a result is told ----
plain() { LC_ALL=C tr -s '\000-\037' ' ' | LC_ALL=C tr -cd '\040-\176' | cut -c1-300; }
quoted() { printf '"%s"' "$(printf %s "$1" | plain | sed 's/\\/\\\\/g; s/"/\\"/g')"; }

result() { # STATE NAME WANTED SEEN [MEND]
    [ "$1" != failed ] || failures=$((failures + 1))
    if [ -n "$json" ]; then
        rows="$rows$sep{\"state\":$(quoted "$1"),\"name\":$(quoted "$2"),\"wanted\":$(quoted "$3"),"
        rows="$rows\"seen\":$(quoted "$4"),\"mend\":$(quoted "${5:-}")}"
        sep=,
    else
        seen=$(printf %s "$4" | plain)
        printf '%-8s%s: wanted %s; seen %s%s\n' "$1" "$2" "$3" "${seen:-nothing}" "${5:+; mend: $5}"
    fi
}

judge() { # EXIT-CODE NAME WANTED SEEN MEND: 0 is ok, 124 says that it was cut off
    case $1 in
        0) result ok "$2" "$3" "$4" ;;
        124 | 137) result failed "$2" "$3" "no answer in time $4" "$5" ;;
        *) result failed "$2" "$3" "$4" "$5" ;;
    esac
}

# ---- how a question is asked ----
cutter=''
if timeout 1 true >/dev/null 2>&1; then cutter=yes; fi # Windows has another program of that name

bounded() { # SECONDS COMMAND…: its output; 124 when it was cut off
    limit=${STAGE0_LIMIT:-$1}
    shift
    if [ -n "$cutter" ]; then
        timeout -k 2 "$limit" "$@" </dev/null 2>&1
        return
    fi
    "$@" </dev/null 2>&1 &
    asked=$!
    (
        sleep "$limit"
        kill -9 "$asked"
    ) </dev/null >/dev/null 2>&1 &
    wait "$asked"
    code=$?
    kill "$!" 2>/dev/null
    return "$code"
}

ask() { # NAME WANTED MEND SECONDS COMMAND…
    name=$1 wanted=$2 mend=$3
    shift 3
    seen=$(bounded "$@")
    judge "$?" "$name" "$wanted" "$seen" "$mend"
}

have() { # PROGRAM MEND
    if command -v "$1" >/dev/null 2>&1; then
        result ok "$1" "the program" "$(command -v "$1")"
    else
        result failed "$1" "the program" "not on PATH" "$2"
        return 1
    fi
}

at_least() { # NAME NUMBER UNIT SEEN MEND
    if [ -z "$4" ]; then
        result skipped "$1" "at least $2 $3" "no way to tell on this system"
    else
        awk "BEGIN { exit !($4 >= $2) }"
        judge "$?" "$1" "at least $2 $3" "$4 $3" "$5"
    fi
}

free_gib() { df -Pk "$here" 2>/dev/null | awk 'NR == 2 { printf "%.1f", $4 / 1048576 }'; }

memory_gib() {
    if [ -r /proc/meminfo ]; then
        awk '/^MemAvailable:/ { printf "%.1f", $2 / 1048576 }' /proc/meminfo
    else
        sysctl -n hw.memsize 2>/dev/null | awk '{ printf "%.1f", $1 / 1073741824 }'
    fi
}

# ---- the roles ----
check_local() {
    python=''
    for candidate in "$here/.venv/bin/python" python3 python3.13 python3.12 python3.11 python; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            bounded 20 "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null; then
            python=$candidate
            break
        fi
    done
    version=$(bounded 20 "${python:-python3}" -c 'import sys; print(sys.version.split()[0])')
    if [ -n "$python" ]; then code=0; else code=1; fi
    judge "$code" python "Python 3.11 or newer" "$version" "install Python 3.11 or newer"
    have git "install git"
    have make "install make"
    at_least disk 10 "GiB free" "$(free_gib)" "free some space under $here"
    at_least memory 2 "GiB available" "$(memory_gib)" "close other programs"
    at_least cores 1 cores "$(getconf _NPROCESSORS_ONLN 2>/dev/null)" ""
    if [ -x "$here/.venv/bin/python" ]; then
        ask sluicegate "the package in .venv" "make demo" \
            60 "$here/.venv/bin/python" -c 'import sluicegate; print(sluicegate.__version__)'
    else
        result skipped sluicegate "the package in .venv" "no .venv yet; make demo makes it"
    fi
    if [ -z "$python" ]; then
        result skipped "package index" "an index that answers" "no Python to ask with"
    elif seen=$(bounded 20 "$python" -m pip index versions pip | grep '^pip (') && [ -n "$seen" ]; then
        result note "package index" "an index that answers" "$seen"
    else
        result note "package index" "an index that answers" "no answer; needed for the first make only"
    fi
}

engine() { # the docker client and its engine; fails when there is no use in asking further
    have docker "install Docker Desktop (Windows, macOS) or the docker package" || return 1
    ask "docker engine" "an engine that answers" "start Docker; on Linux also: sudo usermod -aG docker $(id -un)" \
        20 docker version --format '{{.Server.Version}}'
    bounded 20 docker version >/dev/null
}

check_tower() {
    works=''
    engine && works=yes
    if have nvidia-smi "install the NVIDIA driver; under WSL2 on the Windows side only"; then
        ask "driver" "a driver that answers" "reinstall the NVIDIA driver" \
            20 nvidia-smi --query-gpu=driver_version,name --format=csv,noheader
        vram=$(bounded 20 nvidia-smi --query-gpu=memory.total --format=csv,noheader,nounits |
            awk 'NR == 1 && /^[0-9]/ { printf "%.1f", $1 / 1024 }')
        at_least VRAM 11.5 GiB "$vram" "use a larger card, or a smaller BASE_MODEL"
    else
        result skipped driver "a driver that answers" "no nvidia-smi"
        result skipped VRAM "at least 11.5 GiB" "no nvidia-smi"
    fi
    at_least disk 40 "GiB free" "$(free_gib)" "free some space under $here"
    gpu="torch sees a GPU inside $IMAGE"
    if [ -z "$works" ]; then
        result skipped image "$IMAGE is built" "no docker engine"
        result skipped "GPU in a container" "$gpu" "no docker engine"
    elif seen=$(bounded 20 docker image inspect --format '{{.Id}}' "$IMAGE"); then
        result ok image "$IMAGE is built" "$seen"
        ask "GPU in a container" "$gpu" "install the NVIDIA container toolkit; in Docker Desktop use the WSL2 engine" \
            120 docker run --rm --pull never --gpus all "$IMAGE" \
            python -c 'import torch; print(torch.cuda.get_device_name(0))'
    else
        result failed image "$IMAGE is built" "$seen" "docker build -f Dockerfile.training -t $IMAGE ."
        result skipped "GPU in a container" "$gpu" "no image"
    fi
    wsl
}

wsl() { # what is slow or breaks under WSL2
    if ! grep -qi microsoft "${STAGE0_PROC_VERSION:-/proc/version}" 2>/dev/null; then
        result skipped WSL2 "notes for WSL2" "not WSL2"
        return
    fi
    result note WSL2 "pinned memory off" "WSL2: pinned memory can look like CUDA running out of memory"
    case $(pwd -P) in
        /mnt/[a-z]/*) result note "WSL2 drive" "data on the Linux side" "a Windows drive, slow to read" "copy it to ~" ;;
        *) result ok "WSL2 drive" "data on the Linux side" "$(pwd -P)" ;;
    esac
}

mlflow_answers() { # MEND: a search through the API, which a health page does not prove
    if ! command -v curl >/dev/null 2>&1; then
        result skipped "MLflow API" "experiments from 127.0.0.1:5000" "no curl"
        return
    fi
    ask "MLflow API" "experiments from 127.0.0.1:5000" "$1" 15 curl -sS -f --max-time 10 -o /dev/null \
        -w 'HTTP %{http_code}' -H 'Content-Type: application/json' -d '{"max_results":1}' "$API"
}

check_server() {
    have curl "install curl"
    if engine; then
        ask "docker compose" "compose v2" "install the docker compose plug-in" 20 docker compose version --short
        for service in postgres mlflow; do
            label=com.docker.compose.service=$service
            state=$(bounded 20 docker ps --all --filter "label=$label" --format '{{.Status}}')
            case $state in *"(healthy)"*) code=0 ;; *) code=1 ;; esac
            judge "$code" "container $service" "running and healthy" "${state:-no container}" \
                "docker compose --profile server up -d; docker compose logs $service"
        done
    else
        for name in "docker compose" "container postgres" "container mlflow"; do
            result skipped "$name" "running and healthy" "no docker engine"
        done
    fi
    mlflow_answers "docker compose --profile server up -d; docker compose logs mlflow"
    at_least disk 300 "GiB free" "$(free_gib)" "free some space, or move the volumes to a larger disk"
}

reach() { # NAME HOST
    if [ -z "$2" ]; then
        result failed "ssh to $1" "$1 answers without a question" "the variable is unset" "export $1=user@host"
        return
    fi
    ask "ssh to $1" "$1 answers without a question" "ssh-copy-id $2, and ssh $2 once by hand to confirm its key" \
        15 ssh -o BatchMode=yes -o ConnectTimeout=8 "$2" echo ok # every shell has echo, Windows' too
}

check_laptop() {
    have curl "install curl"
    if have ssh "install OpenSSH"; then
        reach TOWER "${TOWER:-}"
        reach SERVER "${SERVER:-}"
    else
        result skipped "ssh to TOWER" "TOWER answers without a question" "no ssh"
        result skipped "ssh to SERVER" "SERVER answers without a question" "no ssh"
    fi
    mlflow_answers "scripts/tunnel.sh, in another terminal"
}

for word; do
    case $word in
        --json) json=yes ;;
        local | tower | server | laptop) roles="$roles$word" role=$word ;;
        *) usage "$word" ;;
    esac
done
[ "${roles:-$role}" = "$role" ] || usage "several roles"
"check_$role"
passed=true
[ "$failures" -eq 0 ] || passed=false
if [ -n "$json" ]; then
    printf '{"role":"%s","passed":%s,"checks":[%s]}\n' "$role" "$passed" "$rows"
else
    printf '%s: %s failed\n' "$role" "$failures"
fi
[ "$passed" = true ]
