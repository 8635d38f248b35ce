#!/bin/sh
# Keeps MLflow's database and artifacts in one file.  backup.sh [FILE.tar]   (default: mlflow-<UTC time>.tar, here)
#
# Run it on the server, from the checkout whose docker-compose.yml is up; MLflow goes on meanwhile. The database is taken
# first, as it stands at one moment, so that every artifact it tells of is in the file. Holds passwords of MLflow's users
# as hashes: keep it as you keep the database. COMPOSE is the command (default: docker compose). Exit code 2: nothing was
# written, and why.
set -eu
cd_to=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-mlflow-$(date -u +%Y%m%dT%H%M%SZ).tar}
case $out in /*) ;; *) out=$PWD/$out ;; esac
cd "$cd_to"

refuse() { # WHAT SEEN MEND
    printf 'backup: %s\n  seen:   %s\n  mend:   %s\n' "$1" "$2" "$3" >&2
    exit 2
}
compose() { ${COMPOSE:-docker compose} --profile server "$@"; }

[ $# -le 1 ] || refuse "wanted one file name" "$# arguments" "scripts/backup.sh mlflow.tar"
[ ! -e "$out" ] || refuse "$out is there already; nothing was written" "$(wc -c <"$out") bytes" "choose another name"
[ -d "$(dirname "$out")" ] && [ -w "$(dirname "$out")" ] ||
    refuse "$(dirname "$out"): cannot be written to" "no such folder, or no right" "choose another place"
said=$(compose exec -T postgres true 2>&1) ||
    refuse "the database does not run" "$said" "docker compose --profile server up -d --wait"

umask 077
work=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
echo "backup: the database" >&2
compose exec -T postgres pg_dump --username=mlflow --dbname=mlflow --format=custom >"$work/database.dump" ||
    refuse "the database could not be read; nothing was written" "see above" "docker compose logs postgres"
echo "backup: the artifacts" >&2
# tar's 1 is a file that grew or went meanwhile, so one that the database did not tell of as finished.
compose run --rm --no-deps -T mlflow sh -c 'cd /artifacts && ls -A | grep -vxE "health-check|\.restoring" |
    tar -cf - -T - || [ $? -eq 1 ]' >"$work/artifacts.tar" ||
    refuse "the artifacts could not be read; nothing was written" "see above" "df -h $(dirname "$out")"
(cd "$work" && sha256sum database.dump artifacts.tar >SHA256SUMS &&
    tar -cf all.tar --remove-files SHA256SUMS database.dump artifacts.tar) ||
    refuse "$out could not be written" "see above" "df -h $(dirname "$out")"
sync "$work/all.tar" 2>/dev/null || sync
ln "$work/all.tar" "$out" # unlike mv, never over a file that came meanwhile
echo "$out"
