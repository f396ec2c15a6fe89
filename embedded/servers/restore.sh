#!/bin/sh
# Restores a backup that backup.sh made: the configuration and the database; or shows that it can be restored (--drill).
#
# Promises: the checksum of the archive, and then that of every file in it, is compared before anything is used. A safety backup comes
# first. The dump goes into a database of its own, and the live one is exchanged in one transaction; where the gateway does not pass its
# health check afterwards, database and configuration from before come back. The present secrets.env stays; one from an encrypted backup is
# taken only where there is none. A drill touches neither the live database nor ROOT, and removes what it made.
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

usage='usage: restore.sh FILE | s3:NAME [--database-only] [--checksum HEX] [--identity FILE] [--yes]
       restore.sh FILE | s3:NAME --to DIR
       restore.sh FILE | s3:NAME --drill

  FILE             an archive of backup.sh; its checksum is in FILE.sha256
  s3:NAME          the archive NAME in the store
  --database-only  leave the configuration as it is
  --checksum HEX   the sha256 of the archive, where FILE.sha256 is missing
  --identity FILE  the age identity that decrypts the archive
  --to DIR         only unpack what the archive holds into a new directory
  --drill          restore into a database and a directory made for it, compare, remove both
  --yes            do not ask

exit status: 0 done, 1 failed and nothing changed, 2 wrong usage, 5 the restored state did not pass its health check, the one from before
is back; 6 another run is at work, 7 that failed too, 8 a checksum or the archive is wrong, 10 the store did not answer'
wrong() { printf '%s\n' "$usage" >&2; exit 2; }
source='' database_only='' checksum='' identity='' to='' drill='' yes=''
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) printf '%s\n' "$usage"; exit 0 ;;
	--database-only) database_only=yes ;;
	--checksum) case ${2-} in '' | *[!0-9a-f]*) wrong ;; esac; checksum=$2; shift ;;
	--identity) [ -f "${2-}" ] || fail 2 "--identity takes a file"; identity=$2; shift ;;
	--to) [ -n "${2-}" ] || wrong; to=$2; shift ;;
	--drill) drill=yes ;;
	--yes) yes=yes ;;
	-*) wrong ;;
	*) [ -z "$source" ] || wrong; source=$1 ;;
	esac
	shift
done
[ -n "$source" ] || wrong
read_values
set_history
work=$(mktemp -d)
scratch=''
# shellcheck disable=SC2317
at_exit() {
	code=$?
	trap '' INT TERM HUP
	if [ -n "$scratch" ]; then drop_database "$scratch" 2>/dev/null || :; fi
	rm -rf -- "$work"
	exit "$code"
}
trap at_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# The archive, with its checksum compared, as $archive.
get_archive() {
	case $source in
	s3:*)
		archive_name=${source#s3:}
		is_a name "$archive_name" || fail 2 "not the name of a backup: $archive_name"
		[ -n "$S3_ENDPOINT" ] || fail 2 "server.env names no S3_ENDPOINT"
		check_storage
		archive=$work/$archive_name
		fetch_object "$archive_name" "$archive" || fail 10 "$(location_of "$archive_name") could not be fetched"
		fetch_object "$archive_name.sha256" "$archive.sha256" || [ -n "$checksum" ] ||
			fail 10 "$(location_of "$archive_name.sha256") could not be fetched" ;;
	*)
		[ -f "$source" ] || fail 1 "$source is not a file" "'$here/backup.sh' --list"
		archive=$source ;;
	esac
	if [ -z "$checksum" ]; then
		[ -f "$archive.sha256" ] || fail 8 "$archive.sha256 is missing: nothing says that the archive is whole"
		checksum=$(cut -d ' ' -f 1 <"$archive.sha256" | head -n 1)
	fi
	[ "$(checksum_of "$archive")" = "$checksum" ] || fail 8 "$archive is not what backup.sh wrote: its checksum differs"
}

# The files of the archive in $tree. An archive with a name outside it, or with anything but files and directories, is refused.
unpack() {
	case $archive in
	*.age)
		[ -n "$identity" ] || fail 2 "the archive is encrypted" "'$here/restore.sh' '$source' --identity FILE"
		age -d -i "$identity" -o "$work/archive.tar.gz" "$archive" || fail 8 "$archive cannot be decrypted with $identity"
		archive=$work/archive.tar.gz ;;
	esac
	tar -tzf "$archive" >"$work/names" || fail 8 "$archive cannot be read"
	if grep -qE '^/|(^|/)\.\.(/|$)' "$work/names" || tar -tvzf "$archive" | grep -qv '^[-d]'; then
		fail 8 "$archive holds what no backup of this gateway holds"
	fi
	tree=$work/tree
	mkdir -- "$tree"
	tar -C "$tree" --no-same-owner -xzf "$archive" || fail 8 "$archive cannot be unpacked"
	if [ ! -f "$tree/SHA256SUMS" ] || [ ! -f "$tree/backup.json" ]; then fail 8 "$archive is not a backup of this gateway"; fi
	(cd "$tree" && sha256sum -c SHA256SUMS >/dev/null 2>&1) || fail 8 "a file in $archive differs from its checksum"
	(cd "$tree" && find . -type f ! -name SHA256SUMS | sort) >"$work/found"
	sed 's/^[0-9a-f]*  //' "$tree/SHA256SUMS" | sort | cmp -s - "$work/found" || fail 8 "$archive holds files without a checksum"
}

