//! Keys out of the bytes that a terminal sends. Pure: the caller reads, and says when no more bytes came.
//!
//! Promise: a key that is not known is swallowed whole, so that a function key never types its last letters, and what is
//! pasted is kept apart from what is typed.

/// No paste that belongs into a question is longer; the rest of it is dropped.
const LONGEST_PASTE: usize = 64 << 10;
const PASTE_BEGINS: &[u8] = b"\x1b[200~";
const PASTE_ENDS: &[u8] = b"\x1b[201~";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    Enter,
    Escape,
    Backspace,
    Delete,
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D, or a terminal that has gone.
    EndOfInput,
    /// Ctrl-U.
    ClearLine,
    /// Ctrl-W.
    ClearWord,
    Char(char),
    Pasted(String),
    /// Anything else.
    Unknown,
}

/// Bytes that are not a whole key yet.
#[derive(Debug, Default)]
pub(super) struct Keys {
    bytes: Vec<u8>,
}

impl Keys {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.bytes.len() < LONGEST_PASTE + 16 {
            self.bytes.extend_from_slice(bytes);
        } else {
            // Only an endless paste gets here; its end must still be seen.
            let keep = self.bytes.len() - PASTE_ENDS.len();
            self.bytes.truncate(keep);
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Whether some bytes wait for others that make them a key.
    pub(super) fn are_waiting(&self) -> bool {
        !self.bytes.is_empty()
    }

    pub(super) fn forget(&mut self) {
        self.bytes.clear();
    }

    /// The next key. `quiet`: nothing followed for a while, so an ESC on its own is the key Esc.
    pub(super) fn next(&mut self, quiet: bool) -> Option<Key> {
        let (key, length) = match self.bytes.as_slice() {
            [] => return None,
            [0x1b] if quiet => (Key::Escape, 1),
            [0x1b] => return None,
            [0x1b, 0x1b, ..] => (Key::Escape, 1),
            bytes @ [0x1b, b'[', ..] => return self.sequence(quiet, bytes.starts_with(PASTE_BEGINS)),
            [0x1b, b'O'] if !quiet => return None,
            [0x1b, b'O', last, ..] => (of_final(*last), 3),
            // Alt and a letter.
            [0x1b, ..] => (Key::Unknown, 2),
            [byte, ..] if byte.is_ascii() => (of_byte(*byte), 1),
            bytes => match character(bytes) {
                Some(found) => found,
                None if quiet => (Key::Unknown, 1),
                None => return None,
            },
        };
        self.bytes.drain(..length.min(self.bytes.len()));
        Some(key)
    }

    /// What follows `ESC [`.
    fn sequence(&mut self, quiet: bool, is_paste: bool) -> Option<Key> {
        if is_paste {
            let start = PASTE_BEGINS.len();
            let rest = &self.bytes[start..];
            let end = rest.windows(PASTE_ENDS.len()).position(|window| window == PASTE_ENDS)?;
            let text = String::from_utf8_lossy(&rest[..end]).into_owned();
            self.bytes.drain(..start + end + PASTE_ENDS.len());
            return Some(Key::Pasted(text));
        }
        let body = &self.bytes[2..];
        // The console of Linux sends `ESC [ [ A` for F1.
        let skipped = usize::from(body.first() == Some(&b'['));
        let Some(length) = body[skipped..].iter().position(|byte| (0x40..=0x7e).contains(byte)) else {
            if quiet {
                self.bytes.clear();
                return Some(Key::Unknown);
            }
            return None;
        };
        let sequence: Vec<u8> = self.bytes.drain(..2 + skipped + length + 1).skip(2).collect();
        Some(match sequence.as_slice() {
            [last] => of_final(*last),
            b"1~" | b"7~" => Key::Home,
            b"4~" | b"8~" => Key::End,
            b"3~" => Key::Delete,
            b"5~" => Key::PageUp,
            b"6~" => Key::PageDown,
            _ => Key::Unknown,
        })
    }
}

fn of_final(last: u8) -> Key {
    match last {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        b'M' => Key::Enter,
        b'Z' => Key::Up,
        _ => Key::Unknown,
    }
}

fn of_byte(byte: u8) -> Key {
    match byte {
        b'\r' | b'\n' => Key::Enter,
        b'\t' | 0x0e => Key::Down,
        0x10 => Key::Up,
        0x7f | 0x08 => Key::Backspace,
        0x01 => Key::Home,
        0x03 => Key::Interrupt,
        0x04 => Key::EndOfInput,
        0x05 => Key::End,
        0x15 => Key::ClearLine,
        0x17 => Key::ClearWord,
        byte if byte.is_ascii_control() => Key::Unknown,
        byte => Key::Char(byte.into()),
    }
}

/// A character of several bytes; `None` while some are missing.
fn character(bytes: &[u8]) -> Option<(Key, usize)> {
    let length = match bytes[0] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Some((Key::Unknown, 1)),
    };
    let text = std::str::from_utf8(bytes.get(..length)?).ok();
    Some(match text.and_then(|text| text.chars().next()).filter(|c| !c.is_control()) {
        Some(c) => (Key::Char(c), length),
        None => (Key::Unknown, 1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<Key> {
        let mut keys = Keys::default();
        keys.feed(bytes);
        std::iter::from_fn(|| keys.next(true)).collect()
    }

    #[test]
    fn keys_that_are_known() {
        assert_eq!(all(b"\x1b[A\x1bOB\x1b[1~\x1b[F"), [Key::Up, Key::Down, Key::Home, Key::End]);
        assert_eq!(
            all(b"a\r\x7f\x03\x04"),
            [Key::Char('a'), Key::Enter, Key::Backspace, Key::Interrupt, Key::EndOfInput]
        );
        assert_eq!(all("é€".as_bytes()), [Key::Char('é'), Key::Char('€')]);
        assert_eq!(all(b"\x1b\x1b"), [Key::Escape, Key::Escape]);
    }

    #[test]
    fn a_key_that_is_not_known_types_nothing() {
        let f1 = [b"\x1bOP".as_slice(), b"\x1b[11~", b"\x1b[[A"];
        for unknown in f1.into_iter().chain([b"\x1b[1;5A".as_slice(), b"\x1b[15;2~", b"\x1bq", b"\x1b[?1;2c"])
        {
            assert_eq!(all(unknown), [Key::Unknown], "{unknown:?}");
        }
        assert_eq!(all(b"\xff\xc3("), [Key::Unknown, Key::Unknown, Key::Char('(')]);
    }

    #[test]
    fn a_key_that_comes_in_pieces_is_waited_for() {
        for whole in [b"\x1b[A".as_slice(), b"\x1b[5~", "€".as_bytes(), b"\x1b[200~x\ny\x1b[201~"] {
            let mut keys = Keys::default();
            for (index, byte) in whole.iter().enumerate() {
                keys.feed(&[*byte]);
                assert_eq!(keys.next(false).is_some(), index + 1 == whole.len(), "{whole:?} at {index}");
            }
            assert!(!keys.are_waiting());
        }
    }

    #[test]
    fn what_is_pasted_is_one_key() {
        assert_eq!(
            all(b"\x1b[200~rm -rf\r\ny\n\x1b[201~x"),
            [Key::Pasted("rm -rf\r\ny\n".to_owned()), Key::Char('x')]
        );
        let mut keys = Keys::default();
        keys.feed(PASTE_BEGINS);
        for _ in 0..200_000 {
            keys.feed(b"zzzz");
        }
        assert!(keys.bytes.len() <= LONGEST_PASTE + 32);
        keys.feed(PASTE_ENDS);
        assert!(matches!(keys.next(false), Some(Key::Pasted(_))));
    }

    #[test]
    fn any_bytes_end_in_keys() {
        let mut seed = 7_u32;
        let mut bytes = Vec::new();
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let byte = u8::try_from(seed >> 24).unwrap();
            bytes.push(if byte % 5 == 0 { 0x1b } else { byte });
        }
        let mut keys = Keys::default();
        keys.feed(&bytes);
        while keys.next(true).is_some() {}
        assert!(!keys.are_waiting() || keys.bytes.starts_with(PASTE_BEGINS));
    }
}
