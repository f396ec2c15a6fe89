# shellcheck shell=sh
# PostgreSQL as the gateway of this server uses it; the other scripts source this file after instances.sh. Without DATABASE_HOST the
# programs of PostgreSQL run in the service postgres, else on this machine, against that host.
#
# Promises: the password is in no argument. A dump is restored into a database of its own first; the exchange with the live one is a
# single transaction of two renames, so at any moment there is one whole database under the name that LiteLLM uses.

here=${here-.} env_file=${env_file-} DATABASE_PORT=${DATABASE_PORT-5432}

# Sets what the programs of PostgreSQL read, where they run on this machine.
set_database() {
	[ -n "$DATABASE_HOST" ] || return 0
	PGPASSWORD=$(secret DATABASE_PASSWORD) || fail 1 "$env_file holds no DATABASE_PASSWORD"
	PGHOST=$DATABASE_HOST PGPORT=$DATABASE_PORT PGUSER=$DATABASE_USER
	export PGUSER PGPASSWORD PGHOST PGPORT
}

# pg PROGRAM ARGUMENTS…
pg() {
	program=$1
	shift
	if [ -z "$DATABASE_HOST" ]; then
		compose exec -T postgres "$program" -U "$DATABASE_USER" "$@"
	else
		"$program" -w "$@" 9>&-
	fi
}

# sql DATABASE [psql options…]: the statements from standard input, all or none.
sql() {
	name=$1
	shift
	pg psql -X -q -A -t -v ON_ERROR_STOP=1 --single-transaction -d "$name" "$@" -f -
}

dump_database() { pg pg_dump -Fc -d "$DATABASE_NAME" </dev/null; }

drop_database() { pg dropdb --if-exists --force --maintenance-db=postgres "$1" </dev/null; }

# fill_database NAME DUMP: a fresh database with the contents of the dump.
fill_database() {
	drop_database "$1" && pg createdb --maintenance-db=postgres -T template0 "$1" </dev/null || return
	pg pg_restore --no-owner --no-privileges --exit-on-error -d "$1" <"$2"
}

# exchange_database NEW OLD: NEW gets the live name, and what had it becomes OLD.
exchange_database() {
	drop_database "$2" || return
	sql postgres -v live="$DATABASE_NAME" -v new="$1" -v old="$2" <<-'END'
	SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname IN (:'live', :'new');
	ALTER DATABASE :"live" RENAME TO :"old";
	ALTER DATABASE :"new" RENAME TO :"live";
	END
}

# rows_of_dump DUMP: "TABLE ROWS" for every table, sorted, the names as SQL writes them.
rows_of_dump() {
	pg pg_restore --data-only -f - <"$1" | awk '
		!inside && sub(/^COPY /, "") { sub(/ \(.*/, ""); table = $0; rows[table] = 0; inside = 1; next }
		inside && $0 == "\\." { inside = 0; next }
		inside { rows[table]++ }
		END { for (table in rows) print table, rows[table] }' | sort
}

# rows_of_database NAME: the same of a database, for the tables that standard input lists in the same form.
rows_of_database() {
	while IFS= read -r line; do
		table=${line% *}
		printf "SELECT %s || ' ' || count(*) FROM %s;\n" "\$name\$$table\$name\$" "$table"
	done | sql "$1" | sort
}

case ${0##*/} in
database.sh)
	case ${1-} in
	-h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' "$0" ;;
	*) echo 'usage: database.sh --help (the other scripts source this file)' >&2; exit 2 ;;
	esac ;;
esac
