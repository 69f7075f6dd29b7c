//! What is there of one plugin, and what its source leads to.

use config::Dialect;
use fetch::{Fetcher, Located};
use integrity::Promise;
use source::{AllowedKind, LocalPath, Source};
use tarball::{Destination, PackageName, read_manifest};

use super::ground::Ground;
use super::{Act, Certainty, Foreseen, Reason};
use crate::local::{Place, is_same};
use crate::shop::{gone, leads_to, unreachable};
use crate::slot::Pending;
use crate::state::Known;
use crate::workers::{Seen, Task};
use crate::{Chain, Job, Rejection, Remark};

/// How a plugin is looked at and asked for.
pub(super) struct Asking<'a> {
    pub(super) job: &'a Job,
    pub(super) ground: &'a Ground,
    pub(super) fetcher: Option<&'a Fetcher>,
}

impl Asking<'_> {
    /// Finds out what would be done for a plugin before it is known who else wants its place.
    pub(super) fn ask(
        &self,
        pending: &Pending,
        plugin: &mut Foreseen,
        remarks: &mut Vec<Remark>,
    ) -> Result<(), Rejection> {
        let task = Task::of(0, pending, self.ground.state.as_ref());
        let intact = match self.see(&task)? {
            Seen::Serves(known) => {
                stays(plugin, &known);
                return Ok(());
            }
            Seen::Intact(known) => Some(known),
            Seen::Wanting(changed) => {
                if let Some(known) = &task.known {
                    let (code, detail) =
                        changed.map_or(("force_download", FORCED.to_owned()), |what| ("files_changed", what));
                    comes_again(plugin, known, code, detail);
                }
                None
            }
        };
        let dest = match task.source.kind() {
            AllowedKind::Local(path) => self.find(path.subject(), intact, plugin, remarks)?,
            AllowedKind::Git(spec) => {
                match (self.job.local.git_for(spec.subject()), intact) {
                    (Err(why), None) => return Err(why),
                    (Err(why), Some(known)) => {
                        remarks.push(unreachable(&task, &Chain(&why).to_string()));
                        stays(plugin, &known);
                    }
                    (Ok(_), Some(known)) => comes_again(plugin, &known, "source_changed", CHECKED_OUT.to_owned()),
                    (Ok(_), None) => {}
                }
                None
            }
            AllowedKind::Oci(_) | AllowedKind::Https(_) | AllowedKind::Npm(_) => {
                self.locate(&task, intact, plugin, remarks)?
            }
        };
        if plugin.act.brings() {
            let is_same_again = task.known.is_some() && matches!(task.promise, Promise::Hashes(_));
            if dest.is_none() && !is_same_again {
                plugin.certainty = Certainty::Assumed;
            }
            plugin.dest = dest.map(|dest| dest.to_string()).or(plugin.dest.take());
        }
        Ok(())
    }

    fn see(&self, task: &Task) -> Result<Seen, Rejection> {
        let (Some(known), Some(dir)) = (&task.known, &self.ground.dir) else { return Ok(Seen::Wanting(None)) };
        let place = self.ground.place_of(dir, known, self.job);
        let place = place.map_err(|source| Rejection::Host { act: "inspect the installed plugin", source })?;
        let (parent, folder) = place.as_ref().map_or((dir, &known.record.dest), |(staging, name)| (staging, name));
        task.see(parent, folder, self.job.belief, &self.job.stop)
    }

    fn find(
        &self,
        path: &LocalPath,
        intact: Option<Known>,
        plugin: &mut Foreseen,
        remarks: &mut Vec<Remark>,
    ) -> Result<Option<Destination>, Rejection> {
        let Job { local, limits, stop, .. } = self.job;
        let place = match local.find(path, intact.as_ref(), self.ground.dir.as_ref(), stop)? {
            Place::Tarball(mut file) => match &intact {
                Some(known) if is_same(known, &mut file, limits, stop)? => Place::Same,
                _ => Place::Tarball(file),
            },
            place => place,
        };
        match (place, intact) {
            (Place::Same, Some(known)) => stays(plugin, &known),
            (Place::Nothing | Place::Same, known) => {
                remarks.extend(known.map(|known| gone(path, &known)));
                let place = local.path_of(path.as_str());
                plugin.skip("absent", &format!("there is nothing at `{}`", place.display()));
            }
            (place @ (Place::Folder(_) | Place::Tarball(_)), known) => {
                if let Some(known) = known {
                    let detail = format!("what is at `{path}` is not what was installed from there");
                    comes_again(plugin, &known, "source_changed", detail);
                }
                if let Place::Folder(folder) = place
                    && let Ok(manifest) = read_manifest(&folder, limits)
                {
                    return packed(manifest.name(), manifest.version()).map(Some);
                }
            }
        }
        Ok(None)
    }

    fn locate(
        &self,
        task: &Task,
        intact: Option<Known>,
        plugin: &mut Foreseen,
        remarks: &mut Vec<Remark>,
    ) -> Result<Option<Destination>, Rejection> {
        let (source, stop) = (task.source.subject(), &self.job.stop);
        let fetcher = self.fetcher.filter(|_| !task.is_pinned());
        let located = fetcher.map(|fetcher| fetcher.locate(&task.source, stop, &|_, _| ())).transpose();
        let located = match (located, intact) {
            (Err(why), None) => return Err(why.into()),
            (Err(why), Some(known)) => {
                remarks.push(unreachable(task, &Chain(&why).to_string()));
                stays(plugin, &known);
                return Ok(None);
            }
            (Ok(Some(located)), Some(known)) if leads_to(&located, &known) => {
                stays(plugin, &known);
                return Ok(None);
            }
            (Ok(located), known) => {
                if let Some(known) = known {
                    comes_again(plugin, &known, "source_changed", LOOKED_UP.to_owned());
                }
                located
            }
        };
        plugin.manifest = located.as_ref().and_then(Located::manifest).map(ToString::to_string);
        match (self.job.plan.dialect, source) {
            (Dialect::Rhdh, Source::Oci(reference)) => {
                let path = located.as_ref().and_then(Located::plugin_path).or(reference.plugin_path());
                path.map(|path| Destination::of_folder(path.as_str())).transpose().map_err(Rejection::Folder)
            }
            (Dialect::Rhdh, Source::Npm(spec)) => {
                let named = located.as_ref().and_then(Located::package);
                let named = named.or_else(|| is_version(spec.wanted()).then(|| (spec.name().as_str(), spec.wanted())));
                let named = named.and_then(|(name, version)| Some((PackageName::parse(name).ok()?, version)));
                named.map(|(name, version)| packed(&name, version)).transpose()
            }
            _ => Ok(None),
        }
    }
}

