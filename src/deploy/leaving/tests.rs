//! Sequences of writes and acknowledgements, without a disk.

use std::time::Duration;

use crate::deploy::sessions::Open;
use crate::format::sessions as format;
use crate::format::settings::Settings;

use super::sequence::{Finish, Passage, Sequence, State, Step};
use super::{Hook, Stage, passage_between};

/// A session that acknowledges so many milliseconds after the middle state is written; `None`: never.
#[derive(Clone)]
struct Actor {
    pid: i32,
    acknowledges: Option<u64>,
    /// When it begins and ends, in milliseconds of the sequence.
    begins: Option<u64>,
    ends: Option<u64>,
}

fn actor(pid: i32, acknowledges: Option<u64>) -> Actor {
    Actor { pid, acknowledges, begins: None, ends: None }
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
    let (mut now, mut writes, mut away) = (0_u64, Vec::new(), None);
    loop {
        assert!(now < 60_000, "no end after a minute: {writes:?}");
        for actor in actors {
            let at = away.and_then(|away: u64| Some(away + actor.acknowledges?));
            if at.is_some_and(|at| at <= now) && actor.open(now).is_some() {
                sequence.acknowledge(format!("s{}", actor.pid));
            }
        }
        let open: Vec<Open> = actors.iter().filter_map(|actor| actor.open(now)).collect();
        match sequence.next(&open, Duration::from_millis(now)) {
            Step::Write(state) => {
                writes.push((state, now));
                away = away.or((state == State::Away).then_some(now));
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

fn middle(only: Option<Vec<crate::domain::session::Session>>) -> Sequence {
    Sequence::new(Passage::Middle, false, only)
}

#[test]
fn without_a_session_or_a_credential_at_stake_nothing_is_waited_for() {
    let ended = Actor { ends: Some(0), ..actor(7, None) };
    assert_eq!(played(middle(None), &[]), (vec![], Finish::Restore, 0));
    assert_eq!(played(middle(None), &[ended]), (vec![], Finish::Restore, 0));
    let straight = Sequence::new(Passage::Straight, false, None);
    assert_eq!(played(straight, &[actor(7, None)]), (vec![], Finish::Restore, 0));
}

#[test]
fn sessions_that_acknowledge_are_followed_by_the_settings_as_they_were() {
    let (writes, finish, end) = played(middle(None), &[actor(7, Some(1080)), actor(8, Some(1500))]);
    assert_eq!(writes, [(State::Announced, 0), (State::Away, 2000)]);
    // Half a second after the last acknowledgement, and two after the last write.
    assert_eq!((finish, end), (Finish::Restore, 4000));
    let (_, finish, end) = played(middle(None), &[actor(7, Some(3000))]);
    assert_eq!((finish, end), (Finish::Restore, 5500));
}

#[test]
fn where_changes_are_not_reported_the_writes_are_further_apart() {
    let (writes, finish, end) =
        played(Sequence::new(Passage::Middle, true, None), &[actor(7, Some(2900))]);
    assert_eq!(writes, [(State::Announced, 0), (State::Away, 4000)]);
    assert_eq!((finish, end), (Finish::Restore, 8000));
}

#[test]
fn a_session_that_does_not_acknowledge_keeps_the_settings_away() {
    let silent = actor(8, None);
    let (writes, finish, end) = played(middle(None), &[actor(7, Some(1000)), silent.clone()]);
    assert_eq!(writes, [(State::Announced, 0), (State::Away, 2000), (State::AwayForLong, 8000)]);
    let staying = vec![silent.open(0).unwrap().session];
    assert_eq!((finish, end), (Finish::Stay(staying.clone()), 8000));
    // It ends while it is waited for.
    let ended = Actor { ends: Some(4000), ..silent.clone() };
    assert_eq!(played(middle(None), &[ended]).1, Finish::Restore);
    // A later run waits for this one only.
    let (writes, finish, _) = played(middle(Some(staying.clone())), &[actor(9, None)]);
    assert_eq!((writes, finish), (vec![], Finish::Restore));
    assert_eq!(played(middle(Some(staying.clone())), &[silent, actor(9, None)]).1, Finish::Stay(staying));
}

#[test]
fn a_session_that_begins_meanwhile_counts_only_if_it_has_read_the_gateway() {
    let begun = |begins, acknowledges| Actor { begins: Some(begins), ..actor(9, acknowledges) };
    let with = |other: Actor| played(middle(None), &[actor(7, Some(1000)), other]).1;
    assert_eq!(with(begun(2500, None)), Finish::Restore);
    assert_eq!(with(begun(1500, Some(1000))), Finish::Restore);
    assert!(matches!(with(begun(1500, None)), Finish::Stay(_)));
    // Also one that begins when the settings stay away for long.
    let (_, finish, _) = played(middle(None), &[actor(7, None), begun(5000, None)]);
    assert!(matches!(&finish, Finish::Stay(staying) if staying.len() == 1 && staying[0].pid == 7));
}

#[test]
fn a_gateway_of_the_user_gets_empty_values_first() {
    let (writes, finish, end) = played(Sequence::new(Passage::Blanks, false, None), &[actor(7, None)]);
    assert_eq!((writes, finish, end), (vec![(State::Blanks, 0)], Finish::Restore, 3500));
}

#[test]
fn what_the_settings_set_decides_about_the_passage() {
    let settings = |text: &str| Settings::parse(text.as_bytes()).unwrap();
    let gateway = settings(
        r#"{"apiKeyHelper":"h","env":{"ANTHROPIC_BASE_URL":"http://a","ANTHROPIC_API_KEY":"","ANTHROPIC_AUTH_TOKEN":""}}"#,
    );
    for (after, passage) in [
        ("{}", Passage::Middle),
        (r#"{"apiKeyHelper":"h","env":{"ANTHROPIC_BASE_URL":"http://a","ANTHROPIC_API_KEY":"","ANTHROPIC_AUTH_TOKEN":""},"model":"m"}"#, Passage::Straight),
        (r#"{"apiKeyHelper":"h2","env":{"ANTHROPIC_BASE_URL":"http://b","ANTHROPIC_API_KEY":"","ANTHROPIC_AUTH_TOKEN":""}}"#, Passage::Straight),
        (r#"{"env":{"ANTHROPIC_BASE_URL":"http://b","ANTHROPIC_API_KEY":"","ANTHROPIC_AUTH_TOKEN":"t"}}"#, Passage::Straight),
        (r#"{"env":{"ANTHROPIC_BASE_URL":"http://b","ANTHROPIC_AUTH_TOKEN":"t"}}"#, Passage::Blanks),
        (r#"{"apiKeyHelper":"own","env":{"ANTHROPIC_BASE_URL":"http://b"}}"#, Passage::Blanks),
        // No credential: the session would send its login.
        (r#"{"env":{"ANTHROPIC_BASE_URL":"http://b"}}"#, Passage::Middle),
        (r#"{"env":{"ANTHROPIC_API_KEY":"own"}}"#, Passage::Middle),
        (r#"{"env":{"ANTHROPIC_BASE_URL":"","ANTHROPIC_API_KEY":"","ANTHROPIC_AUTH_TOKEN":""}}"#, Passage::Middle),
        (r#"{"apiKeyHelper":"h","env":{"ANTHROPIC_API_KEY":"","ANTHROPIC_AUTH_TOKEN":""}}"#, Passage::Middle),
    ] {
        assert_eq!(passage_between(&gateway, &settings(after)), passage, "{after}");
    }
    assert_eq!(passage_between(&settings("{}"), &gateway), Passage::Straight);
}

/// A session runs the command of the first stage; it acknowledges only when the settings are those of the second.
#[test]
fn the_hook_acknowledges_only_what_leads_away() {
    let dir = tempfile::tempdir().unwrap();
    let hook = Hook {
        dir: dir.path().join("a b"),
        settings: dir.path().join("it's settings.json"),
        nonce: "0123".to_owned(),
    };
    crate::doors::disk::create_dirs(&hook.dir).unwrap();
    let run = |stage| {
        let line = format!("printf %s '{{\"session_id\":\"s1\"}}' | {{ {}; }}", hook.command(stage));
        let said = crate::doors::system::run(std::path::Path::new("/bin/sh"), &["-c", &line], &[]);
        assert_eq!(said.unwrap(), 0);
    };
    let write = |text: &str| {
        crate::doors::disk::remove(&hook.settings).unwrap();
        drop(crate::doors::disk::create(&hook.settings, text.as_bytes(), 0o600).unwrap());
    };
    run(Stage::Announced);
    write(&serde_json::json!({ "command": hook.command(Stage::Announced) }).to_string());
    run(Stage::Announced);
    assert_eq!(hook.acknowledged(), [""; 0]);
    write(&serde_json::json!({ "command": hook.command(Stage::Away) }).to_string());
    run(Stage::Announced);
    assert_eq!(hook.acknowledged(), ["s1"]);
    hook.remove().unwrap();
    // The directory is gone: Claude Code must not see a failure, which would keep it from taking the change over.
    run(Stage::Away);
    assert!(!crate::doors::disk::exists(&hook.dir));
}
