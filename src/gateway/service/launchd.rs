//! The agent of launchd.
//!
//! Promise: whatever the path of the deployment holds, the agent names that path and nothing else.

use super::known::{Keeper, Process, Service, State, ask, name, target};
use crate::domain::place::files;
use crate::domain::{Error, Hint, Place, Result};
use crate::doors::{disk, system};

pub(super) fn service(place: &Place) -> Service {
    let name = name(place);
    let path = place.home.join("Library/LaunchAgents").join(format!("{name}.plist"));
    Service { keeper: Keeper::Launchd, path, name }
}

/// A clean end is one after `gwinstall stop`, so launchd starts again only after another one. A worker that still answers requests
/// outlives the main process (`AbandonProcessGroup`).
pub(super) fn agent(place: &Place, name: &str) -> String {
    let target = target(place);
    let (script, log) = (
        escaped(&format!("{target}/{}", files::START)),
        escaped(&format!("{target}/{}", files::GATEWAY_LOG)),
    );
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">
<!-- Written by gwinstall service install. -->
<plist version=\"1.0\">
<dict>
\t<key>Label</key>
\t<string>{name}</string>
\t<key>ProgramArguments</key>
\t<array>
\t\t<string>/bin/sh</string>
\t\t<string>{script}</string>
\t\t<string>service-run</string>
\t</array>
\t<key>RunAtLoad</key>
\t<true/>
\t<key>KeepAlive</key>
\t<dict>
\t\t<key>SuccessfulExit</key>
\t\t<false/>
\t</dict>
\t<key>ThrottleInterval</key>
\t<integer>10</integer>
\t<key>ExitTimeOut</key>
\t<integer>60</integer>
\t<key>AbandonProcessGroup</key>
\t<true/>
\t<key>Umask</key>
\t<integer>63</integer>
\t<key>HardResourceLimits</key>
\t<dict>
\t\t<key>Core</key>
\t\t<integer>0</integer>
\t</dict>
\t<key>StandardOutPath</key>
\t<string>{log}</string>
\t<key>StandardErrorPath</key>
\t<string>{log}</string>
</dict>
</plist>
",
        name = escaped(name),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The session of this user that has agents: the one with a screen, else the one without.
fn domain() -> Result<String> {
    let user = system::user_id();
    let (screen, plain) = (format!("gui/{user}"), format!("user/{user}"));
    if ask("launchctl", &["print", &screen]).is_ok() {
        return Ok(screen);
    }
    ask("launchctl", &["print", &plain]).map(|_| plain)
}

pub(super) fn reach() -> Result<()> {
    let Err(why) = domain() else { return Ok(()) };
    let error = Error::failed("launchd cannot be reached, and nothing was changed").because(why.message());
    let error = why.causes().iter().fold(error, Error::because);
    Err(error.hint(Hint::run(&["start"]).to("start the gateway without a service")))
}

/// The script loads the agent when it starts the gateway.
pub(super) fn enable(name: &str) -> Result<()> {
    ask("launchctl", &["enable", &format!("{}/{name}", domain()?)]).map(drop)
}

pub(super) fn stop(name: &str) {
    if let Ok(domain) = domain() {
        // An agent that is not loaded does not run.
        let _ = ask("launchctl", &["bootout", &format!("{domain}/{name}")]);
    }
}

pub(super) fn state(service: &Service) -> State {
    let enabled = disk::exists(&service.path);
    let process = match domain() {
        Err(why) => Process::Unknown(why.message().to_owned()),
        Ok(domain) => ask("launchctl", &["print", &format!("{domain}/{}", service.name)])
            .map_or(Process::Stopped, |text| read(&text)),
    };
    State { process, enabled }
}

fn read(text: &str) -> Process {
    let pid = text.lines().find_map(|line| line.trim().strip_prefix("pid = ")?.parse().ok());
    pid.map_or(Process::Stopped, Process::Runs)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn place(home: &str) -> Place {
        let home = PathBuf::from(home);
        Place {
            config_dir: home.join(".claude"),
            target: home.join(".claude/gateway"),
            state_dir: home.join(".local/state/gwinstall"),
            home,
            staged: false,
        }
    }

    #[test]
    fn the_agent_of_a_hostile_home_is_well_formed_and_means_that_home() {
        let place = place("/Users/a & <b> \"c\" 'd' $e %f ü");
        let service = service(&place);
        assert_eq!(service.name, "gwinstall-gateway");
        assert!(service.path.ends_with("Library/LaunchAgents/gwinstall-gateway.plist"));
        let text = agent(&place, &service.name);
        let home = "/Users/a &amp; &lt;b&gt; \"c\" 'd' $e %f ü/.claude/gateway";
        assert!(text.contains(&format!("\t\t<string>{home}/start-gateway.sh</string>\n")), "{text}");
        assert_eq!(text.matches(&format!("<string>{home}/litellm.log</string>")).count(), 2);
        let tags = |mark: &str| text.matches(mark).count();
        for name in ["dict", "array", "string", "key", "integer", "plist"] {
            assert_eq!(tags(&format!("<{name}")), tags(&format!("</{name}>")), "{name}");
        }
    }

    #[test]
    fn the_process_is_what_launchctl_prints() {
        assert_eq!(read("gui/501/x = {\n\tstate = running\n\tpid = 812\n}\n"), Process::Runs(812));
        assert_eq!(read("gui/501/x = {\n\tstate = not running\n}\n"), Process::Stopped);
    }
}
