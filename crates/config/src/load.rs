//! Events of the YAML parser to a tree, within bounds.
//!
//! What is wrong in a part of the file becomes a fault beside the tree, since the reader may ignore that part; what
//! leaves no tree to speak of ends the load.

use std::collections::HashSet;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};
use source::redact;

use crate::metered::{MAX_LOOKAHEAD, Meter, Metered};
use crate::node::{Node, Position, Span, Value, counted, duplicate_keys};
use crate::problem::Fault;
use crate::scalar::Scalar;

/// Collections inside collections.
pub const MAX_DEPTH: usize = 64;
/// Scalars, lists and mappings in one file: a thousand plugins with two hundred values each.
pub const MAX_NODES: usize = 200_000;
/// Aliases, tags, duplicate keys and the like, after which nothing more of the file is read.
const MAX_FAULTS: usize = 10_000;

pub(crate) struct Loaded {
    /// The document; nothing for an empty file.
    pub(crate) root: Option<Node>,
    /// Aliases, duplicate keys and tags.
    pub(crate) faults: Vec<Fault>,
    /// What an alias somewhere in the file repeats.
    pub(crate) aliased: Vec<Span>,
}

/// Loads the one document of a file.
///
/// # Errors
/// A syntax error, a bound exceeded, or a second document; and what was found before it.
pub(crate) fn load(text: &str) -> Result<Loaded, Vec<Fault>> {
    let mut loader = Loader::default();
    match loader.run(text) {
        Ok(()) => {
            let is_repeated = |(anchor, _): &(usize, Span)| loader.aliases.contains(anchor);
            let aliased = loader.anchored.into_iter().filter(is_repeated).map(|(_, span)| span).collect();
            Ok(Loaded { root: loader.root, faults: loader.faults, aliased })
        }
        Err(fault) => {
            loader.faults.push(fault);
            Err(loader.faults)
        }
    }
}

#[derive(Default)]
struct Loader {
    open: Vec<Open>,
    root: Option<Node>,
    faults: Vec<Fault>,
    anchored: Vec<(usize, Span)>,
    aliases: HashSet<usize>,
    documents: usize,
    nodes: usize,
}

/// A collection whose end has not come yet.
struct Open {
    span: Span,
    /// Its number, from 1; 0 for most.
    anchor: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<(Node, Node)>, key: Option<Node> },
}

impl Loader {
    fn run(&mut self, text: &str) -> Result<(), Fault> {
        let meter = Meter::default();
        let mut parser = Parser::new_from_iter(Metered::new(text, &meter));
        while let Some(event) = parser.next_event() {
            if let Some(opening) = meter.overrun.get() {
                let message = format!("expected brackets of at most {MAX_LOOKAHEAD} characters where a key may stand");
                let hint = "write it in block style, each item or key on a line of its own";
                return Err(Fault::new(Span::behind(&text[..opening]), message).hint(hint).hidden());
            }
            let (event, at) = event.map_err(|error| syntax(&error))?;
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
                Event::Alias(anchor) => {
                    self.aliases.insert(anchor);
                    self.fault(span, "YAML aliases are not supported", "write the value out");
                    self.place(Node { span, value: Value::Unusable })?;
                }
                Event::Scalar(text, style, anchor, tag) => {
                    self.anchor(anchor, span);
                    let value = self.scalar(span, &text, style, tag.as_deref());
                    self.place(Node { span, value })?;
                }
                Event::SequenceStart(anchor, tag) => {
                    self.collection_tag(span, tag.as_deref(), "seq");
                    self.open(span, anchor, Content::Sequence(Vec::new()))?;
                }
                Event::MappingStart(anchor, tag) => {
                    self.collection_tag(span, tag.as_deref(), "map");
                    self.open(span, anchor, Content::Mapping { entries: Vec::new(), key: None })?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.close(span.start)?,
            }
        }
        Ok(())
    }

    fn open(&mut self, span: Span, anchor: usize, content: Content) -> Result<(), Fault> {
        if self.open.len() == MAX_DEPTH {
            return Err(Fault::new(span, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.open.push(Open { span, anchor, content });
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<(), Fault> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let span = Span { end: end.max(open.span.end), ..open.span };
        self.anchor(open.anchor, span);
        let value = match open.content {
            Content::Sequence(items) => Value::Sequence(items),
            Content::Mapping { entries, .. } => {
                self.faults.extend(duplicate_keys(&entries).into_iter().map(|(span, key, first)| {
                    Fault::new(span, format!("duplicate key `{}`", redact(key)))
                        .hint(format!("it is set already in line {}; keep one", first.line))
                }));
                Value::Mapping(entries)
            }
        };
        self.place(Node { span, value })
    }

    fn anchor(&mut self, anchor: usize, span: Span) {
        if anchor > 0 {
            self.anchored.push((anchor, span));
        }
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, node: Node) -> Result<(), Fault> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Fault::new(node.span, format!("the file holds more than {MAX_NODES} values")).hidden());
        }
        if self.faults.len() > MAX_FAULTS {
            return Err(Fault::new(node.span, format!("the file has more than {MAX_FAULTS} problems")).hidden());
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::Sequence(items)) => items.push(node),
            Some(Content::Mapping { entries, key }) => match key.take() {
                None => *key = Some(node),
                Some(key) => entries.push((key, node)),
            },
        }
        Ok(())
    }

    fn scalar(&mut self, span: Span, text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
        let untagged =
            if style == ScalarStyle::Plain { Scalar::plain(text) } else { Ok(Scalar::Text(text.to_owned())) };
        let scalar = match tag {
            None => untagged,
            Some(tag) => match tagged(tag, text) {
                Some(scalar) => Ok(scalar),
                None => return self.bad_tag(span),
            },
        };
        match scalar {
            Ok(scalar) if self.expects_key() => Value::Scalar(scalar.into_key(text)),
            Ok(scalar) => Value::Scalar(scalar),
            Err(_) => {
                self.faults.push(Fault::new(span, "the number is too large").hint("write it in quotes").hidden());
                Value::Unusable
            }
        }
    }

    fn collection_tag(&mut self, span: Span, tag: Option<&Tag>, core: &str) {
        if let Some(tag) = tag
            && !(tag.is_yaml_core_schema() && tag.suffix == core)
        {
            self.bad_tag(span);
        }
    }

    /// A word behind `!` may be a password without quotes.
    fn bad_tag(&mut self, span: Span) -> Value {
        self.fault(span.start(), "a YAML tag does not fit here", "remove the tag, or write a text in quotes");
        Value::Unusable
    }

    fn fault(&mut self, span: Span, message: &str, hint: &str) {
        self.faults.push(Fault::new(span, message).hint(hint));
    }

    fn expects_key(&self) -> bool {
        self.open.last().is_some_and(|open| matches!(&open.content, Content::Mapping { key: None, .. }))
    }
}

fn syntax(error: &ScanError) -> Fault {
    let start = error.marker().index();
    let span = Span { position: position(*error.marker()), start, end: start + 1 };
    let fault = Fault::new(span, format!("not valid YAML: {}", error.info())).hidden();
    if error.info().contains("tab") { fault.hint("indent with spaces") } else { fault }
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
