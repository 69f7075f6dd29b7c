//! Images that several plugins of one run are in: fetched once, and unpacked for each.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use fetch::{Fetched, Located};
use integrity::Promise;
use source::Source;

/// The images that more than one task needs, with what is promised about them: bytes are hashed as that asks for.
#[derive(Default)]
pub(crate) struct Shared(HashMap<String, Mutex<Option<Fetched>>>);

impl Shared {
    /// Counts who needs what.
    pub(crate) fn among<'s>(wanted: impl Iterator<Item = (&'s Source, &'s Promise)>) -> Self {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for image in wanted.filter_map(|(source, promise)| image(source, promise)) {
            *counts.entry(image).or_default() += 1;
        }
        Self(counts.into_iter().filter(|(_, count)| *count > 1).map(|(image, _)| (image, Mutex::default())).collect())
    }

    /// What another task has fetched of the same image, or what `fetch` brings; the others wait for it meanwhile. After
    /// a failure the next one tries for itself.
    pub(crate) fn fetch<E>(
        &self,
        (source, promise): (&Source, &Promise),
        located: Located,
        fetch: impl FnOnce(Located) -> Result<Fetched, E>,
    ) -> Result<Fetched, E> {
        let Some(shared) = image(source, promise).and_then(|image| self.0.get(&image)) else { return fetch(located) };
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fetched) = shared.as_ref().and_then(|fetched| fetched.of(&located)) {
            return Ok(fetched);
        }
        Ok(shared.insert(fetch(located)?).clone())
    }
}

/// The image that a source means, whatever of it is the plugin, and what its bytes are to be.
fn image(source: &Source, promise: &Promise) -> Option<String> {
    match source {
        Source::Oci(reference) => {
            let text = reference.to_string();
            let image = text.split('!').next().unwrap_or_default();
            Some(format!("{image} {promise}"))
        }
        Source::Https(_) | Source::Npm(_) | Source::Git(_) | Source::Local(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::Site;
    use fetch::Spool;
    use integrity::Promise;
    use testkit::{Image, OCI_LAYER};
    use transport::Stop;

    fn fetch(site: &Site, located: Located) -> Result<Fetched, ()> {
        let spool = || tempfile::tempfile().map(Spool::new);
        let fetched = site.fetcher.fetch_located(located, &Promise::Registry, &spool, &Stop::new(), &|_, _| ());
        fetched.map_err(drop)
    }

    #[test]
    fn image_of_several_plugins_is_fetched_once_and_any_other_for_each() {
        let site = Site::new();
        site.registry.push_image("many", "1", &Image::new(OCI_LAYER, b"several plugins"));
        site.registry.push_image("lone", "1", &Image::new(OCI_LAYER, b"one plugin"));
        let packages = ["oci://{}/many:1!a", "oci://{}/lone:1!a", "oci://{}/many:1!b", "./many:1!a", "./many:1!a"];
        let sources = packages.map(|package| site.allowed(package));
        let shared = Shared::among(sources.iter().map(|source| (source.subject(), &Promise::Registry)));
        for (source, blobs) in sources.iter().zip([1, 1, 0]) {
            let located = site.locate(source);
            let fetched =
                shared.fetch((source.subject(), &Promise::Registry), located, |located| fetch(&site, located)).unwrap();
            let Source::Oci(reference) = source.subject() else { unreachable!() };
            assert_eq!(fetched.origin().plugin_path.as_ref(), reference.plugin_path());
            assert_eq!(site.asked().0, blobs, "{reference}");
        }
        assert_eq!(shared.0.len(), 1, "only images are shared");
    }

    #[test]
    fn after_a_failure_the_next_one_tries_for_itself() {
        let site = Site::new();
        site.registry.push_image("many", "1", &Image::new(OCI_LAYER, b"several plugins"));
        let sources = ["oci://{}/many:1!a", "oci://{}/many:1!b"].map(|package| site.allowed(package));
        let shared = Shared::among(sources.iter().map(|source| (source.subject(), &Promise::Registry)));
        let [first, second] =
            sources.each_ref().map(|source| ((source.subject(), &Promise::Registry), site.locate(source)));
        shared.fetch(first.0, first.1, |_| Err(())).unwrap_err();
        assert!(shared.fetch(second.0, second.1, |located| fetch(&site, located)).is_ok());
    }

    #[test]
    fn tag_that_moved_meanwhile_is_fetched_anew() {
        let site = Site::new();
        let sources = ["oci://{}/many:1!a", "oci://{}/many:1!b"].map(|package| site.allowed(package));
        let shared = Shared::among(sources.iter().map(|source| (source.subject(), &Promise::Registry)));
        for (source, layer) in sources.iter().zip([b"old", b"new"]) {
            site.registry.push_image("many", "1", &Image::new(OCI_LAYER, layer));
            let located = site.locate(source);
            assert!(
                shared.fetch((source.subject(), &Promise::Registry), located, |located| fetch(&site, located)).is_ok()
            );
            assert_eq!(site.asked().0, 1);
        }
    }
}
