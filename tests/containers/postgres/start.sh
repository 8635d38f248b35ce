#!/bin/sh
# Makes the database on the first start, as the official image does, then serves it.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --auth-local=trust --auth-host=scram-sha-256
    {
        echo "local all all trust"
        echo "host all all 127.0.0.1/32 trust"
        echo "host all all all scram-sha-256"
    } >"$PGDATA/pg_hba.conf"
    postgres --single -jE postgres <<SQL >/dev/null
CREATE DATABASE "$POSTGRES_DB" OWNER "$POSTGRES_USER"
SQL
fi
exec postgres -c listen_addresses='*'
