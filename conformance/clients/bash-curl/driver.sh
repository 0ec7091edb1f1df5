#!/usr/bin/env bash
# Drives the exchange as a script does it, with curl and jq, in the conformance
# suite: called anew for each request, which is in variables. What it writes to
# standard error before it exits with 1 is the error.
# shellcheck disable=SC2016 # what is in single quotes is for jq
set -euo pipefail

answer() { jq --compact-output --null-input --argjson id "$FCD_ID" "$@"; }
failed() {
	printf '%s\n' "$1" >&2
	exit 1
}

# call has curl do a request, which fails for every status but 2xx.
call() {
	local body
	body=$(curl --silent --show-error --fail-with-body --location --max-redirs 0 --max-time 10 "$@") || failed "$body"
	printf %s "$body"
}

# access_token reads an answer without showing it.
access_token() { jq --exit-status --join-output '.access_token | strings | select(. != "")' 2>/dev/null || failed 'the answer has no access_token'; }

case $FCD_OP in
hello)
	version=$(curl --version | awk 'NR == 1 { print $2 }')
	answer --arg version "$version" --arg bash "$BASH_VERSION" '{id: $id, ok: {
		protocol: 1,
		implementation: {name: "curl", version: $version, language: "sh", runtime: ("bash " + $bash)},
		dependencies: [{name: "curl", version: $version}],
		capabilities: ["imds", "identity.client_id", "identity.object_id", "identity.resource_id", "identity.system", "blob"]}}'
	exit
	;;
token | resource) ;;
*) exit 77 ;;
esac

selector=()
case $FCD_IDENTITY_KIND in
client_id) selector=(--data-urlencode "client_id=$FCD_IDENTITY_VALUE") ;;
object_id) selector=(--data-urlencode "object_id=$FCD_IDENTITY_VALUE") ;;
resource_id) selector=(--data-urlencode "msi_res_id=$FCD_IDENTITY_VALUE") ;;
esac

# Secrets go by standard input: everybody sees the arguments of a process.
body=$(call --noproxy '*' --get --header 'Metadata: true' --data api-version=2018-02-01 \
	--data-urlencode "resource=$FCD_AUDIENCE" "${selector[@]}" \
	"$FCD_IMDS/metadata/identity/oauth2/token")
assertion=$(access_token <<<"$body")
body=$(call --proto '=https' --data grant_type=client_credentials --data "client_id=$FCD_APP_CLIENT_ID" \
	--data-urlencode "scope=${FCD_SCOPE:-https://storage.azure.com/.default}" \
	--data-urlencode client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer \
	--data-urlencode client_assertion@- "$FCD_AUTHORITY/$FCD_TENANT/oauth2/v2.0/token" < <(printf %s "$assertion"))
token=$(access_token <<<"$body")
if [ "$FCD_OP" = token ]; then
	answer --arg token "$token" '{id: $id, ok: {results: [{token: $token}]}}'
	exit
fi
list=$(call --proto '=https' --header @- --header 'x-ms-version: 2026-04-06' "$FCD_URL?restype=container&comp=list" <<<"Authorization: Bearer $token")
answer --arg list "$list" '{id: $id, ok: {results: [{status: 200, items: [$list | scan("<Name>([^<]*)</Name>")[]]}]}}'
