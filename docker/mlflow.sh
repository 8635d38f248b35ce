#!/bin/sh
# Starts the MLflow server of docker-compose.yml. Secrets are files; MLFLOW_BASIC_AUTH=true asks everybody for a password.
set -eu

secret() { # NAME: what the file holds; without it nothing starts
    [ -s "/run/secrets/$1" ] && [ -r "/run/secrets/$1" ] || {
        echo "mlflow: /run/secrets/$1: wanted a file that user $(id -u) can read; mend: docs/security.md, Secrets" >&2
        exit 2
    }
    tr -d '\r\n' <"/run/secrets/$1"
}

PGPASSWORD=$(secret postgres_password)
export PGPASSWORD
if [ "${MLFLOW_BASIC_AUTH:-}" = true ]; then
    MLFLOW_AUTH_ADMIN_USERNAME="admin"
    MLFLOW_AUTH_ADMIN_PASSWORD=$(secret mlflow_admin_password)
    MLFLOW_FLASK_SERVER_SECRET_KEY=$(secret mlflow_secret_key)
    MLFLOW_AUTH_CONFIG_PATH=/tmp/basic_auth.ini
    export MLFLOW_AUTH_ADMIN_USERNAME MLFLOW_AUTH_ADMIN_PASSWORD MLFLOW_FLASK_SERVER_SECRET_KEY MLFLOW_AUTH_CONFIG_PATH
    # Users lie in the same database, so that a backup has them too. A password is hashed once in five minutes, not at
    # every call, which takes 0.3 s of a core; the one worker forgets it when it is changed.
    printf '[mlflow]\ndefault_permission = READ\ndatabase_uri = %s\nauth_cache_ttl_seconds = 300\n' \
        "$MLFLOW_BACKEND_STORE_URI" >"$MLFLOW_AUTH_CONFIG_PATH"
    set -- --app-name basic-auth
fi
# One worker: a second one would cost every call 50 ms.
exec mlflow server --host 0.0.0.0 --port 5000 --workers 1 --artifacts-destination /artifacts "$@"
