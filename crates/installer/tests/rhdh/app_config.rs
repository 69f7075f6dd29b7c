//! The merged configuration, read as the portal reads it.

use std::path::Path;

use serde_json::{Value, json};

/// The file's value; null where there is no file, or an empty one.
pub(crate) fn read(path: &Path) -> Value {
    std::fs::read_to_string(path).map_or(Value::Null, |text| testkit::yaml(&text))
}

/// The same value, with every number a float.
pub(crate) fn with_floats(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.iter().map(with_floats).collect(),
        Value::Object(fields) => fields.iter().map(|(key, field)| (key.clone(), with_floats(field))).collect(),
        other => other.clone(),
    }
}
