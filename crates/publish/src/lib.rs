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
//!     let target = Target::parse("oci://registry.example.com/acme/hello", &[], &[], || Ok(version))?;
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
//! - [`Opened`]: a tarball or a published artifact, unpacked for looking at. [`hash_file`]: the integrity of a file.
//! - [`pin`]: a values file → [`Pinned`], the same file with integrities.
//! - [`Replacement`]: a file that is written as a whole, over nobody else's changes where that is asked for.
//!
//! # What this crate refuses
//! Unless it is told so it moves no tag that leads elsewhere when it is looked at last, right before the new one is
//! written, and puts no file where it cannot see that there is none; a server that takes forms decides that for itself.
//! It sends nothing that an installer would reject, hands over no address with a query, shows no line of a values file
//! but those it changes, and tells nobody where an artifact came from but what it was given. It reads no environment,
//! and knows no flags.

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

pub use contract::{CheckError, Checked, Finding, Level, check, collisions, rejected, to_json, to_sarif};
pub use draft::{Draft, Layout};
pub use file::{FileError, hash_file};
pub use integrity::{Chain, Integrity, OciDigest};
pub use oci::How;
pub use opened::{OpenError, Opened, scratch_names};
pub use packed::{Packed, PackedError};
pub use pin::{Address, Change, PinError, PinFailure, PinWaiting, Pinned, Refresh, Unpinned, pin};
pub use plugin::Plugin;
pub use progress::Progress;
pub use provenance::Provenance;
pub use push::{Existing, Holds, PushError, PushOptions, Registry, Taken};
pub use replace::Replacement;
pub use tarball::{Dir, FileMode, Limits, Offences, PackError, Packing, SecretFiles};
pub use target::{Target, TargetError};
pub use upload::{Form, Server, UploadError, UploadFailure};
pub use values::{Published, ValuesEntry};
