//! Rows about the way to a server: connections, names, certificates, proxies, redirects.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};

use testkit::{Door, HttpServer, Leaf, Registry, Reply, docker_config, sri};

use super::{FILE, Place, REPOSITORY, TAG, after_a_good_copy, is_good};
use crate::bench::Seen;
use crate::case::{Case, Entry, Guarded, Listing};
use crate::judge::has_cause;
use crate::net::{ARTIFACTS, Net, REGISTRY, named};
use crate::placeholder::good;
use crate::row::Row;

const USER: &str = "bob";
const PASSWORD: &str = "b0bs-s3cret";
const EVIL: &str = "https://evil.example";

pub(super) fn row(row: &Row) -> Result<Case, String> {
    Ok(match row.id.as_str() {
        "PF01" => Case::instances([("by itself", refusing_server()), ("to a proxy", refusing_proxy())]),
        "PF09" => Case::instances([Place::Manifest, Place::File].map(|place| (place.name(), mute(place)))),
        "PF17" => with_certificate(|net, name| net.world.ca().expired_leaf(&[name])),
        "PF18" => with_certificate(|net, _| net.world.ca().leaf(&["other.example.com", "example.com"])),
        "PF19" => Case::instances([
            ("301", redirect(301, "https://evil.example/plugins/plug.tgz")),
            ("302", redirect(302, "https://evil.example/plugins/plug.tgz")),
            ("303", redirect(303, "https://evil.example/plugins/plug.tgz")),
            ("307", redirect(307, "https://evil.example/plugins/plug.tgz")),
            ("308", redirect(308, "https://evil.example/plugins/plug.tgz")),
            ("of the same scheme", redirect(302, "//evil.example/plugins/plug.tgz")),
            ("host as user", redirect(302, "https://artifacts.internal.example.com@evil.example/plugins/plug.tgz")),
            ("longer name", redirect(302, "https://artifacts.internal.example.com.evil.example/plugins/plug.tgz")),
            ("backslash", redirect(302, "https://evil.example\\@artifacts.internal.example.com/plugins/plug.tgz")),
            ("other folder", redirect(302, "/plugins-evil/plug.tgz")),
            ("other port", redirect(302, "https://artifacts.internal.example.com:8443/plugins/plug.tgz")),
        ]),
        "PF20" => Case::instances([("of one", redirect(302, FILE)), ("of two", redirect(307, "/plugins/back"))]),
        "PF21" => Case::instances(
            [
                "file:///etc/passwd",
                "FILE:///etc/passwd",
                "file:/etc/passwd",
                "data:application/gzip;base64,H4sI",
                "ftp://artifacts.internal.example.com/plugins/plug.tgz",
            ]
            .map(|location| (location, redirect(302, location))),
        ),
        "PF22" => unresolved(),
        "PF25" => proxied(),
        _ => return Err(row.without_builder()),
    })
}

/// A port that nobody listens at until the installer has been refused twice.
fn refusing_server() -> Case {
    let registry = Registry::start();
    let pushed = registry.push(REPOSITORY, TAG, &good());
    let door = Door::to(registry.server());
    let host = door.address();
    let listing = Listing {
        allowed: format!("allowedSources: [oci://{host}]"),
        entries: vec![Entry::new(&format!("oci://{host}/{REPOSITORY}:{TAG}"), &pushed.integrity)],
    };
    let case = after_a_good_copy(Net::new(), listing);
    let refused = AtomicUsize::new(0);
    let watch = move |line: &str| {
        let _stays_up = &registry;
        if line.contains("retry") && refused.fetch_add(1, Ordering::Relaxed) == 1 {
            door.open();
        }
    };
    Case { watch: Some(Box::new(watch)), flags: &["--tries", "3"], ..case }
        .holds(is_good)
        .holds(|seen| told_retries(seen, 2))
}

