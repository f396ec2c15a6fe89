#!/bin/sh
# Starts, reloads, restarts or stops the LiteLLM gateway that this directory configures.
#
# Promises: gateway/.env is read as text and never evaluated; what it says wins over the shell; no value of it is printed or
# put on a command line; LiteLLM listens on the loopback address only; a process that is not ours gets no signal.
set -eu
umask 077

GATEWAY_PORT=4000 # gwinstall:port
GATEWAY_LITELLM='' # gwinstall:litellm

host=127.0.0.1
url="http://$host:$GATEWAY_PORT"
dir=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
config=$dir/config/litellm.yaml
env_file=$dir/.env
pid_file=$dir/litellm.pid
log=$dir/litellm.log
lock=$dir/.starting
self=$dir/start-gateway.sh

usage() {
	cat <<-EOF
	usage: start-gateway.sh [start|run|reload|restart|stop|status]

	  start    start LiteLLM on $url and wait until it answers (the default)
	  run      start LiteLLM and stay its process, for a service manager; output goes to stdout and stderr
	  reload   check config/litellm.yaml and let the running gateway take it over; no request is lost
	  restart  stop, then start; needed after a change of .env
	  stop     let running requests finish, then stop
	  status   say whether it runs

	LiteLLM is the program in GATEWAY_LITELLM_BIN, else the one that gwinstall recorded, else venv/bin/litellm here, else litellm on PATH.
	exit status: 0 done, 1 failed, 2 wrong usage, 3 (status only) not running
	EOF
}

note() { printf '%s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }

# fail WHAT [COMMAND]: what went wrong, and the command that helps.
fail() {
	printf 'error: %s\n' "$1" >&2
	if [ $# -gt 1 ]; then printf '  try: %s\n' "$2" >&2; fi
	exit 1
}

# A word that a person can paste, whatever the path holds.
quoted() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }

# --- the environment ------------------------------------------------------------------------------------------------------

# Settings of other programs that LiteLLM would follow: its own upstream, its address, a database that it would migrate.
forget_shell_settings() {
	unset LITELLM_MASTER_KEY HOST PORT NUM_WORKERS DEBUG DETAILED_DEBUG SSL_KEYFILE_PATH SSL_CERTFILE_PATH \
		DATABASE_URL DIRECT_URL DATABASE_HOST DATABASE_USERNAME DATABASE_PASSWORD DATABASE_NAME \
		MAX_REQUESTS_BEFORE_RESTART MAX_REQUESTS_BEFORE_RESTART_JITTER KEEPALIVE_TIMEOUT LIMIT_CONCURRENCY
}

# The value behind NAME=, unquoted, in $value. Bare or '…' or "…", as a shell and docker compose would read it; whatever
# these would read differently is refused, because a secret that is silently another one costs an hour.
unquote() {
	value=$1
	case $value in
	\'*\')
		[ "${#value}" -ge 2 ] || return 1
		value=${value#\'} value=${value%\'}
		case $value in *\'*) return 1 ;; esac ;;
	\"*\")
		[ "${#value}" -ge 2 ] || return 1
		value=${value#\"} value=${value%\"}
		case $value in *[\"\\\$\`]*) return 1 ;; esac ;;
	*[\'\"\\\$\`[:space:]]*) return 1 ;;
	esac
}

load_env() {
	[ -f "$env_file" ] || fail "$env_file is missing" "gwinstall install"
	case $(ls -ldnL -- "$env_file") in
	-???------*) ;;
	*) warn "$env_file can be read by others: chmod 600 $(quoted "$env_file")" ;;
	esac
	number=0
	while IFS= read -r line || [ -n "$line" ]; do
		number=$((number + 1))
		line=${line%"$(printf '\r')"}
		case $line in '' | '#'*) continue ;; *=*) ;; *) fail "$env_file line $number is not NAME=value" ;; esac
		name=${line%%=*}
		case $name in
		'' | [0-9]* | *[!A-Za-z0-9_]*) fail "$env_file line $number: write NAME=value, without spaces around the name" ;;
		esac
		unquote "${line#*=}" || fail "$env_file line $number: put the value of $name in single quotes"
		case $value in CHANGE-ME* | CHANGE_ME*) fail "$env_file line $number: $name still holds its placeholder" "gwinstall env set $name" ;; esac
		# The name was checked above; the value is data to export and is not expanded again.
		export "$name=$value"
	done <"$env_file"
}

