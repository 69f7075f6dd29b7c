//! The folder below the plugin root that a plugin goes to.

use std::fmt;

use integrity::Blame;

use crate::PackageName;

/// Bytes of the longest name, as of every common file system.
const NAME_MAX: usize = 255;
/// What others keep in a root: the system, the portal's module loader, and the installer that this one stands in for.
const RESERVED: [&str; 4] =
    ["lost+found", "node_modules", "install-dynamic-plugins.lock", "app-config.dynamic-plugins.yaml"];
/// How files in a root end, which no folder shall be mistaken for.
const FILES: [&str; 3] = [".lock", ".yaml", ".tgz"];

/// The name of a plugin's folder: one path component of printable ASCII that does not start with a dot and means nothing
/// else in a root.
///
/// ```compile_fail,E0423
/// fn forge() -> tarball::Destination {
///     tarball::Destination("../escape".to_owned())
/// }
/// ```
///
/// ```
/// fn prove(text: &str) -> Result<tarball::Destination, tarball::DestinationError> {
///     tarball::Destination::parse(text)
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Destination(String);

impl Destination {
    /// Takes the name of a folder as it is, whichever way it was made.
    ///
    /// # Errors
    /// [`DestinationError`] says which rule is broken.
    pub fn parse(text: &str) -> Result<Self, DestinationError> {
        Self::checked(text.to_owned())
    }

    /// The folder of a plugin that is in an image at `path`: its components joined by `-`, as a portal looks one level
    /// deep.
    ///
    /// # Errors
    /// [`DestinationError`], also for a path with a `..` component.
    pub fn of_folder(path: &str) -> Result<Self, DestinationError> {
        let components: Vec<_> = path.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
        if components.contains(&"..") {
            return Err(DestinationError::Start);
        }
        Self::checked(components.join("-"))
    }

    /// The folder that is named like a packed tarball without its ending: `@scope/name` at `1.2.3` is `scope-name-1.2.3`
    /// (npm's documentation, `npm pack`).
    ///
    /// # Errors
    /// [`DestinationError`], because of the version.
    pub fn packed(name: &PackageName, version: &str) -> Result<Self, DestinationError> {
        Self::checked(format!("{}-{version}", joined(name)))
    }

    /// The folder's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn checked(name: String) -> Result<Self, DestinationError> {
        let printable = |char: char| matches!(char, ' '..='~') && !matches!(char, '/' | '\\' | '"' | '\'' | '`');
        if name.is_empty() {
            return Err(DestinationError::Empty);
        }
        if name.len() > NAME_MAX {
            return Err(DestinationError::Length);
        }
        if let Some(found) = name.chars().find(|char| !printable(*char)) {
            return Err(DestinationError::Character { found });
        }
        if name.starts_with('.') {
            return Err(DestinationError::Start);
        }
        if RESERVED.contains(&&*name) || FILES.iter().any(|ending| name.ends_with(ending)) {
            return Err(DestinationError::Reserved { name });
        }
        Ok(Self(name))
    }
}

impl PackageName {
    /// The folder of a plugin of this name: the scope joined by `-`, and `-dynamic` at the end.
    pub fn destination(&self) -> Destination {
        let mut folder = joined(self);
        if !folder.ends_with("-dynamic") {
            folder.push_str("-dynamic");
        }
        Destination(folder)
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a plugin cannot have a folder of a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DestinationError {
    /// No name.
    #[error("a plugin's folder must have a name")]
    Empty,
    /// A longer name than file systems take.
    #[error("a plugin's folder may have a name of at most {NAME_MAX} bytes")]
    Length,
    /// A separator, a quote, or a character beyond printable ASCII.
    #[error(
        "a plugin's folder must be named in printable ASCII without `/`, `\\` and quotes, found `{}`",
        .found.escape_debug()
    )]
    Character {
        /// The first such character.
        found: char,
    },
    /// A leading dot, or `..` in the path that the name is made of.
    #[error("a plugin's folder must not be named with a dot in front")]
    Start,
    /// A name with a meaning of its own in a root.
    #[error("a plugin's folder must not be named `{name}`, which means something else in a plugin root")]
    Reserved {
        /// The name.
        name: String,
    },
}

impl DestinationError {
    /// The reason code of the audit log.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Reserved { .. } => "destination_conflict",
            Self::Empty | Self::Length | Self::Character { .. } | Self::Start => "package_invalid",
        }
    }

    /// Whose move it is: the publisher chose the name, the version, or the folder in the image.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Empty | Self::Length | Self::Character { .. } | Self::Start | Self::Reserved { .. } => {
                Blame::Publisher
            }
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Empty => "put the plugin into a folder of the image, and select that",
            Self::Length => "give the plugin a shorter name",
            Self::Character { .. } | Self::Start | Self::Reserved { .. } => {
                "name the plugin, or its folder in the image, with letters, digits and `-`"
            }
        }
    }
}

