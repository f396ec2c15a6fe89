#!/bin/sh
# Checks the prerequisites and starts LiteLLM with this gateway's configuration; the start itself is start-gateway.sh's work.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
usage='usage: start-litellm-proxy.sh [--foreground] [--no-checks]

  --foreground  stay the process of LiteLLM, for a service manager or to watch it
  --no-checks   start without looking for the prerequisites

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
runs_litellm || { echo "error: this gateway runs elsewhere; there is nothing to start" >&2; exit 1; }
if [ -n "$checks" ] && ! "$gateway_dir/start-gateway.sh" status >/dev/null 2>&1; then
	# An image carries no key yet: start-gateway.sh makes it.
	if ! report=$("$here/check-prerequisites.sh" --standalone) && printf '%s\n' "$report" | grep '^FAIL' | grep -vq LITELLM_MASTER_KEY; then
		printf '%s\n' "$report" | grep -A1 '^FAIL' >&2
		exit 1
	fi
fi
exec "$gateway_dir/start-gateway.sh" "$command"
