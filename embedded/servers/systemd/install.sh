#!/bin/sh
# Puts the rendered files of a server where systemd, nginx and logrotate read them: account, directories, units, site.
#
# Promises: it shows what it would do and asks first; a file that is the same stays untouched; nginx is reloaded only after `nginx -t`
# accepted the whole configuration, and the site from before comes back where it did not; secrets, data and a certificate that are there
# stay. Never starts the gateway: deploy.sh does, with its health check.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
# shellcheck source-path=SCRIPTDIR/.. source=read-values.sh disable=SC1091
. "$here/read-values.sh"

usage='usage: install.sh [--dry-run | --yes] [--prefix DIR]

  --dry-run     show what would be done
  --yes         do not ask
  --prefix DIR  below this directory instead of /, for an image: nothing is started or reloaded, no account is made

exit status: 0 done or nothing to do, 1 failed, 2 wrong usage'
wrong() { printf '%s\n' "$usage" >&2; exit 2; }
dry='' yes='' prefix=''
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) printf '%s\n' "$usage"; exit 0 ;;
	--dry-run) dry=yes ;;
	--yes) yes=yes ;;
	--prefix)
		is_a path "${2-}" || fail 2 "--prefix takes an absolute path"
		prefix=${2%/}; shift ;;
	*) wrong ;;
	esac
	shift
done
# The directory of the gateway may not be there yet.
root=$(value_of "$here/server.env" ROOT) || fail 2 "$here/server.env does not say ROOT"
user=$(value_of "$here/server.env" SERVICE_USER) || fail 2 "$here/server.env does not say SERVICE_USER"
is_a path "$root" || fail 2 "ROOT in $here/server.env is not a path"
is_a name "$user" || fail 2 "SERVICE_USER in $here/server.env is not a name"
[ "$here" != "$prefix$root" ] || fail 2 "run this from the rendered directory, not from $root"
[ -n "$dry" ] || [ -n "$prefix" ] || [ "$(id -u)" -eq 0 ] || fail 1 "only root may write /etc" "sudo '$here/install.sh'"

units=$prefix/etc/systemd/system
site=$prefix/etc/nginx/conf.d/llm-gateway.conf
rotation=$prefix/etc/logrotate.d/llm-gateway
planned=''
# plan WHAT: a line of the plan.
plan() {
	planned=yes
	say "  $*"
}

# copies FROM TO MODE: runs once to plan and once to do; `act` says which.
copies() {
	if [ -f "$2" ] && cmp -s -- "$1" "$2"; then return 0; fi
	if [ -z "$act" ]; then plan "write $2"; return 0; fi
	rm -f -- "$2.new"
	cp -- "$1" "$2.new" && chmod "$3" "$2.new" && mv -f -- "$2.new" "$2"
	changed=yes
}

directories() {
	for part in '' /config /scripts /data /backups /backups/staging /logs /certs /challenges /releases; do
		case $part in
		'' | /config | /scripts | /releases) mode=755 owner=root:root ;;
		/challenges) mode=755 owner=root:root ;;
		/certs) mode=750 owner=root:$user ;;
		*) mode=700 owner=$user:$user ;;
		esac
		dir=$prefix$root$part
		if [ -d "$dir" ]; then continue; fi
		if [ -z "$act" ]; then plan "make $dir"; continue; fi
		mkdir -p -- "$dir"
		chmod "$mode" "$dir"
		[ -n "$prefix" ] || chown "$owner" "$dir"
	done
}

account() {
	[ -z "$prefix" ] || return 0
	if id "$user" >/dev/null 2>&1; then return 0; fi
	if [ -z "$act" ]; then plan "make the account $user"; return 0; fi
	useradd --system --user-group --home-dir "$root/data" --no-create-home --shell /usr/sbin/nologin "$user"
}

files() {
	umask 022
	for file in "$here"/config/*.yaml; do copies "$file" "$prefix$root/config/${file##*/}" 644; done
	for file in "$here"/*.sh; do
		case ${file##*/} in install.sh) continue ;; esac
		copies "$file" "$prefix$root/${file##*/}" 755
	done
	copies "$here/server.env" "$prefix$root/server.env" 644
	copies "$here/gateway.env" "$prefix$root/gateway.env" 644
	copies "$here/secrets.env.example" "$prefix$root/secrets.env.example" 644
	copies "$here/README.md" "$prefix$root/README.md" 644
	if [ -f "$here/litellm.lock" ]; then copies "$here/litellm.lock" "$prefix$root/litellm.lock" 644; fi
	if [ -n "$act" ]; then mkdir -p -- "$units" "${site%/*}" "${rotation%/*}"; fi
	changed=''
	for file in "$here"/units/*; do copies "$file" "$units/${file##*/}" 644; done
	units_changed=$changed changed=''
	copies "$here/logrotate/llm-gateway" "$rotation" 644
	umask 077
}

