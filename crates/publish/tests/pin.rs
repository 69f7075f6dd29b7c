//! A values file pinned against servers in this process, over the real client.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::io::{self, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use config::Pins;
use fetch::{Access, FetchLimits, Fetcher, Spool};
use publish::{Address, PinError, PinFailure, Pinned, Refresh, pin};
use source::SourcePolicy;
use tempfile::NamedTempFile;
use testkit::{HttpServer, Image, Plugin, Proxy, Pushed, Quirks, Registry, Reply, World, sha256_digest, sri};
use transport::{Clock, HttpClient, ProxyRules, Retry, Stop, SystemClock, Timeouts, Trust};

const FILES: &str = "artifacts.internal.example.com";

/// A registry and an https server under the names that the chart's files write.
struct Bench {
    github: Registry,
    _files: HttpServer,
    world: World,
    proxy: Proxy,
    authority: NamedTempFile,
}

impl Bench {
    fn new() -> Self {
        let world = World::new();
        let github = world.registry(Registry::builder().quirks(Quirks::ghcr()).public(""));
        let files = world.server(FILES, |request| match request.path.as_str() {
            "/plugins/world-0.4.0.tgz" => Reply::ok().body(world_tarball()),
            "/plugins/login.tgz" => Reply::ok().body(*b"<!doctype html><title>Who are you?</title>"),
            "/plugins/empty.tgz" => Reply::ok(),
            _ => Reply::status(404),
        });
        let proxy = Proxy::start(&world);
        let mut authority = NamedTempFile::new().unwrap();
        authority.write_all(world.ca().pem().as_bytes()).unwrap();
        Self { github, _files: files, world, proxy, authority }
    }

    fn push(&self, repository: &str, tag: &str, content: &str) -> Pushed {
        self.github.push(repository, tag, &Plugin::backend("hello").file("dist/x.js", content).tarball())
    }

    fn fetcher(&self, policy: SourcePolicy) -> Fetcher {
        let proxies = ProxyRules::parse(Some(&self.proxy.url()), None).unwrap();
        let trust = Trust { file: Some(self.authority.path().to_owned()), ..Trust::default() };
        let client = HttpClient::new("butler-plugins-tests", &trust, proxies, Timeouts::default()).unwrap();
        let clock = Arc::new(SystemClock::start()) as Arc<dyn Clock>;
        let (access, limits) = (Access::anonymous(), FetchLimits::default());
        Fetcher::new(Arc::new(client), clock, policy, access, limits, Retry::default())
    }

    fn pin(&self, text: &str, refresh: Refresh, address: Address) -> Pinned {
        self.pin_into(text, refresh, address, &spool, &Stop::new()).unwrap()
    }

    fn pin_into(
        &self,
        text: &str,
        refresh: Refresh,
        address: Address,
        spool: &(dyn Fn() -> io::Result<Spool> + Sync),
        stop: &Stop,
    ) -> Result<Pinned, PinError> {
        let pins = Pins::read(text.as_bytes()).unwrap_or_else(|problems| panic!("{}", problems.render("values.yaml")));
        let fetcher = self.fetcher(pins.policy().clone());
        pin(&pins, &fetcher, refresh, address, spool, stop, &|package, error, _| panic!("{package}: {error}"))
    }

    fn requests(&self) -> usize {
        self.world.recorder().requests().len()
    }
}

fn spool() -> io::Result<Spool> {
    tempfile::tempfile().map(Spool::new)
}

fn world_tarball() -> Vec<u8> {
    Plugin::frontend("world").version("0.4.0").tarball()
}

/// `entry reason` of each failure.
fn failures(pinned: &Pinned) -> Vec<String> {
    let told = |failure: &PinFailure| format!("{} {}", failure.entry, failure.cause.reason());
    pinned.failures.iter().map(told).collect()
}

/// What the program `patch` makes of the text; where there is none, what it should.
fn patched(before: &str, pinned: &Pinned) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut file = NamedTempFile::new_in(&folder).unwrap();
    file.write_all(before.as_bytes()).unwrap();
    let name = file.path().file_name().unwrap().to_str().unwrap();
    let patch = Command::new("patch").args(["-p0", "--silent"]).current_dir(&folder).stdin(Stdio::piped()).spawn();
    let Ok(mut patch) = patch else { return pinned.text.clone() };
    patch.stdin.take().unwrap().write_all(pinned.diff(name).as_bytes()).unwrap();
    assert!(patch.wait().unwrap().success(), "{}", pinned.diff(name));
    std::fs::read_to_string(file.path()).unwrap()
}

