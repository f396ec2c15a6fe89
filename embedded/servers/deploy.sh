#!/bin/sh
# Deploys a version of LiteLLM together with the configuration that lies in ROOT, one instance after the other.
#
# Promises: one deployment at a time; a backup first; the migration of the database is a step of its own before any instance of the new
# version starts; each instance passes verify.sh before the next one is touched; where one does not, version and configuration of the
# last success run again and pass verify.sh too. Every step is a line of data/deployments.jsonl. A run that was killed is named and
# closed by the next one, and the last success stays what a rollback leads to. Only images or releases that it once
# deployed itself and that are not among the last KEEP_IMAGES successes are removed.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
# shellcheck source-path=SCRIPTDIR source=read-values.sh disable=SC1091
. "$here/read-values.sh"
# shellcheck source-path=SCRIPTDIR source=instances.sh disable=SC1091
. "$here/instances.sh"
# shellcheck source-path=SCRIPTDIR source=history.sh disable=SC1091
. "$here/history.sh"

usage='usage: deploy.sh [VERSION | IMAGE@DIGEST] [--commit SHA] [--no-pull] [--no-backup]
       deploy.sh --history [--json]

  VERSION        compose: a tag of the repository of IMAGE in server.env; systemd: a version of LiteLLM. Without it IMAGE itself
  IMAGE@DIGEST   compose: this very image, REPOSITORY[:TAG]@sha256:…
  --commit SHA   recorded with the deployment
  --no-pull      the image is on this machine already
  --no-backup    deploy although no backup can be made
  --history      the deployments so far and the share that succeeded; --json: one line for each

exit status: 0 done, 1 failed and nothing changed, 2 wrong usage, 5 failed and rolled back, 6 another deployment is at work,
7 failed, and the rollback failed too'

wrong() { printf '%s\n' "$usage" >&2; exit 2; }
asked='' commit_asked='' pull=yes backup=yes show='' json='' kind_asked=deployment
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) printf '%s\n' "$usage"; exit 0 ;;
	--commit)
		case ${2-} in '' | *[!0-9a-f]*) fail 2 "--commit takes the hexadecimal name of a commit" ;; esac
		commit_asked=$2; shift ;;
	--no-pull) pull='' ;;
	--no-backup) backup='' ;;
	--history) show=yes ;;
	--json) json=yes ;;
	# How rollback.sh calls this script.
	--rollback) kind_asked=rollback ;;
	-*) wrong ;;
	*) [ -z "$asked" ] || wrong; asked=$1 ;;
	esac
	shift
done
read_values
set_history
if [ -n "$show" ]; then
	if [ -n "$json" ]; then last_lines_of_history; else print_history; fi
	exit 0
fi

