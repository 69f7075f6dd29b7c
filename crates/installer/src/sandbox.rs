//! What this process may still do once its settings are known: Landlock and `no_new_privs`.
//!
//! It makes, opens for writing, renames and removes files below the root and in the cache and nowhere else, save where a
//! report or catalog entities were asked for; it reads what the system's resolver needs, and starts no file but the
//! credential helpers that `config.json` names. It signals nobody outside.
//! Everything else it needs was opened before. Only the calling thread and those it starts are confined, so this comes
//! before the first of them. Modes, owners and times of files are beyond what Landlock knows.

use std::fmt;
use std::path::{Path, PathBuf};

use audit::{Event, Log};
use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible as _, LandlockStatus, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope, make_bitflags,
};

/// The rights that are handled: all that this file was written for, as far as the kernel knows them.
const RIGHTS: ABI = ABI::V5;
/// The first version that knows them.
const SCOPES: ABI = ABI::V6;
/// What is done to the root: everything but making devices, sockets and pipes, and running what was unpacked.
const CHANGE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    ReadFile | ReadDir | WriteFile | Truncate | RemoveFile | RemoveDir | MakeReg | MakeDir | MakeSym | Refer
});
/// What is done to the cache.
const KEEP: BitFlags<AccessFs> =
    make_bitflags!(AccessFs::{ReadFile | ReadDir | WriteFile | Truncate | RemoveFile | MakeReg});
/// What is done to the folder of a report.
const REPLACE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{WriteFile | RemoveFile | MakeReg});
/// What is done to the folder of one that is empty.
const EMPTY: BitFlags<AccessFs> = make_bitflags!(AccessFs::{RemoveDir});
const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
/// The kernel reads a program when it starts it.
const RUN: BitFlags<AccessFs> = make_bitflags!(AccessFs::{Execute | ReadFile});
/// The other end of a helper's unused streams.
const DISCARD: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | WriteFile | Truncate});

/// What musl and glibc read to find a server's address.
const RESOLVER: [&str; 5] = ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf"];

/// What the settings leave to do.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// Folders that are changed: the root, and where catalog entities go.
    pub(crate) changed: Vec<PathBuf>,
    /// Folders that are only read.
    pub(crate) read: Vec<PathBuf>,
    /// The folder that artifacts are kept in, if any.
    pub(crate) cache: Option<PathBuf>,
    /// Folders in which one file is replaced.
    pub(crate) replaced: Vec<PathBuf>,
    /// A folder of which one that is empty is removed, if any.
    pub(crate) emptied: Option<PathBuf>,
    /// What is started: the credential helpers, and what the kernel opens for them.
    pub(crate) programs: Vec<PathBuf>,
}

/// How far the process is confined; shown as the log has it.
pub(crate) enum Sandbox {
    /// By this version of Landlock.
    Landlock(ABI),
    /// Not at all, as the operator wished.
    Declined,
    /// Not at all, for this reason.
    Unavailable(String),
}

impl Rules {
    /// For looking at a folder, and nothing else.
    pub(crate) fn reading(folder: &Path) -> Self {
        Self { read: vec![folder.to_owned()], ..Self::default() }
    }

    /// Confines this thread and all that it will start, as far as the kernel can. Without Landlock the run goes on: it
    /// is the last of several walls.
    pub(crate) fn enforce(&self) -> Sandbox {
        let status = match self.build().and_then(RulesetCreated::restrict_self) {
            Ok(status) => status,
            Err(error) => return Sandbox::Unavailable(error.to_string()),
        };
        match status.landlock {
            LandlockStatus::Available { effective_abi, .. } if status.ruleset != RulesetStatus::NotEnforced => {
                Sandbox::Landlock(effective_abi)
            }
            other => Sandbox::Unavailable(why_not(other).to_owned()),
        }
    }

