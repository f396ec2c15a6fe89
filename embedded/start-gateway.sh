#!/bin/sh
# Starts, reloads, restarts or stops the LiteLLM gateway that this directory configures.
#
# Promises: LiteLLM sees HOME, PATH, LANG and what gateway/.env says, and nothing else of the caller's environment.
# gateway/.env is read as text and never evaluated; no value of it is printed or put on a command line. LiteLLM listens
# on the loopback address only. A process counts as this gateway by its command line (config/litellm.yaml of this directory and
# --run_gunicorn); no other process gets a signal.
set -eu
umask 077

GATEWAY_PORT=4000 # gwinstall:port

# What the caller may say, kept while the rest of its environment is forgotten. A variable that stays exported would reach LiteLLM.
set -- "${GWINSTALL_TRANSACTION-}" "${GWINSTALL_INTERNAL-}" "${GATEWAY_LITELLM_BIN-}" "${NOTIFY_SOCKET-}" "${XDG_RUNTIME_DIR-}" "$@"
for name in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p'); do
	case $name in PATH | PWD | OLDPWD | SHLVL | _ | GATEWAY_PORT) ;; *) unset "$name" 2>/dev/null || : ;; esac
done
unset IFS
transaction=$1 internal=$2 named_litellm=$3 notify_socket=$4 runtime_dir=$5
shift 5

host=127.0.0.1
url="http://$host:$GATEWAY_PORT"
dir=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
config=$dir/config/litellm.yaml
env_file=$dir/.env
pid_file=$dir/litellm.pid
log=$dir/litellm.log
lock=$dir/.starting
serving=$dir/.serving
stopped=$dir/.stopped
failed=$dir/.start-failed
service=$dir/.gwinstall/service
ticket=$dir/.start-ticket
self=$dir/start-gateway.sh
scratch=$dir/.starting.$$
system_path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/homebrew/bin:/run/current-system/sw/bin
newline='
'

# Seconds. A start on a busy machine takes a minute or more; one start in about 60 hangs for ever and uses no processor time.
start_limit=180
validate_limit=600
hang_limit=10
second_hang_limit=60
log_limit=10485760

