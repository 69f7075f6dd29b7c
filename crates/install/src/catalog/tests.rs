//! Index images that change, that are none, and that cannot be asked.

use std::fs;

use tempfile::TempDir;
use testkit::{Image, OCI_LAYER, Reply, Tarball, Tree};

use super::*;
use crate::site::Site;

/// A root and a folder for entities.
struct Place {
    root: TempDir,
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap(), folder: tempfile::tempdir().unwrap() }
    }

    /// Brings the index, and the plugins of its list become visible.
    fn primary(&self, site: &Site, image: &str) -> Result<Index, CatalogError> {
        let mut index = self.with(site, |catalog| catalog.primary(&site.allowed(image), self.root.path()))?;
        if let Some(memory) = index.memory.take() {
            memory.keep(&Dir::open(self.root.path()).unwrap()).unwrap();
        }
        Ok(index)
    }

    fn extra(&self, site: &Site, image: &str, name: &str) -> Result<Entities, CatalogError> {
        self.with(site, |catalog| catalog.extra(&site.allowed(image), name))
    }

    fn with<T>(&self, site: &Site, act: impl FnOnce(&Catalog<'_>) -> T) -> T {
        let (limits, stop) = (Limits::default(), Stop::new());
        let folder = self.folder.path();
        act(&Catalog { fetcher: &site.fetcher, folder, limits: &limits, stop: &stop, waiting: &|_| () })
    }

    /// The entities' files, and what else is in the folder besides marks.
    fn entities(&self) -> Vec<String> {
        let tree = Tree::of(self.folder.path()).unwrap();
        let names = tree.lines().iter().filter_map(|line| line.split_whitespace().find(|word| word.contains(".yaml")));
        names.map(str::to_owned).collect()
    }
}

fn push(site: &Site, tag: &str, archive: &Tarball) -> String {
    site.registry.push_image("index", tag, &Image::new(OCI_LAYER, &archive.gzip())).digest
}

/// An index of this list, and of one entity if it has a name.
fn index(list: &str, entity: Option<&str>) -> Tarball {
    let archive = Tarball::new().file(DEFAULTS, list);
    entity
        .into_iter()
        .fold(archive, |archive, name| archive.file(format!("catalog-entities/extensions/{name}.yaml"), "kind: Plugin"))
}

fn said(index: &Index) -> (&str, Entities, bool) {
    (str::from_utf8(&index.defaults).unwrap(), index.entities, index.stale.is_some())
}

#[test]
fn unchanged_index_is_asked_for_and_not_fetched_again() {
    let (site, place) = (Site::new(), Place::new());
    push(&site, "1", &index("plugins: []", Some("a")));
    for blobs in [1, 0] {
        let found = place.primary(&site, "oci://{}/index:1").unwrap();
        assert_eq!(said(&found), ("plugins: []", Entities::There, false));
        assert_eq!(site.asked(), (blobs, 1));
        assert_eq!(place.entities(), ["catalog-entities/a.yaml"]);
    }
    fs::remove_dir_all(place.folder.path().join(ENTITIES_FOLDER)).unwrap();
    fs::remove_file(place.folder.path().join(ENTITIES_MARK)).unwrap();
    place.primary(&site, "oci://{}/index:1").unwrap();
    assert_eq!((site.asked(), place.entities().len()), ((1, 1), 1), "another container's folder is empty");
}

#[test]
fn index_named_by_its_digest_is_not_asked_for_again() {
    let (site, place) = (Site::new(), Place::new());
    let digest = push(&site, "1", &index("plugins: []", None));
    let image = format!("oci://{{}}/index@{digest}");
    for requests in [(1, 1), (0, 0)] {
        assert_eq!(said(&place.primary(&site, &image).unwrap()), ("plugins: []", Entities::None, false));
        assert_eq!(site.asked(), requests);
    }
}

#[test]
fn index_that_cannot_be_asked_serves_as_it_was_and_no_other_does() {
    let (site, place) = (Site::new(), Place::new());
    push(&site, "1", &index("plugins: []", Some("a")));
    place.primary(&site, "oci://{}/index:1").unwrap();
    site.registry.server().intercept(|_, _| Reply::status(404));
    let found = place.primary(&site, "oci://{}/index:1").unwrap();
    assert_eq!(said(&found), ("plugins: []", Entities::There, true));
    assert_eq!(place.primary(&site, "oci://{}/index:2").unwrap_err().reason(), "oci_pull_failed");
    assert_eq!(Place::new().primary(&site, "oci://{}/index:1").unwrap_err().reason(), "oci_pull_failed");
    fs::write(place.root.path().join(MEMORY), "torn").unwrap();
    assert_eq!(place.primary(&site, "oci://{}/index:1").unwrap_err().reason(), "oci_pull_failed");
}

