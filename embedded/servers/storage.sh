# shellcheck shell=sh
# The S3-compatible store for backups; backup.sh and restore.sh source this file after read-values.sh.
#
# Promises: curl gets the keys by its standard input, never as an argument, and signs the checksum of what it sends. What was sent is
# read back and compared; what differs is deleted there. Every transfer has a limit (UPLOAD_SECONDS).

here=${here-.} secrets_file=${secrets_file-}
empty_checksum=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855

checksum_of() { sha256sum <"$1" | cut -d ' ' -f 1; }

check_storage() {
	[ -n "$S3_ENDPOINT" ] || return 0
	[ "${#S3_BUCKET}" -ge 3 ] || fail 2 "S3_BUCKET in server.env has fewer than 3 characters"
	storage_key=$(secret BACKUP_S3_ACCESS_KEY_ID) || storage_key=$(secret B2_KEY_ID) ||
		fail 1 "$secrets_file holds no BACKUP_S3_ACCESS_KEY_ID"
	storage_secret=$(secret BACKUP_S3_SECRET_ACCESS_KEY) || storage_secret=$(secret B2_APP_KEY) ||
		fail 1 "$secrets_file holds no BACKUP_S3_SECRET_ACCESS_KEY"
}

location_of() { printf 's3://%s/%s%s\n' "$S3_BUCKET" "$S3_PREFIX" "$1"; }

# ask_storage NAME CHECKSUM [curl options…]: prints the answer where it is an error.
ask_storage() {
	object=$S3_ENDPOINT/$S3_BUCKET/$S3_PREFIX$1 payload=$2
	shift 2
	printf 'user = "%s:%s"\n' "$(curl_text "$storage_key")" "$(curl_text "$storage_secret")" |
		curl -q -sS --fail-with-body --config - -m "$UPLOAD_SECONDS" --aws-sigv4 "aws:amz:$S3_REGION:s3" \
			-H "x-amz-content-sha256: $payload" "$@" -- "$object" 9>&-
}

# fetch NAME FILE
fetch_object() {
	ask_storage "$1" "$empty_checksum" -o "$2" || { head -c 500 "$2" 2>/dev/null | redact >&2; rm -f -- "$2"; return 1; }
}

delete_object() { ask_storage "$1" "$empty_checksum" -X DELETE -o /dev/null; }

# send FILE NAME: status 1 where the store does not hold the same bytes afterwards.
send_object() {
	sent_checksum=$(checksum_of "$1")
	ask_storage "$2" "$sent_checksum" -T "$1" | redact >&2 || :
	if fetch_object "$2" "$1.read-back" && [ "$(checksum_of "$1.read-back")" = "$sent_checksum" ]; then
		rm -f -- "$1.read-back"
		return 0
	fi
	if [ -e "$1.read-back" ]; then
		say "$(location_of "$2") does not hold what was sent: deleting it there"
		delete_object "$2" || say "$(location_of "$2") could not be deleted"
	fi
	rm -f -- "$1.read-back"
	return 1
}

case ${0##*/} in
storage.sh)
	case ${1-} in
	-h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' "$0" ;;
	*) echo 'usage: storage.sh --help (the other scripts source this file)' >&2; exit 2 ;;
	esac ;;
esac