    fn build(&self) -> Result<RulesetCreated, RulesetError> {
        let mut rules = Ruleset::default()
            // Without this right nothing can be renamed from the staging folder to its place.
            .set_compatibility(CompatLevel::SoftRequirement)
            .handle_access(AccessFs::Refer)?
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(RIGHTS))?
            // Signals to others, and their sockets without a path.
            .scope(Scope::from_all(SCOPES))?
            .create()?;
        // What is not there needs no rule: whoever opens it says so.
        let mut allow = |path: &Path, rights: BitFlags<AccessFs>| match PathFd::new(path) {
            Ok(opened) => (&mut rules).add_rule(PathBeneath::new(opened, rights)).map(drop),
            Err(_) => Ok(()),
        };
        let [cache, emptied] = [&self.cache, &self.emptied].map(Option::as_slice);
        let kinds =
            [(&*self.changed, CHANGE), (&self.read, READ), (cache, KEEP), (&self.replaced, REPLACE), (emptied, EMPTY)];
        for (folders, rights) in kinds {
            for folder in folders {
                allow(folder, rights)?;
            }
        }
        for file in RESOLVER {
            allow(Path::new(file), AccessFs::ReadFile.into())?;
        }
        for program in &self.programs {
            allow(program, RUN)?;
        }
        if !self.programs.is_empty() {
            // A helper reads settings and tokens of its own, and nothing says which.
            allow(Path::new("/"), READ)?;
            allow(Path::new("/dev/null"), DISCARD)?;
        }
        Ok(rules)
    }
}

const fn why_not(status: LandlockStatus) -> &'static str {
    match status {
        LandlockStatus::NotEnabled => "Landlock is switched off: it is not in the kernel's list of security modules",
        LandlockStatus::NotImplemented => "the kernel has no Landlock, or a seccomp filter forbids it",
        LandlockStatus::Available { .. } => "this kernel's Landlock cannot allow renames between folders",
    }
}

impl Sandbox {
    /// Says why there is none, where there is none.
    pub(crate) fn tell(&self, log: &mut Log) {
        match self {
            Self::Landlock(_) => {}
            Self::Declined => log.record(&Event::Warning {
                reason: "sandbox_declined",
                detail: "`--without-sandbox`: the kernel does not hold the installer and its credential helpers to the root",
                hint: Some("leave it out unless a credential helper starts other programs or writes files"),
            }),
            Self::Unavailable(why) => log.record(&Event::Step { step: "sandbox", package: "", detail: why }),
        }
    }
}

impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Landlock(version) => write!(f, "landlock_v{version}"),
            Self::Declined | Self::Unavailable(_) => f.write_str("none"),
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test works with paths")]
mod tests {
    use super::*;
    use std::fs::{self, OpenOptions};
    use std::io::{self, ErrorKind};
    use std::os::unix::fs::symlink;
    use std::process::Command;

    type Act = fn(&Path, &Path) -> io::Result<()>;

    /// What is done to two folders, and whether it may be done where the first is the root.
    const ACTS: [(&str, Act, bool); 16] = [
        ("make a file", |root, _| fs::write(root.join("new"), ""), true),
        ("make a folder", |root, _| fs::create_dir(root.join("folder")), true),
        ("make a link", |root, _| symlink("old", root.join("link")), true),
        ("read", |root, _| fs::read(root.join("old")).map(drop), true),
        ("list", |root, _| fs::read_dir(root).map(drop), true),
        ("empty", |root, _| OpenOptions::new().write(true).open(root.join("old"))?.set_len(0), true),
        ("rename between folders", |root, _| fs::rename(root.join("old"), root.join("folder/moved")), true),
        ("remove", |root, _| fs::remove_dir_all(root.join("folder")), true),
        ("read elsewhere", |_, other| fs::read(other.join("old")).map(drop), false),
        ("list elsewhere", |_, other| fs::read_dir(other).map(drop), false),
        ("write elsewhere", |_, other| OpenOptions::new().append(true).open(other.join("old")).map(drop), false),
        ("make elsewhere", |_, other| fs::create_dir(other.join("folder")), false),
        ("remove elsewhere", |_, other| fs::remove_file(other.join("old")), false),
        ("move out", |root, other| fs::rename(root.join("new"), other.join("new")), false),
        ("move in", |root, other| fs::rename(other.join("old"), root.join("old")), false),
        ("start", |_, _| Command::new("/bin/true").status().map(drop), false),
    ];

