//! What the `package` of an entry asks for.

use std::fmt;

use source::{OciReference, Source, SourceError, redact};

/// Stands where a version would: that of the included files is meant.
const INHERIT: &str = ":{{inherit}}";
/// A tag in its place, so that the rest of the reference is checked like any other.
const STAND_IN: &str = ":inherit";
const BY_NAME: &str = "ref://";

/// A `package` value, understood.
#[derive(Debug)]
pub(super) enum Asked {
    /// A plugin that is written out.
    Source(Source),
    /// `ref://name`: an included plugin.
    ByName(String),
    /// `{{inherit}}`: the version of an included plugin. The tag means nothing.
    Inherit(OciReference),
}

impl Asked {
    pub(super) fn parse(text: &str) -> Result<Self, SourceError> {
        if let Some(name) = text.strip_prefix(BY_NAME) {
            return Ok(Self::ByName(name.to_owned()));
        }
        let Some((image, behind)) = text.split_once(INHERIT) else { return Source::parse_rhdh(text).map(Self::Source) };
        match Source::parse_rhdh(&format!("{image}{STAND_IN}{behind}")) {
            Ok(Source::Oci(reference)) if reference.digest().is_none() => Ok(Self::Inherit(reference)),
            Err(SourceError::Invalid { why, .. }) => Err(SourceError::Invalid { package: redact(text), why }),
            Ok(_) | Err(_) => Source::parse_rhdh(text).map(Self::Source),
        }
    }

    /// The image, with or without a version.
    pub(super) const fn image(&self) -> Option<&OciReference> {
        match self {
            Self::Source(Source::Oci(reference)) | Self::Inherit(reference) => Some(reference),
            Self::Source(_) | Self::ByName(_) => None,
        }
    }
}

/// As it was written, fit for logs.
impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(source) => source.fmt(f),
            Self::ByName(name) => write!(f, "{BY_NAME}{}", redact(name)),
            Self::Inherit(reference) => {
                write!(f, "{}{INHERIT}", reference.image())?;
                reference.plugin_path().map_or(Ok(()), |path| write!(f, "!{path}"))
            }
        }
    }
}
