//! What bytes must be, to count as the right ones.

use std::fmt;

use crate::{Hashes, Integrity};

/// What was promised about an artifact's bytes, before any of them came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Promise {
    /// The operator pinned them.
    Hashes(Hashes),
    /// The registry's manifest, found by tag or digest, names each of them by digest.
    Registry,
    /// Nobody says.
    Unchecked(Danger),
}

/// Why bytes are taken that nobody vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Danger {
    /// The operator switched the check off.
    IntegritySkipped,
    /// They lie in the container already, where the operator put them.
    LocalFiles,
}

impl Promise {
    /// The one sha512 that they have to have, where it is one.
    pub fn pinned(&self) -> Option<Integrity> {
        match self {
            Self::Hashes(hashes) => hashes.as_integrity(),
            Self::Registry | Self::Unchecked(_) => None,
        }
    }
}

impl Danger {
    /// The name in logs and records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::IntegritySkipped => "unchecked",
            Self::LocalFiles => "local",
        }
    }
}

/// What a state file keeps of it: the hashes, or a word.
impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hashes(hashes) => hashes.fmt(f),
            Self::Registry => f.write_str("registry"),
            Self::Unchecked(danger) => f.write_str(danger.name()),
        }
    }
}
