#!/bin/sh
# Lists blobs in a cloud that Podman runs.
set -eu
trap 'podman rm --force --ignore fakeentra >/dev/null; podman volume rm --force fakeentra-certificates >/dev/null' EXIT

# A network that is nothing but a loopback interface, with 169.254.169.254 on it.
podman run --detach --name fakeentra --network none --user 0 \
	--cap-drop ALL --cap-add NET_ADMIN --cap-add NET_BIND_SERVICE --security-opt no-new-privileges \
	--volume fakeentra-certificates:/shared \
	fakeentra serve --fresh-keys --take-metadata-address \
	--https 169.254.169.254:443 --imds 169.254.169.254:80 --proxy= --control 127.0.0.1:8099 \
	--dns 127.0.0.1:53 --dns-answer 169.254.169.254 --certificates /shared >/dev/null
timeout 30 sh -c 'until podman exec fakeentra /fakeentra health >/dev/null 2>&1; do sleep 0.1; done'

podman run --rm --network container:fakeentra \
	--volume fakeentra-certificates:/certificates:ro --env SSL_CERT_FILE=/certificates/bundle.pem \
	fakeentra-example

podman exec fakeentra /fakeentra journal >&2