/// A proxy that is refused.
fn refusing_proxy() -> Case {
    let mut net = Net::new();
    let package = net.registry(named(REGISTRY)).push(REPOSITORY, TAG, &good()).reference;
    let recorder = net.proxy.server().recorder().clone();
    net.proxy.server().intercept(move |request, answer| {
        let is_refused = request.path.starts_with(REGISTRY) && recorder.count(&request.path) <= 2;
        if is_refused { Reply::status(502) } else { answer() }
    });
    let case = after_a_good_copy(net, Listing::of([Entry::new(&package, &sri(&good()))]));
    Case { flags: &["--tries", "3"], ..case }.holds(is_good).holds(|seen| told_retries(seen, 2))
}

fn told_retries(seen: &Seen, times: usize) -> Result<(), String> {
    let told = seen.stdout.lines().filter(|line| line.contains("=retry ")).count();
    if told == times { Ok(()) } else { Err(format!("expected {times} retries, found {told}")) }
}

/// Somebody takes the connection and the TLS hello, and says nothing.
fn mute(place: Place) -> Case {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let net = Net::new();
    let package = match place {
        Place::File => {
            net.world.lead(ARTIFACTS, address);
            format!("https://{ARTIFACTS}{FILE}")
        }
        Place::Manifest | Place::Blob => {
            net.world.lead(REGISTRY, address);
            format!("oci://{REGISTRY}/{REPOSITORY}:{TAG}")
        }
    };
    let case = Case::listing(net, Listing::of([Entry::new(&package, &sri(&good()))]));
    Case { flags: &["--plugin-timeout", "3s"], ..case }.holds(move |seen| {
        listener.local_addr().map_err(|error| error.to_string())?;
        has_cause(seen, "timeout")
    })
}

/// Two servers that would let the right login in, and that cannot prove who they are.
fn with_certificate(leaf: fn(&Net, &str) -> Leaf) -> Case {
    let of = |name: &str, package: String| {
        let net = Net::new();
        let server = HttpServer::builder()
            .name(name)
            .tls_with(leaf(&net, name).server_config())
            .recorder(net.world.recorder())
            .start(|_| Reply::status(401).header("www-authenticate", "Basic realm=\"x\""));
        net.world.add(&server);
        let case = Case::listing(net, Listing::of([Entry::new(&package, &sri(&good()))]));
        known_as_bob(case, "https://nobody.example").holds(move |seen| {
            let asked = seen.requests.iter().filter(|request| *request.origin == *server.origin()).count();
            if asked == 0 { has_cause(seen, "tls") } else { Err(format!("{} was asked", server.origin())) }
        })
    };
    Case::instances([
        ("registry", of(REGISTRY, format!("oci://{REGISTRY}/{REPOSITORY}:{TAG}"))),
        ("https server", of(ARTIFACTS, format!("https://{ARTIFACTS}{FILE}"))),
    ])
}

/// One login for both, which only this origin may see.
fn known_as_bob(case: Case, own: &str) -> Case {
    let netrc = format!("machine {ARTIFACTS} login {USER} password {PASSWORD}\n");
    let logins = Some((docker_config(REGISTRY, USER, PASSWORD), netrc));
    Case { logins, guarded: vec![Guarded { secret: PASSWORD.to_owned(), own: vec![own.to_owned()] }], ..case }
}

