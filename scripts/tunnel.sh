#!/bin/sh
# The MLflow UI and API of the server at http://localhost:5000, through SSH.  tunnel.sh [user@server]
# SERVER is taken where no argument is given; PORT is the local port (default 5000). Ctrl-C ends it. Exit code 2: no
# server named, or the port is taken.
set -eu
server=${1:-${SERVER:-}} port=${PORT:-5000}
[ -n "$server" ] || {
    echo "tunnel: which server? mend: scripts/tunnel.sh user@server, or export SERVER=user@server" >&2
    exit 2
}
case $port in
    *[!0-9]*)
        echo "tunnel: PORT: wanted a number; seen $port" >&2
        exit 2
        ;;
    *) ;;
esac
if command -v ss >/dev/null 2>&1; then
    holder=$(ss -Hltnp "sport = :$port" 2>/dev/null | sed -n '1{s/.*users:((\([^)]*\)).*/\1/;p;}')
elif command -v lsof >/dev/null 2>&1; then
    holder=$(lsof -nP -iTCP:"$port" -sTCP:LISTEN 2>/dev/null | awk 'NR == 2 { print $1, "pid=" $2 }')
else
    holder='' # ssh itself refuses a taken port, without the name of who holds it
fi
[ -z "$holder" ] || {
    echo "tunnel: port $port is taken" >&2
    echo "  seen:   held by $holder" >&2
    echo "  mend:   end it, or PORT=5001 scripts/tunnel.sh $server" >&2
    exit 2
}
echo "MLflow: http://localhost:$port while this runs" >&2
exec ssh -N -L "127.0.0.1:$port:127.0.0.1:5000" -o ExitOnForwardFailure=yes -o ConnectTimeout=10 \
    -o ServerAliveInterval=15 -o ServerAliveCountMax=3 "$server"
