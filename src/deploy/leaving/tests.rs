//! Sequences of writes and acknowledgements, without a disk.

use std::time::Duration;

use crate::deploy::sessions::Open;
use crate::domain::session::Session;
use crate::format::sessions as format;
use crate::format::settings::Settings;

use super::sequence::{Finish, Sequence, State, Step};
use super::{Hook, Passage, passage_between};

/// A session that notices each write so many milliseconds after it, if the next one does not come before; `None`: never.
#[derive(Clone)]
struct Actor {
    pid: i32,
    notices: Option<u64>,
    /// When it begins and ends, in milliseconds of the sequence.
    begins: Option<u64>,
    ends: Option<u64>,
}

fn actor(pid: i32, notices: Option<u64>) -> Actor {
    Actor { pid, notices, begins: None, ends: None }
}

impl Actor {
    fn open(&self, now: u64) -> Option<Open> {
        let text = format!(r#"{{"procStart":"{0}","sessionId":"s{0}"}}"#, self.pid);
        let session = format::parse(&format!("{}.json", self.pid), text.as_bytes()).unwrap();
        let age = match self.begins {
            Some(begins) => now.checked_sub(begins)?,
            None => 60_000 + now,
        };
        let is_open = self.ends.is_none_or(|ends| now < ends);
        is_open.then_some(Open { session, age: Some(Duration::from_millis(age)) })
    }
}

/// The states written, each with its moment, how it ended and when.
fn played(mut sequence: Sequence, actors: &[Actor]) -> (Vec<(State, u64)>, Finish, u64) {
    let (mut now, mut writes) = (0_u64, Vec::<(State, u64)>::new());
    loop {
        assert!(now < 60_000, "no end after a minute: {writes:?}");
        for actor in actors {
            let noticed = |index: usize| {
                let (_, at) = writes[index];
                let next = writes.get(index + 1).map_or(u64::MAX, |(_, next)| *next);
                actor.notices.is_some_and(|notices| at + notices <= now && at + notices < next)
            };
            // It runs the hook of an earlier change that it has noticed.
            if (0..writes.len()).filter(|index| noticed(*index)).count() > 1 && actor.open(now).is_some() {
                sequence.acknowledge(format!("s{}", actor.pid));
            }
        }
        let open: Vec<Open> = actors.iter().filter_map(|actor| actor.open(now)).collect();
        match sequence.next(&open, Duration::from_millis(now)) {
            Step::Write(state) => {
                writes.push((state, now));
                sequence.wrote(state, Duration::from_millis(now));
            }
            Step::Wait(longest) => {
                assert!(!longest.is_zero(), "a wait of nothing at {now}");
                now += u64::try_from(longest.as_millis()).unwrap().clamp(1, 50);
            }
            Step::Finish(finish) => return (writes, finish, now),
        }
    }
}

fn sequence(only: Option<Vec<Session>>) -> Sequence {
    Sequence::new(false, only)
}

#[test]
fn without_a_session_nothing_is_waited_for() {
    let ended = Actor { ends: Some(0), ..actor(7, None) };
    assert_eq!(played(sequence(None), &[]), (vec![], Finish::Restore, 0));
    assert_eq!(played(sequence(None), &[ended]), (vec![], Finish::Restore, 0));
}

#[test]
fn sessions_that_acknowledge_are_followed_by_the_settings_as_they_were() {
    let (writes, finish, end) = played(sequence(None), &[actor(7, Some(1080)), actor(8, Some(1500))]);
    assert_eq!(writes, [(State::Asking(1), 0), (State::Asking(2), 2000)]);
    assert_eq!((finish, end), (Finish::Restore, 4000));
}

#[test]
fn a_slow_session_gets_another_change() {
    // It is too slow for the first change, and notices the second one and the third one.
    let (writes, finish, end) = played(sequence(None), &[actor(7, Some(2500))]);
    assert_eq!(writes, [(State::Asking(1), 0), (State::Asking(2), 2000), (State::Asking(3), 5000)]);
    assert_eq!((finish, end), (Finish::Restore, 7500));
}

#[test]
fn where_changes_are_not_reported_the_writes_are_further_apart() {
    let (writes, finish, end) = played(Sequence::new(true, None), &[actor(7, Some(3400))]);
    assert_eq!(writes, [(State::Asking(1), 0), (State::Asking(2), 4000)]);
    assert_eq!((finish, end), (Finish::Restore, 8000));
}

#[test]
fn a_session_that_does_not_acknowledge_keeps_the_settings_away() {
    let silent = actor(8, None);
    let (writes, finish, end) = played(sequence(None), &[actor(7, Some(1000)), silent.clone()]);
    let moments = [0, 2000, 5000, 8000, 11_000].into_iter();
    let states = (1..=4).map(State::Asking).chain([State::ForLong]);
    assert_eq!(writes, states.zip(moments).collect::<Vec<_>>());
    let staying = vec![silent.open(0).unwrap().session];
    assert_eq!((finish, end), (Finish::Stay(staying.clone()), 11_000));
    // One write alone proves nothing, however long ago it was: the session may not have noticed it.
    let once = Actor { notices: Some(2999), ends: None, begins: None, pid: 8 };
    assert_eq!(played(sequence(None), &[once]).0.len(), 3);
    // It ends while it is waited for.
    let ended = Actor { ends: Some(4000), ..silent.clone() };
    assert_eq!(played(sequence(None), &[ended]).1, Finish::Restore);
    // A later run waits for this one only.
    let (writes, finish, _) = played(sequence(Some(staying.clone())), &[actor(9, None)]);
    assert_eq!((writes, finish), (vec![], Finish::Restore));
    assert_eq!(played(sequence(Some(staying.clone())), &[silent, actor(9, None)]).1, Finish::Stay(staying));
}

#[test]
fn a_session_that_begins_meanwhile_counts_only_if_it_has_read_the_gateway() {
    let begun = |begins| Actor { begins: Some(begins), ..actor(9, None) };
    assert_eq!(played(sequence(None), &[actor(7, Some(1000)), begun(500)]).1, Finish::Restore);
    // A process began before the first write, but registered itself later.
    let late = Actor { begins: Some(0), ..actor(9, None) };
    assert!(matches!(played(sequence(None), &[actor(7, Some(1000)), late]).1, Finish::Stay(_)));
    // Also one that begins when the settings stay away for long.
    let (_, finish, _) = played(sequence(None), &[actor(7, None), begun(5000)]);
    assert!(matches!(&finish, Finish::Stay(staying) if staying.len() == 1 && staying[0].pid == 7));
}

/// The age of a process comes in ticks, and is read a moment before the clock.
#[test]
fn a_session_that_began_just_before_the_first_write_is_waited_for() {
    let mut sequence = sequence(None);
    sequence.wrote(State::Asking(1), Duration::ZERO);
    let pending = |age: u64| {
        let open = Open { age: Some(Duration::from_millis(age)), ..actor(7, None).open(0).unwrap() };
        sequence.pending(&[open], Duration::from_secs(2)).len()
    };
    assert_eq!([2010, 2000, 1990, 1950].map(pending), [1; 4]);
    assert_eq!(pending(1000), 0);
}

#[test]
fn what_the_settings_set_decides_about_the_passage() {
    let settings = |text: &str| Settings::parse(text.as_bytes()).unwrap();
    let gateway = settings(
        r#"{"apiKeyHelper":"h","env":{"ANTHROPIC_BASE_URL":"http://a","ANTHROPIC_API_KEY":"","ANTHROPIC_AUTH_TOKEN":""}}"#,
    );
    for (after, passage) in [
        ("{}", Passage::Middle),
        (
            r#"{"apiKeyHelper":"h","env":{"ANTHROPIC_BASE_URL":"http://a","ANTHROPIC_API_KEY":"","ANTHROPIC_AUTH_TOKEN":""},"model":"m"}"#,
            Passage::Straight,
        ),
        (
            r#"{"apiKeyHelper":"h2","env":{"ANTHROPIC_BASE_URL":"http://b","ANTHROPIC_API_KEY":"","ANTHROPIC_AUTH_TOKEN":""}}"#,
            Passage::Straight,
        ),
        (
            r#"{"env":{"ANTHROPIC_BASE_URL":"http://b","ANTHROPIC_API_KEY":"","ANTHROPIC_AUTH_TOKEN":"t"}}"#,
            Passage::Straight,
        ),
        (r#"{"env":{"ANTHROPIC_BASE_URL":"http://b","ANTHROPIC_AUTH_TOKEN":"t"}}"#, Passage::Blanks),
        (r#"{"apiKeyHelper":"own","env":{"ANTHROPIC_BASE_URL":"http://b"}}"#, Passage::Blanks),
        // No credential: the session would send its login.
        (r#"{"env":{"ANTHROPIC_BASE_URL":"http://b"}}"#, Passage::Middle),
        (r#"{"env":{"ANTHROPIC_API_KEY":"own"}}"#, Passage::Middle),
        (
            r#"{"env":{"ANTHROPIC_BASE_URL":"","ANTHROPIC_API_KEY":"","ANTHROPIC_AUTH_TOKEN":""}}"#,
            Passage::Middle,
        ),
        (r#"{"apiKeyHelper":"h","env":{"ANTHROPIC_API_KEY":"","ANTHROPIC_AUTH_TOKEN":""}}"#, Passage::Middle),
    ] {
        assert_eq!(passage_between(&gateway, &settings(after)), passage, "{after}");
    }
    assert_eq!(passage_between(&settings("{}"), &gateway), Passage::Straight);
}

/// Claude Code must not see a failure of the hook, which would keep it from taking a change over.
#[test]
fn the_hook_says_who_runs_it_and_never_fails() {
    let dir = tempfile::tempdir().unwrap();
    let hook = Hook { dir: dir.path().join("it's here"), nonce: "0123".to_owned() };
    let run = |round| {
        let line = format!("printf %s '{{\"session_id\":\"s1\"}}' | {{ {}; }}", hook.command(round));
        let said = crate::doors::system::run(std::path::Path::new("/bin/sh"), &["-c", &line], &[]);
        assert_eq!(said.unwrap(), 0);
    };
    run(1);
    assert_eq!(hook.acknowledged(), [""; 0]);
    crate::doors::disk::create_dirs(&hook.dir).unwrap();
    run(2);
    assert_eq!(hook.acknowledged(), ["s1"]);
    hook.remove().unwrap();
    run(3);
    assert!(!crate::doors::disk::exists(&hook.dir));
}
