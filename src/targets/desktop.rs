//! Machines of developers: Claude Code's managed settings for each system, the policy of gwinstall, and a program that prints the
//! user's key.
//!
//! Managed settings are readable by every account, so no key is in them. Claude Code ignores a damaged file and goes on without it;
//! that is why every form here is made from the same value and by the writer of its format.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::{Result, Sha256};

use super::readme::Guide;
use super::tree::unwritable;
use super::{Spec, Target, Tree, escape, needs};

/// Where the program that prints the key lies, on Linux and macOS.
const KEY_PROGRAM: &str = "/usr/local/bin/gateway-key";
/// The directory of Claude Code's managed settings on Windows.
const WINDOWS: &str = r"C:\Program Files\ClaudeCode";
/// The domain of Claude Code's preferences on macOS.
const DOMAIN: &str = "com.anthropic.claudecode";

/// `managed-settings.json`.
#[derive(Serialize)]
struct Managed<'a> {
    env: &'a BTreeMap<String, String>,
    #[serde(rename = "apiKeyHelper")]
    api_key_helper: String,
    permissions: Permissions,
}

/// What Claude Code may not do on any machine of the company.
#[derive(Serialize)]
struct Permissions {
    deny: [&'static str; 3],
    #[serde(rename = "disableBypassPermissionsMode")]
    disable_bypass_permissions_mode: &'static str,
}

/// `/etc/gwinstall/policy.yaml`.
#[derive(Serialize)]
struct Policy {
    allow_presets: [&'static str; 1],
    allow_gateway_urls: [String; 1],
    allow_source_dir: bool,
}

pub(super) fn render(spec: &Spec) -> Result<Tree> {
    let Some(address) = spec.address() else {
        return Err(needs(Target::Desktop, "domain", "gateway.example.com"));
    };
    let name = &spec.values.name;
    let unix = managed(spec, format!("{KEY_PROGRAM} {name}"));
    let windows = managed(spec, windows_helper(name));
    let mut tree = Tree::default();
    tree.json("linux/managed-settings.json", &unix)?;
    tree.program("linux/gateway-key", spec.script("desktop/gateway-key.sh")?);
    tree.json("macos/managed-settings.json", &unix)?;
    tree.text(&format!("macos/{DOMAIN}.mobileconfig"), profile(name, &unix)?);
    tree.program("macos/gateway-key", spec.script("desktop/gateway-key.sh")?);
    tree.json("windows/managed-settings.json", &windows)?;
    tree.text("windows/claude-code.reg", registry(&windows)?);
    tree.text("windows/gateway-key.ps1", spec.script("desktop/gateway-key.ps1")?.to_vec());
    tree.yaml("gwinstall/policy.yaml", &[policy(address.clone())])?;
    tree.guide("README.md", guide(name, &address).text_with(spec, KEYS));
    Ok(tree)
}

fn managed(spec: &Spec, api_key_helper: String) -> Managed<'_> {
    Managed {
        env: &spec.claude_code,
        api_key_helper,
        permissions: Permissions {
            deny: ["Read(./.env)", "Read(./.env.*)", "Read(./secrets/**)"],
            disable_bypass_permissions_mode: "disable",
        },
    }
}

/// Runs in cmd.exe and in a shell of Git alike: neither reads anything in these quotes.
fn windows_helper(name: &str) -> String {
    let script = format!(r"{WINDOWS}\gateway-key.ps1");
    format!("powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -File \"{script}\" {name}")
}

/// Only the company's gateway, through the preset whose gateway runs elsewhere.
fn policy(address: String) -> Policy {
    Policy { allow_presets: ["enterprise"], allow_gateway_urls: [address], allow_source_dir: false }
}

/// A configuration profile for macOS.
fn profile(name: &str, managed: &Managed<'_>) -> Result<String> {
    let identifier = format!("{DOMAIN}.{name}");
    let header = |kind: &str, part: &str| {
        json!({
            "PayloadType": kind,
            "PayloadVersion": 1,
            "PayloadIdentifier": format!("{identifier}{part}"),
            "PayloadUUID": uuid(&format!("{identifier}{part}")),
            "PayloadDisplayName": format!("Claude Code at {name}"),
        })
    };
    let mut settings = header(DOMAIN, ".settings");
    let managed = serde_json::to_value(managed).map_err(unwritable)?;
    if let (Some(settings), Value::Object(managed)) = (settings.as_object_mut(), managed) {
        settings.extend(managed);
    }
    let mut whole = header("Configuration", "");
    whole["PayloadScope"] = json!("System");
    whole["PayloadContent"] = json!([settings]);
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\">\n",
    );
    property(&whole, 0, &mut text);
    text.push_str("</plist>\n");
    Ok(text)
}

/// The identifier of a profile comes from its name, so a newer version of the profile replaces the older one.
fn uuid(name: &str) -> String {
    let digits = Sha256::of(name.as_bytes()).to_string().to_uppercase();
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    // Version 8 of RFC 9562: an identifier of one's own making.
    format!("{}-{}-8{}-8{}-{}", part(0, 8), part(8, 12), part(12, 15), part(15, 18), part(18, 30))
}

