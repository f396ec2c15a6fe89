//! Which processes listen on a port of this machine. Looks only.
//!
//! Promise: where the system does not let gwinstall look into a process, as into one of another user, that process holds no
//! socket.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;

use super::processes::{self, ask};
use super::system;

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
            std::fs::read_link(entry.path()).is_ok_and(|link| sockets.contains(link.as_os_str().as_bytes()))
        })
    };
    let among = processes.iter().filter(holds).copied().collect();
    Listeners::Known { any: !sockets.is_empty(), among }
}

/// Every process of this user that holds the socket, for messages.
pub fn listening_on(port: u16) -> Option<i32> {
    match listeners(port, &processes::all()) {
        Listeners::Known { among, .. } => among.first().copied(),
        Listeners::Unknown => None,
    }
}

/// The listening sockets as `/proc/PID/fd` names them; `None` where there is no /proc.
fn listening_sockets(port: u16) -> Option<BTreeSet<Vec<u8>>> {
    let mut text = std::fs::read_to_string("/proc/net/tcp").ok()?;
    // A system without IPv6 has no such file; one that cannot be read may hide a listener.
    match std::fs::read_to_string("/proc/net/tcp6") {
        Ok(more) => text.push_str(&more),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(_) => return None,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_counts_by_its_port_state_and_address() {
        let line = |address: &str, state: &str| {
            format!(
                "   0: {address}:0FA0 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0"
            )
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
        assert_eq!(crate::doors::processes::parent(me), Some(parent_of_me));
    }
}
