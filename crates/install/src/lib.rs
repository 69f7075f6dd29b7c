//! The plugin root: what an operator listed becomes visible on it, all at once or not at all.
//!
//! ```no_run
//! use std::sync::Arc;
//! use install::{Job, Report, RunError};
//!
//! fn install(job: Job, fetcher: Arc<fetch::Fetcher>, log: &mut audit::Log) -> Result<Report, RunError> {
//!     install::run(job, &fetcher, log)
//! }
//! # let _ = install;
//! ```
//!
//! - [`Root::open`] → [`Root::lock`] → [`LockedRoot`]: there, ours alone, and in order.
//! - [`Staged`]: a verified plugin, unpacked where nobody looks.
//! - [`run`]: a [`Job`] from its plan to its [`Report`], told to the audit log.
//! - [`Inventory`]: what is installed; [`verify`]: each [`Difference`] from what was installed. Neither needs more than
//!   to read the root.
//! - [`forecast`]: what a run would do, found out by the steps by which it decides, with nothing changed.
//! - [`Local`]: what is no server's: folders and tarballs of the container, and what git checks out.
//! - [`Catalog`] → [`Index`]: an index image to the list of plugins it brings, and its [`Entities`] in place.
//! - [`Rejection`]: why one plugin is not installed. [`RootError`], [`RunError`]: why none is.
//!   [`CatalogError`]: why an index cannot be used.
//!
//! # What this crate refuses
//! It unpacks no byte that was not verified, or that the operator has not put there or let pass by name; replaces
//! nothing it did not make (save a copy of the same plugin, told as adopted, and in the rhdh dialect a folder that carries
//! the mark of Red Hat Developer Hub's installer); follows no symlink that is not the operator's; and shows no plugin
//! before all of the run's plugins are ready.

mod cache;
mod catalog;
mod commit;
mod error;
mod extra;
mod forecast;
mod inspect;
mod inventory;
mod job;
mod lease;
mod local;
mod lock;
mod outcome;
mod queue;
mod recover;
mod replace;
mod root;
mod run;
mod select;
mod shared;
mod shop;
#[cfg(test)]
mod site;
mod slot;
mod stage;
mod staging;
mod state;
mod tell;
mod workers;

pub use catalog::{Catalog, CatalogError, Entities, Index, IndexMemory};
pub use error::{Obstacle, Rejection, RootError};
pub use forecast::{Act, Certainty, Forecast, Foreseen, Reason, forecast};
pub use inspect::Difference;
pub use integrity::Chain;
pub use inventory::{Commit, InstalledPlugin, Inventory, InventoryError, Told, Verification, Writing, verify};
pub use job::{Belief, Caching, Job};
pub use local::{Git, Local};
pub use outcome::{Rejected, Report, RunError};
pub use root::{LockedRoot, Locking, Remark, Root};
pub use run::run;
pub use stage::Staged;
pub use tarball::{Kind, Limits};

/// The README's example for embedders, so that it cannot grow stale.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
