//! Processes of this machine by their command line, and which of them listens on a port. Looks only.
//!
//! Promise: an argument counts only as a whole; a part of one never does. Where the system does not let gwinstall look
//! into a process, as into one of another user, that process holds no socket.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use super::system;

/// The processes of this user that were started with all of these words among their arguments.
pub fn started_with(words: &[&Path]) -> Vec<i32> {
    let candidates = match std::fs::read_dir("/proc/self/fd").and_then(|_| std::fs::read_dir("/proc")) {
        Ok(entries) => {
            entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect::<Vec<i32>>()
        }
        Err(_) => from_ps(words),
    };
    let fits = |pid: &i32| has_arguments(*pid, words) && system::is_running(*pid);
    candidates.into_iter().filter(fits).collect()
}

/// Whether a process was started with all of these words.
pub fn has_arguments(pid: i32, words: &[&Path]) -> bool {
    words.iter().all(|word| system::was_started_with(pid, word))
}

/// macOS has no /proc. The lines are only a first choice: each process is asked by itself afterwards.
fn from_ps(words: &[&Path]) -> Vec<i32> {
    let text = ask("ps", &["-axww", "-o", "pid=,args="]).unwrap_or_default();
    let fitting = text.lines().filter(|line| words.iter().all(|word| line.contains(&*word.to_string_lossy())));
    fitting.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

/// The argument behind this one on the command line of a process.
pub fn argument_behind(pid: i32, name: &str) -> Option<String> {
    if let Ok(bytes) = std::fs::read(format!("/proc/{pid}/cmdline")) {
        let mut words = bytes.split(|byte| *byte == 0).skip_while(|word| *word != name.as_bytes());
        return words.nth(1).map(|word| String::from_utf8_lossy(word).into_owned());
    }
    let line = ask("ps", &["-ww", "-o", "args=", "-p", &pid.to_string()])?;
    line.split_whitespace().skip_while(|word| *word != name).nth(1).map(str::to_owned)
}

/// The process that started this one.
pub fn parent(pid: i32) -> Option<i32> {
    if let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        // The name of the program may hold anything; it ends at the last parenthesis.
        return text.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok();
    }
    ask("ps", &["-o", "ppid=", "-p", &pid.to_string()])?.trim().parse().ok()
}

/// The name of a program, for messages.
pub fn name(pid: i32) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    text.or_else(|| ask("ps", &["-o", "comm=", "-p", &pid.to_string()])).map(|text| text.trim().to_owned())
}

/// Who listens on a port of the loopback address.
#[derive(Debug, PartialEq, Eq)]
pub enum Listeners {
    /// The system does not tell.
    Unknown,
    /// Sockets that listen, and those of these processes that hold one of them.
    Known { any: bool, among: Vec<i32> },
}

/// Looks which of these processes hold a socket that listens where a connection to 127.0.0.1 and this port arrives.
pub fn listeners(port: u16, processes: &[i32]) -> Listeners {
    let Some(sockets) = listening_sockets(port) else { return ask_lsof(port, processes) };
    let holds = |pid: &&i32| {
        let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        entries.flatten().any(|entry| {
            std::fs::read_link(entry.path())
                .is_ok_and(|link| sockets.contains(link.as_os_str().as_bytes()))
        })
    };
    let among = processes.iter().filter(holds).copied().collect();
    Listeners::Known { any: !sockets.is_empty(), among }
}

/// Every process of this user that holds the socket, for messages.
pub fn listening_on(port: u16) -> Option<i32> {
    let all: Vec<i32> = match std::fs::read_dir("/proc") {
        Ok(entries) => entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect(),
        Err(_) => Vec::new(),
    };
    match listeners(port, &all) {
        Listeners::Known { among, .. } => among.first().copied(),
        Listeners::Unknown => None,
    }
}

/// The listening sockets as `/proc/PID/fd` names them; `None` where there is no /proc.
fn listening_sockets(port: u16) -> Option<BTreeSet<Vec<u8>>> {
    let mut text = std::fs::read_to_string("/proc/net/tcp").ok()?;
    text.push_str(&std::fs::read_to_string("/proc/net/tcp6").unwrap_or_default());
    Some(text.lines().filter_map(|line| socket_of(line, port)).collect())
}

/// `socket:[N]` of a line of /proc/net/tcp that listens (0A) on this port of 127.0.0.1 or of every address.
fn socket_of(line: &str, port: u16) -> Option<Vec<u8>> {
    let mut fields = line.split_whitespace().skip(1);
    let (address, its_port) = fields.next()?.split_once(':')?;
    let state = fields.nth(1)?;
    let inode = fields.nth(5)?;
    let here = address.ends_with("0100007F") || address.ends_with("7F000001");
    let fits = here || address.bytes().all(|digit| digit == b'0');
    let listens = state == "0A" && u16::from_str_radix(its_port, 16).is_ok_and(|number| number == port);
    (fits && listens).then(|| format!("socket:[{inode}]").into_bytes())
}

fn ask_lsof(port: u16, processes: &[i32]) -> Listeners {
    let port = format!("-iTCP:{port}");
    let arguments = ["-nP", &port, "-sTCP:LISTEN", "-t"];
    if system::program("lsof").is_none() {
        return Listeners::Unknown;
    }
    // lsof fails where nothing listens.
    let text = ask("lsof", &arguments).unwrap_or_default();
    let holders: Vec<i32> = text.lines().filter_map(|line| line.trim().parse().ok()).collect();
    let among = processes.iter().filter(|pid| holders.contains(pid)).copied().collect();
    Listeners::Known { any: !holders.is_empty(), among }
}

fn ask(program: &str, arguments: &[&str]) -> Option<String> {
    system::listen_to(Path::new(program), arguments, &[], Duration::from_secs(5)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_counts_by_its_port_state_and_address() {
        let line = |address: &str, state: &str| {
            format!("   0: {address}:0FA0 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0")
        };
        let found = Some(b"socket:[4711]".to_vec());
        for address in
            ["0100007F", "00000000", "00000000000000000000000000000000", "0000000000000000FFFF00000100007F"]
        {
            assert_eq!(socket_of(&line(address, "0A"), 4000), found, "{address}");
        }
        assert_eq!(socket_of(&line("0100007F", "01"), 4000), None, "a connection");
        assert_eq!(socket_of(&line("0100007F", "0A"), 4001), None, "another port");
        assert_eq!(socket_of(&line("0200A8C0", "0A"), 4000), None, "another address");
        assert_eq!(socket_of("  sl  local_address rem_address   st", 4000), None);
    }

    #[test]
    fn this_process_is_found_as_the_one_that_listens() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let me = i32::try_from(std::process::id()).unwrap();
        assert_eq!(listeners(port, &[1, me]), Listeners::Known { any: true, among: vec![me] });
        assert_eq!(listeners(port, &[]), Listeners::Known { any: true, among: vec![] });
        assert_eq!(listening_on(port), Some(me));
        drop(listener);
        assert_eq!(listeners(port, &[me]), Listeners::Known { any: false, among: vec![] });
        let parent_of_me = i32::try_from(std::os::unix::process::parent_id()).unwrap();
        assert_eq!(parent(me), Some(parent_of_me));
    }
}
