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
