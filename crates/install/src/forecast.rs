//! What a run would do on a root, found out without one: by the steps by which a run decides.
//!
//! Nothing is written and nothing is fetched. What a plugin's own bytes decide, its name above all, is assumed from what
//! is installed or left open, and said to be so.

mod ask;
mod ground;

use std::io;

use config::OnReject;
use fetch::Fetcher;
use integrity::Blame;

use self::ask::Asking;
use self::ground::Ground;
use crate::slot::{Progress, Slot};
use crate::state::Known;
use crate::{Chain, InstalledPlugin, InventoryError, Job, Rejection, Remark};

/// What a run would do.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Forecast {
    /// What becomes of each entry, in the file's order; after those, what would be removed.
    pub plugins: Vec<Foreseen>,
    /// What the operator should know besides.
    pub remarks: Vec<Remark>,
}

/// What would become of one plugin.
#[derive(Debug)]
#[non_exhaustive]
pub struct Foreseen {
    /// Its package, safe to show; of a plugin that would be removed, where it came from.
    pub package: String,
    /// The line of its entry, from 1.
    pub line: Option<u32>,
    /// That file, where several were read.
    pub file: Option<String>,
    /// What would be done.
    pub act: Act,
    /// Why, where there is something to say.
    pub reason: Option<Reason>,
    /// Its folder in the root, as far as that is known.
    pub dest: Option<String>,
    /// Whether what is said here may turn out otherwise once its artifact is there.
    pub certainty: Certainty,
    /// What its bytes would have to be, or who vouches for them.
    pub integrity: Option<String>,
    /// The digest of the manifest that its source leads to, where that was asked.
    pub manifest: Option<String>,
    /// What is installed in its place.
    pub installed: Option<InstalledPlugin>,
}

/// What is done with a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// It comes.
    Install,
    /// It comes in the place of another version.
    Replace,
    /// It is had anew, as what is installed does not serve.
    Refetch,
    /// It comes in the place of a copy that this program did not make.
    Adopt,
    /// It stays.
    Unchanged,
    /// Nothing is done for its entry.
    Skip,
    /// It is rejected.
    Reject,
    /// It goes.
    Remove,
}

/// Why something is done.
#[derive(Debug)]
#[non_exhaustive]
pub struct Reason {
    /// The reason code that the log would have.
    pub code: &'static str,
    /// What happened, in words.
    pub detail: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whose move it is, if anybody's.
    pub blame: Option<Blame>,
}

/// How far a forecast can be relied on, as long as nobody changes root, list and registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// It is decided by what was seen.
    Known,
    /// It is decided by what was seen, unless an artifact that nobody has fetched has the name of another plugin.
    Contested,
    /// It depends on what is in its own artifact, which nobody has fetched.
    Assumed,
}

impl Act {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Replace => "replace",
            Self::Refetch => "refetch",
            Self::Adopt => "adopt",
            Self::Unchanged => "unchanged",
            Self::Skip => "skip",
            Self::Reject => "reject",
            Self::Remove => "remove",
        }
    }

    /// Whether an artifact comes.
    const fn brings(self) -> bool {
        match self {
            Self::Install | Self::Replace | Self::Refetch | Self::Adopt => true,
            Self::Unchanged | Self::Skip | Self::Reject | Self::Remove => false,
        }
    }
}

impl Forecast {
    /// How many plugins that would be done with.
    pub fn count(&self, act: Act) -> usize {
        self.plugins.iter().filter(|plugin| plugin.act == act).count()
    }
}

impl Foreseen {
    fn new(package: String, act: Act) -> Self {
        Self {
            package,
            line: None,
            file: None,
            act,
            reason: None,
            dest: None,
            certainty: Certainty::Known,
            integrity: None,
            manifest: None,
            installed: None,
        }
    }

    fn of(slot: &Slot) -> Self {
        let base = Self::new(slot.package.clone(), Act::Install);
        let mut this = Self { line: Some(slot.line), file: slot.file.clone(), ..base };
        match &slot.progress {
            Progress::Disabled => this.skip("disabled", "its entry says `disabled: true`"),
            Progress::Rejected(why) => this.reject(why),
            Progress::Pending(pending) => this.integrity = Some(pending.promise.to_string()),
            Progress::Ready { .. } => {}
        }
        this
    }

    fn removal(dest: String, known: Option<&Known>, certainty: Certainty) -> Self {
        let installed = known.map(|known| InstalledPlugin::of(known.record.clone()));
        let package = installed.as_ref().map(|plugin| plugin.source.clone()).unwrap_or_default();
        Self { dest: Some(dest), certainty, installed, ..Self::new(package, Act::Remove) }
    }

    fn skip(&mut self, code: &'static str, detail: &str) {
        self.act = Act::Skip;
        self.reason = Some(Reason { code, detail: detail.to_owned(), hint: None, blame: None });
    }

    fn reject(&mut self, why: &Rejection) {
        let (code, detail, hint) = (why.reason(), Chain(why).to_string(), why.hint());
        self.act = Act::Reject;
        self.reason = Some(Reason { code, detail, hint, blame: Some(why.blame()) });
    }

    /// Its destination, if it is sure which one it is.
    fn sure_dest(&self) -> Option<&str> {
        self.dest.as_deref().filter(|_| self.certainty != Certainty::Assumed)
    }

    /// Has it depend on what other plugins turn out to be called.
    fn contest(&mut self) {
        if self.certainty == Certainty::Known {
            self.certainty = Certainty::Contested;
        }
    }

    fn was(&mut self, known: &Known) {
        self.installed = Some(InstalledPlugin::of(known.record.clone()));
    }
}

/// Says what a run of `job` would do, and changes nothing: the root may be mounted read-only, and another installer may be
/// at work. Sources that are not pinned are asked what they lead to, by `fetcher`; without one nobody is asked.
///
/// # Errors
/// When the root, or the record of it, cannot be read.
pub fn forecast(mut job: Job, fetcher: Option<&Fetcher>) -> Result<Forecast, InventoryError> {
    let entries = std::mem::take(&mut job.plan.entries);
    let mut slots: Vec<_> = entries.into_iter().map(|entry| Slot::judge(entry, &job.plan.policy)).collect();
    let mut plugins: Vec<_> = slots.iter().map(Foreseen::of).collect();
    let mut remarks = Vec::new();
    if !ends(&job, &mut plugins) {
        let ground = Ground::open(&job, &mut remarks)?;
        let asking = Asking { job: &job, ground: &ground, fetcher };
        for (slot, plugin) in slots.iter().zip(&mut plugins) {
            if let Progress::Pending(pending) = &slot.progress
                && let Err(why) = asking.ask(pending, plugin, &mut remarks)
            {
                plugin.reject(&why);
            }
        }
        if !ends(&job, &mut plugins) {
            ground.select(&job, &mut slots, &mut plugins, &mut remarks).map_err(unreadable)?;
        }
    }
    Ok(Forecast { plugins, remarks })
}

/// Whether a rejection ends the run; then nothing is done for any other.
fn ends(job: &Job, plugins: &mut [Foreseen]) -> bool {
    let is_rejected = |plugin: &Foreseen| plugin.act == Act::Reject;
    let ends = job.plan.on_reject == OnReject::Abort && plugins.iter().any(is_rejected);
    if ends {
        for plugin in plugins.iter_mut().filter(|plugin| !is_rejected(plugin)) {
            plugin.skip("aborted", "another plugin is rejected, and the run changes nothing");
        }
    }
    ends
}

const fn unreadable(source: io::Error) -> InventoryError {
    InventoryError::Unreadable { what: "the plugin root", source }
}
