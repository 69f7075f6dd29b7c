//! Unpacks hostile archives, and packs reproducible ones, through a directory handle.
//!
//! ```no_run
//! use std::{fs::File, io, path::Path};
//! use integrity::Verified;
//! use tarball::{Dir, Layout, Limits, Record, Written, unpack};
//!
//! struct Names(Vec<String>);
//!
//! impl Record for Names {
//!     fn written(&mut self, entry: &Written<'_>) -> io::Result<()> {
//!         self.0.push(entry.path.to_owned());
//!         Ok(())
//!     }
//! }
//!
//! # fn stage(mut artifact: Verified<File>) -> Result<(), Box<dyn std::error::Error>> {
//! let into = Dir::open(Path::new("/dynamic-plugins-root"))?.create_dir("staged")?;
//! let mut names = Names(Vec::new());
//! let plugin = unpack(&mut artifact, &Layout::Package, &into, &Limits::default(), &mut names)?;
//! let folder = plugin.manifest().name().destination(); // `@acme/x` goes to `acme-x-dynamic`
//! # drop(folder);
//! # Ok(())
//! # }
//! ```
//!
//! ```
//! use std::{num::NonZeroUsize, path::Path};
//! use tarball::{Dir, Folder, Limits, Packing, SecretFiles, pack};
//!
//! # fn publish(dist_dynamic: &Path) -> Result<(), Box<dyn std::error::Error>> {
//! let limits = Limits::default();
//! let plugin = Folder::open(Dir::open(dist_dynamic)?, "package", &limits)?;
//! let packing = Packing { limits, secret_files: SecretFiles::Refuse, threads: NonZeroUsize::MIN };
//! let packed = pack(&[plugin], Vec::new(), &packing)?;
//! let pin = packed.integrity(); // the same on every machine
//! # drop(pin);
//! # Ok(())
//! # }
//! ```
//!
//! - [`Dir`]: an open directory, and all that is done to file systems: one name at a time, no link followed.
//! - [`Tree`]: the directories below one, by path, with a bounded number of handles.
//! - [`EntryPath`]: a name from an archive that is harmless text within [`Limits`].
//! - `Verified` artifact, [`Layout`] → [`unpack`] → [`Unpacked`] with its [`Manifest`]; [`Record`] is told each
//!   [`Written`] file with its digest. [`unpack_layers`] is the same for an image of several layers, and [`extract`] →
//!   [`Extracted`] for parts of one that is no plugin.
//! - [`Folder`] → [`pack`] → [`Packed`]: the walk through the whole tree comes before the first byte; [`Offences`] are
//!   all that stood in the way. [`inspect`] is the walk alone → [`Inspected`].
//! - [`PackageName`], or a folder of an image → [`Destination`]: the one folder a plugin may go to.
//!
//! # What this crate refuses
//! It takes no bytes that nobody vouched for, and skips no entry: an archive is unpacked as a whole or rejected. It
//! makes no choice where two readers could disagree: one gzip member, one extension header for an entry, one size,
//! zeros after the end. It makes no devices, sparse files, setuid bits or links that leave the plugin. It packs nothing
//! that it would not unpack, no secrets unless told to, and nothing of the machine: no times, owners, or order of a
//! directory. It knows no network, and no path but the one of the root.

mod destination;
mod dir;
mod entry_path;
mod error;
mod expand;
mod folder;
mod gzip;
mod header;
mod inflate;
mod layers;
mod layout;
mod limits;
mod links;
mod manifest;
mod named;
mod pack;
mod pack_error;
mod package_name;
mod pax;
mod reader;
mod remove;
mod secret_file;
mod shown;
mod status;
mod survey;
mod tree;
mod unpack;
mod unpacked;
mod walk;
mod whiteout;
mod writer;

pub use destination::{Destination, DestinationError};
pub use dir::{Dir, Entries, FileMode, Kind};
pub use entry_path::{EntryPath, EntryPathError};
pub use error::{Exceeded, Malformed, UnpackError, Unsafe};
pub use folder::Folder;
pub use layout::Layout;
pub use limits::Limits;
pub use manifest::{Manifest, ManifestError, read_manifest};
pub use pack::{Inspected, Packed, Packing, SecretFiles, inspect, pack};
pub use pack_error::{Offence, Offences, PackError};
pub use package_name::{PackageName, PackageNameError};
pub use secret_file::Secret;
pub use tree::Tree;
pub use unpack::{extract, unpack, unpack_layers};
pub use unpacked::{Content, Extracted, Record, Unpacked, Written};
