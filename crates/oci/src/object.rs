//! A JSON object that can be changed in one place and stays as it was written everywhere else.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// An object, its keys in the order of the text.
#[derive(Clone, Default)]
pub(crate) struct Object(Vec<(String, Value)>);

/// What a key has.
#[derive(Clone, Serialize)]
#[serde(untagged)]
enum Value {
    /// A text that nobody has looked into: numbers keep their digits, and objects their blanks.
    Text(Box<RawValue>),
    /// An object that is changed, or was.
    Object(Object),
}

impl Object {
    /// The keys, in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.keys().any(|found| found == key)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a key, if there is one of that type.
    pub(crate) fn read<T: for<'de> Deserialize<'de>>(&self, key: &str) -> Option<T> {
        match self.0.iter().find(|(found, _)| found == key)? {
            (_, Value::Text(text)) => serde_json::from_str(text.get()).ok(),
            (_, Value::Object(_)) => None,
        }
    }

    /// The object of a key, to be changed, if there is one.
    pub(crate) fn open(&mut self, key: &str) -> Option<&mut Self> {
        let (_, value) = self.0.iter_mut().find(|(found, _)| found == key)?;
        if let Value::Text(text) = value {
            *value = Value::Object(serde_json::from_str(text.get()).ok()?);
        }
        match value {
            Value::Object(object) => Some(object),
            Value::Text(_) => None,
        }
    }

    /// The same, of an empty one where the key is new.
    pub(crate) fn open_or_add(&mut self, key: &str) -> Option<&mut Self> {
        if !self.has(key) {
            self.0.push((key.to_owned(), Value::Object(Self::default())));
        }
        self.open(key)
    }

    /// Sets a key to a text.
    pub(crate) fn set(&mut self, key: &str, text: &str) {
        // A text is JSON, whatever stands in it.
        if let Ok(text) = serde_json::value::to_raw_value(text) {
            self.put(key.to_owned(), Value::Text(text));
        }
    }

    /// Keeps the keys that are to be kept.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|(key, _)| keep(key));
    }

    /// Of a key that stands twice the last value counts, as it does for Docker.
    fn put(&mut self, key: String, value: Value) {
        match self.0.iter_mut().find(|(found, _)| *found == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key, value)),
        }
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut object = Object::default();
                while let Some((key, text)) = map.next_entry()? {
                    object.put(key, Value::Text(text));
                }
                Ok(object)
            }
        }
        deserializer.deserialize_map(Keys)
    }
}
