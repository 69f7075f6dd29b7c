//! Where in a registry an artifact goes: one repository, any number of tags.

use integrity::Blame;
use source::{OciReference, Source, SourceError, redact};

/// What stands before an OCI reference.
const SCHEME: &str = "oci://";

/// A repository and at least one tag that stays where it is, then perhaps others that move from artifact to artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    references: Vec<OciReference>,
    staying: usize,
}

/// A text that names no target.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// It is no reference.
    #[error(transparent)]
    Reference(SourceError),
    /// A digest or a plugin path, which nobody can choose when publishing.
    #[error("expected `oci://registry/repository:tag[,tag…]`, found a digest or a plugin path in `{found}`")]
    NotATag {
        /// What was given.
        found: String,
    },
    /// No tag was given, and the plugins' versions give none.
    #[error("expected a tag, and cannot take the version for one: {why}")]
    NoTag {
        /// Why not.
        why: String,
    },
}

impl TargetError {
    /// The reason code.
    pub const fn reason(&self) -> &'static str {
        "usage"
    }

    /// Whose move it is.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Reference(_) | Self::NotATag { .. } | Self::NoTag { .. } => Blame::Operator,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Reference(error) => error.hint(),
            Self::NotATag { .. } => Some("leave it out: registries compute digests themselves".to_owned()),
            Self::NoTag { .. } => Some("add one: `oci://registry/repository:1.2.3`".to_owned()),
        }
    }
}

impl Target {
    /// Parses `oci://registry/repository[:tag[,tag…]]`; `more` tags come after those, and `moving` ones last. Where none
    /// is left that stays, `version` is asked for one: what portals pin must not move.
    ///
    /// # Errors
    /// A registry, repository or tag outside the OCI grammar.
    pub fn parse(
        text: &str,
        more: &[String],
        moving: &[String],
        version: impl FnOnce() -> Result<String, String>,
    ) -> Result<Self, TargetError> {
        if text.contains(['@', '!']) && text.starts_with(SCHEME) {
            return Err(TargetError::NotATag { found: redact(text) });
        }
        let after_host = text.strip_prefix(SCHEME).and_then(|rest| rest.find('/')).map_or(0, |at| at + SCHEME.len());
        let (name, written) = match text[after_host..].rfind(':') {
            Some(colon) => (&text[..after_host + colon], &text[after_host + colon + 1..]),
            None => (text, ""),
        };
        let has_colon = name.len() < text.len();
        let mut tags: Vec<String> = written.split(',').filter(|_| has_colon).map(str::to_owned).collect();
        tags.extend_from_slice(more);
        tags.retain(|tag| !moving.contains(tag));
        let of_version = tags.is_empty();
        if of_version {
            tags.push(version().map_err(|why| TargetError::NoTag { why })?);
        }
        let mut staying = 0;
        let mut references: Vec<OciReference> = Vec::new();
        for tag in tags.iter().chain(moving) {
            let reference = match Source::parse(&format!("{name}:{tag}")) {
                Ok(Source::Oci(reference)) => reference,
                Ok(other) => {
                    return Err(TargetError::Reference(SourceError::Scheme { package: other.to_string() }));
                }
                Err(_) if of_version && Source::parse(&format!("{name}:x")).is_ok() => {
                    return Err(TargetError::NoTag { why: format!("`{tag}` has characters that no tag may have") });
                }
                Err(error) => return Err(TargetError::Reference(error)),
            };
            if !references.contains(&reference) {
                references.push(reference);
                staying += usize::from(!moving.contains(tag));
            }
        }
        Ok(Self { references, staying })
    }

    /// One reference for each tag, in the order they were given.
    pub fn references(&self) -> &[OciReference] {
        &self.references
    }

    /// The first of them, which stays where it is: the one to hand over.
    pub fn first(&self) -> &OciReference {
        &self.references[0]
    }

    /// The references that move from other artifacts to this one.
    pub(crate) fn moving(&self) -> &[OciReference] {
        &self.references[self.staying..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, more: &[&str], version: &str) -> Result<String, TargetError> {
        let more: Vec<_> = more.iter().map(ToString::to_string).collect();
        let target = Target::parse(text, &more, &["latest".to_owned()], || Ok(version.to_owned()))?;
        assert_eq!(target.first(), &target.references()[0]);
        assert_eq!(target.moving(), &target.references()[target.references().len() - 1..]);
        Ok(target.references().iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn tags_come_from_the_reference_the_flags_or_the_version() {
        for (text, more, expected) in [
            ("oci://r.example.com/a/b:1.2.3,1.x,latest", vec![], "1.2.3 1.x latest"),
            ("oci://r.example.com/a/b:latest,1.2.3", vec![], "1.2.3 latest"),
            ("oci://r.example.com:5000/a/b:1", vec!["2", "1"], "1 2 latest"),
            ("oci://r.example.com:5000/a/b", vec!["2"], "2 latest"),
            ("oci://r.example.com/a/b", vec![], "0.1.0 latest"),
            ("oci://r.example.com/a/b:latest", vec![], "0.1.0 latest"),
        ] {
            let name = text.rsplit_once('/').unwrap().0;
            let expected = expected.split(' ').map(|tag| format!("{name}/b:{tag}")).collect::<Vec<_>>().join(" ");
            assert_eq!(parse(text, &more, "0.1.0").unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for (text, version) in [
            ("oci://r.example.com/a/b:1@sha256:0000", "1"),
            ("oci://r.example.com/a/b:1!path", "1"),
            ("oci://r.example.com/a/b:1,,2", "1"),
            ("oci://r.example.com/a/b:", "1"),
            ("oci://r.example.com/a/b", "1.0.0+build"),
            ("oci://r.example.com", "1"),
            ("r.example.com/a/b:1", "1"),
            ("https://r.example.com/a/b:1", "1"),
            ("oci://user:password@r.example.com/a:1", "1"),
        ] {
            let error = parse(text, &[], version).unwrap_err();
            assert_eq!(error.reason(), "usage", "{text}");
            assert!(!error.to_string().contains("password"), "{text}: {error}");
        }
    }
}
