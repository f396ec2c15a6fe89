# shellcheck shell=sh
# Reads server.env and the secrets of a server for the scripts beside it; they source this file. `sh read-values.sh --help` prints
# the table of names.
#
# Promises: a value is data. It is read line by line, checked by its kind before anything uses it, and never evaluated; an unknown
# name or a value of the wrong kind ends the script with exit status 2 before it changes anything. A file of secrets that other
# accounts can read is refused. A secret is printed only into a pipe of the script that asked for it, never put into an argument.
#
# server.env: one NAME=VALUE a line, the value up to the end of the line; a pair of quotes around the whole value is dropped.
#
# name               default               meaning
# LAYOUT             (none: required)      compose or systemd
# ROOT               (see meaning)         the directory of the gateway; compose: that of the scripts, systemd: /opt/llm-gateway
# DOMAIN             (empty)               the public name, for the certificate and for verify.sh --public
# PORTS              4000                  one loopback port for each instance: 4000, or "4000 4001"
# IMAGE              (empty)               what deploy.sh deploys without an argument: compose REPOSITORY:TAG[@sha256:…], systemd
#                                          a version; with compose its repository is that of deploy.sh VERSION
# HEALTH_URL         http://127.0.0.1      the address of an instance up to its port
# HEALTH_TRIES       3                     tries of the health check
# HEALTH_SECONDS     30                    length of a try: the gateway must answer well within it
# HEALTH_PAUSES      5 15                  seconds between the tries; the last one repeats
# DATABASE           no                    yes: LiteLLM uses PostgreSQL
# DATABASE_HOST      (empty)               its host; empty with compose: the service postgres; empty with systemd: 127.0.0.1
# DATABASE_PORT      5432                  its port
# DATABASE_NAME      litellm               the database and
# DATABASE_USER      litellm               its role; the password is the secret DATABASE_PASSWORD
# SERVICE_USER       llm-gateway           systemd: the account that LiteLLM runs as
# KEEP_BACKUPS       7                     days of which backups are kept
# KEEP_IMAGES        5                     versions that are kept
# ALERT_AFTER_DAYS   2                     days without a good backup until backup-check.sh reports it
# ENCRYPT_TO         (empty)               an age recipient (age1…): backups are encrypted and hold the secrets
# S3_ENDPOINT        (empty)               https://HOST of an S3-compatible store; empty: backups stay on this machine
# S3_BUCKET          (empty)               its bucket
# S3_REGION          us-east-1             its region
# S3_PREFIX          (empty)               what the name of every object begins with
# UPLOAD_SECONDS     600                   limit of an upload
# CERTIFICATE_DIR    ROOT/certs            fullchain.pem, privkey.pem and cert.pem
# ALERT_COMMAND      (empty)               absolute path of a program that gets the message as its one argument
# ALERT_WEBHOOK      (empty)               https address that gets {"text": message}; may be in operations.env instead
#
# Secrets are in ROOT/secrets.env, which LiteLLM reads, and, for what LiteLLM must not see, in ROOT/operations.env:
# BACKUP_S3_ACCESS_KEY_ID, BACKUP_S3_SECRET_ACCESS_KEY (also B2_KEY_ID, B2_APP_KEY), ALERT_WEBHOOK.
# Both files have the mode 0600.

umask 077
LC_ALL=C
export LC_ALL
unset IFS CDPATH
carriage_return=$(printf '\r')
here=${here-.}

say() { printf '%s\n' "$*" >&2; }
warn() { printf 'warning: %s\n' "$*" >&2; }

# fail CODE WHAT [COMMAND]: what failed, and the command that helps.
fail() {
	printf 'error: %s\n' "$2" >&2
	if [ $# -gt 2 ]; then printf '  try: %s\n' "$3" >&2; fi
	exit "$1"
}

have() { command -v "$1" >/dev/null 2>&1; }
now() { date -u +%s; }
timestamp() { date -u +%Y-%m-%dT%H:%M:%SZ; }

# A text between the quotes of a JSON string.
json_text() { printf '%s' "$1" | tr '\000-\037\177' ' ' | sed 's/[\\"]/\\&/g'; }

# The text NAME of one flat JSON object on standard input, as scripts here and LiteLLM write them.
json_field() { sed -n "s/.*\"$1\" *: *\"\\([^\"]*\\)\".*/\\1/p" | head -n 1; }

# A text between the double quotes of a line of a curl configuration.
curl_text() { printf '%s' "$1" | sed 's/[\\"]/\\&/g'; }

# unquote VALUE: sets $unquoted to the value without the pair of quotes around it.
unquote() {
	unquoted=$1
	case $1 in
	\'?*\') unquoted=${1#\'} unquoted=${unquoted%\'} ;;
	\"?*\") unquoted=${1#\"} unquoted=${unquoted%\"} ;;
	\'\' | \"\") unquoted='' ;;
	esac
}

# value_of FILE NAME: prints the last value of NAME, as docker compose and systemd take it; status 1 where there is none.
value_of() (
	found='' value=''
	while IFS= read -r line || [ -n "$line" ]; do
		case $line in "$2="*) ;; *) continue ;; esac
		found=yes value=${line#*=}
	done <"$1"
	[ -n "$found" ] || return 1
	unquote "${value%"$carriage_return"}"
	printf '%s\n' "$unquoted"
)

