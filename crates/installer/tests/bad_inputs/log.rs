//! Rows about what the log may show of what others wrote: operators, publishers, servers.

use testkit::{Plugin, Quirks, Reply, docker_config};

use crate::bench::{Mode, Streams};
use crate::case::{Case, Entry, Listing};
use crate::logfmt::{Record, records};
use crate::net::{ARTIFACTS, Net, REGISTRY, named};
use crate::placeholder::{PLUG, good};
use crate::row::Row;

/// Bytes of an error body that nobody wants to read.
const LONG: usize = 1024 * 1024;

/// All rows are descriptions. Each run goes on after a rejection and must complete: a log is no reason to fail.
pub(crate) fn log(row: &Row) -> Result<Case, String> {
    let case = match row.id.as_str() {
        "PL01" => shown("oci://reg.example.com/my-org/plug:1\nts=2026-01-02T03:04:05Z level=INFO event=completed"),
        "PL02" => shown_of_both("oci://reg.example.com/my-org/plug:1\"x=y\"", "1.0.0\" event=\"fatal"),
        "PL03" => shown("oci://reg.example.com/my-org/\u{1b}[31m\u{7}\u{7f}\u{85}\u{9b}plug:1"),
        "PL04" => shown("oci://reg.example.com/my-org/\u{2028}\u{2029}\u{202e}plug:1"),
        "PL05" => long_error_body(),
        "PL06" => signed_redirects(),
        "PL07" => logins(),
        "PL08" => shown(""),
        "PL09" => unread(),
        _ => return Err(row.without_builder()),
    };
    Ok(Case { modes: &[Mode::FailOpen], ..case })
}

/// A package value that must come back out of the log as it went in.
fn shown(package: &str) -> Case {
    let mut net = Net::new();
    let served = net.push("plug:1.0.0", &Plugin::backend(PLUG));
    let listing = Listing::of([Entry::from(&served), Entry::new(package, &served.integrity)]);
    let package = package.to_owned();
    Case::listing(net, listing).holds(move |seen| survives(&seen.stderr, "plugin_rejected", "package", &package))
}

/// A package value, and a version from somebody's `package.json`.
fn shown_of_both(package: &str, version: &str) -> Case {
    let mut net = Net::new();
    let served = net.push("plug:1.0.0", &Plugin::backend(PLUG).version(version));
    let listing = Listing::of([Entry::from(&served), Entry::new(package, &served.integrity)]);
    let (package, version) = (package.to_owned(), version.to_owned());
    Case::listing(net, listing).holds(move |seen| {
        survives(&seen.stderr, "plugin_rejected", "package", &package)?;
        survives(&seen.stdout, "plugin_installed", "version", &version)
    })
}

fn survives(stream: &str, event: &str, key: &str, value: &str) -> Result<(), String> {
    let [record] = &told(stream, event)?[..] else { return Err(format!("expected one `{event}`")) };
    match record.field(key) {
        Some(found) if found == value => Ok(()),
        found => Err(format!("expected {value:?} for `{key}`, found {found:?}")),
    }
}

/// Error bodies that are too long and try to write records of their own: registries' error documents, and just text.
fn long_error_body() -> Case {
    const REPOSITORIES: [&str; 6] = ["text-400", "text-403", "text-404", "text-500", "document-400", "document-403"];
    let mut net = Net::new();
    let forged = "\r\nts=2026-01-02T03:04:05Z level=INFO event=plugin_installed package=forged\r\n".repeat(LONG / 64);
    let document = serde_json::json!({ "errors": [{ "code": "DENIED", "message": &forged[..32 * 1024] }] });
    net.registry(named(REGISTRY)).server().intercept(move |request, _| {
        let repository = REPOSITORIES.iter().find(|name| request.path.contains(**name)).expect("one of the six");
        let (kind, status) = repository.split_once('-').expect("a kind and a status");
        let reply = Reply::status(status.parse().expect("a status is a number"));
        if kind == "text" { reply.body(forged.clone().into_bytes()) } else { reply.json(&document) }
    });
    let integrity = testkit::sri(&good());
    let entries = REPOSITORIES.map(|name| Entry::new(&format!("oci://{REGISTRY}/my-org/{name}:1"), &integrity));
    Case::listing(net, Listing::of(entries)).holds(|seen| {
        // That no value is over 1 KiB is a rule of the reader.
        let rejected = told(&seen.stderr, "plugin_rejected")?;
        if rejected.len() == REPOSITORIES.len() && rejected.iter().all(|record| record.reason() == "oci_pull_failed") {
            return Ok(());
        }
        Err(format!("expected only failed pulls, found {rejected:?}"))
    })
}

