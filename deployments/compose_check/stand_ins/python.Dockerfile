# Stands in for python:3.11-slim-bookworm: Debian 12's own Python under the names that the real image uses.
FROM localhost/debian:bookworm-slim
ENV DEBIAN_FRONTEND=noninteractive
# Debian forbids pip beside its own packages; in a container there is nothing to break.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/* /usr/lib/python3.11/EXTERNALLY-MANAGED \
    && ln -s /usr/bin/python3.11 /usr/local/bin/python
CMD ["python"]
