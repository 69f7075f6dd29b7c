//! What was promised about an artifact's bytes, and the proof that they keep the promise.
//!
//! ```
//! use std::io::{Cursor, Write};
//! use integrity::{HashingWriter, Integrity};
//!
//! let pinned = Integrity::parse(
//!     "sha512-m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==",
//! )?;
//! let mut spool = HashingWriter::new(Cursor::new(Vec::new()));
//! spool.write_all(b"hello")?;
//! let artifact = spool.finish().verify(&pinned)?; // only now can the bytes be read
//! # drop(artifact);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`Integrity`]: one strict `sha512-…` value as an operator pins it.
//! - [`Hashes`]: SRI as npm has it, several hashes of three algorithms. [`Promise`]: what bytes must be, by pin, by
//!   registry, or by nobody ([`Danger`]).
//! - [`OciDigest`]: `sha256:…` or `sha512:…` as registries name content.
//! - [`HashingWriter`] → [`Hashed`] → [`Verified`]: bytes being written, bytes written but unreadable, bytes that may
//!   be read because they are the promised ones. [`Evidence`] says who vouched.
//! - [`DigestWriter`]: the digest of bytes that nobody pins.
//! - [`Blame`]: whose move it is when something fails. [`Chain`]: what failed and why, on one line.
//!
//! # What this crate refuses
//! [`Integrity`] accepts no algorithm weaker than sha512 and no list of hashes, [`Hashes`] nothing weaker than sha256,
//! and neither sloppy base64. The crate opens no file and makes no request.

mod blame;
mod chain;
mod digest;
mod hashes;
mod promise;
mod sri;
mod stream;

pub use blame::Blame;
pub use chain::Chain;
pub use digest::{Algorithm, OciDigest, OciDigestError, Sha256};
pub use hashes::{HashAlgorithm, Hashes, HashesError};
pub use promise::{Danger, Promise};
pub use sri::{Integrity, IntegrityError, Malformed};
pub use stream::{DigestWriter, Evidence, Hashed, HashingWriter, Mismatch, Verified};
