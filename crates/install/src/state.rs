//! What we know about the root: `.butler-plugins.state`, one JSON record a line.
//!
//! A header, then each plugin followed by its files and links, then an end record with their number and the SHA-256 of
//! all that stands before it. The file is written whole beside its place, synced, and renamed; it is read as a stream,
//! because the files of all plugins together have no bound that memory should follow. While a commit is under way, the
//! header says so, and the plugins stand in the state that is to follow, in the staging folder.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use integrity::{DigestWriter, Sha256};
use serde::{Deserialize, Serialize};
use tarball::{Content, Destination, Dir, FileMode, Written};

use crate::staging::{STAGING, run_folder};

/// The file's name in the root.
pub(crate) const STATE: &str = ".butler-plugins.state";
/// The state after a commit, before it counts: its name in the run's staging folder.
pub(crate) const SETTLED: &str = "state.settled";
/// The version of the format.
const FORMAT: u32 = 2;
/// Longest record, in bytes. Paths are at most 1 KiB, sources at most 8 KiB.
const LINE_LIMIT: u64 = 64 * 1024;
/// Longest record of a commit: it names all plugins that it puts or removes.
const INTENT_LIMIT: u64 = 16 * 1024 * 1024;
/// Most bytes of all plugins' records, which are held in memory; those of a plan of 4 MiB are shorter.
const RECORDS_LIMIT: usize = 32 * 1024 * 1024;
/// Most plugins read back; a plan of 4 MiB cannot name more.
const PLUGIN_LIMIT: usize = 100_000;

/// What the file begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) format: u32,
    /// The version of the program that wrote it.
    pub(crate) installer: String,
    /// When, in seconds since the epoch.
    pub(crate) written: u64,
    /// The digest of the app-config that was written with it, as `sha256:` and hex.
    pub(crate) app_config: Option<String>,
    /// Present while a commit is under way.
    pub(crate) commit: Option<Intent>,
}

/// A commit that was begun. Nothing in it is taken for a path: folders are named by numbers and by what may be a plugin's
/// folder in the root, and whoever wrote the file can name no other ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intent {
    /// The run whose staging folder holds what is moved.
    pub(crate) run: u64,
    /// What is made visible.
    pub(crate) put: Vec<Move>,
    /// What goes away.
    pub(crate) remove: Vec<Removal>,
}

/// A plugin on its way from the run's folder to its destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Move {
    /// Its number in the run's folder.
    pub(crate) staged: usize,
    #[serde(with = "folder")]
    pub(crate) dest: Destination,
}

/// A plugin on its way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Removal {
    #[serde(with = "folder")]
    pub(crate) dest: Destination,
    /// The name in its `package.json`, if that is known: another plugin in its place stays.
    pub(crate) name: Option<String>,
}

/// One installed plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PluginRecord {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Its folder's name in the root, which is proved when a state is read.
    pub(crate) dest: String,
    /// As shown in logs: without query.
    pub(crate) source: String,
    pub(crate) integrity: String,
    /// The digest of the registry's manifest that led to the artifact, if it came from one.
    pub(crate) manifest: Option<String>,
    /// The version of the program that installed it.
    pub(crate) installer: String,
    /// When, in seconds since the epoch.
    pub(crate) installed: u64,
    /// Whether a run has waited until all of it was on stable storage.
    pub(crate) synced: bool,
    /// How many files and symlinks it has.
    pub(crate) files: u64,
    /// How many folders, its own not counted.
    pub(crate) folders: u64,
}

/// One file or symlink of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileRecord<'a> {
    pub(crate) path: Cow<'a, str>,
    pub(crate) content: ContentRecord<'a>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ContentRecord<'a> {
    Regular { len: u64, sha256: Sha256, executable: bool },
    Symlink { target: Cow<'a, str> },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<'a> {
    Header(Header),
    Plugin(PluginRecord),
    File {
        #[serde(borrow)]
        path: Cow<'a, str>,
        len: u64,
        #[serde(with = "hex")]
        sha256: Sha256,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        executable: bool,
    },
    Link {
        #[serde(borrow)]
        path: Cow<'a, str>,
        #[serde(borrow)]
        target: Cow<'a, str>,
    },
    End {
        plugins: usize,
        #[serde(with = "hex")]
        sha256: Sha256,
    },
}

/// The state of the root, its plugins in memory and their files still on disk.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) header: Header,
    pub(crate) plugins: Vec<Known>,
}

/// A plugin of the state, and where its files are listed.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) record: PluginRecord,
    lists: Arc<File>,
    offset: u64,
}

