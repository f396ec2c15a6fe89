#!/bin/sh
# Checks the prerequisites, then lets start-gateway.sh start LiteLLM with this gateway's configuration.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
usage='usage: start-litellm-proxy.sh [--foreground] [--no-checks]

  --foreground  run LiteLLM in the foreground, for a service manager or to watch it
  --no-checks   start without a check of the prerequisites

exit status: 0 started, 1 not started, 2 wrong usage'
command=start checks=yes
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) printf '%s\n' "$usage"; exit 0 ;;
	--foreground) command=run ;;
	--no-checks) checks= ;;
	*) printf '%s\n' "$usage" >&2; exit 2 ;;
	esac
	shift
done
# shellcheck source-path=SCRIPTDIR source=troubleshooting-utils.sh disable=SC1091
. "$here/troubleshooting-utils.sh"
runs_litellm || { echo "error: this gateway runs on another machine; there is nothing to start" >&2; exit 1; }
if [ -n "$checks" ] && ! sh "$gateway_dir/start-gateway.sh" status >/dev/null 2>&1; then
	# An image has no key yet: start-gateway.sh generates it.
	if ! report=$("$here/check-prerequisites.sh" --standalone) && printf '%s\n' "$report" | grep '^FAIL' | grep -vq LITELLM_MASTER_KEY; then
		printf '%s\n' "$report" | grep -A1 '^FAIL' >&2
		exit 1
	fi
fi
exec sh "$gateway_dir/start-gateway.sh" "$command"
