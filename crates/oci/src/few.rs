//! Lists of which a registry may send more than anybody needs.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};

/// The first `MOST` items of a list, and how many it has. The others are not even looked at: as values, small items take
/// a multiple of their bytes.
pub(crate) struct Few<T, const MOST: usize> {
    pub(crate) first: Vec<T>,
    pub(crate) count: usize,
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Few<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Few { first: Vec::new(), count: 0 })
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Few<T, MOST> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Self, A::Error> {
        while self.count < MOST {
            let Some(item) = items.next_element()? else { return Ok(self) };
            self.first.push(item);
            self.count += 1;
        }
        while items.next_element::<IgnoredAny>()?.is_some() {
            self.count += 1;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_past_the_limit_is_counted_and_not_looked_at() {
        for (json, expected) in [
            ("[]", Some((vec![], 0))),
            ("[1]", Some((vec![1], 1))),
            ("[1,2]", Some((vec![1, 2], 2))),
            (r#"[1,2,"x",{}]"#, Some((vec![1, 2], 4))),
            (r#"[1,"x"]"#, None),
            ("{}", None),
            ("[1,2,", None),
        ] {
            let few = serde_json::from_str::<Few<u8, 2>>(json).ok();
            assert_eq!(few.map(|few| (few.first, few.count)), expected, "{json}");
        }
    }
}