# is_a KIND VALUE. What passes holds no character that a shell, a JSON text or an option of another program would act on.
is_a() {
	case $2 in -*) return 1 ;; esac
	case $1 in
	layout) case $2 in compose | systemd) ;; *) return 1 ;; esac ;;
	switch) case $2 in yes | no) ;; *) return 1 ;; esac ;;
	number) case $2 in '' | *[!0-9]* | 0?* | ???????*) return 1 ;; esac ;;
	numbers)
		case $2 in '' | *[!0-9\ ]*) return 1 ;; esac
		for word in $2; do is_a number "$word" || return 1; done ;;
	ports)
		is_a numbers "$2" || return 1
		for word in $2; do { [ "$word" -ge 1 ] && [ "$word" -le 65535 ]; } || return 1; done ;;
	path) case $2 in *[!A-Za-z0-9._/@+-]* | */../* | */.. | *//*) return 1 ;; /?*) ;; *) return 1 ;; esac ;;
	host) case $2 in *[!A-Za-z0-9.-]* | .* | *..*) return 1 ;; esac ;;
	name) case $2 in '' | *[!A-Za-z0-9._-]* | .*) return 1 ;; esac ;;
	version) case $2 in '' | *[!A-Za-z0-9._+-]* | .*) return 1 ;; esac ;;
	image) case $2 in '' | *[!A-Za-z0-9._/:@-]* | /* | .* | *//*) return 1 ;; esac ;;
	prefix) case $2 in *[!A-Za-z0-9._/-]* | /* | *..* | *//*) return 1 ;; esac ;;
	url) case $2 in *[!A-Za-z0-9._~:/?#@%\&=+,-]*) return 1 ;; http://?* | https://?*) ;; *) return 1 ;; esac ;;
	recipient) case $2 in *[!a-z0-9]*) return 1 ;; age1?*) ;; *) return 1 ;; esac ;;
	variable) case $2 in '' | [0-9]* | *[!A-Za-z0-9_]*) return 1 ;; esac ;;
	*) return 1 ;;
	esac
}

# take NAME VALUE LINE: sets the name to the value, once it is of the right kind.
take() {
	case $1 in
	LAYOUT) wanted=layout LAYOUT=$2 ;;
	ROOT) wanted=path ROOT=$2 ;;
	DOMAIN) wanted=host DOMAIN=$2 ;;
	PORTS) wanted=ports PORTS=$2 ;;
	IMAGE) wanted=image IMAGE=$2 ;;
	HEALTH_URL) wanted=url HEALTH_URL=$2 ;;
	HEALTH_TRIES) wanted=number HEALTH_TRIES=$2 ;;
	HEALTH_SECONDS) wanted=number HEALTH_SECONDS=$2 ;;
	HEALTH_PAUSES) wanted=numbers HEALTH_PAUSES=$2 ;;
	DATABASE) wanted=switch DATABASE=$2 ;;
	DATABASE_HOST) wanted=host DATABASE_HOST=$2 ;;
	DATABASE_PORT) wanted=ports DATABASE_PORT=$2 ;;
	DATABASE_NAME) wanted=name DATABASE_NAME=$2 ;;
	DATABASE_USER) wanted=name DATABASE_USER=$2 ;;
	SERVICE_USER) wanted=name SERVICE_USER=$2 ;;
	KEEP_BACKUPS) wanted=number KEEP_BACKUPS=$2 ;;
	KEEP_IMAGES) wanted=number KEEP_IMAGES=$2 ;;
	ALERT_AFTER_DAYS) wanted=number ALERT_AFTER_DAYS=$2 ;;
	ENCRYPT_TO) wanted=recipient ENCRYPT_TO=$2 ;;
	S3_ENDPOINT) wanted=url S3_ENDPOINT=$2 ;;
	S3_BUCKET) wanted=name S3_BUCKET=$2 ;;
	S3_REGION) wanted=name S3_REGION=$2 ;;
	S3_PREFIX) wanted=prefix S3_PREFIX=$2 ;;
	UPLOAD_SECONDS) wanted=number UPLOAD_SECONDS=$2 ;;
	CERTIFICATE_DIR) wanted=path CERTIFICATE_DIR=$2 ;;
	ALERT_COMMAND) wanted=path ALERT_COMMAND=$2 ;;
	ALERT_WEBHOOK) wanted=url ALERT_WEBHOOK=$2 ;;
	*) fail 2 "$server_env line $3: the scripts do not know the name $1" "sh '$here/read-values.sh' --help" ;;
	esac
	[ -z "$2" ] || is_a "$wanted" "$2" || fail 2 "$server_env line $3: the value of $1 is not a $wanted" "sh '$here/read-values.sh' --help"
}

# Sets the names of the table above, and env_file and secrets_file. The environment of the caller sets none of them.
read_values() {
	server_env=${GATEWAY_SERVER_ENV:-$here/server.env}
	[ -r "$server_env" ] || fail 2 "$server_env cannot be read" "gwinstall render compose --out DIR"
	LAYOUT='' ROOT='' DOMAIN='' PORTS='' IMAGE='' HEALTH_URL='' HEALTH_TRIES='' HEALTH_SECONDS='' HEALTH_PAUSES=''
	DATABASE='' DATABASE_HOST='' DATABASE_PORT='' DATABASE_NAME='' DATABASE_USER='' SERVICE_USER='' KEEP_BACKUPS='' KEEP_IMAGES='' ALERT_AFTER_DAYS=''
	ENCRYPT_TO='' S3_ENDPOINT='' S3_BUCKET='' S3_REGION='' S3_PREFIX='' UPLOAD_SECONDS='' CERTIFICATE_DIR=''
	ALERT_COMMAND='' ALERT_WEBHOOK=''
	number=0
	while IFS= read -r line || [ -n "$line" ]; do
		number=$((number + 1)) line=${line%"$carriage_return"}
		case $line in '' | '#'*) continue ;; *=*) ;; *) fail 2 "$server_env line $number is not NAME=VALUE" ;; esac
		is_a variable "${line%%=*}" || fail 2 "$server_env line $number is not NAME=VALUE"
		unquote "${line#*=}"
		take "${line%%=*}" "$unquoted" "$number"
	done <"$server_env"
	[ -n "$LAYOUT" ] || fail 2 "$server_env does not say LAYOUT=compose or LAYOUT=systemd"
	if [ "$LAYOUT" = compose ]; then : "${ROOT:=$here}"; fi
	: "${ROOT:=/opt/llm-gateway}" "${PORTS:=4000}" "${HEALTH_URL:=http://127.0.0.1}" "${HEALTH_TRIES:=3}" "${HEALTH_SECONDS:=30}"
	: "${HEALTH_PAUSES:=5 15}" "${DATABASE:=no}" "${DATABASE_PORT:=5432}" "${DATABASE_NAME:=litellm}" "${DATABASE_USER:=litellm}" "${SERVICE_USER:=llm-gateway}"
	: "${KEEP_BACKUPS:=7}" "${KEEP_IMAGES:=5}" "${ALERT_AFTER_DAYS:=2}" "${S3_REGION:=us-east-1}" "${UPLOAD_SECONDS:=600}"
	if [ "$LAYOUT" = systemd ]; then : "${DATABASE_HOST:=127.0.0.1}"; fi
	ROOT=${ROOT%/}
	: "${CERTIFICATE_DIR:=$ROOT/certs}"
	[ "$KEEP_BACKUPS" -ge 1 ] || fail 2 "$server_env: KEEP_BACKUPS is at least 1"
	[ "$KEEP_IMAGES" -ge 2 ] || fail 2 "$server_env: KEEP_IMAGES is at least 2: the running version and the one before"
	[ -d "$ROOT" ] || fail 2 "the directory $ROOT is missing (ROOT in $server_env)"
	env_file=$ROOT/secrets.env
	secrets_file=$ROOT/operations.env
	for file in "$env_file" "$secrets_file"; do
		if [ -f "$file" ] && others_can_read "$file"; then fail 2 "other accounts can read $file" "chmod 600 '$file'"; fi
	done
	# The scripts that source this file use these.
	: "$DOMAIN$IMAGE$DATABASE_HOST$DATABASE_PORT$ENCRYPT_TO$S3_ENDPOINT$S3_BUCKET$S3_PREFIX$ALERT_COMMAND$ALERT_WEBHOOK"
}

# others_can_read FILE
others_can_read() {
	# The mode alone is looked at; the name of the file is not parsed.
	# shellcheck disable=SC2012
	case $(ls -ldL -- "$1" | cut -c 5-10) in ------) return 1 ;; esac
}

# secret NAME: prints a secret; status 1 where neither file has a value for it.
secret() (
	for file in "$secrets_file" "$env_file"; do
		[ -f "$file" ] || continue
		value=$(value_of "$file" "$1") || continue
		[ -n "$value" ] || continue
		printf '%s\n' "$value"
		return 0
	done
	return 1
)

# Replaces on its way from standard input to standard output every value that secrets.env or operations.env holds under the name of a secret,
# and whatever else looks like one.
redact() (
	for file in "$env_file" "$secrets_file"; do
		if [ -r "$file" ]; then set -- "$@" "$file"; fi
	done
	awk '
		!reading {
			if ($0 !~ /^[A-Za-z0-9_]*(KEY|SECRET|PASSWORD|TOKEN|URL|CREDENTIALS|ID|WEBHOOK)=/) next
			sub(/\r$/, ""); sub(/^[^=]*=/, ""); gsub(/^["\047]|["\047]$/, "")
			if (length($0) >= 6) hidden[++count] = $0
			next
		}
		{
			for (i = 1; i <= count; i++)
				while ((at = index($0, hidden[i]))) $0 = substr($0, 1, at - 1) "***" substr($0, at + length(hidden[i]))
			gsub(/sk-[A-Za-z0-9_-]+/, "sk-***")
			gsub(/:\/\/[^:@\/ ]*:[^@\/ ]*@/, "://***@")
			print
		}' "$@" reading=1 -
)

# take_lock NAME: one run at a time. The kernel drops the lock with the process, also after kill -9.
take_lock() {
	have flock || fail 1 "flock is missing: without it two runs could meet" "apt-get install util-linux"
	mkdir -p -- "$ROOT/data"
	exec 9>>"$ROOT/data/$1.lock"
	flock -n 9 || fail 6 "another run of $1 is at work; nothing was changed"
}

# write_value FILE NAME: the value from standard input becomes that of NAME; the other lines stay. The file is replaced in one step.
write_value() (
	IFS= read -r value || [ -n "$value" ] || value=''
	draft=$1.new.$$
	trap 'rm -f -- "$draft"' EXIT
	if [ -f "$1" ]; then grep -v "^$2=" "$1" >"$draft" || [ $? -eq 1 ]; else : >"$draft"; fi
	printf '%s=%s\n' "$2" "$value" >>"$draft"
	if [ -f "$1" ]; then chown "$(owner_of "$1")" "$draft" 2>/dev/null || :; fi
	sync -- "$draft" 2>/dev/null || sync
	mv -f -- "$draft" "$1"
)

# shellcheck disable=SC2012
owner_of() { ls -ldnL -- "$1" | awk '{ print $3 ":" $4 }'; }

# alert MESSAGE: to ALERT_COMMAND and ALERT_WEBHOOK. The address of a webhook is itself a secret, so curl reads it from its input.
alert() {
	if [ -n "$ALERT_COMMAND" ]; then "$ALERT_COMMAND" "$1" 9>&- || warn "$ALERT_COMMAND failed: the alert did not go out by it"; fi
	hook=$(secret ALERT_WEBHOOK) || hook=$ALERT_WEBHOOK
	[ -n "$hook" ] || return 0
	body=$(json_text "$1")
	printf 'url = "%s"\nheader = "Content-Type: application/json"\ndata-raw = "%s"\n' "$(curl_text "$hook")" \
		"$(curl_text "{\"text\":\"$body\"}")" | curl -q -sS -f -m 30 -o /dev/null --config - || warn "the webhook did not take the alert"
}

case ${0##*/} in
read-values.sh)
	case ${1-} in
	-h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' "$0" ;;
	*) echo 'usage: read-values.sh --help (the other scripts source this file)' >&2; exit 2 ;;
	esac ;;
esac