# An image carries LITELLM_MASTER_KEY= without a value, so that no two machines share a key: make it at the first start.
# The start lock is held, so that two first starts make one key.
fill_empty_master_key() {
	[ -f "$env_file" ] && grep -q '^LITELLM_MASTER_KEY=$' -- "$env_file" || return 0
	[ ! -L "$env_file" ] || fail "$env_file is a symbolic link; the generated key would replace the link" "gwinstall env set LITELLM_MASTER_KEY"
	draft=$dir/.env.first-start
	key=sk-$(od -An -v -N32 -tx1 /dev/urandom | tr -d ' \n')
	[ "${#key}" -eq 67 ] || fail "/dev/urandom gave no key"
	# printf is built in: the key appears on no command line.
	while IFS= read -r line || [ -n "$line" ]; do
		case $line in LITELLM_MASTER_KEY=) line="LITELLM_MASTER_KEY=$key" ;; esac
		printf '%s\n' "$line"
	done <"$env_file" >"$draft"
	mv -f -- "$draft" "$env_file"
	note "generated LITELLM_MASTER_KEY in $env_file"
}

check_master_key() {
	case ${LITELLM_MASTER_KEY-} in
	'') fail "LITELLM_MASTER_KEY has no value in $env_file" "gwinstall env set LITELLM_MASTER_KEY" ;;
	sk-1234 | *CHANGE-ME* | *CHANGE_ME* | *change-me*) fail "LITELLM_MASTER_KEY in $env_file is a known placeholder; anybody could use it" "gwinstall env set LITELLM_MASTER_KEY" ;;
	esac
}

# http://proxy:8080 and PROXY_USERNAME, PROXY_PASSWORD become one URL; every byte of the two is percent-encoded.
with_proxy_login() {
	case $1 in
	'' | *@*) printf %s "$1" ;;
	*://*) printf '%s://%s:%s@%s' "${1%%://*}" "$(percent "${PROXY_USERNAME-}")" "$(percent "${PROXY_PASSWORD-}")" "${1#*://}" ;;
	*) printf 'http://%s:%s@%s' "$(percent "${PROXY_USERNAME-}")" "$(percent "${PROXY_PASSWORD-}")" "$1" ;;
	esac
}
percent() { printf %s "$1" | od -An -v -tx1 | tr -d ' \n' | sed 's/../%&/g'; }

prepare_environment() {
	forget_shell_settings
	load_env
	check_master_key
	# Meant for Claude Code. LiteLLM would send its own Anthropic calls there: to itself.
	unset ANTHROPIC_BASE_URL ANTHROPIC_AUTH_TOKEN
	if [ -n "${PROXY_USERNAME-}" ]; then
		HTTPS_PROXY=$(with_proxy_login "${HTTPS_PROXY-}") HTTP_PROXY=$(with_proxy_login "${HTTP_PROXY-}")
		unset PROXY_USERNAME PROXY_PASSWORD
	fi
	# Python prefers the small-letter names: a leftover in the shell would win over .env.
	if [ -n "${HTTPS_PROXY-}" ]; then https_proxy=$HTTPS_PROXY; export HTTPS_PROXY https_proxy; fi
	if [ -n "${HTTP_PROXY-}" ]; then http_proxy=$HTTP_PROXY; export HTTP_PROXY http_proxy; fi
	case ",${NO_PROXY-}," in
	*,127.0.0.1,*) ;;
	*) NO_PROXY=${NO_PROXY:+$NO_PROXY,}localhost,127.0.0.1 ;;
	esac
	no_proxy=$NO_PROXY
	export NO_PROXY no_proxy
	# Nothing is fetched at the start, and LiteLLM looks for no .env of its own (it would find this one and undo the unset above).
	export LITELLM_LOCAL_MODEL_COST_MAP="${LITELLM_LOCAL_MODEL_COST_MAP:-True}"
	export LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS="${LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS:-True}"
	export LITELLM_MODE=PRODUCTION
}

# LiteLLM turns a reference to a missing variable into an empty value without a word.
check_references() {
	names=$(sed 's/^#.*//; s/[[:space:]]#.*//' "$config" | grep -o 'os\.environ/[A-Za-z_][A-Za-z0-9_]*' | sed 's,.*/,,' | sort -u)
	missing=
	for name in $names; do
		eval "value=\${$name-}"
		[ -n "$value" ] || missing="$missing $name"
	done
	[ -z "$missing" ] && return 0
	printf 'error: %s uses variables that have no value in %s\n' "$config" "$env_file" >&2
	for name in $missing; do printf '  try: gwinstall env set %s\n' "$name" >&2; done
	exit 1
}

