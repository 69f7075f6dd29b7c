//! The merge key `<<` of YAML 1.1 (<https://yaml.org/type/merge.html>): a mapping takes over the keys of others.

use std::collections::HashSet;

use super::{MERGE_KEY, duplicate};
use crate::node::{Node, Span, Value};
use crate::problem::Fault;

/// Adds what a mapping's merge keys bring. Its own keys win, then those of the earlier mapping.
pub(super) fn merge(
    entries: &mut Vec<(Node, Node)>,
    merged: Vec<(Span, Node)>,
    faults: &mut Vec<Fault>,
    warnings: &mut Vec<Fault>,
) {
    let Some((first, _)) = merged.first() else { return };
    let first = first.position;
    faults.extend(merged.iter().skip(1).map(|(key, _)| duplicate(*key, MERGE_KEY, first)));
    let mut present: HashSet<String> = entries.iter().filter_map(|(key, _)| written(key)).collect();
    for (key, value) in merged {
        warnings.push(
            Fault::new(key, "the YAML 1.1 merge key `<<` is honoured")
                .hint("write the keys out; YAML 1.2 takes `<<` for a key like any other"),
        );
        let sources = match value.value {
            Value::Sequence(items) => items,
            _ => vec![value],
        };
        for source in sources {
            match source.value {
                Value::Mapping(more) => {
                    entries
                        .extend(more.into_iter().filter(|(key, _)| written(key).is_none_or(|key| present.insert(key))));
                }
                Value::Unusable => {}
                Value::Scalar(_) | Value::Sequence(_) => {
                    let found = source.kind();
                    let message = format!("expected a mapping or a list of mappings for `<<`, found {found}");
                    faults.push(Fault::new(key, message).hint("put `<<` in quotes if it is no merge key"));
                }
            }
        }
    }
}

fn written(key: &Node) -> Option<String> {
    match &key.value {
        Value::Scalar(scalar) => Some(scalar.written().to_owned()),
        Value::Sequence(_) | Value::Mapping(_) | Value::Unusable => None,
    }
}
