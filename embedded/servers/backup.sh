#!/bin/sh
# Backs up this gateway: its configuration, the names of its variables and, where LiteLLM uses one, its database.
#
# Promises: an archive appears under its name only when it is whole, its checksum before it. Without ENCRYPT_TO it holds no value of
# a secret and no private key; with it both, and the archive is encrypted to that recipient. What is sent to the store is read
# back and compared. The archives of the last KEEP_BACKUPS days stay, permanent ones for ever, of the safety backups of deployments the last
# KEEP_IMAGES; nothing is removed unless the new one is good. Every run is a line of data/backups.jsonl. Never touches what runs.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
# shellcheck source-path=SCRIPTDIR source=read-values.sh disable=SC1091
. "$here/read-values.sh"
# shellcheck source-path=SCRIPTDIR source=instances.sh disable=SC1091
. "$here/instances.sh"
# shellcheck source-path=SCRIPTDIR source=history.sh disable=SC1091
. "$here/history.sh"
# shellcheck source-path=SCRIPTDIR source=database.sh disable=SC1091
. "$here/database.sh"
# shellcheck source-path=SCRIPTDIR source=storage.sh disable=SC1091
. "$here/storage.sh"

usage='usage: backup.sh [--permanent NAME | --safety]
       backup.sh --list

  --permanent NAME  this one is never removed
  --safety          the one before a deployment or a restoration: stays on this machine
  --list            the archives on this machine, newest first

exit status: 0 done, 1 failed, 2 wrong usage, 6 another backup is at work, 10 the archive is good but the store did not take it'
kind=daily label='' list=''
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) printf '%s\n' "$usage"; exit 0 ;;
	--permanent)
		is_a name "${2-}" || fail 2 "--permanent takes a name of letters, digits, dots and dashes"
		kind=permanent label=-permanent-$2; shift ;;
	--safety) kind=safety label=-safety ;;
	--list) list=yes ;;
	*) printf '%s\n' "$usage" >&2; exit 2 ;;
	esac
	shift
done
read_values
set_history
backups=$ROOT/backups
staging=$backups/staging
record_of_backups=$ROOT/data/backups.jsonl
if [ -n "$list" ]; then
	for each in "$backups"/backup-*.tar.gz "$backups"/backup-*.tar.gz.age; do
		if [ -f "$each" ]; then printf '%s\n' "${each##*/}"; fi
	done | sort -r
	exit 0
fi
# The dump runs inside the service postgres.
if [ "$DATABASE" = yes ] && [ -z "$DATABASE_HOST" ]; then require_engine; fi
take_lock backup
mkdir -p -- "$backups"
if [ -d "$staging" ] && [ -n "$(ls -A -- "$staging")" ]; then say 'removing what an interrupted backup left in backups/staging'; fi
rm -rf -- "$staging"
mkdir -p -- "$staging/tree"

# A backup is named by its second, and two deployments may follow each other within one.
for again in 1 2 3; do
	created=$(timestamp) backup_id=backup-$(date -u +%Y%m%d-%H%M%S)$label
	if [ ! -e "$backups/$backup_id.tar.gz" ] && [ ! -e "$backups/$backup_id.tar.gz.age" ]; then break; fi
	[ "$again" = 3 ] || sleep 1