/// The name in one component.
fn joined(name: &PackageName) -> String {
    name.as_str().trim_start_matches('@').replace('/', "-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> PackageName {
        PackageName::parse(text).unwrap()
    }

    #[test]
    fn destinations_are_one_component_that_ends_in_dynamic() {
        for (text, folder) in [
            ("hello", "hello-dynamic"),
            ("butler.test-dynamic", "butler.test-dynamic"),
            ("@acme/plug", "acme-plug-dynamic"),
            ("@acme/plug-dynamic", "acme-plug-dynamic"),
            ("@a/b-c", "a-b-c-dynamic"),
            ("@a-b/c", "a-b-c-dynamic"),
            ("x~1._-y", "x~1._-y-dynamic"),
        ] {
            assert_eq!(name(text).destination().as_str(), folder, "{text}");
        }
    }

    #[test]
    fn destinations_of_folders_are_their_paths_in_one_component() {
        for (path, folder) in [
            ("plugin", "plugin"),
            ("./plugin/", "plugin"),
            ("plugins/a", "plugins-a"),
            ("a//b/./c", "a-b-c"),
            ("a..b", "a..b"),
            ("a b+~", "a b+~"),
            ("a.yaml/b", "a.yaml-b"),
            ("Plugin_1", "Plugin_1"),
        ] {
            assert_eq!(Destination::of_folder(path).unwrap().as_str(), folder, "{path}");
        }
        for (path, error) in [
            ("", DestinationError::Empty),
            ("./.", DestinationError::Empty),
            ("/", DestinationError::Empty),
            ("..", DestinationError::Start),
            ("a/../b", DestinationError::Start),
            (".hidden/a", DestinationError::Start),
            ("a/b\\c", DestinationError::Character { found: '\\' }),
            ("a/naïve", DestinationError::Character { found: 'ï' }),
        ] {
            assert_eq!(Destination::of_folder(path), Err(error), "{path}");
        }
    }

    #[test]
    fn destinations_of_packed_tarballs_carry_the_version() {
        for (text, version, folder) in [
            ("@scope/name", "1.2.3", "scope-name-1.2.3"),
            ("name", "1.0.0-rc.1+build.5", "name-1.0.0-rc.1+build.5"),
            ("@a/b-dynamic", "0.0.0", "a-b-dynamic-0.0.0"),
        ] {
            assert_eq!(Destination::packed(&name(text), version).unwrap().as_str(), folder, "{text}");
        }
        for (version, error) in [
            ("1/../x", DestinationError::Character { found: '/' }),
            ("1\n", DestinationError::Character { found: '\n' }),
            ("1.tgz", DestinationError::Reserved { name: "x-1.tgz".to_owned() }),
        ] {
            assert_eq!(Destination::packed(&name("x"), version), Err(error), "{version}");
        }
    }

    #[test]
    fn each_bad_folder_is_refused_for_its_reason() {
        let reserved = |name: &str| DestinationError::Reserved { name: name.to_owned() };
        for (text, error) in [
            ("", DestinationError::Empty),
            (".", DestinationError::Start),
            ("..", DestinationError::Start),
            (".butler-plugins.state", DestinationError::Start),
            ("a/b", DestinationError::Character { found: '/' }),
            ("a\\b", DestinationError::Character { found: '\\' }),
            ("a\"b", DestinationError::Character { found: '"' }),
            ("a'b", DestinationError::Character { found: '\'' }),
            ("a`b", DestinationError::Character { found: '`' }),
            ("a\0", DestinationError::Character { found: '\0' }),
            ("a\x7f", DestinationError::Character { found: '\x7f' }),
            ("ünï", DestinationError::Character { found: 'ü' }),
            ("lost+found", reserved("lost+found")),
            ("node_modules", reserved("node_modules")),
            ("install-dynamic-plugins.lock", reserved("install-dynamic-plugins.lock")),
            ("app-config.dynamic-plugins.yaml", reserved("app-config.dynamic-plugins.yaml")),
            ("x.lock", reserved("x.lock")),
            ("x.yaml", reserved("x.yaml")),
            ("x.tgz", reserved("x.tgz")),
        ] {
            assert!(!error.hint().is_empty() && !error.to_string().chars().any(char::is_control), "{error}");
            assert_eq!(Destination::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_name_fits_a_file_system_at_the_limit_and_not_one_past_it() {
        assert!(Destination::parse(&"a".repeat(NAME_MAX)).is_ok());
        assert_eq!(Destination::parse(&"a".repeat(NAME_MAX + 1)), Err(DestinationError::Length));
        let longest = name(&"a".repeat(214)).destination();
        assert_eq!(Destination::parse(longest.as_str()), Ok(longest));
    }

    proptest! {
        #[test]
        fn what_is_made_parses_to_itself(
            package in "(@[a-z][a-z0-9._~-]{0,9}/)?[a-z][a-z0-9._~-]{0,9}(.lock|.yaml|.tgz|.dynamic)?",
            version in "[0-9a-z.+-]{0,9}",
            path in "[ -~]{0,20}",
        ) {
            let package = PackageName::parse(&package).ok();
            let made = [
                package.as_ref().map(PackageName::destination),
                package.as_ref().and_then(|package| Destination::packed(package, &version).ok()),
                Destination::of_folder(&path).ok(),
            ];
            for made in made.into_iter().flatten() {
                prop_assert_eq!(Destination::parse(made.as_str()), Ok(made));
            }
        }
    }
}
