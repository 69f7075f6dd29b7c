//! Events of the YAML parser to a tree, within bounds.
//!
//! What is wrong in a part of the file becomes a fault beside the tree, since the reader may ignore that part; what
//! leaves no tree to speak of ends the load.

mod merge_key;

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};
use source::redact;

use crate::butler::MAX_CONFIG_BYTES;
use crate::metered::{MAX_LOOKAHEAD, Meter, Metered};
use crate::node::{Node, Position, Span, Value, counted, duplicate_keys};
use crate::problem::Fault;
use crate::scalar::Scalar;

/// Collections inside collections.
pub const MAX_DEPTH: usize = 64;
/// Scalars, lists and mappings in one file: a thousand plugins with two hundred values each.
pub const MAX_NODES: usize = 200_000;
/// Bytes of text that aliases repeat: as much again as a file may hold.
pub const MAX_REPEATED: usize = MAX_CONFIG_BYTES;
/// Aliases, tags, duplicate keys and the like, after which nothing more of the file is read.
const MAX_FAULTS: usize = 10_000;
const MERGE_KEY: &str = "<<";

/// What a file may use beyond one plain tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Nothing: an alias is a fault, `<<` a key like any other.
    Plain,
    /// Aliases stand for what they repeat, and an unquoted `<<` takes over the keys of other mappings.
    Expanded,
}

pub(crate) struct Loaded {
    /// The document; nothing for an empty file.
    pub(crate) root: Option<Node>,
    /// Aliases, duplicate keys and tags.
    pub(crate) faults: Vec<Fault>,
    /// Merge keys; none in a plain reading.
    pub(crate) warnings: Vec<Fault>,
    /// What an alias somewhere in the file repeats.
    pub(crate) aliased: Vec<Span>,
}

/// Loads the one document of a file.
///
/// # Errors
/// A syntax error, a bound exceeded, or a second document; and what was found before it.
pub(crate) fn load(text: &str, reading: Reading) -> Result<Loaded, Vec<Fault>> {
    let mut loader = Loader::new(reading);
    match loader.run(text) {
        Ok(()) => {
            let is_repeated = |(anchor, _): &(usize, Span)| loader.aliases.contains(anchor);
            let aliased = loader.anchored.into_iter().filter(is_repeated).map(|(_, span)| span).collect();
            Ok(Loaded { root: loader.root, faults: loader.faults, warnings: loader.warnings, aliased })
        }
        Err(fault) => {
            loader.faults.push(fault);
            Err(loader.faults)
        }
    }
}

struct Loader {
    reading: Reading,
    open: Vec<Open>,
    root: Option<Node>,
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
    anchored: Vec<(usize, Span)>,
    aliases: HashSet<usize>,
    documents: usize,
    nodes: usize,
    /// What stands behind anchors, flat: anchors inside anchors cost nothing more.
    tokens: Vec<Token>,
    repeatable: HashMap<usize, Range<usize>>,
    /// The alias whose tokens are being repeated.
    repeating: Option<Span>,
    repeated: usize,
}

/// A piece of the tree to be, read or repeated.
#[derive(Clone)]
enum Token {
    Word(Word),
    Open(Span, Kind),
    /// Where the collection ends.
    Close(usize),
}

#[derive(Clone)]
struct Word {
    span: Span,
    text: String,
    /// Neither quotes nor a tag.
    is_plain: bool,
    /// Nothing where it was complained about.
    scalar: Option<Scalar>,
}

#[derive(Clone, Copy)]
enum Kind {
    Sequence,
    Mapping,
}

/// A collection whose end has not come yet.
struct Open {
    span: Span,
    /// Its number, from 1; 0 for most.
    anchor: usize,
    /// Its own token, where those are kept.
    token: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<(Node, Node)>, merged: Vec<(Span, Node)>, key: Option<Key> },
}

enum Key {
    Written(Node),
    Merge(Span),
}

impl Loader {
    fn new(reading: Reading) -> Self {
        Self {
            reading,
            open: Vec::new(),
            root: None,
            faults: Vec::new(),
            warnings: Vec::new(),
            anchored: Vec::new(),
            aliases: HashSet::new(),
            documents: 0,
            nodes: 0,
            tokens: Vec::new(),
            repeatable: HashMap::new(),
            repeating: None,
            repeated: 0,
        }
    }

