//! From a plugin's `dist-dynamic` folder to a published artifact and the values that install it.
//!
//! ```no_run
//! use std::{fs::File, path::Path, sync::Arc};
//! use publish::{Dir, Draft, Limits, Packed, Packing, Progress, Provenance, PushOptions, Registry, Target};
//! use transport::Patience;
//!
//! fn publish(
//!     registry: &Registry,
//!     spool: File,
//!     packing: &Packing,
//!     options: &PushOptions,
//!     progress: &Arc<dyn Progress>,
//!     patience: Patience<'_>,
//! ) -> Result<String, Box<dyn std::error::Error>> {
//!     let draft = Draft::package(Dir::open(Path::new("dist-dynamic"))?, &Limits::default())?;
//!     let version = draft.plugins()[0].version().to_owned();
//!     let target = Target::parse("oci://registry.example.com/acme/hello", &[], || Ok(version))?;
//!     let packed = Packed::from_draft(&draft, spool, packing)?;
//!     let (published, _) = registry.push(&packed, &target, &Provenance::default(), options, progress, patience)?;
//!     Ok(published.to_yaml())
//! }
//! # let _ = publish;
//! ```
//!
//! - [`Draft`]: folders with a usable `package.json` → [`Packed`]: bytes that never change again, and their integrity.
//! - [`Registry::push`] to a [`Target`], [`Server::upload`] to a URL: `Packed` → [`Published`], which an operator is
//!   handed as a block of values.
//! - [`Opened`]: a published artifact, unpacked for looking at. [`hash_file`]: the integrity of a file.
//! - [`pin`]: a values file → [`Pinned`], the same file with integrities.
//! - [`Replacement`]: a file that is written as a whole.
//!
//! # What this crate refuses
//! It moves no tag and replaces no file unless it is told so, sends nothing that an installer would reject, and tells
//! nobody where an artifact came from but what it was given. It reads no environment, and knows no flags.

mod diff;
mod draft;
mod file;
mod opened;
mod packed;
mod pin;
mod plugin;
mod progress;
mod provenance;
mod push;
mod replace;
mod target;
mod upload;
mod values;

pub use contract::{CheckError, Checked, Finding, Level, RULES, check, collisions, rules_page, to_json, to_sarif};
pub use draft::{Draft, Layout};
pub use file::{FileError, hash_file};
pub use integrity::{Chain, Integrity};
pub use oci::How;
pub use opened::{OpenError, Opened};
pub use packed::{Packed, PackedError};
pub use pin::{Address, Change, PinError, PinFailure, PinWaiting, Pinned, Refresh, Unpinned, pin};
pub use plugin::Plugin;
pub use progress::Progress;
pub use provenance::Provenance;
pub use push::{Existing, PushError, PushOptions, Registry};
pub use replace::Replacement;
pub use tarball::{Dir, FileMode, Limits, PackError, Packing, SecretFiles};
pub use target::{Target, TargetError};
pub use upload::{Form, Server, UploadError, UploadFailure};
pub use values::{Published, ValuesEntry};
