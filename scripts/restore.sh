#!/bin/sh
# Brings MLflow's database and artifacts back into an empty stack.  restore.sh FILE.tar
#
# Run it on the server, from the checkout, with secrets/postgres_password made and MLflow stopped. A stack that holds a
# run, an experiment or a model is refused: nothing is ever overwritten. Cut off, the same command starts over.
# COMPOSE is the command (default: docker compose). Exit code 2: nothing was restored, and why.
set -eu
cd_to=$(cd "$(dirname "$0")/.." && pwd)

refuse() { # WHAT SEEN MEND
    printf 'restore: %s\n  seen:   %s\n  mend:   %s\n' "$1" "$2" "$3" >&2
    exit 2
}
compose() { ${COMPOSE:-docker compose} --profile server --profile auth "$@"; }
at_artifacts() { compose run --rm --no-deps -T mlflow "$@"; }
query() { compose exec -T postgres psql --username=mlflow --dbname=mlflow --no-align --tuples-only --command="$1"; }

[ $# -eq 1 ] || refuse "wanted one file name" "$# arguments" "scripts/restore.sh mlflow.tar"
[ -r "$1" ] && [ -f "$1" ] || refuse "$1: cannot be read" "no such file, or no right" "name a file of backup.sh"
in=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
cd "$cd_to"

echo "restore: checking $in" >&2
sums=$(tar -xOf "$in" SHA256SUMS 2>/dev/null) || refuse "$1: not a whole file of backup.sh" "no end, or no SHA256SUMS in it" "name another"
for part in database.dump artifacts.tar; do
    wanted=$(printf '%s\n' "$sums" | awk -v part="$part" '$2 == part { print $1 }')
    seen=$(tar -xOf "$in" "$part" 2>/dev/null | sha256sum | cut -d' ' -f1)
    [ -n "$wanted" ] && [ "$wanted" = "$seen" ] ||
        refuse "$1: $part is damaged; nothing was restored" "SHA-256 $seen, wanted ${wanted:-none}" "take another backup"
done

running=$(compose ps --services --status running) ||
    refuse "docker compose does not answer" "see above" "start Docker"
case $running in
    *mlflow*) refuse "MLflow runs; nothing was restored" "$(echo "$running" | tr '\n' ' ')" \
        "docker compose --profile server --profile auth stop mlflow mlflow-auth" ;;
    *) ;;
esac
compose up --detach --wait postgres >&2 ||
    refuse "the database does not start; nothing was restored" "see above" "docker compose logs postgres"
tables=$(query "select count(*) from information_schema.tables where table_schema = 'public' and table_name = 'runs'")
if [ "$tables" != 0 ]; then
    # What the health check and stage 0 write is nobody's work.
    held=$(query "with own as (select experiment_id from experiments
            where experiment_id = 0 or name in ('health-check', 'stage0'))
        select (select count(*) from runs where experiment_id not in (select experiment_id from own where experiment_id > 0))
            || ' runs, ' || (select count(*) from registered_models) || ' models, ' ||
            (select count(*) from experiments where experiment_id not in (select experiment_id from own)) || ' experiments'")
    [ "$held" = "0 runs, 0 models, 0 experiments" ] ||
        refuse "the database is not empty; nothing was restored" "$held" \
            "restore on a new machine, or under another name: COMPOSE_PROJECT_NAME=restored"
fi
# A mark with the backup's digest tells files that a restore of it had brought when it was cut off from anybody else's.
mark=$(printf '%s' "$sums" | sha256sum | cut -d' ' -f1)
held=$(at_artifacts sh -c 'cat .restoring 2>/dev/null || find . -path ./health-check -prune -o -type f -print -quit')
[ -z "$held" ] || [ "$held" = "$mark" ] ||
    refuse "the artifacts are not empty; nothing was restored" "$held" \
        "restore on a new machine, or under another name: COMPOSE_PROJECT_NAME=restored"

echo "restore: the artifacts" >&2
at_artifacts sh -c "printf %s $mark >.restoring"
tar -xOf "$in" artifacts.tar | at_artifacts tar -C /artifacts -xf - --no-same-owner ||
    refuse "the artifacts could not be written" "see above" "docker system df; then the same command again"
echo "restore: the database" >&2
tar -xOf "$in" database.dump | compose exec -T postgres pg_restore --username=mlflow --dbname=mlflow \
    --clean --if-exists --no-owner --single-transaction --exit-on-error ||
    refuse "the database could not be written" "see above" "docker compose logs postgres; then the same command again"
at_artifacts rm .restoring
echo "restored; now: docker compose --profile server up -d --wait" >&2
