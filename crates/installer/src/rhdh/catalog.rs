//! Catalog index images: default plugins, and entities for the portal's catalog.

use std::path::PathBuf;

use super::make_folder;
use super::variables::Catalog;
use crate::front::Failure;

/// The file of default plugins that an index image has.
pub(super) struct IndexDefaults {
    /// What the log calls it.
    pub(super) shown_as: String,
    /// Its text.
    pub(super) yaml: Vec<u8>,
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

/// Brings what the images have.
pub(super) fn bring(catalog: &Catalog) -> Result<Option<IndexDefaults>, Failure> {
    let image = catalog.index.as_ref().or_else(|| catalog.extra.first().map(|extra| &extra.image));
    image.map_or(Ok(None), |image| {
        let detail = format!("catalog index images are not pulled yet, found `{image}`");
        Err(Failure::of_operator("catalog_index_unsupported", detail, None))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rhdh::variables::ExtraIndex;

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
