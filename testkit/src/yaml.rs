//! YAML as a value, by the core schema of YAML 1.2.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value, json};

/// The value of a text's first document; null where there is none. Numbers are floats, as in JavaScript.
#[must_use]
pub fn yaml(text: &str) -> Value {
    let events = Parser::new_from_str(text).map(|event| event.expect("the text is YAML").0);
    let mut values = events.filter(|event| !is_frame(event));
    values.next().map_or(Value::Null, |first| value(first, &mut values))
}

fn is_frame(event: &Event<'_>) -> bool {
    matches!(event, Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd)
}

fn value<'a>(first: Event<'a>, rest: &mut impl Iterator<Item = Event<'a>>) -> Value {
    match first {
        Event::Scalar(text, ScalarStyle::Plain, _, None) => plain(&text),
        Event::Scalar(text, _, _, None) => Value::String(text.into_owned()),
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            while let Some(item) = rest.next().filter(|event| *event != Event::SequenceEnd) {
                items.push(value(item, rest));
            }
            Value::Array(items)
        }
        Event::MappingStart(..) => {
            let mut fields = Map::new();
            while let Some(Event::Scalar(key, ..)) = rest.next() {
                let field = rest.next().expect("a key has a value");
                assert!(fields.insert(key.into_owned(), value(field, rest)).is_none(), "a key stands there twice");
            }
            Value::Object(fields)
        }
        other => panic!("this reader has no {other:?}"),
    }
}

/// An unquoted word.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ if text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) => {
            text.parse::<f64>().map_or_else(|_| json!(text), |number| json!(number))
        }
        _ => json!(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_is_read_by_the_core_schema() {
        let text = "a:\n  b: [1, '1', yes, null, 1.5e1, 12:30]\n  \"c\": {}\nd: true\n";
        let expected = json!({ "a": { "b": [1.0, "1", "yes", null, 15.0, "12:30"], "c": {} }, "d": true });
        assert_eq!(yaml(text), expected);
        assert_eq!(yaml(""), Value::Null);
    }
}
