#!/bin/sh
# Stage 0: is this machine fit for its role?  stage0_check.sh [--json] [local|tower|server|laptop]
#
# Needs sh and the standard tools, and docker, nvidia-smi, ssh or curl where the role has them. Changes nothing, but that
# a server's MLflow gets a run of the experiment stage0, which is deleted again. One line a check: state, name, what was
# wanted, what was seen, how to mend it. No check takes over two minutes. Exit code: 0 no check failed, 1 one did, 2 a
# wrong argument. What --json prints is taken into stage 0 of a study where it lies in RUNS/STUDY/machines/ROLE.json:
#     ssh "$TOWER" sh -s -- --json tower <scripts/stage0_check.sh >runs/my-study/machines/tower.json
#
# TOWER and SERVER name the other machines to a laptop (user@host). STAGE0_ADDRESSES: host:port of every address that
# MLflow will be asked by. STAGE0_DISK_GIB: what the study needs on the server (default 300). PORT: MLflow's, here
# (default 5000); MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD where it asks for them. DATA_DIR: the tower's
# data. STAGE0_LIMIT shortens every time limit.
set -u
case $0 in
    *stage0_check.sh) here=$(cd "$(dirname "$0")/.." && pwd) ;;
    *) here=$PWD ;; # read from standard input
esac
IMAGE=llama3-training
MLFLOW=http://127.0.0.1:${PORT:-5000}/api/2.0
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

# A sum on the GPU, and whether memory can be pinned for it. A name is a plain check of the driver; this needs kernels too.
ON_GPU='import torch
device = torch.cuda.get_device_properties(0)
assert torch.ones(1000, device="cuda").sum().item() == 1000
try:
    torch.ones(1 << 20, pin_memory=True)
    pins = "memory pins"
except RuntimeError:
    pins = "memory cannot be pinned"
print(f"{device.name}, {device.total_memory / 2**30:.1f} GiB, CUDA {torch.version.cuda}, {pins}")'

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
    bounded 20 docker version >/dev/null || return 1
    system=$(bounded 20 docker version --format '{{.Server.Os}}')
    [ "$system" = linux ] || result failed "docker system" "Linux containers" "$system" \
        "Docker Desktop's menu: Switch to Linux containers"
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
    gpu="torch computes on a GPU inside $IMAGE"
    if [ -n "$works" ]; then
        at_least "engine memory" 8 GiB "$(bounded 20 docker info --format '{{.MemTotal}}' |
            awk '/^[0-9]+$/ { printf "%.1f", $1 / 1073741824 }')" \
            "a larger memory= under [wsl2] in %UserProfile%\\.wslconfig, then wsl --shutdown"
    fi
    if [ -z "$works" ]; then
        result skipped image "$IMAGE is built" "no docker engine"
        result skipped "GPU in a container" "$gpu" "no docker engine"
    elif seen=$(bounded 20 docker image inspect --format '{{.Id}}' "$IMAGE"); then
        result ok image "$IMAGE is built" "$seen"
        commit "$(bounded 20 docker image inspect \
            --format '{{index .Config.Labels "org.opencontainers.image.revision"}}' "$IMAGE")"
        ask "GPU in a container" "$gpu" "NVIDIA's container toolkit (Docker Desktop: the WSL2 engine), and its newest driver" \
            120 docker run --rm --pull never --network none --gpus all "$IMAGE" python -c "$ON_GPU"
    else
        result failed image "$IMAGE is built" "$seen" "docker build -f Dockerfile.training -t $IMAGE ."
        result skipped "GPU in a container" "$gpu" "no image"
    fi
    wsl
}

commit() { # REVISION: the image is of this checkout; a note, since an older one may be meant
    head=$(bounded 20 git -C "$here" rev-parse HEAD) || head=''
    if [ -z "$head" ]; then
        result skipped "image's commit" "that of the checkout" "${1:-no label}; no checkout here"
    elif [ "$1" = "$head" ]; then
        result ok "image's commit" "that of the checkout" "$1"
    else
        result note "image's commit" "that of the checkout, $head" "${1:-no label}" \
            "docker build -f Dockerfile.training -t $IMAGE --build-arg GIT_COMMIT=$head ."
    fi
}

