//! What a row comes to: a file to read, and what stands around the installer when it reads it.

use std::fmt::Write as _;
use std::path::Path;

use crate::bench::{self, CAN_TRACE, Mode, Seen, Streams};
use crate::judge;
use crate::launch::{Launch, Others, User};
use crate::net::{Net, Served};

/// The list that the table calls `A`.
const LIST_A: &str = "[oci://reg.example.com/my-org, https://artifacts.internal.example.com/plugins]";

/// A condition that is no promise with a code.
pub(crate) type Condition = Box<dyn Fn(&Seen) -> Result<(), String>>;
/// Puts something on the root.
pub(crate) type Arrange = Box<dyn Fn(&Path)>;
/// Sees each line of the log's first stream while the installer runs.
pub(crate) type Watch = Box<dyn Fn(&str) + Send + Sync>;

/// A row, ready to be run.
pub(crate) struct Case {
    /// Which of the row's instances it is, where there are several.
    pub(crate) instance: &'static str,
    pub(crate) file: ConfigFile,
    pub(crate) net: Net,
    /// Whether the volume is a tmpfs, where there is one: what takes long then is none of the disk's doing.
    pub(crate) in_memory: bool,
    /// Options of the tmpfs that the root is, if it is one of its own.
    pub(crate) tmpfs: Option<&'static str>,
    /// Whom the root belongs to by its group, and whom the installer runs as.
    pub(crate) user: Option<User>,
    /// What is installed first, and must survive where the row says so.
    pub(crate) before: Option<Listing>,
    /// What somebody else puts on the root, beside which there is a folder `elsewhere`.
    pub(crate) arrange: Option<Arrange>,
    /// Runs with the same file before the one that is judged.
    pub(crate) earlier: Vec<Launch>,
    /// What the file lists when the run begins that is judged, if it is something else by then.
    pub(crate) later: Option<Listing>,
    /// Installers that are at work when the one begins that is judged.
    pub(crate) others: Option<Others>,
    /// How the one is started that is judged.
    pub(crate) launch: Launch,
    /// `config.json` and `netrc`.
    pub(crate) logins: Option<(String, String)>,
    /// Credentials, and who may see them.
    pub(crate) guarded: Vec<Guarded>,
    /// Flags besides the ones that name files.
    pub(crate) flags: &'static [&'static str],
    /// Variables that are set otherwise than usual.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// What must stand in no output.
    pub(crate) secrets: Vec<String>,
    pub(crate) modes: &'static [Mode],
    pub(crate) streams: &'static [Streams],
    pub(crate) watch: Option<Watch>,
    pub(crate) conditions: Vec<Condition>,
    /// More instances of the row, for which the same holds.
    pub(crate) also: Vec<Case>,
}

/// A credential, and the only origins that may see it.
pub(crate) struct Guarded {
    pub(crate) secret: String,
    pub(crate) own: Vec<String>,
}

/// The file that the installer is told to read.
pub(crate) enum ConfigFile {
    Listing(Listing),
    Bytes(Vec<u8>),
    Absent,
    Directory,
    /// Behind the symlinks of a mounted `ConfigMap`.
    Mounted(Listing),
}

/// A well-formed file.
#[derive(Clone)]
pub(crate) struct Listing {
    /// The line `allowedSources: …`, or what stands in its place.
    pub(crate) allowed: String,
    /// The last one is the one that the row is about.
    pub(crate) entries: Vec<Entry>,
}

/// An entry's lines as they are written.
#[derive(Clone)]
pub(crate) struct Entry(pub(crate) Vec<String>);

impl Case {
    /// A case about a file that lists something.
    pub(crate) fn listing(net: Net, listing: Listing) -> Self {
        Self::of(net, ConfigFile::Listing(listing))
    }

    /// A case about any file.
    pub(crate) fn of(net: Net, file: ConfigFile) -> Self {
        let modes: &[Mode] = match file {
            ConfigFile::Listing(_) | ConfigFile::Mounted(_) => &Mode::BOTH,
            // These files do not say, which means the stricter mode.
            ConfigFile::Bytes(_) | ConfigFile::Absent | ConfigFile::Directory => &[Mode::FailClosed],
        };
        Self {
            file,
            instance: "",
            net,
            in_memory: false,
            tmpfs: None,
            user: None,
            before: None,
            arrange: None,
            earlier: Vec::new(),
            later: None,
            others: None,
            launch: Launch::default(),
            logins: None,
            guarded: Vec::new(),
            flags: &[],
            environment: Vec::new(),
            secrets: Vec::new(),
            modes,
            streams: &[Streams::Captured],
            watch: None,
            conditions: Vec::new(),
            also: Vec::new(),
        }
    }

