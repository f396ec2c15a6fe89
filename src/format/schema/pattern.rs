//! The regular expressions of a schema: literals, classes, `\s` and its like, groups, `|`, `?`, `*`, `+`, `^`, `$`. Pure.
//!
//! Promise: a pattern of another kind is not read at all, and no text keeps a match busy: past a number of steps the text
//! counts as one that matches.

/// A pattern that was read whole.
#[derive(Debug)]
pub(super) struct Pattern(Node);

#[derive(Debug)]
enum Node {
    Start,
    End,
    /// A character of these ranges, or with `true` any other.
    Of(Vec<(char, char)>, bool),
    Sequence(Vec<Self>),
    Either(Vec<Self>),
    /// At least and at most this often.
    Repeat(Box<Self>, usize, usize),
}

const STEPS: usize = 100_000;
/// Groups within groups.
const DEEPEST: usize = 16;

impl Pattern {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut rest = text.chars().collect::<Vec<_>>().into_iter().peekable();
        let node = either(&mut rest, 0)?;
        rest.peek().is_none().then_some(Self(node))
    }

    /// Whether some part of the text matches.
    pub(super) fn is_in(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let mut search = Search { text: &text, steps: 0 };
        (0..=text.len()).any(|at| search.matches(&self.0, at, &mut |_, _| true))
    }
}

type Rest = std::iter::Peekable<std::vec::IntoIter<char>>;

fn either(rest: &mut Rest, depth: usize) -> Option<Node> {
    let mut choices = vec![sequence(rest, depth)?];
    while rest.next_if_eq(&'|').is_some() {
        choices.push(sequence(rest, depth)?);
    }
    Some(Node::Either(choices))
}

fn sequence(rest: &mut Rest, depth: usize) -> Option<Node> {
    let mut nodes = Vec::new();
    while let Some(next) = rest.next_if(|next| !matches!(next, '|' | ')')) {
        let node = match next {
            '^' => Node::Start,
            '$' => Node::End,
            '(' if depth < DEEPEST && rest.peek() != Some(&'?') => {
                let group = either(rest, depth + 1)?;
                rest.next_if_eq(&')')?;
                group
            }
            '[' => class(rest)?,
            '.' => Node::Of(vec![('\n', '\n'), ('\r', '\r')], true),
            '\\' => escaped(rest.next()?)?,
            '(' | '?' | '*' | '+' | '{' | '}' | ']' => return None,
            literal => Node::Of(vec![(literal, literal)], false),
        };
        let often = match rest.peek() {
            Some('?') => Some((0, 1)),
            Some('*') => Some((0, usize::MAX)),
            Some('+') => Some((1, usize::MAX)),
            _ => None,
        };
        nodes.push(match often {
            Some((least, most)) => {
                rest.next();
                Node::Repeat(Box::new(node), least, most)
            }
            None => node,
        });
    }
    Some(Node::Sequence(nodes))
}

fn escaped(name: char) -> Option<Node> {
    let (ranges, negated) = match name {
        's' | 'd' | 'w' => (set(name)?, false),
        'S' | 'D' | 'W' => (set(name.to_ascii_lowercase())?, true),
        _ => (set(name)?, false),
    };
    Some(Node::Of(ranges, negated))
}

/// What stands after a backslash.
fn set(name: char) -> Option<Vec<(char, char)>> {
    Some(match name {
        's' => vec![('\t', '\r'), (' ', ' '), ('\u{a0}', '\u{a0}')],
        'd' => vec![('0', '9')],
        'w' => vec![('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        'n' => vec![('\n', '\n')],
        'r' => vec![('\r', '\r')],
        't' => vec![('\t', '\t')],
        letter if letter.is_ascii_alphanumeric() => return None,
        literal => vec![(literal, literal)],
    })
}

fn class(rest: &mut Rest) -> Option<Node> {
    let negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        let from = match rest.next()? {
            ']' => return Some(Node::Of(ranges, negated)),
            '\\' => {
                let found = set(rest.next()?)?;
                let [(one, last)] = found[..] else {
                    ranges.extend(found);
                    continue;
                };
                if one != last {
                    ranges.push((one, last));
                    continue;
                }
                one
            }
            literal => literal,
        };
        if rest.next_if_eq(&'-').is_none() {
            ranges.push((from, from));
            continue;
        }
        match rest.next()? {
            ']' => {
                ranges.extend([(from, from), ('-', '-')]);
                return Some(Node::Of(ranges, negated));
            }
            '\\' => return None,
            to => ranges.push((from, to)),
        }
    }
}

struct Search<'a> {
    text: &'a [char],
    steps: usize,
}

