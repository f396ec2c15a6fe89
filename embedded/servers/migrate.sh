#!/bin/sh
# Brings the schema of the database to that of a version of LiteLLM, as a step of its own, before any instance of that version runs.
#
# Promises: one migration at a time has 30 minutes; its failure is the exit status, and no instance is started or stopped. The password
# of the database is in no argument. Never deletes data; a schema does not go back with a rollback, but restore.sh puts back a dump.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
# shellcheck source-path=SCRIPTDIR source=read-values.sh disable=SC1091
. "$here/read-values.sh"
# shellcheck source-path=SCRIPTDIR source=instances.sh disable=SC1091
. "$here/instances.sh"

usage='usage: migrate.sh [VERSION]

  VERSION  systemd: the release whose schema is wanted; without it the one that runs. With compose it is the image in .image

exit status: 0 done, also where there is no database; 1 failed, 2 wrong usage'
target=''
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) printf '%s\n' "$usage"; exit 0 ;;
	-*) printf '%s\n' "$usage" >&2; exit 2 ;;
	*) [ -z "$target" ] || { printf '%s\n' "$usage" >&2; exit 2; }; target=$1 ;;
	esac
	shift
done
read_values
if [ "$DATABASE" = no ]; then
	say 'LiteLLM uses no database here (DATABASE=no): nothing to migrate'
	exit 0
fi
limit=1800

if [ "$LAYOUT" = compose ]; then
	# The entry point of the image would take "python" for an argument of litellm.
	(cd "$ROOT" && exec timeout "$limit" "${CONTAINER_ENGINE:-docker}" compose --env-file secrets.env --env-file .image run --rm -T \
		--workdir /app -e DISABLE_SCHEMA_UPDATE=false --entrypoint python litellm litellm/proxy/prisma_migration.py) 9>&- >&2 ||
		fail 1 'the migration of the database failed; no instance was changed'
	exit 0
fi
release=$ROOT/venv
if [ -n "$target" ]; then
	is_a version "$target" || fail 2 "not a version: $target"
	release=$ROOT/releases/$target
fi
[ -x "$release/bin/python" ] || fail 1 "$release/bin/python is missing" "'$here/deploy.sh' ${target:-VERSION}"
DATABASE_PASSWORD=$(secret DATABASE_PASSWORD) || fail 1 "$env_file holds no DATABASE_PASSWORD"
DATABASE_HOST=$DATABASE_HOST:$DATABASE_PORT DATABASE_USERNAME=$DATABASE_USER
export DATABASE_HOST DATABASE_USERNAME DATABASE_NAME DATABASE_PASSWORD
DISABLE_SCHEMA_UPDATE=false PATH=$release/bin:$PATH
# The account of the gateway writes below data; what deploy.sh had Prisma fetch is in the release.
HOME=$ROOT/data LITELLM_MIGRATION_DIR=$ROOT/data/migrations
PRISMA_HOME_DIR=$release PRISMA_NODEENV_CACHE_DIR=$release/.cache/prisma-python/nodeenv
# A migration asks for no prices of models.
LITELLM_LOCAL_MODEL_COST_MAP=True
export DISABLE_SCHEMA_UPDATE PATH HOME LITELLM_MIGRATION_DIR PRISMA_HOME_DIR PRISMA_NODEENV_CACHE_DIR LITELLM_LOCAL_MODEL_COST_MAP
set -- timeout "$limit" "$release/bin/python" -m litellm.proxy.prisma_migration
if [ "$(id -u)" -eq 0 ] && id "$SERVICE_USER" >/dev/null 2>&1; then set -- runuser -u "$SERVICE_USER" -- "$@"; fi
(cd "$ROOT/data" && exec "$@") 9>&- >&2 || fail 1 'the migration of the database failed; no instance was changed'
