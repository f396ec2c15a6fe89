#!/bin/sh
# Checks the certificate of this gateway: the files, the key, the name, the time that is left, and with --live what nginx serves;
# with --take it copies a new one here.
#
# Promises: openssl's words are read where its exit status says nothing (-checkhost). The time that must be left is 30 days, or a third of
# the lifetime where that is less, so that certificates of 45 days pass too. OCSP is asked for only where the certificate names a
# responder; without stapling this is a warning. The private key is compared and never printed. A new pair is copied only where it is
# good, and its key is for the account of the gateway alone. Never asks an authority for a certificate: certbot or another client does.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
# shellcheck source-path=SCRIPTDIR source=read-values.sh disable=SC1091
. "$here/read-values.sh"
# shellcheck source-path=SCRIPTDIR source=instances.sh disable=SC1091
. "$here/instances.sh"

usage='usage: certificate.sh [--live [HOST:PORT]]
       certificate.sh --take DIR

  --live [HOST:PORT]  also connect, by default to 127.0.0.1:443: TLS 1.2 and 1.3 are served, TLS 1.1 is refused, and the served
                      certificate is that of the file
  --take DIR          check fullchain.pem, privkey.pem and cert.pem of DIR, copy them here and let nginx load them: what certbot calls as
                      its --deploy-hook, with the directory that it names in RENEWED_LINEAGE

exit status: 0 good, 1 not good (every reason is named), 2 wrong usage'
live='' taken=''
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) printf '%s\n' "$usage"; exit 0 ;;
	--live)
		live=127.0.0.1:443
		case ${2-} in
		'' | -*) ;;
		*[!A-Za-z0-9.:-]*) fail 2 '--live takes HOST:PORT' ;;
		*:*) live=$2; shift ;;
		*) fail 2 '--live takes HOST:PORT' ;;
		esac ;;
	--take)
		[ -d "${2-}" ] || fail 2 '--take takes a directory'
		taken=$2; shift ;;
	*) printf '%s\n' "$usage" >&2; exit 2 ;;
	esac
	shift
done
read_values
[ -n "$DOMAIN" ] || fail 2 'server.env names no DOMAIN'
have openssl || fail 1 'openssl is not installed' 'apt-get install openssl'

bad=0
pass() { printf 'PASS %s\n' "$*"; }
wrong() { printf 'FAIL %s\n' "$*"; bad=1; }
warning() { printf 'WARN %s\n' "$*"; }

from=${taken:-$CERTIFICATE_DIR}
chain=$from/fullchain.pem key=$from/privkey.pem leaf=$from/cert.pem

# seconds_of DATE: the seconds since 1970 of a date as openssl prints it (Nov 27 07:22:11 2026 GMT). GNU date reads it, busybox does not.
seconds_of() {
	printf '%s\n' "$1" | awk '{
		month = (index("JanFebMarAprMayJunJulAugSepOctNovDec", $1) + 2) / 3
		day = $2; year = $4; split($3, time, ":")
		if (month <= 2) { year--; month += 12 }
		days = 365 * year + int(year / 4) - int(year / 100) + int(year / 400) + int((153 * (month - 3) + 2) / 5) + day - 719469
		printf "%.0f\n", days * 86400 + time[1] * 3600 + time[2] * 60 + time[3]
	}'
}

check_files() {
	for file in "$chain" "$key" "$leaf"; do
		if [ -s "$file" ]; then pass "$file"; else wrong "$file is missing"; fi
	done
	if [ -s "$key" ] && others_can_read "$key"; then wrong "other accounts can read $key (chmod 600)"; fi
	[ "$bad" -eq 0 ] || exit 1
	for file in "$chain" "$leaf"; do
		openssl x509 -in "$file" -noout 2>/dev/null || { wrong "$file is not a certificate"; exit 1; }
	done
	openssl pkey -in "$key" -noout 2>/dev/null || { wrong "$key is not a private key that can be read"; exit 1; }
}

