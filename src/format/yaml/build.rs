//! From parser events to nodes. All limits and refusals of the reader are here.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, StructureStyle, Tag};

use super::document::{Data, Doc, Duplicate, Kind, Place, YamlError};
use super::resolve::Scalar;
use super::resolve::{resolve, with_tag};
use super::value::Value;

/// Collections in collections; more than any configuration, less than any stack.
const DEPTH_LIMIT: usize = 100;
/// Aliases in one document.
const ALIAS_LIMIT: usize = 128;
/// Nodes after every alias is replaced by what it names.
const EXPANDED_LIMIT: usize = 100_000;
/// Prefix of YAML's own tags.
const YAML_TAGS: &str = "tag:yaml.org,2002:";

/// Words of the parser, and what they come down to for the person who wrote the file.
const PLAIN_WORDS: [(&str, &str); 12] = [
    (
        "mapping values are not allowed",
        "a : that begins no value here: quote the value, or check the indentation",
    ),
    ("illegal placement of ':'", "a [ or { further up is not closed"),
    ("expected ',' or '}'", "a { further up is not closed, or a comma is missing"),
    ("expected ',' or ']'", "a [ further up is not closed, or a comma is missing"),
    ("expected key", "this line is not indented like the ones it belongs to"),
    ("expected '-' indicator", "this line is not indented like the list it ends"),
    ("expected <document start>", "this line is not indented like the ones before it"),
    ("multiline quoted scalar", "a quote further up is not closed"),
    ("unexpected character", "a value cannot begin with this character: put it in quotes"),
    ("unknown escape", "a backslash sequence that YAML does not know: use single quotes"),
    ("unknown anchor", "no anchor of this name stands further up"),
    ("simple key expected ':'", "a key without a :"),
];

pub(super) fn build(text: &str) -> Result<(Doc, Vec<Duplicate>), YamlError> {
    refuse_characters(text)?;
    let mut builder = Builder {
        text,
        nodes: Vec::new(),
        extents: Vec::new(),
        open: Vec::new(),
        flow: Vec::new(),
        root: None,
        documents: 0,
        aliases: 0,
        anchors: HashMap::new(),
        anchor_names: HashSet::new(),
        may_hold_tabs: Vec::new(),
        duplicates: Vec::new(),
    };
    let options = granit_parser::options! { emit_anchor_events: true, disallow_directives: true };
    let mut parser = Parser::new_from_str_with_options(text, options);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| builder.syntax_error(&error))?;
        let span =
            span.byte_range().unwrap_or_else(|| byte_range(text, span.start.index()..span.end.index()));
        builder.event(event, span)?;
    }
    builder.refuse_tabs()?;
    if let (None, Some(at)) =
        (builder.root, text.find("\n...").map(|at| at + 1).or(text.starts_with("...").then_some(0)))
    {
        return Err(error(text, at..at + 3, "the end of a document that never began"));
    }
    let Builder { nodes, root, duplicates, .. } = builder;
    Ok((Doc { text: text.to_owned(), nodes, root }, duplicates))
}

fn byte_range(text: &str, chars: Range<usize>) -> Range<usize> {
    let byte = |index| text.char_indices().nth(index).map_or(text.len(), |(at, _)| at);
    byte(chars.start)..byte(chars.end)
}

fn error(text: &str, span: Range<usize>, why: impl Into<String>) -> YamlError {
    let Place { line, column, len } = Place::of(text, span);
    YamlError { line, column, len, why: why.into() }
}

/// Characters that PyYAML refuses, or that one reader takes for the end of a line and another does not.
fn refuse_characters(text: &str) -> Result<(), YamlError> {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let why = match c {
            '\t' | '\n' => continue,
            '\r' if chars.peek().is_some_and(|(_, next)| *next == '\n') => continue,
            '\r' => "a carriage return without a line feed",
            '\u{85}' | '\u{2028}' | '\u{2029}' => "a line separator that readers treat differently",
            '\u{feff}' => "a byte order mark inside the text",
            '\u{fffe}' | '\u{ffff}' => "a character that YAML does not allow",
            c if c.is_control() => "a control character",
            _ => continue,
        };
        return Err(error(text, at..at + c.len_utf8(), why));
    }
    Ok(())
}

