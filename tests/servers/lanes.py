"""One lane for each target of `gwinstall render`: the real programs read a rendered directory, then copies of it that were broken on
purpose. A lane returns what it found, one line each; what it could not try stands in `tools.missing`.

Files are found by their kind, so a lane does not depend on how a directory is laid out.
"""
import copy as copying
import plistlib
import re
import shutil
import tempfile

import machine
import monitoring
from reading import (
    check_every_file,
    documents,
    files,
    filled_copy,
    judged,
    refused,
    replaced,
    run,
    strict_json,
    walk,
    yaml_files,
)
from tools import HERE

COMPOSE_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
BUILT_IN_GROUPS = re.compile(r"^(v1|[a-z.]+\.k8s\.io/\w+|(apps|batch|autoscaling|policy)/\w+)$")
QUANTITY = re.compile(r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei)?$")


def nothing_found(lane, directory):
    return [f"{lane}: no file of this target in {directory}"]


# --- Docker Compose ----------------------------------------------------------------------------------------------------------


def check_compose(directory, tools):
    found = [path for path in files(directory, *COMPOSE_NAMES)]
    if not found:
        return nothing_found("compose", directory)
    findings = check_every_file(directory, tools)
    program = tools.find("docker-compose")
    with filled_copy(directory) as copy:
        for path in files(copy, *COMPOSE_NAMES):
            if program:
                findings += compose_findings(path, program, tools)
            names = documents([path], tools)[0].get(path, [{}])
            findings += machine.check_nginx(path.parent, tools, hosts=names[0].get("services", {}))
    return findings


def compose_findings(path, program, tools):
    command = compose_command(program, path)
    # Compose only warns of a variable without a value, and goes on with nothing in its place.
    findings = judged(path.name, command, silent=True, home=str(path.parent))
    parsed = documents([path], tools)[0].get(path)
    if findings or not parsed:
        return findings
    for why, edit in COMPOSE_EDITS.items():
        broken = copying.deepcopy(parsed[0])
        edit(broken)
        if broken == parsed[0]:
            findings.append(f"{path.name}: cannot be broken with {why}: this check has nothing to hold on to")
            continue
        target = path.with_name("broken.yaml")
        replaced(target, [broken])
        findings += refused(path.name, why, compose_command(program, target), home=str(path.parent))
        target.unlink()
    return findings + split_by_podman(parsed[0]) + compose_without_a_value(path, command)


def split_by_podman(composed):
    """Through the interface that Compose uses, podman splits each argument of a check at its spaces."""
    tests = {name: service.get("healthcheck", {}).get("test", []) for name, service in composed["services"].items()}
    return [f"{name}: its health check reaches podman in pieces: {test}" for name, test in tests.items()
            if test[:1] == ["CMD"] and any(" " in word for word in test)]


def compose_command(program, path, *words):
    """As the shipped scripts call it: the secrets are the values of its variables."""
    values = path.with_name("secrets.env")
    more = ["--env-file", values] if values.exists() else []
    return [program, "--project-directory", path.parent, *more, "-f", path, "config", *(words or ["-q"])]


def compose_without_a_value(path, command):
    environment = path.with_name("secrets.env")
    required = sorted(set(re.findall(r"(?<!\$)\$\{([A-Za-z_]\w*):?\?", path.read_text())))
    if not required or not environment.exists():
        return []
    text, findings = environment.read_text(), []
    for name in required:
        environment.write_text(re.sub(rf"(?m)^{name}=.*\n?", "", text))
        findings += refused(path.name, f"no value for {name}", command, home=str(path.parent))
    environment.write_text(text)
    return findings


def service_of(document):
    """A service that waits for another one, else any."""
    services = document["services"]
    return next((each for each in services.values() if each.get("depends_on")), next(iter(services.values())))


def with_wrong_condition(document):
    service_of(document)["depends_on"] = {name: {"condition": "service_is_healthy"} for name in document["services"]}


def with_unknown_service(document):
    service_of(document)["depends_on"] = {"not-there": {"condition": "service_started"}}


COMPOSE_EDITS = {
    "a wrong condition": with_wrong_condition,
    "an unknown key": lambda document: service_of(document).update(enviroment={}),
    "port 99443": lambda document: service_of(document).update(ports=["99443:443"]),
    "an undeclared volume": lambda document: service_of(document).update(volumes=["not-declared:/data"]),
    "an unknown service in depends_on": with_unknown_service,
}


# --- Kubernetes --------------------------------------------------------------------------------------------------------------