/// Redirects to URLs whose query is a secret: one that works, and every way of failing behind one.
fn signed_redirects() -> Case {
    const SIGNED: &str = "X-Amz-Signature=s1gned&X-Amz-Credential=AKIAMADEUP";
    let mut net = Net::new();
    net.https(ARTIFACTS, |request| {
        let signed = |to: &str| Reply::redirect(302, &format!("https://{to}?{SIGNED}"));
        match request.path.as_str() {
            "/plugins/works.tgz" => signed(&format!("{ARTIFACTS}/plugins/signed/good")),
            "/plugins/forbidden.tgz" => signed(&format!("{ARTIFACTS}/plugins/signed/forbidden")),
            "/plugins/elsewhere.tgz" => signed("attacker.example/plugins/x.tgz"),
            "/plugins/loop.tgz" | "/plugins/signed/loop" => signed(&format!("{ARTIFACTS}/plugins/signed/loop")),
            "/plugins/unwritten.tgz" => signed(&format!("{ARTIFACTS}/plugins/../signed")),
            "/plugins/plain.tgz" => Reply::redirect(302, &format!("http://{ARTIFACTS}/plugins/x?{SIGNED}")),
            "/plugins/signed/good" => Reply::ok().body(good()),
            _ => Reply::status(403).body(format!("no such signature: {SIGNED}").into_bytes()),
        }
    });
    net.registry(named(REGISTRY)).server().intercept(|request, answer| {
        if request.path.contains("/blobs/") {
            Reply::redirect(307, &format!("https://cdn.example.com/blob?{SIGNED}"))
        } else {
            answer()
        }
    });
    net.https("cdn.example.com", |_| Reply::status(403));
    let pushed = net.push("blob:1", &Plugin::backend("blob"));
    let files = ["works", "forbidden", "elsewhere", "loop", "unwritten", "plain"];
    let integrity = testkit::sri(&good());
    let entries = files.map(|file| Entry::new(&format!("https://{ARTIFACTS}/plugins/{file}.tgz"), &integrity));
    let own = Entry::new(&format!("https://{ARTIFACTS}/plugins/own.tgz?{SIGNED}"), &integrity);
    let listing = Listing::of(entries.into_iter().chain([own, Entry::from(&pushed)]));
    let recorder = net.world.recorder().clone();
    let secrets = ["s1gned", "AKIAMADEUP"].map(str::to_owned).to_vec();
    Case { secrets, ..Case::listing(net, listing) }.holds(move |seen| {
        let followed = recorder.requests().iter().filter(|request| request.query.contains("s1gned")).count();
        let installed = told(&seen.stdout, "plugin_installed")?.len();
        let rejected = told(&seen.stderr, "plugin_rejected")?.len();
        if (installed, rejected) == (1, 7) && followed >= 4 {
            return Ok(());
        }
        Err(format!(
            "expected 1 installed and 7 rejected, found {installed} and {rejected}; {followed} signed requests"
        ))
    })
}

