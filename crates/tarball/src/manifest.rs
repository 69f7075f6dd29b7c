//! The three values of a plugin's `package.json` that decide where it goes and what it is.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, Read};

use integrity::Blame;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::error::host_hint;
use crate::shown::shown;
use crate::{Dir, Limits, PackageName, PackageNameError};

/// Bytes of the longest version (npm's `semver` reads no longer one).
const VERSION_MAX: usize = 256;
/// Bytes of the longest role.
const ROLE_MAX: usize = 64;

/// U+FEFF in UTF-8, and in both orders of UTF-16. No editor shows it, and JSON must not begin with it.
const BYTE_ORDER_MARKS: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xfe\xff", b"\xff\xfe"];

/// What a plugin says about itself. Only [`read_manifest`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    name: PackageName,
    version: String,
    role: String,
}

impl Manifest {
    /// `name`.
    pub const fn name(&self) -> &PackageName {
        &self.name
    }

    /// `version`: 1 to 256 bytes without control characters, otherwise as written.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// `backstage.role`: lower-case letters and hyphens, such as `frontend-plugin` or `backend-plugin-module`.
    pub fn role(&self) -> &str {
        &self.role
    }
}

/// Reads the `package.json` of an unpacked plugin: a regular file of JSON (RFC 8259) at most 127 levels deep, in which
/// no object has a key twice.
///
/// # Errors
/// Anything else, and a missing or ill-formed `name`, `version` or `backstage.role`.
pub fn read_manifest(dir: &Dir, limits: &Limits) -> Result<Manifest, ManifestError> {
    let file = dir.open_file("package.json").map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => ManifestError::Missing,
        io::ErrorKind::InvalidInput => ManifestError::NotAFile,
        _ => ManifestError::Io { source },
    })?;
    let mut text = Vec::new();
    file.take(limits.manifest.saturating_add(1))
        .read_to_end(&mut text)
        .map_err(|source| ManifestError::Io { source })?;
    if text.len() as u64 > limits.manifest {
        return Err(ManifestError::TooLarge { max: limits.manifest });
    }
    parse(&text)
}

fn parse(text: &[u8]) -> Result<Manifest, ManifestError> {
    if BYTE_ORDER_MARKS.iter().any(|mark| text.starts_with(mark)) {
        let source = serde_json::Error::custom("a byte order mark in front of the JSON");
        return Err(ManifestError::Json { source });
    }
    let mut found = Found::default();
    let mut json = serde_json::Deserializer::from_slice(text);
    Scan { at: At::Top, found: &mut found }
        .deserialize(&mut json)
        .and_then(|()| json.end())
        .map_err(|source| ManifestError::Json { source })?;

    let name = found.name.ok_or(ManifestError::Key { key: "name" })?;
    let name = PackageName::parse(&name).map_err(|source| ManifestError::Name { source })?;
    let version = found.version.ok_or(ManifestError::Key { key: "version" })?;
    if version.is_empty() || version.len() > VERSION_MAX || version.chars().any(char::is_control) {
        return Err(ManifestError::Version);
    }
    let role = found.role.ok_or(ManifestError::Key { key: "backstage.role" })?;
    if role.is_empty() || role.len() > ROLE_MAX || !role.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'-')) {
        return Err(ManifestError::Role);
    }
    Ok(Manifest { name, version, role })
}

/// Why a `package.json` cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// There is none.
    #[error("expected a `package.json`, found none")]
    Missing,
    /// It is a link or a folder.
    #[error("expected `package.json` to be a regular file, found something else")]
    NotAFile,
    /// It is too large.
    #[error("expected at most {max} bytes in `package.json`, found more")]
    TooLarge {
        /// The limit, in bytes.
        max: u64,
    },
    /// It is no JSON, too deep, or has a key twice.
    #[error("read `package.json` as JSON without repeated keys")]
    Json {
        /// What the parser says, with line and column.
        source: serde_json::Error,
    },
    /// A key is missing or no string.
    #[error("expected a string `{key}` in `package.json`, found none")]
    Key {
        /// The key, nested ones joined by a dot.
        key: &'static str,
    },
    /// `name` is no package name.
    #[error("read `name` in `package.json`")]
    Name {
        /// The rule that is broken.
        source: PackageNameError,
    },
    /// `version` is empty, too long, or has control characters.
    #[error("expected a `version` of 1 to {VERSION_MAX} bytes without control characters in `package.json`")]
    Version,
    /// `backstage.role` is empty, too long, or has other characters.
    #[error("expected a `backstage.role` of 1 to {ROLE_MAX} lower-case letters and hyphens in `package.json`")]
    Role,
    /// The file system refused.
    #[error("read `package.json`")]
    Io {
        /// What the system answered.
        source: io::Error,
    },
}

impl ManifestError {
    /// The reason code of the audit log.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io_error",
            Self::Missing
            | Self::NotAFile
            | Self::TooLarge { .. }
            | Self::Json { .. }
            | Self::Key { .. }
            | Self::Name { .. }
            | Self::Version
            | Self::Role => "manifest_invalid",
        }
    }

    /// Whose move it is.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Io { .. } => Blame::Host,
            Self::Missing
            | Self::NotAFile
            | Self::TooLarge { .. }
            | Self::Json { .. }
            | Self::Key { .. }
            | Self::Name { .. }
            | Self::Version
            | Self::Role => Blame::Publisher,
        }
    }

    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Io { source } => return host_hint(source),
            Self::Missing => "pack the exported folder, `dist-dynamic`, itself: its `package.json` goes on top",
            Self::NotAFile => "let `package.json` be the file itself: no link to it, no folder of that name",
            Self::TooLarge { .. } | Self::Json { .. } | Self::Name { .. } | Self::Version => {
                "correct `package.json` and publish again"
            }
            Self::Key { .. } | Self::Role => "export the plugin with `rhdh-cli plugin export`, which fills it in",
        };
        Some(hint.to_owned())
    }
}

