# The control plane: the flows and all they need. One image for the worker, the Prefect server and the MLflow server,
# so that client and server are of one version. Built from the repository's root:
#   docker build -f deployments/flows.Dockerfile -t evertrain-flows .
# The base is a tag, since it is built again with each of Debian's fixes; pin your own by digest:
#   --build-arg PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:…
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv --without-pip /opt/evertrain
COPY deployments/flows.lock /tmp/
RUN pip --python /opt/evertrain/bin/python install --require-hashes --no-deps --no-compile -r /tmp/flows.lock
# Compiled once here: a read-only container couldn't keep the byte code, and would compile at each start.
# One library ships a file for newer Pythons only, which can't be compiled and isn't imported.
RUN { /opt/evertrain/bin/python -m compileall -q -q -j 0 /opt/evertrain/lib || true; }
COPY pyproject.toml README.md LICENSE /source/
COPY evertrain /source/evertrain
COPY tasks /source/tasks
COPY flows /source/flows
COPY serving /source/serving
RUN pip --python /opt/evertrain/bin/python install --no-deps --no-build-isolation /source

FROM ${PYTHON_IMAGE} AS flows
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="evertrain flows" \
    org.opencontainers.image.description="Trains, judges and promotes: Prefect flows, with Prefect's and MLflow's servers." \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 evertrain \
    && useradd --uid 10001 --gid evertrain --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin evertrain \
    && install -d -o evertrain -g evertrain /var/lib/evertrain /srv/evertrain
COPY --from=build /opt/evertrain /opt/evertrain
COPY deployments/healthy.py /usr/local/bin/healthy
# Whatever a library wants to keep goes to /tmp: the root file system may be read-only.
ENV PATH=/opt/evertrain/bin:$PATH PYTHONUNBUFFERED=1 EVERTRAIN_HOME=/var/lib/evertrain \
    HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib PREFECT_HOME=/tmp/prefect PREFECT_SERVER_UI_STATIC_DIRECTORY=/tmp/prefect-ui \
    GIT_PYTHON_REFRESH=quiet DO_NOT_TRACK=1
USER 10001:10001
WORKDIR /srv/evertrain
# Three kinds of process run in it, each with a check of its own: docker-compose.yml has them.
HEALTHCHECK NONE
CMD ["evertrain", "--help"]
