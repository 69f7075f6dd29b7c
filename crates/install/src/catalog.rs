//! Catalog index images: which plugins a distribution lists by default, and the entities that describe plugins.
//!
//! An index is asked for once. What it said is remembered on the plugin root, and serves when it cannot be asked; one that
//! is named by its digest is not asked again at all.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use config::MAX_CONFIG_BYTES;
use fetch::{FetchError, Fetcher, Located, Spool, Waiting};
use integrity::{Blame, Mismatch, Promise};
use serde::{Deserialize, Serialize};
use source::{Allowed, Source};
use tarball::{Dir, EntryPath, FileMode, Kind, Limits, Record, UnpackError, Written, extract};
use transport::Stop;

use crate::Chain;
use crate::replace::replace;
use crate::staging::open_or_make;

/// The list that an index brings, on top of its image.
const DEFAULTS: &str = "dynamic-plugins.default.yaml";
/// Where an image may have its entities; the first that is there counts.
const ENTITIES: [&str; 2] = ["catalog-entities/extensions", "catalog-entities/marketplace"];
/// The folder they are put into.
const ENTITIES_FOLDER: &str = "catalog-entities";
/// Says which image the entities beside it are of, or that it has none.
const ENTITIES_MARK: &str = ".catalog-entities.digest";
/// What follows the digest of an image that has none.
const NO_ENTITIES: &str = " none";
/// How folders that are being filled are named, and what they go on with.
const INCOMING: &str = ".incoming-";
/// Locked by whoever fills one.
const INCOMING_LOCK: &str = ".catalog-entities.lock";
/// The folder of what extra indexes bring.
const EXTRA: &str = "extra";
/// What is remembered, in the root.
const MEMORY: &str = ".butler-plugins.catalog";
/// Most bytes of it: the list may grow by escapes.
const MEMORY_LIMIT: u64 = 8 * MAX_CONFIG_BYTES as u64;
/// Most bytes of a mark.
const MARK_LIMIT: u64 = 256;
/// How often entities are put into a place that another installer was faster to take.
const TRIES: usize = 16;
/// How often a wish to stop is looked for while the network is asked.
const POLL: Duration = Duration::from_millis(20);

/// Where indexes are unpacked, and by whom they are had.
pub struct Catalog<'a> {
    /// Whoever fetches.
    pub fetcher: &'a Arc<Fetcher>,
    /// The folder that entities go to; it must exist.
    pub folder: &'a Path,
    /// What an archive may ask of us.
    pub limits: &'a Limits,
    /// Asked when the run is to end early.
    pub stop: &'a Stop,
    /// Told why a request is made again.
    pub waiting: &'a dyn Fn(String),
}

/// What an index says.
#[derive(Debug)]
#[non_exhaustive]
pub struct Index {
    /// Its list of plugins.
    pub defaults: Vec<u8>,
    /// Whether it has entities.
    pub entities: Entities,
    /// Why the index could not be asked; what it said the last time serves.
    pub stale: Option<FetchError>,
    /// What the root is to remember once the plugins of the list are visible; `None` where it does already.
    pub memory: Option<IndexMemory>,
}

/// Whether an index has entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entities {
    /// They are in the folder.
    There,
    /// It has none.
    None,
}

/// An index that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// It cannot be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Its bytes are others than its manifest says.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// Its archive does not pass.
    #[error("failed to unpack the catalog index `{image}`")]
    Unpack {
        /// The image.
        image: String,
        /// Why.
        source: UnpackError,
    },
    /// It has no list.
    #[error("`{DEFAULTS}` not found in `{image}`")]
    NoDefaults {
        /// The image.
        image: String,
    },
    /// What has the list's name is none.
    #[error("expected `{DEFAULTS}` in `{image}` to be a file of at most {MAX_CONFIG_BYTES} bytes, found {found}")]
    NoList {
        /// The image.
        image: String,
        /// What is there.
        found: &'static str,
    },
    /// A folder cannot be worked on.
    #[error("failed to {act} for the catalog index `{image}`")]
    Host {
        /// What was attempted.
        act: &'static str,
        /// The image.
        image: String,
        /// Why not.
        source: io::Error,
    },
}