    fn run(&mut self, text: &str) -> Result<(), Fault> {
        let meter = Meter::default();
        let mut parser = Parser::new_from_iter(Metered::new(text, &meter));
        while let Some(event) = parser.next_event() {
            if let Some(opening) = meter.overrun.get() {
                let message = format!("expected brackets of at most {MAX_LOOKAHEAD} characters where a key may stand");
                let hint = "write it in block style, each item or key on a line of its own";
                return Err(Fault::new(Span::behind(&text[..opening]), message).hint(hint).hidden());
            }
            let (event, at) = event.map_err(|error| syntax(&error, text))?;
            meter.told.set(at.end.index());
            let span = Span { position: position(at.start), start: at.start.index(), end: at.end.index() };
            match event {
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
                Event::DocumentStart(_) => {
                    self.documents += 1;
                    if self.documents > 1 {
                        return Err(Fault::new(span, "expected one YAML document, found a second")
                            .hint("keep what stands before this line, or write two files"));
                    }
                }
                Event::Alias(anchor) => self.alias(span, anchor)?,
                Event::Scalar(text, style, anchor, tag) => {
                    self.anchor(anchor, span);
                    let scalar = self.scalar(span, &text, style, tag.as_deref());
                    let is_plain = style == ScalarStyle::Plain && tag.is_none();
                    self.take(Token::Word(Word { span, text: text.into_owned(), is_plain, scalar }), anchor)?;
                }
                Event::SequenceStart(anchor, tag) => {
                    self.collection_tag(span, tag.as_deref(), "seq");
                    self.take(Token::Open(span, Kind::Sequence), anchor)?;
                }
                Event::MappingStart(anchor, tag) => {
                    self.collection_tag(span, tag.as_deref(), "map");
                    self.take(Token::Open(span, Kind::Mapping), anchor)?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.take(Token::Close(span.start), 0)?,
            }
        }
        Ok(())
    }

    fn alias(&mut self, span: Span, anchor: usize) -> Result<(), Fault> {
        self.aliases.insert(anchor);
        let unusable = Token::Word(Word { span, text: String::new(), is_plain: false, scalar: None });
        if self.reading == Reading::Plain {
            self.fault(span, "YAML aliases are not supported", "write the value out");
            return self.take(unusable, 0);
        }
        // The parser rejects names that it does not know; a value that is not kept yet has begun, but not ended.
        let Some(tokens) = self.repeatable.get(&anchor).cloned() else {
            self.fault(span, "the alias stands inside the value that it repeats", "write the value out");
            return self.take(unusable, 0);
        };
        self.repeating = Some(span);
        let first = tokens.start;
        for index in tokens {
            let mut token = self.tokens[index].clone();
            // The value itself stands where the alias does, which may be shown; what is inside it, where it is written.
            if let (true, Token::Word(Word { span: own, .. }) | Token::Open(own, _)) = (index == first, &mut token) {
                *own = span;
            }
            if let Token::Word(word) = &token {
                self.repeated = self.repeated.saturating_add(word.text.len());
            }
            if self.repeated > MAX_REPEATED {
                let message = format!("aliases repeat more than {MAX_REPEATED} bytes");
                return Err(Fault::new(span, message).hint("repeat less, or shorter values"));
            }
            self.take(token, 0)?;
        }
        self.repeating = None;
        Ok(())
    }

    /// Builds the tree, and keeps what an alias may repeat.
    fn take(&mut self, token: Token, anchor: usize) -> Result<(), Fault> {
        let index = self.tokens.len();
        let is_anchored = anchor > 0 || self.open.iter().any(|open| open.anchor > 0);
        if is_anchored && self.reading == Reading::Expanded {
            self.tokens.push(token.clone());
        }
        match token {
            Token::Word(word) => {
                self.keep(anchor, index);
                self.word(word)
            }
            Token::Open(span, kind) => {
                let content = match kind {
                    Kind::Sequence => Content::Sequence(Vec::new()),
                    Kind::Mapping => Content::Mapping { entries: Vec::new(), merged: Vec::new(), key: None },
                };
                self.open(Open { span, anchor, token: index, content })
            }
            Token::Close(end) => self.close(end),
        }
    }

    fn word(&mut self, word: Word) -> Result<(), Fault> {
        let Word { span, text, is_plain, scalar } = word;
        if is_plain && text == MERGE_KEY && self.reading == Reading::Expanded && self.expects_key() {
            self.count(span)?;
            if let Some(Content::Mapping { key, .. }) = self.open.last_mut().map(|open| &mut open.content) {
                *key = Some(Key::Merge(span));
            }
            return Ok(());
        }
        let value = match scalar {
            Some(scalar) if self.expects_key() => Value::Scalar(scalar.into_key(&text)),
            Some(scalar) => Value::Scalar(scalar),
            None => Value::Unusable,
        };
        self.place(Node { span, value })
    }

    fn open(&mut self, open: Open) -> Result<(), Fault> {
        if self.open.len() == MAX_DEPTH {
            let span = self.repeating.unwrap_or(open.span);
            return Err(Fault::new(span, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<(), Fault> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let span = Span { end: end.max(open.span.end), ..open.span };
        self.anchor(open.anchor, span);
        self.keep(open.anchor, open.token);
        let value = match open.content {
            Content::Sequence(items) => Value::Sequence(items),
            Content::Mapping { mut entries, merged, .. } => {
                let mut faults: Vec<_> = duplicate_keys(&entries)
                    .into_iter()
                    .map(|(span, key, first)| duplicate(span, &redact(key), first))
                    .collect();
                let mut warnings = Vec::new();
                merge_key::merge(&mut entries, merged, &mut faults, &mut warnings);
                // What is repeated was complained about where it is written.
                if self.repeating.is_none() {
                    self.faults.append(&mut faults);
                    self.warnings.append(&mut warnings);
                }
                Value::Mapping(entries)
            }
        };
        self.place(Node { span, value })
    }

    /// Notes what an alias of this anchor is to repeat: everything since a token.
    fn keep(&mut self, anchor: usize, first: usize) {
        if anchor > 0 {
            self.repeatable.insert(anchor, first..self.tokens.len());
        }
    }

    fn anchor(&mut self, anchor: usize, span: Span) {
        if anchor > 0 {
            self.anchored.push((anchor, span));
        }
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, node: Node) -> Result<(), Fault> {
        self.count(node.span)?;
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::Sequence(items)) => items.push(node),
            Some(Content::Mapping { entries, merged, key }) => match key.take() {
                None => *key = Some(Key::Written(node)),
                Some(Key::Written(key)) => entries.push((key, node)),
                Some(Key::Merge(key)) => merged.push((key, node)),
            },
        }
        Ok(())
    }

    fn count(&mut self, span: Span) -> Result<(), Fault> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let fault = |span| Fault::new(span, format!("the file holds more than {MAX_NODES} values"));
            return Err(match self.repeating {
                Some(alias) => fault(alias).hint("what an alias repeats counts each time; repeat less"),
                None => fault(span).hidden(),
            });
        }
        if self.faults.len() > MAX_FAULTS {
            return Err(Fault::new(span, format!("the file has more than {MAX_FAULTS} problems")).hidden());
        }
        Ok(())
    }

