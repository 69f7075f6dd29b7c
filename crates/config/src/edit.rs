//! Changing the pins of a file in place: everything around the changed values stays as the operator wrote it.

mod page;
mod tree;

use integrity::{Blame, Integrity};
use source::{Allowed, Source, SourcePolicy};

use crate::butler::{Listing, decode, list};
use crate::load::{Reading, load};
use crate::plan::Listed;
use crate::{EntryError, Place, Position, Problems};
use page::Page;
use tree::entries;

/// The entries of a file and its text, to change what pins them.
///
/// ```
/// use config::{Edit, Pins};
/// use integrity::Integrity;
///
/// let pins = Pins::read(b"plugins:\n- package: oci://ghcr.io/my-org/hello:1.2.3 # by the portal team\n")?;
/// assert!(pins.entries()[0].integrity().is_err());
///
/// // As computed from the bytes.
/// let integrity = Integrity::parse(
///     "sha512-m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==",
/// )?;
/// let text = pins.edited(&[Edit { entry: 0, integrity, package: None }])?;
/// assert_eq!(text, format!("{}  integrity: {integrity}\n", pins.text()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Pins {
    text: String,
    /// Bytes of the byte order mark before the document.
    mark: usize,
    policy: SourcePolicy,
    entries: Vec<PinEntry>,
}

/// One of `plugins`, disabled or not. A `dynamicPlugins` block that is switched off has its entries, too.
///
/// [`admit`](Self::admit) is the only way to its source.
///
/// ```compile_fail,E0616
/// fn bypass(entry: config::PinEntry) -> source::Source {
///     entry.source.unwrap()
/// }
/// ```
///
/// ```
/// fn check(entry: config::PinEntry, policy: &source::SourcePolicy) -> source::Allowed<source::Source> {
///     entry.admit(policy).unwrap()
/// }
/// ```
#[derive(Debug)]
pub struct PinEntry {
    package: String,
    place: Place,
    disabled: bool,
    source: Result<Source, EntryError>,
    integrity: Result<Integrity, EntryError>,
    duplicate_of: Option<Position>,
}

/// New values for one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Which of [`Pins::entries`].
    pub entry: usize,
    /// The value of `integrity`.
    pub integrity: Integrity,
    /// The value of `package`, where it changes.
    pub package: Option<String>,
}

impl Pins {
    /// Reads a file. What is wrong with a single entry's source or integrity is no problem of the file.
    ///
    /// # Errors
    /// Like [`parse`](crate::parse).
    pub fn read(bytes: &[u8]) -> Result<Self, Problems> {
        let document = decode(bytes)?;
        let Listing { policy, entries, .. } = list(document)?;
        let mark = bytes.len() - document.len();
        let mut text = String::with_capacity(bytes.len());
        if mark > 0 {
            text.push('\u{feff}');
        }
        text.push_str(document);
        Ok(Self { text, mark, policy, entries: entries.into_iter().map(PinEntry::from).collect() })
    }

    /// The file's text, a byte order mark included.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// `allowedSources`.
    pub const fn policy(&self) -> &SourcePolicy {
        &self.policy
    }

    /// `plugins`, in the file's order.
    pub fn entries(&self) -> &[PinEntry] {
        &self.entries
    }

