#!/usr/bin/env bash
# Lists blobs as an application that trusts the managed identity of the machine
# it runs on, with curl and jq.
set -euo pipefail

account=contosodata
container=reports
tenant=11111111-1111-1111-1111-111111111111                    # of the storage account
app_client_id=22222222-2222-2222-2222-222222222222             # has access to the storage account
managed_identity_client_id=44444444-4444-4444-4444-444444444444 # is assigned to this machine

assertion=$(curl --silent --show-error --fail-with-body --get --header 'Metadata: true' \
	--data api-version=2018-02-01 \
	--data-urlencode resource=api://AzureADTokenExchange \
	--data "client_id=$managed_identity_client_id" \
	http://169.254.169.254/metadata/identity/oauth2/token | jq --raw-output .access_token)

token=$(curl --silent --show-error --fail-with-body \
	--data grant_type=client_credentials \
	--data "client_id=$app_client_id" \
	--data-urlencode scope=https://storage.azure.com/.default \
	--data-urlencode client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer \
	--data-urlencode "client_assertion=$assertion" \
	"https://login.microsoftonline.com/$tenant/oauth2/v2.0/token" | jq --raw-output .access_token)

curl --silent --show-error --fail-with-body \
	--header "Authorization: Bearer $token" --header 'x-ms-version: 2026-04-06' \
	"https://$account.blob.core.windows.net/$container?restype=container&comp=list" |
	grep --only-matching '<Name>[^<]*</Name>' | sed 's/<[^>]*>//g'