def check_kubernetes(directory, tools):
    if not files(directory, "kustomization.yaml"):
        return nothing_found("kubernetes", directory)
    findings = check_every_file(directory, tools)
    kubectl = tools.find("kubectl")
    with filled_copy(directory) as copy:
        for path in files(copy, "kustomization.yaml") if kubectl else []:
            where = path.parent.relative_to(copy).as_posix()
            if re.search(r"(?m)^kind:\s*Component\b", path.read_text()):
                continue
            status, built, complaint = run([kubectl, "kustomize", path.parent])
            if status or complaint.strip():
                findings.append(f"{where}: kubectl kustomize: {complaint.strip()[:400]}")
                continue
            target = copy.parent / "built.yaml"
            target.write_text(built)
            findings += kubernetes_findings(target, where, tools)
    return findings


def kubernetes_findings(path, where, tools):
    """What the schemas of the oldest and the newest Kubernetes say about objects, and that they refuse broken ones."""
    parsed, findings = documents([path], tools)
    findings = [f"{where}: {finding}" for finding in findings]
    objects = [each for each in parsed.get(path, []) if BUILT_IN_GROUPS.match(str(each.get("apiVersion")))]
    if not objects:
        return [*findings, f"{where}: no object of Kubernetes itself"]
    findings += wrong_quantities(objects, where)
    judges = [("1.24", tools.find("kubernetes-validate-1.24")), ("newest", tools.find("kubernetes-validate"))]
    for version, program in judges:
        if not program:
            continue
        command = [program, "--strict", "--quiet", *(["-k", version] if version != "newest" else []), path]
        replaced(path, objects)
        findings += judged(f"{where} at {version}", command)
        workloads = [index for index, each in enumerate(objects) if each["kind"] in ("Deployment", "Job", "StatefulSet")]
        edits = {"an unknown key": {"replicaz": 3}, "a word for a number": {"replicas": "three", "backoffLimit": "four"}}
        for why, edit in edits.items() if workloads else []:
            broken = copying.deepcopy(objects)
            broken[workloads[0]]["spec"].update(edit)
            replaced(path, broken)
            findings += refused(f"{where} at {version}", why, command)
    return findings


def wrong_quantities(objects, where):
    """The schemas take any text for an amount of memory; an API server does not."""
    wrong = []
    for each in objects:
        for path, value in walk(each):
            if len(path) > 1 and path[-2] in ("requests", "limits") and not QUANTITY.match(str(value)):
                wrong.append(f"{where}: {each['kind']}: {path[-1]}: {value} is not a quantity")
    return wrong


# --- Helm --------------------------------------------------------------------------------------------------------------------


def check_helm(directory, tools):
    found = files(directory, "values*.yaml", "*-values.yaml")
    if not found:
        return nothing_found("helm", directory)
    findings, helm = check_every_file(directory, tools), tools.find("helm")
    if not helm:
        return findings
    first = next((path for path in found if path.name == "values.yaml"), found[0])
    with filled_copy(directory) as copy:
        for path in found:
            layers = [word for each in dict.fromkeys([first, path]) for word in ("-f", each)]
            findings += judged(path.name, [helm, "lint", "--strict", "--quiet", HERE / "chart", *layers], home=str(copy))
            command = [helm, "template", "gateway", HERE / "chart", *layers]
            status, built, complaint = run(command, home=str(copy))
            if status:
                findings.append(f"{path.name}: helm template: {complaint.strip()[:400]}")
                continue
            target = copy.parent / "built.yaml"
            target.write_text(built)
            findings += kubernetes_findings(target, path.name, tools)
            for key in ("replicasCount", "db.dataBase", "livenessProbe.pathh"):
                findings += refused(path.name, f"the unknown key {key}", [*command, "--set", f"{key}=1"], home=str(copy))
    return findings


# --- AWS Lambda --------------------------------------------------------------------------------------------------------------