secrets() {
	file=$prefix$root/secrets.env
	if [ -f "$file" ]; then return 0; fi
	from=$here/secrets.env
	[ -f "$from" ] || return 0
	if [ -z "$act" ]; then plan "write $file (mode 0600)"; return 0; fi
	cp -- "$from" "$file.new" && chmod 600 "$file.new"
	[ -n "$prefix" ] || chown "$user:$user" "$file.new"
	mv -f -- "$file.new" "$file"
}

# Only one site can be the default one, which answers every name that is not known; the one that Debian brings says that it is.
default_site() {
	[ -z "$prefix" ] || return 0
	other=$(grep -RlsE '^[[:space:]]*listen[^;]*default_server' /etc/nginx/sites-enabled /etc/nginx/conf.d | grep -vF -- "$site" | head -n 1) || :
	[ -n "$other" ] || return 0
	if [ -L "$other" ]; then fail 1 "$other is the default site of nginx, which the gateway has to be; nothing was changed" "rm '$other'"; fi
	fail 1 "$other is the default site of nginx, which the gateway has to be: take default_server out of it; nothing was changed"
}

# nginx loads no site without a certificate, and a client of ACME gets none without a site: one of this machine alone, for a week.
certificate() {
	if [ -n "$prefix" ] || [ -f "$root/certs/fullchain.pem" ]; then return 0; fi
	if [ -z "$act" ]; then plan "make a certificate in $root/certs that serves until yours is there"; return 0; fi
	domain=$(value_of "$here/server.env" DOMAIN) || fail 2 "$here/server.env does not say DOMAIN"
	openssl req -x509 -newkey rsa:2048 -nodes -days 7 -subj / -addext "subjectAltName=DNS:$domain" -keyout "$root/certs/privkey.pem" \
		-out "$root/certs/cert.pem" 2>/dev/null || fail 1 'openssl made no certificate'
	cp -- "$root/certs/cert.pem" "$root/certs/fullchain.pem"
	chmod 600 "$root"/certs/*.pem
	chown "$user" "$root"/certs/*.pem
}

# The site from before comes back where nginx refuses the new one.
serve() {
	if [ -f "$site" ] && cmp -s -- "$here/nginx/gateway.conf" "$site"; then return 0; fi
	if [ -z "$act" ]; then plan "write $site"; return 0; fi
	if [ -f "$site" ]; then cp -- "$site" "$site.before"; fi
	cp -- "$here/nginx/gateway.conf" "$site.new" && chmod 644 "$site.new" && mv -f -- "$site.new" "$site"
	[ -z "$prefix" ] || return 0
	if nginx -t -q; then
		rm -f -- "$site.before"
		systemctl reload nginx 2>/dev/null || systemctl restart nginx
		return 0
	fi
	if [ -f "$site.before" ]; then mv -f -- "$site.before" "$site"; else rm -f -- "$site"; fi
	fail 1 "nginx refuses the site; the one from before is in place" "nginx -t"
}

everything() { account; directories; files; secrets; certificate; serve; }

default_site
act=''
say "install.sh would:"
everything
if [ -z "$planned" ]; then
	say '  do nothing: everything is in place'
	exit 0
fi
[ -z "$dry" ] || exit 0
if [ -z "$yes" ]; then
	[ -t 0 ] || fail 2 'there is no terminal to ask on' "'$here/install.sh' --yes"
	printf 'Go ahead? [Y/n] ' >&2
	read -r answer
	case $answer in '' | y | Y | yes) ;; *) say 'nothing was changed'; exit 1 ;; esac
fi
act=yes
everything
if [ -z "$prefix" ]; then
	if [ -n "$units_changed" ]; then systemctl daemon-reload; fi
	ports=$(value_of "$here/server.env" PORTS) || ports=4000
	is_a ports "$ports" || fail 2 "PORTS in $here/server.env are not ports"
	for port in $ports; do systemctl enable -q "litellm-gateway@$port.service"; done
	systemctl enable -q --now llm-gateway-backup.timer llm-gateway-check.timer
fi
say "Done. Next: $root/deploy.sh"
