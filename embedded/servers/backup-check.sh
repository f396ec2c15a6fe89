#!/bin/sh
# Reports when this gateway had no good backup for too long (ALERT_AFTER_DAYS, 2). A timer runs it every day.
#
# Promises: a backup is good when the archive was read back and, where a store is configured, the store holds the same bytes; a safety
# backup does not count. A report goes to standard error and to ALERT_COMMAND and ALERT_WEBHOOK. Never makes or removes a backup.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
# shellcheck source-path=SCRIPTDIR source=read-values.sh disable=SC1091
. "$here/read-values.sh"

usage='usage: backup-check.sh

exit status: 0 the last good backup is recent, 1 it is not, 2 wrong usage'
case ${1-} in
'') ;;
-h | --help) printf '%s\n' "$usage"; exit 0 ;;
*) printf '%s\n' "$usage" >&2; exit 2 ;;
esac
read_values
record_of_backups=$ROOT/data/backups.jsonl
last=''
if [ -f "$record_of_backups" ]; then
	last=$(grep -E '"kind":"(daily|permanent)","status":"success".*\}$' "$record_of_backups" | tail -n 1) || :
fi
epoch=$(printf '%s\n' "$last" | sed -n 's/.*"epoch":\([0-9]*\).*/\1/p')
if [ -n "$epoch" ]; then
	age=$(($(now) - epoch))
	created=$(printf '%s\n' "$last" | json_field createdAt)
	if [ "$age" -le $((ALERT_AFTER_DAYS * 86400)) ]; then
		echo "the last good backup is of $created"
		exit 0
	fi
	message="The gateway on $(uname -n) has had no good backup since $created."
else
	message="The gateway on $(uname -n) has never had a good backup."
fi
reason=$(tail -n 1 "$record_of_backups" 2>/dev/null | grep '"status":"failed"' | json_field phase) || :
message=$message${reason:+" The last one failed in phase $reason."}
alert "$message"
fail 1 "$message" "'$here/backup.sh'"
