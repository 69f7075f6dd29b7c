//! From the main file and what it includes to a plan.

use integrity::{Danger, Hashes, Promise};
use source::{Source, SourcePolicy};

use super::file::{File, PullPolicy, RawEntry, read_in_part};
use super::findings::{Finding, Findings};
use super::images::{is_off, settle};
use super::include::{Include, name_git};
use super::item::{Item, Level, Switch};
use super::merge::{Merged, merge};
use super::note::Note;
use super::place::Written;
use super::resolve::{Included, resolve};
use crate::plan::{Dialect, Entry, EntryError, Form, OnReject, Plan, Pull, Request, Wanted};
use crate::{MAX_CONFIG_BYTES, Problems, Warning};

/// Files that one file may include.
pub const MAX_INCLUDES: usize = 64;
/// Bytes of the main file and all that it includes: places show lines, so all texts are kept.
pub const MAX_TOTAL_BYTES: usize = 4 * MAX_CONFIG_BYTES;

/// What becomes of a plugin that needs an `integrity` and has none. One that is written counts either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingIntegrity {
    /// It is a problem of the file.
    #[default]
    IsRefused,
    /// The plugin is installed unchecked, with a warning: the operator set `SKIP_INTEGRITY_CHECK`.
    IsSkipped,
}

/// A plan in the making: the main file was read, the included ones are asked for one after the other.
#[derive(Debug)]
pub struct Planning {
    missing_integrity: MissingIntegrity,
    includes: Vec<Written<String>>,
    policy: SourcePolicy,
    main: Vec<RawEntry>,
    included: Vec<RawEntry>,
    supplied: usize,
    /// Of all files so far.
    bytes: usize,
    /// The first included file that is not there.
    missing: Option<String>,
    is_empty: bool,
    problems: Option<Problems>,
    warnings: Vec<Warning>,
    findings: Findings,
}

/// What all files together ask for.
#[derive(Debug)]
#[non_exhaustive]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// What the original installer writes into its log on the way.
    pub notes: Vec<Note>,
    /// What the operator should know of the files.
    pub warnings: Vec<Warning>,
}

impl Planning {
    /// Reads the main file; `name` is what people know it by. What is wrong with it is told by
    /// [`finish`](Self::finish).
    pub fn begin(name: &str, bytes: &[u8], missing_integrity: MissingIntegrity) -> Self {
        let mut planning = Self {
            missing_integrity,
            includes: Vec::new(),
            policy: SourcePolicy::permissive(),
            main: Vec::new(),
            included: Vec::new(),
            supplied: 0,
            bytes: bytes.len(),
            missing: None,
            is_empty: false,
            problems: None,
            warnings: Vec::new(),
            findings: Findings::default(),
        };
        let (file, problems) = read_in_part(bytes, name);
        planning.is_empty = file.is_none() && problems.is_none();
        planning.problems = problems;
        if let Some(File { includes, policy, plugins, warnings }) = file {
            planning.includes = includes;
            planning.policy = policy.map_or_else(SourcePolicy::permissive, |policy| policy.value);
            planning.main = plugins;
            planning.warnings = warnings;
        }
        if let Some(beyond) = planning.includes.get(MAX_INCLUDES) {
            let message = format!("expected at most {MAX_INCLUDES} included files, found {}", planning.includes.len());
            planning.findings.problem(Finding::new(&beyond.place, message, "join some of them"));
            planning.includes.truncate(MAX_INCLUDES);
        }
        planning
    }

    /// Whether the main file holds nothing at all.
    pub const fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// What the main file allows; `None` while something is wrong with the files, when nobody is to be asked for anything.
    pub fn policy(&self) -> Option<&SourcePolicy> {
        (self.problems.is_none() && self.findings.are_harmless()).then_some(&self.policy)
    }

    /// Whether an entry of the main file, switched on or not, is a git repository.
    pub fn names_git(&self) -> bool {
        name_git(&self.main)
    }

    /// The included files as they are written, in the order in which they are to be supplied.
    pub fn includes(&self) -> impl Iterator<Item = &str> {
        self.includes.iter().map(|path| path.value.as_str())
    }

    /// Bytes that the files still to be supplied may have together.
    pub const fn room(&self) -> usize {
        MAX_TOTAL_BYTES.saturating_sub(self.bytes)
    }

    /// The included file that is to be supplied next, as it is written.
    pub fn needs(&self) -> Option<&str> {
        self.includes.get(self.supplied).map(|path| path.value.as_str())
    }

    /// Supplies the file that was [needed](Self::needs). One that is too much for [`MAX_TOTAL_BYTES`] is a problem, and
    /// nothing of it counts.
    pub fn supply(&mut self, include: Include) {
        let Some(path) = self.includes.get(self.supplied) else { return };
        self.supplied += 1;
        let Include { shown_as, size, found } = include;
        let is_within = self.bytes <= MAX_TOTAL_BYTES;
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > MAX_TOTAL_BYTES {
            if is_within {
                let message = format!("expected at most {MAX_TOTAL_BYTES} bytes in all files together, found more");
                self.findings.problem(Finding::new(&path.place, message, "include fewer or smaller files"));
            }
            return;
        }
        let Some((file, problems)) = found else {
            let message = format!("include file {shown_as} not found, skipping");
            self.findings.warning(Finding::new(&path.place, message, "create it, or remove it from `includes`"));
            self.missing.get_or_insert(shown_as);
            return;
        };
        self.findings.heading(&format!("Including plugins from {shown_as}"));
        if let Some(file) = file {
            self.include(file);
        }
        self.problems = match (self.problems.take(), problems) {
            (Some(mut all), Some(problems)) => {
                all.join(problems);
                Some(all)
            }
            (all, problems) => all.or(problems),
        };
    }

