#!/bin/sh
# What the real image does for a user who isn't root: on an empty folder initdb, the scripts against a server that
# only its socket reaches, then the server itself.
set -eu

mkdir -p /var/run/postgresql
sockets="-c unix_socket_directories=/var/run/postgresql,/tmp"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA"
    printf '%s' "${POSTGRES_PASSWORD:?}" > /tmp/password
    # shellcheck disable=SC2086 # several arguments, as in the real image
    initdb --username=postgres --pwfile=/tmp/password ${POSTGRES_INITDB_ARGS:-} > /dev/null
    rm /tmp/password
    printf 'host all all all scram-sha-256\n' >> "$PGDATA/pg_hba.conf"
    pg_ctl -w start -o "-c listen_addresses='' $sockets" > /dev/null
    for script in /docker-entrypoint-initdb.d/*.sh; do
        if [ -x "$script" ]; then "$script"; else . "$script"; fi
    done
    pg_ctl -w -m fast stop > /dev/null
fi
# shellcheck disable=SC2086 # two arguments
exec "$@" -c listen_addresses='*' $sockets