impl CatalogError {
    /// The reason code of the audit log.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Fetch(error) => error.reason(),
            Self::Mismatch(error) => error.reason(),
            Self::Unpack { source, .. } => source.reason(),
            Self::NoDefaults { .. } | Self::NoList { .. } => "catalog_index_invalid",
            Self::Host { .. } => "io_error",
        }
    }

    /// Whose move it is.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Fetch(error) => error.blame(),
            Self::Mismatch(error) => error.blame(),
            Self::Unpack { source, .. } => source.blame(),
            Self::NoDefaults { .. } => Blame::Operator,
            Self::NoList { .. } => Blame::Publisher,
            Self::Host { .. } => Blame::Host,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Fetch(error) => error.hint(),
            Self::Unpack { source, .. } => source.hint(),
            Self::NoDefaults { .. } => {
                Some("`CATALOG_INDEX_IMAGE` must name a catalog index, not a plugin's image".to_owned())
            }
            Self::NoList { .. } => Some("name another version of the index with `CATALOG_INDEX_IMAGE`".to_owned()),
            Self::Mismatch(_) | Self::Host { .. } => None,
        }
    }
}

/// What is remembered of the primary index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexMemory {
    image: String,
    digest: String,
    defaults: String,
}

impl IndexMemory {
    /// Puts it into a root that is locked, in the place of what is remembered there. What a run left that was killed here
    /// goes.
    pub(crate) fn keep(&self, root: &Dir) -> io::Result<()> {
        for entry in root.entries()? {
            let (name, kind) = entry?;
            let rest = name.as_bytes().strip_prefix(MEMORY.as_bytes());
            if kind == Kind::File && rest.is_some_and(|rest| rest.starts_with(b".")) {
                root.remove_file(name)?;
            }
        }
        replace(root, MEMORY, &serde_json::to_vec(self)?)
    }
}

