//! What a Backstage portal expects of a dynamic plugin, as rules that a folder keeps or breaks.
//!
//! ```no_run
//! use std::path::Path;
//! use contract::{Level, check, collisions};
//! use tarball::{Dir, Limits};
//!
//! let dir = Dir::open(Path::new("dist-dynamic"))?;
//! let checked = check("dist-dynamic", &dir, &Limits::default())?;
//! for finding in checked.findings() {
//!     println!("{} {}: {}", finding.rule.level.name(), finding.rule.id, finding.message);
//! }
//! let clean = checked.findings().iter().all(|finding| finding.rule.level == Level::Warning);
//! # let _ = (clean, collisions(&[checked]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`Rule`]: a stable id, a [`Level`], what happens in the portal otherwise, and what to do. All are in [`RULES`].
//! - An open [`Dir`](tarball::Dir) → [`check`] → [`Checked`] with its [`Finding`]s; several of those → [`collisions`].
//! - An [`UnpackError`](tarball::UnpackError) → [`rejected`] → the same, for an archive that no installer unpacks.
//! - [`to_json`], [`to_sarif`]: findings for other programs. [`rules_page`]: the rules for people.
//!
//! # What this crate refuses
//! It runs no code of a plugin and asks no network: what it says about JavaScript comes from the text, and where the
//! text leaves a doubt it says nothing. It follows no link out of the folder. A wrong plugin is a finding and never an
//! error; [`CheckError`] means that this machine could not read.
//!
//! It reads at most [`Limits::manifest`](tarball::Limits::manifest) bytes of a `package.json`, 4 MiB of a
//! `mf-manifest.json`, 16 MiB of a script and 256 MiB of all scripts; a larger script, and one past the sum, is not
//! judged. It looks for at most 64 names that a frontend claims, and keeps at most 50 findings for each rule.

mod backend;
mod check;
mod exports;
mod frontend;
mod inspection;
mod package_json;
mod rejected;
mod report;
mod rules;
mod scan;
mod script;
mod tree;

pub use check::{CheckError, Checked, Finding, check, collisions};
pub use rejected::rejected;
pub use report::{rules_page, to_json, to_sarif};
pub use rules::{Level, RULES, Rule};
