# shellcheck shell=sh
# The instances of LiteLLM on this server, alike for containers and for systemd units; the other scripts source this file after
# read-values.sh. With compose the instances are the services litellm, litellm-2, … in the order of PORTS, each published on its
# loopback port; with systemd they are litellm-gateway@PORT.service.
#
# Promises: an instance is touched by its own name alone. What runs is named in one place: ROOT/.image (LITELLM_IMAGE=…, compose)
# or the link ROOT/venv to releases/VERSION (systemd), and both are replaced in one step.

here=${here-.}

# Containers must not keep the lock of the script that started them.
compose() {
	(cd "$ROOT" && exec "${CONTAINER_ENGINE:-docker}" compose --env-file secrets.env --env-file .image "$@") 9>&-
}

engine() { "${CONTAINER_ENGINE:-docker}" "$@" 9>&-; }

# service_of PORT
service_of() {
	if [ "$LAYOUT" = systemd ]; then
		printf 'litellm-gateway@%s.service\n' "$1"
		return
	fi
	place=0
	for each in $PORTS; do
		place=$((place + 1))
		if [ "$each" = "$1" ]; then break; fi
	done
	if [ "$place" -le 1 ]; then echo litellm; else echo "litellm-$place"; fi
}

# What starts the instances; without it nothing is begun.
require_engine() {
	engine=systemctl
	if [ "$LAYOUT" = compose ]; then engine=${CONTAINER_ENGINE:-docker}; fi
	have "$engine" || fail 1 "$engine is not installed, and nothing was changed"
}

# start_instance PORT: a fresh process also where nothing but a file of the configuration changed, which LiteLLM reads at its start
# only. nginx in a container keeps the address that it looked up, so it looks again.
start_instance() {
	service=$(service_of "$1")
	if [ "$LAYOUT" = systemd ]; then
		systemctl restart "$service" 9>&-
		return
	fi
	compose up -d --force-recreate "$service" >&2 || return
	reload_site
}

# reload_site: nginx reads its site and its certificate again, and looks up the addresses of the instances.
reload_site() {
	if [ "$LAYOUT" = systemd ]; then
		nginx -t -q && systemctl reload-or-restart nginx 9>&-
	elif compose ps --services --status running 2>/dev/null | grep -qx nginx; then
		compose exec -T nginx nginx -s reload >&2
	fi
}

# stop_instance PORT
stop_instance() {
	service=$(service_of "$1")
	if [ "$LAYOUT" = systemd ]; then systemctl stop "$service" 9>&-; else compose stop "$service" >&2; fi
}

# last_lines PORT COUNT
last_lines() {
	service=$(service_of "$1")
	if [ "$LAYOUT" = systemd ]; then
		journalctl -u "$service" -n "$2" --no-pager -o cat 2>&1 || :
	elif [ -f "$ROOT/.image" ]; then
		compose logs --no-color --no-log-prefix --tail "$2" "$service" 2>&1 || :
	fi
}

# uptime_of PORT: seconds; nothing where it cannot be known.
uptime_of() {
	if [ "$LAYOUT" = systemd ]; then
		since=$(systemctl show -p ActiveEnterTimestampMonotonic --value "$(service_of "$1")" 2>/dev/null) || return 0
		case $since in '' | 0 | *[!0-9]*) return 0 ;; esac
		awk -v since="$since" '{ printf "%d\n", $1 - since / 1000000 }' /proc/uptime
	elif [ -f "$ROOT/.image" ]; then
		container=$(compose ps -q "$(service_of "$1")" 2>/dev/null | head -n 1) || return 0
		[ -n "$container" ] || return 0
		since=$(engine inspect -f '{{.State.StartedAt}}' "$container" 2>/dev/null | sed 's/T/ /; s/[.Z].*//') || return 0
		since=$(date -u -d "$since" +%s 2>/dev/null) || return 0
		echo $(($(now) - since))
	fi
}

# What runs, or is about to run: an image or a version. Nothing before the first deployment.
running_version() {
	if [ "$LAYOUT" = systemd ]; then
		target=$(readlink "$ROOT/venv" 2>/dev/null) || return 0
		printf '%s\n' "${target##*/}"
	elif [ -f "$ROOT/.image" ]; then
		value_of "$ROOT/.image" LITELLM_IMAGE || :
	fi
}

# name_version VERSION: what the next start of an instance takes.
name_version() {
	if [ "$LAYOUT" = systemd ]; then
		rm -f -- "$ROOT/.venv.new"
		ln -s "releases/$1" "$ROOT/.venv.new" && mv -fT -- "$ROOT/.venv.new" "$ROOT/venv"
	else
		printf '%s\n' "$1" | write_value "$ROOT/.image" LITELLM_IMAGE && chmod 644 "$ROOT/.image"
	fi
}

# gate PORT: the health check. One start in about 60 listens and never answers; it gets one fresh start.
gate() {
	"$here/verify.sh" --port "$1" >&2 && return 0
	[ $? -eq 10 ] || return 1
	say "port $1 takes connections and does not answer: starting it once more"
	start_instance "$1" && "$here/verify.sh" --port "$1" >&2
}

# One instance after the other, so that another one answers meanwhile.
start_all() {
	for port in $PORTS; do
		say "starting $(service_of "$port") (port $port)"
		start_instance "$port" && gate "$port" || return 1
	done
}

case ${0##*/} in
instances.sh)
	case ${1-} in
	-h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' "$0" ;;
	*) echo 'usage: instances.sh --help (the other scripts source this file)' >&2; exit 2 ;;
	esac ;;
esac
