"""backup.sh and restore.sh with a real S3 server, the database of the running LiteLLM behind them."""
import hashlib
import json
import shutil
import subprocess
import time

from stage import KEY, Wrong, free_port, ran, within

ACCESS, SECRET, BUCKET = "key-of-test", 'secret"of\\test', "backups"


def server_line(program, directory, port):
    """The command line of an S3 server that keeps its objects as files."""
    return [program, "--host", "127.0.0.1", "--port", port, "--access-key", ACCESS, "--secret-key", SECRET, directory]


def settings(port):
    """What is added to server.env, and operations.env."""
    return (
        f"S3_ENDPOINT=http://127.0.0.1:{port}\nS3_BUCKET={BUCKET}\nS3_PREFIX=gateway/\n",
        f"BACKUP_S3_ACCESS_KEY_ID={ACCESS}\nBACKUP_S3_SECRET_ACCESS_KEY={SECRET}\n",
    )


def stored(directory, record):
    """The name of an archive that the store holds, byte for byte as its record says, beside its checksum."""
    name = record["location"].rpartition("/")[2]
    place = directory / BUCKET / "gateway"
    if record["location"] != f"s3://{BUCKET}/gateway/{name}" or record["status"] != "success":
        raise Wrong(f"the backup says {record}")
    held, beside = hashlib.sha256((place / name).read_bytes()).hexdigest(), (place / f"{name}.sha256").read_text()
    if held != record["checksum"] or beside.split() != [held, name]:
        raise Wrong(f"the store holds {name} with {held} and says {beside!r}; the record says {record['checksum']}")
    return name


def said(stage, name, *words, seconds=900):
    """Both outputs of a shipped script."""
    return ran(["sh", "-c", 'exec "$0" "$@" 2>&1', stage.root / name, *words], seconds, env=stage.environment())


def teams(stage):
    return set(stage.query('select team_alias from "LiteLLM_TeamTable"').split())


def chain(stage, seen):
    directory, port = stage.scratch / "store", free_port()
    server = stage.tools.find("s3s-fs")
    if not server:
        print(f"SKIP backup: {stage.tools.missing['s3s-fs']}")
        return
    (directory / BUCKET).mkdir(parents=True)
    stage.begin(server_line(server, directory, port))
    more, secrets = settings(port)
    with open(stage.root / "server.env", "a") as file:
        file.write(more)
    (stage.root / "operations.env").write_text(secrets)
    (stage.root / "operations.env").chmod(0o600)
    stage.script("team.sh", "create", "kept", "--budget", "10")
    began = time.monotonic()
    record = json.loads(stage.script("backup.sh").splitlines()[-1])
    name = stored(directory, record)
    seen(f"backup.sh: {record['sizeBytes']} bytes of configuration and database in an S3 server, read back, checksum {record['checksum'][:12]}…", began)
    shutil.rmtree(stage.root / "backups")
    began = time.monotonic()
    drill = said(stage, "restore.sh", f"s3:{name}", "--drill").strip().splitlines()
    left = stage.query("select count(*) from pg_database where datname like 'gateway%'")
    if left != "0":
        raise Wrong(f"the drill leaves {left} databases")
    seen(f"restore.sh --drill from the store: {drill[-3]}; {drill[-1]}; it leaves no database", began)
    stage.script("team.sh", "create", "lost", "--budget", "10")
    if not {"kept", "lost"} <= teams(stage):
        raise Wrong(f"the teams are {teams(stage)}")
    began = time.monotonic()
    stage.script("restore.sh", f"s3:{name}", "--yes", seconds=1500)
    if "kept" not in teams(stage) or "lost" in teams(stage):
        raise Wrong(f"after the restoration the teams are {teams(stage)}")
    status, text = within(60, lambda: stage.ask("GET", "/team/list", KEY), "LiteLLM answers")
    if status != 200 or '"kept"' not in text or '"lost"' in text:
        raise Wrong(f"LiteLLM serves another state than the restored one: {status} {text[:300]}")
    seen("restore.sh from the store: both instances healthy, the teams are those of the backup", began)
    damaged = directory / BUCKET / "gateway" / name
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    refused = subprocess.run([stage.root / "restore.sh", f"s3:{name}", "--drill"], env=stage.environment(), capture_output=True, text=True, timeout=300)
    if refused.returncode != 8:
        raise Wrong(f"an archive that the store changed: exit {refused.returncode}, {refused.stderr[-300:]}")
    seen("an archive that changed in the store is refused with exit status 8")
