#!/usr/bin/env bash
# Drives the exchange as a script does it, with curl and jq, in the conformance
# suite: called anew for each request, which it reads from standard input.
# shellcheck disable=SC2016 # what is in single quotes is for jq
set -euo pipefail

request=$(cat)
get() { jq --raw-output "$1 // empty" <<<"$request"; }
answer() {
	jq --compact-output --null-input --argjson id "$(jq .id <<<"$request")" "$@"
	exit 0
}
skip() {
	jq --compact-output --null-input --argjson id "$(jq .id <<<"$request")" --arg reason "$1" '{id: $id, skip: {reason: $reason}}'
	exit 77
}
failed() { answer --arg message "$1" '{id: $id, ok: {results: [{error: {kind: "other", message: $message}}]}}'; }

# call METHOD... has curl do a request; what went wrong is the end.
call() {
	local out
	out=$(curl --silent --show-error --fail-with-body --noproxy 169.254.169.254 --max-time 10 "$@" 2>&1) || failed "$out"
	printf %s "$out"
}

case $(get .op) in
hello)
	version=$(curl --version | awk 'NR == 1 { print $2 }')
	answer --arg version "$version" --arg bash "$BASH_VERSION" '{id: $id, ok: {
		protocol: 1,
		implementation: {name: "curl", version: $version, language: "sh", runtime: ("bash " + $bash)},
		dependencies: [{name: "curl", version: $version}],
		capabilities: ["imds", "identity.client_id", "identity.object_id", "identity.resource_id", "identity.system", "blob", "tenants"]}}'
	;;
open | close | stop) answer '{id: $id, ok: {}}' ;;
token | resource) ;;
*) skip "a script does not do this" ;;
esac

# A script has no memory: the configuration comes with each request.
tenant=$(get '.tenant // .config.tenant')
scope=$(get '.scopes[0] // "https://storage.azure.com/.default"')
selector=()
value=$(get .config.identity.value)
case $(get .config.identity.kind) in
client_id) selector=(--data-urlencode "client_id=$value") ;;
object_id) selector=(--data-urlencode "object_id=$value") ;;
resource_id) selector=(--data-urlencode "msi_res_id=$value") ;;
esac

assertion=$(call --get --header 'Metadata: true' --data api-version=2018-02-01 \
	--data-urlencode "resource=$(get .config.audience)" "${selector[@]}" \
	http://169.254.169.254/metadata/identity/oauth2/token)
case $assertion in '{"id"'*) printf '%s\n' "$assertion" && exit 0 ;; esac
token=$(call --data grant_type=client_credentials --data "client_id=$(get .config.app_client_id)" --data-urlencode "scope=$scope" \
	--data-urlencode client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer \
	--data-urlencode "client_assertion@-" "$(get .config.endpoints.authority)/$tenant/oauth2/v2.0/token" < <(jq --join-output .access_token <<<"$assertion"))
case $token in '{"id"'*) printf '%s\n' "$token" && exit 0 ;; esac
access_token=$(jq --raw-output .access_token <<<"$token")
if [ "$(get .op)" = token ]; then
	answer --arg token "$access_token" '{id: $id, ok: {results: [{token: $token}]}}'
fi
list=$(call --header @- --header 'x-ms-version: 2026-04-06' "$(get .url)?restype=container&comp=list" <<<"Authorization: Bearer $access_token")
case $list in '{"id"'*) printf '%s\n' "$list" && exit 0 ;; esac
items=$(grep --only-matching '<Name>[^<]*</Name>' <<<"$list" | sed 's/<[^>]*>//g' | jq --raw-input . | jq --slurp .)
answer --argjson items "$items" '{id: $id, ok: {results: [{status: 200, items: $items}]}}'