    /// What is done to two folders, and whether it may be done where the first is the cache.
    const CACHE_ACTS: [(&str, Act, bool); 12] = [
        ("make a file", |cache, _| fs::write(cache.join("new"), ""), true),
        ("read", |cache, _| fs::read(cache.join("old")).map(drop), true),
        ("list", |cache, _| fs::read_dir(cache).map(drop), true),
        ("empty", |cache, _| OpenOptions::new().write(true).open(cache.join("old"))?.set_len(0), true),
        ("rename", |cache, _| fs::rename(cache.join("new"), cache.join("old")), true),
        ("remove", |cache, _| fs::remove_file(cache.join("old")), true),
        ("make a folder", |cache, _| fs::create_dir(cache.join("folder")), false),
        ("make a link", |cache, _| symlink("old", cache.join("link")), false),
        ("remove the cache", |cache, _| fs::remove_dir(cache), false),
        ("read elsewhere", |_, other| fs::read(other.join("old")).map(drop), false),
        ("make elsewhere", |_, other| fs::write(other.join("new"), ""), false),
        ("start", |_, _| Command::new("/bin/true").status().map(drop), false),
    ];

    /// What is done to two folders, and whether it may be done where a report goes to the first.
    const REPORT_ACTS: [(&str, Act, bool); 9] = [
        (
            "make a file",
            |report, _| OpenOptions::new().write(true).create_new(true).open(report.join("new")).map(drop),
            true,
        ),
        ("replace", |report, _| fs::rename(report.join("new"), report.join("old")), true),
        ("read", |report, _| fs::read(report.join("old")).map(drop), false),
        ("list", |report, _| fs::read_dir(report).map(drop), false),
        ("make a folder", |report, _| fs::create_dir(report.join("folder")), false),
        ("make a link", |report, _| symlink("old", report.join("link")), false),
        ("make elsewhere", |_, other| fs::write(other.join("new"), ""), false),
        ("read elsewhere", |_, other| fs::read(other.join("old")).map(drop), false),
        ("start", |_, _| Command::new("/bin/true").status().map(drop), false),
    ];

    #[test]
    fn only_the_root_is_changed_and_nothing_is_started() {
        try_out(&ACTS, |root| Rules { changed: vec![root.to_owned()], ..Rules::default() });
    }

    #[test]
    fn cache_holds_files_and_nothing_else() {
        try_out(&CACHE_ACTS, |cache| Rules { cache: Some(cache.to_owned()), ..Rules::default() });
    }

    #[test]
    fn in_the_folder_of_a_report_a_file_is_replaced_and_none_is_read() {
        try_out(&REPORT_ACTS, |report| Rules { replaced: vec![report.to_owned()], ..Rules::default() });
    }

    /// Does all of that to two folders, where the rules are about the first one.
    fn try_out(acts: &'static [(&str, Act, bool)], rules: fn(&Path) -> Rules) {
        let [first, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        for folder in [&first, &other] {
            fs::write(folder.path().join("old"), "text").unwrap();
        }
        // A thread is confined for itself, so that this test leaves the others alone.
        let confined = std::thread::spawn(move || {
            if let Sandbox::Landlock(_) = rules(first.path()).enforce() {
                for (act, done, allowed) in acts {
                    let refused = done(first.path(), other.path()).map_err(|error| error.kind());
                    // A forbidden move is told as one between two file systems.
                    let refused = refused.map_err(|kind| match kind {
                        ErrorKind::CrossesDevices => ErrorKind::PermissionDenied,
                        kind => kind,
                    });
                    assert_eq!(refused, if *allowed { Ok(()) } else { Err(ErrorKind::PermissionDenied) }, "{act}");
                }
            } else {
                println!("skipped: this kernel confines nothing");
            }
            [first, other]
        });
        let folders = confined.join().unwrap();
        assert!(folders.iter().all(|folder| folder.path().is_dir()));
    }
}