usage() {
	cat <<-EOF
	usage: start-gateway.sh [start|run|reload|restart|stop [--now]|status]

	  start    start LiteLLM on $url and wait until it answers (the default)
	  run      start LiteLLM and stay its process, for a service manager; output goes to stdout and stderr
	  reload   check config/litellm.yaml and let the running gateway take it over; no request is lost
	  restart  check, then let a new process take the place of the running one; needed after a change of .env
	  stop     let running requests finish, then stop; --now does not wait for them
	  status   say whether it runs

	A stopped gateway stays stopped, also after a reboot, until start, restart or run.
	After \`gwinstall service install\` the service manager of the user starts and stops the process.
	LiteLLM is the program in GATEWAY_LITELLM_BIN, else the one that gwinstall recorded, else venv/bin/litellm here, else litellm on PATH.
	exit status: 0 done, 1 failed, 2 wrong usage, 3 (status only) not running
	EOF
}

note() { printf '%s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
progress() { printf '%s\n' "$*" >&2; }
now() { date +%s; }

# fail WHAT [COMMAND]: what went wrong, and the command that helps.
fail() {
	printf 'error: %s\n' "$1" >&2
	if [ $# -gt 1 ]; then printf '  try: %s\n' "$2" >&2; fi
	exit 1
}

# A word that a person can paste, whatever the path holds.
quoted() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }

# --- the environment ------------------------------------------------------------------------------------------------------

# Where LiteLLM's cloud libraries look for logins: the home that holds this directory, else that of the account. The HOME of the
# caller would make the gateway of a shell differ from that of a service. gwinstall tries a change in a directory below that one.
find_home() {
	gateway=${dir%/.gwinstall/trial}
	case $gateway in
	*/.claude/gateway) HOME=${gateway%/.claude/gateway} ;;
	*)
		user=$(id -un)
		case $user in
		'' | *[!A-Za-z0-9._-]*) fail "the name of this account cannot be read" "id -un" ;;
		# A tilde expands only where it is written, and the name holds no character that the shell would act on.
		*) eval "HOME=~$user" ;;
		esac ;;
	esac
	HOME=${HOME:-/}
}

# The value behind NAME=, unquoted, in $gw_value. Bare or '…' or "…", as a shell and docker compose would read it; whatever
# these would read differently is refused, because a secret that is silently another one costs an hour.
unquote() {
	gw_value=$1
	case $gw_value in
	\'*\')
		[ "${#gw_value}" -ge 2 ] || return 1
		gw_value=${gw_value#\'} gw_value=${gw_value%\'}
		case $gw_value in *\'*) return 1 ;; esac ;;
	\"*\")
		[ "${#gw_value}" -ge 2 ] || return 1
		gw_value=${gw_value#\"} gw_value=${gw_value%\"}
		case $gw_value in *[\"\\\$\`]*) return 1 ;; esac ;;
	*[\'\"\\\$\`[:space:]]*) return 1 ;;
	esac
}

# Providers that Claude Code can ask without LiteLLM, by the name of their routes, with the variable of their key.
direct_keys='deepseek=DEEPSEEK_API_KEY moonshot=MOONSHOT_API_KEY zai=ZAI_API_KEY minimax=MINIMAX_API_KEY dashscope=DASHSCOPE_API_KEY
	openrouter=OPENROUTER_API_KEY anthropic_text=CUSTOM_API_KEY'

# The variables of .env that LiteLLM has no use for: keys of such providers, where its configuration names neither key nor provider.
unused_keys() {
	for pair in $direct_keys; do
		grep -q -e "os\.environ/${pair#*=}" -e "[ \"']${pair%%=*}/" "$config" 2>/dev/null || printf '%s ' "${pair#*=}"
	done
}

# Makes the environment of LiteLLM, in a subshell or before exec. After it only positional parameters and names with gw_ are the
# script's own: a line of .env may have any other name.
export_environment() {
	gw_file=$env_file gw_config=$config gw_number=0 gw_unused=" $(unused_keys)"
	[ -f "$gw_file" ] || fail "$gw_file is missing" "gwinstall install"
	PATH=$system_path LANG=C.UTF-8
	export HOME PATH LANG
	while IFS= read -r gw_line || [ -n "$gw_line" ]; do
		gw_number=$((gw_number + 1))
		gw_line=${gw_line%"$(printf '\r')"}
		case $gw_line in '' | '#'*) continue ;; *=*) ;; *) fail "$gw_file line $gw_number is not NAME=value" ;; esac
		gw_name=${gw_line%%=*}
		case $gw_name in
		'' | [0-9]* | *[!A-Za-z0-9_]*) fail "$gw_file line $gw_number: write NAME=value, without spaces around the name" ;;
		IFS | gw_*) fail "$gw_file line $gw_number: this script uses the name $gw_name itself; take another one" ;;
		esac
		case $gw_unused in *" $gw_name "*) continue ;; esac
		unquote "${gw_line#*=}" || fail "$gw_file line $gw_number: put the value of $gw_name in single quotes"
		case $gw_value in CHANGE-ME* | CHANGE_ME*) fail "$gw_file line $gw_number: $gw_name still holds its placeholder" "gwinstall env set $gw_name" ;; esac
		# The name was checked above; the value is data to export and is not expanded again.
		export "$gw_name=$gw_value"
	done <"$gw_file"
	# Meant for Claude Code. LiteLLM would send its own Anthropic calls there: to itself.
	unset ANTHROPIC_BASE_URL ANTHROPIC_AUTH_TOKEN
	if [ -n "${PROXY_USERNAME-}" ]; then
		HTTPS_PROXY=$(with_proxy_login "${HTTPS_PROXY-}") HTTP_PROXY=$(with_proxy_login "${HTTP_PROXY-}")
		unset PROXY_USERNAME PROXY_PASSWORD
	fi
	# Python prefers the small-letter names.
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

# http://proxy:8080 and PROXY_USERNAME, PROXY_PASSWORD become one URL; every byte of the two is percent-encoded.
with_proxy_login() {
	case $1 in
	'' | *@*) printf %s "$1" ;;
	*://*) printf '%s://%s:%s@%s' "${1%%://*}" "$(percent "${PROXY_USERNAME-}")" "$(percent "${PROXY_PASSWORD-}")" "${1#*://}" ;;
	*) printf 'http://%s:%s@%s' "$(percent "${PROXY_USERNAME-}")" "$(percent "${PROXY_PASSWORD-}")" "$1" ;;
	esac
}
percent() { printf %s "$1" | od -An -v -tx1 | tr -d ' \n' | sed 's/../%&/g'; }

check_master_key() {
	case ${LITELLM_MASTER_KEY-} in
	'') fail "LITELLM_MASTER_KEY has no value in $gw_file" "gwinstall env set LITELLM_MASTER_KEY" ;;
	sk-1234 | *CHANGE-ME* | *CHANGE_ME* | *change-me*) fail "LITELLM_MASTER_KEY in $gw_file is a known placeholder; anybody could use it" "gwinstall env set LITELLM_MASTER_KEY" ;;
	esac
	gw_value=${LITELLM_MASTER_KEY#sk-}
	if [ "${#gw_value}" -lt 8 ] || ! stands_for_itself "$LITELLM_MASTER_KEY"; then
		fail "LITELLM_MASTER_KEY in $gw_file protects nothing; anyone could guess it" "gwinstall env set LITELLM_MASTER_KEY"
	fi
	case $gw_value in
	password | password1 | passw0rd | masterkey | master-key | litellm-key | litellm-master-key | my-secret | mysecret | supersecret | 12345678 | 123456789 | 1234567890)
		fail "LITELLM_MASTER_KEY in $gw_file protects nothing; anyone could guess it" "gwinstall env set LITELLM_MASTER_KEY" ;;
	esac
}

# Whether $1 is a value, and not a placeholder, the reference of a secret manager or an expression: what gwinstall takes for
# absent, too.
stands_for_itself() {
	case $1 in
	'' | op://* | vault:* | ref+*://* | bw://* | bws://* | secretref:* | secretsmanager:* | akv://* | gcpsm://*) return 1 ;;
	\$\{[A-Za-z]*\} | \$\(*\) | \{\{*\}\} | os.environ/*) return 1 ;;
	\<*[0-9]*\>) ;;
	\<*\> | ... | sk-... | sk-*-... | your-* | your_* | YOUR-* | YOUR_* | sk-your-* | REPLACE[-_]ME) return 1 ;;
	esac
}

# LiteLLM turns a reference to a missing variable into an empty value without a word.
check_references() {
	[ -f "$gw_config" ] || fail "$gw_config is missing" "gwinstall install"
	gw_names=$(sed 's/^#.*//; s/[[:space:]]#.*//' "$gw_config" | grep -o 'os\.environ/[A-Za-z_][A-Za-z0-9_]*' | sed 's,.*/,,' | sort -u)
	gw_missing=
	for gw_name in $gw_names; do
		eval "gw_value=\${$gw_name-}"
		stands_for_itself "$gw_value" || gw_missing="$gw_missing $gw_name"
	done
	[ -z "$gw_missing" ] && return 0
	printf 'error: %s uses variables that have no value in %s\n' "$gw_config" "$gw_file" >&2
	for gw_name in $gw_missing; do printf '  try: gwinstall env set %s\n' "$gw_name" >&2; done
	exit 1
}

# What must hold of .env; prints the litellm program that it names.
check_environment() {
	case $(ls -ldnL -- "$env_file" 2>/dev/null) in
	'' | -???------*) ;;
	*) warn "$env_file can be read by others: chmod 600 $(quoted "$env_file")" ;;
	esac
	( export_environment; check_master_key; check_references; printf %s "${GATEWAY_LITELLM_BIN-}" )
}

# Seconds that a request may take: as long as that, running requests may finish after a stop.
request_limit() {
	seconds=$(sed -n 's/^[[:space:]]*request_timeout:[[:space:]]*\([0-9][0-9]*\).*/\1/p' "$config" 2>/dev/null | sort -n | tail -n 1)
	printf %s "${seconds:-600}"
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
		refuse_malicious
		refuse_unsafe
	fi
	refuse_malicious
}

find_another_litellm() {
	if [ -x "$dir/venv/bin/litellm" ]; then
		litellm=$dir/venv/bin/litellm
		if [ -f "$dir/venv/pyvenv.cfg" ] && [ -x "$dir/venv/bin/python" ]; then
			run_by=$dir/venv/bin/python
		elif [ -L "$dir/venv/bin/python" ] && [ ! -e "$dir/venv/bin/python" ]; then
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

# The interpreter of a program: its first line, or the second where a path with blanks did not fit into the first.
interpreter_of() {
	LC_ALL=C sed -n -e '1s,^#!/bin/sh$,,' -e '1s,^#![[:space:]]*\(/[^[:space:]]*\).*,\1,p' -e "2s|^'''exec' \"\{0,1\}\(/[^\"]*[^\" ]\)\"\{0,1\} .*|\1|p" -e 2q "$1" 2>/dev/null | head -n 1
}

check_program() {
	GATEWAY_LITELLM_BIN=$(check_environment) || exit 1
	GATEWAY_LITELLM_BIN=${GATEWAY_LITELLM_BIN:-$named_litellm}
	find_litellm
	unset GATEWAY_LITELLM_BIN
	# The Python of its environment runs it, whatever its first line says: that may name another place.
	[ -z "$run_by" ] || return 0
	# A link from the PATH has its own first line behind it.
	interpreter=$(interpreter_of "$litellm")
	if [ -n "$interpreter" ] && [ ! -x "$interpreter" ]; then
		place=$(dirname -- "$(dirname -- "$litellm")") gone=
		# Only a virtual environment is removed as a whole.
		if [ -f "$place/pyvenv.cfg" ]; then gone="rm -rf $(quoted "$place") && "; fi
		fail "$litellm cannot run: its Python $interpreter does not exist any more" "$gone$make_venv"
	fi
}

# Runs the litellm program with these arguments in its environment; what it prints goes to $scratch. Ended after $validate_limit.
bounded() {
	( set -- ${run_by:+"$run_by"} "$litellm" "$@"; export_environment; exec "$@" ) >"$scratch" 2>&1 </dev/null &
	asked=$! since=$(now) said=0
	while is_alive "$asked"; do
		waited=$(($(now) - since))
		if [ "$waited" -ge $((said + 10)) ]; then
			said=$waited
			progress "LiteLLM checks the configuration: $waited s"
		fi
		if [ "$waited" -ge "$validate_limit" ]; then
			kill -KILL "$asked" 2>/dev/null || :
			fail "$litellm did not check the configuration within $validate_limit s" "gwinstall doctor"
		fi
		sleep 0.1
	done
	code=0
	wait "$asked" || code=$?
	asked=
	return "$code"
}

validate_config() {
	code=0
	bounded --config "$config" --validate_config || code=$?
	[ "$code" -ne 0 ] || return 0
	tail -n 5 -- "$scratch" >&2
	case $code in
	126 | 127) fail "$litellm does not run: the Python of its virtual environment is missing" "gwinstall doctor" ;;
	esac
	if grep -q "No module named '\(litellm\|encodings\|click\|uvicorn\|fastapi\)['.]" "$scratch"; then
		fail "the virtual environment of $litellm is broken" "$make_venv"
	fi
	fail "LiteLLM does not accept $config" "gwinstall validate $(quoted "$config")"
}

# --- processes ------------------------------------------------------------------------------------------------------------

# The arguments of process $1, one a line. -ww: without a terminal the ps of macOS cuts its lines at 79 columns.
arguments() {
	if [ -r "/proc/$1/cmdline" ]; then tr '\0' '\n' <"/proc/$1/cmdline" 2>/dev/null; else ps -ww -o args= -p "$1" 2>/dev/null; fi
}

runs_our_config() {
	[ -n "$1" ] && kill -0 "$1" 2>/dev/null || return 1
	# Whole words, whether the arguments came line by line or in one line.
	words=$newline$(arguments "$1")$newline
	case $words in *"$newline$config$newline"* | *" $config "*) ;; *) return 1 ;; esac
	case $words in *"$newline--run_gunicorn$newline"* | *" --run_gunicorn"*) ;; *) return 1 ;; esac
}

# Every process of this gateway: gunicorn's master, its workers, and workers whose master was killed.
our_processes() {
	if [ -r /proc/self/cmdline ]; then
		# -z: each argument is a line, so that the whole argument is compared.
		found=$(grep -lzxF -e "$config" /proc/[0-9]*/cmdline 2>/dev/null | tr -dc '0-9\n') || :
	else
		# shellcheck disable=SC2009 # pgrep looks for patterns, and the path is not one
		found=$(ps -axww -o pid=,args= | grep -F -e "$config" | awk '{ print $1 }') || :
	fi
	for candidate in $found; do
		if runs_our_config "$candidate"; then printf '%s\n' "$candidate"; fi
	done
}

# Facts about process $1: $state, $parent, $group, $session, $cpu (changes while it works), $born.
look_at() {
	if [ -r "/proc/$1/stat" ]; then
		{ IFS= read -r facts <"/proc/$1/stat"; } 2>/dev/null || return 1
		# The name, which may hold anything, ends with the last parenthesis.
		# shellcheck disable=SC2086 # numbers
		set -- ${facts##*) }
		[ $# -ge 20 ] || return 1
		state=$1 parent=$2 group=$3 session=$4 cpu=${12}.${13} born=${20}
	else
		facts=$(ps -o stat=,ppid=,pgid=,sess=,time=,lstart= -p "$1" 2>/dev/null) || return 1
		# shellcheck disable=SC2086 # words
		set -- $facts
		[ $# -ge 6 ] || return 1
		state=$1 parent=$2 group=$3 session=$4 cpu=$5
		shift 5
		born=$(printf %s "$*" | tr ' ' _)
	fi
}

# A child that ended stays as a zombie until it is waited for.
is_alive() {
	look_at "$1" || return 1
	case $state in Z*) return 1 ;; esac
}

# The processes PID:BORN… that are still the same ones.
still_there() {
	left=
	for one in "$@"; do
		if is_alive "${one%%:*}" && [ "$born" = "${one#*:}" ]; then left="$left $one"; fi
	done
	[ -n "$left" ]
}

# The sockets that listen on port $1 where a connection to 127.0.0.1 arrives.
listening_sockets() {
	hex=$(printf %04X "$1")
	grep -hE "^ *[0-9]+: (0100007F|7F000001|0+|0{16}FFFF00000100007F):$hex [0-9A-F]+:0000 0A " /proc/net/tcp /proc/net/tcp6 2>/dev/null |
		while read -r _ _ _ _ _ _ _ _ _ inode _; do printf '%s\n' "$inode"; done
}

# Whether process $1 holds the socket that listens on port $2.
listens() {
	if [ -r /proc/net/tcp ]; then
		open=$(ls -l "/proc/$1/fd" 2>/dev/null) || :
		for socket in $(listening_sockets "$2"); do
			case $open in *"socket:[$socket]"*) return 0 ;; esac
		done
		return 1
	fi
	lsof -nP -a -p "$1" -iTCP:"$2" -sTCP:LISTEN -t >/dev/null 2>&1
}

# Whether anything listens on our port.
port_is_taken() {
	if [ -r /proc/net/tcp ]; then [ -n "$(listening_sockets "$GATEWAY_PORT")" ]; return; fi
	answer=0
	probe / || answer=$?
	[ "$answer" -ne 2 ]
}

# Who listens on our port, in words: only processes of this user can be looked into.
who_listens() {
	if [ -r /proc/net/tcp ]; then
		for socket in $(listening_sockets "$GATEWAY_PORT"); do
			for place in /proc/[0-9]*; do
				case $(ls -l "$place/fd" 2>/dev/null) in
				*"socket:[$socket]"*) printf '%s (pid %s)' "$(cat "$place/comm" 2>/dev/null)" "${place#/proc/}"; return ;;
				esac
			done
		done
	else
		other=$(lsof -nP -iTCP:"$GATEWAY_PORT" -sTCP:LISTEN -t 2>/dev/null | head -n 1) || :
		if [ -n "$other" ]; then printf '%s (pid %s)' "$(ps -o comm= -p "$other")" "$other"; return; fi
	fi
	printf 'a program of another user'
}

# The port that process $1 was started with.
port_of() { arguments "$1" | tr ' ' '\n' | sed -n '/^--port$/{n;p;q;}'; }

# The gateway of this directory in $pid: the process that the pid file names; if that is lost or dead, the process with our command
# line that listens on its port. A pid file that outlived its process may name any process.
our_pid() {
	pid=
	if [ -f "$pid_file" ]; then
		pid=$(head -n 1 -- "$pid_file")
		case $pid in *[!0-9]*) pid= ;; esac
	fi
	if [ -n "$pid" ] && runs_our_config "$pid" && look_at "$pid" && ! runs_our_config "$parent"; then return 0; fi
	for pid in $(our_processes); do
		served=$(port_of "$pid")
		if [ -n "$served" ] && listens "$pid" "$served" && look_at "$pid" && ! runs_our_config "$parent"; then return 0; fi
	done
	return 1
}

# Writes down which process the gateway is, where the pid file was lost or named a master that was killed, and by which socket it
# listens: PID start|run SOCKET. The key helper sees by that whether it still serves.
adopt() {
	if [ ! -w "$dir" ]; then return 0; fi
	how=
	{ read -r served how _ <"$serving" && [ "$served" = "$pid" ]; } 2>/dev/null || how=start
	socket=-
	open=$(ls -l "/proc/$pid/fd" 2>/dev/null) || :
	for one in $(listening_sockets "$(port_of "$pid")"); do
		case $open in *"socket:[$one]"*) socket=$one ;; esac
	done
	printf '%s %s %s\n' "$pid" "$how" "$socket" >"$scratch.lock" && mv -f -- "$scratch.lock" "$serving"
	if [ "$(head -n 1 -- "$pid_file" 2>/dev/null)" != "$pid" ]; then printf '%s\n' "$pid" >"$pid_file"; fi
}

# The workers of the master $1.
workers_of() {
	for one in $(our_processes); do
		if look_at "$one" && [ "$parent" = "$1" ]; then printf '%s\n' "$one"; fi
	done
}

# A worker whose master was killed goes on serving, but only a master takes a new configuration over.
is_orphan() {
	[ -z "$(workers_of "$1")" ] && look_at "$1" && [ "$group" != "$1" ]
}

# Every process of the gateway as PID:BORN, their process groups, and those of them that hold nothing else.
snapshot() {
	victims='' families='' groups=''
	for one in $(our_processes); do
		look_at "$one" || continue
		victims="$victims $one:$born" families="$families $group"
		# In its own session: a group that this script, or a service manager, made for it.
		[ "$group" = "$session" ] || continue
		if [ "$group" = "$one" ] || ! kill -0 "$group" 2>/dev/null || runs_our_config "$group"; then
			case " $groups " in *" $group "*) ;; *) groups="$groups $group" ;; esac
		fi
	done
}

# Asks all of $victims to end once their requests have finished. gunicorn's master would kill its workers after 30 seconds, and
# LiteLLM does not let that be changed: the master goes first, and a worker finishes what it began. A service manager waits for
# the master, so there the master is asked.
hang_up() {
	how=
	{ read -r _ how _ <"$serving"; } 2>/dev/null || :
	for one in $victims; do
		[ "$how" != run ] || break
		if [ -n "$(workers_of "${one%%:*}")" ]; then kill -KILL "${one%%:*}" 2>/dev/null || :; fi
	done
	ask_to_end
}
ask_to_end() {
	for one in $victims; do
		if still_there "$one"; then kill -TERM "${one%%:*}" 2>/dev/null || :; fi
	done
}

# Ends what is left of $victims and of the groups around them. Only while one of them lives, or did a moment ago: later the number
# of a group may be that of another program.
kill_all() {
	for one in $victims; do
		if still_there "$one"; then kill -KILL "${one%%:*}" 2>/dev/null || :; fi
	done
	for one in $groups; do kill -KILL -- "-$one" 2>/dev/null || :; done
}

# Ends the gateway without waiting for requests.
end_now() {
	snapshot
	if has_service; then service_down; fi
	[ -n "$victims" ] || return 0
	ask_to_end
	# shellcheck disable=SC2086 # PID:BORN words
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do still_there $victims || break; sleep 0.25; done
	kill_all
	# shellcheck disable=SC2086 # PID:BORN words
	for _ in 1 2 3 4 5 6 7 8; do still_there $victims || break; sleep 0.25; done
}

# Adds to $victims the workers that were born while their master was killed. They have its process group; a gateway that another
# command has started since then does not.
add_late_workers() {
	for one in $(our_processes); do
		look_at "$one" || continue
		case " $victims " in *" $one:$born "*) continue ;; esac
		case " $families " in *" $group "*) victims="$victims $one:$born" ;; esac
	done
}

# Waits until no process of $victims takes connections.
wait_until_closed() {
	since=$(now)
	while :; do
		taken=
		for one in $victims; do
			served=$(port_of "${one%%:*}")
			if [ -n "$served" ] && listens "${one%%:*}" "$served"; then taken=yes; fi
		done
		[ -n "$taken" ] || return 0
		if [ $(($(now) - since)) -ge 30 ]; then kill_all; return 0; fi
		sleep 0.2
		add_late_workers
		ask_to_end
	done
}

# probe PATH: 0 = answers with success, 1 = something listens but does not, 2 = nothing listens.
probe() {
	if command -v curl >/dev/null 2>&1; then
		code=0
		curl -q -fsS --noproxy '*' --max-time 3 -o /dev/null "$url$1" 2>/dev/null || code=$?
		case $code in 0) return 0 ;; 7) return 2 ;; *) return 1 ;; esac
	fi
	# -I, -S: no package of this Python and no file of the current directory is needed, and none gets to run.
	python3 -I -S - "$url$1" <<-'EOF'
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

# Waits for the gateway $pid. 0 = it answers, 1 = it ended, 2 = it hangs: no processor time for $1 seconds, 3 = $start_limit is over.
wait_for_answer() {
	begun=$(now) said=0 used='' busy_at=$begun
	until alive; do
		is_alive "$pid" || return 1
		moment=$(now)
		now_used=
		for one in $pid $(workers_of "$pid"); do if look_at "$one"; then now_used="$now_used $cpu"; fi; done
		if [ "$now_used" != "$used" ]; then used=$now_used busy_at=$moment; fi
		[ $((moment - busy_at)) -lt "$1" ] || return 2
		waited=$((moment - begun))
		[ "$waited" -lt "$start_limit" ] || return 3
		if [ "$waited" -ge $((said + 10)) ]; then
			said=$waited
			progress "waiting for the gateway: $waited s (at most $start_limit s)"
		fi
		sleep 0.5
	done
	# Another program on the port may have answered.
	is_alive "$pid"
}

# --- the service ----------------------------------------------------------------------------------------------------------

# Whether the user's service manager keeps the gateway running. `gwinstall service install` wrote down which one, and the name that
# the gateway has there: $manager, $unit. Where the manager cannot be reached (no session of its user, a container), the gateway is
# started as without it.
has_service() {
	manager='' unit=''
	{ read -r manager unit _ <"$service"; } 2>/dev/null || :
	case $manager in systemd | launchd) ;; *) return 1 ;; esac
	case $unit in '' | *[!A-Za-z0-9._@-]*) return 1 ;; esac
	if manager_answers; then return 0; fi
	[ -n "${said_unreachable-}" ] || warn "the service manager of $(id -un) cannot be reached; the gateway is started and stopped without it"
	said_unreachable=yes
	return 1
}
manager_answers() {
	case $manager in
	systemd) ask_systemd show-environment >/dev/null 2>&1 ;;
	launchd)
		domain=gui/$(id -u)
		launchctl print "$domain" >/dev/null 2>&1 || { domain=user/$(id -u) && launchctl print "$domain" >/dev/null 2>&1; } ;;
	esac
}
ask_systemd() { XDG_RUNTIME_DIR=${runtime_dir:-/run/user/$(id -u)} systemctl --user "$@"; }

# Lets the manager start the gateway. `service-run` finds the ticket: the files were checked, and this script has the lock.
service_up() {
	rm -f -- "$pid_file" "$serving"
	{ printf '%s\n' "$mine" >"$ticket"; } 2>/dev/null || cannot_write
	case $manager in
	systemd)
		# After too many failed starts systemd would refuse this one.
		ask_systemd reset-failed "$unit" 2>/dev/null || :
		ask_systemd restart "$unit" ;;
	launchd)
		launchctl print "$domain/$unit" >/dev/null 2>&1 || launchctl bootstrap "$domain" "$HOME/Library/LaunchAgents/$unit.plist"
		launchctl kickstart "$domain/$unit" ;;
	esac || { rm -f -- "$ticket"; fail "the service manager did not start $unit" "gwinstall service status"; }
	since=$(now)
	until [ -s "$pid_file" ]; do
		if [ $(($(now) - since)) -ge 30 ]; then
			rm -f -- "$ticket"
			service_down
			fail "the service manager has not started $unit for 30 s" "gwinstall service status"
		fi
		sleep 0.1
	done
	pid=$(head -n 1 -- "$pid_file")
	rm -f -- "$ticket"
}

# Lets the manager stop the gateway, and not start it again by itself. It does not wait for running requests.
service_down() {
	case $manager in
	systemd) ask_systemd stop "$unit" || warn "the service manager did not stop $unit" ;;
	launchd)
		# launchd asks nothing before it ends a process.
		snapshot
		hang_up
		launchctl bootout "$domain/$unit" 2>/dev/null || : ;;
	esac
}

# What the manager runs.
service_run() {
	# launchd starts at each login what it keeps alive.
	[ ! -e "$stopped" ] || exit 0
	if has_ticket; then
		check_program
		cd -- "$dir"
	else
		wait_for_installation
		take_lock
		# A worker whose master was killed serves on, and blocks the port.
		if our_pid && is_orphan "$pid"; then
			snapshot
			hang_up
			wait_until_closed
			drain_beside
		fi
		if our_pid; then fail "the gateway already runs (pid $pid)" "gwinstall restart"; fi
		rotate_log
		make_ready
		check_port
	fi
	become_litellm service
}
has_ticket() {
	shown=$(cat -- "$ticket" 2>/dev/null) || return 1
	[ -n "$shown" ] && [ "$(cat -- "$lock" 2>/dev/null)" = "$shown" ] && is_held "$shown"
}

# What systemd runs before it ends the process: the listener closes, and running requests finish beside what comes next.
service_stop() {
	snapshot
	[ -n "$victims" ] || return 0
	hang_up
	wait_until_closed
	drain_beside
}

# --- one start at a time --------------------------------------------------------------------------------------------------

# An installation in progress, or one that was interrupted: the files may be of two versions.
wait_for_installation() {
	# gwinstall itself starts the gateway before its change is final, to take it back if the gateway does not come up.
	[ "$transaction" != open ] || return 0
	for _ in 1 2 3 4 5; do
		[ -e "$dir/.gwinstall/journal" ] || return 0
		sleep 1
	done
	[ -e "$dir/.gwinstall/journal" ] || return 0
	holder=$(sed -n 's/.*"pid": *\([0-9][0-9]*\).*/\1/p' "$dir/.gwinstall/lock" 2>/dev/null | head -n 1)
	if [ -n "$holder" ] && kill -0 "$holder" 2>/dev/null; then
		fail "an installation is running (pid $holder): wait until it has ended, then repeat this" "gwinstall status"
	fi
	fail "an installation was interrupted" "gwinstall doctor --repair"
}

cannot_write() {
	free=$(df -Pk -- "$dir" 2>/dev/null | awk 'NR == 2 { print $4 }') || free=
	case $free in
	[0-9] | [0-9][0-9]) fail "the disk that holds $dir is full" "df -h $(quoted "$dir")" ;;
	*) fail "$dir cannot be written" "ls -ld $(quoted "$dir"); df -h $(quoted "$dir")" ;;
	esac
}

# A lock counts while the process that wrote it, and no later one with its number, is such a script.
is_held() {
	# shellcheck disable=SC2086 # PID BORN
	set -- $1
	[ $# -eq 2 ] || return 1
	is_alive "$1" && [ "$born" = "$2" ] || return 1
	# `run` became LiteLLM, with the lock.
	case $(arguments "$1") in *start-gateway.sh*) ;; *) return 1 ;; esac
}

# Replaces a lock that nothing holds. One at a time does it, and looks again: another start may have replaced it already.
put_aside() {
	if ! mkdir -- "$lock.aside" 2>/dev/null; then
		# One that ended in this moment left its directory behind.
		[ -z "$(find "$lock.aside" -prune -mmin +1 2>/dev/null)" ] || rmdir -- "$lock.aside" 2>/dev/null || :
		return 1
	fi
	replaced=
	if [ "$(cat -- "$lock" 2>/dev/null)" = "$holder" ]; then
		# `run` and the service leave it to the process that they became.
		if [ -z "$holder" ] || [ "${holder%% *}" != "$(head -n 1 -- "$pid_file" 2>/dev/null)" ]; then
			warn "the lock of a start that ended before its time is removed: $lock (${holder:-empty})"
		fi
		rm -f -- "$lock"
		if ln -- "$scratch.lock" "$lock" 2>/dev/null; then replaced=yes; fi
	fi
	rmdir -- "$lock.aside" 2>/dev/null || :
	[ -n "$replaced" ]
}

# Takes the lock if no other start has it. The file gets its name only when it is complete, so an empty one is left of a crash.
try_lock() {
	look_at "$$" || fail "this process cannot be looked at" "ps -p $$"
	mine="$$ $born"
	{ printf '%s\n' "$mine" >"$scratch.lock"; } 2>/dev/null || cannot_write
	[ -s "$scratch.lock" ] || cannot_write
	if ! ln -- "$scratch.lock" "$lock" 2>/dev/null; then
		holder=$(cat -- "$lock" 2>/dev/null) || holder=
		if [ ! -e "$lock" ] || is_held "$holder" || ! put_aside; then
			rm -f -- "$scratch.lock"
			return 1
		fi
	fi
	rm -f -- "$scratch.lock"
	sweep
	trap 'let_go' EXIT
	trap 'give_up 130' INT
	trap 'give_up 143' TERM
	trap 'give_up 129' HUP
}
# What starts that were killed have left.
sweep() {
	for old in "$dir"/.starting.[0-9]*; do
		owner=${old#"$dir/.starting."}
		if [ -e "$old" ] && ! kill -0 "${owner%%.*}" 2>/dev/null; then rm -f -- "$old"; fi
	done
}
has_lock() { [ "$(cat -- "$lock" 2>/dev/null)" = "$mine" ]; }
let_go() {
	rm -f -- "$scratch" "$scratch.lock" "$scratch.said" "$dir/.env.first-start"
	if has_lock; then rm -f -- "$lock"; fi
}

# Two starts at once would be two LiteLLMs, the second on a random port.
take_lock() {
	[ -w "$dir" ] || fail "$dir cannot be written"
	begun=$(now) said=0
	until try_lock; do
		waited=$(($(now) - begun))
		[ "$waited" -lt $((3 * start_limit)) ] || fail "another start (pid ${holder%% *}) has not ended for $waited s" "$(quoted "$self") stop --now"
		if [ "$waited" -ge $((said + 10)) ]; then
			said=$waited
			progress "waiting for another start (pid ${holder%% *}): $waited s"
		fi
		sleep 0.5
	done
}

# A start that is ended before the gateway answers leaves no process.
starting='' asked=
give_up() {
	trap - EXIT INT TERM HUP
	if [ -n "$asked" ]; then kill -KILL "$asked" 2>/dev/null || :; fi
	if [ -n "$starting" ]; then end_started; fi
	let_go
	exit "$1"
}
end_started() {
	victims='' groups=''
	if look_at "$starting"; then
		victims="$starting:$born"
		if [ "$group" = "$starting" ]; then groups=$starting; fi
		for one in $(workers_of "$starting"); do if look_at "$one"; then victims="$victims $one:$born"; fi; done
	fi
	kill_all
	if has_service; then service_down; fi
	wait "$starting" 2>/dev/null || :
	starting=
	rm -f -- "$pid_file" "$serving"
}

# --- the commands ---------------------------------------------------------------------------------------------------------

# The gateway writes at the end of the log whatever its length is, so it can be shortened while the gateway runs.
rotate_log() {
	[ -f "$log" ] || return 0
	[ "$(wc -c <"$log")" -gt "$log_limit" ] || return 0
	if cp -- "$log" "$log.1" 2>/dev/null; then : >"$log"; else rm -f -- "$log.1"; fi
}

check_port() {
	# LiteLLM takes another port without a word when this one is in use.
	port_is_taken || return 0
	fail "port $GATEWAY_PORT is in use by $(who_listens)" "gwinstall install --gateway-url http://127.0.0.1:$((GATEWAY_PORT + 1))"
}

# Everything that must hold before a process is started or ended.
make_ready() {
	fill_empty_master_key
	check_program
	validate_config
	rm -f -- "$scratch"
}

# Starts LiteLLM in the background, once. Its number is in $pid.
launch() {
	has_lock || fail "another start took over" "$(quoted "$self") status"
	rotate_log
	{ : >>"$log"; } 2>/dev/null || cannot_write
	cd -- "$dir"
	if has_service; then
		service_up
		starting=$pid
		return 0
	fi
	own_session=
	if command -v setsid >/dev/null 2>&1; then
		own_session=setsid
	elif command -v perl >/dev/null 2>&1; then
		own_session="perl -MPOSIX -e POSIX::setsid();exec(@ARGV)"
	fi
	# nohup: a closed terminal must not be taken for a reload; gunicorn sets its own handler. No child keeps our stdout open.
	(
		trap - EXIT INT TERM HUP
		# shellcheck disable=SC2086 # empty, or words
		set -- nohup $own_session ${run_by:+"$run_by"} "$litellm" --config "$config" --host "$host" --port "$GATEWAY_PORT" --run_gunicorn --num_workers 1
		export_environment
		exec "$@"
	) >>"$log" 2>&1 </dev/null &
	pid=$! starting=$!
	rm -f -- "$serving"
	{ printf '%s\n' "$pid" >"$pid_file"; } 2>/dev/null || { end_started; cannot_write; }
}

# Starts LiteLLM and waits for it; one that hangs is started once more.
bring_up() {
	launch
	answer=0
	wait_for_answer "$hang_limit" || answer=$?
	if [ "$answer" -eq 2 ]; then
		progress "the gateway (pid $pid) hangs: it used no processor time for $hang_limit s; it is started once more"
		end_started
		launch
		answer=0
		wait_for_answer "$second_hang_limit" || answer=$?
	fi
	# shellcheck disable=SC2088 # a word of a message
	case $answer in
	0) starting=; adopt; rm -f -- "$failed"; return 0 ;;
	1) end_started; fail "the gateway ended before it answered" "tail -n 30 $(quoted "$log")" ;;
	2) end_started; fail "the gateway hangs: it used no processor time for $second_hang_limit s, at the second try" "tail -n 30 $(quoted "$log")" ;;
	*) end_started; fail "the gateway does not answer on $url after $start_limit seconds, and was ended" "tail -n 30 $(quoted "$log")" ;;
	esac
}

start() {
	wait_for_installation
	rm -f -- "$stopped"
	if our_pid && [ ! -e "$lock" ] && alive; then already; return 0; fi
	take_lock
	start_locked
}
already() {
	adopt
	rotate_log
	rm -f -- "$failed"
	note "the gateway already runs at $url (pid $pid)"
}
start_locked() {
	if our_pid; then
		answer=0
		wait_for_answer "$hang_limit" || answer=$?
		if [ "$answer" -eq 0 ]; then already; return 0; fi
		# It computes, so it may have requests.
		[ "$answer" -ne 3 ] || fail "the gateway (pid $pid) runs but has not answered on $url for $start_limit s" "$(quoted "$self") restart"
		progress "the gateway (pid $pid) does not answer on $url; it is ended and started again"
		end_now
	fi
	# Before the configuration is checked, which takes seconds, and again after it.
	check_port
	make_ready
	check_port
	bring_up
	note "the gateway runs at $url (pid $pid)"
}

# For print-gateway-key.sh: starts the gateway if no other start is at work, and leaves its reason in .start-failed.
on_demand() {
	[ ! -e "$dir/.gwinstall/journal" ] && [ ! -e "$stopped" ] || exit 0
	try_lock || exit 0
	[ ! -e "$stopped" ] || exit 0
	named_litellm=
	last=0 count=0
	if [ -f "$failed" ] && ! changed_since_failure; then read -r last count <"$failed" || :; fi
	case $last$count in *[!0-9]* | '') last=0 count=0 ;; esac
	moment=$(now)
	if [ "$count" -gt 0 ] && [ "$moment" -ge "$last" ] && [ "$moment" -lt $((last + $(pause_after "$count"))) ]; then exit 0; fi
	if [ "$moment" -ge $((last + 3600)) ]; then count=0; fi
	# A subshell, so that a failure ends there; its own traps would free the lock.
	code=0
	( trap 'rm -f -- "$scratch" "$dir/.env.first-start"' EXIT; start_locked ) >"$scratch.said" 2>&1 || code=$?
	cat -- "$scratch.said"
	if [ "$code" -ne 0 ] && [ ! -e "$stopped" ]; then
		reason=$(sed -n 's/^error: //p' "$scratch.said" | head -n 1)
		command=$(sed -n 's/^  try: //p' "$scratch.said" | head -n 1)
		printf '%s %s\n%s\n%s\n' "$(now)" "$((count + 1))" "${reason:-the gateway did not start}" "${command:-gwinstall start}" >"$scratch.lock"
		mv -f -- "$scratch.lock" "$failed"
	fi
	exit "$code"
}
# What the user or gwinstall changed after a failed start may be what it needed.
changed_since_failure() {
	for one in "$env_file" "$config" "$self"; do
		if [ -n "$(find "$one" -newer "$failed" 2>/dev/null)" ]; then return 0; fi
	done
	return 1
}
# Seconds without a try after $1 failed ones: 60, 120, 240, 480, then 600.
pause_after() {
	case $1 in 1) echo 60 ;; 2) echo 120 ;; 3) echo 240 ;; 4) echo 480 ;; *) echo 600 ;; esac
}

run() {
	wait_for_installation
	rm -f -- "$stopped"
	if our_pid; then fail "the gateway already runs (pid $pid)" "$(quoted "$self") stop"; fi
	take_lock
	if our_pid; then fail "the gateway already runs (pid $pid)" "$(quoted "$self") stop"; fi
	make_ready
	check_port
	become_litellm run
}

# The last step of `run` and of the service: $1.
become_litellm() {
	cd -- "$dir"
	rm -f -- "$failed"
	# exec keeps the process number, and the lock with it: until it is LiteLLM, no other start comes in between.
	printf '%s %s -\n' "$$" "$1" >"$serving"
	printf '%s\n' "$$" >"$pid_file"
	if [ -n "$notify_socket" ]; then NOTIFY_SOCKET=$notify_socket; export NOTIFY_SOCKET; fi
	set -- ${run_by:+"$run_by"} "$litellm" --config "$config" --host "$host" --port "$GATEWAY_PORT" --run_gunicorn --num_workers 1
	trap - EXIT INT TERM HUP
	export_environment
	exec "$@"
}

# Whether a worker that is not one of $1 serves alone: then every answer is one of the new configuration.
is_taken_over() {
	young=
	for one in $(workers_of "$pid"); do
		case " $1 " in
		*" $one "*) if listens "$one" "$GATEWAY_PORT"; then return 1; fi ;;
		*) young=yes ;;
		esac
	done
	[ -n "$young" ] && probe /health/readiness
}

reload() {
	wait_for_installation
	our_pid || fail "the gateway does not run" "$(quoted "$self") start"
	if is_orphan "$pid"; then fail "the main process of the gateway was killed, and its worker (pid $pid) takes no new configuration over" "$(quoted "$self") restart"; fi
	take_lock
	check_program
	# gunicorn's master ends itself when the new configuration does not load: look first.
	validate_config
	our_pid || fail "the gateway ended meanwhile" "tail -n 30 $(quoted "$log")"
	adopt
	rotate_log
	old=$(workers_of "$pid" | tr '\n' ' ')
	kill -HUP "$pid"
	begun=$(now) said=0
	if [ -z "$old" ]; then sleep 1; fi
	until if [ -n "$old" ]; then is_taken_over "$old"; else alive; fi; do
		is_alive "$pid" || fail "the gateway ended: it could not load the configuration" "tail -n 30 $(quoted "$log")"
		waited=$(($(now) - begun))
		[ "$waited" -lt "$start_limit" ] || fail "the gateway (pid $pid) has not taken its configuration over for $start_limit seconds" "tail -n 30 $(quoted "$log")"
		if [ "$waited" -ge $((said + 10)) ]; then
			said=$waited
			progress "waiting for the new worker: $waited s (at most $start_limit s)"
		fi
		sleep 0.3
	done
	note "the gateway took over its configuration (pid $pid)"
	if [ -n "$(find "$env_file" -newer "$pid_file")" ]; then
		warn ".env changed since the start; its values count after: $(quoted "$self") restart"
	fi
}

# How many connections the gateway still serves, where that can be seen.
open_connections() {
	hex=$(printf %04X "$GATEWAY_PORT")
	grep -hcE "^ *[0-9]+: [0-9A-F]+:$hex [0-9A-F]+:[0-9A-F]+ 01 " /proc/net/tcp 2>/dev/null || :
}

# Waits for $victims, at most $1 seconds, and ends the rest.
wait_for_requests() {
	begun=$(now) said=-10
	# shellcheck disable=SC2086 # PID:BORN words
	while still_there $victims; do
		waited=$(($(now) - begun))
		if [ "$waited" -ge "$1" ]; then
			kill_all
			for _ in 1 2 3 4 5 6 7 8 9 10; do still_there $victims || break; sleep 0.2; done
			progress "requests that had not finished after $1 s were ended"
			return 0
		fi
		if [ "$waited" -ge 1 ] && [ "$waited" -ge $((said + 10)) ]; then
			said=$waited
			progress "waiting for running requests ($(open_connections) connections): $waited s (at most $1 s; $2)"
		fi
		sleep 0.2
	done
}

restart() {
	wait_for_installation
	rm -f -- "$stopped"
	take_lock
	if ! our_pid; then
		start_locked
		return 0
	fi
	make_ready
	# Nothing was ended so far. On its own port the old process gives way, on another one it must be free.
	our_pid || { check_port; bring_up; note "the gateway runs at $url (pid $pid)"; return 0; }
	if [ "$(port_of "$pid")" != "$GATEWAY_PORT" ]; then check_port; fi
	snapshot
	before=$victims
	if has_service; then service_down; fi
	hang_up
	wait_until_closed
	drain_beside
	note "the old process has stopped listening; it finishes its requests beside the new one (at most $limit s)"
	check_port
	bring_up
	note "the gateway runs at $url (pid $pid)"
	# shellcheck disable=SC2086 # PID:BORN words
	if still_there $before; then note "the old process still finishes requests"; fi
}

# Also if this script is ended, $victims finish their requests, at most as long as a request may take: $limit.
drain_beside() {
	limit=$(request_limit)
	# shellcheck disable=SC2086 # PID:BORN words
	(
		trap - EXIT
		trap '' INT TERM HUP
		exec </dev/null >/dev/null 2>&1
		begun=$(now)
		while still_there $victims; do
			if [ $(($(now) - begun)) -ge "$limit" ]; then kill_all; fi
			sleep 1
		done
	) &
}

# stop [--now]
stop() {
	# By this mark the key helper knows that the user stopped the gateway. gwinstall's own stop is not one of the user.
	if [ -z "$internal" ] && [ "$transaction" != open ]; then { : >"$stopped"; } 2>/dev/null || warn "$stopped cannot be written: the next session of Claude Code starts the gateway again"; fi
	end_other_start
	snapshot
	if has_service; then service_down; fi
	if [ -z "$victims" ]; then
		rm -f -- "$pid_file" "$serving"
		note "the gateway does not run"
		return 0
	fi
	if [ "${1-}" = --now ]; then
		end_now
	else
		hang_up
		wait_until_closed
		wait_for_requests "$(request_limit)" "$(quoted "$self") stop --now does not wait"
	fi
	# shellcheck disable=SC2086 # PID:BORN words
	still_there $victims || victims=
	numbers=$(printf %s "$victims" | sed 's/:[^ ]*//g')
	[ -z "$numbers" ] || fail "some processes of the gateway did not end:$numbers" "kill -KILL$numbers"
	if our_pid; then
		note "the gateway is stopped; another one was started meanwhile (pid $pid)"
		return 0
	fi
	rm -f -- "$pid_file" "$serving"
	# Left by `run`, which became LiteLLM.
	if [ -e "$lock" ] && ! is_held "$(cat -- "$lock" 2>/dev/null)"; then rm -f -- "$lock"; fi
	note "the gateway is stopped"
}

# A start at work would start the gateway behind the stop. It ends its own process.
end_other_start() {
	holder=$(cat -- "$lock" 2>/dev/null) || return 0
	is_held "$holder" || return 0
	kill -TERM "${holder%% *}" 2>/dev/null || :
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		is_held "$holder" || return 0
		sleep 0.25
	done
	kill -KILL "${holder%% *}" 2>/dev/null || :
}

status() {
	if ! our_pid; then
		if [ -e "$stopped" ]; then note "the gateway does not run: it was stopped"; else note "the gateway does not run"; fi
		exit 3
	fi
	alive || fail "the gateway (pid $pid) runs but does not answer on $url" "tail -n 30 $(quoted "$log")"
	if is_orphan "$pid"; then
		note "the gateway runs at $url (pid $pid), but its main process was killed: $(quoted "$self") restart"
	else
		note "the gateway runs at $url (pid $pid)"
	fi
}

# A FIFO in the place of one of these would be read for ever.
only_files() {
	for one in "$env_file" "$config" "$pid_file" "$lock" "$serving" "$stopped" "$failed" "$ticket"; do
		[ ! -e "$one" ] || [ -f "$one" ] || fail "$one is not a regular file" "ls -ld $(quoted "$one")"
	done
	# Who wants no log links it to /dev/null.
	[ ! -p "$log" ] || fail "$log is not a regular file" "ls -ld $(quoted "$log")"
}

find_home
only_files
# Here, because it may begin with the home: the key helper starts this script without one.
GATEWAY_LITELLM='' # gwinstall:litellm
case ${1:-start}${2+ }${2-} in
start) start ;;
run) run ;;
reload) reload ;;
restart) restart ;;
stop) stop ;;
'stop --now') stop --now ;;
on-demand) on_demand ;;
service-run) service_run ;;
service-stop) service_stop ;;
adopt) [ ! -e "$lock" ] && our_pid && alive && adopt ;;
status) status ;;
-h | --help | help) usage ;;
*) usage >&2; exit 2 ;;
esac
