#!/bin/sh
# The health check of this server: asks each instance (or the public address) until it is well or the tries are used up.
#
# Promises: it asks /health/readiness on the loopback port, wants HTTP 200 and, where LiteLLM uses a database, "db":"connected". It
# prints one JSON object, and on a failure the status, the answer (without secrets, at most 2 KiB) and the last 20 lines of the log.
# Never calls a model, never changes anything.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
# shellcheck source-path=SCRIPTDIR source=read-values.sh disable=SC1091
. "$here/read-values.sh"
# shellcheck source-path=SCRIPTDIR source=instances.sh disable=SC1091
. "$here/instances.sh"

usage='usage: verify.sh [--port PORT | --public [https://HOST]] [--ca-file FILE] [--connect-to HOST:PORT] [--providers]

  --port PORT             this instance only; without it every port of PORTS
  --public [URL]          through nginx and TLS; without a URL https://DOMAIN. Asks /health/liveliness, which a public site may show
  --ca-file FILE          the authority that signed the certificate of the public address, where the system does not know it
  --connect-to HOST:PORT  connect there instead of to the public address; the certificate is still that of the URL
  --providers             also ask Anthropic and Ollama whether they answer, where secrets.env names them

exit status: 0 healthy, 1 unhealthy, 2 wrong usage, 3 degraded (a provider does not answer), 10 takes connections but does not answer'

ports='' public='' ca_file='' connect_to='' providers=''
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) printf '%s\n' "$usage"; exit 0 ;;
	--port) is_a ports "${2-}" || { printf '%s\n' "$usage" >&2; exit 2; }; ports=$2; shift ;;
	--public)
		public=default
		case ${2-} in https://*) is_a url "$2" || fail 2 "not a URL: $2"; public=${2%/}; shift ;; esac ;;
	--ca-file) is_a path "${2-}" || fail 2 "--ca-file takes an absolute path"; ca_file=$2; shift ;;
	--connect-to)
		case ${2-} in *:*[!0-9]* | *[!A-Za-z0-9.:-]*) fail 2 "--connect-to takes HOST:PORT" ;; ?*:?*) ;; *) fail 2 "--connect-to takes HOST:PORT" ;; esac
		connect_to=$2; shift ;;
	--providers) providers=yes ;;
	*) printf '%s\n' "$usage" >&2; exit 2 ;;
	esac
	shift
done
read_values
if [ "$public" = default ]; then
	[ -n "$DOMAIN" ] || fail 2 "server.env names no DOMAIN" "'$here/verify.sh' --public https://HOST"
	public=https://$DOMAIN
fi
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# ask URL SECONDS: the HTTP status in $status (000 without an answer), the time in $millis, curl's own status in $curl_status.
ask() {
	set -- "$1" "$2" -q -sS -m "$2" -o "$work/body" -w '%{http_code} %{time_total}'
	if [ -z "$public" ]; then set -- "$@" --noproxy '*'; fi
	if [ -n "$ca_file" ]; then set -- "$@" --cacert "$ca_file"; fi
	if [ -n "$connect_to" ]; then set -- "$@" --connect-to "::$connect_to"; fi
	url=$1
	shift 2
	: >"$work/body"
	curl_status=0
	answer=$(curl "$@" -- "$url" 2>"$work/why") || curl_status=$?
	status=${answer%% *}
	status=${status:-000}
	millis=$(printf '%s\n' "${answer#* }" | awk '{ printf "%d", $1 * 1000 }')
}

database_is_up() { tr -d ' \n\r\t' <"$work/body" | grep -q '"db":"connected"'; }

is_well() {
	[ "$status" = 200 ] || return 1
	[ "$DATABASE" = no ] || [ -n "$public" ] || database_is_up
}

# pause_after TRY
pause_after() {
	pause=0 try_of_pause=0
	for each in $HEALTH_PAUSES; do
		pause=$each try_of_pause=$((try_of_pause + 1))
		if [ "$try_of_pause" -ge "$1" ]; then break; fi
	done
	sleep "$pause"
}

