#!/bin/sh
# Run once by the image, on an empty data folder: a database each for MLflow and Prefect, each owned by a role that can
# reach no other.
set -eu

for name in mlflow prefect; do
    variable=$(echo "${name}_PASSWORD" | tr '[:lower:]' '[:upper:]')
    eval "password=\${$variable:?docker-compose.yml sets it}"
    # psql spells the password as a literal itself, so that no character of it means anything.
    psql --quiet --username "${POSTGRES_USER:-postgres}" --dbname postgres --set ON_ERROR_STOP=1 \
        --set name="$name" --set password="$password" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name" ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done
psql --quiet --username "${POSTGRES_USER:-postgres}" --dbname postgres --set ON_ERROR_STOP=1 \
    --command 'REVOKE CONNECT ON DATABASE postgres FROM PUBLIC'
