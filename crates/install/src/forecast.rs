//! What a run would do on a root, found out without one: by the steps by which a run decides.
//!
//! Nothing is written and nothing is fetched. What a plugin's own bytes decide, its name above all, is assumed from what
//! is installed or left open, and said to be so.

mod ask;

use std::collections::HashSet;
use std::io;

use config::{Dialect, OnReject};
use fetch::Fetcher;
use integrity::Blame;
use source::Source;
use tarball::{Dir, Kind};

use crate::inspect::{Condition, Depth, inspect};
use crate::inventory::open;
use crate::lock::holder;
use crate::root::refuse_obstacles;
use crate::run::visible::FOLDERS_NAMED;
use crate::select::{Before, Hands, Retired, Selection};
use crate::slot::{Progress, Slot};
use crate::staging::{STAGING, Staging, run_folder};
use crate::state::{Known, STATE, State};
use crate::{Chain, InstalledPlugin, InventoryError, Job, Obstacle, Rejection, Remark, RootError};

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
    /// It depends on what is in an artifact that nobody has fetched.
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
    fn of(slot: &Slot) -> Self {
        let mut this = Self {
            package: slot.package.clone(),
            line: Some(slot.line),
            file: slot.file.clone(),
            act: Act::Install,
            reason: None,
            dest: None,
            certainty: Certainty::Known,
            integrity: None,
            manifest: None,
            installed: None,
        };
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
        let (act, dest) = (Act::Remove, Some(dest));
        let (line, file, reason, integrity, manifest) = (None, None, None, None, None);
        Self { package, line, file, act, reason, dest, certainty, integrity, manifest, installed }
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

    /// Its destination, if it is sure that it comes or stays there.
    fn sure_dest(&self) -> Option<&str> {
        self.dest.as_deref().filter(|_| self.certainty == Certainty::Known)
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
        let asking = ask::Asking { job: &job, ground: &ground, fetcher };
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

/// The root, as a run would find it.
struct Ground {
    /// `None` where there is none, and the run would make it.
    dir: Option<Dir>,
    state: Option<State>,
}

impl Ground {
    fn open(job: &Job, remarks: &mut Vec<Remark>) -> Result<Self, InventoryError> {
        let dir = match open(&job.root) {
            Err(InventoryError::Root(RootError::Missing { root })) if job.plan.dialect == Dialect::Rhdh => {
                let detail = format!("there is no folder `{root}`: a run would make it");
                remarks.push(Remark { reason: "root_missing", detail });
                return Ok(Self { dir: None, state: None });
            }
            opened => opened?,
        };
        refuse_obstacles(&dir).map_err(InventoryError::Root)?;
        // Who cannot ask learns it from the run.
        if let Ok(Some(holder)) = holder(&dir) {
            let detail = format!("{holder} works on the root: what is said here is true of what it is like now");
            remarks.push(Remark { reason: "lock_wait", detail });
        }
        let state = State::read(&dir).map_err(|source| InventoryError::Unreadable { what: "the record", source })?;
        match &state {
            None if dir.kind(STATE).map_err(unreadable)?.is_some() => remarks.push(Remark {
                reason: "state_lost",
                detail: format!("`{STATE}` is not whole: listed plugins would be fetched and verified anew"),
            }),
            Some(State { header, .. }) if header.commit.is_some() => remarks.push(Remark {
                reason: "commit_open",
                detail:
                    "plugins are being made visible, by an installer at work or by one that was killed: a run would \
                         finish that first"
                        .to_owned(),
            }),
            _ => {}
        }
        Ok(Self { dir: Some(dir), state })
    }

    /// Where a plugin of ours would lie once an open commit is finished.
    fn place_of(&self, dir: &Dir, known: &Known, job: &Job) -> io::Result<Option<(Dir, String)>> {
        let dest = &known.record.dest;
        let intent = self.state.as_ref().and_then(|state| state.header.commit.as_ref());
        let moved = intent.and_then(|intent| Some((intent.run, intent.put.iter().find(|m| m.dest.as_str() == dest)?)));
        let Some((run, moved)) = moved else { return Ok(None) };
        if inspect(known, dir, dest, Depth::Content, &job.stop)? == Condition::Intact {
            return Ok(None);
        }
        let (staging, name) = (dir.open_dir(STAGING)?.open_dir(run_folder(run))?, Staging::names(moved.staged).folder);
        Ok((staging.kind(&name)? == Some(Kind::Directory)).then_some((staging, name)))
    }

    /// Chooses as a run does once all artifacts are there, as far as that is decided without them.
    fn select(
        &self,
        job: &Job,
        slots: &mut [Slot],
        plugins: &mut Vec<Foreseen>,
        remarks: &mut Vec<Remark>,
    ) -> io::Result<()> {
        let (dir, dialect) = (self.dir.as_ref(), job.plan.dialect);
        let mut selection = Selection::new(dir, self.state.as_ref(), &job.limits, dialect, Hands::Off);
        let mut refused = HashSet::new();
        for (slot, plugin) in slots.iter_mut().zip(&mut *plugins) {
            let Progress::Pending(pending) = &mut slot.progress else { continue };
            if plugin.act == Act::Reject {
                continue;
            }
            let (fragment, mut is_open) = (pending.fragment.take(), false);
            let claimed = match plugin.sure_dest() {
                None => selection.add(&slot.package, fragment).map(|()| Before::Ours),
                Some(dest) if plugin.act == Act::Unchanged => {
                    selection.claim(&slot.package, dest, fragment).map(|()| Before::Ours)
                }
                Some(dest) => {
                    let name = match (&plugin.installed, pending.admitted.subject()) {
                        (Some(installed), _) => Some(&*installed.name),
                        (None, Source::Npm(spec)) => Some(spec.name().as_str()),
                        (None, _) => None,
                    };
                    let before = match selection.make_way(dest, name.unwrap_or_default()) {
                        // It may be a copy of this very plugin.
                        Err(Rejection::Destination { by: Obstacle::ForeignFolder, .. }) if name.is_none() => {
                            is_open = true;
                            Ok(Before::Adopted)
                        }
                        before => before,
                    };
                    before.and_then(|before| selection.claim(&slot.package, dest, fragment).map(|()| before))
                }
            };
            match claimed {
                Ok(Before::Ours) => {}
                Ok(Before::Adopted) => {
                    plugin.act = Act::Adopt;
                    plugin.certainty = if is_open { Certainty::Assumed } else { plugin.certainty };
                }
                Err(why) => {
                    refused.extend(why.destination().map(str::to_owned));
                    plugin.reject(&why);
                }
            }
        }
        if ends(job, plugins) {
            return Ok(());
        }
        self.pair(slots, plugins);
        let coming = plugins.iter().filter(|plugin| !matches!(plugin.act, Act::Skip | Act::Reject));
        let mut named: HashSet<_> = coming.filter_map(|plugin| plugin.dest.clone()).collect();
        let is_open = |plugin: &Foreseen| plugin.act.brings() && plugin.certainty == Certainty::Assumed;
        let certainty = if plugins.iter().any(is_open) { Certainty::Assumed } else { Certainty::Known };
        for (known, retired) in selection.leaving(&named)? {
            let dest = &known.record.dest;
            match retired {
                Retired::Removable => plugins.push(Foreseen::removal(dest.clone(), Some(known), certainty)),
                Retired::Gone => {}
                Retired::Foreign => remarks.push(Remark {
                    reason: "folder_not_ours",
                    detail: format!("`{dest}` is another plugin by now and stays"),
                }),
                Retired::Stuck(error) => remarks
                    .push(Remark { reason: "removal_failed", detail: format!("`{dest}` cannot be removed: {error}") }),
            }
        }
        named.extend(refused);
        if dialect == Dialect::Rhdh {
            named.extend(plugins.iter().filter(|plugin| plugin.act == Act::Remove).filter_map(|p| p.dest.clone()));
            let originals = selection.originals(&named)?;
            named.extend(originals.iter().map(|removal| removal.dest.to_string()));
            let removal = |dest: String| Foreseen::removal(dest, None, certainty);
            plugins.extend(originals.into_iter().map(|original| removal(original.dest.to_string())));
        }
        let (unknown, more) = selection.unknown(&named, FOLDERS_NAMED)?;
        let stays = "stays, unless it is a copy of a plugin that comes";
        let unknown = unknown.iter().map(|name| format!("`{name}` was not made by us as far as is known: it {stays}"));
        let details = unknown.chain((more > 0).then(|| format!("{more} more folders like these")));
        remarks.extend(details.map(|detail| Remark { reason: "folder_left", detail }));
        Ok(())
    }

    /// Takes what comes for another version of what is installed: by its folder where that is sure, else by its source.
    fn pair(&self, slots: &[Slot], plugins: &mut [Foreseen]) {
        let mut left: Vec<&Known> = self.state.iter().flat_map(|state| &state.plugins).collect();
        left.retain(|known| {
            !plugins.iter().any(|p| p.act != Act::Install && p.dest.as_ref() == Some(&known.record.dest))
        });
        for (slot, plugin) in slots.iter().zip(plugins) {
            let Progress::Pending(pending) = &slot.progress else { continue };
            if plugin.act != Act::Install {
                continue;
            }
            let key = key_of(pending.admitted.subject());
            let is_of_source =
                |known: &Known| Source::parse_rhdh(&known.record.source).is_ok_and(|s| key_of(&s) == key);
            let found = left.iter().position(|known| match &plugin.dest {
                Some(dest) => known.record.dest == *dest,
                None => is_of_source(known),
            });
            if let Some(at) = found {
                let known = left.remove(at);
                plugin.act = Act::Replace;
                plugin.dest = Some(known.record.dest.clone());
                plugin.was(known);
            }
        }
    }
}

/// What is the same of two sources that are two versions of one plugin.
fn key_of(source: &Source) -> String {
    match source {
        Source::Oci(reference) => {
            format!("{}!{}", reference.image(), reference.plugin_path().map_or("", |p| p.as_str()))
        }
        Source::Npm(spec) => spec.key(),
        Source::Git(spec) => spec.key(),
        Source::Local(path) => path.key(),
        Source::Https(url) => url.to_string(),
    }
}
