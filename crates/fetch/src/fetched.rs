//! Bytes that came, on their way to being proved.

use integrity::{Algorithm, Hashed, Integrity, Mismatch, OciDigest, Promise, Verified};

use crate::Spool;
use crate::located::{Located, Origin};

const HTML: &str = "text/html";

/// An artifact's bytes, hashed and not readable, and what a registry said about them.
///
/// ```compile_fail,E0616
/// fn peek(fetched: fetch::Fetched) -> integrity::Hashed<fetch::Spool> {
///     fetched.lowest
/// }
/// ```
///
/// ```
/// fn prove(
///     fetched: fetch::Fetched,
///     promise: &integrity::Promise,
/// ) -> Result<Vec<integrity::Verified<fetch::Spool>>, integrity::Mismatch> {
///     fetched.verify(promise)
/// }
/// ```
#[must_use = "fetched bytes prove nothing until they are verified"]
#[derive(Debug, Clone)]
pub struct Fetched {
    pub(crate) lowest: Hashed<Spool>,
    /// The layers above it, which only images have.
    pub(crate) above: Vec<Hashed<Spool>>,
    pub(crate) origin: Origin,
    pub(crate) sent: Sent,
}

/// As what a server of files sends what it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    Artifact,
    /// For people to read in a browser.
    Page,
}

impl Sent {
    pub(crate) fn by(content_type: Option<&str>) -> Self {
        let is_page = |text: &str| text.get(..HTML.len()).is_some_and(|start| start.eq_ignore_ascii_case(HTML));
        if content_type.is_some_and(is_page) { Self::Page } else { Self::Artifact }
    }
}

impl Fetched {
    /// Compares the bytes of each layer with what was promised.
    ///
    /// # Errors
    /// [`Mismatch`], and the bytes are gone.
    pub fn verify(self, promise: &Promise) -> Result<Vec<Verified<Spool>>, Mismatch> {
        let named = self.origin.layers.iter().map(Some).chain(std::iter::repeat(None));
        [self.lowest]
            .into_iter()
            .chain(self.above)
            .zip(named)
            .map(|(layer, named)| layer.keeps(promise, named))
            .collect()
    }

    /// Compares the bytes with what the operator pinned; of several layers only the lowest is had.
    ///
    /// # Errors
    /// [`Mismatch`], and the bytes are gone.
    pub fn verify_pinned(self, pinned: &Integrity) -> Result<Verified<Spool>, Mismatch> {
        self.lowest.verify(pinned)
    }

    /// The sha512 of the bytes that came, as one would pin it; of the lowest layer, if there are several. It is no proof
    /// that they are the wanted ones.
    pub const fn integrity(&self) -> Integrity {
        self.lowest.integrity()
    }

    /// The same as a registry would write it.
    pub fn digest(&self) -> Option<OciDigest> {
        self.lowest.digest(Algorithm::Sha512)
    }

    /// The same bytes for another source that has led to the same layers.
    pub fn of(&self, located: &Located) -> Option<Self> {
        let origin = located.origin();
        (origin.manifest.is_some() && origin.layers == self.origin.layers).then(|| Self { origin, ..self.clone() })
    }

    /// Whether a server sent it as a page for people to read, which a tarball is not.
    pub fn is_page(&self) -> bool {
        self.sent == Sent::Page
    }

    /// What a registry said about the artifact.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// How many bytes came.
    pub fn len(&self) -> u64 {
        self.above.iter().map(Hashed::len).fold(self.lowest.len(), u64::saturating_add)
    }

    /// Whether the artifact is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
