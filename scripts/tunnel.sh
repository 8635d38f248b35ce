#!/bin/sh
# The MLflow UI and API of the server at http://localhost:5000, through SSH.  tunnel.sh [user@server]
#
# SERVER is taken where no argument is given; PORT is the local port (default 5000). A cut is noticed within 45 s, and the
# tunnel comes back by itself. Ctrl-C ends it. Exit code 2: no server named, or the port is taken; else ssh's own, where
# the first connection fails.
set -eu
server=${1:-${SERVER:-}} port=${PORT:-5000}
[ -n "$server" ] || {
    echo "tunnel: which server? mend: scripts/tunnel.sh user@server, or export SERVER=user@server" >&2
    exit 2
}
case $server in
    -*)
        echo "tunnel: server: wanted user@server; seen $server, which ssh takes for an option" >&2
        exit 2
        ;;
    *) ;;
esac
case $port in
    *[!0-9]*)
        echo "tunnel: PORT: wanted a number; seen $port" >&2
        exit 2
        ;;
    *) ;;
esac

holder() { # who listens on the port; nothing where nobody does, or where nothing here can tell
    if command -v ss >/dev/null 2>&1; then
        ss -Hltnp "sport = :$port" 2>/dev/null | awk 'NR == 1 { print $4, $6 }' |
            sed 's/ users:((\([^)]*\)).*/, \1/'
    elif command -v lsof >/dev/null 2>&1; then
        lsof -nP -iTCP:"$port" -sTCP:LISTEN 2>/dev/null | awk 'NR == 2 { print $1, "pid=" $2 }'
    fi
}

refuse_taken() {
    taken=$(holder)
    [ -z "$taken" ] || {
        echo "tunnel: port $port is taken" >&2
        echo "  seen:   held by $taken" >&2
        echo "  mend:   end it, or PORT=5001 scripts/tunnel.sh $server" >&2
        exit 2
    }
}

ended() { # the signal's exit code, with ssh ended
    [ -z "$tunnel" ] || kill "$tunnel" 2>/dev/null || true
    exit "$1"
}

refuse_taken
tunnel='' was_up='' wait=1
trap 'ended 130' INT
trap 'ended 143' TERM HUP
echo "MLflow: http://localhost:$port while this runs" >&2
while :; do
    begun=$(date +%s)
    ssh -N -L "127.0.0.1:$port:127.0.0.1:5000" -o ExitOnForwardFailure=yes -o ConnectTimeout=10 \
        -o ServerAliveInterval=15 -o ServerAliveCountMax=3 ${was_up:+-o BatchMode=yes} "$server" &
    tunnel=$!
    code=0
    wait "$tunnel" || code=$?
    tunnel=''
    if [ $(($(date +%s) - begun)) -ge "${STEADY:-20}" ]; then was_up=yes wait=1; fi
    [ -n "$was_up" ] || exit "$code" # never was up: a wrong name, key or host, which trying again does not mend
    echo "tunnel: $server is away (ssh ended with $code); trying again in $wait s" >&2
    sleep "$wait" &
    tunnel=$!
    wait "$tunnel" || true
    tunnel=''
    [ "$wait" -ge 30 ] || wait=$((wait * 2))
done