/// What has to match after a node, from a place in the text on.
type Then<'t> = &'t mut dyn FnMut(&mut Search<'_>, usize) -> bool;

impl Search<'_> {
    fn matches(&mut self, node: &Node, at: usize, then: Then<'_>) -> bool {
        self.steps += 1;
        if self.steps > STEPS {
            return true;
        }
        match node {
            Node::Start => at == 0 && then(self, at),
            Node::End => at == self.text.len() && then(self, at),
            Node::Of(ranges, negated) => {
                let Some(next) = self.text.get(at) else { return false };
                let among = ranges.iter().any(|(from, to)| (from..=to).contains(&next));
                among != *negated && then(self, at + 1)
            }
            Node::Sequence(nodes) => self.sequence(nodes, at, then),
            Node::Either(choices) => choices.iter().any(|choice| self.matches(choice, at, then)),
            Node::Repeat(node, least, most) => self.repeat(node, (*least, *most), at, then),
        }
    }

    fn sequence(&mut self, nodes: &[Node], at: usize, then: Then<'_>) -> bool {
        match nodes {
            [] => then(self, at),
            [first, others @ ..] => {
                self.matches(first, at, &mut |search, next| search.sequence(others, next, then))
            }
        }
    }

    /// A single character is counted in a loop: the depth of the calls does not grow with the text.
    fn repeat(&mut self, node: &Node, (least, most): (usize, usize), at: usize, then: Then<'_>) -> bool {
        if let Node::Of(..) = node {
            let one = |search: &mut Self, at| search.matches(node, at, &mut |_, _| true);
            let mut end = at;
            while end - at < most && end < self.text.len() && one(self, end) {
                end += 1;
            }
            return (at + least..=end).rev().any(|end| then(self, end));
        }
        let again = |search: &mut Search<'_>, next: usize, then: Then<'_>| {
            // A turn that takes nothing would never end.
            next > at && search.repeat(node, (least.saturating_sub(1), most.saturating_sub(1)), next, then)
        };
        most > 0 && self.matches(node, at, &mut |search, next| again(search, next, then))
            || least == 0 && then(self, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_what_they_say() {
        for (pattern, yes, no) in [
            ("^[A-Za-z_][A-Za-z0-9_]*$", &["A", "_a9"][..], &["", "9a", "a-b", "a b"][..]),
            ("^(https?://\\S+)?$", &["", "http://p:1", "https://p"], &["ftp://p", "http://", "http://a b"]),
            ("/v1/?$", &["http://a/v1", "http://a/v1/"], &["http://a/v1/x", "http://a/v12"]),
            ("^([^\\s:]+: ?[^\\r\\n]*(\\n|$))*$", &["", "a: b", "a:b\nc: d\n"], &["a", "a: b\n\n", " a: b"]),
            ("^[A-Z.*:/_\\[\\]\\-, ]*$", &["", "[A]-*"], &["a", "A;"]),
            ("a.c|^x+$", &["zabcz", "xx"], &["ac", "a\nc", "xy"]),
            ("^(a|b)+c$", &["ac", "babac"], &["c", "abd"]),
        ] {
            let read = Pattern::parse(pattern).unwrap();
            for text in yes {
                assert!(read.is_in(text), "{pattern} {text:?}");
            }
            for text in no {
                assert!(!read.is_in(text), "{pattern} {text:?}");
            }
        }
    }

    #[test]
    fn what_is_not_read_is_refused_whole() {
        for pattern in ["a{2}", "(?i)a", "(a", "a)", "[a", "\\b", "\\1", "*a", "[a-\\d]", "\\"] {
            assert!(Pattern::parse(pattern).is_none(), "{pattern}");
        }
        assert!(Pattern::parse(&"(".repeat(5000)).is_none());
    }

    #[test]
    fn no_text_keeps_a_match_busy() {
        let slow = Pattern::parse("^((a+)+)+$").unwrap();
        assert!(slow.is_in(&format!("{}b", "a".repeat(60))));
        assert!(Pattern::parse("^[a-z]*$").unwrap().is_in(&"a".repeat(90_000)));
    }
}