#[test]
fn entities_are_replaced_as_a_whole_and_those_of_before_go() {
    let (site, place) = (Site::new(), Place::new());
    let old = Tarball::new().file(DEFAULTS, "old").file("catalog-entities/marketplace/old.yaml", "kind: Plugin");
    for (archive, entities, names) in [
        (index("1", Some("a")), Entities::There, vec!["catalog-entities/a.yaml"]),
        (index("2", Some("b")), Entities::There, vec!["catalog-entities/b.yaml"]),
        (index("3", None), Entities::None, vec![]),
        (old, Entities::There, vec!["catalog-entities/old.yaml"]),
    ] {
        push(&site, "1", &archive);
        assert_eq!(place.primary(&site, "oci://{}/index:1").unwrap().entities, entities);
        assert_eq!(place.entities(), names);
    }
}

#[test]
fn image_that_is_no_index_changes_nothing() {
    let (site, place) = (Site::new(), Place::new());
    push(&site, "1", &index("plugins: []", Some("a")));
    place.primary(&site, "oci://{}/index:1").unwrap();
    let folders = [&place.root, &place.folder];
    let before = folders.map(|folder| Tree::of(folder.path()).unwrap());
    for (name, archive, reason) in [
        ("no list", Tarball::new().file("catalog-entities/extensions/b.yaml", ""), "catalog_index_invalid"),
        ("list that is too long", index(&" ".repeat(MAX_CONFIG_BYTES + 1), Some("b")), "io_error"),
        ("list that is a folder", Tarball::new().file(format!("{DEFAULTS}/x"), ""), "io_error"),
    ] {
        push(&site, "1", &archive);
        assert_eq!(place.primary(&site, "oci://{}/index:1").unwrap_err().reason(), reason, "{name}");
        assert_eq!(folders.map(|folder| Tree::of(folder.path()).unwrap()), before, "{name}");
    }
}

#[test]
fn each_extra_index_has_a_folder_of_its_own() {
    let (site, place) = (Site::new(), Place::new());
    let entities = |name: &str| Tarball::new().file(format!("catalog-entities/extensions/{name}.yaml"), "");
    push(&site, "1", &entities("a"));
    push(&site, "2", &entities("b"));
    push(&site, "3", &Tarball::new().file("README.md", ""));
    for (image, name, expected, requests) in [
        ("oci://{}/index:1", "one", Entities::There, (1, 1)),
        ("oci://{}/index:2", "two", Entities::There, (1, 1)),
        ("oci://{}/index:1", "one", Entities::There, (0, 1)),
        ("oci://{}/index:3", "three", Entities::None, (1, 1)),
    ] {
        assert_eq!(place.extra(&site, image, name).unwrap(), expected, "{image} {name}");
        assert_eq!(site.asked(), requests, "{image} {name}");
    }
    assert_eq!(place.entities(), ["extra/one/catalog-entities/a.yaml", "extra/two/catalog-entities/b.yaml"]);
}

#[test]
fn what_a_killed_run_was_filling_goes_unless_somebody_is_filling_one() {
    let parent = tempfile::tempdir().unwrap();
    let folder = Dir::open(parent.path()).unwrap();
    let abandoned = || folder.kind(".incoming-0000000000000000").unwrap().is_some();
    folder.create_dir(".incoming-0000000000000000").unwrap();
    folder.create_dir(ENTITIES_FOLDER).unwrap();
    let elsewhere = folder.open_or_create_file(INCOMING_LOCK, FileMode::Plain).unwrap();
    elsewhere.lock_shared().unwrap();
    let own = Incoming::make(&folder).unwrap();
    assert!(abandoned());
    drop((elsewhere, own));
    let own = Incoming::make(&folder).unwrap();
    assert!(!abandoned());
    // The lock is shared again: another one does not take this for abandoned, and may begin.
    let beside = Incoming::make(&folder).unwrap();
    assert!(folder.kind(&own.name).unwrap().is_some() && folder.kind(&beside.name).unwrap().is_some());
    assert!(folder.kind(ENTITIES_FOLDER).unwrap().is_some());
}
