#!/usr/bin/env bash
# Lists the blobs in a container as an application that trusts the managed
# identity of this machine. Azure MCP gets no such token by itself, but it
# exchanges one that it finds in a file, as that of a pod.
set -euo pipefail

tenant=11111111-1111-1111-1111-111111111111
application=22222222-2222-2222-2222-222222222222
identity=44444444-4444-4444-4444-444444444444

assertion=$(mktemp)
trap 'rm "$assertion"' EXIT
curl --silent --show-error --fail --get --header 'Metadata: true' http://169.254.169.254/metadata/identity/oauth2/token \
	--data api-version=2018-02-01 --data resource=api://AzureADTokenExchange --data "client_id=$identity" |
	jq --join-output .access_token >"$assertion"

AZURE_MCP_COLLECT_TELEMETRY=false AZURE_TOKEN_CREDENTIALS=WorkloadIdentityCredential \
	AZURE_TENANT_ID=$tenant AZURE_CLIENT_ID=$application AZURE_FEDERATED_TOKEN_FILE=$assertion \
	node_modules/@azure/mcp-linux-x64/dist/azmcp storage blob get --subscription none --account contosodata --container reports |
	sed -n '/^{/,$p' | # what comes before is a log
	jq --raw-output '.results.blobs[].name'