# try_until_well URL: HEALTH_TRIES times HEALTH_SECONDS. A gateway that is still starting refuses connections, so a try asks again.
try_until_well() {
	try=0 hangs=yes status=000 millis=0
	while [ "$try" -lt "$HEALTH_TRIES" ]; do
		try=$((try + 1))
		end=$(($(now) + HEALTH_SECONDS))
		left=$HEALTH_SECONDS
		while [ "$left" -gt 0 ]; do
			ask "$1" "$left"
			if is_well; then return 0; fi
			if [ "$curl_status" -ne 28 ]; then hangs=''; fi
			sleep 1
			left=$((end - $(now)))
		done
		say "try $try of $HEALTH_TRIES: $1 is not well (HTTP $status)"
		if [ "$try" -lt "$HEALTH_TRIES" ]; then pause_after "$try"; fi
	done
	return 1
}

# provider NAME: one member of checks and 1 where the provider does not answer. The key goes to curl by its input.
provider() {
	case $1 in
	anthropic)
		key=$(secret ANTHROPIC_API_KEY) || return 0
		printf 'header = "x-api-key: %s"\nheader = "anthropic-version: 2023-06-01"\nurl = "%s/v1/models"\n' "$(curl_text "$key")" \
			"${ANTHROPIC_API:-https://api.anthropic.com}" >"$work/provider" ;;
	ollama)
		base=$(secret OLLAMA_API_BASE) || return 0
		printf 'url = "%s/api/tags"\n' "$(curl_text "${base%/}")" >"$work/provider" ;;
	esac
	code=$(curl -q -sS -m 10 -o /dev/null -w '%{http_code} %{time_total}' --config - <"$work/provider" 2>/dev/null) || :
	rm -f -- "$work/provider"
	state=down
	if [ "${code%% *}" = 200 ]; then state=up; else degraded=yes; fi
	checks="$checks,\"$1\":{\"status\":\"$state\",\"latencyMs\":$(printf '%s\n' "${code#* }" | awk '{ printf "%d", $1 * 1000 }')}"
}

# report STATUS PORT
report() {
	database=unknown
	if [ "$DATABASE" = yes ] && [ -z "$public" ]; then
		if database_is_up; then database=up; else database=down; fi
	fi
	checks="\"database\":{\"status\":\"$database\",\"latencyMs\":$millis}" degraded='' uptime=''
	if [ -n "$providers" ]; then
		provider anthropic
		provider ollama
	fi
	version=$(json_field litellm_version <"$work/body")
	if [ -z "$public" ]; then uptime=$(uptime_of "$2"); fi
	health=$1
	if [ "$health" = healthy ] && [ -n "$degraded" ]; then health=degraded; fi
	printf '{"status":"%s","checks":{%s},"version":"%s","uptime":%s,"timestamp":"%s","responseTimeMs":%s}\n' "$health" "$checks" \
		"$(json_text "$version")" "${uptime:-null}" "$(timestamp)" "$millis"
}

# why PORT: what a person needs to see after a failure.
why() {
	say "HTTP status: $status"
	if [ -s "$work/why" ]; then redact <"$work/why" >&2; fi
	if [ -s "$work/body" ]; then
		say 'answer:'
		head -c 65536 "$work/body" | redact | head -c 2048 >&2
		say ''
	fi
	if [ "$status" = 200 ]; then say 'the database is not connected'; fi
	if [ -z "$public" ]; then
		say "last lines of the log of $(service_of "$1"):"
		last_lines "$1" 20 | tail -n 20 | redact >&2
	fi
}

worst=0
# look URL PORT
look() {
	if try_until_well "$1"; then
		report healthy "$2"
		if [ "$health" = degraded ] && [ "$worst" -eq 0 ]; then worst=3; fi
		return 0
	fi
	report unhealthy "$2"
	why "$2"
	if [ -n "$hangs" ] && [ "$worst" -ne 1 ]; then worst=10; else worst=1; fi
}

if [ -n "$public" ]; then
	look "$public/health/liveliness" -
else
	for port in ${ports:-$PORTS}; do look "$HEALTH_URL:$port/health/readiness" "$port"; done
fi
exit "$worst"
