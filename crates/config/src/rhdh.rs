//! The rhdh dialect: `dynamic-plugins.yaml` as Red Hat Developer Hub's installer reads it, with the files it includes.
//!
//! ```
//! use config::rhdh::{Include, MissingIntegrity, Planning};
//!
//! let main = b"
//! includes: [dynamic-plugins.default.yaml]
//! plugins:
//!   - package: oci://registry.example.com/mirror/my-plugin:{{inherit}}
//!     enabled: true
//! ";
//! let default = b"
//! plugins:
//!   - package: oci://quay.io/my-org/my-plugin:1.2.3!my-plugin
//!     disabled: true
//! ";
//! let mut planning = Planning::begin("dynamic-plugins.yaml", main, MissingIntegrity::IsRefused);
//! while let Some(path) = planning.needs() {
//!     let path = path.to_owned();
//!     planning.supply(Include::read(&path, Some(default)));
//! }
//! let planned = planning.finish()?;
//! assert_eq!(planned.plan.entries[0].package, "oci://quay.io/my-org/my-plugin:1.2.3!my-plugin");
//! # Ok::<(), config::Problems>(())
//! ```
//!
//! - [`read`]: one file as it is written.
//! - [`Planning`]: the main file and those that it [includes](Include), supplied one by one, to a [plan](crate::Plan).
//! - [`Note`]: what the original installer's log says of it.
//!
//! Entries go through it in this order: what each asks for is understood (`asked`), placeholders are resolved against
//! the included files (`resolve`), references without a plugin path find theirs or switch their image off (`images`),
//! and entries for one plugin become one (`merge`).

mod asked;
mod file;
mod findings;
mod images;
mod include;
mod item;
mod merge;
mod note;
mod place;
mod planning;
mod resolve;

#[cfg(test)]
pub(crate) use file::{ENTRY_KEYS, FILE_KEYS};
pub use file::{File, PullPolicy, RawEntry, read};
pub use include::Include;
pub use note::{Mark, Note};
pub use place::{Place, Written};
pub use planning::{MAX_INCLUDES, MAX_TOTAL_BYTES, MissingIntegrity, Planned, Planning};
