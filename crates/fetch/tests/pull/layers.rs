//! Images of several layers, each of which has bytes and a proof of its own.

use std::io::{Read as _, Seek as _};
use std::sync::atomic::{AtomicUsize, Ordering};

use fetch::{FetchError, Fetched, Fetcher, Layers, Located, Spool};
use integrity::{Evidence, Hashes, Promise};
use source::{Source, SourcePolicy};

use super::*;

const LAYERS: [&[u8]; 3] = [b"lowest", b"middle", b"highest"];

fn of_layers(layers: &[&[u8]]) -> Image {
    layers[1..].iter().fold(Image::new(OCI_LAYER, layers[0]), |image, layer| image.layer(OCI_LAYER, layer))
}

fn setup() -> Setup {
    Setup { access: Access { layers: Layers::Several, ..Access::anonymous() }, ..Setup::default() }
}

fn locate(fetcher: &Fetcher, registry: &Registry, reference: &str) -> Located {
    let source = Source::parse_rhdh(&format!("oci://{}/{REPOSITORY}{reference}", registry.host())).unwrap();
    let allowed = SourcePolicy::permissive().admit(source).unwrap();
    fetcher.locate(&allowed, &Stop::new(), &|_, _| ()).unwrap()
}

/// Fetches into as many spools as are asked for, up to so many.
fn fetch_into(fetcher: &Fetcher, located: Located, promise: &Promise, spools: usize) -> Result<Fetched, FetchError> {
    let given = AtomicUsize::new(0);
    let give = || {
        let is_left = given.fetch_add(1, Ordering::Relaxed) < spools;
        if is_left { tempfile::tempfile().map(Spool::new) } else { Err(io::ErrorKind::StorageFull.into()) }
    };
    fetcher.fetch_located(located, promise, &give, &Stop::new(), &|_, _| ())
}

#[test]
fn each_layer_is_proved_by_its_own_digest_the_lowest_first() {
    let bench = Bench::new();
    let registry = bench.world.registry(Quirks::plain());
    registry.push_image(REPOSITORY, "1", &of_layers(&LAYERS));
    let fetcher = bench.fetcher(setup());
    let located = locate(&fetcher, &registry, ":1!plugin-a");
    assert_eq!(located.size(), Some(LAYERS.concat().len() as u64));
    let artifact = fetch_into(&fetcher, located, &Promise::Registry, 3).unwrap();
    assert_eq!(artifact.len(), LAYERS.concat().len() as u64);
    let found: Vec<_> = artifact
        .verify(&Promise::Registry)
        .unwrap()
        .into_iter()
        .map(|mut layer| {
            let mut bytes = Vec::new();
            layer.rewind().and_then(|()| layer.read_to_end(&mut bytes)).unwrap();
            let Evidence::OciDigest(digest) = layer.evidence() else { panic!("{:?}", layer.evidence()) };
            (bytes, digest.to_string())
        })
        .collect();
    assert_eq!(found, LAYERS.map(|layer| (layer.to_vec(), sha256_digest(layer))));
}

#[test]
fn layers_are_not_pinned_by_one_integrity_and_need_a_spool_each() {
    let bench = Bench::new();
    let registry = bench.world.registry(Quirks::plain());
    registry.push_image(REPOSITORY, "1", &of_layers(&LAYERS));
    let fetcher = bench.fetcher(setup());
    let pinned = Promise::Hashes(Hashes::parse(&sri(LAYERS[0])).unwrap());
    for (promise, spools, expected) in [
        (&pinned, 3, "integrity_unsupported"),
        (&Promise::Registry, 2, "io_error"),
        (&Promise::Registry, 0, "io_error"),
    ] {
        let located = locate(&fetcher, &registry, ":1!plugin-a");
        let error = fetch_into(&fetcher, located, promise, spools).unwrap_err();
        assert_eq!(error.reason(), expected, "{promise:?}, {spools}");
    }
}

#[test]
fn layers_together_are_no_larger_than_an_artifact_may_be() {
    let bench = Bench::new();
    let registry = bench.world.registry(Quirks::plain());
    registry.push_image(REPOSITORY, "1", &of_layers(&LAYERS));
    for (artifact_bytes, expected) in [(19, Ok(())), (18, Err("artifact_too_large"))] {
        let fetcher =
            bench.fetcher(Setup { limits: FetchLimits { artifact_bytes, ..FetchLimits::default() }, ..setup() });
        let located = locate(&fetcher, &registry, ":1!plugin-a");
        let artifact = fetch_into(&fetcher, located, &Promise::Registry, 3);
        assert_eq!(artifact.map(drop).map_err(|error| error.reason()), expected, "{artifact_bytes}");
    }
}

#[test]
fn same_layers_serve_another_plugin_of_the_image_and_no_other_image() {
    let bench = Bench::new();
    let registry = bench.world.registry(Quirks::plain());
    registry.push_image(REPOSITORY, "1", &of_layers(&LAYERS));
    registry.push_image(REPOSITORY, "2", &of_layers(&[LAYERS[0], LAYERS[2], LAYERS[1]]));
    let fetcher = bench.fetcher(setup());
    let artifact = fetch_into(&fetcher, locate(&fetcher, &registry, ":1!plugin-a"), &Promise::Registry, 3).unwrap();
    let other = artifact.of(&locate(&fetcher, &registry, ":1!plugin-b")).unwrap();
    let path = |artifact: &Fetched| artifact.origin().plugin_path.as_ref().map(ToString::to_string);
    assert_eq!((path(&artifact).as_deref(), path(&other).as_deref()), (Some("plugin-a"), Some("plugin-b")));
    assert_eq!(other.verify(&Promise::Registry).unwrap().len(), 3);
    assert!(artifact.of(&locate(&fetcher, &registry, ":2!plugin-a")).is_none());
}
