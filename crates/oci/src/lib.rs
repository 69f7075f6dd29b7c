//! The reading half of the OCI distribution protocol: resolve a reference, open its blob, prove who one is.
//!
//! ```
//! use oci::{Client, Credentials, Platform, TrustedRealms};
//! use source::OciReference;
//! use transport::Patience;
//!
//! fn layer_size(client: &Client, reference: &OciReference, patience: Patience<'_>) -> Result<u64, oci::OciError> {
//!     let resolved = client.resolve(reference, &Platform::this_machine(), patience)?;
//!     Ok(resolved.layer.size)
//! }
//! # let _ = layer_size;
//! ```
//!
//! - [`Client::resolve`]: reference → [`Resolved`] (one manifest, one layer [`Descriptor`], plugin folders).
//! - [`Client::open_blob`]: descriptor → an answer whose body is the blob, from a byte offset on.
//! - [`Credentials`]: what a Docker `config.json` says about a registry, helpers included.
//! - [`LoginFile`]: the same file, being written.
//! - [`TrustedRealms`]: which token servers may see a password.
//!
//! # What this crate refuses
//! It sends a password to no token server that is not the registry's own or listed, and an `Authorization` to no
//! other origin than the one it was made for. It takes manifests from the registry's own origin only, and blobs over
//! https from wherever the registry keeps them. It sends nothing once patience has ended. It retries nothing, writes nothing, and decides nothing about which
//! sources are allowed. A blob's bytes are checked by whoever stores them: against [`Descriptor::digest`] and size.

mod auth;
mod challenge;
mod client;
mod conversation;
mod credentials;
mod docker_hub;
mod error;
mod login_file;
mod manifest;
mod token;

pub use auth::TrustedRealms;
pub use client::{Client, Resolved};
pub use credentials::{CredentialHelper, Credentials, CredentialsError, HelperError};
pub use error::{Failure, Login, OciError};
pub use login_file::{LoginFile, LoginPlace, Removed};
pub use manifest::{Descriptor, LayerKind, Platform};
