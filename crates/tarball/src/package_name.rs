//! npm package names.

use std::fmt;

use integrity::Blame;

/// Characters of the longest name, the scope included (npm's `package.json` documentation, "name").
const NAME_MAX: usize = 214;

/// A package name as npm accepts it for a new package: lower case, URL-safe, with an optional `@scope/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackageName(String);

impl PackageName {
    /// Parses the `name` of a `package.json`.
    ///
    /// # Errors
    /// [`PackageNameError`] says which rule is broken.
    pub fn parse(text: &str) -> Result<Self, PackageNameError> {
        if text.len() > NAME_MAX {
            return Err(PackageNameError::Length);
        }
        if let Some(scoped) = text.strip_prefix('@') {
            let (scope, name) = scoped.split_once('/').ok_or(PackageNameError::Scope)?;
            part(scope)?;
            part(name)?;
        } else {
            part(text)?;
            if matches!(text, "node_modules" | "favicon.ico") {
                return Err(PackageNameError::Reserved);
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no package name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackageNameError {
    /// An empty name, or an empty half of a scoped one.
    #[error("a package name must not be empty")]
    Empty,
    /// A name longer than npm allows.
    #[error("a package name may have at most {NAME_MAX} characters")]
    Length,
    /// A character that npm does not allow, upper-case letters among them.
    #[error("a package name must have only `a` to `z`, `0` to `9` and `.`, `_`, `~`, `-`, found `{}`", .found.escape_debug())]
    Character {
        /// The first such character.
        found: char,
    },
    /// A leading dot or underscore.
    #[error("a package name must not start with `.` or `_`")]
    Start,
    /// Two dots in a row.
    #[error("a package name must have no `..`")]
    Parent,
    /// `@` without `/`.
    #[error("a scoped package name must be `@scope/name`")]
    Scope,
    /// A name that npm keeps for itself.
    #[error("a package name must not be `node_modules` or `favicon.ico`")]
    Reserved,
}

impl PackageNameError {
    /// The reason code of the audit log.
    pub const fn reason(&self) -> &'static str {
        "manifest_invalid"
    }

    /// Whose move it is: the publisher chose the name.
    pub const fn blame(&self) -> Blame {
        Blame::Publisher
    }
}

fn part(text: &str) -> Result<(), PackageNameError> {
    if text.is_empty() {
        return Err(PackageNameError::Empty);
    }
    if text.starts_with(['.', '_']) {
        return Err(PackageNameError::Start);
    }
    let allowed = |char: char| matches!(char, 'a'..='z' | '0'..='9' | '.' | '_' | '~' | '-');
    if let Some(found) = text.chars().find(|char| !allowed(*char)) {
        return Err(PackageNameError::Character { found });
    }
    if text.contains("..") {
        return Err(PackageNameError::Parent);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_is_accepted_and_no_longer_one() {
        assert!(PackageName::parse(&"a".repeat(NAME_MAX)).is_ok());
        assert_eq!(PackageName::parse(&"a".repeat(NAME_MAX + 1)), Err(PackageNameError::Length));
    }

    #[test]
    fn each_bad_name_is_refused_for_its_reason() {
        for (text, error) in [
            ("", PackageNameError::Empty),
            (".", PackageNameError::Start),
            ("..", PackageNameError::Start),
            ("_x", PackageNameError::Start),
            ("../x", PackageNameError::Start),
            ("/abs", PackageNameError::Character { found: '/' }),
            ("a/b", PackageNameError::Character { found: '/' }),
            ("@a/../x", PackageNameError::Start),
            ("@a/b/c", PackageNameError::Character { found: '/' }),
            ("@/x", PackageNameError::Empty),
            ("@a/", PackageNameError::Empty),
            ("@a", PackageNameError::Scope),
            ("@.a/x", PackageNameError::Start),
            ("a..b", PackageNameError::Parent),
            ("Hello", PackageNameError::Character { found: 'H' }),
            ("a b", PackageNameError::Character { found: ' ' }),
            ("a\0", PackageNameError::Character { found: '\0' }),
            ("naïve", PackageNameError::Character { found: 'ï' }),
            ("node_modules", PackageNameError::Reserved),
        ] {
            assert_eq!(PackageName::parse(text), Err(error), "{text:?}");
        }
    }
}
