//! One function for each second reader of a value: what it would expand, so that it does not. What cannot be written at all is
//! refused by the schema of `gateway.yaml`.

/// A string of compose.yaml: Compose expands `$`.
pub fn compose(value: &str) -> String {
    value.replace('$', "$$")
}

/// A variable, an argument or a command of a pod: Kubernetes expands `$(NAME)`, and makes one `$` of two.
pub fn kubernetes(value: &str) -> String {
    value.replace('$', "$$")
}

/// A value in a file for systemd's `EnvironmentFile=`: in double quotes systemd reads a backslash before `"`, `\`, `` ` `` and `$`.
pub fn environment_file(value: &str) -> String {
    let mut quoted = String::from("\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '`' | '$') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// A YAML or text value that Ansible, Prometheus or Helm passes through its templates: the braces come out of an expression.
pub fn braces(value: &str) -> String {
    value.replace("{{", "{{ '{{' }}").replace("{%", "{{ '{%' }}").replace("{#", "{{ '{#' }}")
}

/// A value of a GitHub workflow: `${{` starts an expression, which here gives the two characters themselves.
pub fn workflow(value: &str) -> String {
    value.replace("${{", "${{ '${{' }}")
}

/// A string in a configuration of nginx, with its quotes. nginx expands `$` in most values and has no escape for it, so a value
/// with `$` never gets here: the schema refuses it.
pub fn nginx(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}