# --- LiteLLM --------------------------------------------------------------------------------------------------------------

make_venv="gwinstall runtime install"

# GATEWAY_LITELLM is what gwinstall chose when it deployed this file: an environment, or a program. It was checked then; what is
# found here instead is checked now. An environment is started by its own Python: its scripts may name one of another place.
find_litellm() {
	run_by=
	if [ -n "${GATEWAY_LITELLM_BIN-}" ]; then
		litellm=$GATEWAY_LITELLM_BIN
		[ -x "$litellm" ] || fail "GATEWAY_LITELLM_BIN is not a program: $litellm"
	elif [ -n "$GATEWAY_LITELLM" ] && [ -x "$GATEWAY_LITELLM/bin/python" ] && [ -f "$GATEWAY_LITELLM/bin/litellm" ]; then
		litellm=$GATEWAY_LITELLM/bin/litellm run_by=$GATEWAY_LITELLM/bin/python
	elif [ -n "$GATEWAY_LITELLM" ] && [ -f "$GATEWAY_LITELLM" ] && [ -x "$GATEWAY_LITELLM" ]; then
		litellm=$GATEWAY_LITELLM
	else
		[ -z "$GATEWAY_LITELLM" ] || warn "the LiteLLM in $GATEWAY_LITELLM is gone or cannot run"
		find_another_litellm
		refuse_unsafe
	fi
	refuse_malicious
}

find_another_litellm() {
	if [ -x "$dir/venv/bin/litellm" ]; then
		litellm=$dir/venv/bin/litellm
		if [ -f "$dir/venv/pyvenv.cfg" ] && [ -x "$dir/venv/bin/python" ]; then
			run_by=$dir/venv/bin/python
		elif [ -L "$dir/venv/bin/python" ]; then
			fail "the Python that $dir/venv was made with is gone: $(readlink "$dir/venv/bin/python") does not exist" "$make_venv"
		fi
	else
		litellm=$(command -v litellm) || fail "litellm was not found" "$make_venv"
	fi
}

