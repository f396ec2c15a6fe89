#!/usr/bin/env bash
# Start the real LiteLLM proxy on a free loopback port from a deployed gateway
# directory (config/litellm.yaml + .env), check it, stop it.  Nothing under the
# given directory is written.
#
#   check_real_proxy.sh [options] GATEWAY_DIR
#   check_real_proxy.sh --install VENV_DIR        # one-time: pip install -r requirements.txt
#
# Python is looked for in: $LITELLM_VENV/bin/python, ./venv next to this script, PATH.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

if [ "${1:-}" = "--install" ]; then
  venv=${2:?usage: check_real_proxy.sh --install VENV_DIR}
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q -r "$here/requirements.txt"
  "$venv/bin/python" -c 'import importlib.metadata as m; print("litellm", m.version("litellm"), "installed")'
  exit 0
fi

py=
for cand in "${LITELLM_VENV:+$LITELLM_VENV/bin/python}" "$here/venv/bin/python" "$(command -v python3 || true)"; do
  if [ -z "$cand" ] || [ ! -x "$cand" ]; then continue; fi
  if "$cand" -c 'import importlib.util as u,sys; sys.exit(0 if all(u.find_spec(x) for x in ("litellm","yaml","fastapi")) else 1)' 2>/dev/null; then
    py=$cand; break
  fi
done
if [ -z "$py" ]; then
  echo "SKIP litellm is not installed for any python found (set LITELLM_VENV, or run: $0 --install $here/venv)" >&2
  exit 77
fi
exec "$py" "$here/check_real_proxy.py" "$@"
