# The inference service alone: no Prefect, MLflow, Evidently or Great Expectations. Two sizes, by --target:
#   serving         answers from bundles in ONNX: no pandas, no scikit-learn
#   serving-native  answers from native (skops) bundles too
# Built from the repository's root:
#   docker build -f deployments/serving.Dockerfile --target serving -t evertrain-serving .
# The base is a tag, since it is built again with each of Debian's fixes; pin your own by digest:
#   --build-arg PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:…
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv --without-pip /opt/evertrain
COPY deployments/serving.lock /tmp/
RUN pip --python /opt/evertrain/bin/python install --require-hashes --no-deps --no-compile -r /tmp/serving.lock
# Compiled once here: a read-only container couldn't keep the byte code, and would compile at each start.
# One library ships a file for newer Pythons only, which can't be compiled and isn't imported.
RUN { /opt/evertrain/bin/python -m compileall -q -q -j 0 /opt/evertrain/lib || true; }
COPY pyproject.toml README.md LICENSE /source/
COPY evertrain /source/evertrain
COPY serving /source/serving
RUN pip --python /opt/evertrain/bin/python install --no-deps --no-build-isolation /source \
    && pip --python /opt/evertrain/bin/python uninstall --yes setuptools

FROM ${PYTHON_IMAGE} AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 evertrain \
    && useradd --uid 10001 --gid evertrain --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin evertrain \
    && install -d -o evertrain -g evertrain /var/lib/evertrain
COPY deployments/healthy.py /usr/local/bin/healthy
ENV PATH=/opt/evertrain/bin:$PATH PYTHONUNBUFFERED=1 EVERTRAIN_HOME=/var/lib/evertrain PORT=8080
USER 10001:10001
WORKDIR /var/lib/evertrain
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=10s --start-period=20s --retries=5 \
    CMD ["sh", "-c", "healthy http://127.0.0.1:$PORT/health/live"]
ENTRYPOINT ["evertrain", "serve"]
# Loopback inside the container: a run that wants to be reached says so itself, as docker-compose.yml does.
CMD ["--host", "127.0.0.1"]

FROM runtime AS serving
LABEL org.opencontainers.image.title="evertrain serving" \
    org.opencontainers.image.description="Answers from the champion's bundle, in ONNX."
COPY --from=build /opt/evertrain /opt/evertrain

FROM build AS build-native
COPY deployments/serving-native.lock /tmp/
RUN pip --python /opt/evertrain/bin/python install --require-hashes --no-deps --no-compile -r /tmp/serving-native.lock \
    && pip --python /opt/evertrain/bin/python uninstall --yes setuptools \
    && { /opt/evertrain/bin/python -m compileall -q -q -j 0 /opt/evertrain/lib || true; }

FROM runtime AS serving-native
LABEL org.opencontainers.image.title="evertrain serving, native" \
    org.opencontainers.image.description="Answers from the champion's bundle, in ONNX or native."
COPY --from=build-native /opt/evertrain /opt/evertrain
