//! What the exit codes mean: one table, from which the help, the manual page and the README come.

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Exit {
    pub codes: &'static str,
    /// For the help: a word or three.
    pub brief: &'static str,
    /// For the manual and the README.
    pub meaning: &'static str,
}

pub const EXITS: [Exit; 12] = [
    exit("0", "done", "Done, or nothing to do."),
    exit("1", "failed, nothing changed", "Failed; nothing changed."),
    exit(
        "2",
        "wrong usage",
        "Wrong usage: a flag, a name, a URL, a path, a missing --yes, a foreign value without --force, nothing deployed.",
    ),
    exit(
        "3",
        "something to do",
        "Something to do: status, diff, verify, backup diff, resolve FILE or self-update --check found a difference or an update; or an open session of Claude Code has not left the gateway.",
    ),
    exit("4", "conflict kept", "Deployed, but a conflict kept your file."),
    exit("5", "rolled back", "The new deployment did not pass its checks; rolled back."),
    exit("6", "busy", "Another run is at work, or a file changed meanwhile; nothing changed."),
    exit("7", "left for you", "Recovered from an interrupted run, and something is left for you."),
    exit("8", "not verified", "A signature, checksum or archive did not verify; nothing changed."),
    exit("9", "refused by policy", "Refused by policy: pin, downgrade, deny list, managed machine."),
    exit("10", "network", "The network failed; worth a retry."),
    exit("130, 143", "stopped", "Stopped by Ctrl-C or SIGTERM; as before, or recovered by the next run."),
];

const fn exit(codes: &'static str, brief: &'static str, meaning: &'static str) -> Exit {
    Exit { codes, brief, meaning }
}

/// The table in one line.
pub fn in_brief() -> String {
    let rows: Vec<String> =
        EXITS.iter().map(|row| format!("{} {}", row.codes.replace(", ", "/"), row.brief)).collect();
    rows.join(" · ")
}