/// How large a node is once its aliases are replaced.
#[derive(Clone, Copy)]
struct Extent {
    nodes: usize,
    depth: usize,
}

/// A collection that has begun.
struct Open {
    id: usize,
    anchor: usize,
    /// Keys so far and where they stand.
    keys: BTreeMap<Value, usize>,
    /// The key that waits for its value.
    key: Option<Key>,
}

enum Key {
    Plain(usize),
    Merge,
}

struct Builder<'t> {
    text: &'t str,
    nodes: Vec<Data>,
    extents: Vec<Extent>,
    open: Vec<Open>,
    /// Of each open collection, whether it is written with brackets.
    flow: Vec<bool>,
    root: Option<usize>,
    documents: usize,
    aliases: usize,
    /// Anchors by number; without a node while what they name is still open.
    anchors: HashMap<usize, Option<usize>>,
    anchor_names: HashSet<String>,
    /// Quoted and block scalars, comments.
    may_hold_tabs: Vec<Range<usize>>,
    duplicates: Vec<Duplicate>,
}

impl Builder<'_> {
    fn error(&self, span: Range<usize>, why: impl Into<String>) -> YamlError {
        error(self.text, span, why)
    }

    fn syntax_error(&self, error: &granit_parser::ScanError) -> YamlError {
        let marker = error.marker();
        let at = marker
            .byte_offset()
            .unwrap_or_else(|| byte_range(self.text, marker.index()..marker.index()).start);
        let info = error.info();
        let line_start = self.text[..self.text.floor_char_boundary(at)].rfind('\n').map_or(0, |end| end + 1);
        let line = self.text[line_start..].lines().next().unwrap_or_default();
        let indent = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
        let tab = indent.find('\t').map(|tab| line_start + tab);
        let named = info.contains("tab").then(|| self.text[at..].find('\t').map(|tab| at + tab)).flatten();
        if let Some(tab) = tab.or(named) {
            return self.error(tab..tab + 1, "a tab: YAML wants spaces");
        }
        let plain = PLAIN_WORDS.iter().find(|(theirs, _)| info.contains(theirs));
        self.error(at..at, plain.map_or(info.as_str(), |(_, ours)| ours))
    }

    fn event(&mut self, event: Event<'_>, span: Range<usize>) -> Result<(), YamlError> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                match self.documents {
                    1 => Ok(()),
                    _ => Err(self.error(span, "a second document: the file must hold one")),
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(text.into_owned(), style, anchor, tag.as_deref(), span)
            }
            Event::Anchor(_, name) => {
                self.plain_name(&name, span.clone())?;
                match self.anchor_names.insert(name.into_owned()) {
                    true => Ok(()),
                    false => Err(self.error(span, "an anchor of this name stands further up")),
                }
            }
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::Comment(..) => {
                self.may_hold_tabs.push(span);
                Ok(())
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.flow.push(style == StructureStyle::Flow);
                self.begin(Kind::Seq(Vec::new()), anchor, tag.as_deref(), "seq", span)
            }
            Event::MappingStart(style, anchor, tag) => {
                self.flow.push(style == StructureStyle::Flow);
                let kind = Kind::Map { own: Vec::new(), merges: Vec::new() };
                self.begin(kind, anchor, tag.as_deref(), "map", span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            _ => Ok(()),
        }
    }

    /// Whether the next node is a key.
    fn expects_key(&self) -> bool {
        let inside = self.open.last();
        inside.is_some_and(|open| open.key.is_none() && matches!(self.nodes[open.id].kind, Kind::Map { .. }))
    }

    fn scalar(
        &mut self,
        text: String,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        span: Range<usize>,
    ) -> Result<(), YamlError> {
        let plain = style == ScalarStyle::Plain;
        let inferred = plain && tag.is_none();
        if let Some(why) = self.misread(&text, style, &span) {
            return Err(self.error(span, why));
        }
        if !plain {
            self.may_hold_tabs.push(span.clone());
        }
        if inferred && text == "<<" && self.expects_key() {
            if let Some(open) = self.open.last_mut() {
                open.key = Some(Key::Merge);
            }
            return Ok(());
        }
        let scalar = match tag {
            None if inferred && text == "=" && self.expects_key() => Ok(Scalar::Str(text.clone())),
            None if inferred => resolve(&text),
            None => Ok(Scalar::Str(text.clone())),
            Some(tag) => match tag_name(tag) {
                Some("") => resolve(&text),
                Some(name) => with_tag(name, &text),
                None => Err("a tag that LiteLLM's reader refuses"),
            },
        };
        let scalar = scalar.map_err(|why| self.error(span.clone(), why))?;
        let id =
            self.push(Kind::Scalar { scalar, text, plain: inferred }, span, Extent { nodes: 1, depth: 0 });
        self.name(anchor, Some(id));
        self.place(id)
    }

    /// YAML 1.2 allows more in the name of an anchor, and PyYAML then reads something else.
    fn plain_name(&self, name: &str, span: Range<usize>) -> Result<(), YamlError> {
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        let next = self.text[span.end..].chars().next();
        match plain && next.is_none_or(|c| c.is_whitespace() || ",]}".contains(c)) {
            true => Ok(()),
            false => {
                Err(self.error(span, "the name of an anchor may hold letters, digits, - and _, then a space"))
            }
        }
    }

    /// What YAML 1.2 reads as this scalar and PyYAML as something else.
    fn misread(&self, text: &str, style: ScalarStyle, span: &Range<usize>) -> Option<&'static str> {
        let in_brackets = self.flow.contains(&true);
        match () {
            () if self.expects_key() && span.is_empty() => Some("a key is missing before the :"),
            () if self.expects_key() && self.text[span.clone()].contains('\n') => {
                Some("a key over several lines")
            }
            () if self.expects_key() && in_brackets && colon_on_a_later_line(&self.text[span.end..]) => {
                Some("the : of a key stands on a later line")
            }
            () if self.open.is_empty() && matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) => {
                Some("a document that is nothing but a block of text")
            }
            () if style == ScalarStyle::Plain
                && in_brackets
                && (text.contains('?') || text.starts_with(':')) =>
            {
                Some("a ? or a leading : inside brackets: put the value in quotes")
            }
            () => None,
        }
    }

    /// PyYAML takes a tab only inside quotes, block scalars and comments.
    fn refuse_tabs(&self) -> Result<(), YamlError> {
        let mut allowed = self.may_hold_tabs.clone();
        allowed.sort_by_key(|span| span.start);
        let mut allowed = allowed.iter().peekable();
        for (at, _) in self.text.match_indices('\t') {
            while allowed.next_if(|span| span.end <= at).is_some() {}
            if allowed.peek().is_none_or(|span| at < span.start) {
                return Err(self.error(at..at + 1, "a tab: YAML wants spaces"));
            }
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: Range<usize>) -> Result<(), YamlError> {
        let name = self.text[span.clone()].trim_start_matches('*');
        self.plain_name(name, span.clone())?;
        self.aliases += 1;
        if self.aliases > ALIAS_LIMIT {
            return Err(self.error(span, format!("more than {ALIAS_LIMIT} aliases")));
        }
        let Some(target) = self.anchors.get(&anchor).copied().flatten() else {
            return Err(self.error(span, "an alias inside the very thing that it names"));
        };
        let extent = self.extents[target];
        let id = self.push(Kind::Alias(target), span, extent);
        self.place(id)
    }

    fn begin(
        &mut self,
        kind: Kind,
        anchor: usize,
        tag: Option<&Tag>,
        own_tag: &str,
        span: Range<usize>,
    ) -> Result<(), YamlError> {
        if tag.is_some_and(|tag| !matches!(tag_name(tag), Some(name) if name == own_tag || name.is_empty())) {
            return Err(self.error(span, "a tag that LiteLLM's reader refuses"));
        }
        if self.expects_key() {
            return Err(self.error(span, "a mapping or a list cannot be a key"));
        }
        if self.open.len() == DEPTH_LIMIT {
            return Err(self.error(span, format!("nested deeper than {DEPTH_LIMIT} levels")));
        }
        let id = self.push(kind, span, Extent { nodes: 1, depth: 1 });
        self.name(anchor, None);
        self.open.push(Open { id, anchor, keys: BTreeMap::new(), key: None });
        Ok(())
    }

    fn end(&mut self, span: Range<usize>) -> Result<(), YamlError> {
        self.flow.pop();
        let Some(Open { id, anchor, .. }) = self.open.pop() else { return Ok(()) };
        self.nodes[id].span.end = span.end.max(self.nodes[id].span.start);
        self.name(anchor, Some(id));
        self.place(id)
    }

    fn push(&mut self, kind: Kind, span: Range<usize>, extent: Extent) -> usize {
        self.nodes.push(Data { kind, span });
        self.extents.push(extent);
        self.nodes.len() - 1
    }

    fn name(&mut self, anchor: usize, id: Option<usize>) {
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, id: usize) -> Result<(), YamlError> {
        let Some(parent) = self.open.last().map(|open| open.id) else {
            self.root = Some(id);
            return Ok(());
        };
        self.grow(parent, id)?;
        let key = match &mut self.nodes[parent].kind {
            Kind::Seq(items) => {
                items.push(id);
                return Ok(());
            }
            _ => self.open.last_mut().and_then(|open| open.key.take()),
        };
        match key {
            None => self.key(id),
            Some(Key::Merge) => self.merge(parent, id),
            Some(Key::Plain(key)) => {
                if let Kind::Map { own, .. } = &mut self.nodes[parent].kind {
                    own.push((key, id));
                }
                Ok(())
            }
        }
    }

    /// Counts `id` into its parent.
    fn grow(&mut self, parent: usize, id: usize) -> Result<(), YamlError> {
        let child = self.extents[id];
        let extent = &mut self.extents[parent];
        extent.nodes = extent.nodes.saturating_add(child.nodes);
        extent.depth = extent.depth.max(child.depth + 1);
        let Extent { nodes, depth } = *extent;
        if nodes > EXPANDED_LIMIT || depth + self.open.len() > 2 * DEPTH_LIMIT {
            return Err(
                self.error(self.nodes[id].span.clone(), "the aliases expand to more than anyone could mean")
            );
        }
        Ok(())
    }

    fn key(&mut self, id: usize) -> Result<(), YamlError> {
        let span = self.nodes[id].span.clone();
        let target = match self.nodes[id].kind {
            Kind::Alias(target) => target,
            _ => id,
        };
        let Kind::Scalar { scalar, text, .. } = &self.nodes[target].kind else {
            return Err(self.error(span, "a mapping or a list cannot be a key"));
        };
        let (value, text) = (Value::Scalar(scalar.clone()), text.clone());
        let Some(open) = self.open.last_mut() else { return Ok(()) };
        open.key = Some(Key::Plain(id));
        if let Some(first) = open.keys.insert(value, id) {
            let first = Place::of(self.text, self.nodes[first].span.clone());
            self.duplicates.push(Duplicate { key: text, first, second: Place::of(self.text, span) });
        }
        Ok(())
    }

    fn merge(&mut self, parent: usize, id: usize) -> Result<(), YamlError> {
        let kind = |id: usize| match self.nodes[id].kind {
            Kind::Alias(target) => &self.nodes[target].kind,
            ref kind => kind,
        };
        let mergeable = match kind(id) {
            Kind::Map { .. } => true,
            Kind::Seq(items) => items.iter().all(|item| matches!(kind(*item), Kind::Map { .. })),
            _ => false,
        };
        if !mergeable {
            return Err(self.error(self.nodes[id].span.clone(), "<< merges a mapping or a list of mappings"));
        }
        if let Kind::Map { merges, .. } = &mut self.nodes[parent].kind {
            merges.push(id);
        }
        Ok(())
    }
}

fn colon_on_a_later_line(rest: &str) -> bool {
    let after = rest.trim_start();
    after.starts_with(':') && rest[..rest.len() - after.len()].contains('\n')
}

/// The name of one of YAML's own tags; empty for the bare `!`.
fn tag_name(tag: &Tag) -> Option<&str> {
    let (prefix, name) = tag.parts();
    match (prefix, name) {
        (YAML_TAGS, name) => Some(name),
        ("", "!") | ("!", "") => Some(""),
        _ => None,
    }
}
