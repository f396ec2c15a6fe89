#!/bin/sh
# Prints your key of the company's gateway: Claude Code calls this program as its apiKeyHelper. With --set it keeps a key.
#
# Promises: the key is in no argument and in no output but the one that Claude Code reads. A file that other accounts can read is
# refused. On macOS a key that you type goes into the keychain; anywhere else, and from a pipe, it goes into a file with mode 0600.
set -eu
umask 077
usage='usage: gateway-key NAME [--set | --forget]

  NAME      the name of the gateway
  --set     reads a key from the terminal or from a pipe and keeps it
  --forget  removes the key

exit status: 0 done, 1 there is no key or it cannot be used, 2 wrong usage'

fail() { printf 'gateway-key: %s\n' "$2" >&2; exit "$1"; }
have() { command -v "$1" >/dev/null 2>&1; }
wrong() { printf '%s\n' "$usage" >&2; exit 2; }

case ${1-} in
-h | --help) printf '%s\n' "$usage"; exit 0 ;;
'' | -* | *[!a-z0-9-]*) wrong ;;
esac
name=$1 action=${2:---print}
if [ $# -gt 2 ]; then wrong; fi
directory=${XDG_CONFIG_HOME:-${HOME:?}/.config}/$name
file=$directory/key

# Of a line that people paste, a carriage return and blanks around the key are not part of it.
first_line() {
	IFS= read -r line || :
	printf '%s\n' "${line-}" | tr -d ' \t\r'
}

print_key() {
	if [ -f "$file" ]; then
		case $(ls -ld -- "$file") in
		-r?-------*) ;;
		*) fail 1 "other accounts can read $file: chmod 600 '$file'" ;;
		esac
		key=$(first_line <"$file")
	elif have security; then
		key=$(security find-generic-password -s "$name" -w 2>/dev/null) || key=''
	elif have secret-tool; then
		key=$(secret-tool lookup service "$name" 2>/dev/null) || key=''
	else
		key=''
	fi
	[ -n "$key" ] || fail 1 "there is no key of $name yet: $0 $name --set"
	printf '%s\n' "$key"
}

set_key() {
	if [ -t 0 ]; then
		# security asks for the key itself, so that it is in no argument.
		if have security; then exec security add-generic-password -U -a "$(id -un)" -s "$name" -w; fi
		printf 'Key of %s: ' "$name" >&2
		trap 'stty echo' EXIT
		trap 'exit 130' INT
		stty -echo
		key=$(first_line)
		stty echo
		trap - EXIT INT
		printf '\n' >&2
	else
		key=$(first_line)
	fi
	[ -n "$key" ] || fail 1 'the key is empty, and nothing was changed'
	mkdir -p -- "$directory"
	printf '%s\n' "$key" >"$file.new"
	mv -f -- "$file.new" "$file"
	printf 'The key is in %s.\n' "$file" >&2
}

forget_key() {
	rm -f -- "$file"
	if have security; then security delete-generic-password -s "$name" >/dev/null 2>&1 || :; fi
	if have secret-tool; then secret-tool clear service "$name" 2>/dev/null || :; fi
}

case $action in
--print) print_key ;;
--set) set_key ;;
--forget) forget_key ;;
*) wrong ;;
esac