# The repository of an image reference, without tag and digest.
repository_of() {
	reference=${1%%@*}
	case ${reference##*/} in *:*) reference=${reference%:*} ;; esac
	printf '%s\n' "$reference"
}

# The whole name of what is asked for in $target.
find_target() {
	target=${asked:-$IMAGE}
	[ -n "$target" ] || fail 2 "neither an argument nor IMAGE in server.env says what to deploy" "'$here/deploy.sh' VERSION"
	if [ "$LAYOUT" = systemd ]; then
		is_a version "$target" || fail 2 "not a version: $target"
	else
		case $target in
		*/* | *@*) ;;
		*)
			is_a version "$target" || fail 2 "not a tag: $target"
			[ -n "$IMAGE" ] || fail 2 "server.env names no IMAGE, so a tag alone does not say which" "'$here/deploy.sh' REPOSITORY:$target"
			target=$(repository_of "$IMAGE"):$target ;;
		esac
		is_a image "$target" || fail 2 "not the name of an image: $target"
		case $target in
		*@sha256:*) [ "${#target}" -gt 72 ] || fail 2 "the digest of $target is not 64 digits long" ;;
		*@*) fail 2 "not the digest of an image: $target" ;;
		*:latest) warn "latest names another image tomorrow: a version can be deployed again and rolled back to" ;;
		esac
	fi
	case $target in
	*1.82.7 | *1.82.8 | *1.82.7[!0-9]* | *1.82.8[!0-9]*) fail 2 "LiteLLM 1.82.7 and 1.82.8 were published with malware" ;;
	esac
}

check_before() {
	[ -f "$env_file" ] || fail 1 "$env_file is missing"
	key=$(secret LITELLM_MASTER_KEY) || fail 1 "$env_file holds no LITELLM_MASTER_KEY"
	case $key in sk-?*) ;; *) fail 1 "LITELLM_MASTER_KEY in $env_file does not begin with sk-: LiteLLM would refuse it" ;; esac
	unset key
	if [ "$LAYOUT" = compose ]; then
		[ -f "$ROOT/compose.yaml" ] || fail 1 "$ROOT/compose.yaml is missing"
	fi
	require_engine
}

# The release directory of a version; a mark says that it is complete.
prepare_release() {
	release=$ROOT/releases/$1
	if [ -e "$release/.complete" ]; then return 0; fi
	have python3 || { say 'python3 is not installed'; return 1; }
	rm -rf -- "$release"
	mkdir -p -- "$ROOT/releases"
	umask 022
	python3 -m venv "$release" >&2 || return 1
	if grep -q "^litellm==$1\\( \\|\$\\)" "$ROOT/litellm.lock" 2>/dev/null; then
		set -- --require-hashes -r "$ROOT/litellm.lock"
	else
		set -- "litellm[proxy]==$1"
	fi
	"$release/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: "$@" >&2 || return 1
	umask 077
	[ -x "$release/bin/litellm" ] || { say "$release/bin/litellm was not installed"; return 1; }
	: >"$release/.complete"
}

# prepare_client RELEASE: LiteLLM reads its database with a client that Prisma generates into the release, and with programs that
# Prisma fetches. All of it stays in the release: the account of the gateway reads it there and writes nothing.
prepare_client() {
	if [ "$DATABASE" != yes ] || [ -e "$1/.client" ]; then return 0; fi
	schema=$(find "$1/lib" -path '*/litellm/proxy/schema.prisma' | head -n 1)
	[ -n "$schema" ] || { say "$1 holds no schema of the database"; return 1; }
	(umask 022 && HOME=$1 PATH=$1/bin:$PATH exec timeout 900 "$1/bin/prisma" generate --schema "$schema") 9>&- >&2 || return 1
	: >"$1/.client"
}

is_here() { engine image inspect "$1" >/dev/null 2>&1; }

# Fetches before anything that runs is touched. A rollback needs no registry where the image is still on this machine.
fetch() {
	if [ "$LAYOUT" = systemd ]; then
		prepare_release "$target" && prepare_client "$ROOT/releases/$target"
	elif [ -z "$pull" ] || { [ "$kind" = rollback ] && is_here "$target"; }; then
		is_here "$target" || { say "the image $target is not on this machine"; return 1; }
	else
		engine pull "$target" >&2
	fi
}

migrate() {
	[ "$DATABASE" = yes ] || return 0
	record in_progress migration
	"$here/migrate.sh" ${1+"$1"}
}

# finish_failed PHASE CODE WHAT: before anything that runs was touched.
finish_failed() {
	record failed "$1" false
	fail "$2" "$3; what runs was not changed"
}

# Back to the last success, or, where nothing ever ran, to nothing.
roll_back() {
	trap '' INT TERM HUP
	record failed "$phase" false
	if [ -z "$previous" ]; then
		say 'there is no earlier deployment to go back to: stopping what was started'
		for port in $PORTS; do stop_instance "$port" || :; done
		if [ "$LAYOUT" = systemd ]; then rm -f -- "$ROOT/venv"; else rm -f -- "$ROOT/.image"; fi
		record rolled_back stopped false
		exit 5
	fi
	say "rolling back to $previous"
	put_configuration_back "$previous_id"
	name_version "$previous"
	if start_all; then
		record rolled_back "$phase" true
		say "$version did not pass its health check; $previous runs again"
		exit 5
	fi
	alert "The deployment of $version on $(uname -n) failed, and so did the rollback to $previous."
	fail 7 "$version failed, and $previous does not pass its health check either" "'$here/verify.sh'"
}

# The last KEEP_IMAGES versions that succeeded, also those that were rolled back later, and in any case what a rollback leads to.
kept_versions() {
	successes | tail -n 2 | cut -d ' ' -f 2
	last_lines_of_history | sed -n '/"status":"success"/s/.*"imageTag":"\([^"]*\)".*/\1/p' | awk -v keep="$KEEP_IMAGES" '
		{ version[NR] = $0 }
		END { for (i = NR; i > 0 && count < keep; i--) if (!seen[version[i]]++) { print version[i]; count++ } }'
}

# Removes what was deployed once and is not kept any more; what was never deployed stays, and, because nothing is forced, what another
# container uses.
remove_old_versions() {
	kept=$(kept_versions)
	kept_ids=$(if [ "$LAYOUT" = compose ]; then for each in $kept; do id_of_image "$each"; done; fi)
	last_lines_of_history | sed -n 's/.*"imageTag":"\([^"]*\)".*/\1/p' | sort -u | while IFS= read -r each; do
		if printf '%s\n' "$kept" | grep -Fqx -- "$each"; then continue; fi
		if [ "$LAYOUT" = systemd ]; then
			rm -rf -- "${ROOT:?}/releases/$each"
		elif image_id=$(id_of_image "$each") && [ -n "$image_id" ]; then
			# Another name of an image that stays.
			if printf '%s\n' "$kept_ids" | grep -Fqx -- "$image_id"; then continue; fi
			engine image rm "$each" >/dev/null 2>&1 || say "the image $each is still in use and stays"
		fi
	done
}

id_of_image() { engine image inspect -f '{{.Id}}' "$1" 2>/dev/null </dev/null || :; }

find_target
check_before
take_lock deploy
close_interrupted
last=$(successes | tail -n 1)
previous_id=${last%% *} previous=${last#* }
begin_deployment "$kind_asked" "$target" "$previous" "$commit_asked"
record pending waiting
trap 'case $state in pending) record failed interrupted false ;; in_progress) record failed "$phase" false ;; esac; exit 130' INT
trap 'case $state in pending) record failed interrupted false ;; in_progress) record failed "$phase" false ;; esac; exit 143' TERM HUP

if [ -z "$backup" ]; then
	say 'no backup is made, as you asked (--no-backup)'
elif [ -z "$(running_version)" ]; then
	say 'the first deployment: there is nothing to back up yet'
else
	record in_progress backup
	"$here/backup.sh" --safety >/dev/null || finish_failed backup 1 'the backup before the deployment failed'
fi
record in_progress fetch
fetch || finish_failed fetch 1 "$target could not be fetched"
# With compose the migration runs in the image that .image names; it is named for good once the migration is through.
if [ "$LAYOUT" = compose ]; then
	before=$(running_version)
	name_version "$target"
	migrate || {
		if [ -n "$before" ]; then name_version "$before"; else rm -f -- "$ROOT/.image"; fi
		finish_failed migration 1 'the migration failed'
	}
else
	migrate "$target" || finish_failed migration 1 'the migration failed'
fi

trap 'phase=interrupted; roll_back' INT TERM HUP
record in_progress start
# A rollback also takes the configuration with which its target ran.
if [ "$kind" = rollback ]; then
	put_configuration_back "$(successes | awk -v wanted="$target" '$2 == wanted { id = $1 } END { print id }')"
fi
name_version "$target"
record in_progress health_check
start_all || roll_back
if [ "$LAYOUT" = compose ]; then compose up -d --remove-orphans >&2 || roll_back; fi
keep_configuration "$id"
trap '' INT TERM HUP
record success health_check true
forget_configurations
remove_old_versions || warn 'old versions could not be removed'
say "$target runs and passed its health check"
tail -n 1 "$history"
