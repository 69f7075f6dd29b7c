//! What we know about the root: `.butler-plugins.state`, one JSON record a line.
//!
//! A header, then each plugin followed by its files and links, then an end record with their number. The file is
//! written whole beside its place, synced, and renamed; it is read as a stream, because the files of all plugins
//! together have no bound that memory should follow.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};

use integrity::Sha256;
use serde::{Deserialize, Serialize};
use tarball::{Content, Dir, FileMode, Written};

/// The file's name in the root.
pub(crate) const STATE: &str = ".butler-plugins.state";
/// The version of the format.
const FORMAT: u32 = 1;
/// Longest record, in bytes. Paths are at most 1 KiB, sources at most 8 KiB.
const LINE_LIMIT: u64 = 64 * 1024;
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
    /// The digest of the app-config that was written with it, in hex.
    pub(crate) app_config: Option<String>,
    /// Present while a commit is under way.
    pub(crate) commit: Option<Intent>,
}

/// A commit that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intent {
    /// The folder in the staging folder.
    pub(crate) run: String,
    /// Destinations that go away.
    pub(crate) remove: Vec<String>,
}

/// One installed plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PluginRecord {
    pub(crate) name: String,
    pub(crate) version: String,
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
    pub(crate) files: u64,
    /// The folder it was staged in, while its commit is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) staged: Option<String>,
}

/// One file or symlink of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileRecord {
    pub(crate) path: String,
    pub(crate) content: ContentRecord,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ContentRecord {
    Sha256 { hex: String, len: u64, executable: bool },
    Target(String),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Header(Header),
    Plugin(PluginRecord),
    File(FileRecord),
    End { plugins: usize },
}

/// The state of the root, its plugins in memory and their files still on disk.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) header: Header,
    pub(crate) plugins: Vec<Known>,
}

/// A plugin of the state, and where its files are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) record: PluginRecord,
    offset: u64,
}

impl Header {
    pub(crate) fn new(installer: &str, written: u64, app_config: Option<String>, commit: Option<Intent>) -> Self {
        Self { format: FORMAT, installer: installer.to_owned(), written, app_config, commit }
    }
}

impl FileRecord {
    pub(crate) fn of(written: &Written<'_>) -> Self {
        let content = match written.content {
            Content::Regular { len, sha256, mode } => {
                ContentRecord::Sha256 { hex: sha256.to_string(), len, executable: mode == FileMode::Executable }
            }
            Content::Symlink { target } => ContentRecord::Target(target.to_owned()),
        };
        Self { path: written.path.to_owned(), content }
    }

    /// Writes the record as a line of its own.
    pub(crate) fn write(self, out: &mut impl Write) -> io::Result<()> {
        write_line(out, &Line::File(self))
    }
}

impl ContentRecord {
    pub(crate) fn sha256(hex: &str) -> io::Result<Sha256> {
        Sha256::parse_hex(hex).map_err(|_| malformed())
    }
}