#[test]
fn what_is_missing_is_pinned_and_the_rest_left_and_told() {
    let bench = Bench::new();
    let hello = bench.push("my-org/hello", "1.2.3", "1");
    let pinned_already = bench.push("my-org/done", "1.0.0", "2");
    let evil = bench.world.server("evil.example", |_| Reply::ok().body(*b"x"));
    let before = format!(
        "# Plugins\r\nallowedSources: ['oci://ghcr.io/my-org', 'https://{FILES}/plugins']\r\nplugins:\r\n\
         - package: oci://ghcr.io/my-org/hello:1.2.3   # ours\r\n  # see the wiki\r\n  pluginConfig: {{a: 1}}\r\n\
         - package: oci://ghcr.io/my-org/gone:1.0.0\r\n\
         - package: https://evil.example/x.tgz\r\n\
         - package: https://{FILES}/plugins/world-0.4.0.tgz\r\n  integrity: ''\r\n\
         - package: oci://ghcr.io/my-org/done:1.0.0\r\n  integrity: {}\r\n\
         - package: oci://ghcr.io/my-org/hello:1.2.3\r\n\
         - package: oci://ghcr.io/my-org/done:1.0.1\r\n  integrity: any\r\n\
         - disabled: true\r\n  package: oci://ghcr.io/my-org/gone:1.0.0",
        pinned_already.integrity,
    );
    let pinned = bench.pin(&before, Refresh::Missing, Address::AsWritten);
    let expected = before
        .replacen("# ours\r\n", &format!("# ours\r\n  integrity: {}\r\n", hello.integrity), 1)
        .replace("''", &format!("'{}'", sri(&world_tarball())));
    assert_eq!(pinned.text, expected);
    assert_eq!(patched(&before, &pinned), expected);
    let told =
        ["1 oci_pull_failed", "2 source_not_allowed", "5 duplicate_plugin", "6 integrity_invalid", "7 oci_pull_failed"];
    assert_eq!(failures(&pinned), told);
    assert!(pinned.failures.iter().all(|failure| failure.disabled == (failure.entry == 7)));
    assert!(pinned.failures.iter().all(|failure| failure.cause.hint().is_some()));
    let changed: Vec<_> = pinned.changes.iter().map(|change| (change.entry, change.place.position().line)).collect();
    assert_eq!(changed, [(0, 4), (3, 9)]);
    assert_eq!(bench.world.recorder().to_origin(evil.origin()), []);
    assert_eq!(bench.world.recorder().count("/v2/my-org/done/manifests/1.0.0"), 0);
}

#[test]
fn the_chart_s_values_are_pinned_with_their_comments() {
    let bench = Bench::new();
    let hello = bench.push("my-org/hello", "1.2.3", "1");
    let before = include_str!("../../../fixtures/real-configs/butler/values.chart-enabled.yaml");
    let pinned = bench.pin(before, Refresh::All, Address::AsWritten);
    let old = config::Pins::read(before.as_bytes()).unwrap().entries()[0].integrity().unwrap().to_string();
    let expected = before.replacen(&old, &hello.integrity, 1).replacen(&old, &sri(&world_tarball()), 1);
    assert_eq!(pinned.text, expected);
    assert_eq!(patched(before, &pinned), expected);
    assert!(pinned.is_complete());
    let before: Vec<_> = pinned.changes.iter().map(|change| change.before.unwrap().to_string()).collect();
    assert_eq!(before, [old.clone(), old]);
}

#[test]
fn a_tag_that_moved_is_followed_when_asked_to() {
    let bench = Bench::new();
    let entry =
        |pushed: &Pushed| format!("plugins:\n- package: {}\n  integrity: {} # c\n", pushed.reference, pushed.integrity);
    let before = entry(&bench.push("my-org/hello", "1.x", "1"));
    let after = entry(&bench.push("my-org/hello", "1.x", "2"));

    let left = bench.pin(&before, Refresh::Missing, Address::AsWritten);
    assert_eq!((left.text.as_str(), left.diff("x").as_str(), bench.requests()), (before.as_str(), "", 0));
    assert!(left.is_complete() && left.changes.is_empty());

    let updated = bench.pin(&before, Refresh::All, Address::AsWritten);
    assert_eq!((updated.text.as_str(), updated.changes.len()), (after.as_str(), 1));
    let again = bench.pin(&updated.text, Refresh::All, Address::AsWritten);
    assert_eq!((again.text.as_str(), again.changes.len(), again.diff("x").as_str()), (after.as_str(), 0, ""));
}

