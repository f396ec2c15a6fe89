"""The lane of what watches a gateway: rules and scrapes as Prometheus reads them, and dashboards whose queries ask for metrics that
LiteLLM has."""
import json
import re

from reading import check_every_file, documents, files, filled_copy, judged, refused, replaced, run, strict_json, walk, yaml_files

# Metrics of Prometheus itself, of the client library in every Python program, and of the usual exporters.
OTHERS = re.compile(r"^(up|ALERTS(_FOR_STATE)?|scrape_\w+|process_\w+|python_\w+|(pg|redis|nginx|node|container|kube|probe)_\w+)$")
WORDS = set(
    "and or unless on ignoring group_left group_right by without bool offset sum min max avg count stddev stdvar topk bottomk quantile "
    "count_values group inf nan start end atan2".split()
)


def check_monitoring(directory, tools):
    parsed, _ = documents(yaml_files(directory), tools)
    kinds = {path: kind_of(found[0]) for path, found in parsed.items() if found and isinstance(found[0], dict)}
    dashboards = [path for path in files(directory, "*.json") if '"panels"' in path.read_text()]
    if not any(kinds.values()) and not dashboards:
        return [f"monitoring: no file of this target in {directory}"]
    findings = check_every_file(directory, tools)
    metrics, promtool = tools.metrics(), tools.find("promtool")
    queries, recorded = {}, set()
    with filled_copy(directory) as copy:
        for path, kind in kinds.items():
            place = copy / path.relative_to(directory)
            if promtool and kind:
                findings += prometheus_findings(place, kind, parsed[path][0], promtool)
            if kind == "rules":
                recorded |= {value for keys, value in walk(parsed[path][0]) if keys and keys[-1] == "record"}
                queries[path.name] = [value for keys, value in walk(parsed[path][0]) if keys and keys[-1] == "expr"]
        for path in dashboards:
            found, wrong = dashboard(path)
            findings += wrong
            queries[path.name] = found
            if promtool and found:
                findings += language(copy.parent / "queries.yaml", path.name, found, promtool)
    for name, found in queries.items():
        findings += unknown_metrics(name, found, metrics and metrics | recorded)
    return findings


def kind_of(document):
    if "groups" in document:
        return "rules"
    if "tests" in document:
        return "test"
    return "config" if "scrape_configs" in document else None


def prometheus_findings(path, kind, document, promtool):
    command = {"rules": ["check", "rules"], "test": ["test", "rules"], "config": ["check", "config"]}[kind]
    if kind == "config":
        for keys, value in walk(document):
            if keys and str(keys[-1]).endswith("_file") and isinstance(value, str):
                secret = path.parent / value
                if path.parent in secret.parents and not secret.exists():
                    secret.parent.mkdir(parents=True, exist_ok=True)
                    secret.write_text("x\n")
    findings = judged(path.name, [promtool, *command, path], cwd=path.parent)
    broken, document = path.with_name("broken.yml"), json.loads(json.dumps(document))
    for keys, value in list(walk(document)):
        if keys and keys[-1] in ("expr", "metrics_path", "eval_time", "scrape_interval"):
            set_at(document, keys, {"expr": f"{value} ===", "eval_time": "soon"}.get(keys[-1], ["x"]))
    replaced(broken, [document])
    findings += refused(path.name, "an expression, a time or a path that is none", [promtool, *command, broken], cwd=path.parent)
    broken.unlink()
    return findings


def set_at(document, keys, value):
    for key in keys[:-1]:
        document = document[key]
    document[keys[-1]] = value


def dashboard(path):
    """(queries, findings) of a dashboard of Grafana."""
    try:
        document = strict_json(path.read_text())
    except ValueError:
        return [], []  # check_every_file has said so
    findings = [f"{path.name}: no {key}" for key in ("title", "panels", "schemaVersion") if key not in document]
    ids = [value for keys, value in walk(document) if keys and keys[-1] == "id" and len(keys) >= 3 and keys[-3] == "panels"]
    if len(ids) != len(set(ids)):
        findings.append(f"{path.name}: two panels have the same id")
    queries = [value for keys, value in walk(document) if keys and keys[-1] == "expr" and isinstance(value, str)]
    return queries, findings if queries else [*findings, f"{path.name}: no panel asks for anything"]


def language(scratch, name, queries, promtool):
    """Each query as a rule, because promtool judges rules; a variable of Grafana is a word or a time by then."""
    known = [re.sub(r"\$\{?__(rate_interval|interval|range)\}?", "5m", query) for query in queries]
    known = [re.sub(r"\$\{?\w+(:\w+)?\}?|\[\[\w+\]\]", "x", query) for query in known]
    findings = []
    for query in known:
        replaced(scratch, [{"groups": [{"name": "q", "rules": [{"record": "a:b:c", "expr": query}]}]}])
        status, said, complaint = run([promtool, "check", "rules", scratch])
        if status:
            findings.append(f"{name}: {query}: {(complaint or said).strip().splitlines()[-1]}")
    return findings


def names_of(query):
    """The metrics that a query asks for: what is neither a label, a function, a keyword nor text."""
    query = re.sub(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'', "", query)
    query = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", query)
    query = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", query)
    query = re.sub(r"\$\{?\w+\}?", "", query)
    return {name for name, opens in re.findall(r"\b([a-zA-Z_:][\w:]*)\s*(\(?)", query) if not opens and name not in WORDS}


def unknown_metrics(name, queries, metrics):
    if metrics is None:
        return []
    asked = {metric for query in queries for metric in names_of(str(query))}
    unknown = sorted(metric for metric in asked if metric not in metrics and not OTHERS.match(metric))
    return [f"{name}: LiteLLM has no metric {metric}" for metric in unknown]
