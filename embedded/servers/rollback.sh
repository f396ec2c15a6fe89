#!/bin/sh
# Goes back to an earlier successful deployment: its version and the configuration with which it ran.
#
# Promises: everything that deploy.sh promises, because deploy.sh does it: backup, one instance after the other, health check, and
# what ran before runs again where the check fails. Never touches the database; restore.sh puts back a dump.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
# shellcheck source-path=SCRIPTDIR source=read-values.sh disable=SC1091
. "$here/read-values.sh"
# shellcheck source-path=SCRIPTDIR source=history.sh disable=SC1091
. "$here/history.sh"

usage='usage: rollback.sh [VERSION] [--list] [--no-backup]

  VERSION  one of the list, or the end of its name (a tag); without it the successful deployment before the one that runs.
           Where the last deployment was interrupted, or its rollback failed, that is the last success
  --list   what can be gone back to, newest first

exit status: that of deploy.sh; 1 where there is no such deployment'
asked='' list=''
options=''
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) printf '%s\n' "$usage"; exit 0 ;;
	--list) list=yes ;;
	--no-backup) options=--no-backup ;;
	-*) printf '%s\n' "$usage" >&2; exit 2 ;;
	*) [ -z "$asked" ] || { printf '%s\n' "$usage" >&2; exit 2; }; asked=$1 ;;
	esac
	shift
done
read_values
set_history
versions=$(successes | cut -d ' ' -f 2)
if [ -n "$list" ]; then
	printf '%s\n' "$versions" | awk '{ line[NR] = $0 } END { for (i = NR; i > 0; i--) print line[i] }'
	exit 0
fi
[ -n "$versions" ] || fail 1 'there is no successful deployment to go back to'
if [ -n "$asked" ]; then
	target=$(printf '%s\n' "$versions" | while IFS= read -r each; do
		case $each in "$asked" | *":$asked" | *":$asked@"*) printf '%s\n' "$each" ;; esac
	done | tail -n 1)
	[ -n "$target" ] || fail 1 "no successful deployment is called $asked" "'$here/rollback.sh' --list"
elif last_lines_of_history | tail -n 1 |
	grep -qE '"status":"(pending|in_progress)"|"status":"failed","phase":"(start|health_check|interrupted)"'; then
	target=$(printf '%s\n' "$versions" | tail -n 1)
else
	target=$(printf '%s\n' "$versions" | tail -n 2 | head -n 1)
	[ "$(printf '%s\n' "$versions" | wc -l)" -ge 2 ] || fail 1 "$target is the only successful deployment: there is none before it"
fi
exec "$here/deploy.sh" --rollback ${options:+"$options"} "$target"
