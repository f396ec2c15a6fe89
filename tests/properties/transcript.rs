//! Lines of Claude Code's transcripts.

use gwinstall::format::transcript::{Line, line};

/// An answer has a name of a bounded length and counts that fit; blanks around it change nothing, and cut by one byte it is
/// not an answer.
pub fn transcript(bytes: &[u8]) -> bool {
    let Line::Answer(answer) = line(bytes) else { return false };
    assert!((1..=200).contains(&answer.model.len()));
    let most = 2 * u64::from(u32::MAX);
    assert!(answer.tokens.output <= most && answer.tokens.cache_written() <= most);
    assert!(answer.tokens.prompt() <= 4 * most);
    assert_eq!(line(&[b"\t ", bytes, b" \r"].concat()), Line::Answer(answer));
    assert_eq!(line(&bytes.trim_ascii()[..bytes.trim_ascii().len() - 1]), Line::Damaged);
    true
}

pub fn lines() -> Vec<Vec<u8>> {
    let files = [
        include_str!(
            "../fixtures/transcripts/home-user-work/d0127c15-adf3-46c8-b29e-b004593843f6/subagents/agent-ae212fbd737a9c2d7.jsonl"
        ),
        include_str!("../fixtures/transcripts/home-user-work/583c95fb-2c8d-44cc-9fcb-80b7994929e7.jsonl"),
    ];
    files.iter().flat_map(|file| file.lines()).map(|line| line.as_bytes().to_vec()).collect()
}
