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
    /// Those of them that were written now; the others were there already.
    pub written: Vec<String>,
    /// Where its sources are, for audits.
    pub source: Option<String>,
    /// What whoever published it should know: what was replaced, what was left out, what is a guess.
    pub remarks: Vec<String>,
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

/// A YAML scalar: an address as it is, where no reader could take it for something else; all others in double quotes.
fn scalar(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/.:-_@!+~%=".contains(&b);
    // What ends in a colon would be a key.
    let is_plain = text.bytes().all(plain) && !text.ends_with(':');
    let is_address = text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.contains("://");
    if is_plain && is_address { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn integrity(of: &str) -> Integrity {
        let mut hasher = integrity::HashingWriter::new(std::io::sink());
        hasher.write_all(of.as_bytes()).unwrap();
        hasher.finish().integrity()
    }

    fn published(packages: &[&str], source: Option<&str>) -> Published {
        let entry = |package: &&str| ValuesEntry { package: (*package).to_owned(), integrity: integrity(package) };
        Published {
            entries: packages.iter().map(entry).collect(),
            digest: None,
            references: Vec::new(),
            written: Vec::new(),
            source: source.map(str::to_owned),
            remarks: Vec::new(),
        }
    }

    #[test]
    fn the_block_says_what_was_published_whatever_its_name() {
        let packages = [
            "oci://registry.example.com/acme/hello:1.2.3",
            "oci://registry.example.com:5000/acme/hello:1.2.3!acme-hello",
            "https://example.com/a+b~c%20d=e.tgz",
            "https://example.com/it's {odd},[1] #2.tgz",
            "https://example.com/a: b",
            "https://example.com/a:",
            "https://example.com/\"\\\"\n- package: evil",
            "- package: evil",
            "!tag",
            "~",
            "true",
            "0x10",
        ];
        for source in [None, Some("https://example.com/src\n- package: evil")] {
            let block = published(&packages, source).to_yaml();
            let pins = config::Pins::read(block.as_bytes());
            let pins = pins.unwrap_or_else(|problems| panic!("{}", problems.render(&block)));
            let read = pins.entries().iter().map(|entry| (entry.package(), entry.integrity().ok().copied()));
            let said = packages.iter().map(|package| (*package, Some(integrity(package))));
            assert_eq!(read.collect::<Vec<_>>(), said.collect::<Vec<_>>(), "{block}");
        }
    }
}