    /// A scalar's meaning, unless it has none.
    fn scalar(&mut self, span: Span, text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Option<Scalar> {
        let untagged =
            if style == ScalarStyle::Plain { Scalar::plain(text) } else { Ok(Scalar::Text(text.to_owned())) };
        let scalar = match tag.map(|tag| tagged(tag, text)) {
            None => untagged,
            Some(Some(scalar)) => Ok(scalar),
            Some(None) => {
                self.bad_tag(span);
                return None;
            }
        };
        if scalar.is_err() {
            self.faults.push(Fault::new(span, "the number is too large").hint("write it in quotes").hidden());
        }
        scalar.ok()
    }

    fn collection_tag(&mut self, span: Span, tag: Option<&Tag>, core: &str) {
        if let Some(tag) = tag
            && !(tag.is_yaml_core_schema() && tag.suffix == core)
        {
            self.bad_tag(span);
        }
    }

    /// A word behind `!` may be a password without quotes.
    fn bad_tag(&mut self, span: Span) {
        self.fault(span.start(), "a YAML tag does not fit here", "remove the tag, or write a text in quotes");
    }

    fn fault(&mut self, span: Span, message: &str, hint: &str) {
        self.faults.push(Fault::new(span, message).hint(hint));
    }

    fn expects_key(&self) -> bool {
        self.open.last().is_some_and(|open| matches!(&open.content, Content::Mapping { key: None, .. }))
    }
}

fn duplicate(span: Span, key: &str, first: Position) -> Fault {
    Fault::new(span, format!("duplicate key `{key}`"))
        .hint(format!("it is set already in line {}; keep one", first.line))
}

fn syntax(error: &ScanError, text: &str) -> Fault {
    let start = error.marker().index();
    let message = format!("not valid YAML: {}", error.info());
    if error.info().contains("tab") {
        // The parser stands behind the tab, or still before what the tab follows.
        let mut rest = text.char_indices().skip(start.saturating_sub(1));
        let tab = rest.find(|(_, character)| *character == '\t').map(|(at, _)| Span::behind(&text[..at]));
        let span = tab.unwrap_or_else(|| Span::behind(text));
        return Fault::new(span, message).hidden().hint("indent with spaces");
    }
    let span = Span { position: position(*error.marker()), start, end: start + 1 };
    Fault::new(span, message).hidden()
}

/// The meaning of a scalar with an explicit tag, when the tag is known and the text fits.
fn tagged(tag: &Tag, text: &str) -> Option<Scalar> {
    if tag.handle.is_empty() && tag.suffix == "!" {
        return Some(Scalar::Text(text.to_owned()));
    }
    if !tag.is_yaml_core_schema() {
        return None;
    }
    if tag.suffix == "str" {
        return Some(Scalar::Text(text.to_owned()));
    }
    match (tag.suffix.as_str(), Scalar::plain(text).ok()?) {
        ("null", plain @ Scalar::Null)
        | ("bool", plain @ Scalar::Bool(_))
        | ("int", plain @ Scalar::Int(_))
        | ("float", plain @ (Scalar::Float(_) | Scalar::Int(_))) => Some(plain),
        _ => None,
    }
}

fn position(marker: Marker) -> Position {
    Position { line: counted(marker.line()), column: counted(marker.col().saturating_add(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_inside_anchors_are_kept_once() {
        let text = format!("{}x{}", "&a [".repeat(60), "]".repeat(60));
        let mut loader = Loader::new(Reading::Expanded);
        assert_eq!(loader.run(&text), Ok(()));
        assert_eq!((loader.nodes, loader.tokens.len(), loader.repeatable.len()), (61, 121, 60));

        let mut plain = Loader::new(Reading::Plain);
        assert_eq!(plain.run(&text), Ok(()));
        assert_eq!((plain.nodes, plain.tokens.len()), (61, 0));
    }
}
