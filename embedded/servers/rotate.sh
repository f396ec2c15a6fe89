#!/bin/sh
# Replaces one secret of this gateway by a new one, in the order in which it stays usable.
#
# Promises: the new value comes from standard input or is generated, and is in no argument and no output, except a new master key, which
# is printed once, to standard output. secrets.env is replaced in one step with the mode 0600. The instances restart one after the other and
# pass the health check; where one does not, the old secret is in force again. LITELLM_SALT_KEY is never changed.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
# shellcheck source-path=SCRIPTDIR source=read-values.sh disable=SC1091
. "$here/read-values.sh"
# shellcheck source-path=SCRIPTDIR source=instances.sh disable=SC1091
. "$here/instances.sh"
# shellcheck source-path=SCRIPTDIR source=database.sh disable=SC1091
. "$here/database.sh"

usage='usage: rotate.sh MASTER_KEY | DATABASE_PASSWORD | REDIS_PASSWORD | PROVIDER NAME

  MASTER_KEY         a new LITELLM_MASTER_KEY is generated; whoever uses the old one directly needs the new one
  DATABASE_PASSWORD  a new password of the role of the database is generated
  REDIS_PASSWORD     a new password of Redis is generated (compose)
  PROVIDER NAME      the variable NAME of secrets.env, such as ANTHROPIC_API_KEY; its value is asked for, or read from standard input

exit status: 0 done, 1 refused or failed and nothing changed, 2 wrong usage, 5 the old secret is in force again, 6 another run is at
work, 7 neither the new nor the old secret passes the health check'
wrong_usage() { printf '%s\n' "$usage" >&2; exit 2; }
what=${1-} name=''
case $what in
-h | --help) printf '%s\n' "$usage"; exit 0 ;;
MASTER_KEY | DATABASE_PASSWORD | REDIS_PASSWORD) [ $# -eq 1 ] || wrong_usage ;;
SALT | SALT_KEY | LITELLM_SALT_KEY)
	fail 1 'LITELLM_SALT_KEY encrypts the keys that LiteLLM stores in its database: with another one they could not be read any more' ;;
PROVIDER)
	[ $# -eq 2 ] || wrong_usage
	name=$2
	is_a variable "$name" || fail 2 "not the name of a variable: $name"
	case $name in
	LITELLM_SALT_KEY) fail 1 'LITELLM_SALT_KEY encrypts the keys that LiteLLM stores: with another one they could not be read any more' ;;
	LITELLM_MASTER_KEY) fail 2 'the master key has a procedure of its own' "'$here/rotate.sh' MASTER_KEY" ;;
	DATABASE_PASSWORD) fail 2 'the password of the database has a procedure of its own' "'$here/rotate.sh' DATABASE_PASSWORD" ;;
	esac ;;
*) wrong_usage ;;
esac
read_values
require_engine
[ -f "$env_file" ] || fail 1 "$env_file is missing"
take_lock deploy
kept=$ROOT/data/secrets.env.before-rotation
if [ -e "$kept" ]; then
	fail 1 "an earlier rotation was interrupted; $kept holds the secrets from before it" "diff '$kept' '$env_file'"
fi

# Letters and digits alone: such a value needs no quotes in a URL, in SQL or in secrets.env.
generate() { od -An -N 32 -tx1 /dev/urandom | tr -d ' \n'; echo; }

# The password of the role, by the input of psql.
set_role_password() {
	case $1 in '' | *[!A-Za-z0-9_-]*) fail 1 'the password of the database holds characters that need quotes; change it by hand once' ;; esac
	printf "ALTER ROLE :\"role\" PASSWORD '%s';\n" "$1" | sql "$DATABASE_NAME" -v role="$DATABASE_USER"
}

restart() {
	if [ "$what" = REDIS_PASSWORD ]; then compose up -d --force-recreate redis >&2 || return; fi
	start_all
}

# The new master key is taken, the old one refused.
master_key_works() {
	for port in $PORTS; do
		[ "$(models_with "$new" "$port")" = 200 ] && [ "$(models_with "$old" "$port")" = 401 ] || return 1
	done
}

# models_with KEY PORT: the HTTP status; the key goes to curl by its input.
models_with() {
	printf 'header = "Authorization: Bearer %s"\n' "$(curl_text "$1")" |
		curl -q -sS -m 30 --noproxy '*' -o /dev/null -w '%{http_code}' --config - "$HEALTH_URL:$2/v1/models" || :
}

# shellcheck disable=SC2317
put_back() {
	trap '' INT TERM HUP EXIT
	say 'bringing the old secret back'
	if [ -n "$role_changed" ]; then set_role_password "$old" || :; fi
	mv -f -- "$kept" "$env_file"
	if [ "$what" = DATABASE_PASSWORD ]; then set_database; fi
	if restart; then fail 5 'the new secret did not pass the health check; the old one is in force again'; fi
	fail 7 'neither the new nor the old secret passes the health check' "'$here/verify.sh'"
}

role_changed=''
case $what in
MASTER_KEY)
	name=LITELLM_MASTER_KEY
	if [ "$DATABASE" = yes ] && ! secret LITELLM_SALT_KEY >/dev/null; then
		fail 1 'without LITELLM_SALT_KEY the master key encrypts the keys in the database: with another one they could not be read any more'
	fi
	new=sk-$(generate) ;;
DATABASE_PASSWORD)
	[ "$DATABASE" = yes ] || fail 1 'LiteLLM uses no database here (DATABASE=no)'
	name=DATABASE_PASSWORD
	set_database
	new=$(generate) ;;
REDIS_PASSWORD)
	[ "$LAYOUT" = compose ] ||
		fail 1 'Redis is not a part of this layout: change requirepass in redis.conf first' "'$here/rotate.sh' PROVIDER REDIS_PASSWORD"
	name=REDIS_PASSWORD new=$(generate) ;;
PROVIDER)
	if [ -t 0 ]; then
		printf 'New value of %s (not shown): ' "$name" >&2
		trap 'stty echo; exit 130' INT
		stty -echo
		IFS= read -r new || new=''
		stty echo
		say ''
	else
		IFS= read -r new || [ -n "$new" ] || new=''
	fi
	case $new in
	'') fail 2 'the new value is empty' ;;
	*[!A-Za-z0-9._~:/?#@%\&=+,\;!*-]*) fail 2 'the new value holds a character that secrets.env, docker compose and systemd read differently' ;;
	esac ;;
esac
old=$(secret "$name") || old=''
[ "$what" = PROVIDER ] || [ -n "$old" ] || fail 1 "$env_file holds no $name"

cp -p -- "$env_file" "$kept.new"
mv -- "$kept.new" "$kept"
trap put_back INT TERM HUP EXIT
if [ "$what" = DATABASE_PASSWORD ]; then
	set_role_password "$new" || { rm -f -- "$kept"; trap - EXIT; fail 1 'the database did not take the new password; nothing was changed'; }
	role_changed=yes
fi
printf '%s\n' "$new" | write_value "$env_file" "$name"
if [ "$what" = DATABASE_PASSWORD ]; then set_database; fi
restart || put_back
[ "$what" != MASTER_KEY ] || master_key_works || put_back
trap '' INT TERM HUP
trap - EXIT
rm -f -- "$kept"
say "$name is a new one, and the gateway passed its health check"
if [ "$what" = MASTER_KEY ]; then printf '%s\n' "$new"; fi