# The file that a program is, behind the links that pipx and uv put on the PATH.
real_program() {
	program=$1
	while [ -L "$program" ]; do
		link=$(readlink "$program")
		case $link in /*) program=$link ;; *) program=$(dirname -- "$program")/$link ;; esac
	done
}

# Before 1.84.0 a forged Host header passes LiteLLM's authentication (CVE-2026-49468), before 1.83.7 anybody who reaches the
# port can run commands (CVE-2026-42271). The version is the name of a directory.
refuse_unsafe() {
	real_program "$litellm"
	prefix=$(CDPATH='' cd -- "$(dirname -- "$program")/.." 2>/dev/null && pwd -P) || return 0
	[ -f "$prefix/pyvenv.cfg" ] || return 0
	for found in "$prefix"/lib*/python3*/site-packages/litellm-[0-9]*.dist-info; do
		version=${found##*/litellm-} version=${version%.dist-info}
		rest=${version#*.}
		major=${version%%.*} minor=${rest%%[!0-9]*}
		case $major$minor in '' | *[!0-9]*) continue ;; esac
		[ "$major" -lt 1 ] || { [ "$major" -eq 1 ] && [ "${minor:-0}" -lt 84 ]; } || continue
		fail "LiteLLM $version in $prefix has known security holes (CVE-2026-49468)" "$make_venv"
	done
}

# LiteLLM 1.82.7 and 1.82.8 stole credentials, and left a file that every start of their Python runs. Both are looked for by
# name, in the directories that belong to the program; nothing of them is started for it, not even to remove them.
refuse_malicious() {
	real_program "$litellm"
	python=$(LC_ALL=C sed -n -e '1s,^#![[:space:]]*\(/[^[:space:]]*\).*,\1,p' -e 1q "$program") || python=
	for used in "$program" ${python:+"$python"}; do
		prefix=$(CDPATH='' cd -- "$(dirname -- "$used")/.." 2>/dev/null && pwd -P) || continue
		for found in "$prefix"/lib*/python*/*-packages/litellm_init.pth "$prefix"/lib*/python*/*-packages/litellm-1.82.[78].dist-info; do
			[ -e "$found" ] || continue
			gone="rm -rf $(quoted "$prefix")"
			[ -f "$prefix/pyvenv.cfg" ] || gone="cd $(quoted "$(dirname -- "$found")") && rm -rf litellm litellm_init.pth litellm-1.82.[78].dist-info"
			fail "$found is of a malicious release of LiteLLM: do not start it, and change every key that this machine knows" "$gone && $make_venv"
		done
	done
}

validate_config() {
	[ -f "$config" ] || fail "$config is missing" "gwinstall install"
	check_references
	if ! answer=$(${run_by:+"$run_by"} "$litellm" --config "$config" --validate_config 2>&1 </dev/null); then
		printf '%s\n' "$answer" | tail -n 5 >&2
		fail "LiteLLM does not accept $config" "gwinstall validate $(quoted "$config")"
	fi
}

# The arguments of process $1, one a line. -ww: without a terminal the ps of macOS cuts its lines at 79 columns.
arguments() {
	if [ -r "/proc/$1/cmdline" ]; then tr '\0' '\n' <"/proc/$1/cmdline"; else ps -ww -o args= -p "$1" 2>/dev/null; fi
}
parent() { ps -o ppid= -p "$1" 2>/dev/null | tr -d ' '; }
runs_our_config() {
	case $(arguments "$1") in *"$config"*--run_gunicorn*) ;; *) return 1 ;; esac
}

# The running gunicorn master of this directory in $pid. A pid file that outlived its process may name anybody's process.
our_pid() {
	[ -f "$pid_file" ] || return 1
	pid=$(head -n 1 -- "$pid_file")
	case $pid in '' | *[!0-9]*) return 1 ;; esac
	kill -0 "$pid" 2>/dev/null && runs_our_config "$pid" && ! runs_our_config "$(parent "$pid")"
}

# probe PATH: 0 = answers with success, 1 = something listens but does not, 2 = nothing listens.
probe() {
	if command -v curl >/dev/null 2>&1; then
		code=0
		curl -q -fsS --noproxy '*' --max-time 3 -o /dev/null "$url$1" 2>/dev/null || code=$?
		case $code in 0) return 0 ;; 7) return 2 ;; *) return 1 ;; esac
	fi
	# -S: no package of this Python is needed, and none gets to run.
	python3 -S - "$url$1" <<-'EOF'
	import sys, urllib.error, urllib.request
	opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
	try:
	    opener.open(sys.argv[1], timeout=3)
	except urllib.error.URLError as error:
	    sys.exit(2 if isinstance(error.reason, ConnectionRefusedError) else 1)
	except Exception:
	    sys.exit(1)
	EOF
}
alive() { probe /health/liveliness; }

wait_until_alive() {
	tries=0
	until alive; do
		tries=$((tries + 1))
		# The first moments belong to this script's own copy, before it becomes LiteLLM.
		[ "$tries" -le 4 ] || our_pid || fail "the gateway ended before it answered" "tail -n 30 $(quoted "$log")"
		[ "$tries" -lt 180 ] || fail "the gateway (pid $pid) does not answer on $url after 90 seconds" "tail -n 30 $(quoted "$log")"
		sleep 0.5
	done
}

# An installation in progress, or one that was interrupted: the files may be of two versions.
wait_for_installation() {
	# gwinstall itself starts the gateway before its change is final, to take it back if the gateway does not come up.
	[ "${GWINSTALL_TRANSACTION-}" != open ] || return 0
	for _ in 1 2 3 4 5; do
		[ -e "$dir/.gwinstall/journal" ] || return 0
		sleep 1
	done
	[ ! -e "$dir/.gwinstall/journal" ] || fail "an installation is running or was interrupted" "gwinstall doctor --repair"
}

# Two starts at once would be two LiteLLMs, the second on a random port. The lock is a file with our process number; one that a
# killed start left behind is recognised by its process and put aside.
take_lock() {
	[ -w "$dir" ] || fail "$dir cannot be written"
	tries=0
	until (set -C && printf '%s\n' "$$" >"$lock") 2>/dev/null; do
		holder=$(cat -- "$lock" 2>/dev/null) || holder=
		case $holder in
		*[!0-9]*) ;;
		?*)
			case $(arguments "$holder") in
			*start-gateway.sh* | *"$config"*) ;;
			*) mv -f -- "$lock" "$lock.$$" 2>/dev/null && rm -f -- "$lock.$$" ;;
			esac ;;
		esac
		tries=$((tries + 1))
		[ "$tries" -lt 200 ] || fail "another start (pid ${holder:-unknown}) has not ended for 100 seconds" "rm $(quoted "$lock")"
		sleep 0.5
	done
	trap 'rm -f -- "$lock" "$dir/.env.first-start"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
}

# --- the commands ---------------------------------------------------------------------------------------------------------

# Everything that must hold before LiteLLM is started.
make_ready() {
	# LiteLLM takes another port without a word when this one is in use.
	state=0
	probe / || state=$?
	[ "$state" -eq 2 ] || fail "port $GATEWAY_PORT is in use by another program" "gwinstall install --gateway-url http://127.0.0.1:$((GATEWAY_PORT + 1))"
	fill_empty_master_key
	prepare_environment
	find_litellm
	validate_config
	cd -- "$dir"
}

start() {
	wait_for_installation
	our_pid || take_lock
	if our_pid; then
		wait_until_alive
		note "the gateway already runs at $url (pid $pid)"
		return 0
	fi
	make_ready
	if [ -f "$log" ] && [ "$(wc -c <"$log")" -gt 10485760 ]; then mv -f -- "$log" "$log.1"; fi
	own_session=
	if command -v setsid >/dev/null 2>&1; then own_session=setsid; fi
	# nohup: a closed terminal must not be taken for a reload; gunicorn sets its own handler. No child keeps our stdout open.
	# shellcheck disable=SC2086 # empty, or one word
	nohup $own_session ${run_by:+"$run_by"} "$litellm" --config "$config" --host "$host" --port "$GATEWAY_PORT" --run_gunicorn --num_workers 1 \
		>>"$log" 2>&1 </dev/null &
	pid=$!
	printf '%s\n' "$pid" >"$pid_file"
	wait_until_alive
	note "the gateway runs at $url (pid $pid)"
}

run() {
	wait_for_installation
	our_pid || take_lock
	if our_pid; then fail "the gateway already runs (pid $pid)" "$(quoted "$self") stop"; fi
	make_ready
	# exec keeps the process number, and the lock with it: until it is LiteLLM, no other start comes in between.
	printf '%s\n' "$$" >"$pid_file"
	exec ${run_by:+"$run_by"} "$litellm" --config "$config" --host "$host" --port "$GATEWAY_PORT" --run_gunicorn --num_workers 1
}

reload() {
	wait_for_installation
	our_pid || fail "the gateway does not run" "$(quoted "$self") start"
	prepare_environment
	find_litellm
	# gunicorn's master ends itself when the new configuration does not load: look first.
	validate_config
	our_pid || fail "the gateway ended meanwhile" "tail -n 30 $(quoted "$log")"
	kill -HUP "$pid"
	sleep 1
	wait_until_alive
	note "the gateway took over its configuration (pid $pid)"
	if [ -n "$(find "$env_file" -newer "$pid_file")" ]; then
		warn ".env changed since the start; its values count after: $(quoted "$self") restart"
	fi
}

stop() {
	if ! our_pid; then
		rm -f -- "$pid_file"
		note "the gateway does not run"
		return 0
	fi
	kill -TERM "$pid"
	tries=0
	while our_pid; do
		tries=$((tries + 1))
		[ "$tries" -lt 120 ] || fail "pid $pid did not end within 60 seconds" "kill -KILL $pid"
		sleep 0.5
	done
	rm -f -- "$pid_file"
	# Left by `run`, which became LiteLLM.
	if [ "$(cat -- "$lock" 2>/dev/null)" = "$pid" ]; then rm -f -- "$lock"; fi
	note "the gateway is stopped"
}

status() {
	if ! our_pid; then
		note "the gateway does not run"
		exit 3
	fi
	alive || fail "the gateway (pid $pid) runs but does not answer on $url" "tail -n 30 $(quoted "$log")"
	note "the gateway runs at $url (pid $pid)"
}

[ $# -le 1 ] || { usage >&2; exit 2; }
case ${1:-start} in
start) start ;;
run) run ;;
reload) reload ;;
restart) stop; start ;;
stop) stop ;;
status) status ;;
-h | --help | help) usage ;;
*) usage >&2; exit 2 ;;
esac