done
phase=start size=0 sum='' location=''
# note STATUS
note() {
	keep=$KEEP_BACKUPS
	if [ "$kind" != daily ]; then keep=null; fi
	if [ -s "$record_of_backups" ] && [ -n "$(tail -c 1 "$record_of_backups" | tr -d '\n')" ]; then echo >>"$record_of_backups"; fi
	printf '{"id":"%s","kind":"%s","status":"%s","phase":"%s","createdAt":"%s","epoch":%s,%s}\n' \
		"$backup_id" "$kind" "$1" "$phase" "$created" "$(now)" \
		"\"sizeBytes\":$size,\"checksum\":\"$sum\",\"location\":\"$location\",\"retentionDays\":$keep" >>"$record_of_backups"
}
finished=''
# shellcheck disable=SC2317
at_exit() {
	code=$?
	trap '' INT TERM HUP
	rm -rf -- "$staging"
	if [ -z "$finished" ]; then note failed; fi
	exit "$code"
}
trap at_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# What the archive holds, in staging/tree.
collect() {
	phase=collect
	configuration_files | while IFS= read -r file; do
		mkdir -p -- "$staging/tree/$(dirname -- "$file")"
		cp -p -- "$ROOT/$file" "$staging/tree/$file"
	done
	cp -- "$server_env" "$staging/tree/server.env"
	if [ -f "$env_file" ]; then sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p' "$env_file" >"$staging/tree/env.keys"; fi
	if [ -n "$ENCRYPT_TO" ]; then
		have age || fail 1 'age is not installed, and ENCRYPT_TO asks for it' 'apt-get install age'
		mkdir -- "$staging/tree/secrets"
		if [ -f "$env_file" ]; then cp -- "$env_file" "$staging/tree/secrets/env"; fi
		if [ -f "$secrets_file" ]; then cp -- "$secrets_file" "$staging/tree/secrets/operations.env"; fi
	fi
	if [ "$DATABASE" = yes ]; then
		phase=database
		set_database
		dump_database >"$staging/tree/database.dump" || fail 1 'pg_dump failed'
		[ -s "$staging/tree/database.dump" ] || fail 1 'pg_dump wrote nothing'
	fi
	printf '{"schema":1,"id":"%s","kind":"%s","createdAt":"%s","layout":"%s","version":"%s"}\n' "$backup_id" "$kind" "$created" \
		"$LAYOUT" "$(json_text "$(running_version)")" >"$staging/tree/backup.json"
	(cd "$staging/tree" && find . -type f ! -name SHA256SUMS -exec sha256sum {} + >"$staging/sums" && mv "$staging/sums" SHA256SUMS)
}

# The archive, read back before it gets its name.
pack() {
	phase=archive
	name=$backup_id.tar.gz
	tar -C "$staging/tree" -czf "$staging/$name" . || fail 1 'the archive could not be written'
	tar -tzf "$staging/$name" >/dev/null || fail 1 'the archive could not be read back'
	rm -rf -- "$staging/tree"
	if [ -n "$ENCRYPT_TO" ]; then
		age -r "$ENCRYPT_TO" -o "$staging/$name.age" "$staging/$name" || fail 1 'age failed'
		rm -f -- "$staging/$name"
		name=$name.age
	fi
	[ ! -e "$backups/$name" ] || fail 1 "$backups/$name exists, and the clock stands still"
	size=$(wc -c <"$staging/$name" | tr -d ' ')
	sum=$(checksum_of "$staging/$name")
	sync
	printf '%s  %s\n' "$sum" "$name" >"$backups/$name.sha256"
	mv -- "$staging/$name" "$backups/$name"
	location=$backups/$name
}

upload() {
	[ -n "$S3_ENDPOINT" ] && [ "$kind" != safety ] || return 0
	phase=upload
	check_storage
	if send_object "$backups/$name" "$name" && send_object "$backups/$name.sha256" "$name.sha256"; then
		location=$(location_of "$name")
		return 0
	fi
	finished=yes
	note failed
	fail 10 "$(location_of "$name") was not stored; the backup on this machine is good: $backups/$name" "'$here/backup.sh'"
}

# forget NAME: in the store first, so that a failure there is tried again with the next backup.
forget() {
	if [ -n "$S3_ENDPOINT" ] && [ "$kind" != safety ]; then
		for object in "$1" "$1.sha256"; do
			delete_object "$object" || { warn "$(location_of "$object") could not be deleted; the next backup tries again"; return 0; }
		done
	fi
	rm -f -- "$backups/$1" "$backups/$1.sha256"
}

# archives PATTERN: names, newest first. A checksum without its archive is left from a kill.
archives() {
	for each in "$backups"/backup-*.sha256; do
		[ -f "$each" ] || continue
		if [ -f "${each%.sha256}" ]; then printf '%s\n' "${each##*/}"; else rm -f -- "$each"; fi
	done | sed 's/\.sha256$//' | grep -E "^backup-[0-9]{8}-[0-9]{6}$1\\.tar\\.gz(\\.age)?\$" | sort -r || :
}

remove_old() {
	if [ "$kind" = safety ]; then
		archives -safety | tail -n "+$((KEEP_IMAGES + 1))" | while IFS= read -r each; do forget "$each"; done
		return 0
	fi
	days=$(archives '' | cut -c 8-15 | uniq | head -n "$KEEP_BACKUPS")
	archives '' | while IFS= read -r each; do
		day=$(printf '%s\n' "$each" | cut -c 8-15)
		printf '%s\n' "$days" | grep -qx "$day" || forget "$each"
	done
}

collect
pack
upload
phase=stored
note success
finished=yes
remove_old
say "$name ($size bytes) is good${S3_ENDPOINT:+; $location}"
tail -n 1 "$record_of_backups"
