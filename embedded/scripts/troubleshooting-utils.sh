#!/bin/sh
# Functions that the shell scripts of this directory share. A script reads this file with `.`; alone it does nothing.
#
#   here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
#   . "$here/troubleshooting-utils.sh"
#
# It sets gateway_dir and offers the functions below. gateway/.env is read as text and never evaluated; a secret reaches another
# program only through its standard input, never on a command line.

case ${1-} in
-h | --help)
	echo 'usage: read it with "." in a script of this directory; its comments say which functions it offers'
	exit 0 ;;
esac

gateway_dir=${GATEWAY_DIR:-$(CDPATH='' cd -- "${here:-$(dirname -- "$0")}/.." && pwd -P)}
gateway_env=$gateway_dir/.env
failures=0
warnings=0

# Words carry the meaning, not colours: screen readers and logs show the same.
print_header() { printf '\n%s\n' "$1"; }
print_info() { printf 'INFO %s\n' "$1"; }
print_success() { printf 'PASS %s\n' "$1"; }
# print_warning, print_error WHAT [COMMAND]
print_warning() {
	warnings=$((warnings + 1))
	printf 'WARN %s\n' "$1"
	if [ $# -gt 1 ]; then printf '       try: %s\n' "$2"; fi
}
print_error() {
	failures=$((failures + 1))
	printf 'FAIL %s\n' "$1"
	if [ $# -gt 1 ]; then printf '       try: %s\n' "$2"; fi
}
# Ends a script of checks: 1 when one failed.
finish() {
	printf '%s failed, %s warnings\n' "$failures" "$warnings"
	[ "$failures" -eq 0 ] || exit 1
	exit 0
}
# usage_error TEXT: wrong usage is exit 2.
usage_error() {
	printf '%s\n' "$1" >&2
	exit 2
}

have() { command -v "$1" >/dev/null 2>&1; }

# A path as a word to paste.
quoted() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }

# mask VALUE: shows enough to recognise a secret, too little to use it.
mask() {
	if [ -z "$1" ]; then
		printf '(empty)'
	elif [ "${#1}" -ge 16 ]; then
		printf '%.3s… (%s characters)' "$1" "${#1}"
	else
		printf '(%s characters)' "${#1}"
	fi
}

# gateway_value NAME: the value in gateway/.env, or nothing if the file does not set it.
gateway_value() {
	[ -r "$gateway_env" ] || return 0
	found=$(sed -n "s/^$1=//p" "$gateway_env" | tail -n 1 | tr -d '\r')
	case $found in
	\'*\') found=${found#\'} found=${found%\'} ;;
	\"*\") found=${found#\"} found=${found%\"} ;;
	esac
	printf %s "$found"
}

is_placeholder() {
	case $1 in '' | sk-1234 | *CHANGE-ME* | *CHANGE_ME* | *change-me*) return 0 ;; *) return 1 ;; esac
}

# Does LiteLLM run here (basic, multi-provider, proxy), or does Claude Code use the gateway of a company (enterprise)?
runs_litellm() { [ -f "$gateway_dir/config/litellm.yaml" ]; }

# The root of the gateway that this directory configures.
gateway_url() {
	if runs_litellm; then
		port=$(sed -n 's/^GATEWAY_PORT=\([0-9][0-9]*\).*/\1/p' "$gateway_dir/start-gateway.sh" 2>/dev/null | head -n 1)
		printf 'http://127.0.0.1:%s' "${port:-4000}"
	else
		gateway_value ANTHROPIC_BASE_URL | sed 's,/*$,,'
	fi
}

# The key that clients show to it.
gateway_key() {
	if runs_litellm; then gateway_value LITELLM_MASTER_KEY; else gateway_value ANTHROPIC_AUTH_TOKEN; fi
}

# http_status URL [HEADER-NAME VALUE-PREFIX SECRET]: prints the status, 000 when nothing answered; the body is in $http_body.
# The header goes to curl through standard input. A gateway on this machine is never asked through a proxy.
http_status() {
	http_body=
	around=
	case $1 in http://127.0.0.1* | http://localhost*) around='*' ;; esac
	escaped=
	if [ $# -gt 1 ]; then
		escaped="header = \"$2: $3$(printf %s "$4" | sed 's/[\\"]/\\&/g')\""
	fi
	answer=$(printf '%s\n' "$escaped" | curl -q -s -K - ${around:+--noproxy "$around"} --max-time "${HTTP_TIMEOUT:-10}" \
		-H 'anthropic-version: 2023-06-01' -w '\n%{http_code}' "$1" 2>/dev/null) || :
	# shellcheck disable=SC2034 # for the caller
	http_code=$(printf '%s\n' "$answer" | tail -n 1)
	# shellcheck disable=SC2034 # for the caller
	http_body=$(printf '%s\n' "$answer" | sed '$d')
}
