#!/bin/sh
# Starts the S3 store with a key for each who uses it: who only answers can't write, and nobody needs all buckets.
set -eu
umask 077

identity() { # name, secret, actions
    printf '{"name":"%s","credentials":[{"accessKey":"%s","secretKey":"%s"}],"actions":[%s]}' "$1" "$1" "$2" "$3"
}

all() { printf '"Read:%s","Write:%s","List:%s","Tagging:%s"' "$1" "$1" "$1" "$1"; }

{
    printf '{"identities":[\n'
    identity setup "$STORE_SETUP_SECRET" '"Admin"'
    printf ',\n'
    identity worker "$STORE_WORKER_SECRET" "$(all evertrain)"
    printf ',\n'
    identity mlflow "$STORE_MLFLOW_SECRET" "$(all mlflow)"
    printf ',\n'
    # It may add to its log and to the labels that it was brought, and change nothing that others are answered by.
    identity inference "$STORE_INFERENCE_SECRET" \
        '"Read:evertrain","List:evertrain","Write:evertrain/predictions/*","Write:evertrain/labels/*","Write:evertrain/replicas/*"'
    printf '\n]}\n'
} > /tmp/s3.json

# Only the S3 port is open to other containers: master, volume and filer ask nobody who they are.
# The short election is for one node: after a restart it would otherwise wait for others for 20 seconds.
exec weed server -dir=/data -ip=127.0.0.1 -ip.bind=127.0.0.1 \
    -master.telemetry=false -master.volumeSizeLimitMB=256 -master.volumePreallocate=false \
    -master.electionTimeout=1s -master.heartbeatInterval=100ms -volume.max=0 \
    -s3 -s3.ip.bind=0.0.0.0 -s3.port=8333 -s3.config=/tmp/s3.json -s3.iam=false -s3.port.iceberg=0 -s3.port.lance=0 \
    -s3.autoCreateBucket=false