/// Logins that are right and logins that are wrong, and servers that say more than is good.
fn logins() -> Case {
    const PASSWORD: &str = "netrc-s3cret";
    let challenge = "Basic realm=\"chall3nge\"";
    let mut net = Net::new();
    let github = net.registry(Quirks::ghcr());
    let pushed = github.push("my-org/plug", "1.0.0", &good());
    let right: serde_json::Value = serde_json::from_str(&github.docker_config()).expect("a config is JSON");
    net.registry(named(REGISTRY)).server().intercept(move |_, _| {
        Reply::status(401).header("www-authenticate", challenge).header("set-cookie", "session=c00kie")
    });
    let bytes = Plugin::backend("private").tarball();
    let private = Entry::new(&format!("https://{ARTIFACTS}/plugins/private.tgz"), &testkit::sri(&bytes));
    net.https(ARTIFACTS, move |request| {
        let reply = match request.basic_credentials() {
            Some((_, password)) if password == PASSWORD && request.path.ends_with("/private.tgz") => {
                Reply::ok().body(bytes.clone())
            }
            _ => Reply::status(401).header("www-authenticate", challenge),
        };
        reply.header("set-cookie", "session=c00kie")
    });
    let wrong: serde_json::Value = serde_json::from_str(&docker_config(REGISTRY, "bob", "wr0ng-s3cret")).unwrap();
    let mut docker = right;
    docker["auths"][REGISTRY] = wrong["auths"][REGISTRY].clone();
    let integrity = testkit::sri(&good());
    let listing = Listing {
        allowed: format!("allowedSources: [oci://ghcr.io, oci://{REGISTRY}, https://{ARTIFACTS}]"),
        entries: vec![
            Entry::new(&pushed.reference, &pushed.integrity),
            private,
            Entry::new(&format!("oci://{REGISTRY}/my-org/plug:1"), &integrity),
            Entry::new(&format!("https://{ARTIFACTS}/plugins/locked.tgz"), &integrity),
        ],
    };
    let recorder = net.world.recorder().clone();
    let secrets = ["made-password", PASSWORD, "wr0ng-s3cret", "chall3nge", "c00kie"].map(str::to_owned).to_vec();
    let logins = Some((docker.to_string(), format!("machine {ARTIFACTS} login bob password {PASSWORD}\n")));
    Case { logins, secrets, ..Case::listing(net, listing) }.holds(move |seen| {
        let sent: Vec<_> = recorder
            .requests()
            .iter()
            .filter_map(|request| request.header("authorization")?.split_once(' ').map(|(_, value)| value.to_owned()))
            .collect();
        let outputs = [&seen.stdout, &seen.stderr, &seen.left_behind];
        if let Some(value) = sent.iter().find(|value| outputs.iter().any(|text| text.contains(value.as_str()))) {
            return Err(format!("`{value}` was sent, and stands in the output"));
        }
        let installed = told(&seen.stdout, "plugin_installed")?.len();
        let rejected = told(&seen.stderr, "plugin_rejected")?.len();
        // Tokens, the password for the tokens, a right and two wrong logins.
        if (installed, rejected) == (2, 2) && sent.len() >= 4 {
            return Ok(());
        }
        Err(format!("expected 2 installed and 2 rejected, found {installed} and {rejected}; {} logins", sent.len()))
    })
}

/// A log that nobody can have.
fn unread() -> Case {
    let mut net = Net::new();
    let served = net.push("plug:1.0.0", &Plugin::backend(PLUG));
    let case = Case::listing(net, Listing::of([Entry::from(&served)]));
    let streams = &[Streams::Captured, Streams::NoReader, Streams::Full, Streams::Closed];
    Case { streams, ..case }.holds(|seen| {
        let installed = seen.on_root("plug-dynamic/package.json").is_file();
        if (seen.status, installed) == (Some(0), true) {
            return Ok(());
        }
        Err(format!("{:?}: ended with {:?}, installed: {installed}", seen.streams, seen.status))
    })
}

fn told(stream: &str, event: &str) -> Result<Vec<Record>, String> {
    Ok(records(stream)?.into_iter().filter(|record| record.event() == event).collect())
}
