//! Where a plugin comes from, and whether the operator allows it.
//!
//! ```
//! use source::{Prefix, Source, SourcePolicy};
//!
//! let policy = SourcePolicy::of(vec![Prefix::parse("oci://ghcr.io/my-org")?]);
//! let plugin = Source::parse("oci://ghcr.io/my-org/my-plugin:1.2.3")?;
//! let allowed = policy.admit(plugin)?; // may be asked for over the network
//!
//! let near = Source::parse("oci://ghcr.io/my-org-evil/my-plugin:1.2.3")?;
//! assert_eq!(policy.admit(near).unwrap_err().reason(), "source_not_allowed");
//! # drop(allowed);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`Source`]: a parsed `package` value.
//!   - [`OciReference`]: registry, repository, tag or digest, and which folder of the image.
//!   - [`HttpsUrl`]: a tarball on an https server.
//!   - [`NpmSpec`], [`GitSpec`], [`LocalPath`]: what [`Source::parse_rhdh`] takes besides.
//! - [`SourcePolicy`], made of [`Prefix`]es, turns a `Source` into an [`Allowed`] one.
//! - [`redact`] (by [`secret_ranges`]) and [`printable`] make a text that may not even parse fit for a log.
//!
//! # What this crate refuses
//! It resolves no name, decodes nothing to find a match, and believes no aliases: what is compared is what was written,
//! and whatever is not written canonically is rejected. Of an npm alias the package's own name is compared, and of a
//! repository's short form the URL that it stands for.

mod authority;
mod git;
mod https;
mod local;
mod npm;
mod oci;
mod policy;
mod redact;
mod rhdh;
mod source;

pub use authority::Authority;
pub use git::GitSpec;
pub use https::HttpsUrl;
pub use local::LocalPath;
pub use npm::{NpmName, NpmSpec};
pub use oci::{OciReference, PluginPath};
pub use policy::{Allowed, AllowedKind, NotAllowed, Prefix, PrefixError, SourcePolicy};
pub use redact::{is_invisible, printable, redact, secret_ranges};
pub use rhdh::Unsupported;
pub use source::{Fault, Source, SourceError};