def check_lambda(directory, tools):
    templates = [path for path in yaml_files(directory) if "AWS::" in path.read_text()]
    images = files(directory, "Dockerfile*", "Containerfile*")
    if not templates and not images:
        return nothing_found("lambda", directory)
    findings = check_every_file(directory, tools)
    with filled_copy(directory) as copy:
        if templates and (program := tools.find("cfn-lint")):
            for path in templates:
                findings += judged(path.name, [program, "--", path], home=str(copy))
                broken = copy / "broken.yaml"
                broken.write_text(re.sub(r"(MemorySize|Timeout): *\d+", r"\1: 99999", path.read_text()))
                findings += refused(path.name, "an impossible size", [program, "--", broken], home=str(copy))
        if images and (program := tools.find("hadolint")):
            for path in images:
                # hadolint 2.15.1 does not read `\\` before a quote, which every builder reads: chain lambda lets buildah read it.
                text = re.sub(r'\\\\(?=\\?")', "-", path.read_text())
                legible, broken = copy / "Dockerfile.legible", copy / "Dockerfile.broken"
                legible.write_text(text)
                findings += judged(path.name, [program, "--no-color", legible], home=str(copy))
                broken.write_text(text + "\nRUN cd /tmp && sudo apt-get install curl\n")
                findings += refused(path.name, "sudo in a step", [program, broken], home=str(copy))
    return findings


# --- settings of desktops ------------------------------------------------------------------------------------------------------


def check_desktop(directory, tools):
    settings = files(directory, "managed-settings.json")
    if not settings:
        return nothing_found("desktop", directory)
    findings = check_every_file(directory, tools)
    readers = {".plist": settings_of_plist, ".mobileconfig": settings_of_plist, ".reg": settings_of_registry}
    for path in settings:
        # The other forms of one system stand beside its file: Claude Code reads one of them, so they have to say the same.
        others = [other for other in files(path.parent, "*") if other.suffix in readers]
        try:
            wanted = strict_json(path.read_text())
        except ValueError:
            continue  # check_every_file has said so
        for other in others:
            findings += same_settings(other, wanted, readers[other.suffix])
    return findings


def same_settings(path, wanted, read):
    try:
        found = read(path.read_bytes())
    except Exception as error:  # each reader has errors of its own, and all of them mean this file
        return [f"{path.name}: {error}"]
    return [] if found == wanted else [f"{path.name}: does not say what {path.parent.name}/managed-settings.json says"]


def settings_of_plist(content):
    """A plist of the domain itself, or a profile for MDM with a payload for it."""
    found = plistlib.loads(content)
    for payload in found.get("PayloadContent", []):
        if payload.get("PayloadType") == "com.anthropic.claudecode":
            return {key: value for key, value in payload.items() if not key.startswith("Payload")}
        for domain, forms in payload.get("PayloadContent", {}).items():
            if domain == "com.anthropic.claudecode":
                return forms["Forced"][0]["mcx_preference_settings"]
    if "PayloadContent" in found:
        raise ValueError("no payload for com.anthropic.claudecode")
    return found


def settings_of_registry(content):
    text = content.decode("utf-16") if content[:2] in (b"\xff\xfe", b"\xfe\xff") else content.decode("ascii")
    keys = registry(text)
    for key, values in keys.items():
        if key.upper() == r"HKEY_LOCAL_MACHINE\SOFTWARE\POLICIES\CLAUDECODE":
            return strict_json(values["Settings"])
    raise ValueError("no key SOFTWARE\\Policies\\ClaudeCode")


def registry(text):
    """{key: {name: value}} of a .reg file of version 5, as regedit reads it."""
    lines = text.replace("\\\r\n", "").split("\r\n")
    if lines[0] != "Windows Registry Editor Version 5.00" or "\n" in "".join(lines):
        raise ValueError("is not a registry file of version 5 with line ends of Windows")
    keys, current = {}, None
    for number, line in enumerate(lines[1:], 2):
        if match := re.fullmatch(r"\[(HKEY_[A-Z_]+(?:\\[^\]\r]+)+)\]", line):
            current = keys.setdefault(match[1], {})
        elif match := re.fullmatch(r'(?:"((?:[^"\\]|\\["\\])*)"|@)="((?:[^"\\]|\\["\\])*)"', line):
            if current is None:
                raise ValueError(f"line {number} stands before a key")
            current[unquoted(match[1] or "")] = unquoted(match[2])
        elif match := re.fullmatch(r'"((?:[^"\\]|\\["\\])*)"=(?:dword:([0-9a-f]{8})|hex(?:\([0-9a-f]\))?:[0-9a-f, ]*)', line):
            current[unquoted(match[1])] = int(match[2] or "0", 16)
        elif line and not line.startswith(";"):
            raise ValueError(f"line {number} is not one of a registry file")
    return keys


def unquoted(text):
    return re.sub(r"\\([\"\\])", r"\1", text)


# --- GitHub Actions ------------------------------------------------------------------------------------------------------------


