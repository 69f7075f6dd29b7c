//! Pulls: several layers, and where `registries.conf` sends for them.

#![expect(clippy::unwrap_used, reason = "the tests' own functions are tests, too, which clippy does not see")]

mod layers;
mod site;

use std::error::Error;

use integrity::{Blame, Chain};
use oci::{Answered, OciError, Registries};
use site::{Site, pull, reference, resolve};
use testkit::{Auth, Registry, Reply, docker_config, sha256_digest};
use transport::Retryable as _;

/// `quay.io`, with a mirror that is asked first.
const MIRRORED: &str = "[[registry]]\nlocation = 'quay.io'\n[[registry.mirror]]\nlocation = 'm.example.com/quay'\n";

/// What a mirror answers in place of what it has.
type Fault = fn() -> Reply;

fn chain(error: &OciError) -> String {
    Chain(error as &dyn Error).to_string()
}

#[test]
fn mirror_gives_manifest_and_blobs() {
    let site = Site::new();
    let (mirror, origin) = (site.registry("m.example.com"), site.registry("quay.io"));
    mirror.push("quay/a/b", "1", b"of the mirror");
    origin.push("a/b", "1", b"of the origin");
    let client = site.client(MIRRORED);
    assert_eq!(pull(&client, "quay.io/a/b:1").unwrap(), [b"of the mirror"], "what a tag is, the mirror decides");
    assert!(site.asked().iter().all(|url| url.starts_with("https://m.example.com/v2/quay/a/b/")));
    let answered = resolve(&client, "quay.io/a/b:1").unwrap().answered;
    assert_eq!(answered, Answered::Elsewhere(reference("m.example.com/quay/a/b:1")));
}

#[test]
fn next_place_is_asked_when_one_fails_for_any_reason() {
    let html = || Reply::ok().header("content-type", "text/html").body(*b"<html>");
    let faults: [(&str, Option<Fault>); 6] = [
        ("down", None),
        ("missing", Some(|| Reply::status(404))),
        ("locked", Some(|| Reply::status(401))),
        ("broken", Some(|| Reply::status(503))),
        ("nonsense", Some(html)),
        ("redirect", Some(|| Reply::redirect(307, "https://evil.example/"))),
    ];
    for (name, fault) in faults {
        let site = Site::new();
        let (mirror, origin) = (Registry::builder().tls(&site.ca).start(), site.registry("quay.io"));
        if let Some(fault) = fault {
            site.lead("https://m.example.com", &mirror);
            mirror.server().intercept(move |_, _| fault());
        }
        origin.push("a/b", "1", b"tarball");
        let client = site.client(MIRRORED);
        assert_eq!(pull(&client, "quay.io/a/b:1").unwrap(), [b"tarball"], "{name}");
        let asked = site.asked();
        assert!(asked[0].starts_with("https://m.example.com/"), "{name}: {asked:?}");
        assert!(asked.last().unwrap().starts_with("https://quay.io/v2/a/b/blobs/"), "{name}: {asked:?}");
        assert_eq!(resolve(&client, "quay.io/a/b:1").unwrap().answered, Answered::Itself, "{name}");
    }
}

#[test]
fn other_bytes_than_the_digest_says_end_the_search() {
    let site = Site::new();
    let (mirror, origin) = (site.registry("m.example.com"), site.registry("quay.io"));
    let digest = origin.push("a/b", "1", b"tarball").digest;
    let other = mirror.push("quay/a/b", "1", b"another").digest;
    let manifest = mirror.manifest("quay/a/b", &other).unwrap();
    mirror
        .server()
        .intercept(move |_, _| Reply::ok().header("content-type", testkit::OCI_MANIFEST).body(manifest.to_vec()));
    let error = resolve(&site.client(MIRRORED), &format!("quay.io/a/b@{digest}")).unwrap_err();
    assert_eq!((error.cause(), error.blame()), ("digest_mismatch", Blame::Network));
    assert!(site.asked().iter().all(|url| url.starts_with("https://m.example.com/")), "the origin is not asked");
}

