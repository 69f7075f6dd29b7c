//! The ten mistakes that operators are most likely to make, and what the log says of each: snapshots, to be read as a tired
//! person reads them.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::thread;

use testkit::{Auth, Plugin, Proxy, Quirks, Registry, Reply, Tarball, World, docker_config, sri};

use crate::portal::{OnReject, Portal, Run, entry, publish};

type Scene = (&'static str, fn() -> Run);

#[test]
fn likely_mistakes_are_told_with_what_to_do() {
    insta::assert_snapshot!(played(&[
        ("401, nobody is logged in", || private(|_, _| {})),
        ("401, the login is for the host without its port", || {
            private(|portal, _| log_in(portal, "127.0.0.1", "right"))
        }),
        ("401, the password is wrong", || private(|portal, host| log_in(portal, host, "wrong"))),
        ("401, the login is for another host", || private(|portal, _| log_in(portal, "ghcr.io", "right"))),
        ("403, the account may not read there", forbidden),
        ("404, no such tag", || changed("hello:1", "hello:2")),
        ("base64 that is wrapped in YAML", || wrapped("", "\n      ")),
        ("base64 that is wrapped in a block", || wrapped("|\n      ", "\n      ")),
        ("base64 that is wrapped in quotes", || wrapped("\"", "\\n")),
        ("sha512: and hex", || pinned("sha512:".to_owned() + &"0f".repeat(64))),
        ("sha512- and hex", || pinned("sha512-".to_owned() + &"0f".repeat(64))),
        ("another folder on top", || packed(&Plugin::backend("hello").archive_under("dist-dynamic").gzip())),
        ("files on top", || packed(&Tarball::new().file("package.json", b"{}").gzip())),
        ("a prefix that is nearly right", || changed("/my-org]", "/my]")),
        ("a key with a typing error", || changed("integrity:", "intergrity:")),
        ("a registry without TLS", || {
            registry_without_tls(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
        }),
        ("a registry without TLS that hangs up", || registry_without_tls(b"")),
        ("a server without TLS", || changed("package: oci://", "package: http://")),
        ("a prefix without TLS", || changed("[oci://", "[http://")),
        ("a CA that is not known", unknown_authority),
    ]));
}

#[test]
fn answers_of_somebody_else_are_told_for_what_they_are() {
    insta::assert_snapshot!(played(&[
        ("a page in a manifest's place", || registry_that_answers(|| page_of("text/html; charset=utf-8"))),
        ("nothing in a manifest's place", || registry_that_answers(Reply::ok)),
        ("a page in a tarball's place", || server_that_answers(|| page_of("Text/HTML"))),
        ("nothing in a tarball's place", || server_that_answers(Reply::ok)),
        ("another tarball", || server_that_answers(|| page_of("application/gzip"))),
    ]));
}

#[test]
fn full_and_read_only_volumes_are_told_with_what_to_do() {
    if !Command::new("unshare").args(["--map-root-user", "--mount", "true"]).status().is_ok_and(|can| can.success()) {
        return println!("skipped: nothing can be mounted here");
    }
    insta::assert_snapshot!(played(&[
        ("a full volume", || mounted("mount -t tmpfs -o size=128k none")),
        ("a root that is mounted read-only", || mounted("mount -t tmpfs -o ro none")),
    ]));
}

fn played(scenes: &[Scene]) -> String {
    scenes.iter().fold(String::new(), |told, (name, play)| told + name + "\n" + &last_words(&play()) + "\n")
}

/// The records that are errors, a field that matters on each line.
fn last_words(run: &Run) -> String {
    assert_ne!(run.status, Some(0), "{}", run.log());
    let log = run.log();
    let errors = log.lines().filter(|line| line.contains("level=ERROR") && !line.contains("continueOnError_false"));
    errors.fold(String::new(), |text, line| {
        let (_, event) = line.split_once("event=").unwrap();
        text + "  " + &event.replace(" detail=", "\n    detail=").replace(" hint=", "\n    hint=") + "\n"
    })
}

fn list(reference: &str, integrity: &str) -> Portal {
    let portal = Portal::new();
    let (sources, _) = reference.split_once("/my-org").unwrap();
    let sources = format!("allowedSources: [{sources}/my-org]");
    let plugins = format!("plugins:\n  - package: {reference}\n    integrity: {integrity}\n");
    portal.write("dynamic-plugins.yaml", format!("{sources}\n{plugins}"));
    portal
}

/// A registry with an account, and what is done about that.
fn private(log_in: impl FnOnce(&Portal, &str)) -> Run {
    let registry = Registry::builder().auth(Auth::bearer("octocat", "right")).start();
    let pushed = publish(&registry, "hello", "1");
    let portal = list(&pushed.reference, &pushed.integrity);
    log_in(&portal, registry.host());
    portal.install_with(|command| command.env("DOCKER_CONFIG", portal.path(".")))
}

fn forbidden() -> Run {
    let registry = Registry::builder().auth(Auth::bearer("octocat", "right")).forbidden("my-org").start();
    let pushed = publish(&registry, "hello", "1");
    let portal = list(&pushed.reference, &pushed.integrity);
    log_in(&portal, registry.host(), "right");
    portal.install_with(|command| command.env("DOCKER_CONFIG", portal.path(".")))
}

fn log_in(portal: &Portal, host: &str, password: &str) {
    portal.write("config.json", docker_config(host, "octocat", password));
}

fn page_of(media_type: &str) -> Reply {
    Reply::ok().header("content-type", media_type).body(*b"<html>Log in")
}

fn registry_that_answers(answer: fn() -> Reply) -> Run {
    let registry = Registry::start();
    let pushed = publish(&registry, "hello", "1");
    registry.server().intercept(move |_, _| answer());
    list(&pushed.reference, &pushed.integrity).install()
}

fn server_that_answers(answer: fn() -> Reply) -> Run {
    let world = World::new();
    let proxy = Proxy::start(&world);
    let _server = world.server("files.example.com", move |_| answer());
    let portal = list("https://files.example.com/my-org/hello.tgz", &sri(b"artifact"));
    let authority = portal.write("authority.pem", world.ca().pem());
    portal.install_with(|command| command.env("HTTPS_PROXY", proxy.url()).env("SSL_CERT_FILE", authority))
}

/// A list that would be right.
fn changed(from: &str, to: &str) -> Run {
    let registry = Registry::start();
    let pushed = publish(&registry, "hello", "1");
    let portal = list(&pushed.reference, &pushed.integrity);
    let text = std::fs::read_to_string(portal.path("dynamic-plugins.yaml")).unwrap();
    assert!(text.contains(from), "{text}");
    portal.write("dynamic-plugins.yaml", text.replace(from, to));
    portal.install()
}

fn pinned(integrity: impl AsRef<str>) -> Run {
    let registry = Registry::start();
    list(&publish(&registry, "hello", "1").reference, integrity.as_ref()).install()
}

/// As `base64` without `-w0` writes it, in 76 columns.
fn wrapped(before: &str, between: &str) -> Run {
    let integrity = sri(b"artifact");
    let (first, second) = integrity.split_at("sha512-".len() + 76);
    let quote = if before == "\"" { "\"" } else { "" };
    pinned(format!("{before}{first}{between}{second}{quote}"))
}

fn packed(tarball: &[u8]) -> Run {
    let registry = Registry::start();
    Portal::listing(OnReject::Abort, &[entry(&registry.push("my-org/hello", "1", tarball))]).install()
}

/// It answers a TLS hello with this, as servers that speak plain http do.
fn registry_without_tls(answer: &'static [u8]) -> Run {
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let world = World::new();
    let proxy = Proxy::start(&world);
    world.lead("registry.internal.example", door.local_addr().unwrap());
    thread::spawn(move || {
        for socket in door.incoming() {
            let mut socket = socket.unwrap();
            // What is left unread when a socket closes would turn the answer into a reset.
            assert!(socket.read(&mut [0; 4096]).unwrap() > 0);
            socket.write_all(answer).unwrap();
        }
    });
    let portal = list("oci://registry.internal.example/my-org/hello:1", &sri(b"artifact"));
    portal.install_with(|command| command.env("HTTPS_PROXY", proxy.url()).arg("--tries=1"))
}

fn unknown_authority() -> Run {
    let world = World::new();
    let proxy = Proxy::start(&world);
    let mut quirks = Quirks::plain();
    "registry.internal.example".clone_into(&mut quirks.host);
    "registry.internal.example".clone_into(&mut quirks.written);
    let registry = world.registry(quirks);
    let pushed = publish(&registry, "hello", "1");
    list(&pushed.reference, &pushed.integrity).install_with(|command| command.env("HTTPS_PROXY", proxy.url()))
}

/// Runs where something is mounted over the root.
fn mounted(mount: &str) -> Run {
    let registry = Registry::start();
    let noise: Vec<u8> = (0..300_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let pushed = registry.push("my-org/hello", "1", &Plugin::backend("hello").file("dist/large", noise).tarball());
    let portal = list(&pushed.reference, &pushed.integrity);
    let installer = portal.command();
    let mut unshare = Command::new("unshare");
    unshare.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    unshare.args(["--map-root-user", "--mount", "sh", "-c"]).arg(format!(r#"{mount} "$0" && "$@""#));
    unshare.arg(portal.root()).arg(installer.get_program()).args(installer.get_args());
    portal.run(unshare)
}
