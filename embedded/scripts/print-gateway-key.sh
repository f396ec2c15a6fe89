#!/bin/sh
# Prints the key that Claude Code sends to the gateway (its apiKeyHelper), so that settings.json holds no secret.
#
# Promises: with `local` a gateway that does not run is started, unless the user stopped it. stdout is the key and nothing else.
# Claude Code runs this in the project that it was opened in, with that project's variables: nothing of that environment or
# directory is used, no program from there is run, and nothing is fetched. gateway/.env is read as text and never evaluated.

# The first command is a special builtin with an absolute program: no function or alias of the environment can take its place.
case ${1-} in
--clean) shift ;;
*) exec /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:/run/current-system/sw/bin LC_ALL=C /bin/sh "$0" --clean "$@" ;;
esac
set -eu
umask 077
LC_ALL=C
export LC_ALL

KEY_NAME=LITELLM_MASTER_KEY # gwinstall:key-name

case $0 in */*) cd -P -- "${0%/*}/.." ;; *) cd -P .. ;; esac
dir=$PWD
config=$dir/config/litellm.yaml
newline='
'
# Seconds that Claude Code waits for a start. The start goes on after them.
patience=120

usage() {
	echo "usage: print-gateway-key.sh [local|remote|NAME]"
	echo
	echo "  local    the key of the gateway on this machine, which is started if it does not run"
	echo "  remote   the token of a gateway elsewhere"
	echo "  NAME     the key of a provider that Claude Code asks directly: DEEPSEEK_API_KEY and others of .env"
	echo
	echo "Without an argument: $KEY_NAME of $dir/.env, and nothing is started."
	echo "exit status: 0 printed, 1 there is no usable key or no gateway, 2 wrong usage"
}

# Claude Code shows one line of stderr.
fail() {
	printf 'gwinstall: %s: %s\n' "$1" "$2" >&2
	exit 1
}

# A FIFO in the place of one of these would be read for ever.
only_files() {
	for one in .env config/litellm.yaml start-gateway.sh litellm.pid .serving .starting .stopped .start-failed; do
		[ ! -e "$one" ] || [ -f "$one" ] || fail "$dir/$one is not a regular file" "gwinstall doctor"
	done
	# Who wants no log links it to /dev/null.
	[ ! -p litellm.log ] || fail "$dir/litellm.log is not a regular file" "gwinstall doctor"
}

# The value of NAME in .env, in $value.
read_value() {
	value=$(sed -n "s/^$1=//p" .env 2>/dev/null)
	value=${value##*"$newline"}
	# A carriage return of a file that was written on Windows.
	value=${value%[![:print:]]}
	case $value in
	\'*\') value=${value#\'} value=${value%\'} ;;
	\"*\") value=${value#\"} value=${value%\"} ;;
	esac
}

print_key() {
	[ -r .env ] || fail "$dir/.env cannot be read" "gwinstall install"
	read_value "$1"
	case $value in
	'')
		if [ "$1" = LITELLM_MASTER_KEY ] && grep -q '^LITELLM_MASTER_KEY=' .env; then fail "$1 is generated at the first start of the gateway" "gwinstall start"; fi
		fail "$1 has no value in $dir/.env" "gwinstall env set $1" ;;
	sk-1234 | *CHANGE-ME* | *CHANGE_ME*) fail "$1 in $dir/.env is a placeholder" "gwinstall env set $1" ;;
	*[!\ -~]*) fail "$1 in $dir/.env holds a character that no key has" "gwinstall env set $1" ;;
	esac
	printf '%s\n' "$value"
}

# Whether the gateway's process runs and still holds the socket on which it answered: what listens takes a connection. This is run
# for every few requests, so one small program does it: reading /proc/net/tcp takes up to 50 ms on a large machine.
answers() {
	pid='' socket='' adopted=''
	{ read -r pid _ socket <.serving; } 2>/dev/null || { read -r pid <litellm.pid; } 2>/dev/null || return 1
	case $pid in '' | *[!0-9]*) return 1 ;; esac
	if [ ! -r /proc/self/cmdline ]; then answers_without_proc; return; fi
	# The arguments are separated by NUL, which read leaves out.
	words=
	{ IFS= read -r words <"/proc/$pid/cmdline" || :; } 2>/dev/null
	case $words in *"--config$config--host"*--run_gunicorn*) ;; *) return 1 ;; esac
	open=$(ls -ln litellm.log "/proc/$pid/fd" 2>/dev/null) || :
	case $socket in
	'' | *[!0-9]*) ;;
	*) case $open in *"socket:[$socket]"*) adopted=yes; return 0 ;; *) return 1 ;; esac ;;
	esac
	port=${words#*"--config$config--host"*--port}
	port=${port%%--*}
	case $port in '' | *[!0-9]*) return 1 ;; esac
	hex=$(printf %04X "$port")
	sockets=$(grep -hE "^ *[0-9]+: (0100007F|7F000001|0+|0{16}FFFF00000100007F):$hex [0-9A-F]+:0000 0A " /proc/net/tcp /proc/net/tcp6 2>/dev/null) || :
	while read -r _ _ _ _ _ _ _ _ _ socket _; do
		case $open in *"socket:[$socket]"*) return 0 ;; esac
	done <<-END
		$sockets
	END
	return 1
}
answers_without_proc() {
	words=" $(ps -ww -o args= -p "$pid" 2>/dev/null) "
	case $words in *" $config "*" --run_gunicorn "*) ;; *) return 1 ;; esac
	port=${words#*" --port "}
	lsof -nP -a -p "$pid" -iTCP:"${port%% *}" -sTCP:LISTEN -t >/dev/null 2>&1
}

# A start that is at work may still find that the gateway hangs, so its end is waited for. `run` leaves the lock to the gateway.
is_starting() {
	holder=
	{ read -r holder _ <.starting; } 2>/dev/null || return 1
	case $holder in '' | *[!0-9]* | "${pid-}") return 1 ;; esac
	kill -0 "$holder" 2>/dev/null || return 1
	# A gateway that has answered serves on while its next configuration is checked, which takes seconds.
	[ -n "$adopted" ] || return 0
	words=
	{ IFS= read -r words <"/proc/$holder/cmdline" || :; } 2>/dev/null
	case $words in *start-gateway.sh*reload | *start-gateway.sh*restart) return 1 ;; esac
}
is_ready() { answers && ! is_starting; }

# The log has its size in the fifth column of the list that answers() made.
rotate_log() {
	# shellcheck disable=SC2086 # words
	set -- ${open-}
	case ${5-} in '' | *[!0-9]*) return 0 ;; esac
	[ "$5" -gt 10485760 ] || return 0
	if cp litellm.log litellm.log.1 2>/dev/null; then : >litellm.log; else rm -f litellm.log.1; fi
}

# What forbids a start: its reason and its command.
refuse() {
	[ -r ./start-gateway.sh ] || fail "the gateway has no start-gateway.sh" "gwinstall install"
	[ ! -e .stopped ] || fail "the gateway is stopped" "gwinstall start"
	[ ! -e .gwinstall/journal ] || fail "an installation is running or was interrupted" "gwinstall status"
	read_value GATEWAY_ON_DEMAND
	case $value in [Nn][Oo]) fail "the gateway does not run" "gwinstall start" ;; esac
	[ -f .start-failed ] || return 0
	# What was changed after the failed start may be what it needed.
	[ -z "$(find .env config/litellm.yaml start-gateway.sh -newer .start-failed 2>/dev/null)" ] || return 0
	{ read -r last count; read -r reason; read -r command; } <.start-failed || return 0
	case $last$count in '' | *[!0-9]*) return 0 ;; esac
	case $count in 1) pause=60 ;; 2) pause=120 ;; 3) pause=240 ;; 4) pause=480 ;; *) pause=600 ;; esac
	moment=$(date +%s)
	if [ "$moment" -lt "$last" ] || [ "$moment" -ge $((last + pause)) ]; then return 0; fi
	fail "$reason (next try in $((last + pause - moment)) s)" "$command"
}

# Runs start-gateway.sh. It takes nothing from the environment.
gateway() { /usr/bin/env -i PATH="$PATH" /bin/sh "$dir/start-gateway.sh" "$1" </dev/null >/dev/null 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; }

# Starts the gateway in a session of its own, with no descriptor of Claude Code.
begin_start() {
	session=
	if command -v setsid >/dev/null 2>&1; then session=setsid; fi
	# shellcheck disable=SC2086 # empty, or one word
	$session /usr/bin/env -i PATH="$PATH" /bin/sh "$dir/start-gateway.sh" on-demand </dev/null >/dev/null 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
	starter=$!
}

start_and_wait() {
	# It may run although litellm.pid does not lead to it: its main process was killed, or the file was lost.
	if [ -r ./start-gateway.sh ] && gateway adopt; then return 0; fi
	refuse
	begun=$(date +%s)
	begin_start
	while [ $(($(date +%s) - begun)) -lt "$patience" ]; do
		sleep 0.3
		if is_ready; then return 0; fi
		if kill -0 "$starter" 2>/dev/null || is_starting; then continue; fi
		# The start has ended: the gateway runs by now, or its reason is written down, or another start was at work.
		if is_ready; then return 0; fi
		refuse
		begin_start
	done
	fail "the gateway has not answered for $patience s; its start goes on" "gwinstall status"
}

only_files
case ${1-}${2+ .} in
'') print_key "$KEY_NAME" ;;
remote) print_key ANTHROPIC_AUTH_TOKEN ;;
local)
	if is_ready; then rotate_log; else start_and_wait; fi
	print_key LITELLM_MASTER_KEY ;;
-h | --help) usage ;;
[A-Z]*)
	case $1${2+ .} in *[!A-Z0-9_]*) usage >&2; exit 2 ;; esac
	print_key "$1" ;;
*) usage >&2; exit 2 ;;
esac