#[test]
fn a_digest_decides_over_a_tag_that_moves_until_an_update_follows_it() {
    let bench = Bench::new();
    let new = bench.push("my-org/new", "1", "1");
    let pinned = bench.push("my-org/pinned", "1", "2");
    let old = bench.push("my-org/moved", "1", "3");
    bench.push("my-org/moved", "1", "4");
    let several = Image::new(testkit::OCI_LAYER, &Plugin::backend("hello").archive_under("plugins/a").gzip());
    let several = bench.github.push_image("my-org/several", "1", &several);
    let entry = |package: &str, integrity: &str| format!("- package: {package}\n{integrity}");
    let field = |integrity: &str| format!("  integrity: {integrity}\n");
    let kept = [
        entry(&old.reference, &field(&old.integrity)),
        entry(&format!("{}@{}", old.reference, old.digest), &field(&old.integrity)),
        entry(&format!("https://{FILES}/plugins/world-0.4.0.tgz"), &field(&sri(&world_tarball()))),
    ]
    .concat();
    let before = [
        "plugins:\n",
        &entry(&new.reference, ""),
        &entry(&format!("\"{}\"", pinned.reference), &field(&pinned.integrity)),
        &entry(&format!("{}!plugins/a", several.reference), ""),
        &kept,
    ]
    .concat();
    let at = |pushed: &Pushed, rest: &str| format!("{}@{}{rest}", pushed.reference, pushed.digest);
    let expected = [
        "plugins:\n",
        &entry(&at(&new, ""), &field(&new.integrity)),
        &entry(&format!("\"{}\"", at(&pinned, "")), &field(&pinned.integrity)),
        &entry(&at(&several, "!plugins/a"), &field(&several.integrity)),
        &kept,
    ]
    .concat();
    let result = bench.pin(&before, Refresh::Missing, Address::Digest);
    assert_eq!(result.text, expected);
    assert_eq!(failures(&result), ["3 integrity_mismatch"]);
    assert_eq!(bench.world.recorder().count("/plugins/world-0.4.0.tgz"), 0, "it is pinned, and has no digest to add");
    assert_eq!(result.changes[1].address, Some(at(&pinned, "")));

    let newer = bench.push("my-org/new", "1", "5");
    let kept = bench.pin(&result.text, Refresh::Missing, Address::Digest);
    assert!(kept.text.contains(&at(&new, "")), "the tag moved, the digest stayed");
    let again = bench.pin(&result.text, Refresh::All, Address::Digest);
    let changed: Vec<_> = again.changes.iter().map(|change| change.entry).collect();
    assert_eq!((changed, failures(&again)), (vec![0, 3, 4], vec![]));
    assert!(again.text.contains(&entry(&at(&newer, ""), &field(&newer.integrity))), "{}", again.text);
    let unmoved = bench.pin(&again.text, Refresh::All, Address::AsWritten);
    assert_eq!(unmoved.changes.len(), 0, "{}", unmoved.diff("x"));
}

#[test]
fn many_entries_are_fetched_side_by_side_and_told_in_order() {
    let bench = Bench::new();
    let pushed: Vec<_> = (0..12).map(|n| bench.push(&format!("my-org/p{n}"), "1", &n.to_string())).collect();
    let list = |more: &dyn Fn(&Pushed) -> String| {
        let row = |pushed: &Pushed| format!("\n- {{package: {}{}}}", pushed.reference, more(pushed));
        format!("plugins:{}", pushed.iter().map(row).collect::<Vec<_>>().concat())
    };
    let pinned = bench.pin(&list(&|_| String::new()), Refresh::Missing, Address::AsWritten);
    assert_eq!(pinned.text, list(&|pushed| format!(", integrity: {}", pushed.integrity)));
    assert!(pinned.changes.iter().map(|change| change.entry).eq(0..12));
}

#[test]
fn an_entry_that_cannot_be_edited_does_not_hold_up_the_others() {
    let bench = Bench::new();
    let (shared, own) = (bench.push("my-org/a", "1", "1"), bench.push("my-org/b", "1", "2"));
    let before = format!(
        "dynamicPlugins:\n  plugins:\n  - &a {{package: {}}}\n  - package: {}\nother: *a\n",
        shared.reference, own.reference
    );
    let pinned = bench.pin(&before, Refresh::Missing, Address::AsWritten);
    assert_eq!(failures(&pinned), ["0 config_invalid"]);
    assert_eq!(pinned.text, before.replace("\nother", &format!("\n    integrity: {}\nother", own.integrity)));
    assert!(!pinned.is_complete());
}