impl Header {
    pub(crate) fn new(installer: &str, written: u64, app_config: Option<String>, commit: Option<Intent>) -> Self {
        Self { format: FORMAT, installer: installer.to_owned(), written, app_config, commit }
    }
}

impl PluginRecord {
    /// Its folder in the root.
    pub(crate) fn destination(&self) -> io::Result<Destination> {
        Destination::parse(&self.dest).map_err(|_| malformed())
    }
}

impl<'a> FileRecord<'a> {
    pub(crate) fn of(written: &Written<'a>) -> Self {
        let content = match written.content {
            Content::Regular { len, sha256, mode } => {
                ContentRecord::Regular { len, sha256, executable: mode == FileMode::Executable }
            }
            Content::Symlink { target } => ContentRecord::Symlink { target: target.into() },
        };
        Self { path: written.path.into(), content }
    }

    /// Writes the record as a line of its own.
    pub(crate) fn write(self, out: &mut impl Write) -> io::Result<()> {
        let path = self.path;
        let line = match self.content {
            ContentRecord::Regular { len, sha256, executable } => Line::File { path, len, sha256, executable },
            ContentRecord::Symlink { target } => Line::Link { path, target },
        };
        write_line(out, &line)
    }
}

impl State {
    /// Reads the state of a root; `None` when there is none, or none that is whole.
    ///
    /// A torn or foreign file is as good as none: what it listed is then adopted or left alone, never trusted. So is the
    /// beginning of a commit without the state that was to follow.
    pub(crate) fn read(root: &Dir) -> io::Result<Option<Self>> {
        let Some(state) = Self::read_one(root, STATE)? else { return Ok(None) };
        let Some(intent) = &state.header.commit else { return Ok(Some(state)) };
        let Some(staging) = existing(root.open_dir(STAGING))? else { return Ok(None) };
        let Some(run) = existing(staging.open_dir(run_folder(intent.run)))? else { return Ok(None) };
        let settled = Self::read_one(&run, SETTLED)?;
        Ok(settled.map(|settled| Self { plugins: settled.plugins, ..state }))
    }

    /// The beginning of a commit, whatever became of the rest.
    pub(crate) fn intent(root: &Dir) -> io::Result<Option<Intent>> {
        Ok(Self::read_one(root, STATE)?.and_then(|state| state.header.commit))
    }

    fn read_one(dir: &Dir, name: &str) -> io::Result<Option<Self>> {
        let Some(file) = existing(dir.open_file(name))? else { return Ok(None) };
        match Self::parse(&Arc::new(file)) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
            read => read.map(Some),
        }
    }

    fn parse(file: &Arc<File>) -> io::Result<Self> {
        let mut lines = Lines::new(file, 0);
        let mut hash = DigestWriter::new(io::sink());
        let first = lines.next(INTENT_LIMIT)?;
        hash.write_all(first)?;
        let Some(Line::Header(header)) = Line::parse(first)? else { return Err(malformed()) };
        if header.format != FORMAT {
            return Err(malformed());
        }
        let mut plugins: Vec<Known> = Vec::new();
        let (mut files_left, mut records_left) = (0, RECORDS_LIMIT);
        loop {
            let line = lines.next(LINE_LIMIT)?;
            if files_left > 0 && Line::is_of_file(line) {
                files_left -= 1;
                hash.write_all(line)?;
                continue;
            }
            match Line::parse(line)? {
                Some(Line::Plugin(record)) if files_left == 0 && plugins.len() < PLUGIN_LIMIT => {
                    record.destination()?;
                    records_left = records_left.checked_sub(line.len()).ok_or_else(malformed)?;
                    hash.write_all(line)?;
                    files_left = record.files;
                    plugins.push(Known { record, lists: Arc::clone(file), offset: lines.offset });
                }
                Some(Line::End { plugins: count, sha256 }) if files_left == 0 && count == plugins.len() => {
                    return if sha256 == hash.finish() { Ok(Self { header, plugins }) } else { Err(malformed()) };
                }
                _ => return Err(malformed()),
            }
        }
    }
}

