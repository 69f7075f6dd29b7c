//! Plugins of an npm registry: `[alias@npm:][@scope/]name[@wanted]`.

use std::fmt;

use crate::Fault;

/// Longest name, the scope included (npm's `package.json` documentation, "name").
const NAME_LIMIT: usize = 214;
/// Longest version, range or tag (the longest version that node's semver reads).
const WANTED_LIMIT: usize = 256;
/// What stands between an alias and what it stands for.
const ALIAS_MARK: &str = "@npm:";

/// The name of an npm package as npm accepts it for a new one: lower case, URL-safe, with an optional `@scope/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NpmName(String);

/// A package of an npm registry, and which of its versions is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NpmSpec {
    alias: Option<String>,
    name: NpmName,
    wanted: String,
}

impl NpmName {
    /// Parses `name` or `@scope/name`.
    ///
    /// # Errors
    /// [`Fault::NpmName`] for what no registry would publish.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let is_plain = match text.strip_prefix('@') {
            Some(scoped) => scoped.split_once('/').is_some_and(|(scope, name)| is_part(scope) && is_part(name)),
            None => is_part(text),
        };
        if is_plain && text.len() <= NAME_LIMIT { Ok(Self(text.to_owned())) } else { Err(Fault::NpmName) }
    }

    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The scope with its `@`, if there is one.
    pub fn scope(&self) -> Option<&str> {
        self.0.split_once('/').map(|(scope, _)| scope)
    }
}

impl NpmSpec {
    /// Parses a package with an optional alias before it and an optional version, range or tag behind it.
    ///
    /// # Errors
    /// A name that no registry would publish, and a version that holds characters of a URL or path.
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        let (alias, rest) = match text.split_once(ALIAS_MARK) {
            // npm lets an alias end in a colon.
            Some((alias, rest)) => {
                (Some(NpmName::parse(alias.strip_suffix(':').unwrap_or(alias)).map(|_| alias)?), rest)
            }
            None => (None, text),
        };
        // The first `@` of a scoped name belongs to its scope.
        let (name, wanted) = match rest.bytes().skip(1).position(|b| b == b'@') {
            Some(at) => (&rest[..=at], Some(&rest[at + 2..])),
            None => (rest, None),
        };
        let name = NpmName::parse(name)?;
        let wanted = wanted.map(parse_wanted).transpose()?.unwrap_or_default();
        Ok(Self { alias: alias.map(str::to_owned), name, wanted: wanted.to_owned() })
    }

    /// The package's real name, whatever the alias.
    pub const fn name(&self) -> &NpmName {
        &self.name
    }

    /// A version, a range or a tag, which only a registry tells apart; empty where none was written.
    pub fn wanted(&self) -> &str {
        &self.wanted
    }

    /// What identifies the plugin whatever its version.
    pub fn key(&self) -> String {
        match &self.alias {
            Some(alias) => format!("{alias}{ALIAS_MARK}{}", self.name),
            None => self.name.to_string(),
        }
    }
}

impl fmt::Display for NpmName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NpmSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key())?;
        if self.wanted.is_empty() { Ok(()) } else { write!(f, "@{}", self.wanted) }
    }
}

/// Whether a text can be the scope without its `@`, or the name behind it.
pub(crate) fn is_part(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._~".contains(&b);
    !text.is_empty() && text.bytes().all(plain) && !text.starts_with(['.', '_']) && !text.contains("..")
}

fn parse_wanted(text: &str) -> Result<&str, Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b" !*+-.<=>^_|~".contains(&b);
    let is_plain = !text.is_empty() && text.trim() == text && text.bytes().all(plain);
    if is_plain && text.len() <= WANTED_LIMIT { Ok(text) } else { Err(Fault::NpmVersion) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_a_registry_would_publish() {
        for text in ["a", "@janus-idp/backstage-plugin-ocm-backend-dynamic", "a.b_c~d-1", "@a/-"] {
            assert_eq!(NpmName::parse(text).map(|name| name.to_string()), Ok(text.to_owned()), "{text}");
        }
        assert_eq!(NpmName::parse("@s/n").unwrap().scope(), Some("@s"));
        assert_eq!(NpmName::parse("n").unwrap().scope(), None);
        let long = "a".repeat(NAME_LIMIT + 1);
        for text in
            ["", "@", "@s", "@s/", "@/n", "A", "@S/n", ".a", "_a", "@s/.n", "a/b", "@s/n/m", "a..b", "a b", "é", &long]
        {
            assert_eq!(NpmName::parse(text), Err(Fault::NpmName), "{text}");
        }
        assert!(NpmName::parse(&long[1..]).is_ok());
    }

    #[test]
    fn a_version_holds_nothing_of_a_url_or_path() {
        for wanted in ["1.0.0-rc.1+b", ">=1.0.0 <2 || ~3.1", "1 - 2", "latest", "*", "x"] {
            assert_eq!(NpmSpec::parse(&format!("@s/n@{wanted}")).unwrap().wanted(), wanted);
        }
        let long = "1".repeat(WANTED_LIMIT + 1);
        for wanted in ["", " ", " 1", "1 ", "file:x", "./x", "u/r", "1@2", "1#2", "%31", "é", &long] {
            assert_eq!(NpmSpec::parse(&format!("@s/n@{wanted}")), Err(Fault::NpmVersion), "{wanted}");
        }
        assert!(NpmSpec::parse(&format!("n@{}", &long[1..])).is_ok());
    }
}
