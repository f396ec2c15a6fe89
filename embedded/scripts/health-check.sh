#!/bin/sh
# Checks that the gateway is alive and ready, refuses requests without its key and accepts its key. Only --models costs money.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
usage='usage: health-check.sh [--wait SECONDS] [--models]

  --wait SECONDS  wait up to SECONDS for the gateway to start
  --models        let LiteLLM call every model (/health); costs a few tokens each

exit status: 0 healthy, 1 not, 2 wrong usage'
patience=0 models=
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) printf '%s\n' "$usage"; exit 0 ;;
	--models) models=yes ;;
	--wait)
		case ${2-} in '' | *[!0-9]*) printf '%s\n' "$usage" >&2; exit 2 ;; esac
		patience=$2
		shift ;;
	*) printf '%s\n' "$usage" >&2; exit 2 ;;
	esac
	shift
done
set --
# shellcheck source-path=SCRIPTDIR source=troubleshooting-utils.sh disable=SC1091
. "$here/troubleshooting-utils.sh"

have curl || { print_error "curl is missing" "apt-get install curl"; finish; }
url=$(gateway_url)
[ -n "$url" ] || { print_error "no gateway is configured in $gateway_dir" "gwinstall install"; finish; }

alive_path=/health/liveliness
runs_litellm || alive_path=/v1/models
waited=0
http_status "$url$alive_path"
while [ "$http_code" = 000 ] && [ "$waited" -lt "$patience" ]; do
	sleep 1
	waited=$((waited + 1))
	http_status "$url$alive_path"
done
if [ "$http_code" = 000 ]; then
	if runs_litellm; then
		print_error "nothing answers at $url" "$(quoted "$gateway_dir/start-gateway.sh")"
	else
		print_error "nothing answers at $url" "$(quoted "$here/check-proxy-connectivity.sh") ${url#*://}"
	fi
	finish
fi

if runs_litellm; then
	case $http_code in
	200) print_success "alive: $url answers" ;;
	*) print_error "another program answers at $url (status $http_code)" "gwinstall install --gateway-url http://127.0.0.1:4001" ;;
	esac
	http_status "$url/health/readiness"
	case $http_code in
	200) print_success "ready" ;;
	*) print_error "not ready (status $http_code)" "tail -n 30 $(quoted "$gateway_dir/litellm.log")" ;;
	esac
fi

http_status "$url/v1/models"
case $http_code in
401 | 403) print_success "refuses requests without a key" ;;
500) print_error "answers 500 without a key: the Python package prisma is missing" "$(quoted "$gateway_dir/venv/bin/pip") install prisma" ;;
200) print_error "serves requests without a key: master_key is not set" "gwinstall validate" ;;
*) print_warning "answers $http_code to a request without a key, where 401 is expected" ;;
esac

key=$(gateway_key)
if is_placeholder "$key"; then
	print_error "$gateway_env holds no usable key" "gwinstall env set $(if runs_litellm; then echo LITELLM_MASTER_KEY; else echo ANTHROPIC_AUTH_TOKEN; fi)"
	finish
fi
http_status "$url/v1/models" Authorization 'Bearer ' "$key"
case $http_code in
200) print_success "accepts its key and lists $(printf %s "$http_body" | grep -o '"id"' | wc -l | tr -d ' ') models" ;;
400 | 401 | 403) print_error "refuses the key of $gateway_env (status $http_code)" "$(quoted "$gateway_dir/start-gateway.sh") restart" ;;
404) print_warning "has no list of models; Claude Code then shows its own names only" ;;
*) print_error "answers $http_code to its key" ;;
esac

if [ -n "$models" ] && runs_litellm; then
	HTTP_TIMEOUT=120
	http_status "$url/health" Authorization 'Bearer ' "$key"
	bad=$(printf %s "$http_body" | sed -n 's/.*"unhealthy_count":\([0-9]*\).*/\1/p')
	case $bad in
	0) print_success "every model answers" ;;
	'') print_error "LiteLLM could not call the models (status $http_code)" ;;
	*) print_error "$bad models do not answer" "$(quoted "$here/check-model-availability.py") --ask" ;;
	esac
fi
finish
