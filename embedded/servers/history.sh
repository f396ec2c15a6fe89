# shellcheck shell=sh
# The deployments of this server, one JSON line for each step in ROOT/data/deployments.jsonl; deploy.sh and rollback.sh source this
# file after read-values.sh.
#
# The fields: id, kind (deployment or rollback), commitSha, imageTag, status (pending, in_progress, success, failed, rolled_back),
# phase, startedAt, completedAt, healthCheckPassed, previousVersion. The last line of an id is its state.
#
# Promises: lines are only appended; a step that cannot follow the one before is refused. A line that a killed run left without its
# end is closed by the next one. ROOT/data/deployed/ID holds the configuration of each successful deployment, without any secret.

here=${here-.}
set_history() {
	history=$ROOT/data/deployments.jsonl
	deployed=$ROOT/data/deployed
	mkdir -p -- "$deployed"
	if [ ! -f "$history" ]; then : >"$history"; fi
}

# begin_deployment KIND VERSION PREVIOUS COMMIT
begin_deployment() {
	kind=$1 version=$2 previous=$3 commit=$4 state=''
	started=$(timestamp)
	id=dep-$(date -u +%Y%m%d-%H%M%S)
	count=1
	while grep -q "\"id\":\"$id\"" "$history"; do
		count=$((count + 1))
		id=dep-$(date -u +%Y%m%d-%H%M%S)-$count
	done
	if [ -s "$history" ] && [ -n "$(tail -c 1 "$history" | tr -d '\n')" ]; then echo >>"$history"; fi
}

# record STATUS PHASE [true|false]
record() {
	case $state:$1 in
	:pending | pending:in_progress | pending:failed | in_progress:in_progress | in_progress:success | in_progress:failed | failed:rolled_back) ;;
	*) fail 1 "a deployment that is ${state:-new} cannot become $1" ;;
	esac
	state=$1 completed=null
	# The script that sources this file reads it.
	# shellcheck disable=SC2034
	phase=$2
	case $1 in success | failed | rolled_back) completed="\"$(timestamp)\"" ;; esac
	printf '{"id":"%s","kind":"%s","commitSha":"%s","imageTag":"%s","status":"%s","phase":"%s",%s}\n' \
		"$id" "$kind" "$commit" "$version" "$1" "$2" \
		"\"startedAt\":\"$started\",\"completedAt\":$completed,\"healthCheckPassed\":${3:-null},\"previousVersion\":\"$previous\"" >>"$history"
}

# The last line of every id, in the order of their beginning. A torn line belongs to no id.
last_lines_of_history() {
	awk '
		match($0, /"id":"[^"]*"/) && /}$/ {
			id = substr($0, RSTART + 6, RLENGTH - 7)
			if (!(id in line)) order[++count] = id
			line[id] = $0
		}
		END { for (i = 1; i <= count; i++) print line[order[i]] }' "$history"
}

# The successful deployments that lead to what runs, oldest first, as "ID VERSION": a deployment adds one; a rollback removes those
# above its target.
successes() {
	last_lines_of_history | awk '
		function field(name) {
			if (!match($0, "\"" name "\":\"[^\"]*\"")) return ""
			return substr($0, RSTART + length(name) + 4, RLENGTH - length(name) - 5)
		}
		field("status") == "success" {
			version = field("imageTag")
			if (field("kind") == "rollback") {
				for (i = top; i > 0 && versions[i] != version; i--);
				if (i > 0) top = i; else versions[++top] = version
			} else if (top == 0 || versions[top] != version) versions[++top] = version
			ids[top] = field("id")
		}
		END { for (i = 1; i <= top; i++) print ids[i], versions[i] }'
}

# close_interrupted: a run that was killed left its deployment open. What it did to the server is unknown, so the open deployment
# counts as failed, and the last success stays what a rollback leads to.
close_interrupted() {
	open=$(last_lines_of_history | grep -E '"status":"(pending|in_progress)"' | tail -n 1)
	[ -n "$open" ] || return 0
	id=$(printf '%s\n' "$open" | json_field id)
	kind=$(printf '%s\n' "$open" | json_field kind)
	version=$(printf '%s\n' "$open" | json_field imageTag)
	previous=$(printf '%s\n' "$open" | json_field previousVersion)
	commit=$(printf '%s\n' "$open" | json_field commitSha)
	started=$(printf '%s\n' "$open" | json_field startedAt)
	state=$(printf '%s\n' "$open" | json_field status)
	say "$id ($kind to $version) was interrupted in phase $(printf '%s\n' "$open" | json_field phase); it counts as failed"
	if [ -n "$(tail -c 1 "$history" | tr -d '\n')" ]; then echo >>"$history"; fi
	record failed interrupted false
}

print_history() {
	last_lines_of_history | awk '
		function field(name) {
			if (!match($0, "\"" name "\":(\"[^\"]*\"|[a-z]+)")) return ""
			value = substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 3)
			gsub(/"/, "", value)
			return value
		}
		{
			status = field("status")
			printf "%s  %-11s  %-10s  health %-5s  %s\n", field("startedAt"), status, field("kind"), field("healthCheckPassed"), field("imageTag")
			if (status == "success") good++
			if (status == "success" || status == "failed" || status == "rolled_back") done++
			last = field("startedAt"); state = status
		}
		END {
			if (!NR) { print "no deployment yet"; exit }
			if (done) printf "success rate: %d %% (%d of %d)\n", int(100 * good / done), good, done
			printf "last run: %s (%s)\n", last, state
		}'
}

# What a deployment is made of besides its version. Secrets and private keys are not among it: they are newer than any deployment.
configuration_files() {
	(cd "$ROOT" && find compose.yaml config nginx -type f ! -name "*.env" ! -name "*.new.*" \
		-exec grep -LE "PRIVATE KEY|\"private_key\"" {} + 2>/dev/null) || :
}

# keep_configuration ID
keep_configuration() {
	rm -rf -- "${deployed:?}/$1" "$deployed/.new"
	mkdir -p -- "$deployed/.new"
	configuration_files | while IFS= read -r file; do
		mkdir -p -- "$deployed/.new/$(dirname -- "$file")"
		cp -p -- "$ROOT/$file" "$deployed/.new/$file"
	done
	mv -- "$deployed/.new" "$deployed/$1"
}

# put_configuration_back ID: file by file, each in one step. What stood there is kept in data/deployed/failed.
put_configuration_back() {
	[ -d "$deployed/$1" ] || return 0
	keep_configuration failed
	(cd "$deployed/$1" && find . -type f) | while IFS= read -r file; do
		if cmp -s -- "$deployed/$1/$file" "$ROOT/$file"; then continue; fi
		mkdir -p -- "$(dirname -- "$ROOT/$file")"
		cp -p -- "$deployed/$1/$file" "$ROOT/$file.new.$$"
		mv -f -- "$ROOT/$file.new.$$" "$ROOT/$file"
		say "restored $ROOT/${file#./} (the one of the failed deployment is in $deployed/failed)"
	done
}

# forget_configurations: those of the last KEEP_IMAGES successes stay.
forget_configurations() {
	kept=$(successes | tail -n "$KEEP_IMAGES" | cut -d ' ' -f 1)
	for each in "$deployed"/dep-*; do
		[ -d "$each" ] || continue
		printf '%s\n' "$kept" | grep -qx -- "${each##*/}" || rm -rf -- "$each"
	done
}

case ${0##*/} in
history.sh)
	case ${1-} in
	-h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' "$0" ;;
	*) echo 'usage: history.sh --help (the other scripts source this file)' >&2; exit 2 ;;
	esac ;;
esac
