//! JSON that every reader understands alike.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Most keys that are remembered at a time: those of an object and of all that it stands in.
const KEY_LIMIT: usize = 10_000;

/// Checks that a text is JSON in which no object has a key twice, at any depth: readers differ in which of the two they
/// take (RFC 8259, section 4).
pub(crate) fn check(json: &[u8]) -> Result<(), serde_json::Error> {
    let room = Cell::new(KEY_LIMIT);
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    Unambiguous { room: &room }.deserialize(&mut deserializer)?;
    deserializer.end()
}

/// Any value, and how many more keys may be remembered.
#[derive(Clone, Copy)]
struct Unambiguous<'a> {
    room: &'a Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Unambiguous<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unambiguous<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let room = self.room.get().checked_sub(1);
            self.room.set(room.ok_or_else(|| A::Error::custom("too many keys"))?);
            if !keys.insert(key) {
                return Err(A::Error::custom("a key stands twice"));
            }
            map.next_value_seed(self)?;
        }
        self.room.set(self.room.get() + keys.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_object_has_a_key_twice() {
        for (json, expected) in [
            (r#"{"a":{"a":[{"a":1},{"a":2}]},"b":[null,true,-1,1.5,"a",18446744073709551615]}"#, true),
            (r#"{"a":1,"a":1}"#, false),
            (r#"{"a":1,"\u0061":2}"#, false),
            (r#"[{"a":{"b":[{"c":1,"c":{}}]}}]"#, false),
            (r#"{"a":1} {"a":1}"#, false),
            ("", false),
        ] {
            assert_eq!(check(json.as_bytes()).is_ok(), expected, "{json}");
        }
    }

    #[test]
    fn keys_are_remembered_up_to_a_limit_and_only_while_it_takes() {
        let flat = |count: usize| {
            let keys: Vec<_> = (0..count).map(|n| format!("\"{n}\":0")).collect();
            format!("{{{}}}", keys.join(","))
        };
        let half = flat(KEY_LIMIT / 2);
        let within = |count: usize| format!("{},\"x\":{half}}}", flat(count).trim_end_matches('}'));
        for (name, json, expected) in [
            ("most keys", flat(KEY_LIMIT), true),
            ("one more", flat(KEY_LIMIT + 1), false),
            ("one after the other", format!("[{}]", vec![flat(KEY_LIMIT); 3].join(",")), true),
            ("most keys, one in the other", within(KEY_LIMIT / 2 - 1), true),
            ("one more, one in the other", within(KEY_LIMIT / 2), false),
        ] {
            assert_eq!(check(json.as_bytes()).is_ok(), expected, "{name}");
        }
    }
}
