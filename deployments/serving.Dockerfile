# The inference service alone: no Prefect, MLflow, Evidently or Great Expectations. Built from the repository's root:
#   docker build -f deployments/serving.Dockerfile -t evertrain-serving .
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/evertrain
ENV PATH=/opt/evertrain/bin:$PATH
COPY deployments/serving.lock /tmp/serving.lock
RUN pip install --require-hashes --no-deps --no-compile -r /tmp/serving.lock
COPY pyproject.toml README.md LICENSE /source/
COPY evertrain /source/evertrain
COPY tasks /source/tasks
COPY flows /source/flows
COPY serving /source/serving
# Compiled once here: a read-only container couldn't keep the byte code, and would compile at each start.
RUN pip install --no-deps --no-build-isolation --no-compile /source \
    && { python -m compileall -q -q -j 0 /opt/evertrain/lib || true; }

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin evertrain
COPY --from=build /opt/evertrain /opt/evertrain
ENV PATH=/opt/evertrain/bin:$PATH PYTHONUNBUFFERED=1 EVERTRAIN_HOME=/var/lib/evertrain PORT=8080
USER evertrain
WORKDIR /var/lib/evertrain
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=5 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health/live', timeout=2)"]
ENTRYPOINT ["evertrain", "serve"]
# Loopback inside the container: a run that wants to be reached says so itself, as docker-compose.yml does.
CMD ["--host", "127.0.0.1"]
