//! What the operator wrote, as a plan: `dynamic-plugins.yaml`, or the same block in a chart's values file.
//!
//! ```
//! use config::Request;
//!
//! let plan = config::parse(
//!     b"
//! allowedSources:
//!   - oci://ghcr.io/my-org
//! plugins:
//!   - package: oci://ghcr.io/my-org/my-plugin:1.2.3
//!     integrity: sha512-m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==
//! ",
//! )?;
//! for entry in plan.entries {
//!     match entry.request {
//!         Request::Disabled => println!("{} is left alone", entry.package),
//!         Request::Wanted(wanted) => match wanted.admit(&plan.policy) {
//!             Ok(admitted) => println!("{} may be fetched", admitted.source.subject()),
//!             Err(error) => println!("{} is rejected: {}", entry.package, error.reason()),
//!         },
//!     }
//! }
//! # Ok::<(), config::Problems>(())
//! ```
//!
//! - [`parse`]: the file's bytes to a [`Plan`], or to all of its [`Problems`].
//! - [`Entry`] → [`Wanted`] → [`Admitted`]: an entry as written, one that asks for a plugin, one that may be fetched.
//! - [`Pins`]: the bytes again, to write new integrities into them ([`Edit`]) and leave everything else as it is.
//! - [`rhdh::Planning`]: the files of the rhdh dialect to a [`Plan`], and what they are [warned](Warning) about;
//!   [`rhdh::read`]: one of them as it is written.
//! - [`schema`]: either dialect for editors, as a JSON schema.
//! - [`Fragment`] → [`AppConfig`]: a plugin's piece of app-config, and all pieces merged, or a [`Conflict`].
//!
//! # What this crate refuses
//! It reads no file and no variable. It guesses nothing: an unknown or doubled key, a wrong type, an alias, a tag or a
//! second document stops it, with the place and a hint; what the rhdh dialect lets pass of these, it tells. It shows no
//! secret in an excerpt. Size, depth and number of values are bounded, what is looked at ahead, and what aliases
//! repeat: [`MAX_CONFIG_BYTES`], [`MAX_DEPTH`], [`MAX_NODES`], [`MAX_LOOKAHEAD`], [`MAX_REPEATED`].

mod app_config;
mod butler;
mod edit;
mod emit;
mod excerpt;
mod fields;
mod fragment;
mod load;
mod metered;
mod node;
mod plan;
mod problem;
pub mod rhdh;
mod scalar;
mod schema;

pub use app_config::{AppConfig, Conflict};
pub use butler::{MAX_CONFIG_BYTES, parse};
pub use edit::{Edit, EditError, PinEntry, Pins};
pub use fields::nearest;
pub use fragment::Fragment;
pub use load::{MAX_DEPTH, MAX_NODES, MAX_REPEATED};
pub use metered::MAX_LOOKAHEAD;
pub use node::{Location, Position};
pub use plan::{Admitted, Dialect, Entry, EntryError, Form, OnReject, Place, Plan, Pull, Request, Wanted};
pub use problem::{MAX_PROBLEMS, Problem, Problems, Warning};
pub use schema::schema;
