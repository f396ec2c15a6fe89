#!/bin/sh
# Looks for what a gateway needs and what is often missing: the right Python, LiteLLM with its Google and database parts, a free port, a key that
# is not a placeholder, NO_PROXY beside a proxy. Where gwinstall is installed, gwinstall doctor checks the deployment as well.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
usage='usage: check-prerequisites.sh [--standalone]

  --standalone  do not call gwinstall doctor

exit status: 0 ready, 1 something is missing, 2 wrong usage'
standalone=
case ${1-} in
'') ;;
--standalone) standalone=yes ;;
-h | --help) printf '%s\n' "$usage"; exit 0 ;;
*) printf '%s\n' "$usage" >&2; exit 2 ;;
esac
set --
# shellcheck source-path=SCRIPTDIR source=troubleshooting-utils.sh disable=SC1091
. "$here/troubleshooting-utils.sh"

install_line="python3 -m venv $(quoted "$gateway_dir/venv") && $(quoted "$gateway_dir/venv/bin/pip") install 'litellm[proxy,google]' prisma"

# The litellm that start-gateway.sh would run, and the Python behind it.
find_litellm() {
	litellm=$(gateway_value GATEWAY_LITELLM_BIN)
	litellm=${litellm:-${GATEWAY_LITELLM_BIN-}}
	if [ -z "$litellm" ] && [ -x "$gateway_dir/venv/bin/litellm" ]; then litellm=$gateway_dir/venv/bin/litellm; fi
	if [ -z "$litellm" ]; then litellm=$(command -v litellm) || litellm=; fi
	python=
	[ -n "$litellm" ] && [ -x "$litellm" ] || return 1
	if [ -x "$(dirname -- "$litellm")/python" ]; then python=$(dirname -- "$litellm")/python; else python=$(sed -n '1s/^#! *//p' "$litellm"); fi
	[ -x "$python" ] || python=python3
}

check_litellm() {
	if ! find_litellm; then
		print_error "litellm was not found" "$install_line"
		return 0
	fi
	# One start of Python answers everything: its version, LiteLLM's version, the packages that are missing; on lines of their own
	# its venv, and the directory of a malicious LiteLLM. Without -S Python would run the .pth files among its packages, also a malicious one.
	answer=$("$python" -S - <<-'EOF'
	import importlib.metadata, os, site, sys
	home = os.path.dirname(os.path.dirname(os.path.abspath(sys.executable)))
	venv = home if os.path.exists(os.path.join(home, "pyvenv.cfg")) else ""
	inside = [os.path.join(home, lib, "python%d.%d" % sys.version_info[:2], "site-packages") for lib in ("lib", "lib64")]
	paths = inside if venv else site.getsitepackages() + [site.getusersitepackages()]
	def package(name):
	    return next(iter(importlib.metadata.distributions(name=name, path=paths)), None)
	litellm = package("litellm")
	version = litellm.version if litellm else "unknown"
	bad = [path for path in paths if os.path.exists(os.path.join(path, "litellm_init.pth"))]
	if version in ("1.82.7", "1.82.8"):
	    bad.append(str(litellm.locate_file("")))
	good = (3, 10) <= sys.version_info[:2] < (3, 15)
	missing = [name for name in ("google-auth", "prisma", "gunicorn", "fastapi") if not package(name)]
	print("%d.%d" % sys.version_info[:2], "good" if good else "bad", version, ",".join(missing) or "none")
	print(venv, (bad or [""])[0], sep="\n")
	EOF
	) || answer="? bad unknown none"
	venv=$(printf '%s\n' "$answer" | sed -n 2p)
	malicious=$(printf '%s\n' "$answer" | sed -n 3p)
	# shellcheck disable=SC2046 # four words
	set -- $(printf '%s\n' "$answer" | sed -n 1p)
	case $2 in
	good) print_success "Python $1" ;;
	*) print_error "LiteLLM needs Python 3.10 to 3.14, $python is $1" "$install_line" ;;
	esac
	if [ -n "$malicious" ]; then
		# Its own pip would first run the file that the malicious release left.
		gone="rm -rf $(quoted "$venv")"
		[ -n "$venv" ] || gone="cd $(quoted "$malicious") && rm -rf litellm litellm_init.pth litellm-1.82.[78].dist-info"
		print_error "$malicious holds files of the releases of March 2026 that steal credentials (LiteLLM 1.82.7, 1.82.8); renew every key they could read" "$gone && $install_line"
		return 0
	fi
	case $3 in
	0.* | 1.[0-9].* | 1.[0-7][0-9].* | 1.8[0-3].*) print_warning "LiteLLM $3 is older than 1.84.0: a forged Host header passes its authentication (CVE-2026-49468)" "$(quoted "$python") -m pip install --upgrade 'litellm[proxy,google]>=1.84.0' prisma" ;;
	unknown) print_warning "the version of $litellm is unknown" ;;
	*) print_success "LiteLLM $3" ;;
	esac
	case ,$4, in
	*,google-auth,*) print_error "the Python package google-auth is missing: every Vertex AI call would fail" "$(quoted "$python") -m pip install 'litellm[proxy,google]'" ;;
	*) print_success "google-auth" ;;
	esac
	case ,$4, in
	*,prisma,*) print_error "the Python package prisma is missing: a wrong key would give 500 in place of 401" "$(quoted "$python") -m pip install prisma" ;;
	*) print_success "prisma" ;;
	esac
	case ,$4, in
	*,gunicorn,* | *,fastapi,*) print_error "LiteLLM was installed without its proxy" "$(quoted "$python") -m pip install 'litellm[proxy,google]'" ;;
	esac
}