def check_github_actions(directory, tools):
    found = [path for path in yaml_files(directory) if path.parent.name == "workflows"]
    if not found:
        return nothing_found("github-actions", directory)
    findings = check_every_file(directory, tools)
    programs = {
        "actionlint": [tools.find("actionlint")],
        "zizmor": [tools.find("zizmor"), "--offline", "--quiet", "--format", "plain"],
    }
    with filled_copy(directory) as copy:
        for path in found:
            broken = copy / ".github/workflows/broken.yml"
            broken.parent.mkdir(parents=True, exist_ok=True)
            broken.write_text(re.sub(r"(?m)^(\s+)runs-on:.*$", r"\1runs-onn: x", path.read_text()))
            for command in programs.values():
                if command[0]:
                    findings += judged(path.name, [*command, path], home=str(copy), cwd=copy)
            if programs["actionlint"][0]:
                findings += refused(path.name, "a job without runs-on", [*programs["actionlint"], broken], home=str(copy), cwd=copy)
            broken.write_text(re.sub(r"(?m)^(\s*(?:- )?uses: *[^@\s]+)@\S+.*$", r"\1@main", path.read_text()))
            if programs["zizmor"][0] and "uses:" in path.read_text():
                findings += refused(path.name, "an action without a pin", [*programs["zizmor"], broken], home=str(copy), cwd=copy)
            findings += workflow_schema(path, tools)
            findings += bodies(path, tools)
    return findings


def workflow_schema(path, tools):
    program, findings = tools.find("check-jsonschema"), []
    for schema in ("vendor.github-workflows", "custom.github-workflows-require-timeout") if program else ():
        findings += judged(path.name, [program, "--builtin-schema", schema, path])
    return findings


def bodies(path, tools):
    """Every `run:` of a workflow as the shell script that it is. An expression in one is text from outside in a script."""
    shellcheck, findings = tools.find("shellcheck"), []
    for keys, body in walk(documents([path], tools)[0].get(path, [{}])[0]):
        if not keys or keys[-1] != "run" or not isinstance(body, str):
            continue
        where = f"{path.name}: " + ".".join(str(key) for key in keys)
        if "${{" in body:
            findings.append(f"{where}: an expression stands in the script")
        if shellcheck:
            with tempfile.NamedTemporaryFile("w", suffix=".sh") as script:
                script.write(f"#!/bin/bash\nset -e\n{body}")
                script.flush()
                findings += judged(where, [shellcheck, "-f", "gcc", "-S", "style", script.name])
    return findings


# --- Ansible -----------------------------------------------------------------------------------------------------------------


def check_ansible(directory, tools):
    parsed, _ = documents(yaml_files(directory), tools)
    books = [path for path, found in parsed.items() if found and isinstance(found[0], list) and is_playbook(found[0])]
    if not books:
        return nothing_found("ansible", directory)
    findings = check_every_file(directory, tools)
    playbook, lint = tools.find("ansible-playbook"), tools.find("ansible-lint")
    with filled_copy(directory) as copy:
        environment = {"ANSIBLE_LOCALHOST_WARNING": "False", "ANSIBLE_INVENTORY_UNPARSED_WARNING": "False", "ANSIBLE_HOME": f"{copy}/.a"}
        more = {"home": str(copy.parent), "cwd": copy, "env": environment}
        for path in [copy / book.relative_to(directory) for book in books]:
            command = [playbook, "-i", "localhost,", "--syntax-check"]
            if playbook:
                findings += judged(path.name, [*command, path], **more)
                broken = path.with_name("broken.yaml")
                broken.write_text(re.sub(r"(?m)^(\s*)(pre_tasks|tasks|roles|handlers):", r"\1taskz:", path.read_text(), count=1))
                findings += refused(path.name, "a key that a play does not have", [*command, broken], **more)
                broken.unlink()
        if lint:
            shutil.rmtree(copy / ".a", ignore_errors=True)
            program_path = {"PATH": f"{lint.rsplit('/', 1)[0]}:/usr/bin:/bin"}
            more["env"] = {**environment, **program_path}
            findings += judged("ansible", [lint, "--offline", "-qq", "--nocolor", "-p", "--project-dir", copy], **more)
    return findings


def is_playbook(plays):
    return all(isinstance(play, dict) and ("hosts" in play or "import_playbook" in play) for play in plays) and bool(plays)


LANES = {
    "compose": check_compose,
    "kubernetes": check_kubernetes,
    "helm": check_helm,
    "systemd": machine.check_systemd,
    "lambda": check_lambda,
    "desktop": check_desktop,
    "github-actions": check_github_actions,
    "ansible": check_ansible,
    "monitoring": monitoring.check_monitoring,
}
