#!/bin/sh
# Brings config/litellm.yaml back from a backup. `gwinstall rollback` goes back as a whole and is called where it is installed; this
# script is for the day on which only the gateway's directory is left.
set -eu
umask 077
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
usage='usage: rollback-config.sh [--standalone] [--list | FILE | N]

  --list        show the backups, newest first
  FILE          a file name in backups/
  N             the N-th newest; default 1
  --standalone  do not call gwinstall rollback: only config/litellm.yaml comes back

exit status: 0 done, 1 failed and nothing changed, 2 wrong usage; that of gwinstall rollback where it is called'
standalone='' list='' choice=
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) printf '%s\n' "$usage"; exit 0 ;;
	--standalone) standalone=yes ;;
	--list) list=yes ;;
	-*) printf '%s\n' "$usage" >&2; exit 2 ;;
	*) [ -z "$choice" ] || { printf '%s\n' "$usage" >&2; exit 2; }; choice=$1 ;;
	esac
	shift
done
# shellcheck source-path=SCRIPTDIR source=troubleshooting-utils.sh disable=SC1091
. "$here/troubleshooting-utils.sh"
if [ -z "$standalone" ] && have gwinstall; then
	if [ -n "$list" ]; then exec gwinstall backup list --target-dir "$gateway_dir"; fi
	exec gwinstall rollback ${choice:+"$choice"} --target-dir "$gateway_dir"
fi

fail() {
	printf 'error: %s\n' "$1" >&2
	exit 1
}
backups=$gateway_dir/backups
config=$gateway_dir/config/litellm.yaml
# The names hold a date, so that their order is that of time; nothing but these names is taken.
newest_first() {
	for file in "$backups"/gateway-backup-*.tar.gz; do printf '%s\n' "${file##*/}"; done |
		grep -E '^gateway-backup-[0-9]{8}-[0-9]{6}(-[0-9]+)?\.tar\.gz$' | sort -r
}
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

# The checksum that was noted when the backup was made.
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
	[ "${now%% *}" = "$noted" ] || fail "$name is not what it was when it was made: its checksum differs"
fi
draft=$gateway_dir/config/.litellm.yaml.rollback
trap 'rm -f -- "$draft"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
# To standard output: whatever else the archive holds is not written anywhere.
tar -xzOf "$archive" gateway/config/litellm.yaml >"$draft" 2>/dev/null || fail "$name holds no gateway/config/litellm.yaml that can be read"
[ -s "$draft" ] || fail "the configuration in $name is empty"
if have python3 && python3 -c 'import yaml' 2>/dev/null; then
	python3 -B "$here/validate-config.py" --standalone --no-env "$draft" >/dev/null || fail "the configuration in $name is not valid; nothing was changed"
fi
if [ -f "$config" ] && cmp -s "$config" "$draft"; then
	echo "config/litellm.yaml is already that of $name"
	exit 0
fi
chmod 644 "$draft"
if [ -f "$config" ]; then cp -p -- "$config" "$config.before-rollback"; fi
mv -f -- "$draft" "$config"
echo "config/litellm.yaml is that of $name; the former one is config/litellm.yaml.before-rollback"
echo "  try: $(quoted "$gateway_dir/start-gateway.sh") reload"
