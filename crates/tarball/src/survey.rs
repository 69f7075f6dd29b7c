//! The walk through a tree before anything of it is written: what is in it, in the order of the archive, all of it fit
//! to be packed.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;

use crate::dir::Kind;
use crate::entry_path::split;
use crate::error::Exceeded;
use crate::header::padding;
use crate::layout::below;
use crate::links::{self, LinkFault, Links};
use crate::pack_error::{Offence, Offences};
use crate::secret_file::{LOOKED_AT, Secret, Suspicion};
use crate::shown::shown;
use crate::status::Status;
use crate::tree::Tree;
use crate::writer::{self, Entry, FILE_MAX};
use crate::{Dir, EntryPath, Folder, PackError, Packing, SecretFiles, read_manifest};

/// What an archive will hold.
#[derive(Debug)]
pub(crate) struct Survey<'f> {
    pub(crate) folders: Vec<Surveyed<'f>>,
    /// Entries of the archive.
    pub(crate) entries: u64,
    /// Bytes of all files.
    pub(crate) files_len: u64,
    /// Bytes of the tar stream.
    pub(crate) tar_len: u64,
    /// Files with secrets, if they are allowed.
    pub(crate) secrets: Offences,
}

/// One folder of an archive.
#[derive(Debug)]
pub(crate) struct Surveyed<'f> {
    pub(crate) folder: &'f Folder,
    /// The folders above it that no folder before it has.
    pub(crate) above: Vec<&'f str>,
    /// What is in it: each folder before its content, names in the order of their bytes.
    pub(crate) items: Vec<Item>,
}

/// An entry below a folder. Its path is that of the last folder of less depth before it, and its name.
#[derive(Debug)]
pub(crate) struct Item {
    /// Folders between it and the top.
    pub(crate) depth: usize,
    pub(crate) name: Box<str>,
    pub(crate) content: ItemContent,
}

#[derive(Debug)]
pub(crate) enum ItemContent {
    Folder,
    File(Status),
    Symlink(Box<str>),
}

impl Item {
    pub(crate) fn entry(&self) -> Entry<'_> {
        match &self.content {
            ItemContent::Folder => Entry::Directory,
            ItemContent::File(status) => Entry::File { executable: status.executable(), len: status.len() },
            ItemContent::Symlink(target) => Entry::Symlink { target },
        }
    }
}

impl<'f> Survey<'f> {
    /// Walks all folders. Their order in the archive is that of their paths, whatever order they come in.
    pub(crate) fn of(folders: &'f [Folder], packing: &Packing) -> Result<Self, PackError> {
        let mut folders: Vec<&Folder> = folders.iter().collect();
        folders.sort_by_key(|folder| folder.top());
        if folders.is_empty() {
            return Err(PackError::NoFolder);
        }
        apart(&folders)?;
        let mut surveyor = Surveyor::new(packing);
        let surveyed = folders.into_iter().map(|folder| surveyor.folder(folder)).collect::<Result<_, _>>()?;
        if surveyor.offences.count() > 0 {
            return Err(PackError::Refused { offences: surveyor.offences });
        }
        if surveyor.tar_len > packing.limits.expanded {
            surveyor.exceeded.get_or_insert(Exceeded::Expanded { max: packing.limits.expanded });
        }
        match surveyor.exceeded {
            Some(exceeded) => Err(exceeded.into()),
            None => Ok(Self {
                folders: surveyed,
                entries: surveyor.entries,
                files_len: surveyor.files_len,
                tar_len: surveyor.tar_len,
                secrets: surveyor.secrets,
            }),
        }
    }
}

fn apart(folders: &[&Folder]) -> Result<(), PackError> {
    for (n, first) in folders.iter().enumerate() {
        // Sorted: a folder within another one comes after it.
        if let Some(second) = folders[n + 1..].iter().find(|second| below(first.top(), second.top()).is_some()) {
            let (first, second) = (shown(first.top().as_bytes()), shown(second.top().as_bytes()));
            return Err(PackError::Overlap { first, second });
        }
    }
    Ok(())
}

struct Surveyor<'p, 'f> {
    packing: &'p Packing,
    made: Vec<&'f str>,
    entries: u64,
    files_len: u64,
    tar_len: u64,
    offences: Offences,
    secrets: Offences,
    /// The first limit that was passed by something that the walk can go on after.
    exceeded: Option<Exceeded>,
    /// The file that is looked into.
    content: Vec<u8>,
}

impl<'p, 'f> Surveyor<'p, 'f> {
    fn new(packing: &'p Packing) -> Self {
        Self {
            packing,
            made: Vec::new(),
            entries: 0,
            files_len: 0,
            tar_len: writer::END.len() as u64,
            offences: Offences::default(),
            secrets: Offences::default(),
            exceeded: None,
            content: Vec::new(),
        }
    }

