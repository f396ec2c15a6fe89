#!/bin/sh
# Makes teams with a budget, and virtual keys for them, in the LiteLLM of this server.
#
# Promises: the master key and the body of a request go to curl by its input, never as an argument. A new key is printed once, to
# standard output, and kept nowhere else. Names and amounts are checked before anything is sent.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
# shellcheck source-path=SCRIPTDIR source=read-values.sh disable=SC1091
. "$here/read-values.sh"

usage='usage: team.sh create NAME --budget USD [--period DAYS] [--models MODEL,…]
       team.sh key NAME [--alias NAME] [--days DAYS] [--budget USD]

  create        a team; its id is its name
  key           a virtual key of the team NAME, printed once
  --budget USD  what may be spent, in US dollars
  --period DAYS the budget begins again after so many days (30)
  --models      the models that the team may use; without it every one
  --alias NAME  a name for the key in reports
  --days DAYS   the key ends after so many days

exit status: 0 done, 1 LiteLLM refused it, 2 wrong usage, 10 LiteLLM did not answer'
wrong() { printf '%s\n' "$usage" >&2; exit 2; }
case ${1-} in
-h | --help) printf '%s\n' "$usage"; exit 0 ;;
create | key) action=$1 ;;
*) wrong ;;
esac
team=${2-}
{ is_a name "$team" && [ "${#team}" -le 64 ]; } || fail 2 'the name of a team is at most 64 letters, digits, dots and dashes'
shift 2
budget='' period=30 models='' alias='' days=''
while [ $# -gt 0 ]; do
	[ $# -ge 2 ] || wrong
	case $action:$1 in
	*:--budget)
		case $2 in '' | *[!0-9.]* | *.*.* | .* | *.) fail 2 "not an amount in US dollars: $2" ;; esac
		budget=$2 ;;
	create:--period) is_a number "$2" || fail 2 "not a number of days: $2"; period=$2 ;;
	create:--models)
		case $2 in '' | *[!A-Za-z0-9._/:,@*-]*) fail 2 "not a list of models: $2" ;; esac
		models=$(printf '%s' "$2" | sed 's/[^,][^,]*/"&"/g') ;;
	key:--alias) is_a name "$2" || fail 2 "not a name: $2"; alias=$2 ;;
	key:--days) is_a number "$2" || fail 2 "not a number of days: $2"; days=$2 ;;
	*) wrong ;;
	esac
	shift 2
done
[ "$action" = key ] || [ -n "$budget" ] || fail 2 'a team has a budget' "'$here/team.sh' create $team --budget 100"
read_values
[ "$DATABASE" = yes ] || fail 1 'teams and keys are in the database of LiteLLM, and there is none (DATABASE=no)'
key=$(secret LITELLM_MASTER_KEY) || fail 1 "$env_file holds no LITELLM_MASTER_KEY"
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# post PATH BODY: the answer in $work/answer.
post() {
	status=$(printf 'header = "Authorization: Bearer %s"\nheader = "Content-Type: application/json"\ndata-raw = "%s"\n' "$(curl_text "$key")" \
		"$(curl_text "$2")" | curl -q -sS -m 60 --noproxy '*' -o "$work/answer" -w '%{http_code}' --config - "$HEALTH_URL:${PORTS%% *}$1") ||
		fail 10 "LiteLLM did not answer on $HEALTH_URL:${PORTS%% *}" "'$here/verify.sh'"
	if [ "$status" != 200 ]; then
		redact <"$work/answer" | head -c 2048 >&2
		fail 1 "LiteLLM refused $1 (HTTP $status)"
	fi
}

if [ "$action" = create ]; then
	post /team/new "{\"team_id\":\"$team\",\"team_alias\":\"$team\",\"max_budget\":$budget,\"budget_duration\":\"${period}d\",\"models\":[$models]}"
	echo "the team $team has $budget US dollars for $period days"
	exit 0
fi
post /key/generate "{\"team_id\":\"$team\"${alias:+,\"key_alias\":\"$alias\"}${days:+,\"duration\":\"${days}d\"}${budget:+,\"max_budget\":$budget}}"
new=$(json_field key <"$work/answer")
[ -n "$new" ] || fail 1 'the answer of LiteLLM holds no key'
printf '%s\n' "$new"
