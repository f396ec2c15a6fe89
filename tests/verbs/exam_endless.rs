//! The exam against gateways whose answers never end: one question, and a bound for its time and its bytes. The program
//! itself waits two minutes; here the patience is shorter.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use gwinstall::domain::Secret;
use gwinstall::gateway::ask::Gateway;
use gwinstall::gateway::exam::{Candidate, Cause, Exam, Failure, Missed, Outcome, Question, Reason};

/// A gateway that treats each connection so, and the exam through it.
fn outcomes(serve: fn(TcpStream)) -> Vec<(Question, Outcome)> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().for_each(|stream| serve(stream.unwrap())));
    let gateway = Gateway::at(&url, Secret::new("sk-canary"));
    let exam =
        Exam { gateway: &gateway, answer_tokens: 1000, long: true, patience: Duration::from_millis(400) };
    let candidate = Candidate { name: "m".to_owned(), context_tokens: None, reads_images: true };
    exam.sit(&candidate, &mut |_| ())
}

fn read_request(stream: &mut TcpStream) {
    let _ = stream.read(&mut [0; 1 << 16]);
}

/// How the first question failed; no other one may have been asked after it.
fn first_failure(outcomes: &[(Question, Outcome)]) -> Failure {
    let ((_, first), rest) = outcomes.split_first().unwrap();
    assert!(rest.iter().all(|(_, outcome)| *outcome == Err(Missed::NotAsked(Reason::Unanswered))));
    match first {
        Err(Missed::Failed(failure)) => failure.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_gateway_that_hangs_is_given_up_after_the_first_question() {
    let began = std::time::Instant::now();
    let failure = first_failure(&outcomes(|mut stream| {
        read_request(&mut stream);
        std::thread::sleep(Duration::from_secs(3));
    }));
    assert_eq!(failure.cause, Cause::Silence);
    assert!(failure.came.starts_with("does not answer: no whole answer came within"), "{}", failure.came);
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_gateway_that_drips_for_ever_is_given_up_too() {
    let failure = first_failure(&outcomes(|mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
        while stream.write_all(b" ").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    }));
    assert_eq!(failure.cause, Cause::Silence);
}

#[test]
fn an_answer_without_end_is_cut_at_the_cap() {
    let failure = first_failure(&outcomes(|mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\n");
        while stream.write_all(&[b'x'; 1 << 16]).is_ok() {}
    }));
    assert_eq!(failure.came, "does not answer: the answer is longer than 4 MiB");
}