    fn folder(&mut self, folder: &'f Folder) -> Result<Surveyed<'f>, PackError> {
        let top = folder.top();
        let parents = top.match_indices('/').map(|(at, _)| &top[..at]);
        let above: Vec<_> = parents.filter(|path| !self.made.contains(path)).collect();
        for path in above.iter().copied().chain([top]) {
            self.count()?;
            self.add(path, Entry::Directory);
        }
        self.made.extend(&above);
        let items = self.walk(folder)?;
        // Read again after the walk noted what its file is like, so that the manifest shown is the one packed.
        if read_manifest(folder.dir(), &self.packing.limits)? != *folder.manifest() {
            return Err(PackError::changed(&format!("{top}/package.json")));
        }
        Ok(Surveyed { folder, above, items })
    }

    fn walk(&mut self, folder: &Folder) -> Result<Vec<Item>, PackError> {
        let mut tree = Tree::new(folder.dir());
        let mut trail = Trail::new(folder.top());
        let mut links = Links::default();
        let mut items = Vec::new();
        let mut pending = Vec::new();
        self.list(&mut tree, &trail, 0, &mut pending)?;
        while let Some((depth, name)) = pending.pop() {
            let Some(name) = self.name(&mut trail, depth, &name) else { continue };
            let Some(content) = self.content(&mut tree, &trail, &mut links)? else { continue };
            if matches!(content, ItemContent::Folder) {
                self.list(&mut tree, &trail, depth + 1, &mut pending)?;
            }
            let item = Item { depth, name, content };
            self.add(trail.path(), item.entry());
            items.push(item);
        }
        self.prove(&mut tree, &trail, &links)?;
        Ok(items)
    }

    /// Adds the names of the folder at the end of the trail, the first one last.
    fn list(
        &mut self,
        tree: &mut Tree<'_>,
        trail: &Trail,
        depth: usize,
        pending: &mut Vec<(usize, OsString)>,
    ) -> Result<(), PackError> {
        let failed = |source| PackError::host("list", trail.path(), source);
        let from = pending.len();
        for entry in tree.dir(trail.within()).and_then(Dir::entries).map_err(failed)? {
            let (name, _) = entry.map_err(failed)?;
            self.count()?;
            pending.push((depth, name));
        }
        pending[from..].sort_unstable_by(|a, b| b.cmp(a));
        Ok(())
    }

    /// Follows the trail to a name, if that is one which could be unpacked.
    fn name(&mut self, trail: &mut Trail, depth: usize, name: &OsStr) -> Option<Box<str>> {
        trail.back_to(depth);
        let path = [trail.path().as_bytes(), b"/", name.as_bytes()].concat();
        match EntryPath::parse(&path, &self.packing.limits) {
            Ok(path) => {
                let name = split(path.as_str()).1;
                trail.enter(name);
                Some(name.into())
            }
            Err(error) => {
                self.offences.add(&path, Offence::Name(error));
                None
            }
        }
    }

    /// What is at the end of the trail, if that can be packed.
    fn content(
        &mut self,
        tree: &mut Tree<'_>,
        trail: &Trail,
        links: &mut Links,
    ) -> Result<Option<ItemContent>, PackError> {
        let failed = |source| PackError::host("examine", trail.path(), source);
        let (parent, name) = split(trail.within());
        let dir = tree.dir(parent).map_err(failed)?;
        let status = dir.status(OsStr::new(name)).map_err(failed)?;
        let content = match status.kind() {
            Kind::Directory => ItemContent::Folder,
            Kind::Special => {
                self.offences.add(trail.path().as_bytes(), Offence::Special);
                return Ok(None);
            }
            Kind::File => {
                self.file(trail, &status);
                ItemContent::File(status)
            }
            Kind::Symlink => {
                let raw = dir.read_link(name).map_err(failed)?;
                match self.link(trail, raw.as_bytes(), links)? {
                    Some(target) => ItemContent::Symlink(target),
                    None => return Ok(None),
                }
            }
        };
        let Some(secret) = self.secret(tree, trail, &content)? else { return Ok(Some(content)) };
        let told = match self.packing.secret_files {
            SecretFiles::Refuse => &mut self.offences,
            SecretFiles::Allow => &mut self.secrets,
        };
        told.add(trail.path().as_bytes(), Offence::Secret(secret));
        // A refused repository is not walked: it may well pass a limit, and that would be all that is told.
        let refused = matches!((&content, self.packing.secret_files), (ItemContent::Folder, SecretFiles::Refuse));
        Ok((!refused).then_some(content))
    }

    fn file(&mut self, trail: &Trail, status: &Status) {
        let (len, max) = (status.len(), self.packing.limits.file.min(FILE_MAX));
        self.files_len = self.files_len.saturating_add(len);
        if len > max {
            let entry = shown(trail.path().as_bytes());
            self.exceeded.get_or_insert(Exceeded::File { entry, len, max });
        }
    }

    fn link(&mut self, trail: &Trail, raw: &[u8], links: &mut Links) -> Result<Option<Box<str>>, PackError> {
        let limits = &self.packing.limits;
        let target = links::target(raw, limits).and_then(|target| {
            // Who selects another plugin of the archive sees no more than the text of this link.
            links::stays_inside(trail.path(), target)?;
            links.defer(trail.within(), target, limits).map(|()| target)
        });
        match target {
            Ok(target) => Ok(Some(target.into())),
            Err(fault) => self.fault(trail.path(), fault).map(|()| None),
        }
    }

    fn prove(&mut self, tree: &mut Tree<'_>, trail: &Trail, all: &Links) -> Result<(), PackError> {
        let mut steps = 0;
        for link in all.iter() {
            if let Err(fault) = links::prove(tree, link, &self.packing.limits, &mut steps) {
                self.fault(&format!("{}/{}", trail.top(), link.path), fault)?;
            }
        }
        Ok(())
    }

    fn fault(&mut self, path: &str, fault: LinkFault) -> Result<(), PackError> {
        match fault {
            LinkFault::Text(error) => self.offences.add(path.as_bytes(), Offence::Name(error)),
            LinkFault::Unsafe(why) => self.offences.add(path.as_bytes(), Offence::Unsafe(why)),
            LinkFault::Exceeded(exceeded) => return Err(exceeded.into()),
            LinkFault::Io(source) => return Err(PackError::host("resolve", path, source)),
        }
        Ok(())
    }

    /// What is secret at the end of the trail.
    fn secret(
        &mut self,
        tree: &mut Tree<'_>,
        trail: &Trail,
        content: &ItemContent,
    ) -> Result<Option<Secret>, PackError> {
        match (content, Suspicion::of(trail.path())) {
            (_, Suspicion::Secret(Secret::History)) => Ok(Some(Secret::History)),
            (ItemContent::File(_) | ItemContent::Symlink(_), Suspicion::Secret(secret)) => Ok(Some(secret)),
            (ItemContent::File(_), Suspicion::IfContent(secret, says_so)) => {
                let failed = |source| PackError::host("read", trail.path(), source);
                let file = tree.open_file(trail.within()).map_err(failed)?;
                self.content.clear();
                file.take(LOOKED_AT).read_to_end(&mut self.content).map_err(failed)?;
                Ok(says_so(&self.content).then_some(secret))
            }
            (_, Suspicion::Harmless | Suspicion::Secret(_) | Suspicion::IfContent(..)) => Ok(None),
        }
    }

    fn count(&mut self) -> Result<(), PackError> {
        self.entries += 1;
        let max = self.packing.limits.entries;
        if self.entries > max { Err(Exceeded::Entries { max }.into()) } else { Ok(()) }
    }

    fn add(&mut self, path: &str, entry: Entry<'_>) {
        let payload = if let Entry::File { len, .. } = entry { len } else { 0 };
        let whole =
            (writer::headers(path, entry).len() as u64).saturating_add(payload).saturating_add(padding(payload));
        self.tar_len = self.tar_len.saturating_add(whole);
    }
}

/// The path of one entry after the other, told by depth and name.
#[derive(Debug)]
pub(crate) struct Trail {
    path: String,
    /// Where the path of the folder of each depth ends; the first is the top.
    ends: Vec<usize>,
}

impl Trail {
    pub(crate) fn new(top: &str) -> Self {
        Self { path: top.to_owned(), ends: vec![top.len()] }
    }

    /// Goes back to the folder in which entries have this depth.
    pub(crate) fn back_to(&mut self, depth: usize) {
        self.ends.truncate(depth + 1);
        self.path.truncate(self.ends.last().copied().unwrap_or_default());
    }

    pub(crate) fn enter(&mut self, name: &str) {
        self.path.push('/');
        self.path.push_str(name);
        self.ends.push(self.path.len());
    }

    pub(crate) fn top(&self) -> &str {
        &self.path[..self.ends[0]]
    }

    /// The path in the archive.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The path within the plugin, empty for its folder itself.
    pub(crate) fn within(&self) -> &str {
        self.path.get(self.ends[0] + 1..).unwrap_or_default()
    }
}