# Every table of the dump has as many rows in a database made from it.
drill() {
	if [ -f "$tree/database.dump" ]; then
		[ "$DATABASE" = yes ] || fail 1 'the backup holds a database, and DATABASE=no: there is no server to try it on'
		set_database
		scratch=gateway_drill_$$
		fill_database "$scratch" "$tree/database.dump" || fail 1 'the dump could not be restored'
		rows_of_dump "$tree/database.dump" >"$work/rows" || fail 1 'the dump could not be read'
		rows_of_database "$scratch" <"$work/rows" >"$work/rows.restored" || fail 1 'the restored database could not be read'
		if ! cmp -s "$work/rows" "$work/rows.restored"; then
			diff "$work/rows" "$work/rows.restored" >&2 || :
			fail 1 'the restored database differs from the dump'
		fi
		say "database: $(wc -l <"$work/rows" | tr -d ' ') tables and $(awk '{ n += $NF } END { print n + 0 }' "$work/rows") rows, as in the dump"
	fi
	say "files: $(wc -l <"$work/found" | tr -d ' '), all as their checksums say"
	echo "the backup $(json_field id <"$tree/backup.json") can be restored"
}

# put_files TREE: its configuration to ROOT, file by file, each in one step.
put_files() {
	(cd "$1" && find compose.yaml config nginx -type f 2>/dev/null) | while IFS= read -r file; do
		mkdir -p -- "$(dirname -- "$ROOT/$file")"
		cp -p -- "$1/$file" "$ROOT/$file.new.$$"
		mv -f -- "$ROOT/$file.new.$$" "$ROOT/$file"
	done
	if [ ! -f "$env_file" ] && [ -f "$1/secrets/env" ]; then
		cp -- "$1/secrets/env" "$env_file"
	elif [ -f "$1/env.keys" ] && [ -f "$env_file" ]; then
		while IFS= read -r name; do
			value_of "$env_file" "$name" >/dev/null || warn "$env_file has no $name, which the backup had"
		done <"$1/env.keys"
	fi
	if [ ! -f "$secrets_file" ] && [ -f "$1/secrets/operations.env" ]; then cp -- "$1/secrets/operations.env" "$secrets_file"; fi
	if [ -z "$(running_version)" ]; then name_version "$(json_field version <"$1/backup.json")"; fi
}

# bring_back: what the safety backup and the database from before say, after the restored state failed.
bring_back() {
	trap '' INT TERM HUP
	say 'the restored state does not work: bringing back the one from before'
	if [ -n "$exchanged" ]; then exchange_database gateway_before gateway_failed || fail 7 "the database from before is still called gateway_before"; fi
	if [ -n "$safety" ]; then
		mkdir -- "$work/before"
		tar -C "$work/before" -xzf "$safety" && put_files "$work/before"
	fi
	start_all || fail 7 'the state from before does not pass its health check either' "'$here/verify.sh'"
	if [ -n "$exchanged" ]; then drop_database gateway_failed || :; fi
	fail 5 'the restored state did not pass its health check; the one from before runs again'
}

# ask: a restoration replaces data.
ask() {
	[ -z "$yes" ] || return 0
	[ -t 0 ] || fail 2 'this replaces the configuration or the database, and there is no terminal to ask on' "'$here/restore.sh' '$source' --yes"
	printf 'Replace %s of %s by the backup %s? [y/N] ' "${database_only:+the database }${database_only:-configuration and database}" "$ROOT" \
		"$(json_field id <"$tree/backup.json")" >&2
	read -r answer || answer=''
	case $answer in [Yy] | [Yy][Ee][Ss]) ;; *) fail 1 'nothing was changed' ;; esac
}

# The safety backup as $safety; on a machine where nothing runs yet there is nothing to save.
save_current() {
	safety=''
	[ -n "$(running_version)" ] || return 0
	"$here/backup.sh" --safety >"$work/safety.json" || fail 1 'the safety backup failed; nothing was changed'
	safety=$(json_field location <"$work/safety.json")
	case $safety in *.age) safety='' ; say 'the safety backup is encrypted: only the database comes back by itself' ;; esac
}

get_archive
unpack
if [ -n "$drill" ]; then
	drill
	exit 0
fi
if [ -n "$to" ]; then
	[ ! -e "$to" ] || fail 2 "$to exists already"
	cp -R -- "$tree" "$to"
	echo "unpacked into $to"
	exit 0
fi
[ -z "$database_only" ] || [ -f "$tree/database.dump" ] || fail 1 'the backup holds no database'
ask
take_lock deploy
save_current
exchanged=''
if [ -f "$tree/database.dump" ] && [ "$DATABASE" = yes ]; then
	set_database
	scratch=gateway_restored
	fill_database gateway_restored "$tree/database.dump" || fail 1 'the dump could not be restored; nothing was changed'
fi
trap '' INT TERM HUP
if [ -n "$scratch" ]; then
	for port in $PORTS; do stop_instance "$port" || :; done
	if ! exchange_database gateway_restored gateway_before; then
		start_all || :
		fail 1 'the databases could not be exchanged; the one from before is in use'
	fi
	scratch='' exchanged=yes
fi
if [ -z "$database_only" ]; then put_files "$tree" || bring_back; fi
start_all || bring_back
if [ -n "$exchanged" ]; then drop_database gateway_before || warn 'the database gateway_before could not be dropped'; fi
say "the backup $(json_field id <"$tree/backup.json") is restored and the gateway passed its health check"
