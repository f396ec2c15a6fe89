#!/bin/sh
# Restores config/litellm.yaml from a backup. Where gwinstall is installed, this script calls `gwinstall rollback`, which restores the
# whole deployment; without gwinstall it restores the configuration only.
set -eu
umask 077
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
usage='usage: rollback-config.sh [--standalone] [--yes] [--list | FILE | N]

  --list        show the backups, newest first
  FILE          a file name in backups/
  N             the N-th newest; default 1
  --yes         do not ask; without a terminal nothing is changed otherwise
  --standalone  do not call gwinstall rollback: restore config/litellm.yaml only

exit status: 0 done, 1 failed or refused and nothing changed, 2 wrong usage; that of gwinstall rollback where it is called'
standalone='' list='' choice='' yes=
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) printf '%s\n' "$usage"; exit 0 ;;
	--standalone) standalone=yes ;;
	--list) list=yes ;;
	-y | --yes) yes=yes ;;
	-*) printf '%s\n' "$usage" >&2; exit 2 ;;
	*) [ -z "$choice" ] || { printf '%s\n' "$usage" >&2; exit 2; }; choice=$1 ;;
	esac
	shift
done
# shellcheck source-path=SCRIPTDIR source=troubleshooting-utils.sh disable=SC1091
. "$here/troubleshooting-utils.sh"
if [ -z "$standalone" ] && have gwinstall; then
	if [ -n "$list" ]; then exec gwinstall backup list --target-dir "$gateway_dir"; fi
	exec gwinstall rollback ${choice:+"$choice"} ${yes:+--yes} --target-dir "$gateway_dir"
fi

# fail WHAT [COMMAND]
fail() {
	printf 'error: %s\n' "$1" >&2
	if [ $# -gt 1 ]; then printf '  try: %s\n' "$2" >&2; fi
	exit 1
}

# No other change may be at work on these files while this script changes one of them.
own=$gateway_dir/.gwinstall
keep_others_out() {
	if [ -e "$own/lock" ] && have flock; then
		exec 9<"$own/lock"
		flock -n 9 || fail "gwinstall is at work on these files: wait until it has ended" "gwinstall status"
	elif [ -e "$own/lock" ]; then
		holder=$(sed -n 's/.*"pid": *\([0-9][0-9]*\).*/\1/p' "$own/lock" | head -n 1)
		case $(ps -o args= -p "${holder:-0}" 2>/dev/null) in
		*gwinstall*) fail "gwinstall (pid $holder) is at work on these files: wait until it has ended" "gwinstall status" ;;
		esac
	fi
	[ ! -e "$own/journal" ] || fail "an installation was interrupted, and its files may be of two versions" "gwinstall doctor --repair"
}
backups=$gateway_dir/backups
config=$gateway_dir/config/litellm.yaml
# The names hold a date, so they sort by time. A file with another name is not a backup.
newest_first() {
	for file in "$backups"/gateway-backup-*.tar.gz; do printf '%s\n' "${file##*/}"; done |
		grep -E '^gateway-backup-[0-9]{8}-[0-9]{6}(-[0-9]+)?\.tar\.gz$' | sort -r
}
[ -n "$list" ] || keep_others_out
names=$(newest_first) || :
[ -n "$names" ] || fail "there is no backup in $backups"
if [ -n "$list" ]; then
	printf '%s\n' "$names"
	exit 0
fi
case ${choice:=1} in
*[!0-9]*) name=$(basename -- "$choice") ;;
*) name=$(printf '%s\n' "$names" | sed -n "${choice}p") ;;
esac
printf '%s\n' "$names" | grep -Fqx -- "${name:-none}" || fail "no such backup: $choice (rollback-config.sh --list shows them)"
archive=$backups/$name

# The checksum that gwinstall recorded when it made the backup.
noted=
if [ ! -f "$backups/metadata.json" ]; then
	:
elif have python3; then
	noted=$(python3 - "$backups/metadata.json" "$name" <<-'EOF'
	import json, sys
	def entries(value):
	    if isinstance(value, dict):
	        yield value
	        value = list(value.values())
	    for part in value if isinstance(value, list) else []:
	        yield from entries(part)
	for entry in entries(json.load(open(sys.argv[1], encoding="utf-8"))):
	    if entry.get("filename") == sys.argv[2]:
	        print(entry.get("sha256_checksum", ""))
	        break
	EOF
	) || fail "$backups/metadata.json cannot be read"
else
	printf 'warning: python3 is missing, the checksum of %s was not compared\n' "$name" >&2
fi
if [ -n "$noted" ]; then
	if have sha256sum; then now=$(sha256sum <"$archive"); else now=$(shasum -a 256 <"$archive"); fi
	[ "${now%% *}" = "$noted" ] || fail "$name changed after it was made: its checksum differs"
fi
draft=$gateway_dir/config/.litellm.yaml.rollback
trap 'rm -f -- "$draft"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
# tar writes this one file to standard output, so that no other file of the archive reaches the disk.
tar -xzOf "$archive" gateway/config/litellm.yaml >"$draft" 2>/dev/null || fail "$name holds no gateway/config/litellm.yaml that can be read"
[ -s "$draft" ] || fail "the configuration in $name is empty"
if have python3 && python3 -c 'import yaml' 2>/dev/null; then
	python3 -B "$here/validate-config.py" --standalone --no-env "$draft" >/dev/null || fail "the configuration in $name is not valid; nothing was changed"
fi
if [ -f "$config" ] && cmp -s "$config" "$draft"; then
	echo "config/litellm.yaml is already that of $name"
	exit 0
fi
if [ -z "$yes" ]; then
	[ -t 0 ] || fail "this changes config/litellm.yaml, and there is no terminal to ask on" "$(quoted "$here/rollback-config.sh") --yes $(quoted "$choice")"
	printf 'Replace config/litellm.yaml by that of %s? [y/N] ' "$name"
	read -r answer || answer=
	case $answer in [Yy] | [Yy][Ee][Ss]) ;; *) echo "nothing was changed"; exit 1 ;; esac
fi
chmod 644 "$draft"
if [ -f "$config" ]; then cp -p -- "$config" "$config.before-rollback"; fi
mv -f -- "$draft" "$config"
echo "config/litellm.yaml is that of $name; the former one is config/litellm.yaml.before-rollback"
echo "  try: $(quoted "$gateway_dir/start-gateway.sh") reload"