    /// The file's text with these values and no other ones changed. It is read again, and compared with what was
    /// wanted, before it is given out.
    ///
    /// # Errors
    /// When a value cannot be changed in place, or not without changing what stands elsewhere.
    pub fn edited(&self, edits: &[Edit]) -> Result<String, EditError> {
        let (mark, document) = self.text.split_at(self.mark);
        let before = load(document, Reading::Plain).map_err(|_| EditError::Reread)?;
        let mut wanted = before.root.ok_or(EditError::Reread)?;
        let mut page = Page::new(document, before.aliased);
        for edit in edits {
            let no_entry = EditError::NoEntry { entry: edit.entry };
            let (list, items) = entries(&mut wanted).ok_or_else(|| no_entry.clone())?;
            let node = items.get_mut(edit.entry).ok_or(no_entry)?;
            page.edit(list, node, edit)?;
        }
        let text = page.patched().ok_or(EditError::Reread)?;
        let after = decode(text.as_bytes()).map_err(|_| EditError::Reread)?;
        let after = load(after, Reading::Plain).map_err(|_| EditError::Reread)?;
        let is_wanted = after.root.is_some_and(|root| tree::are_same(&root, &wanted));
        if is_wanted && after.faults.len() == before.faults.len() {
            Ok(format!("{mark}{text}"))
        } else {
            Err(EditError::Reread)
        }
    }
}

impl PinEntry {
    /// The `package` value for records: without userinfo and query, empty when there is none.
    pub fn package(&self) -> &str {
        &self.package
    }

    /// Where the entry stands in the file.
    pub fn place(&self) -> Place {
        self.place.clone()
    }

    /// Whether the entry says `disabled: true`.
    pub const fn is_disabled(&self) -> bool {
        self.disabled
    }

    /// The pinned integrity.
    ///
    /// # Errors
    /// That there is none, or what is wrong with it.
    pub const fn integrity(&self) -> Result<&Integrity, &EntryError> {
        self.integrity.as_ref()
    }

    /// Checks where the plugin comes from, without the network: source, policy, duplicates, in this order.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn admit(&self, policy: &SourcePolicy) -> Result<Allowed<Source>, EntryError> {
        let source = policy.admit(self.source.clone()?)?;
        match self.duplicate_of {
            Some(first) => Err(EntryError::Duplicate { first }),
            None => Ok(source),
        }
    }
}

impl From<Listed> for PinEntry {
    fn from(listed: Listed) -> Self {
        let Listed { package, place, disabled, source, integrity, duplicate_of, plugin_config: _ } = listed;
        Self { package, place, disabled, source, integrity, duplicate_of }
    }
}

/// Why a value is not changed in place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The file has no such entry.
    #[error("failed to find entry number {entry} of the file")]
    NoEntry {
        /// The number that was asked for, from 0.
        entry: usize,
    },
    /// A YAML alias elsewhere repeats what would be changed.
    #[error("`{key}` of the entry in line {} is repeated elsewhere by a YAML alias", position.line)]
    Shared {
        /// Which entry.
        entry: usize,
        /// What would be changed.
        key: &'static str,
        /// Where the entry starts.
        position: Position,
    },
    /// The value is written in a way that has no place for another one.
    #[error("`{key}` of the entry in line {} is written in a form that cannot be changed in place", position.line)]
    Form {
        /// Which entry.
        entry: usize,
        /// What would be changed.
        key: &'static str,
        /// Where the entry starts.
        position: Position,
    },
    /// The edited text did not say what was wanted when it was read again.
    #[error("the edited file, read again, does not say what it should")]
    Reread,
}

impl EditError {
    /// The entry that cannot be changed, where the others can.
    pub const fn entry(&self) -> Option<usize> {
        match self {
            Self::Shared { entry, .. } | Self::Form { entry, .. } => Some(*entry),
            Self::NoEntry { .. } | Self::Reread => None,
        }
    }

    /// The reason code of the audit log.
    pub const fn reason(&self) -> &'static str {
        "config_invalid"
    }

    /// Whose move it is.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Shared { .. } | Self::Form { .. } => Blame::Operator,
            Self::NoEntry { .. } | Self::Reread => Blame::Bug,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Shared { .. } => "write the values out where the alias stands",
            Self::Form { .. } => "write the entry as `- package: …` and `integrity: …`, each on a line of its own",
            Self::Reread => "the file was left as it is; change the values by hand, and report the file's layout",
            Self::NoEntry { .. } => return None,
        };
        Some(text.to_owned())
    }
}
