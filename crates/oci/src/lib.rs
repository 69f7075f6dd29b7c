//! The OCI distribution protocol: resolve a reference, open its blob, push another, prove who one is.
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use oci::{Artifact, Blob, Client, OciError, Platform, PushOptions};
//! use source::OciReference;
//! use transport::Patience;
//!
//! fn layer_size(client: &Client, reference: &OciReference, patience: Patience<'_>) -> Result<u64, OciError> {
//!     let resolved = client.resolve(reference, &Platform::this_machine(), patience)?;
//!     Ok(resolved.size())
//! }
//!
//! fn push(client: &Client, to: &OciReference, layer: &Blob, patience: Patience<'_>) -> Result<(), OciError> {
//!     let options = PushOptions::default();
//!     let config = client.push_blob(to, &Blob::empty_config(), &options, patience)?;
//!     let layer = client.push_blob(to, layer, &options, patience)?;
//!     let artifact = Artifact::new(config, layer, Some("package.tgz"), BTreeMap::new());
//!     client.push_manifest(to, &artifact, patience).map(drop)
//! }
//! # let _ = (layer_size, push);
//! ```
//!
//! - [`Client::resolve`]: reference → [`Resolved`] (one manifest, its layers' [`Descriptor`]s, the plugin's folder).
//!   [`Client::resolve_image`]: the same for an image that is wanted as a whole.
//! - [`Registries`]: a `registries.conf`, which sends a reference to mirrors first; [`Answered`]: where it was found.
//! - [`Client::open_blob`]: descriptor → an answer whose body is the blob, from a byte offset on.
//! - [`Client::push_blob`]: [`Blob`] → [`Stored`], seen in the registry. Two of them → [`Artifact`], a manifest.
//! - [`Client::tagged`], [`Client::push_manifest`]: what a tag points to, and [`Artifact`] → the tag.
//! - [`Client::log_in`]: whether [`Credentials`] are taken, which is what a Docker `config.json` says about a registry,
//!   helpers included. [`LoginFile`]: the same file, being written.
//! - [`TrustedRealms`]: which token servers may see a password.
//!
//! # What this crate refuses
//! It sends a password to no token server that is not the registry's own or listed, and an `Authorization` to no other
//! origin than the one it was made for. It takes manifests from the registry's own origin only, none in which a key
//! stands twice, and blobs over https from wherever the registry keeps them; what it writes goes to that origin only,
//! and is never redirected. It speaks plain http to loopback, and to places that `registries.conf` calls insecure: no
//! login goes there, and no certificate is left unchecked for them. It writes no manifest whose blobs the registry has
//! not shown afterwards, and none larger than readers take. What a registry says gets into errors on one line and bounded, and not at all where it repeats a
//! secret. It sends nothing once patience has ended. It retries nothing, and decides nothing about which sources are
//! allowed and which tags may move. A pulled blob's bytes are checked by whoever stores them: against
//! [`Descriptor::digest`] and size.

mod artifact;
mod auth;
mod challenge;
mod client;
mod conversation;
mod credentials;
mod docker_hub;
mod error;
mod few;
mod hint;
mod login_file;
mod manifest;
mod object;
mod plugin_folders;
mod push;
mod registries;
mod scope;
mod token;
mod toml_depth;
mod turn;
mod unambiguous;
mod words;

pub use artifact::Artifact;
pub use auth::TrustedRealms;
pub use client::{AnswerLimits, Client, Resolved};
pub use credentials::{CredentialHelper, Credentials, CredentialsError, HelperError};
pub use error::{Failure, Login, OciError, blame_of};
pub use login_file::{LoginFile, LoginPlace, Removed};
pub use manifest::{Descriptor, LayerKind, Layers, Platform};
pub use push::{Blob, BlobDescriptor, How, PushOptions, Stored};
pub use registries::{Answered, Registries, RegistriesError};
