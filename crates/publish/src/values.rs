//! What an author hands over to an operator after publishing.

use std::fmt::Write as _;

use integrity::{Integrity, OciDigest};
use serde_json::{Value, json};
use source::printable;

/// One plugin as an entry of a portal's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValuesEntry {
    /// `package`.
    pub package: String,
    /// `integrity`.
    pub integrity: Integrity,
}

/// A published artifact.
#[derive(Debug, Clone)]
#[must_use = "a published artifact is of use to whoever is told its integrity"]
pub struct Published {
    /// The plugins in it.
    pub entries: Vec<ValuesEntry>,
    /// The manifest's digest, in a registry.
    pub digest: Option<OciDigest>,
    /// All references or the URL it can be had by.
    pub references: Vec<String>,
    /// Where its sources are, for audits.
    pub source: Option<String>,
}

impl Published {
    /// The block for a chart's values. The source is a comment: the list has no such key.
    pub fn to_yaml(&self) -> String {
        let mut text = "dynamicPlugins:\n  plugins:\n".to_owned();
        for entry in &self.entries {
            if let Some(source) = &self.source {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "    # source: {}", printable(source));
            }
            let _ = writeln!(text, "    - package: {}\n      integrity: {}", scalar(&entry.package), entry.integrity);
        }
        text
    }

    /// The same as JSON, with what is known beside it.
    pub fn to_json(&self) -> Value {
        let plugins: Vec<Value> = self
            .entries
            .iter()
            .map(|entry| {
                json!({
                    "package": entry.package,
                    "integrity": entry.integrity.to_string(),
                    "source": self.source,
                })
            })
            .collect();
        json!({
            "plugins": plugins,
            "digest": self.digest.map(|digest| digest.to_string()),
            "references": self.references,
        })
    }
}

/// A YAML scalar: as it is where no reader could take it for something else, else in double quotes.
fn scalar(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/.:-_@!+~%=".contains(&b);
    // What ends in a colon would be a key.
    if text.bytes().all(plain) && !text.ends_with(':') { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(package: &str, source: Option<&str>) -> Published {
        let integrity = integrity::HashingWriter::new(std::io::sink()).finish().integrity();
        Published {
            entries: vec![ValuesEntry { package: package.to_owned(), integrity }],
            digest: None,
            references: vec![package.to_owned()],
            source: source.map(str::to_owned),
        }
    }

    #[test]
    fn the_block_says_what_was_published_whatever_its_name() {
        for package in [
            "oci://registry.example.com/acme/hello:1.2.3",
            "oci://registry.example.com:5000/acme/hello:1.2.3!acme-hello",
            "https://example.com/a.tgz?x=1&y=%20",
            "https://example.com/it's {odd},[1] #2.tgz",
        ] {
            let block = published(package, Some("https://example.com/src\n- package: evil")).to_yaml();
            let values = config::parse(block.as_bytes());
            let plan = values.unwrap_or_else(|problems| panic!("{}", problems.render(&block)));
            assert_eq!(plan.entries.len(), 1, "{block}");
            if package.contains(' ') {
                assert!(block.contains('"'), "{block}");
            } else {
                assert!(block.contains(&format!("package: {package}")) || block.contains('"'), "{block}");
            }
        }
    }
}
