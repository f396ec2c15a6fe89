#!/bin/sh
# Stops the gateway of this directory: running requests finish first. The work is done by start-gateway.sh stop.
set -eu
dir=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
usage='usage: stop-gateway.sh [--now]

  --now  do not wait for running requests

exit status: 0 stopped or not running, 1 failed, 2 wrong usage'
case ${1-}${2+ .} in
'') exec sh "$dir/start-gateway.sh" stop ;;
--now) exec sh "$dir/start-gateway.sh" stop --now ;;
-h | --help) printf '%s\n' "Stops the gateway of this directory. $usage" ;;
*)
	printf '%s\n' "$usage" >&2
	exit 2 ;;
esac
