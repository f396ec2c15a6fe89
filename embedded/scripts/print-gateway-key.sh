#!/bin/sh
# Prints the key that Claude Code sends to the gateway (its apiKeyHelper), so that settings.json holds no secret.
# It reads gateway/.env as text and prints only the key to stdout.
set -eu

KEY_NAME=LITELLM_MASTER_KEY # gwinstall:key-name

dir=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
env_file=$dir/.env

usage="usage: print-gateway-key.sh [local|remote]"
case ${1-} in
'') ;;
# An open session may still hold the command of another gateway: it must never get the key of this one.
local) KEY_NAME=LITELLM_MASTER_KEY ;;
remote) KEY_NAME=ANTHROPIC_AUTH_TOKEN ;;
-h | --help)
	echo "$usage"
	echo "Prints the key of the gateway from $env_file: local LITELLM_MASTER_KEY, remote ANTHROPIC_AUTH_TOKEN, else $KEY_NAME."
	echo "exit status: 0 printed, 1 there is no usable key"
	exit 0 ;;
*)
	echo "$usage" >&2
	exit 2 ;;
esac

fail() {
	printf 'error: %s\n' "$1" >&2
	printf '  try: %s\n' "$2" >&2
	exit 1
}

[ -r "$env_file" ] || fail "$env_file cannot be read" "gwinstall install"
key=$(sed -n "s/^$KEY_NAME=//p" "$env_file" | tail -n 1 | tr -d '\r')
case $key in
\'*\') key=${key#\'} key=${key%\'} ;;
\"*\") key=${key#\"} key=${key%\"} ;;
esac
case $key in
'')
	if grep -q "^$KEY_NAME=" "$env_file" && [ "$KEY_NAME" = LITELLM_MASTER_KEY ]; then
		fail "$KEY_NAME is generated at the first start of the gateway" "'$dir/start-gateway.sh'"
	fi
	fail "$KEY_NAME has no value in $env_file" "gwinstall env set $KEY_NAME" ;;
sk-1234 | *CHANGE-ME* | *CHANGE_ME*) fail "$KEY_NAME in $env_file is a placeholder" "gwinstall env set $KEY_NAME" ;;
esac
printf '%s\n' "$key"
