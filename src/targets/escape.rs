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

/// A text of an XML document, such as a property list of macOS.
pub fn xml(value: &str) -> String {
    value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A string in a registry file of Windows, with its quotes. regedit reads the file in the code page of the machine, so it has to be
/// plain ASCII: JSON can say every other character as `\u`.
pub fn registry(json: &str) -> String {
    let mut quoted = String::from("\"");
    for c in json.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        if c.is_ascii() {
            quoted.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                quoted.push_str(&format!("\\\\u{unit:04x}"));
            }
        }
    }
    quoted.push('"');
    quoted
}

/// A value of `ENV` in a Containerfile, with its quotes: a builder expands `$` and reads a backslash as an escape.
pub fn containerfile(value: &str) -> String {
    let mut quoted = String::from("\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '$') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}
