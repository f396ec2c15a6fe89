"""The values of `variables` in gateway.yaml, as the engine of each target hands them to LiteLLM: unchanged, whatever they hold.

Docker Compose, kustomize, Helm, systemd and Ansible read with their own parsers. What a kubelet and a builder of images do with the
text that they get is read here after their documentation.
"""
import ctypes
import glob
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from reading import documents, files, filled_copy, run
from tools import HERE


def check_variables(directories, wanted, tools):
    """Findings about every target below `directories` ({lane: directory}) that carries variables."""
    findings = []
    for lane, read in READERS.items():
        found = read(directories[lane], tools)
        if found is None:
            continue  # `tools.missing` says why
        if not found:
            findings.append(f"{lane}: nothing carries the variables")
        for where, values in found.items():
            for name, value in wanted.items():
                if values.get(name) != value:
                    findings.append(f"{lane}: {where}: {name} is {values.get(name)!r} instead of {value!r}")
    return findings


def of_compose(directory, tools):
    from lanes import compose_command

    program = tools.find("docker-compose")
    if not program:
        return None
    with filled_copy(directory) as copy:
        command = compose_command(program, copy / "compose.yaml", "--format", "json")
        said = answered(command, home=str(copy))
    # What `config` prints is a Compose file again: each $ is written twice.
    services = json.loads(said)["services"]
    environments = {name: each.get("environment", {}) for name, each in services.items() if "litellm" in each["image"]}
    return {name: {key: value.replace("$$", "$") for key, value in each.items()} for name, each in environments.items()}


def of_kubernetes(directory, tools):
    kubectl = tools.find("kubectl")
    if not kubectl:
        return None
    with filled_copy(directory) as copy:
        return of_pods(answered([kubectl, "kustomize", copy / "base"]), tools)


def of_helm(directory, tools):
    helm = tools.find("helm")
    if not helm:
        return None
    values = directory / "values.yaml"
    return of_pods(answered([helm, "template", "gateway", HERE / "chart", "-f", values], home="/nonexistent"), tools)


def of_pods(text, tools):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as built:
        built.write(text)
        built.flush()
        objects = documents([built.name], tools)[0].get(Path(built.name), [])
    found = {}
    for each in objects:
        if each["kind"] not in ("Deployment", "Job"):
            continue
        for container in each["spec"]["template"]["spec"]["containers"]:
            given = {one["name"]: one["value"] for one in container.get("env", []) if "value" in one}
            found[f"{each['kind']} {container['name']}"] = {name: by_kubelet(value, given) for name, value in given.items()}
    return found


def by_kubelet(value, given):
    """$$ is a $, $(NAME) the value of a variable that is there, anything else stays."""
    return re.sub(r"\$(\$|\((\w+)\))", lambda it: "$" if it[1] == "$" else given.get(it[2], it[0]), value)


def of_systemd(directory, tools):
    found = environment_file(directory / "gateway.env", tools)
    return None if found is None else {"gateway.env": found}


def of_ansible(directory, tools):
    """The file that the role copies, after Ansible has copied it."""
    program = tools.find("ansible-playbook")
    if not program:
        return None
    source = directory / "roles/llm_gateway/files/gateway.env"
    with tempfile.TemporaryDirectory(prefix="gwinstall-ansible-") as scratch:
        copied = Path(scratch) / "gateway.env"
        task = {"ansible.builtin.copy": {"src": str(source), "dest": str(copied), "mode": "0644"}}
        book = Path(scratch) / "book.yml"
        book.write_text(json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task]}]))
        python = {"ANSIBLE_HOME": scratch, "ANSIBLE_LOCALHOST_WARNING": "False"}
        interpreter = f"ansible_python_interpreter={sys.executable}"
        answered([program, "-i", "localhost,", "-e", interpreter, book], home=scratch, env=python)
        found = environment_file(copied, tools)
    return None if found is None else {"gateway.env": found}


# systemd's own reader of `EnvironmentFile=`, out of the library that its programs share: load_env_file(FILE *, path, strv *).
SYSTEMD_READER = """
import ctypes, json, sys
library = ctypes.CDLL(sys.argv[1])
lines = ctypes.POINTER(ctypes.c_char_p)()
status = library.load_env_file(None, sys.argv[2].encode(), ctypes.byref(lines))
if status < 0:
    sys.exit(f"load_env_file: {status}")
found = []
while lines[len(found)]:
    found.append(lines[len(found)].decode())
json.dump(dict(line.split("=", 1) for line in found), sys.stdout)
"""


def environment_file(path, tools):
    """{name: value} of a file for `EnvironmentFile=`, as systemd reads it; None without a systemd whose reader can be called."""
    libraries = sorted(glob.glob("/usr/lib/*/systemd/libsystemd-shared-*.so") + glob.glob("/usr/lib/systemd/libsystemd-shared-*.so"))
    callable_ = [library for library in libraries if hasattr(ctypes.CDLL(library), "load_env_file")]
    if not callable_:
        tools.missing["systemd's reader of EnvironmentFile="] = "no libsystemd-shared with load_env_file"
        return None
    done = subprocess.run([sys.executable, "-c", SYSTEMD_READER, callable_[-1], path], capture_output=True, text=True, timeout=30)
    if done.returncode:
        raise RuntimeError(f"{path}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def of_image(directory, tools):
    """ENV of a Containerfile: in double quotes a backslash takes the meaning of the next character."""
    (path,) = files(directory, "Containerfile")
    lines = re.findall(r'(?m)^ENV (\w+)="(.*)"$', path.read_text())
    return {path.name: {name: re.sub(r'\\(["\\$])', r"\1", value) for name, value in lines}}


def answered(command, **more):
    status, said, complaint = run(command, **more)
    if status:
        raise RuntimeError(f"{Path(str(command[0])).name}: {(complaint or said).strip()[:400]}")
    return said


READERS = {
    "compose": of_compose,
    "kubernetes": of_kubernetes,
    "helm": of_helm,
    "systemd": of_systemd,
    "ansible": of_ansible,
    "github-actions": of_image,
    "lambda": of_image,
}
