#!/bin/sh
# Finds out which credential Claude Code sends to the gateway and whether the gateway accepts it. Of a secret it shows the length.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
usage='usage: debug-auth.sh

exit status: 0 the credential is accepted, 1 it is not, 2 wrong usage'
case ${1-} in
'') ;;
-h | --help) printf '%s\n' "$usage"; exit 0 ;;
*) printf '%s\n' "$usage" >&2; exit 2 ;;
esac
# shellcheck source-path=SCRIPTDIR source=troubleshooting-utils.sh disable=SC1091
. "$here/troubleshooting-utils.sh"
have curl || { print_error "curl is missing" "apt-get install curl"; finish; }
have python3 || { print_error "python3 is missing" "apt-get install python3"; finish; }
settings=${CLAUDE_CONFIG_DIR:-$HOME/.claude}/settings.json

# setting NAME: NAME of the env block, or the top-level key when it is apiKeyHelper. Settings win over the shell.
setting() {
	[ -f "$settings" ] || return 0
	python3 - "$settings" "$1" <<-'EOF'
	import json, sys
	try:
	    value = json.load(open(sys.argv[1], encoding="utf-8-sig"))
	    value = value.get("apiKeyHelper", "") if sys.argv[2] == "apiKeyHelper" else (value.get("env") or {}).get(sys.argv[2], "")
	except Exception:
	    value = ""
	sys.stdout.write(str(value))
	EOF
}
# names NAME: does the env block hold NAME, even with an empty value?
names() { [ -f "$settings" ] && grep -q "\"$1\"" "$settings"; }

print_header "The address in settings.json"
if [ -f "$settings" ] && ! python3 -c 'import json, sys; json.load(open(sys.argv[1], encoding="utf-8-sig"))' "$settings" 2>/dev/null; then
	print_error "$settings is not JSON; Claude Code ignores it as a whole" "python3 -m json.tool $(quoted "$settings")"
fi
url=$(setting ANTHROPIC_BASE_URL)
wanted=$(gateway_url)
case $url in
'') print_error "settings.json names no gateway" "gwinstall on" ;;
*/v1 | */v1/) print_error "the address ends in /v1; Claude Code adds /v1/messages itself" "gwinstall on" ;;
*) print_info "ANTHROPIC_BASE_URL is $url" ;;
esac
url=${url:-$wanted}
url=${url%/}
[ -n "$url" ] || finish
for managed in /etc/claude-code/managed-settings.json "/Library/Application Support/ClaudeCode/managed-settings.json"; do
	if [ -f "$managed" ] && grep -q 'ANTHROPIC_BASE_URL\|apiKeyHelper' "$managed"; then print_warning "$managed wins over your own settings"; fi
done

print_header "The credential that Claude Code sends"
helper=$(setting apiKeyHelper)
token=$(setting ANTHROPIC_AUTH_TOKEN)
source=
credential=
if [ -n "$token" ]; then
	source="ANTHROPIC_AUTH_TOKEN of settings.json" credential=$token
elif [ -n "${ANTHROPIC_AUTH_TOKEN-}" ] && ! names ANTHROPIC_AUTH_TOKEN; then
	source="ANTHROPIC_AUTH_TOKEN of this shell" credential=$ANTHROPIC_AUTH_TOKEN
elif [ -n "$helper" ]; then
	source="apiKeyHelper"
	# Claude Code runs the helper with a shell as well, which knows ~ and words.
	if ! credential=$(sh -c "$helper" 2>/dev/null) || [ -z "$credential" ]; then print_error "the helper gives no key" "$helper"; fi
fi
if [ -n "$credential" ]; then
	print_success "$source gives $(mask "$credential")"
	if [ "$credential" != "$(gateway_key)" ]; then print_warning "it is not the key of $gateway_env" "gwinstall on"; fi
else
	print_error "there is no credential for the gateway" "gwinstall on"
fi
if [ -n "${ANTHROPIC_API_KEY-}" ] && ! names ANTHROPIC_API_KEY; then
	print_error "ANTHROPIC_API_KEY of this shell is sent to the gateway as x-api-key" "gwinstall on"
fi

print_header "The answer of the gateway"
# accepted WHAT: reports the status of /v1/models. LiteLLM without a database answers 400 to a wrong key.
accepted() {
	case $http_code in
	000) print_error "$1: nothing answers at $url" "$(quoted "$gateway_dir/start-gateway.sh")" ;;
	200) print_success "$1 is accepted" ;;
	400 | 401 | 403) print_error "$1 is refused ($http_code)" "$(quoted "$gateway_dir/start-gateway.sh") restart" ;;
	*) print_warning "$1: the gateway answers $http_code" ;;
	esac
}
if [ -n "$credential" ]; then
	http_status "$url/v1/models" Authorization 'Bearer ' "$credential"
	accepted "Authorization: Bearer"
	if [ "$http_code" != 000 ] && [ "$source" = apiKeyHelper ]; then
		http_status "$url/v1/models" x-api-key '' "$credential"
		accepted "x-api-key"
	fi
fi
http_status "$url/v1/models"
case $http_code in
000) ;;
200) print_error "the gateway asks for no key at all" ;;
500) print_error "the gateway answers 500 without a key: the Python package prisma is missing" "pip install prisma" ;;
*) print_success "without a key it refuses ($http_code)" ;;
esac
finish