const FORCED: &str = "its entry asks for it anew each time";
const CHECKED_OUT: &str = "what its repository holds is seen when it is checked out";
const LOOKED_UP: &str = "its source leads to something else than was installed, or does not tell";

fn stays(plugin: &mut Foreseen, known: &Known) {
    plugin.act = Act::Unchanged;
    plugin.dest = Some(known.record.dest.clone());
    plugin.was(known);
}

fn comes_again(plugin: &mut Foreseen, known: &Known, code: &'static str, detail: String) {
    plugin.act = Act::Refetch;
    plugin.reason = Some(Reason { code, detail, hint: None, blame: None });
    plugin.dest = Some(known.record.dest.clone());
    plugin.was(known);
}

fn packed(name: &PackageName, version: &str) -> Result<Destination, Rejection> {
    Destination::packed(name, version).map_err(Rejection::Folder)
}

/// Whether a version is meant, rather than a range or a tag.
fn is_version(wanted: &str) -> bool {
    let mut numbers = wanted.splitn(3, '.');
    let is_number = |text: Option<&str>| text.is_some_and(|text| text.starts_with(|c: char| c.is_ascii_digit()));
    let plain = wanted.bytes().all(|b| b.is_ascii_alphanumeric() || b"-+.".contains(&b));
    plain && (0..3).all(|_| is_number(numbers.next()))
}
