//! Tags: written once, moved only when told to, and never from under somebody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use oci::{Client, Credentials, TrustedRealms};
use publish::{Existing, Holds, Packed, Progress, Provenance, PushError, PushOptions, Registry, Target};
use testkit::{Ca, Registry as Served, Reply};

use crate::desk::{Desk, Listener, RETRY, client, image, package};

/// Pushes to `acme/hello` under these tags, with words about where it comes from. Answers which tags moved.
fn push(
    served: &Served,
    packed: &Packed,
    tags: &str,
    revision: &str,
    existing: Existing,
) -> Result<Vec<String>, PushError> {
    let (transport, _authority) = client(&Ca::new());
    let client = Client::new(transport, Credentials::none(), TrustedRealms::built_in());
    let registry = Registry { client, retry: RETRY };
    let target = Target::parse(&reference(served, tags), &[], &[], || unreachable!()).unwrap();
    let provenance = Provenance { revision: Some(revision.to_owned()), ..Provenance::default() };
    let options = PushOptions { existing, chunk: None, mount_from: None };
    let desk = Desk::new();
    let listener = Arc::new(Listener::default());
    let progress: Arc<dyn Progress> = Arc::clone(&listener) as _;
    drop(registry.push(packed, &target, &provenance, &options, &progress, desk.patience())?);
    Ok(listener.moves())
}

fn reference(served: &Served, tags: &str) -> String {
    format!("oci://{}/acme/hello:{tags}", served.host())
}

/// How often a tag was written.
fn written(served: &Served, tag: &str) -> usize {
    let path = format!("/v2/acme/hello/manifests/{tag}");
    served.recorder().requests().iter().filter(|request| request.method == "PUT" && request.path == path).count()
}

#[test]
fn a_tag_that_appears_while_the_artifact_is_sent_is_left_alone() {
    let served = Served::start();
    let theirs = testkit::sha256_digest(b"theirs");
    let digest = theirs.clone();
    let looks = AtomicUsize::new(0);
    served.server().intercept(move |request, answer| {
        let looks_for_2 = request.method == "HEAD" && request.path.ends_with("/manifests/2");
        if looks_for_2 && looks.fetch_add(1, Ordering::SeqCst) > 0 {
            return Reply::ok().header("docker-content-digest", &digest);
        }
        answer()
    });
    let error = push(&served, &package("1"), "1,2,3", "a", Existing::Refuse).unwrap_err();
    assert_eq!(error.reason(), "tag_exists");
    assert!(error.to_string().contains(&theirs), "{error}");
    assert!(error.to_string().ends_with(&format!(" after `{}` was written", reference(&served, "1"))), "{error}");
    assert_eq!(["1", "2", "3"].map(|tag| written(&served, tag)), [1, 0, 0]);
}

#[test]
fn a_tag_whose_answer_was_lost_is_known_as_our_own() {
    let served = Served::start();
    let lost = AtomicUsize::new(0);
    served.server().intercept(move |request, answer| {
        let reply = answer();
        let writes = request.method == "PUT" && request.path.ends_with("/manifests/1");
        let is_first = writes && lost.fetch_add(1, Ordering::SeqCst) == 0;
        if is_first { Reply::status(503).retry_after("0") } else { reply }
    });
    push(&served, &package("1"), "1", "a", Existing::Refuse).unwrap();
    assert_eq!(written(&served, "1"), 1);
}

#[test]
fn a_tag_that_is_taken_says_whether_the_same_plugin_is_there() {
    let rows = [
        ("a package", package("1"), package("2")),
        ("an image", image(&["hello"]), image(&["hello", "world"])),
        ("an image of several", image(&["hello", "world"]), image(&["hello"])),
    ];
    for (name, ours, other) in rows {
        let served = Served::start();
        push(&served, &ours, "1", "a", Existing::Refuse).unwrap();
        push(&served, &other, "2", "a", Existing::Refuse).unwrap();
        served.recorder().clear();
        for (tags, holds, hint) in [
            ("1", vec![Holds::SamePlugin], "nothing needs to be published"),
            ("2", vec![Holds::Other], "--force"),
            ("1,2", vec![Holds::SamePlugin, Holds::Other], "--force"),
        ] {
            let error = push(&served, &ours, tags, "b", Existing::Refuse).unwrap_err();
            assert_eq!(error.reason(), "tag_exists", "{name} {tags}");
            assert!(error.hint().is_some_and(|said| said.contains(hint)), "{name} {tags}: {:?}", error.hint());
            let PushError::TagExists { taken, .. } = error else { panic!("{name} {tags}: {error}") };
            assert_eq!(taken.iter().map(|taken| taken.holds).collect::<Vec<_>>(), holds, "{name} {tags}");
        }
        let is_read = |method: &str| matches!(method, "GET" | "HEAD");
        assert!(served.recorder().requests().iter().all(|request| is_read(&request.method)), "{name}");
    }
}

#[test]
fn what_cannot_be_looked_into_counts_as_another_plugin() {
    let served = Served::start();
    push(&served, &package("1"), "1", "a", Existing::Refuse).unwrap();
    served.server().intercept(|request, answer| {
        if request.method == "GET" && request.path.contains("/manifests/") { Reply::status(403) } else { answer() }
    });
    let error = push(&served, &package("1"), "1", "b", Existing::Refuse).unwrap_err();
    let PushError::TagExists { taken, .. } = error else { panic!("{error}") };
    assert_eq!(taken[0].holds, Holds::Other);
}

#[test]
fn tags_that_are_moved_are_told() {
    let served = Served::start();
    let digest = |tag: &str| testkit::sha256_digest(&served.manifest("acme/hello", tag).unwrap());
    assert_eq!(push(&served, &package("1"), "1,2", "a", Existing::Replace).unwrap(), Vec::<String>::new());
    let old = digest("1");
    let remarks = push(&served, &package("2"), "1,3", "a", Existing::Replace).unwrap();
    let new = digest("1");
    assert_ne!(old, new);
    assert_eq!(remarks, [format!("{} from {old}", reference(&served, "1"))]);
    assert_eq!(push(&served, &package("2"), "1,3", "a", Existing::Replace).unwrap(), Vec::<String>::new());
}