    fn include(&mut self, file: File) {
        let File { includes, policy, plugins, warnings } = file;
        self.warnings.extend(warnings);
        self.included.extend(plugins);
        if let Some(first) = includes.first() {
            let message = "`includes` of an included file is ignored";
            self.findings.warning(Finding::new(&first.place, message, "list the files in the main file"));
        }
        if let Some(policy) = policy {
            let message = "`allowedSources` stands in an included file";
            self.findings.problem(Finding::new(&policy.place, message, "only the main file decides what is allowed"));
        }
    }

    /// Merges what was supplied. What is not supplied is not there.
    ///
    /// # Errors
    /// Everything that is wrong with the files, sources and integrities of the entries included. Whether a source is
    /// allowed is asked later, of [`Wanted::admit`](crate::Wanted::admit).
    pub fn finish(self) -> Result<Planned, Problems> {
        let Self {
            missing_integrity,
            policy,
            main,
            included,
            missing,
            bytes,
            problems,
            mut warnings,
            mut findings,
            ..
        } = self;
        let known = match (&problems, missing) {
            (Some(_), _) => Included::InPart,
            _ if bytes > MAX_TOTAL_BYTES => Included::InPart,
            (None, Some(file)) => Included::Without(file),
            (None, None) => Included::Whole,
        };
        let entries = included.into_iter().map(|entry| (Level::Included, entry));
        let entries = entries.chain(main.into_iter().map(|entry| (Level::Main, entry)));
        let items: Vec<_> = entries.filter_map(|(level, entry)| Item::of(level, entry, &mut findings)).collect();
        for item in &items {
            findings.deprecated(item);
        }

        let mut sourced = resolve(items, &known, &mut findings);
        let off = settle(&mut sourced, &mut findings);
        let entries = merge(sourced, &off, &mut findings).into_iter().map(|mut plugin| {
            if is_off(&plugin.source.value, &off) {
                plugin.switch = Some(Switch::Off);
            }
            plugin.into_entry(missing_integrity, &mut findings)
        });
        let entries = entries.collect();

        let (found, notes, problems) = findings.settle(problems);
        warnings.extend(found);
        if let Some(problems) = problems {
            return Err(problems.beside(warnings));
        }
        let plan =
            Plan { policy, on_reject: OnReject::Abort, entries, form: Form::DynamicPlugins, dialect: Dialect::Rhdh };
        Ok(Planned { plan, notes, warnings })
    }
}

impl Merged {
    fn into_entry(self, missing_integrity: MissingIntegrity, findings: &mut Findings) -> Entry {
        let package = self.source.value.to_string();
        let place = crate::Place::from(&self.source.place);
        if self.switch == Some(Switch::Off) {
            return Entry { package, place, request: Request::Disabled };
        }
        let promise = self.promise(missing_integrity, findings).ok_or(EntryError::IntegrityMissing);
        let pull = self.pull();
        let Self { source, plugin_config, .. } = self;
        let wanted = Wanted { source: Ok(source.value), promise, duplicate_of: None, plugin_config, pull };
        Entry { package, place, request: Request::Wanted(Box::new(wanted)) }
    }

    /// What its bytes must be; nothing where that is a problem of the file.
    fn promise(&self, missing_integrity: MissingIntegrity, findings: &mut Findings) -> Option<Promise> {
        let source = &self.source.value;
        match (source, &self.integrity) {
            (Source::Local(_), integrity) => {
                if let Some(Written { place, .. }) = integrity {
                    let message = format!("the integrity of `{source}` is not checked");
                    findings.warning(Finding::new(place, message, "remove it; local files are taken as they are"));
                }
                Some(Promise::Unchecked(Danger::LocalFiles))
            }
            (_, Some(Written { value, place })) => match Hashes::parse(value) {
                Ok(hashes) => Some(Promise::Hashes(hashes)),
                Err(error) => {
                    findings.problem(Finding::new(place, error.to_string(), error.hint()));
                    None
                }
            },
            (Source::Oci(_), None) => Some(Promise::Registry),
            (Source::Https(_) | Source::Npm(_) | Source::Git(_), None) => {
                self.unpinned(missing_integrity, findings).map(Promise::Unchecked)
            }
        }
    }

    /// Why its bytes may be taken all the same.
    fn unpinned(&self, missing_integrity: MissingIntegrity, findings: &mut Findings) -> Option<Danger> {
        let source = &self.source.value;
        let hint = "add `integrity: sha512-…` as its publisher gives it";
        let hint = source.path_hint().map_or_else(|| hint.to_owned(), |path| format!("{path}; else {hint}"));
        match missing_integrity {
            MissingIntegrity::IsRefused => {
                let message = format!("expected `integrity` for `{source}`, found none");
                let hint = format!("{hint}; SKIP_INTEGRITY_CHECK=true installs it unchecked");
                findings.problem(Finding::new(&self.place, message, hint));
                None
            }
            MissingIntegrity::IsSkipped => {
                let message = format!("`{source}` has no `integrity` and is installed unchecked");
                findings.warning(Finding::new(&self.place, message, hint));
                Some(Danger::IntegritySkipped)
            }
        }
    }

    fn pull(&self) -> Pull {
        if self.is_forced {
            return Pull::Force;
        }
        match (&self.source.value, self.pull_policy) {
            (_, Some(PullPolicy::Always)) => Pull::Always,
            (Source::Oci(reference), None) if reference.version() == "latest" => Pull::Always,
            (_, Some(PullPolicy::IfNotPresent) | None) => Pull::IfNotPresent,
        }
    }
}