impl Catalog<'_> {
    /// Has the index that says which plugins there are by default, or what `root` remembers of it.
    ///
    /// # Errors
    /// When it cannot be had and nothing is remembered of it, or when it is no index.
    pub fn primary(&self, source: &Allowed<Source>, root: &Path) -> Result<Index, CatalogError> {
        let image = source.subject().to_string();
        let host = |act| host(act, &image);
        let folder = Dir::open(self.folder).map_err(host("open the folder of entities"))?;
        let root = match Dir::open(root) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            opened => Some(opened.map_err(host("open the plugin root"))?),
        };
        let memory = root.as_ref().and_then(recall).filter(|memory| memory.image == image);
        let serves = |memory: IndexMemory, stale| {
            let entities = unpacked(&folder, &memory.digest).unwrap_or(Entities::None);
            Index { defaults: memory.defaults.into_bytes(), entities, stale, memory: None }
        };
        let is_unpacked = |memory: &IndexMemory| unpacked(&folder, &memory.digest).is_some();
        let is_fixed = pinned(source).is_some();
        let memory = match memory {
            Some(memory) if is_fixed && is_unpacked(&memory) => return Ok(serves(memory, None)),
            memory => memory,
        };
        let located = match (self.locate(source)?, memory) {
            (Ok(located), Some(memory)) if digest_of(&located) == memory.digest && is_unpacked(&memory) => {
                return Ok(serves(memory, None));
            }
            (Ok(located), _) => located,
            (Err(why), Some(memory)) if !self.stop.is_asked() => return Ok(serves(memory, Some(why))),
            (Err(why), _) => return Err(why.into()),
        };
        let digest = digest_of(&located);
        let (defaults, entities) = self.renew(located, &image, &folder, |incoming| read_list(incoming, &image))?;
        // A list that is no text is told by whoever reads it, and not remembered.
        let text = String::from_utf8(defaults.clone()).ok();
        let memory = text.map(|defaults| IndexMemory { image: image.clone(), digest, defaults });
        Ok(Index { defaults, entities, stale: None, memory })
    }

    /// Has the entities of another index; they go to a folder of that name.
    ///
    /// # Errors
    /// When it cannot be had.
    pub fn extra(&self, source: &Allowed<Source>, name: &str) -> Result<Entities, CatalogError> {
        let image = source.subject().to_string();
        let host = |act| host(act, &image);
        let all = Dir::open(self.folder).map_err(host("open the folder of entities"))?;
        let opened = open_or_make(&all, EXTRA).and_then(|extra| open_or_make(&extra, name));
        let folder = opened.map_err(host("make a folder"))?;
        if let Some(entities) = pinned(source).and_then(|digest| unpacked(&folder, &digest)) {
            return Ok(entities);
        }
        let located = self.locate(source)??;
        if let Some(entities) = unpacked(&folder, &digest_of(&located)) {
            return Ok(entities);
        }
        self.renew(located, &image, &folder, |_| Ok(())).map(|((), entities)| entities)
    }

    /// Fetches an image, looks at what is in it, and puts its entities in the place of those that are there.
    fn renew<T>(
        &self,
        located: Located,
        image: &str,
        folder: &Dir,
        look: impl FnOnce(&Dir) -> Result<T, CatalogError>,
    ) -> Result<(T, Entities), CatalogError> {
        let host = |act| host(act, image);
        let mut mark = digest_of(&located);
        let incoming = Incoming::make(folder).map_err(host("make a folder"))?;
        self.unpack(located, image, &incoming.dir, folder)?;
        let seen = look(&incoming.dir)?;
        let entities = incoming.bring().map_err(host("put the entities in place"))?;
        if entities == Entities::None {
            mark.push_str(NO_ENTITIES);
        }
        replace(folder, ENTITIES_MARK, mark.as_bytes()).map_err(host("mark the entities"))?;
        Ok((seen, entities))
    }

    fn locate(&self, source: &Allowed<Source>) -> Result<Result<Located, FetchError>, CatalogError> {
        let image = source.subject().to_string();
        let source = source.clone();
        self.ask(&image, move |fetcher, stop, waiting| fetcher.locate_image(&source, stop, waiting))
    }

    /// Asks the network on a thread of its own: one that waits for an answer hears no wish to stop, and is left behind.
    fn ask<T: Send + 'static>(
        &self,
        image: &str,
        act: impl FnOnce(&Fetcher, &Stop, &Waiting<'_>) -> Result<T, FetchError> + Send + 'static,
    ) -> Result<Result<T, FetchError>, CatalogError> {
        let (fetcher, stop) = (Arc::clone(self.fetcher), self.stop.clone());
        let (sender, words) = channel();
        let asking = std::thread::Builder::new().spawn(move || {
            // Nobody listens any more once it was left behind.
            let tell = |error: &FetchError, _: Duration| drop(sender.send(Word::Waiting(Chain(error).to_string())));
            let answer = act(&fetcher, &stop, &tell);
            drop(sender.send(Word::Answer(Box::new(answer))));
        });
        asking.map_err(host("start a thread", image))?;
        loop {
            match words.recv_timeout(POLL) {
                Ok(Word::Waiting(why)) => (self.waiting)(why),
                Ok(Word::Answer(answer)) => return Ok(*answer),
                Err(RecvTimeoutError::Timeout) if !self.stop.is_asked() => {}
                Err(RecvTimeoutError::Timeout) => {
                    return Ok(Err(FetchError::Stopped { package: image.to_owned() }));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(host("hear of a thread", image)(io::ErrorKind::Other.into()));
                }
            }
        }
    }

    fn unpack(&self, located: Located, image: &str, into: &Dir, spools: &Dir) -> Result<(), CatalogError> {
        let promise = Promise::Registry;
        let spools = spools.try_clone().map_err(host("open a folder", image))?;
        let fetched = self.ask(image, move |fetcher, stop, waiting| {
            let spool = || spools.unnamed_file().map(Spool::new);
            fetcher.fetch_located(located, &Promise::Registry, &spool, stop, waiting)
        })??;
        let mut layers = fetched.verify(&promise)?;
        let unpack = |source| CatalogError::Unpack { image: image.to_owned(), source };
        let wanted = [DEFAULTS, ENTITIES[0], ENTITIES[1]].map(|path| EntryPath::parse(path.as_bytes(), self.limits));
        let wanted = wanted.into_iter().collect::<Result<Vec<_>, _>>();
        let wanted = wanted.map_err(|error| host("look", image)(io::Error::other(error)))?;
        // What was there is seen when it is looked for.
        extract(&mut layers, &wanted, into, self.limits, &mut Watch(self.stop)).map(drop).map_err(unpack)
    }
}

/// What is heard from whoever asks the network.
enum Word<T> {
    /// A request failed for this reason, and is made again.
    Waiting(String),
    Answer(Box<Result<T, FetchError>>),
}

/// A folder that is being filled, and that goes when it is done with.
struct Incoming<'a> {
    parent: &'a Dir,
    name: String,
    dir: Dir,
    _lock: File,
}