check_contents() {
	if [ "$(openssl x509 -in "$chain" -pubkey -noout)" = "$(openssl pkey -in "$key" -pubout 2>/dev/null)" ]; then
		pass 'the key belongs to the certificate'
	else
		wrong "$key is not the key of $chain"
	fi
	if [ "$(fingerprint "$chain")" = "$(fingerprint "$leaf")" ]; then
		pass 'fullchain.pem begins with cert.pem'
	else
		wrong 'fullchain.pem begins with another certificate than cert.pem'
	fi
	# The exit status is 0 whether the name matches or not.
	case $(openssl x509 -in "$chain" -noout -checkhost "$DOMAIN" 2>&1) in
	*'does match'*) pass "the name is $DOMAIN" ;;
	*) wrong "the certificate is not for $DOMAIN" ;;
	esac
}

fingerprint() { openssl x509 -in "$1" -noout -fingerprint -sha256; }

check_time() {
	begin=$(seconds_of "$(openssl x509 -in "$chain" -noout -startdate | cut -d = -f 2)")
	end=$(seconds_of "$(openssl x509 -in "$chain" -noout -enddate | cut -d = -f 2)")
	need=$(((end - begin) / 3))
	if [ "$need" -gt 2592000 ]; then need=2592000; fi
	left=$((end - $(now)))
	if [ "$begin" -gt "$(now)" ]; then
		wrong 'the certificate is not valid yet'
	elif [ "$left" -le 0 ]; then
		wrong 'the certificate has expired'
	elif [ "$left" -le "$need" ]; then
		wrong "the certificate expires in $((left / 86400)) days; at least $((need / 86400)) must be left"
	else
		pass "the certificate is valid for $((left / 86400)) days more"
	fi
}

# shake OPTIONS…: a handshake; its text on standard output.
shake() {
	timeout 15 openssl s_client -connect "$live" -servername "$DOMAIN" "$@" </dev/null 2>&1 || :
}

# agrees OPTIONS…: whether a handshake with one version of TLS alone came to a cipher.
agrees() { shake "$@" | grep -q '^New, [^(]'; }

check_live() {
	for version in 1_2 1_3; do
		if agrees "-tls$version"; then
			pass "TLS 1.${version#1_} is served"
		else
			wrong "TLS 1.${version#1_} is not served on $live"
		fi
	done
	# Current builds of OpenSSL offer the old version at security level 0 only.
	if agrees -tls1_1 -cipher 'ALL:@SECLEVEL=0'; then
		wrong 'TLS 1.1 is served'
	else
		pass 'TLS 1.1 is refused'
	fi
	served=$(shake | openssl x509 -noout -fingerprint -sha256 2>/dev/null) || served=''
	if [ "$served" = "$(fingerprint "$chain")" ]; then
		pass 'the served certificate is that of the file'
	else
		wrong 'another certificate than that of the file is served: nginx has not been reloaded'
	fi
}

check_stapling() {
	if [ -z "$(openssl x509 -in "$chain" -noout -ocsp_uri)" ]; then
		pass 'OCSP stapling: the certificate names no responder, so there is nothing to staple'
	elif [ -z "$live" ]; then
		warning 'OCSP stapling: not looked at without --live'
	elif shake -status | grep -q 'OCSP Response Status: successful'; then
		pass 'OCSP stapling: the response is served'
	else
		warning 'OCSP stapling: the certificate names a responder, and no response is served'
	fi
}

# The pair of $taken, for nginx and for the account that checks it daily.
take() {
	for name in fullchain.pem privkey.pem cert.pem; do
		copy=$CERTIFICATE_DIR/$name.new
		rm -f -- "$copy"
		if ! { cp -L -- "$taken/$name" "$copy" && chmod 600 "$copy"; }; then
			fail 1 "$copy could not be written; the certificate from before stays"
		fi
		if [ "$LAYOUT" = systemd ] && [ "$(id -u)" -eq 0 ] && id "$SERVICE_USER" >/dev/null 2>&1; then chown "$SERVICE_USER" "$copy"; fi
	done
	for name in fullchain.pem privkey.pem cert.pem; do mv -f -- "$CERTIFICATE_DIR/$name.new" "$CERTIFICATE_DIR/$name"; done
	reload_site || fail 1 'nginx did not load the new certificate and serves the one from before' 'nginx -t'
	say "$CERTIFICATE_DIR holds the certificate of $taken"
}

check_files
check_contents
check_time
if [ -n "$taken" ]; then
	[ "$bad" -eq 0 ] || fail 1 "$CERTIFICATE_DIR was not changed"
	take
	exit 0
fi
if [ -n "$live" ]; then check_live; fi
check_stapling
exit "$bad"
