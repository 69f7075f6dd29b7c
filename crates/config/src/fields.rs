//! Reading a tree by a schema, collecting every complaint on the way.

use crate::node::{Node, Span, Value};
use crate::problem::Fault;
use crate::scalar::{Scalar, boolean_word};

/// Keys with this prefix are the writer's own and are passed over.
const PRIVATE_PREFIX: &str = "x-";
/// Keys that forbid something: where one is misspelt, nothing may come to be allowed.
const GUARDS: [&str; 4] = ["allowedSources", "disabled", "enabled", "integrity"];
/// A longer key is no typing error.
const MAX_SUGGESTED_FROM: usize = 40;

#[derive(Default)]
pub(crate) struct Reader {
    pub(crate) faults: Vec<Fault>,
    /// Only a lenient reading has any.
    pub(crate) warnings: Vec<Fault>,
}

/// The known keys that a mapping holds.
#[derive(Default)]
pub(crate) struct Fields(Vec<(&'static str, Node)>);

impl Fields {
    /// The value of a key, unless it is null or absent.
    pub(crate) fn take(&mut self, key: &str) -> Option<Node> {
        self.take_even_null(key).filter(|value| !value.is_null())
    }

    pub(crate) fn take_even_null(&mut self, key: &str) -> Option<Node> {
        let index = self.0.iter().position(|(known, _)| *known == key)?;
        Some(self.0.swap_remove(index).1)
    }
}

impl Reader {
    pub(crate) fn fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(crate) fn warning(&mut self, warning: Fault) {
        self.warnings.push(warning);
    }

    /// The fields of a mapping; a key that is not among the known ones is a fault.
    pub(crate) fn fields(&mut self, what: &str, node: Node, known: &[&'static str]) -> Fields {
        let (fields, unknown) = self.known_and_unknown(what, node, known);
        self.faults.extend(unknown.into_iter().map(|(_, fault)| fault));
        fields
    }

    /// The fields of a mapping; a key that is not among the known ones is ignored with a warning, unless it was meant to
    /// be one that forbids something.
    pub(crate) fn lenient_fields(&mut self, what: &str, node: Node, known: &[&'static str]) -> Fields {
        let (fields, unknown) = self.known_and_unknown(what, node, known);
        for (meant, fault) in unknown {
            let is_guard = meant.is_some_and(|meant| GUARDS.contains(&meant));
            if is_guard { self.fault(fault) } else { self.warning(fault) }
        }
        fields
    }

    /// The known fields, and complaints about the others, each with what was probably meant.
    fn known_and_unknown(
        &mut self,
        what: &str,
        node: Node,
        known: &[&'static str],
    ) -> (Fields, Vec<(Option<&'static str>, Fault)>) {
        let mut fields = Vec::new();
        let mut unknown = Vec::new();
        match node.value {
            Value::Mapping(entries) => {
                for (key, value) in entries {
                    let Some(text) = self.key(&key) else { continue };
                    match known.iter().find(|known| **known == text) {
                        Some(known) => fields.push((*known, value)),
                        None if text.starts_with(PRIVATE_PREFIX) => {}
                        None => unknown.push(unknown_key(key.span, text, known)),
                    }
                }
            }
            _ => self.wrong_type(what, "a mapping", &node),
        }
        (Fields(fields), unknown)
    }

    pub(crate) fn list(&mut self, what: &str, node: Node) -> Vec<Node> {
        let Value::Sequence(items) = node.value else {
            self.wrong_type(what, "a list", &node);
            return Vec::new();
        };
        items
    }

    pub(crate) fn text(&mut self, what: &str, node: Node) -> Option<String> {
        let Value::Scalar(Scalar::Text(text)) = node.value else {
            self.wrong_type(what, "a string", &node);
            return None;
        };
        Some(text)
    }

    pub(crate) fn boolean(&mut self, what: &str, node: &Node) -> Option<bool> {
        let Value::Scalar(Scalar::Bool(value)) = node.value else {
            self.wrong_type(what, "a boolean", node);
            return None;
        };
        Some(value)
    }

    /// A boolean, or a text that YAML 1.1 or a template's author takes for one; nothing when there is no value. Each
    /// but a boolean is told.
    pub(crate) fn lenient_boolean(&mut self, key: &str, node: &Node) -> Option<bool> {
        let Value::Scalar(scalar) = &node.value else { return self.boolean(&format!("`{key}`"), node) };
        match scalar {
            Scalar::Text(text) if let Some(value) = boolean_word(text) => {
                let message = if Scalar::plain(text) == Ok(Scalar::Bool(value)) {
                    format!("the quoted text `{text}` is taken for the boolean as value of `{key}`")
                } else {
                    format!("the text `{text}` is taken for `{value}` as value of `{key}`")
                };
                self.warnings.push(Fault::new(node.span, message).hint(boolean_hint(text)));
                Some(value)
            }
            _ => self.boolean(&format!("`{key}`"), node),
        }
    }

    /// The text of a key.
    pub(crate) fn key<'n>(&mut self, key: &'n Node) -> Option<&'n str> {
        let text = key.as_text();
        if text.is_none() && !matches!(key.value, Value::Unusable) {
            let message = format!("expected a string as key, found {}", key.kind());
            self.faults.push(match key.value {
                Value::Scalar(_) => Fault::new(key.span, message).hint("write it in quotes"),
                _ => Fault::new(key.span.start(), message),
            });
        }
        text
    }

    pub(crate) fn wrong_type(&mut self, what: &str, expected: &str, found: &Node) {
        if matches!(found.value, Value::Unusable) {
            return;
        }
        let span = if matches!(found.value, Value::Scalar(_)) { found.span } else { found.span.start() };
        let fault = Fault::new(span, format!("expected {expected} for {what}, found {}", found.kind()));
        // What stands where a mapping is expected may be a lost piece of `pluginConfig`.
        let fault = if expected == "a mapping" { fault.hidden() } else { fault };
        self.faults.push(match wrong_type_hint(expected, &found.value) {
            Some(hint) => fault.hint(hint),
            None => fault,
        });
    }
}

fn wrong_type_hint(expected: &str, found: &Value) -> Option<String> {
    let hint = match (expected, found) {
        ("a boolean", Value::Scalar(Scalar::Text(text))) => return Some(boolean_hint(text)),
        ("a boolean", _) => "write true or false",
        ("a string", Value::Scalar(Scalar::Bool(_) | Scalar::Int(_) | Scalar::Float(_))) => "write it in quotes",
        ("a list", Value::Scalar(Scalar::Text(_))) => "put `- ` before it, on a line of its own",
        _ => return None,
    };
    Some(hint.to_owned())
}

fn boolean_hint(text: &str) -> String {
    match boolean_word(text) {
        Some(value) if text.eq_ignore_ascii_case(if value { "true" } else { "false" }) => {
            format!("write {value}, without quotes")
        }
        Some(value) => format!("write `{value}`; YAML 1.2 reads `{text}` as text"),
        None => "write true or false".to_owned(),
    }
}

/// A missing blank makes a value part of the key, so only what stands before it is shown.
fn unknown_key(span: Span, key: &str, known: &[&'static str]) -> (Option<&'static str>, Fault) {
    let key = key.split([':', '=']).next().unwrap_or_default();
    let span = Span { end: span.end.min(span.start + key.chars().count().max(1)), ..span };
    let fault = Fault::new(span, format!("unknown key `{key}`"));
    let meant = nearest(key, known);
    let hint = match meant {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known here: {}; keys that start with `x-` are ignored", known.join(", ")),
    };
    (meant, fault.hint(hint))
}

/// The word among the `known` ones that was meant, when there is one so like `text`, case aside.
pub fn nearest(text: &str, known: &[&'static str]) -> Option<&'static str> {
    let (distance, nearest) = known.iter().map(|known| (distance(text, known), *known)).min()?;
    (distance <= 2.max(nearest.len() / 3)).then_some(nearest)
}

/// Edits between two keys, case aside: insert, remove, replace.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > MAX_SUGGESTED_FROM {
        return usize::MAX;
    }
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, to) in b.chars().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}