    /// Installs this first.
    pub(crate) fn after(mut self, before: Listing) -> Self {
        self.before = Some(before);
        self
    }

    /// Also checks this.
    pub(crate) fn holds(mut self, condition: impl Fn(&Seen) -> Result<(), String> + 'static) -> Self {
        self.conditions.push(Box::new(condition));
        self
    }

    /// Several cases of one row, each with its name.
    pub(crate) fn instances(cases: impl IntoIterator<Item = (&'static str, Self)>) -> Self {
        let mut cases = cases.into_iter().map(|(instance, case)| Self { instance, ..case });
        let first = cases.next().expect("a row has an instance");
        Self { also: cases.collect(), ..first }
    }

    /// Also runs another case, whose outcome is not the row's, and checks this of it.
    pub(crate) fn beside(self, other: Self, condition: impl Fn(&Seen) -> Result<(), String> + 'static) -> Self {
        self.holds(move |seen| {
            let beside = bench::run(&other, seen.mode, Streams::Captured);
            judge::always(&other, &beside).and_then(|()| condition(&beside)).map_err(|why| {
                format!("in another run beside it: {why}; the log was {}{}", beside.stdout, beside.stderr)
            })
        })
    }

    /// Puts something on the root first.
    pub(crate) fn arranged(mut self, arrange: impl Fn(&Path) + 'static) -> Self {
        self.arrange = Some(Box::new(arrange));
        self
    }

    /// Whether it can be run here: faults need a tracer.
    pub(crate) fn can_be_run(&self) -> bool {
        let others = self.others.iter().map(|others| &others.launch);
        let needs_tracer = self
            .earlier
            .iter()
            .chain([&self.launch])
            .chain(others)
            .any(|launch| !launch.faults.is_empty() || !launch.noted.is_empty());
        if needs_tracer && !*CAN_TRACE {
            println!("skipped {}: `strace` cannot trace here", self.instance);
        }
        *CAN_TRACE || !needs_tracer
    }

    /// How many entries the file lists, if it is known to list any.
    pub(crate) fn entries(&self) -> Option<usize> {
        match (&self.later, &self.file) {
            (Some(listing), _) | (None, ConfigFile::Listing(listing) | ConfigFile::Mounted(listing)) => {
                Some(listing.entries.len())
            }
            (None, ConfigFile::Bytes(_) | ConfigFile::Absent | ConfigFile::Directory) => None,
        }
    }
}

impl Listing {
    /// Entries under the list `A`.
    pub(crate) fn of(entries: impl IntoIterator<Item = Entry>) -> Self {
        Self { allowed: format!("allowedSources: {LIST_A}"), entries: entries.into_iter().collect() }
    }

    /// The same entries under the list that the column `given` says, if it says any.
    pub(crate) fn given(mut self, given: &str) -> Result<Self, String> {
        match given.strip_prefix("allowed=") {
            None if given.is_empty() => {}
            Some("A") => {}
            Some(list) if list.starts_with('[') => self.allowed = format!("allowedSources: {list}"),
            _ => return Err(format!("expected `allowed=A` or `allowed=[…]` in `given`, found `{given}`")),
        }
        Ok(self)
    }

    /// The file's text.
    pub(crate) fn text(&self, mode: Mode) -> String {
        let mut text = format!("continueOnError: {}\n{}\n", mode == Mode::FailOpen, self.allowed);
        text.push_str(if self.entries.is_empty() { "plugins: []\n" } else { "plugins:\n" });
        for Entry(lines) in &self.entries {
            // `disabled` stands first in each, so that an entry may lack any other key.
            writeln!(text, "  - disabled: false").expect("a string takes all text");
            for line in lines {
                writeln!(text, "    {line}").expect("a string takes all text");
            }
        }
        text
    }
}

impl Entry {
    /// An entry with these values, whatever characters they have.
    pub(crate) fn new(package: &str, integrity: &str) -> Self {
        Self(vec![format!("package: {}", quoted(package)), format!("integrity: {}", quoted(integrity))])
    }
}

impl From<&Served> for Entry {
    fn from(Served { package, integrity }: &Served) -> Self {
        Self::new(package, integrity)
    }
}

/// A text in YAML's double quotes, in which any character can be written (YAML 1.2.2, section 5.7).
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            ' '..='~' => out.push(character),
            other => write!(out, "\\U{:08x}", u32::from(other)).expect("a string takes all text"),
        }
    }
    out.push('"');
    out
}