#[test]
fn a_spool_that_cannot_be_made_is_told_and_a_wish_to_stop_obeyed() {
    let bench = Bench::new();
    let pushed = bench.push("my-org/a", "1", "1");
    let text = format!("plugins:\n- package: {}\n- package: {}1\n", pushed.reference, pushed.reference);
    let made = AtomicUsize::new(0);
    let full = || {
        made.fetch_add(1, Ordering::Relaxed);
        Err(io::ErrorKind::StorageFull.into())
    };
    let pinned = bench.pin_into(&text, Refresh::Missing, Address::AsWritten, &full, &Stop::new()).unwrap();
    assert_eq!(
        (failures(&pinned), pinned.text.as_str()),
        (vec!["0 io_error".to_owned(), "1 io_error".to_owned()], text.as_str())
    );
    assert_eq!(made.into_inner(), 2);

    let stop = Stop::new();
    stop.ask();
    let error = bench.pin_into(&text, Refresh::Missing, Address::AsWritten, &spool, &stop).unwrap_err();
    assert_eq!((error.reason(), bench.requests()), ("interrupted", 0));
}

#[test]
fn digests_are_those_of_the_bytes_in_the_registry() {
    let bench = Bench::new();
    let pushed = bench.push("my-org/a", "1", "1");
    let manifest = bench.github.manifest("my-org/a", "1").unwrap();
    let pinned = bench.pin(&format!("plugins: [{{package: {}}}]", pushed.reference), Refresh::All, Address::Digest);
    assert!(pinned.text.contains(&format!("{}@{},", pushed.reference, sha256_digest(&manifest))), "{}", pinned.text);
}

#[test]
fn what_is_no_gzip_is_not_pinned() {
    let bench = Bench::new();
    let page = sri(b"<!doctype html><title>Who are you?</title>");
    for (file, integrity) in [("login.tgz", ""), ("empty.tgz", ""), ("login.tgz", page.as_str())] {
        let text = format!("plugins: [{{package: https://{FILES}/plugins/{file}, integrity: '{integrity}'}}]");
        let pinned = bench.pin(&text, Refresh::All, Address::AsWritten);
        assert_eq!((failures(&pinned), pinned.text.as_str()), (vec!["0 archive_invalid".to_owned()], text.as_str()));
        assert!(pinned.failures[0].cause.hint().is_some_and(|hint| hint.contains("login")));
    }
}

#[test]
fn a_diff_shows_the_lines_that_change_and_names_their_entries() {
    let bench = Bench::new();
    let one = bench.push("my-org/one", "1", "1");
    let two = bench.push("my-org/two", "1", "2");
    let before = format!(
        "x-token: s3cret-a\nplugins:\n- pluginConfig: {{token: s3cret-b}}\n  package: {}\n- disabled: false\n  \
         pluginConfig:\n    token: s3cret-c\n  package: {}\n  integrity: {}\n  x-note: s3cret-d\n",
        one.reference,
        two.reference,
        sri(b"old"),
    );
    let pinned = bench.pin(&before, Refresh::All, Address::AsWritten);
    let old = sri(b"old");
    assert_eq!(
        pinned.diff("values.yaml"),
        format!(
            "--- values.yaml\n+++ values.yaml\n@@ -4,0 +5 @@ {}\n+  integrity: {}\n@@ -9 +10 @@ {}\n-  integrity: \
             {old}\n+  integrity: {}\n",
            one.reference, one.integrity, two.reference, two.integrity
        )
    );
    assert_eq!(patched(&before, &pinned), pinned.text);
}

#[test]
fn a_line_with_several_entries_names_them_all() {
    let bench = Bench::new();
    let (one, two) = (bench.push("my-org/one", "1", "1"), bench.push("my-org/two", "1", "2"));
    let before = format!("plugins: [{{package: {}}}, {{package: {}}}]\n", one.reference, two.reference);
    let pinned = bench.pin(&before, Refresh::Missing, Address::AsWritten);
    let heading = format!("@@ -1 +1 @@ {}, {}\n", one.reference, two.reference);
    assert!(pinned.diff("x").contains(&heading), "{}", pinned.diff("x"));
}

#[test]
fn an_index_is_pinned_as_a_whole_and_not_for_one_platform() {
    let bench = Bench::new();
    let amd = bench.push("my-org/a", "amd", "amd");
    let arm = bench.push("my-org/a", "arm", "arm");
    let entries = [("linux", "amd64", amd.digest.as_str()), ("linux", "arm64", arm.digest.as_str())];
    let index = bench.github.push_index("my-org/a", "1", &entries);
    let reference = amd.reference.replace(":amd", ":1");
    let pinned = bench.pin(&format!("plugins: [{{package: {reference}}}]"), Refresh::All, Address::Digest);
    assert!(pinned.text.contains(&format!("{reference}@{index},")), "{}", pinned.text);
}