#[test]
fn failure_names_every_place_and_what_came_of_it() {
    let site = Site::new();
    let (mirror, _origin) = (site.registry("m.example.com"), site.registry("quay.io"));
    let error = resolve(&site.client(MIRRORED), "quay.io/a/b:1").unwrap_err();
    assert_eq!(
        chain(&error),
        "failed to resolve the manifest of `oci://quay.io/a/b:1`: asked in vain at `oci://m.example.com/quay/a/b:1` \
         (`m.example.com` answered 404: there is no such tag: NAME_UNKNOWN: repository name not known to registry), and at last at \
         `oci://quay.io/a/b:1`: `quay.io` answered 404: there is no such tag: NAME_UNKNOWN: repository name not known to registry"
    );
    assert_eq!((error.cause(), error.blame(), error.is_transient()), ("not_found", Blame::Operator, false));
    mirror.server().intercept(|_, _| Reply::status(429).retry_after("7"));
    let error = resolve(&site.client(MIRRORED), "quay.io/a/b:1").unwrap_err();
    assert!(error.is_transient() && error.retry_after().is_some(), "the mirror may do better: {}", chain(&error));
    let many = "[[registry.mirror]]\nlocation='other.example.com'\n".repeat(20);
    let error = resolve(&site.client(&format!("{MIRRORED}{many}")), "quay.io/a/b:1").unwrap_err();
    assert!(chain(&error).contains(" and 16 more, and at last") && chain(&error).len() < 4_000, "{}", chain(&error));
}

#[test]
fn blocked_registry_is_not_asked() {
    let site = Site::new();
    site.registry("quay.io");
    let blocked = "[[registry]]\nlocation = 'quay.io'\nblocked = true\n";
    let error = resolve(&site.client(blocked), "quay.io/a/b:1").unwrap_err();
    assert_eq!((error.cause(), error.blame(), error.is_transient()), ("blocked", Blame::Operator, false));
    assert!(error.hint().unwrap().contains("mirror"));
    assert_eq!(site.asked(), [] as [&str; 0]);
    let mirror = site.registry("m.example.com");
    mirror.push("a/b", "1", b"of the mirror");
    let mirrored = format!("{blocked}[[registry.mirror]]\nlocation = 'm.example.com'\n");
    assert_eq!(pull(&site.client(&mirrored), "quay.io/a/b:1").unwrap(), [b"of the mirror"]);
    drop(mirror);
    assert!(pull(&site.client(&mirrored), "quay.io/a/b:1").is_err());
    assert!(site.asked().iter().all(|url| url.starts_with("https://m.example.com/")));
}

#[test]
fn mirror_of_digests_is_not_asked_for_a_tag() {
    let site = Site::new();
    let (mirror, origin) = (site.registry("m.example.com"), site.registry("quay.io"));
    let digest = origin.push("a/b", "1", b"tarball").digest;
    assert_eq!(mirror.push("quay/a/b", "1", b"tarball").digest, digest);
    let client = site.client(&format!("{MIRRORED}pull-from-mirror = 'digest-only'\n"));
    for (text, host) in [("quay.io/a/b:1".to_owned(), "quay.io"), (format!("quay.io/a/b@{digest}"), "m.example.com")] {
        pull(&client, &text).unwrap();
        let asked = site.asked();
        assert!(asked.iter().all(|url| url.starts_with(&format!("https://{host}/"))), "{text}: {asked:?}");
    }
}

#[test]
fn login_is_the_one_of_the_place_that_is_asked() {
    let site = Site::new();
    let mirror = Registry::builder().tls(&site.ca).auth(Auth::basic("mirror", "mirror-password")).start();
    site.lead("https://m.example.com", &mirror);
    mirror.push("quay/a/b", "1", b"tarball");
    let registries = || Registries::none().and(MIRRORED).unwrap();
    let own = docker_config("m.example.com/quay", "mirror", "mirror-password");
    assert!(pull(&site.client_with(registries(), &own), "quay.io/a/b:1").is_ok());
    site.requests();
    let origins = docker_config("quay.io", "mirror", "mirror-password");
    let error = pull(&site.client_with(registries(), &origins), "quay.io/a/b:1").unwrap_err();
    assert!(site.requests().iter().all(|request| request.authorization.is_none()), "{}", chain(&error));
}

