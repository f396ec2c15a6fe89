"""The lane of a machine with systemd: units, the site of nginx, the rotation of logs. nginx in front of Compose is read here too."""
import os
import re
import shutil

from reading import check_every_file, files, filled_copy, judged, refused, run

UNITS = ("*.service", "*.timer", "*.socket", "*.path", "*.target")
# Tenths: systemd calls 3.0 and less "OK".
EXPOSURE = 30


def check_systemd(directory, tools):
    units = files(directory, *UNITS)
    if not units:
        return [f"systemd: no file of this target in {directory}"]
    findings = check_every_file(directory, tools)
    with filled_copy(directory) as copy:
        program = tools.find("systemd-analyze")
        if program:
            findings += unit_findings(units, copy.parent / "root", program)
        findings += check_nginx(copy, tools)
        findings += check_logrotate(copy, tools)
    return findings


def unit_findings(units, root, program):
    place = root / "etc/systemd/system"
    place.mkdir(parents=True)
    machine = next(path for path in ("/usr/lib/systemd/system", "/lib/systemd/system") if os.path.isdir(path))
    shutil.copytree(machine, root / "usr/lib/systemd/system", symlinks=True, ignore_dangling_symlinks=True)
    for path in units:
        shutil.copy(path, place)
        for name in programs_of(path.read_text()):
            stand_in = root / name.lstrip("/")
            stand_in.parent.mkdir(parents=True, exist_ok=True)
            stand_in.write_text("#!/bin/sh\n")
            stand_in.chmod(0o755)
    findings = []
    for path in units:
        name = path.name.replace("@.", "@4000.")
        verify = [program, "verify", f"--root={root}", name]
        # An unknown key is only a warning: systemd ignores it and goes on.
        findings += judged(path.name, verify, silent=True)
        text = path.read_text()
        (place / path.name).write_text(text.replace("[Unit]", "[Unit]\nDescriptoin=x", 1))
        if not run(verify)[2].strip():
            findings.append(f"{path.name}: systemd-analyze says nothing of an unknown key")
        (place / path.name).write_text(text)
        if path.suffix == ".service":
            secure = [program, "security", "--offline=true", "--no-pager", f"--root={root}", f"--threshold={EXPOSURE}", name]
            findings += exposure(path.name, secure)
        for calendar in re.findall(r"(?m)^OnCalendar=(.*)$", text):
            findings += judged(path.name, [program, "calendar", calendar])
    if any(path.suffix == ".timer" for path in units):
        findings += refused("a timer", "a day that is none", [program, "calendar", "someday"])
    return findings


def programs_of(text):
    """The programs that the lines of a unit start: verify wants each to be there."""
    commands = re.findall(r"(?m)^Exec\w+=[-+!@:|]*(\S+)", re.sub(r"\\\n", " ", text))
    return [command.strip('"') for command in commands if command.strip('"').startswith("/")]


def exposure(where, command):
    status, said, complaint = run(command)
    level = re.search(r"Overall exposure level.*?: (\d+\.\d)", said)
    if not level:
        return [f"{where}: systemd-analyze security: {complaint.strip()[:300]}"]
    return [f"{where}: exposure {level[1]}, more than {EXPOSURE / 10}"] if status else []


# --- nginx -------------------------------------------------------------------------------------------------------------------


def check_nginx(directory, tools, hosts=()):
    """`nginx -t` and gixy on every site below a directory. `hosts` are names that only the engine resolves."""
    sites = [path for path in files(directory, "*.conf", "*.conf.template", "nginx/*", "sites-*/*") if is_site(path)]
    nginx, gixy = tools.find("nginx"), tools.find("gixy")
    findings = []
    for number, path in enumerate(dict.fromkeys(sites)):
        place = directory.parent / f"nginx-{number}"
        certificate(place, tools)
        site = place / "site.conf"
        text = here(path.read_text(), place, hosts)
        whole = bool(re.search(r"(?m)^\s*http\s*\{", text))
        site.write_text(text if whole else f"events {{}}\nhttp {{\n{text}\n}}\n")
        command = [nginx, "-t", "-q", "-p", place, "-e", place / "error.log", "-g", f"pid {place}/pid;", "-c", site]
        if nginx:
            findings += judged(path.name, command, silent=True)
            broken = place / "broken.conf"
            broken.write_text(site.read_text().replace("server {", "server {\n    proxy_bufering off;", 1))
            findings += refused(path.name, "an unknown directive", [*command[:-1], broken])
        if gixy:
            findings += judged(path.name, [gixy, "-l", "--disable-includes", "-f", "text", site], home=str(place))
            broken = place / "broken.conf"
            broken.write_text(site.read_text().replace("server {", "server {\n    add_header X $uri;\n    return 301 http://$host$uri;", 1))
            findings += refused(path.name, "a split of the response", [gixy, "-l", "--disable-includes", broken], home=str(place))
    return findings


def is_site(path):
    return path.is_file() and re.search(r"(?m)^\s*server\s*\{", path.read_text(errors="replace")) is not None


def certificate(place, tools):
    place.mkdir()
    openssl = tools.find("openssl")
    if openssl:
        command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        run([*command, "-subj", "/CN=gateway.example.com", "-keyout", place / "key.pem", "-out", place / "cert.pem"])


def here(text, place, hosts):
    """The same site on this machine: its certificate, ports that need no root, and names that only an engine knows."""
    text = re.sub(r"(?m)^(\s*ssl_(?:trusted_)?certificate)\s+[^;]+;", rf"\1 {place}/cert.pem;", text)
    text = re.sub(r"(?m)^(\s*ssl_certificate_key)\s+[^;]+;", rf"\1 {place}/key.pem;", text)
    text = re.sub(r"(?m)^(\s*listen\s+(?:[^\s;]*:)?)(\d{2,3})\b", lambda found: f"{found[1]}{20000 + int(found[2])}", text)
    text = re.sub(r"(?m)^(\s*(?:access_log|error_log)\s+)/[^\s;]+", rf"\1{place}/log", text)
    for name in hosts:
        text = re.sub(rf"(\b(?:server\s+|https?://)){re.escape(name)}(?=[:/;\s])", r"\g<1>127.0.0.1", text)
    return text


# --- logrotate -----------------------------------------------------------------------------------------------------------------


def check_logrotate(directory, tools):
    found = [path for path in files(directory, "*") if "logrotate" in path.relative_to(directory).as_posix() and not path.suffix == ".md"]
    program, findings = tools.find("logrotate") if found else None, []
    for path in found if program else []:
        path.chmod(0o644)
        # The account is made by the script that installs the file.
        path.write_text(re.sub(r"(?m)^(\s*su) .*$", r"\1 root root", path.read_text()))
        command = [program, "-d", "-s", directory.parent / "state", path]
        status, said, complaint = run(command)
        errors = [line for line in (said + complaint).splitlines() if line.startswith("error:")]
        findings += [f"{path.name}: logrotate: {line}" for line in errors or ([complaint[-200:]] if status else [])]
        broken = directory.parent / "broken"
        broken.write_text(re.sub(r"rotate \d+", "rotate never", path.read_text()))
        status, said, complaint = run([*command[:-1], broken])
        if not status and "error:" not in said + complaint:
            findings.append(f"{path.name}: logrotate accepts a copy with a word for a number")
    return findings