wsl() { # what is slow or breaks under WSL2
    if ! grep -qi microsoft "${STAGE0_PROC_VERSION:-/proc/version}" 2>/dev/null; then
        result skipped WSL2 "notes for WSL2" "not WSL2"
        return
    fi
    result note WSL2 "pinned memory off" "WSL2: pinned memory can look like CUDA running out of memory"
    data=${DATA_DIR:-$(pwd -P)}
    case $data in
        /mnt/[a-z]/*) result note "WSL2 drive" "data on the Linux side" "$data, a Windows drive, slow to read" "copy it to ~" ;;
        *) result ok "WSL2 drive" "data on the Linux side" "$data" ;;
    esac
}

# ---- MLflow ----
call() { # METHOD PATH [CURL-OPTION…]: one call of the API; the password goes in by standard input, not as an argument
    method=$1 path=$2
    shift 2
    if [ -n "${MLFLOW_TRACKING_USERNAME:-}" ]; then
        printf 'user = "%s"\n' "$(printf %s "$MLFLOW_TRACKING_USERNAME:${MLFLOW_TRACKING_PASSWORD:-}" |
            sed 's/[\\"]/\\&/g')"
    fi | curl -K - -sS -f --max-time "${STAGE0_LIMIT:-10}" -X "$method" -H 'Content-Type: application/json' "$@" \
        "$MLFLOW$path" 2>&1
}

field() { printf %s "$2" | tr -d '\n' | sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"; } # NAME JSON

mlflow_answers() { # MEND: a search through the API, which a health page does not prove
    if ! command -v curl >/dev/null 2>&1; then
        result skipped "MLflow API" "experiments from 127.0.0.1:${PORT:-5000}" "no curl"
        return 1
    fi
    seen=$(call POST /mlflow/experiments/search -d '{"max_results":1}' -o /dev/null -w 'HTTP %{http_code}')
    code=$?
    judge "$code" "MLflow API" "experiments from 127.0.0.1:${PORT:-5000}" "$seen" "$1"
    return "$code"
}

written() { # a run with a metric and an artifact, written, read again and deleted; what went wrong on standard output
    said=$(call GET '/mlflow/experiments/get-by-name?experiment_name=stage0') ||
        said=$(call POST /mlflow/experiments/create -d '{"name":"stage0"}') || { echo "experiment: $said"; return 1; }
    experiment=$(field experiment_id "$said")
    said=$(call POST /mlflow/runs/create -d "{\"experiment_id\":\"$experiment\",\"run_name\":\"stage0\"}") ||
        { echo "run: $said"; return 1; }
    run=$(field run_id "$said") wrong=''
    [ -n "$experiment" ] && [ -n "$run" ] || { echo "not MLflow: $said"; return 1; }
    folder=/mlflow-artifacts/artifacts/$experiment/$run
    file=$folder/artifacts/stage0.txt
    said=$(call POST /mlflow/runs/log-metric \
        -d "{\"run_id\":\"$run\",\"key\":\"stage0\",\"value\":42.5,\"timestamp\":$(date +%s)000,\"step\":1}") &&
        said=$(call GET "/mlflow/runs/get?run_id=$run") && case $said in *42.5*) ;; *) false ;; esac ||
        wrong="metric: $said"
    said=$(call PUT "$file" -d "stage 0 of $run") && said=$(call GET "$file") && [ "$said" = "stage 0 of $run" ] ||
        wrong="$wrong artifact: $said"
    said=$(call POST /mlflow/runs/update -d "{\"run_id\":\"$run\",\"status\":\"FINISHED\"}") &&
        said=$(call POST /mlflow/runs/delete -d "{\"run_id\":\"$run\"}") && said=$(call DELETE "$folder") ||
        wrong="$wrong deleting: $said"
    printf %s "${wrong:-run $run}"
    [ -z "$wrong" ]
}

hosts() { # every address is answered; MLflow refuses host names that it was not told of, whatever its health page says
    for address in ${STAGE0_ADDRESSES:-localhost:5000 127.0.0.1:5000 mlflow:5000}; do
        seen=$(call POST /mlflow/experiments/search -d '{"max_results":1}' -o /dev/null -w 'HTTP %{http_code}' \
            -H "Host: $address")
        judge "$?" "asked as $address" "an answer" "$seen" \
            "add ${address%:*}:* to MLFLOW_ALLOWED_HOSTS, which replaces the default, and start it again"
    done
}

in_step() { # the clock of this machine is kept by NTP
    wanted="a clock that is kept in step"
    if ! seen=$(bounded 20 timedatectl show --property NTPSynchronized --value); then
        result skipped clock "$wanted" "no timedatectl"
    elif [ "$seen" = yes ]; then
        result ok clock "$wanted" "synchronised"
    else
        result failed clock "$wanted" "not synchronised" "timedatectl set-ntp true"
    fi
}

check_server() {
    have curl "install curl"
    if engine; then
        ask "docker compose" "compose v2" "install the docker compose plug-in" 20 docker compose version --short
        for service in postgres mlflow; do
            label=com.docker.compose.service=$service
            state=$(bounded 20 docker ps --all --filter "label=$label" --format '{{.Status}}')
            if [ "$service" = mlflow ] && [ -z "$state" ]; then
                state=$(bounded 20 docker ps --all --filter "label=$label-auth" --format '{{.Status}}')
            fi
            case $state in *"(healthy)"*) code=0 ;; *) code=1 ;; esac
            judge "$code" "container $service" "running and healthy" "${state:-no container}" \
                "docker compose --profile server up -d; docker compose logs $service"
        done
    else
        for name in "docker compose" "container postgres" "container mlflow"; do
            result skipped "$name" "running and healthy" "no docker engine"
        done
    fi
    if mlflow_answers "docker compose --profile server up -d; docker compose logs mlflow"; then
        seen=$(written)
        judge "$?" "MLflow write" "a run and an artifact, written and read" "$seen" "docker compose logs mlflow postgres"
        hosts
    else
        result skipped "MLflow write" "a run and an artifact, written and read" "no answer of the API"
    fi
    in_step
    at_least disk "${STAGE0_DISK_GIB:-300}" "GiB free" "$(free_gib)" \
        "free some space, move the volumes to a larger disk, or set STAGE0_DISK_GIB to what the study needs"
}

reach() { # NAME HOST
    case $2 in
        '') seen="the variable is unset" ;;
        -*) seen="$2, which ssh takes for an option" ;;
        *) seen='' ;;
    esac
    if [ -n "$seen" ]; then
        result failed "ssh to $1" "$1 answers without a question" "$seen" "export $1=user@host"
        return
    fi
    ask "ssh to $1" "$1 answers without a question" "ssh-copy-id $2, and ssh $2 once by hand to confirm its key" \
        15 ssh -o BatchMode=yes -o ConnectTimeout=8 "$2" echo ok # every shell has echo, Windows' too
    bounded 15 ssh -o BatchMode=yes -o ConnectTimeout=8 "$2" echo ok >/dev/null || return
    forwards "$1" "$2"
    skew "$1" "$2"
}

forwards() { # NAME HOST: ports may be forwarded, as the tunnel and VS Code's Remote-SSH need it
    port=$(bounded 8 ssh -G "$2" | awk '$1 == "port" { print $2 }')
    seen=$(bounded 15 ssh -o BatchMode=yes -o ConnectTimeout=8 -W "127.0.0.1:${port:-22}" "$2")
    code=$?
    case $seen in
        *prohibited*) code=1 ;;
        SSH-* | *"onnection refused"* | *"onnect failed"*) code=0 ;; # it went through, whoever answers there
        *) ;;
    esac
    judge "$code" "forwarding by $1" "forwarded ports, for the tunnel and Remote-SSH" "$seen" \
        "AllowTcpForwarding yes in sshd_config of $2, then start its sshd again"
}

skew() { # NAME HOST: its clock against this one
    before=$(date +%s)
    theirs=$(bounded 15 ssh -o BatchMode=yes -o ConnectTimeout=8 "$2" date +%s | tr -d '\r')
    case $theirs in
        '' | *[!0-9]*)
            before=$(date +%s)
            theirs=$(bounded 30 ssh -o BatchMode=yes -o ConnectTimeout=8 "$2" \
                powershell -NoProfile -Command '[DateTimeOffset]::UtcNow.ToUnixTimeSeconds()' | tr -d '\r')
            ;;
        *) ;;
    esac
    after=$(date +%s)
    case $theirs in
        '' | *[!0-9]*)
            result skipped "clock of $1" "at most 30 s apart" "no way to ask for it"
            return
            ;;
        *) ;;
    esac
    off=0
    if [ "$theirs" -lt "$before" ]; then off=$((before - theirs)); fi
    if [ "$theirs" -gt "$after" ]; then off=$((theirs - after)); fi
    [ "$off" -le 30 ]
    judge "$?" "clock of $1" "at most 30 s apart" "$off s" "timedatectl set-ntp true; on Windows w32tm /resync"
}

check_laptop() {
    have curl "install curl"
    if have ssh "install OpenSSH"; then
        reach TOWER "${TOWER:-}"
        case ${TOWER:-} in
            '' | -*) ;;
            *)
                ask "engine of TOWER" "a Docker engine that its user may ask" \
                    "start Docker there; on Linux also: sudo usermod -aG docker USER" \
                    20 ssh -o BatchMode=yes -o ConnectTimeout=8 "$TOWER" docker version --format '{{.Server.Version}}'
                ;;
        esac
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
    printf '{"role":"%s","host":%s,"time":"%s","passed":%s,"checks":[%s]}\n' \
        "$role" "$(quoted "$(uname -n)")" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$passed" "$rows"
else
    printf '%s: %s failed\n' "$role" "$failures"
fi
[ "$passed" = true ]
