//! The open sessions of Claude Code that follow the settings of this place: those that registered themselves in
//! `sessions/` beside them.
//!
//! Promise: reads only, and only so much; an entry whose process has ended is not a session, and one whose process
//! cannot be seen from here (another container or machine) is.

use std::path::Path;
use std::time::Duration;

use crate::domain::session::Session;
use crate::domain::{Error, Hint, Place, Result};
use crate::doors::{disk, processes, system};
use crate::format::sessions::{self, Stat};

/// More entries than one user has sessions.
const ENTRIES_CAP: usize = 4096;
const ENTRY_CAP: u64 = 64 << 10;

/// Variables that Claude Code takes from its shell, and that a value in its settings hides for the rest of the session.
const CREDENTIALS: [&str; 2] = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"];

/// A session that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    pub session: Session,
    /// How long it has existed; `None` if gwinstall cannot see the process.
    pub age: Option<Duration>,
}

/// The open sessions, by pid.
pub fn open(place: &Place) -> Result<Vec<Open>> {
    let dir = place.config_dir.join("sessions");
    let names: Vec<String> = disk::list(&dir)?.into_iter().filter(|name| name.ends_with(".json")).collect();
    if names.len() > ENTRIES_CAP {
        return Err(Error::failed(format!(
            "cannot tell which sessions of Claude Code are open from {}",
            dir.display()
        ))
        .because(format!("it has {} entries, and at most {ENTRIES_CAP} are read", names.len()))
        .hint(Hint::shell(format!("ls {}", place.paste(&dir))).to("look at them")));
    }
    let here = Here::look();
    let mut open: Vec<Open> = names.iter().filter_map(|name| here.see(entry(&dir, name)?)).collect();
    open.sort_by_key(|open| open.session.pid);
    Ok(open)
}

/// Reads an entry; once more a little later if Claude Code seems to be writing it.
fn entry(dir: &Path, name: &str) -> Option<Session> {
    let read = || sessions::parse(name, &disk::read_maybe(&dir.join(name), ENTRY_CAP).ok()??);
    read().or_else(|| {
        system::sleep(Duration::from_millis(20));
        read()
    })
}

/// Which processes can be seen from here.
struct Here {
    domain: String,
    /// `None` where the system has no `/proc`.
    uptime: Option<String>,
}

impl Here {
    fn look() -> Self {
        let (machine, namespace) = processes::machine_and_namespace();
        let uptime = processes::are_listed().then(|| processes::uptime().unwrap_or_default());
        Self { domain: sessions::domain(&machine, &namespace), uptime }
    }

    /// The session, if it is open.
    fn see(&self, session: Session) -> Option<Open> {
        let Some(uptime) = &self.uptime else {
            let now = system::now_in_milliseconds();
            let age = Some(Duration::from_millis(now.saturating_sub(session.started_at)));
            return system::is_running(session.pid).then_some(Open { session, age });
        };
        if session.domain.as_ref().is_some_and(|domain| *domain != self.domain) {
            return Some(Open { session, age: None });
        }
        let stat = Stat::parse(&processes::stat(session.pid)?)?;
        let same = session.process_start.as_ref().is_none_or(|start| *start == stat.start);
        let age = stat.age(uptime);
        (same && !stat.has_ended()).then_some(Open { session, age })
    }
}

/// The sessions that got a credential from their shell, each with the names of the variables.
pub fn with_own_credentials(open: &[Open]) -> Vec<(Session, Vec<&'static str>)> {
    let variables = |open: &Open| {
        let environ = open.age.and_then(|_| processes::environment(open.session.pid)).unwrap_or_default();
        sessions::variables_set(&environ, &CREDENTIALS)
    };
    let found = open.iter().map(|open| (open.session.clone(), variables(open)));
    found.filter(|(_, variables)| !variables.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry_of(pid: i32, start: &str, domain: &str) -> Session {
        let text = format!(r#"{{"procStart":"{start}","pidDomain":"{domain}","sessionId":"s"}}"#);
        sessions::parse(&format!("{pid}.json"), text.as_bytes()).unwrap()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_session_is_open_while_its_process_lives_or_cannot_be_seen() {
        let here = Here::look();
        let pid = i32::try_from(system::pid()).unwrap();
        let start = Stat::parse(&processes::stat(pid).unwrap()).unwrap().start;
        let see = |pid, start: &str, domain: &str| here.see(entry_of(pid, start, domain));
        let age = see(pid, &start, &here.domain).unwrap().age.unwrap();
        assert!(age < Duration::from_secs(3600));
        // Another process has the number now.
        assert_eq!(see(pid, "1", &here.domain), None);
        assert_eq!(see(i32::MAX, &start, &here.domain), None);
        assert_eq!(see(i32::MAX, &start, "linux:other:pid:[1]").unwrap().age, None);
        let without_proc = Here { domain: String::new(), uptime: None };
        assert!(without_proc.see(entry_of(pid, "x", "linux")).is_some());
        assert_eq!(without_proc.see(entry_of(i32::MAX, "x", "linux")), None);
    }

    #[test]
    fn what_another_program_left_in_the_directory_hangs_nothing() {
        let home = tempfile::tempdir().unwrap();
        let place = Place::in_home(home.path());
        assert_eq!(open(&place).unwrap(), []);
        let dir = place.config_dir.join("sessions");
        disk::create_dirs(&dir).unwrap();
        let pid = system::pid();
        let make = |name: &str, bytes: &[u8]| drop(disk::create(&dir.join(name), bytes, 0o600).unwrap());
        make("5.json", b"\0\xff");
        make("6.json", &vec![b' '; 1 << 20]);
        make(&format!("{pid}.key"), b"{}");
        make("x.json", b"{}");
        disk::create_dirs(&dir.join("8.json")).unwrap();
        let fifo = dir.join("7.json");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert_eq!(open(&place).unwrap(), []);
        make(&format!("{pid}.json"), b"{}");
        assert_eq!(open(&place).unwrap().len(), 1);
    }
}
