//! A plugin's piece of app-config.

use crate::fields::Reader;
use crate::node::{Node, Position, Value};
use crate::problem::Fault;

/// Characters of a key. YAML readers look for the colon within 1,024 characters; escapes and quotes need room.
const MAX_KEY: usize = 500;
/// Keys that change an object's prototype in a portal's JavaScript, and the merge key of older YAML.
const FORBIDDEN: [&str; 4] = ["__proto__", "constructor", "prototype", "<<"];

/// A `pluginConfig` mapping. Every piece of it knows where it stands in the file.
#[derive(Debug, Clone)]
pub struct Fragment {
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
        Some(Self { position: node.span.position, entries })
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
    if FORBIDDEN.contains(&text) {
        reader.fault(Fault::new(key.span, format!("the key `{text}` is not allowed in `pluginConfig`")));
    } else if text.chars().any(char::is_control) {
        reader.fault(Fault::new(key.span, "a key holds control characters"));
    } else if text.chars().nth(MAX_KEY).is_some() {
        reader.fault(Fault::new(key.span, format!("a key is longer than {MAX_KEY} characters")));
    }
}