#[test]
fn insecure_place_is_spoken_to_in_the_clear_and_gets_no_login() {
    let config = docker_config("m.example.com:5000", "robot", "made-password");
    for (name, auth, insecure, expected) in [
        ("insecure", Auth::None, "insecure = true", None),
        ("not insecure", Auth::None, "", Some("asked in vain at `oci://m.example.com:5000/a/b:1` (request to")),
        ("locked", Auth::basic("robot", "made-password"), "insecure = true", Some("no login is sent over plain http")),
    ] {
        let site = Site::new();
        let mirror = Registry::builder().auth(auth).start();
        mirror.push("a/b", "1", b"tarball");
        site.lead("https://m.example.com:5000", &mirror);
        site.lead("http://m.example.com:5000", &mirror);
        let location = "[[registry]]\nlocation = 'quay.io'\n[[registry.mirror]]\nlocation = 'm.example.com:5000'\n";
        let registries = Registries::none().and(&format!("{location}{insecure}")).unwrap();
        let said = pull(&site.client_with(registries, &config), "quay.io/a/b:1").map_err(|error| chain(&error));
        match (said, expected) {
            (Ok(layers), None) => assert_eq!(layers, [b"tarball"], "{name}"),
            (Err(said), Some(expected)) => assert!(said.contains(expected), "{name}: {said}"),
            (found, _) => panic!("{name}: {found:?}"),
        }
        let requests = site.requests();
        assert!(requests.iter().all(|request| request.authorization.is_none()), "{name}: {requests:?}");
        let in_the_clear = requests.iter().any(|request| request.url.is_in_the_clear());
        assert_eq!(in_the_clear, !insecure.is_empty(), "{name}");
    }
}

#[test]
fn login_that_was_given_over_https_does_not_follow_in_the_clear() {
    let site = Site::new();
    let (plain, locked) =
        (Registry::start(), Registry::builder().tls(&site.ca).auth(Auth::basic("robot", "made-password")).start());
    for registry in [&plain, &locked] {
        registry.push("x", "1", b"tarball");
    }
    site.lead("http://both.example.com:5000", &plain);
    let conf = "[[registry]]\nprefix='a.example.com/x'\nlocation='both.example.com:5000/x'\ninsecure=true\n\
                [[registry]]\nprefix='b.example.com/x'\nlocation='both.example.com:5000/x'\n";
    let config = docker_config("both.example.com:5000", "robot", "made-password");
    let client = site.client_with(Registries::none().and(conf).unwrap(), &config);
    pull(&client, "a.example.com/x:1").unwrap();
    site.lead("https://both.example.com:5000", &locked);
    pull(&client, "b.example.com/x:1").unwrap();
    assert!(site.requests().iter().any(|request| request.authorization.is_some()));
    pull(&client, "a.example.com/x:1").unwrap();
    let requests = site.requests();
    assert!(requests.iter().all(|request| request.url.is_in_the_clear() && request.authorization.is_none()));
}

#[test]
fn red_hats_plugins_are_looked_for_at_quay_when_their_registry_has_them_not() {
    let site = Site::new();
    let (own, quay) = (site.registry("registry.access.redhat.com"), site.registry("quay.io"));
    quay.push("rhdh/a", "1", b"of quay");
    let client = site.client_with(Registries::rhdh(), "{}");
    let reference = "registry.access.redhat.com/rhdh/a:1";
    assert_eq!(pull(&client, reference).unwrap(), [b"of quay"]);
    let fallback = Answered::Fallback(site::reference("quay.io/rhdh/a:1"));
    assert_eq!(resolve(&client, reference).unwrap().answered, fallback);
    own.push("rhdh/a", "1", b"its own");
    assert_eq!(pull(&client, reference).unwrap(), [b"its own"]);
    assert!(pull(&site.client(""), "registry.access.redhat.com/rhdh/b:1").is_err());
    assert_eq!(sha256_digest(b"its own"), resolve(&client, reference).unwrap().layers[0].digest.to_string());
}
