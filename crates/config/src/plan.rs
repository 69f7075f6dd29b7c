//! What a file asks for.

use integrity::{Blame, Integrity, IntegrityError, Promise};
use source::{Allowed, NotAllowed, Source, SourceError, SourcePolicy};

use crate::node::Span;
use crate::{Fragment, Position, Problem, rhdh};

/// A file that is right. Its entries may still be rejected, each for itself.
#[derive(Debug)]
#[non_exhaustive]
pub struct Plan {
    /// `allowedSources`.
    pub policy: SourcePolicy,
    /// `continueOnError`.
    pub on_reject: OnReject,
    /// `plugins`, in the file's order; none when a values file switches them off.
    pub entries: Vec<Entry>,
    /// Which kind of file it was.
    pub form: Form,
    /// Whose language it is written in.
    pub dialect: Dialect,
}

/// Whose language a plan was written in; it decides where plugins go and when they are asked for again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// Butler's own.
    #[default]
    Butler,
    /// That of Red Hat Developer Hub's installer.
    Rhdh,
}

/// When a plugin that is installed is asked for again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pull {
    /// When it is not there as it was installed.
    #[default]
    IfNotPresent,
    /// Always, and fetched when its source leads to something else by now.
    Always,
    /// Always fetched.
    Force,
}

/// What becomes of a run in which a plugin is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnReject {
    /// Nothing changes on the root and the run fails.
    #[default]
    Abort,
    /// The other plugins are installed.
    Continue,
}

/// The kinds of file that hold a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// `dynamic-plugins.yaml`, as the installer is given it.
    DynamicPlugins,
    /// A Helm values file with a `dynamicPlugins` block.
    HelmValues {
        /// `enabled`; a file that does not say is taken for one that enables.
        enabled: bool,
        /// `rootDirectory`.
        root: Option<String>,
    },
}

/// One of `plugins`.
#[derive(Debug)]
#[non_exhaustive]
pub struct Entry {
    /// The `package` value for records: without userinfo and query, empty when there is none.
    pub package: String,
    /// Where it stands in the file.
    pub place: Place,
    /// What the entry asks for.
    pub request: Request,
}

/// An entry as the file has it, whatever becomes of it.
pub(crate) struct Listed {
    pub(crate) package: String,
    pub(crate) place: Place,
    pub(crate) disabled: bool,
    pub(crate) source: Result<Source, EntryError>,
    pub(crate) integrity: Result<Integrity, EntryError>,
    /// The earlier entry with the same source, both of them not disabled.
    pub(crate) duplicate_of: Option<Position>,
    pub(crate) plugin_config: Option<Fragment>,
}

/// Where an entry and its values stand in the file.
#[derive(Debug, Clone)]
pub struct Place {
    entry: Span,
    pub(crate) package: Span,
    pub(crate) integrity: Span,
    /// Where the package stands, when several files were read.
    located: Option<rhdh::Place>,
}

/// What an entry asks for.
#[derive(Debug)]
pub enum Request {
    /// Nothing: `disabled: true`. It cannot be admitted, nor rejected.
    Disabled,
    /// A plugin.
    Wanted(Box<Wanted>),
}

/// A plugin to be installed, as written; nothing about it has been proved.
///
/// [`admit`](Self::admit) is the only way on: its source cannot be taken out unchecked.
///
/// ```compile_fail,E0616
/// fn bypass(wanted: config::Wanted) -> source::Source {
///     wanted.source.unwrap()
/// }
/// ```
///
/// ```
/// fn check(wanted: config::Wanted, policy: &source::SourcePolicy) -> source::Allowed<source::Source> {
///     wanted.admit(policy).unwrap().source
/// }
/// ```
#[derive(Debug)]
pub struct Wanted {
    pub(crate) source: Result<Source, EntryError>,
    pub(crate) promise: Result<Promise, EntryError>,
    pub(crate) duplicate_of: Option<Position>,
    pub(crate) plugin_config: Option<Fragment>,
    pub(crate) pull: Pull,
}

/// An entry that may be fetched.
#[must_use = "an admitted plugin is meant to be fetched"]
#[derive(Debug)]
#[non_exhaustive]
pub struct Admitted {
    /// Where the plugin comes from.
    pub source: Allowed<Source>,
    /// What its bytes must be.
    pub promise: Promise,
    /// Its piece of app-config, when it has one.
    pub plugin_config: Option<Fragment>,
    /// When it is asked for again.
    pub pull: Pull,
}

