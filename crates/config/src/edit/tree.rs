//! The tree that an edited file should give.

use crate::butler::BLOCK;
use crate::node::{Node, Span, Value};

/// The entries of a file that was read without problems, and where their list stands.
pub(super) fn entries(root: &mut Node) -> Option<(Span, &mut Vec<Node>)> {
    let file = if position(root, BLOCK).is_some() { field(root, BLOCK)? } else { root };
    let plugins = field(file, "plugins")?;
    match &mut plugins.value {
        Value::Sequence(items) => Some((plugins.span, items)),
        Value::Scalar(_) | Value::Mapping(_) | Value::Unusable => None,
    }
}

/// Whether two trees say the same in the same order, wherever their pieces stand.
pub(super) fn are_same(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::Scalar(a), Value::Scalar(b)) => a == b,
        (Value::Sequence(a), Value::Sequence(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| are_same(a, b)),
        (Value::Mapping(a), Value::Mapping(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| are_same(&a.0, &b.0) && are_same(&a.1, &b.1))
        }
        (Value::Unusable, Value::Unusable) => true,
        _ => false,
    }
}

fn position(node: &Node, key: &str) -> Option<usize> {
    match &node.value {
        Value::Mapping(fields) => fields.iter().position(|(found, _)| found.as_text() == Some(key)),
        Value::Scalar(_) | Value::Sequence(_) | Value::Unusable => None,
    }
}

fn field<'n>(node: &'n mut Node, key: &str) -> Option<&'n mut Node> {
    let index = position(node, key)?;
    match &mut node.value {
        Value::Mapping(fields) => fields.get_mut(index).map(|(_, value)| value),
        Value::Scalar(_) | Value::Sequence(_) | Value::Unusable => None,
    }
}