check_port() {
	url=$(gateway_url)
	if sh "$gateway_dir/start-gateway.sh" status >/dev/null 2>&1; then
		print_success "the gateway runs at $url"
		return 0
	fi
	code=0
	curl -q -s --noproxy '*' --max-time 3 -o /dev/null "$url/" 2>/dev/null || code=$?
	case $code in
	7) print_success "port ${url##*:} is free" ;;
	*) print_error "port ${url##*:} is in use by another program; LiteLLM would take a random one" "gwinstall install --gateway-url http://127.0.0.1:$((${url##*:} + 1))" ;;
	esac
}

check_values() {
	name=ANTHROPIC_AUTH_TOKEN
	if runs_litellm; then name=LITELLM_MASTER_KEY; fi
	if [ ! -f "$gateway_env" ]; then
		print_error "$gateway_env does not exist" "gwinstall install"
	elif is_placeholder "$(gateway_value "$name")"; then
		print_error "$name in $gateway_env has no value of your own" "gwinstall env set $name"
	else
		print_success "$name = $(mask "$(gateway_value "$name")")"
	fi
	proxy=$(gateway_value HTTPS_PROXY)
	[ -n "${proxy:-${HTTPS_PROXY-}${https_proxy-}}" ] || return 0
	case ",$(gateway_value NO_PROXY),${NO_PROXY-},${no_proxy-}," in
	*,127.0.0.1,*) print_success "NO_PROXY keeps the loopback address away from the proxy" ;;
	*) print_error "a proxy is set and NO_PROXY lacks 127.0.0.1: the gateway could not be reached" "gwinstall env set NO_PROXY" ;;
	esac
}

print_header "Programs"
if have curl; then print_success "curl"; else print_error "curl is missing" "apt-get install curl"; fi
if have claude; then print_success "Claude Code"; else print_warning "claude was not found on PATH" "npm install -g @anthropic-ai/claude-code"; fi
if runs_litellm; then
	check_litellm
	print_header "Port"
	if have curl; then check_port; fi
fi
print_header "Values"
check_values
free=$(df -Pk "$gateway_dir" | awk 'NR == 2 { print int($4 / 1024) }')
if [ "$free" -lt 50 ]; then print_error "only $free MB are free at $gateway_dir"; else print_success "$free MB are free"; fi
if [ -z "$standalone" ] && have gwinstall; then
	print_header "Deployment"
	if ! gwinstall doctor --target-dir "$gateway_dir"; then print_error "gwinstall doctor found something" "gwinstall doctor --repair"; fi
fi
finish