impl From<Listed> for Entry {
    fn from(listed: Listed) -> Self {
        let Listed { package, place, disabled, source, integrity, duplicate_of, plugin_config } = listed;
        let request = if disabled {
            Request::Disabled
        } else {
            let promise = integrity.map(|integrity| Promise::Hashes(integrity.into()));
            let pull = Pull::IfNotPresent;
            Request::Wanted(Box::new(Wanted { source, promise, duplicate_of, plugin_config, pull }))
        };
        Self { package, place, request }
    }
}

impl Place {
    /// An entry whose values are not written.
    pub(crate) const fn of(entry: Span) -> Self {
        let start = entry.start();
        Self { entry: start, package: start, integrity: start, located: None }
    }

    /// Where the entry starts.
    pub const fn position(&self) -> Position {
        self.entry.position
    }

    /// The file, where several were read.
    pub fn file(&self) -> Option<&str> {
        self.located.as_ref().map(rhdh::Place::file)
    }

    /// Shows a rejection at the value that it is about; `file` is what was parsed, and of no use to a place that knows
    /// its own.
    pub fn problem(&self, error: &EntryError, file: &[u8]) -> Problem {
        let span = match error {
            EntryError::PackageMissing | EntryError::IntegrityMissing => self.entry,
            EntryError::Source(_) | EntryError::NotAllowed(_) | EntryError::Duplicate { .. } => self.package,
            EntryError::Integrity(_) => self.integrity,
        };
        self.shown(span, error.to_string(), error.hint(), file)
    }

    /// Shows something that is wrong with the source, found out by asking for it.
    pub fn package_problem(&self, message: String, hint: Option<String>, file: &[u8]) -> Problem {
        self.shown(self.package, message, hint, file)
    }

    fn shown(&self, span: Span, message: String, hint: Option<String>, file: &[u8]) -> Problem {
        match &self.located {
            Some(place) => place.problem(message, hint),
            None => Problem::at(span, message, hint, file),
        }
    }
}

/// An entry in one of several files, by its package.
impl From<&rhdh::Place> for Place {
    fn from(place: &rhdh::Place) -> Self {
        Self { located: Some(place.clone()), ..Self::of(place.span()) }
    }
}

impl OnReject {
    /// The stricter of two answers to the same question.
    #[must_use]
    pub const fn stricter(self, other: Self) -> Self {
        match (self, other) {
            (Self::Continue, Self::Continue) => Self::Continue,
            (Self::Abort, _) | (_, Self::Abort) => Self::Abort,
        }
    }
}

impl Wanted {
    /// Checks the entry, without the network: source, policy, integrity, duplicates, in this order.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn admit(self, policy: &SourcePolicy) -> Result<Admitted, EntryError> {
        let source = policy.admit(self.source?)?;
        let promise = self.promise?;
        match self.duplicate_of {
            Some(first) => Err(EntryError::Duplicate { first }),
            None => Ok(Admitted { source, promise, plugin_config: self.plugin_config, pull: self.pull }),
        }
    }
}

/// Why an entry is rejected before anything is asked of the network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// `package` is absent, null or empty.
    #[error("expected `package` in the entry, found none")]
    PackageMissing,
    /// `package` is no source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The policy does not let the source through.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// `integrity` is absent, null or empty.
    #[error("expected `integrity` in the entry, found none")]
    IntegrityMissing,
    /// `integrity` is no sha512 value.
    #[error(transparent)]
    Integrity(#[from] IntegrityError),
    /// An earlier entry, not disabled, has the same source.
    #[error("the same source is listed in line {} already", first.line)]
    Duplicate {
        /// Where the earlier entry starts.
        first: Position,
    },
}

impl EntryError {
    /// The reason code of the audit log.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::PackageMissing => "package_missing",
            Self::Source(error) => error.reason(),
            Self::NotAllowed(error) => error.reason(),
            Self::IntegrityMissing => "integrity_missing",
            Self::Integrity(error) => error.reason(),
            Self::Duplicate { .. } => "duplicate_plugin",
        }
    }

    /// Whose move it is.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Source(error) => error.blame(),
            Self::NotAllowed(error) => error.blame(),
            Self::Integrity(error) => error.blame(),
            Self::PackageMissing | Self::IntegrityMissing | Self::Duplicate { .. } => Blame::Operator,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::PackageMissing => Some("add `package: oci://…` or `package: https://…`".to_owned()),
            Self::Source(error) => error.hint(),
            Self::NotAllowed(error) => Some(error.hint()),
            Self::IntegrityMissing => Some(
                "add `integrity: sha512-…` as its publisher gives it, or have `butler-plugin-publisher pin FILE` compute it"
                    .to_owned(),
            ),
            Self::Integrity(error) => Some(error.hint()),
            Self::Duplicate { .. } => Some("keep one of the two entries".to_owned()),
        }
    }
}