/// What is not there, or is no file or folder, is none.
fn existing<T>(opened: io::Result<T>) -> io::Result<Option<T>> {
    use io::ErrorKind as Kind;
    match opened {
        Err(error) if matches!(error.kind(), Kind::NotFound | Kind::NotADirectory | Kind::InvalidInput) => Ok(None),
        opened => opened.map(Some),
    }
}

impl Known {
    /// Reads the plugin's files, one after the other.
    pub(crate) fn files(&self) -> Files {
        Files { lines: Lines::new(&self.lists, self.offset), left: self.record.files }
    }
}

/// The files of one plugin, as recorded.
pub(crate) struct Files {
    lines: Lines,
    left: u64,
}

impl Files {
    pub(crate) fn next(&mut self) -> io::Result<Option<FileRecord<'_>>> {
        let content = match Line::parse(self.next_line()?)? {
            None => return Ok(None),
            Some(Line::File { path, len, sha256, executable }) => {
                (path, ContentRecord::Regular { len, sha256, executable })
            }
            Some(Line::Link { path, target }) => (path, ContentRecord::Symlink { target }),
            Some(_) => return Err(malformed()),
        };
        let (path, content) = content;
        Ok(Some(FileRecord { path, content }))
    }

    /// The next line as it stands; empty after the last one.
    fn next_line(&mut self) -> io::Result<&[u8]> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(&[]) };
        self.left = left;
        self.lines.next(LINE_LIMIT)
    }
}

/// Writes a state file: plugins one after the other, each with its files copied from where they are listed.
pub(crate) struct StateWriter<W: Write> {
    out: DigestWriter<W>,
    plugins: usize,
}

impl<W: Write> StateWriter<W> {
    pub(crate) fn begin(out: W, header: Header) -> io::Result<Self> {
        let mut out = DigestWriter::new(out);
        write_line(&mut out, &Line::Header(header))?;
        Ok(Self { out, plugins: 0 })
    }

    /// Adds a plugin; `files` gives its lines as [`FileRecord::write`] made them.
    pub(crate) fn plugin(&mut self, record: PluginRecord, files: &mut impl Read) -> io::Result<()> {
        self.begin_plugin(record)?;
        io::copy(files, &mut self.out).map(drop)
    }

    /// Adds a plugin whose files an earlier state lists.
    pub(crate) fn known(&mut self, known: &Known) -> io::Result<()> {
        self.begin_plugin(known.record.clone())?;
        let mut files = known.files();
        loop {
            match files.next_line()? {
                [] => return Ok(()),
                line => self.out.write_all(line)?,
            }
        }
    }

    fn begin_plugin(&mut self, record: PluginRecord) -> io::Result<()> {
        self.plugins += 1;
        write_line(&mut self.out, &Line::Plugin(record))
    }

    pub(crate) fn end(self) -> io::Result<W> {
        let (mut out, sha256) = self.out.into_parts();
        write_line(&mut out, &Line::End { plugins: self.plugins, sha256 })?;
        out.flush()?;
        Ok(out)
    }
}

impl<'a> Line<'a> {
    /// Reads a line with its end; nothing is no line.
    fn parse(line: &'a [u8]) -> io::Result<Option<Self>> {
        match line.split_last() {
            None => Ok(None),
            Some((b'\n', json)) => serde_json::from_slice(json).map(Some).map_err(|_| malformed()),
            Some(_) => Err(malformed()),
        }
    }

    /// Whether it is about a file or symlink; those are only read when they are needed.
    fn is_of_file(line: &[u8]) -> bool {
        line.ends_with(b"\n") && (line.starts_with(b"{\"file\":") || line.starts_with(b"{\"link\":"))
    }
}

/// Lines of a file, each bounded.
struct Lines {
    reader: BufReader<At>,
    buffer: Vec<u8>,
    /// Where the next line begins.
    offset: u64,
}

/// A place in a file that others read as well.
struct At {
    file: Arc<File>,
    offset: u64,
}

impl Read for At {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(into, self.offset)?;
        self.offset += n as u64;
        Ok(n)
    }
}

impl Lines {
    fn new(file: &Arc<File>, offset: u64) -> Self {
        let at = At { file: Arc::clone(file), offset };
        Self { reader: BufReader::with_capacity(32 * 1024, at), buffer: Vec::new(), offset }
    }