impl<'a> Incoming<'a> {
    /// Makes one, and removes what killed runs left where nobody else is filling any. Where there are no locks it stays.
    fn make(parent: &'a Dir) -> io::Result<Self> {
        let lock = parent.open_or_create_file(INCOMING_LOCK, FileMode::Plain)?;
        if lock.try_lock().is_ok() {
            for entry in parent.entries()?.collect::<io::Result<Vec<_>>>()? {
                if entry.0.as_bytes().starts_with(INCOMING.as_bytes()) {
                    parent.remove_tree(entry.0)?;
                }
            }
        }
        // At once, unless somebody is removing just now.
        drop(lock.lock_shared());
        let name = format!("{INCOMING}{:016x}", RandomState::new().build_hasher().finish());
        let dir = parent.create_dir(&name)?;
        Ok(Self { parent, name, dir, _lock: lock })
    }

    /// Puts the entities into their place, whole; those that are there go.
    fn bring(&self) -> io::Result<Entities> {
        for path in ENTITIES {
            let (above, own) = path.split_once('/').unwrap_or(("", path));
            let Ok(above) = self.dir.open_dir(above) else { continue };
            if above.kind(own)? != Some(Kind::Directory) {
                continue;
            }
            self.put(&above, own)?;
            return Ok(Entities::There);
        }
        self.clear_place(0)?;
        Ok(Entities::None)
    }

    /// Another installer may put its own there meanwhile, which then give way in turn.
    fn put(&self, above: &Dir, own: &str) -> io::Result<()> {
        let mut put = Ok(());
        for number in 0..TRIES {
            // In one step where the file system can, so that a reader finds the old ones or the new ones.
            put = above.exchange(own, self.parent, ENTITIES_FOLDER).or_else(|_| {
                self.clear_place(number)?;
                above.rename(own, self.parent, ENTITIES_FOLDER)
            });
            match &put {
                Err(error) if matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists) => {}
                _ => break,
            }
        }
        put
    }

    fn clear_place(&self, number: usize) -> io::Result<()> {
        match self.parent.rename(ENTITIES_FOLDER, &self.dir, format!("before-{number}")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            cleared => cleared,
        }
    }
}

impl Drop for Incoming<'_> {
    fn drop(&mut self) {
        // What stays has a name that no later run takes.
        drop(self.parent.remove_tree(&self.name));
    }
}

/// Looks for a wish to stop.
struct Watch<'a>(&'a Stop);

impl Record for Watch<'_> {
    fn written(&mut self, _: &Written<'_>) -> io::Result<()> {
        Ok(())
    }

    fn stopped(&self) -> bool {
        self.0.is_asked()
    }
}

fn host<'a>(act: &'static str, image: &'a str) -> impl Fn(io::Error) -> CatalogError + 'a {
    move |source| CatalogError::Host { act, image: image.to_owned(), source }
}

/// The digest of an image's manifest; what is no image has none.
fn digest_of(located: &Located) -> String {
    located.manifest().map(ToString::to_string).unwrap_or_default()
}

/// The digest that a reference names.
fn pinned(source: &Allowed<Source>) -> Option<String> {
    match source.subject() {
        Source::Oci(reference) => reference.digest().map(ToString::to_string),
        _ => None,
    }
}

/// What is remembered; what cannot be read is as good as nothing.
fn recall(root: &Dir) -> Option<IndexMemory> {
    serde_json::from_slice(&read(root, MEMORY, MEMORY_LIMIT).ok()??).ok()
}

/// What is in a folder of the image of this digest; `None` when it has to be unpacked.
fn unpacked(folder: &Dir, digest: &str) -> Option<Entities> {
    let mark = String::from_utf8(read(folder, ENTITIES_MARK, MARK_LIMIT).ok()??).ok()?;
    match mark.strip_prefix(digest)? {
        "" if folder.kind(ENTITIES_FOLDER).is_ok_and(|kind| kind == Some(Kind::Directory)) => Some(Entities::There),
        NO_ENTITIES => Some(Entities::None),
        _ => None,
    }
}

/// The list that an image brings.
fn read_list(incoming: &Dir, image: &str) -> Result<Vec<u8>, CatalogError> {
    let image = || image.to_owned();
    let found = match read(incoming, DEFAULTS, MAX_CONFIG_BYTES as u64) {
        Ok(Some(bytes)) => return Ok(bytes),
        Ok(None) => return Err(CatalogError::NoDefaults { image: image() }),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => "a longer one",
        // What is no file does not open as one.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => "a folder",
        Err(source) => return Err(CatalogError::Host { act: "read the list", image: image(), source }),
    };
    Err(CatalogError::NoList { image: image(), found })
}

/// Reads a file of at most `limit` bytes; `None` when there is none.
fn read(dir: &Dir, name: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match dir.open_file(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(Some(bytes)) }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test works with paths")]
mod tests;