#[derive(Debug, Default)]
struct Found {
    name: Option<String>,
    version: Option<String>,
    role: Option<String>,
}

/// Walks a JSON value, keeps three strings and nothing else, and refuses repeated keys wherever they stand: readers
/// disagree on which of two counts.
struct Scan<'f> {
    at: At,
    found: &'f mut Found,
}

#[derive(Debug, Clone, Copy)]
enum At {
    Top,
    Name,
    Version,
    Backstage,
    Role,
    Elsewhere,
}

impl At {
    fn key(self, key: &str) -> Self {
        match (self, key) {
            (Self::Top, "name") => Self::Name,
            (Self::Top, "version") => Self::Version,
            (Self::Top, "backstage") => Self::Backstage,
            (Self::Backstage, "role") => Self::Role,
            _ => Self::Elsewhere,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Scan<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scan<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        let slot = match self.at {
            At::Name => &mut self.found.name,
            At::Version => &mut self.found.version,
            At::Role => &mut self.found.role,
            At::Top | At::Backstage | At::Elsewhere => return Ok(()),
        };
        *slot = Some(text.to_owned());
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value_seed(Scan { at: self.at.key(&key), found: &mut *self.found })?;
            if let Some(key) = keys.replace(key) {
                return Err(A::Error::custom(format_args!(
                    "key `{}` stands twice in one object",
                    shown(key.as_bytes())
                )));
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Scan { at: At::Elsewhere, found: &mut *self.found })?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FileMode;
    use std::io::Write;

    #[test]
    fn three_strings_are_read_and_the_rest_is_left_alone() {
        let manifest = parse(
            br#" {"x": [1, -2, 0.5, null, true, {"name": "other"}], "backstage": {"role": "backend-plugin", "x": {}},
                "name": "@acme/plug", "version": "1.2.3"} "#,
        )
        .unwrap();
        assert_eq!(manifest.name().as_str(), "@acme/plug");
        assert_eq!((manifest.version(), manifest.role()), ("1.2.3", "backend-plugin"));
    }

    #[test]
    fn each_bad_manifest_is_refused_for_its_reason() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        let rows = [
            ("not JSON", "nope", "JSON"),
            ("empty", "", "JSON"),
            ("cut", r#"{"name": "x""#, "JSON"),
            ("two values", "{} {}", "JSON"),
            ("too deep", &deep, "JSON"),
            ("a key twice", r#"{"name": "x", "name": "y"}"#, "JSON"),
            ("a key twice, deep and escaped", r#"{"a": [{"b": 1, "\u0062": 2}]}"#, "JSON"),
            ("a byte order mark", "\u{feff}{}", "JSON"),
            ("an array", r#"["x", "1"]"#, "`name`"),
            ("no name", r#"{"version": "1"}"#, "`name`"),
            ("name no string", r#"{"name": {"name": "x"}}"#, "`name`"),
            ("bad name", r#"{"name": "../x"}"#, "`name`"),
            ("no version", r#"{"name": "x"}"#, "`version`"),
            ("empty version", r#"{"name": "x", "version": ""}"#, "`version`"),
            ("version with newline", r#"{"name": "x", "version": "1\n"}"#, "`version`"),
            ("no role", r#"{"name": "x", "version": "1", "role": "r"}"#, "`backstage.role`"),
            ("backstage no object", r#"{"name": "x", "version": "1", "backstage": "role"}"#, "`backstage.role`"),
            ("bad role", r#"{"name": "x", "version": "1", "backstage": {"role": "A b"}}"#, "`backstage.role`"),
        ];
        for (name, text, said) in rows {
            let error = parse(text.as_bytes()).unwrap_err();
            assert_eq!(error.reason(), "manifest_invalid", "{name}");
            assert!(error.to_string().contains(said), "{name}: {error}");
        }
        let marked = std::error::Error::source(&parse("\u{feff}{}".as_bytes()).unwrap_err()).unwrap().to_string();
        assert_eq!(marked, "a byte order mark in front of the JSON");
        let longest = |n: usize| format!(r#"{{"name":"x","version":"{}","backstage":{{"role":"r"}}}}"#, "1".repeat(n));
        assert!(parse(longest(VERSION_MAX).as_bytes()).is_ok());
        assert!(parse(longest(VERSION_MAX + 1).as_bytes()).is_err());
    }

    #[test]
    fn only_a_regular_file_within_the_limit_is_read() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        let text = br#"{"name":"x","version":"1","backstage":{"role":"r"}}"#;
        let exact = Limits { manifest: text.len() as u64, ..Limits::default() };
        assert!(matches!(read_manifest(&dir, &exact), Err(ManifestError::Missing)));
        dir.symlink("x", "package.json").unwrap();
        assert!(matches!(read_manifest(&dir, &exact), Err(ManifestError::NotAFile)));
        dir.remove_file("package.json").unwrap();
        dir.create_file("package.json", FileMode::Plain).unwrap().write_all(text).unwrap();
        assert_eq!(read_manifest(&dir, &exact).unwrap().name().as_str(), "x");
        let less = Limits { manifest: exact.manifest - 1, ..exact };
        assert!(matches!(read_manifest(&dir, &less), Err(ManifestError::TooLarge { .. })));
    }
}