/// The good plugin is everywhere, but the file that is asked for leads elsewhere.
fn redirect(status: u16, location: &'static str) -> Case {
    let mut net = Net::new();
    net.https(ARTIFACTS, move |request| match request.path.as_str() {
        FILE => Reply::redirect(status, location),
        "/plugins/back" => Reply::redirect(status, FILE),
        _ => Reply::ok().body(good()),
    });
    for name in ["evil.example", "artifacts.internal.example.com.evil.example"] {
        net.https(name, |_| Reply::ok().body(good()));
    }
    let package = format!("https://{ARTIFACTS}{FILE}");
    let own = format!("https://{ARTIFACTS}");
    let case = Case::listing(net, Listing::of([Entry::new(&package, &sri(&good()))]));
    known_as_bob(case, &own).holds(move |seen| {
        let others = seen.asked.iter().find(|asked| asked.contains("evil") && !asked.contains(ARTIFACTS));
        let (asked, elsewhere): (Vec<_>, Vec<_>) =
            seen.requests.iter().filter(|request| request.method == "GET").partition(|request| *request.origin == *own);
        match (others, &elsewhere[..]) {
            (Some(other), _) => Err(format!("`{other}` was asked")),
            (None, [other, ..]) => Err(format!("{} was asked, not {EVIL}", other.origin)),
            (None, []) if (1..=6).contains(&asked.len()) => Ok(()),
            (None, []) => Err(format!("expected at most 5 redirects, found {asked:?}")),
        }
    })
}

/// Names that the proxy does not know, and one that no resolver knows (RFC 6761, section 6.4).
fn unresolved() -> Case {
    let of = |package: &str, no_proxy: &str| {
        let listing = Listing {
            allowed: "allowedSources: [oci://reg.invalid, https://files.invalid]".to_owned(),
            entries: vec![Entry::new(package, &sri(&good()))],
        };
        let environment = vec![("NO_PROXY", no_proxy.to_owned())];
        // A resolver that is beyond reach takes its time.
        Case { environment, flags: &["--plugin-timeout", "5s"], ..Case::listing(Net::new(), listing) }
    };
    let (image, file) = ("oci://reg.invalid/plug:1", "https://files.invalid/plug.tgz");
    Case::instances([
        ("registry, by proxy", of(image, "").holds(|seen| has_cause(seen, "proxy"))),
        ("https server, by proxy", of(file, "").holds(|seen| has_cause(seen, "proxy"))),
        ("registry", of(image, ".invalid").holds(resolves_itself)),
        ("https server", of(file, ".invalid").holds(resolves_itself)),
    ])
}

fn resolves_itself(seen: &Seen) -> Result<(), String> {
    if let Some(asked) = seen.asked.first() {
        return Err(format!("`{asked}` was asked"));
    }
    has_cause(seen, "dns").or_else(|_| has_cause(seen, "timeout"))
}

/// A proxy that wants a password: with the right one, with a wrong one, and not asked at all.
fn proxied() -> Case {
    const PROXY_PASSWORD: &str = "pr0xy-s3cret";
    let with = |password: &str, no_proxy: &str| {
        let mut net = Net::new();
        let package = net.registry(named(REGISTRY)).push(REPOSITORY, TAG, &good()).reference;
        net.proxy.server().intercept(|request, answer| {
            let is_known = request.header("proxy-authorization").is_some() && request.holds(PROXY_PASSWORD);
            if is_known { answer() } else { Reply::status(407).header("proxy-authenticate", "Basic realm=\"proxy\"") }
        });
        let origin = net.proxy.url();
        let url = origin.replacen("://", &format!("://{USER}:{password}@"), 1);
        let environment = vec![("HTTPS_PROXY", url), ("NO_PROXY", no_proxy.to_owned())];
        let guarded = vec![Guarded { secret: password.to_owned(), own: vec![origin] }];
        let case = Case::listing(net, Listing::of([Entry::new(&package, &sri(&good()))]));
        let flags = &["--plugin-timeout", "5s"];
        Case { environment, guarded, secrets: vec![password.to_owned()], flags, ..case }
    };
    let refused =
        |seen: &Seen| if seen.asked.is_empty() { Err("nobody was asked".to_owned()) } else { has_cause(seen, "proxy") };
    with(PROXY_PASSWORD, "elsewhere.example")
        .holds(is_good)
        .beside(with("wr0ng-s3cret", ""), refused)
        .beside(with(PROXY_PASSWORD, "other.example,.example.com"), resolves_itself)
        .beside(with(PROXY_PASSWORD, "*"), resolves_itself)
}
