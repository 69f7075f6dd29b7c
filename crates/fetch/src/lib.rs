//! An allowed source becomes bytes in a spool: hashed, counted, and not readable before they are verified.
//!
//! ```
//! use fetch::{FetchError, Fetched, Fetcher, Spool};
//! use source::{Allowed, Source};
//! use transport::Stop;
//!
//! fn fetch(fetcher: &Fetcher, source: &Allowed<Source>, spool: Spool) -> Result<Fetched, FetchError> {
//!     fetcher.fetch(source, spool, &Stop::new(), &|error, wait| println!("{error}, again in {wait:?}"))
//! }
//! # let _ = fetch;
//! ```
//!
//! - [`Fetcher::fetch`]: [`Allowed`](source::Allowed)`<Source>` → [`Fetched`]; in two steps by way of [`Located`], for
//!   those who have many and want to know their sizes first.
//! - [`Fetched::verify`]: → [`Verified`](integrity::Verified)`<Spool>`, the promised bytes, one for each layer of an image.
//! - [`Fetcher::probe`]: asks whether a source is there and may be read, without its bytes.
//! - [`Spool`]: an unnamed file; what was hashed is what is read back.
//! - [`Surroundings`]: what the environment says about logins, proxies, certificates and mirrors. [`HostClients`]: a
//!   transport that trusts some certificates for one host only.
//! - [`Logins`]: names the files that say who one is → [`Access`]. [`Netrc`]: credentials of https servers.
//!   [`HelperProcess`]: runs Docker's credential helpers. [`Npmrc`]: registries of npm, and logins for them.
//!   [`GitProgram`]: checks out what has no artifact.
//!
//! # What this crate refuses
//! It takes nothing that the policy has not let through, and shows each redirect of an https source to the policy
//! again; a registry of npm may redirect to https or within its own origin. It parses no archive, and gives out no byte that was not compared with its promise.

mod access;
mod download;
mod error;
mod fetched;
mod fetcher;
mod file;
mod git;
mod helper;
mod hosts;
mod located;
mod netrc;
mod npm;
mod registries;
mod spool;
mod status;
mod surroundings;
mod tarball_url;

pub use access::{Access, AccessError, LOGINS_LIMIT, Logins};
pub use error::{FetchError, HttpsFailure, Server, TransferFailure};
pub use fetched::Fetched;
pub use fetcher::{FetchLimits, Fetcher, Probe, Spools, Waiting};
pub use file::{Unreadable, read_file, read_regular_file};
pub use git::{CheckOutLimits, GitFailure, GitProgram};
pub use helper::HelperProcess;
pub use hosts::HostClients;
pub use located::{Located, Origin};
pub use netrc::{Netrc, NetrcError};
pub use npm::{NoVersion, NpmFailure, Npmrc, NpmrcError, NpmrcFileError};
pub use oci::{
    AnswerLimits, Answered, Credentials, CredentialsError, Layers, Platform, Registries, RegistriesError, TrustedRealms,
};
pub use registries::RegistriesFileError;
pub use spool::Spool;
pub use status::{Refused, Unfollowed};
pub use surroundings::{Surroundings, SurroundingsError};
