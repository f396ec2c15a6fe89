#!/bin/sh
# Stops the gateway of this directory: running requests finish first. The work is done by start-gateway.sh stop.
set -eu
dir=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
case ${1-} in
'') exec "$dir/start-gateway.sh" stop ;;
-h | --help)
	echo "usage: stop-gateway.sh"
	echo "Stops the gateway of this directory. exit status: 0 stopped or not running, 1 failed" ;;
*)
	echo "usage: stop-gateway.sh" >&2
	exit 2 ;;
esac
