#!/bin/sh
# Shows what is deployed here, whether the gateway runs and whether Claude Code uses it. It changes nothing.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
usage='usage: check-status.sh

exit status: 0 everything is in place, 1 something is wrong, 2 wrong usage, 3 the gateway does not run'
case ${1-} in
'') ;;
-h | --help) printf '%s\n' "$usage"; exit 0 ;;
*) printf '%s\n' "$usage" >&2; exit 2 ;;
esac
# shellcheck source-path=SCRIPTDIR source=troubleshooting-utils.sh disable=SC1091
. "$here/troubleshooting-utils.sh"
settings=${CLAUDE_CONFIG_DIR:-$HOME/.claude}/settings.json
running=yes

print_header "Files"
# manifest_value NAME: a top-level string of deployment-manifest.json.
manifest_value() { sed -n "s/^ *\"$1\": *\"\([^\"]*\)\".*/\1/p" "$gateway_dir/deployment-manifest.json" 2>/dev/null | head -n 1; }
if [ -f "$gateway_dir/deployment-manifest.json" ]; then
	print_success "deployed by gwinstall $(manifest_value version) at $(manifest_value timestamp)"
else
	print_warning "no deployment-manifest.json: these files were not installed by gwinstall" "gwinstall install"
fi
if [ -f "$gateway_env" ]; then
	case $(ls -ldnL "$gateway_env") in
	-???------*) print_success ".env is readable by you only" ;;
	*) print_error ".env can be read by others" "chmod 600 $(quoted "$gateway_env")" ;;
	esac
	if is_placeholder "$(gateway_key)"; then print_error ".env holds no usable key for the gateway" "gwinstall env check"; fi
else
	print_error "there is no .env" "gwinstall install"
fi
if [ -e "$gateway_dir/.gwinstall/journal" ]; then print_error "an installation was interrupted" "gwinstall doctor --repair"; fi

print_header "Gateway"
url=$(gateway_url)
if runs_litellm; then
	if answer=$(sh "$gateway_dir/start-gateway.sh" status 2>&1); then
		print_success "$answer"
	else
		running=
		print_warning "$answer" "$(quoted "$gateway_dir/start-gateway.sh")"
	fi
else
	print_info "Claude Code uses ${url:-no gateway}; no gateway runs on this machine"
fi

print_header "Claude Code"
if [ ! -f "$settings" ]; then
	print_warning "there is no $settings" "gwinstall on"
elif have python3; then
	# The one line that is printed holds no secret.
	state=$(python3 - "$settings" "$url" <<-'EOF'
	import json, sys
	try:
	    value = json.load(open(sys.argv[1], encoding="utf-8-sig"))
	    env = value.get("env") or {}
	except Exception:
	    print("broken"); raise SystemExit
	base = str(env.get("ANTHROPIC_BASE_URL", "")).rstrip("/").replace("//localhost:", "//127.0.0.1:")
	if not base:
	    print("unset")
	elif base != sys.argv[2]:
	    print("other " + base.split("?")[0].split("@")[-1])
	elif env.get("ANTHROPIC_API_KEY", None) != "":
	    print("leak")
	elif not (value.get("apiKeyHelper") or env.get("ANTHROPIC_AUTH_TOKEN")):
	    print("nokey")
	else:
	    print("good")
	EOF
	)
	case $state in
	good) print_success "settings.json points at $url" ;;
	leak) print_warning 'settings.json lacks "ANTHROPIC_API_KEY": "": a key in your shell would be sent to the gateway' "gwinstall on" ;;
	nokey) print_error "settings.json names the gateway but no key for it" "gwinstall on" ;;
	unset) print_warning "settings.json does not name a gateway: Claude Code talks to Anthropic" "gwinstall on" ;;
	other*) print_warning "settings.json points at ${state#other }, not at $url" "gwinstall on" ;;
	*) print_error "settings.json is not JSON; Claude Code ignores it as a whole" "python3 -m json.tool $(quoted "$settings")" ;;
	esac
else
	print_info "python3 is missing: settings.json was not read"
fi
for name in CLAUDE_CODE_USE_BEDROCK CLAUDE_CODE_USE_VERTEX; do
	eval "value=\${$name-}"
	if [ -n "$value" ]; then print_warning "$name is set in this shell: Claude Code would not use the gateway" "unset $name"; fi
done

[ "$failures" -eq 0 ] || finish
[ -n "$running" ] || exit 3
finish
