#!/bin/sh
# Tries to reach the providers of the active configuration the way LiteLLM does: through HTTPS_PROXY of gateway/.env, trusting
# SSL_CERT_FILE. It sends no credentials of a provider; any answer of the host counts as reached.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
usage='usage: check-proxy-connectivity.sh [HOST ...]

  HOST  a host name, with :PORT if not 443; default: the providers that config/litellm.yaml names

exit status: 0 all reached, 1 one was not, 2 wrong usage'
case ${1-} in
-h | --help) printf '%s\n' "$usage"; exit 0 ;;
-*) printf '%s\n' "$usage" >&2; exit 2 ;;
esac
hosts=$*
set --
# shellcheck source-path=SCRIPTDIR source=troubleshooting-utils.sh disable=SC1091
. "$here/troubleshooting-utils.sh"
have curl || { print_error "curl is missing" "apt-get install curl"; finish; }

# value NAME small-name: .env first, then the shell.
value() {
	got=$(gateway_value "$1")
	if [ -z "$got" ]; then eval "got=\${$1:-\${$2-}}"; fi
	printf %s "$got"
}
percent() { printf %s "$1" | od -An -v -tx1 | tr -d ' \n' | sed 's/../%&/g'; }

config=$gateway_dir/config/litellm.yaml
if [ -z "$hosts" ] && runs_litellm; then
	if grep -q 'model: *vertex_ai/' "$config"; then hosts="oauth2.googleapis.com aiplatform.googleapis.com"; fi
	location=$(gateway_value VERTEXAI_LOCATION)
	if [ -n "$hosts" ] && [ -n "$location" ] && [ "$location" != global ]; then hosts="$hosts $location-aiplatform.googleapis.com"; fi
	if grep -q 'model: *anthropic/' "$config"; then hosts="$hosts api.anthropic.com"; fi
	region=$(gateway_value AWS_REGION_NAME)
	if grep -q 'model: *bedrock/' "$config"; then hosts="$hosts bedrock-runtime.${region:-us-east-1}.amazonaws.com"; fi
fi
if [ -z "$hosts" ]; then hosts=$(gateway_url | sed 's,^[a-z]*://,,; s,/.*,,'); fi
[ -n "$hosts" ] || usage_error "no host to reach: name one"

proxy=$(value HTTPS_PROXY https_proxy)
if [ -n "$proxy" ]; then
	user=$(value PROXY_USERNAME PROXY_USERNAME)
	case $proxy in
	*@*) ;;
	*://*) if [ -n "$user" ]; then proxy="${proxy%%://*}://$(percent "$user"):$(percent "$(value PROXY_PASSWORD PROXY_PASSWORD)")@${proxy#*://}"; fi ;;
	*) print_error "HTTPS_PROXY has no scheme" "gwinstall env set HTTPS_PROXY"; finish ;;
	esac
	# Without scheme and login.
	named=${proxy##*@}
	named=${named#*://}
	print_info "through the proxy $named"
else
	named=
	print_warning "HTTPS_PROXY is not set: this script asks the hosts directly" "gwinstall env set HTTPS_PROXY"
fi
bundle=$(value SSL_CERT_FILE SSL_CERT_FILE)
around=$(value NO_PROXY no_proxy)

# reach HOST: prints curl's exit code and the statuses of proxy and host. The proxy's login goes through standard input.
reach() {
	code=0
	{
		printf 'url = "https://%s/"\n' "$1"
		if [ -n "$proxy" ]; then printf 'proxy = "%s"\n' "$(printf %s "$proxy" | sed 's/[\\"]/\\&/g')"; fi
		if [ -n "$around" ]; then printf 'noproxy = "%s"\n' "$(printf %s "$around" | sed 's/[\\"]/\\&/g')"; fi
		if [ -n "$bundle" ]; then printf 'cacert = "%s"\n' "$(printf %s "$bundle" | sed 's/[\\"]/\\&/g')"; fi
	} | curl -q -s -K - --max-time "${HTTP_TIMEOUT:-15}" -o /dev/null -w '%{http_connect} %{http_code}' 2>/dev/null || code=$?
	printf ' %s\n' "$code"
}

for host in $hosts; do
	answer=$(reach "$host")
	# shellcheck disable=SC2086 # three words
	set -- $answer
	case $3 in
	0) print_success "$host answers (status $2)" ;;
	5) print_error "the proxy's host name is unknown: $named" "gwinstall env set HTTPS_PROXY" ;;
	6) print_error "the name $host is unknown; with a proxy, HTTPS_PROXY is missing" "gwinstall env set HTTPS_PROXY" ;;
	7) print_error "no connection to ${named:+the proxy $named for }$host" "$(quoted "$here/validate-proxy-auth.py") --connect $host" ;;
	28) print_error "$host did not answer in time: a firewall may drop the packets" ;;
	35) print_error "the TLS connection to $host was cut" ;;
	60 | 77) print_error "the certificate for $host is not trusted: the proxy opens TLS, or SSL_CERT_FILE is wrong" "gwinstall env set SSL_CERT_FILE" ;;
	*)
		case $1 in
		407) print_error "the proxy wants another login (407)" "gwinstall env set PROXY_USERNAME" ;;
		403) print_error "the proxy forbids $host (403): ask your network team to open it" ;;
		*) print_error "$host was not reached (curl $3, proxy status $1)" "$(quoted "$here/validate-proxy-auth.py") --connect $host" ;;
		esac ;;
	esac
done
finish