impl State {
    /// Reads the state of a root; `None` when there is none, or none that is whole.
    ///
    /// A torn or foreign file is as good as none: what it listed is then adopted or left alone, never trusted.
    pub(crate) fn read(root: &Dir) -> io::Result<Option<Self>> {
        match root.open_file(STATE) {
            Ok(file) => match Self::parse(file) {
                Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
                read => read.map(Some),
            },
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn parse(file: File) -> io::Result<Self> {
        let mut lines = Lines::new(file);
        let Some(Line::Header(header)) = lines.next()? else { return Err(malformed()) };
        if header.format != FORMAT {
            return Err(malformed());
        }
        let mut plugins: Vec<Known> = Vec::new();
        let mut files_left = 0;
        loop {
            match lines.next()? {
                Some(Line::Plugin(record)) if files_left == 0 && plugins.len() < PLUGIN_LIMIT => {
                    files_left = record.files;
                    plugins.push(Known { record, offset: lines.offset });
                }
                Some(Line::File(_)) if files_left > 0 => files_left -= 1,
                Some(Line::End { plugins: count }) if files_left == 0 && count == plugins.len() => break,
                _ => return Err(malformed()),
            }
        }
        Ok(Self { header, plugins })
    }
}

impl Known {
    /// Reads the plugin's files, one after the other.
    pub(crate) fn files(&self, root: &Dir) -> io::Result<Files> {
        let mut file = root.open_file(STATE)?;
        file.seek(SeekFrom::Start(self.offset))?;
        Ok(Files { lines: Lines::new(file), left: self.record.files })
    }
}

/// The files of one plugin, as recorded.
pub(crate) struct Files {
    lines: Lines,
    left: u64,
}

impl Files {
    pub(crate) fn next(&mut self) -> io::Result<Option<FileRecord>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        match self.lines.next()? {
            Some(Line::File(record)) => Ok(Some(record)),
            _ => Err(malformed()),
        }
    }
}

/// Writes a state file: plugins one after the other, each with its files copied from where they are listed.
pub(crate) struct StateWriter<W: Write> {
    out: W,
    plugins: usize,
}

impl<W: Write> StateWriter<W> {
    pub(crate) fn begin(mut out: W, header: Header) -> io::Result<Self> {
        write_line(&mut out, &Line::Header(header))?;
        Ok(Self { out, plugins: 0 })
    }

    /// Adds a plugin; `files` gives its lines as [`FileRecord::write`] made them.
    pub(crate) fn plugin(&mut self, record: PluginRecord, files: &mut impl Read) -> io::Result<()> {
        self.plugins += 1;
        write_line(&mut self.out, &Line::Plugin(record))?;
        io::copy(files, &mut self.out).map(drop)
    }

    /// Adds a plugin whose files an earlier state in `root` lists.
    pub(crate) fn known(&mut self, known: &Known, root: &Dir) -> io::Result<()> {
        self.plugins += 1;
        let record = PluginRecord { staged: None, ..known.record.clone() };
        write_line(&mut self.out, &Line::Plugin(record))?;
        let mut files = known.files(root)?;
        while let Some(file) = files.next()? {
            file.write(&mut self.out)?;
        }
        Ok(())
    }

    pub(crate) fn end(mut self) -> io::Result<W> {
        write_line(&mut self.out, &Line::End { plugins: self.plugins })?;
        self.out.flush()?;
        Ok(self.out)
    }
}

/// Records of a file, each bounded.
struct Lines {
    reader: BufReader<File>,
    buffer: Vec<u8>,
    offset: u64,
}

impl Lines {
    fn new(file: File) -> Self {
        Self { reader: BufReader::with_capacity(32 * 1024, file), buffer: Vec::new(), offset: 0 }
    }

    fn next(&mut self) -> io::Result<Option<Line>> {
        self.buffer.clear();
        let n = self.reader.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut self.buffer)?;
        self.offset += n as u64;
        match self.buffer.split_last() {
            None => Ok(None),
            Some((b'\n', json)) => serde_json::from_slice(json).map(Some).map_err(|_| malformed()),
            Some(_) => Err(malformed()),
        }
    }
}

fn write_line(out: &mut impl Write, line: &Line) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the state file is malformed")
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
            staged: None,
        }
    }

    fn files(count: usize) -> Vec<FileRecord> {
        let file = |n| FileRecord {
            path: format!("dist/{n}.js"),
            content: ContentRecord::Sha256 { hex: "0a".repeat(32), len: n as u64, executable: n % 2 == 0 },
        };
        (0..count).map(file).collect()
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
            let mut listed = known.files(&root).unwrap();
            let found: Vec<_> = std::iter::from_fn(|| listed.next().unwrap()).collect();
            assert_eq!(found, files(usize::try_from(known.record.files).unwrap()));
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
    fn a_foreign_or_endless_file_counts_as_none() {
        let long = format!("{{\"header\":\"{}\"}}\n", "x".repeat(100_000));
        for bytes in [b"{}\n".as_slice(), b"\xff\xfe\n", b"{\"header\":{\"format\":2}}\n", long.as_bytes()] {
            assert!(read(bytes).is_none());
        }
    }
}
