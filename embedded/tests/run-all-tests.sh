#!/bin/sh
# Runs every test of this directory against the deployed files and says how many passed.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
usage='usage: run-all-tests.sh [--running] [--ask]

  --running  also ask the running gateway for its health and its models
  --ask      also send a short message to every model; costs a few tokens each

exit status: 0 all passed, 1 one failed, 2 wrong usage'
running='' ask=
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) printf '%s\n' "$usage"; exit 0 ;;
	--running) running=yes ;;
	--ask) running=yes ask=yes ;;
	*) printf '%s\n' "$usage" >&2; exit 2 ;;
	esac
	shift
done
command -v python3 >/dev/null 2>&1 || { echo "error: python3 (3.10 or newer) is missing" >&2; exit 1; }

passed=0
failed=
# attempt NAME COMMAND...: the command's output is shown when it fails.
attempt() {
	name=$1
	shift
	if output=$("$@" 2>&1); then
		passed=$((passed + 1))
		printf 'PASS %s: %s\n' "$name" "$(printf '%s\n' "$output" | tail -n 1)"
	else
		failed="$failed $name"
		printf 'FAIL %s\n' "$name"
		printf '%s\n' "$output" | sed 's/^/     /'
	fi
}

attempt test-yaml-schemas python3 -B "$here/test-yaml-schemas.py"
attempt test-env-vars python3 -B "$here/test-env-vars.py"
attempt test-all-models python3 -B "$here/test-all-models.py" ${running:+--running} ${ask:+--ask}
attempt test-multi-provider-routing python3 -B "$here/test-multi-provider-routing.py" ${ask:+--ask}
attempt test-proxy-gateway python3 -B "$here/test-proxy-gateway.py"
if [ -n "$running" ]; then attempt health-check "$here/../scripts/health-check.sh"; fi

if [ -z "$failed" ]; then
	printf '%s passed, 0 failed\n' "$passed"
	exit 0
fi
# shellcheck disable=SC2086 # one word each
set -- $failed
printf '%s passed, %s failed:%s\n' "$passed" "$#" "$failed"
exit 1