    /// The next line with its end; empty after the last one.
    fn next(&mut self, limit: u64) -> io::Result<&[u8]> {
        self.buffer.clear();
        let n = self.reader.by_ref().take(limit).read_until(b'\n', &mut self.buffer)?;
        self.offset += n as u64;
        Ok(&self.buffer)
    }
}

fn write_line(out: &mut impl Write, line: &Line<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the state file is malformed")
}

/// Names of plugins' folders.
mod folder {
    use super::{Cow, Destination};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(dest: &Destination, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(dest.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Destination, D::Error> {
        Destination::parse(&Cow::<str>::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Digests as text.
mod hex {
    use super::{Cow, Sha256};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(sha256: &Sha256, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(sha256)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Sha256, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Sha256::parse_hex(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, files: u64) -> PluginRecord {
        PluginRecord {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            dest: format!("{name}-dynamic"),
            source: format!("oci://r.example.com/{name}:1"),
            integrity: "sha512-…".to_owned(),
            manifest: None,
            installer: "0.0.0".to_owned(),
            installed: 1,
            synced: false,
            files,
            folders: 1,
        }
    }

    fn files(count: usize) -> Vec<FileRecord<'static>> {
        let sha256 = Sha256::parse_hex(&"0a".repeat(32)).unwrap();
        let content = |n| match n {
            2 => ContentRecord::Symlink { target: "0\n.js".into() },
            n => ContentRecord::Regular { len: n as u64, sha256, executable: n % 2 == 0 },
        };
        (0..count).map(|n| FileRecord { path: format!("dist/{n}.js").into(), content: content(n) }).collect()
    }

    fn written() -> Vec<u8> {
        let mut writer = StateWriter::begin(Vec::new(), Header::new("0.0.0", 1, None, None)).unwrap();
        for (name, count) in [("a", 3), ("b", 0), ("c", 1)] {
            let mut lines = Vec::new();
            for file in files(count) {
                file.write(&mut lines).unwrap();
            }
            writer.plugin(record(name, count as u64), &mut lines.as_slice()).unwrap();
        }
        writer.end().unwrap()
    }

    /// A root that holds these bytes as its state.
    fn root(bytes: &[u8]) -> (tempfile::TempDir, Dir) {
        let folder = tempfile::tempdir().unwrap();
        let root = Dir::open(folder.path()).unwrap();
        root.create_file(STATE, FileMode::Plain).unwrap().write_all(bytes).unwrap();
        (folder, root)
    }

    fn read(bytes: &[u8]) -> Option<State> {
        State::read(&root(bytes).1).unwrap()
    }

    #[test]
    fn what_is_written_is_read_back_plugin_by_plugin() {
        let (_folder, root) = root(&written());
        let state = State::read(&root).unwrap().unwrap();
        let names: Vec<_> = state.plugins.iter().map(|known| known.record.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        for known in &state.plugins {
            let mut listed = known.files();
            for file in files(usize::try_from(known.record.files).unwrap()) {
                assert_eq!(listed.next().unwrap(), Some(file));
            }
            assert_eq!(listed.next().unwrap(), None);
        }
    }

    #[test]
    fn a_state_cut_at_any_byte_counts_as_none() {
        let whole = written();
        assert!(read(&whole).is_some());
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).is_none(), "cut at byte {end}");
        }
    }

    #[test]
    fn a_state_with_any_byte_changed_counts_as_none() {
        let whole = written();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            assert!(read(&bytes).is_none(), "byte {at}");
        }
    }

    #[test]
    fn plugins_of_one_state_are_copied_into_another_byte_by_byte() {
        let (_folder, root) = root(&written());
        let state = State::read(&root).unwrap().unwrap();
        let mut writer = StateWriter::begin(Vec::new(), state.header.clone()).unwrap();
        for known in &state.plugins {
            writer.known(known).unwrap();
        }
        assert_eq!(writer.end().unwrap(), written());
    }

    #[test]
    fn a_foreign_or_endless_file_counts_as_none() {
        let long = format!("{{\"header\":\"{}\"}}\n", "x".repeat(100_000));
        for bytes in [b"{}\n".as_slice(), b"\xff\xfe\n", b"{\"header\":{\"format\":2}}\n", long.as_bytes()] {
            assert!(read(bytes).is_none());
        }
    }
}