/// A value in a property list.
fn property(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(members) => {
            text.push_str(&format!("{indent}<dict>\n"));
            for (key, member) in members {
                text.push_str(&format!("{indent}  <key>{}</key>\n", escape::xml(key)));
                property(member, depth + 1, text);
            }
            text.push_str(&format!("{indent}</dict>\n"));
        }
        Value::Array(items) => {
            text.push_str(&format!("{indent}<array>\n"));
            items.iter().for_each(|item| property(item, depth + 1, text));
            text.push_str(&format!("{indent}</array>\n"));
        }
        Value::Bool(value) => text.push_str(&format!("{indent}<{value}/>\n")),
        Value::Number(number) => text.push_str(&format!("{indent}<integer>{number}</integer>\n")),
        Value::String(value) => text.push_str(&format!("{indent}<string>{}</string>\n", escape::xml(value))),
        Value::Null => {}
    }
}

/// A registry file has lines that end as Windows ends them, and a comment begins with `;`.
fn registry(managed: &Managed<'_>) -> Result<String> {
    let settings = serde_json::to_string(managed).map_err(unwritable)?;
    let lines = [
        "Windows Registry Editor Version 5.00".to_owned(),
        String::new(),
        "; Written by `gwinstall render`; your edits stay when you render again.".to_owned(),
        r"[HKEY_LOCAL_MACHINE\SOFTWARE\Policies\ClaudeCode]".to_owned(),
        format!("\"Settings\"={}", escape::registry(&settings)),
        String::new(),
    ];
    Ok(lines.join("\r\n"))
}

const KEYS: &str = "\
Managed settings are readable by every account of a machine; each user keeps a key of their own in the keychain or in a private file,
and `gateway-key` prints it for Claude Code.";

fn guide<'a>(name: &str, address: &str) -> Guide<'a> {
    Guide {
        title: "Claude Code on the machines of developers",
        about: format!(
            "\
Managed settings point every Claude Code at {address}. They win over the settings of users and projects. A user's own Anthropic key and
the switches to other providers are empty in them, so that no request leads past the gateway."
        ),
        prerequisites: format!(
            "\
- The gateway answers at {address}, and each user has a key of it.
- Rights of an administrator on the machines, or a device management (Intune, Jamf, Ansible).
- 2 cores, 2 GB of memory and 10 GB of disk on a machine where Claude Code runs."
        ),
        deploy: deploy(name),
        verify: format!(
            "\
**Claude Code ignores a damaged file and goes on without any policy**: check each file before and after you distribute it.

```sh
python3 -m json.tool /etc/claude-code/managed-settings.json >/dev/null && echo good
claude -p 'say ok'      # names a managed-settings.json that it could not read, and answers nevertheless
gwinstall doctor        # judges gwinstall's policy, and names managed settings that win over an installation
```

`/status` in Claude Code shows `{address}` as the base URL and managed settings as a source."
        ),
        roll_back: "\
Remove the file (or the profile, or the registry value) and start Claude Code again: the user's own settings hold again. The version
before is in the history of this directory, if you keep it in git."
            .to_owned(),
        back_up: "Nothing on the machines needs a backup: this directory is the source.".to_owned(),
        rotate_a_key: format!(
            "\
The user runs `gateway-key {name} --set` again (Windows: `gateway-key.ps1 {name} -Set`); Claude Code asks for the key again within five
minutes. `--forget` removes it. Revoke the old key at the gateway."
        ),
        upgrade: "\
Render again with a newer gwinstall, look at `--diff`, and distribute the files again. Models that the gateway no longer serves disappear
from the settings in the same step."
            .to_owned(),
    }
}

fn deploy(name: &str) -> String {
    format!(
        "\
**Linux and WSL**, as root. `mv` replaces a file in one step, so that Claude Code never reads half of one:

```sh
install -D -m 0755 linux/gateway-key {KEY_PROGRAM}
install -D -m 0644 linux/managed-settings.json /etc/claude-code/managed-settings.json.new
mv /etc/claude-code/managed-settings.json.new /etc/claude-code/managed-settings.json
install -D -m 0644 gwinstall/policy.yaml /etc/gwinstall/policy.yaml
```

**macOS**: distribute `macos/{DOMAIN}.mobileconfig` (Jamf: Computers, Configuration Profiles, Upload; the domain is `{DOMAIN}`),
or copy `macos/managed-settings.json` into `/Library/Application Support/ClaudeCode/`. A package puts `macos/gateway-key` to
`{KEY_PROGRAM}`.

**Windows**: import `windows/claude-code.reg` (Intune: a script in the system context with `reg import`; the value is
`HKLM\\SOFTWARE\\Policies\\ClaudeCode`, `Settings`), or copy `windows/managed-settings.json` into `{WINDOWS}\\`. Copy
`windows/gateway-key.ps1` into `{WINDOWS}\\`, which only administrators may write.

**Ansible**: `gwinstall render ansible` writes a role that does this for Linux.

Then each user keeps a key:

```sh
gateway-key {name} --set        # Windows: & '{WINDOWS}\\gateway-key.ps1' {name} -Set
```

`gwinstall/policy.yaml` restricts gwinstall itself to this gateway; `pin`, `updates`, `channel` and `managed_by` are for you to add."
    )
}
