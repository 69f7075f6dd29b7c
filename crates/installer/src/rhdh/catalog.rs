//! Catalog index images: default plugins, and entities for the portal's catalog.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use audit::{Blame, Event, Log, NoteShape, Progress};
use fetch::Fetcher;
use install::{CatalogError, Chain, Entities, IndexMemory};
use source::{Allowed, Source, SourcePolicy};

use super::variables::{Catalog, ExtraIndex};
use super::{includes, make_folder};
use crate::front::{Failure, Front, Session};
use crate::settings;

/// The file of default plugins that an index image has.
pub(super) struct IndexDefaults {
    /// What the log calls it.
    pub(super) shown_as: String,
    /// Its text.
    pub(super) yaml: Vec<u8>,
    /// What is to be remembered of it.
    pub(super) memory: Option<IndexMemory>,
}

/// The folder for entities, made if it is missing, where an image is named that may have some.
pub(super) fn folder(catalog: &Catalog) -> Result<Option<PathBuf>, Failure> {
    let Catalog { index, extra, entities } = catalog;
    if index.is_none() && extra.is_empty() {
        return Ok(None);
    }
    make_folder(entities, "the folder for catalog entities")?;
    match entities.canonicalize() {
        // All below it may be written, and that would be everything.
        Ok(folder) if folder.parent().is_none() => {
            let detail = format!("expected a folder for catalog entities, found `{}`", entities.display());
            let hint = "name another with `CATALOG_ENTITIES_EXTRACT_DIR`";
            Err(Failure::of_operator("usage", detail, Some(hint.to_owned())))
        }
        Ok(folder) => Ok(Some(folder)),
        Err(error) => Err(super::host("find the folder for catalog entities", entities, &error)),
    }
}

/// Brings what the images have: without the primary one there is no run, without another one there are fewer entities.
pub(super) fn bring(
    front: &Front<'_>,
    session: &mut Session,
    wishes: &Catalog,
    policy: &SourcePolicy,
    (fetcher, folder): (&Arc<Fetcher>, &Path),
) -> Result<Option<IndexDefaults>, Failure> {
    let limits = settings::limits(&front.args.limits);
    let Session { log, stop, .. } = session;
    let waited = RefCell::new(Vec::new());
    let waiting = |why| waited.borrow_mut().push(why);
    let catalog = install::Catalog { fetcher, folder, limits: &limits, stop, waiting: &waiting };
    let tell_waited = |log: &mut Log| {
        for detail in waited.borrow_mut().drain(..) {
            log.record(&Event::Warning { reason: "retry", detail: &detail, hint: None });
        }
    };
    let mut defaults = None;
    if let Some(image) = &wishes.index {
        heading(log, &format!("Extracting catalog index from {image}"));
        let had = admitted(image, policy)
            .and_then(|source| catalog.primary(&source, front.root).map_err(|error| failed(&error, folder)));
        tell_waited(log);
        // Nobody looks for an image that no list names.
        let index =
            had.map_err(|failure| Failure { detail: format!("`CATALOG_INDEX_IMAGE`: {}", failure.detail), ..failure })?;
        if let Some(why) = &index.stale {
            let detail = format!("`{image}` could not be asked, and what it said the last time serves: {}", Chain(why));
            log.record(&Event::Warning { reason: "catalog_index_stale", detail: &detail, hint: why.hint().as_deref() });
        }
        tell_entities(log, image, index.entities);
        let shown_as = format!("{image}/{}", includes::DEFAULTS);
        defaults = Some(IndexDefaults { shown_as, yaml: index.defaults, memory: index.memory });
    }
    for ExtraIndex { name, image } in &wishes.extra {
        heading(log, &format!("Extracting extra catalog index `{name}` from {image}"));
        let had = admitted(image, policy)
            .and_then(|source| catalog.extra(&source, name).map_err(|error| failed(&error, folder)));
        tell_waited(log);
        match had {
            Ok(entities) => tell_entities(log, image, entities),
            Err(failure) if failure.reason == "interrupted" => return Err(failure),
            Err(Failure { detail, hint, .. }) => {
                let detail = format!("the catalog entities of `{image}` are left out: {detail}");
                log.record(&Event::Warning { reason: "extra_index_skipped", detail: &detail, hint: hint.as_deref() });
            }
        }
    }
    Ok(defaults)
}

/// An index image, which the list's policy judges like a plugin's.
fn admitted(image: &str, policy: &SourcePolicy) -> Result<Allowed<Source>, Failure> {
    let package = if image.contains("://") { image.to_owned() } else { format!("oci://{image}") };
    let source = Source::parse(&package)
        .map_err(|error| Failure::of_operator(error.reason(), error.to_string(), error.hint()))?;
    policy.admit(source).map_err(|error| Failure::of_operator(error.reason(), error.to_string(), Some(error.hint())))
}

fn failed(error: &CatalogError, folder: &Path) -> Failure {
    let (reason, blame) = (error.reason(), error.blame());
    let writable = || format!("let this user write to `{}`, or set `CATALOG_ENTITIES_EXTRACT_DIR`", folder.display());
    let hint = error.hint().or_else(|| (blame == Blame::Host).then(writable));
    Failure { reason, detail: Chain(error).to_string(), hint, blame }
}

fn heading(log: &mut Log, detail: &str) {
    log.record(&Event::Progress(Progress::Note { shape: NoteShape::Heading, detail }));
}

fn tell_entities(log: &mut Log, image: &str, entities: Entities) {
    match entities {
        Entities::There => {
            let detail = "Extracted catalog entities";
            log.record(&Event::Progress(Progress::Note { shape: NoteShape::Item, detail }));
        }
        Entities::None => {
            let detail = format!("`{image}` has no catalog entities");
            log.record(&Event::Warning { reason: "catalog_entities_missing", detail: &detail, hint: None });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_have_a_folder_of_their_own_where_an_image_may_have_some() {
        let parent = tempfile::tempdir().unwrap();
        let entities = parent.path().join("made/extensions");
        let image = || "quay.io/rhdh/index:1".to_owned();
        let extra = || vec![ExtraIndex { name: "x".to_owned(), image: image() }];
        let found = |index, extra, entities: &std::path::Path| {
            folder(&Catalog { index, extra, entities: entities.to_owned() }).map_err(|failure| failure.reason)
        };
        assert_eq!(found(None, Vec::new(), &entities), Ok(None));
        assert!(!entities.exists());
        for (index, extra) in [(Some(image()), Vec::new()), (None, extra())] {
            assert_eq!(found(index, extra, &entities), Ok(Some(entities.canonicalize().unwrap())));
        }
        assert_eq!(found(Some(image()), Vec::new(), "/".as_ref()), Err("usage"));
        assert_eq!(found(Some(image()), Vec::new(), "/dev/null/x".as_ref()), Err("root_unwritable"));
    }
}
