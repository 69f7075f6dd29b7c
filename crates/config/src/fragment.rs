//! A plugin's piece of app-config.

use std::sync::Arc;

use crate::fields::Reader;
use crate::node::{Node, Position, Value};
use crate::problem::Fault;

/// Characters of a key. YAML readers look for the colon within 1,024 characters; escapes and quotes need room.
const MAX_KEY: usize = 500;
/// Keys that change an object's prototype in a portal's JavaScript.
const POLLUTING: [&str; 3] = ["__proto__", "constructor", "prototype"];
/// What older YAML takes for more than a key.
const MERGE_KEY: &str = "<<";

/// A `pluginConfig` mapping. Every piece of it knows where it stands in the file.
#[derive(Debug, Clone)]
pub struct Fragment {
    file: Option<Arc<str>>,
    position: Position,
    entries: Vec<(Node, Node)>,
}

impl Fragment {
    /// Where the mapping starts.
    pub const fn position(&self) -> Position {
        self.position
    }

    /// Whether it sets nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The file that it stands in, where several are read.
    pub(crate) const fn file(&self) -> Option<&Arc<str>> {
        self.file.as_ref()
    }

    pub(crate) fn entries(&self) -> &[(Node, Node)] {
        &self.entries
    }

    pub(crate) fn into_entries(self) -> Vec<(Node, Node)> {
        self.entries
    }

    pub(crate) fn read(reader: &mut Reader, node: Node) -> Option<Self> {
        check_keys(reader, &node);
        let Value::Mapping(entries) = node.value else {
            reader.wrong_type("`pluginConfig`", "a mapping", &node);
            return None;
        };
        Some(Self { file: None, position: node.span.position, entries })
    }

    /// Reads one of several files; the keys that would change an object's prototype are dropped with a warning.
    pub(crate) fn read_lenient(reader: &mut Reader, mut node: Node, file: &Arc<str>) -> Option<Self> {
        drop_polluting(reader, &mut node);
        Some(Self { file: Some(Arc::clone(file)), ..Self::read(reader, node)? })
    }
}

/// Bounded by the loader's depth.
fn drop_polluting(reader: &mut Reader, node: &mut Node) {
    match &mut node.value {
        Value::Scalar(_) | Value::Unusable => {}
        Value::Sequence(items) => items.iter_mut().for_each(|item| drop_polluting(reader, item)),
        Value::Mapping(entries) => {
            let is_polluting = |key: &Node| key.as_text().is_some_and(|text| POLLUTING.contains(&text));
            for (key, _) in entries.extract_if(.., |(key, _)| is_polluting(key)) {
                let message = format!("the key `{}` is dropped from `pluginConfig`", key.as_text().unwrap_or_default());
                reader.warning(
                    Fault::new(key.span, message).hint("remove it; it would change every object of the portal"),
                );
            }
            for (_, value) in entries {
                drop_polluting(reader, value);
            }
        }
    }
}

/// Bounded by the loader's depth.
fn check_keys(reader: &mut Reader, node: &Node) {
    match &node.value {
        Value::Scalar(_) | Value::Unusable => {}
        Value::Sequence(items) => items.iter().for_each(|item| check_keys(reader, item)),
        Value::Mapping(entries) => {
            for (key, value) in entries {
                if let Some(text) = reader.key(key) {
                    check_key(reader, key, text);
                }
                check_keys(reader, value);
            }
        }
    }
}

fn check_key(reader: &mut Reader, key: &Node, text: &str) {
    if POLLUTING.contains(&text) || text == MERGE_KEY {
        reader.fault(Fault::new(key.span, format!("the key `{text}` is not allowed in `pluginConfig`")));
    } else if text.chars().any(char::is_control) {
        reader.fault(Fault::new(key.span, "a key holds control characters"));
    } else if text.chars().nth(MAX_KEY).is_some() {
        reader.fault(Fault::new(key.span, format!("a key is longer than {MAX_KEY} characters")));
    }
}
