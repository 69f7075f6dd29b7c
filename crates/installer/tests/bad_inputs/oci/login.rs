//! Rows about who a registry wants to see, and who must not see it.

use std::process::Command;

use serde_json::json;
use testkit::{Auth, Bearer, Login, Quirks, Realm, Registry, RegistryBuilder, Reply, TokenField, docker_config};

use super::{REPOSITORY, TAG, asked_times, is_blob, is_manifest, pinned};
use crate::bench::{CAN_TRACE, Seen};
use crate::case::{Case, Entry, Guarded, Listing};
use crate::judge::{has_cause, rejection};
use crate::net::{Net, REGISTRY, named};
use crate::placeholder::good;

const ORIGIN: &str = "https://reg.example.com";
const USER: &str = "robot";
const PASSWORD: &str = "reg-s3cret";
/// What every token of a made registry begins with.
const TOKENS: &str = "made-token";

pub(super) fn row(id: &str) -> Option<Case> {
    Some(match id {
        "PO22" => Case::instances(["login.evil.example", "auth.reg.example.com", "reg.example.com.evil.example"].map(
            |host| {
                let realm = Realm::Elsewhere { host: host.to_owned(), path: "/token".to_owned() };
                let case = with_realm(realm).holds(|seen| has_cause(seen, "unauthorized"));
                (host, case.holds(|seen| asked_times(seen, |request| request.path == "/token", 1)))
            },
        )),
        "PO23" => denied_realm("http://169.254.169.254/latest/meta-data"),
        "PO24" => Case::instances(
            ["http://reg.example.com/token", "http://127.0.0.1/token", "HTTP://reg.example.com:443/token"]
                .map(|realm| (realm, denied_realm(realm))),
        ),
        "PO25" => separate_token_server(),
        "PO26" => Case::instances(
            [("301", 301), ("302", 302), ("303", 303), ("307", 307), ("308", 308)]
                .map(|(name, status)| (name, redirecting_token_server(status))),
        ),
        "PO27" => object_storage(),
        "PO28" => Case::instances([("blob", downgrade(is_blob)), ("manifest", downgrade(is_manifest))]),
        "PO29" => Case::instances([
            ("bearer", longer_name(Auth::bearer(USER, PASSWORD))),
            ("basic", longer_name(Auth::basic(USER, PASSWORD))),
        ]),
        "PO30" => {
            let mut net = Net::new();
            let registry = net.start(with_login());
            registry.push(REPOSITORY, TAG, &good());
            let challenge = format!("Bearer realm=\"{ORIGIN}/token\",service=\"testkit\"");
            registry
                .server()
                .first(usize::MAX, is_manifest, move || Reply::status(401).header("www-authenticate", &challenge));
            logged_in(pinned(net, &good()))
                .holds(|seen| asked_times(seen, is_manifest, 2))
                .holds(|seen| asked_times(seen, |request| request.path == "/token", 1))
        }
        "PO31" => helper(),
        "PO32" => Case::instances(
            [
                ("no JSON", "auth: reg-s3cret"),
                ("no object", r#"["reg-s3cret"]"#),
                ("no base64", r#"{"auths":{"reg.example.com":{"auth":"reg-s3cret"}}}"#),
                ("cut", r#"{"auths":{"reg.example.com":{"username":"robot","password":"reg-s3cret"}"#),
                ("of another form", r#"{"auths":{"reg.example.com":"reg-s3cret"}}"#),
            ]
            .map(|(name, config)| (name, unreadable_logins(config))),
        ),
        "PO33" => redaction(),
        _ => return None,
    })
}

/// The registry that list `A` allows, which gives tokens for a login.
pub(super) fn with_login() -> RegistryBuilder {
    with_auth(Auth::bearer(USER, PASSWORD))
}

fn with_auth(auth: Auth) -> RegistryBuilder {
    RegistryBuilder::from(Quirks { auth, ..named(REGISTRY) })
}

/// The right login for that registry, which is nobody else's business.
pub(super) fn logged_in(case: Case) -> Case {
    let logins = Some((docker_config(REGISTRY, USER, PASSWORD), String::new()));
    Case { logins, guarded: guarded(&[(PASSWORD, ORIGIN), (TOKENS, ORIGIN)]), ..case }
}

fn guarded(secrets: &[(&str, &str)]) -> Vec<Guarded> {
    secrets.iter().map(|(secret, own)| Guarded { secret: (*secret).to_owned(), own: vec![(*own).to_owned()] }).collect()
}

/// A registry whose challenge leads wherever it likes.
fn with_realm(realm: Realm) -> Case {
    let login = Login::new(USER, PASSWORD);
    let (service, token_field) = ("testkit".to_owned(), TokenField::Both);
    let auth = Auth::Bearer(Bearer { login, identity_token: None, realm, service, token_field });
    let mut net = Net::new();
    net.start(with_auth(auth)).push(REPOSITORY, TAG, &good());
    logged_in(pinned(net, &good()))
}

/// Nobody is there, and nobody may look.
fn denied_realm(realm: &str) -> Case {
    let case = with_realm(Realm::Claimed(realm.to_owned()));
    let proxy = case.net.proxy.url();
    case.holds(|seen| has_cause(seen, "realm_denied"))
        .holds(|seen| asked_times(seen, |request| request.path == "/token", 0))
        .holds(move |seen| goes_only_to_registry(seen, &proxy))
}

/// That the proxy is all that was connected to, and the registry all that it was asked for.
fn goes_only_to_registry(seen: &Seen, proxy: &str) -> Result<(), String> {
    if let Some(other) = seen.requests.iter().find(|r| r.method == "CONNECT" && r.path != format!("{REGISTRY}:443")) {
        return Err(format!("N0: the proxy was asked for `{}`", other.path));
    }
    let port = proxy.rsplit(':').next().unwrap_or_default();
    let connections = || seen.sockets.iter().filter(|call| call.contains("connect("));
    let is_to_proxy = |call: &str| call.contains(&format!("htons({port})")) && call.contains("\"127.0.0.1\"");
    match connections().find(|call| !is_to_proxy(call)) {
        Some(call) => Err(format!("N0: expected connections to {proxy} only, found {call}")),
        None if *CAN_TRACE && connections().count() == 0 => Err("no connection was traced".to_owned()),
        None => Ok(()),
    }
}

/// Docker Hub's names, and nobody's login; then the login, which its token server may see.
fn separate_token_server() -> Case {
    const API: &str = "https://registry-1.docker.io";
    const TOKEN_SERVER: &str = "https://auth.docker.io";
    let hub = |settings: RegistryBuilder| {
        let mut net = Net::new();
        let hub = net.start(settings);
        let pushed = hub.push("my-org/plug", "1.0.0", &good());
        let config = hub.docker_config();
        let listing = Listing {
            allowed: "allowedSources: [oci://docker.io/my-org]".to_owned(),
            entries: vec![Entry::new(&pushed.reference, &pushed.integrity)],
        };
        (Case::listing(net, listing), config)
    };
    let (anonymous, _) = hub(RegistryBuilder::from(Quirks::docker_hub()).public("my-org"));
    let anonymous = Case { guarded: guarded(&[(PASSWORD, ORIGIN), (TOKENS, API)]), ..logged_in(anonymous) };
    let (known, config) = hub(Quirks::docker_hub().into());
    let guarded = guarded(&[("made-password", TOKEN_SERVER), (TOKENS, API)]);
    let known = Case { logins: Some((config, String::new())), guarded, ..known }.holds(|seen| {
        let shown = seen.requests.iter().any(|r| *r.origin == *TOKEN_SERVER && r.holds("made-password"));
        if shown { Ok(()) } else { Err("the login was not used".to_owned()) }
    });
    Case::instances([("anonymous", anonymous), ("with its login", known)])
}

fn redirecting_token_server(status: u16) -> Case {
    const ELSEWHERE: &str = "https://evil.example";
    let mut net = Net::new();
    net.https("evil.example", |_| Reply::ok().json(&json!({ "token": "made-token-1" })));
    let registry = net.start(with_login());
    registry.push(REPOSITORY, TAG, &good());
    let is_token = |request: &testkit::Request| request.path == "/token";
    registry.server().first(usize::MAX, is_token, move || Reply::redirect(status, "https://evil.example/token"));
    logged_in(pinned(net, &good()))
        .holds(|seen| asked_times(seen, |request| *request.origin == *ELSEWHERE, 0))
        .holds(|seen| has_cause(seen, "redirect_denied"))
}

fn object_storage() -> Case {
    let mut net = Net::new();
    net.start(with_login().blob_redirect("cdn.example.com")).push(REPOSITORY, TAG, &good());
    logged_in(pinned(net, &good())).holds(|seen| {
        let asked: Vec<_> = seen.requests.iter().filter(|r| *r.origin == *"https://cdn.example.com").collect();
        match &asked[..] {
            [request] if request.header("authorization").is_none() => Ok(()),
            other => Err(format!("expected one request without `Authorization`, found {other:?}")),
        }
    })
}

/// From https to http, same host and port.
fn downgrade(what: fn(&testkit::Request) -> bool) -> Case {
    let mut net = Net::new();
    let registry = net.start(with_login());
    registry.push(REPOSITORY, TAG, &good());
    registry.server().intercept(move |request, answer| {
        let plain = format!("http://{REGISTRY}:443{}", request.path);
        let is_let_in = request.header("authorization").is_some();
        if what(request) && is_let_in { Reply::redirect(307, &plain) } else { answer() }
    });
    let case = logged_in(pinned(net, &good()));
    let proxy = case.net.proxy.url();
    case.holds(|seen| has_cause(seen, "redirect_denied")).holds(move |seen| goes_only_to_registry(seen, &proxy))
}

/// A login for `reg.example.com`, and a registry whose name only begins so.
fn longer_name(auth: Auth) -> Case {
    const EVIL: &str = "reg.example.com.evil.example";
    let mut net = Net::new();
    let pushed = net.start(Quirks { auth, ..named(EVIL) }).push(REPOSITORY, TAG, &good());
    let listing = Listing {
        allowed: format!("allowedSources: [oci://{EVIL}]"),
        entries: vec![Entry::new(&pushed.reference, &pushed.integrity)],
    };
    // What tokens it gives are its own.
    let guarded = guarded(&[(PASSWORD, ORIGIN)]);
    Case { guarded, ..logged_in(Case::listing(net, listing)) }.holds(|seen| has_cause(seen, "unauthorized"))
}

/// A credential helper that is not there, and one that is.
fn helper() -> Case {
    let with = |name: &str, path: String| {
        let mut net = Net::new();
        net.start(with_login()).push(REPOSITORY, TAG, &good());
        let config = json!({ "credHelpers": { REGISTRY: name } }).to_string();
        let environment = vec![("PATH", path)];
        Case { logins: Some((config, String::new())), environment, ..logged_in(pinned(net, &good())) }
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("docker-credential-made");
    let script = format!(
        r#"read -r server; [ "$1" = get ] && printf '{{"ServerURL":"%s","Username":"{USER}","Secret":"{PASSWORD}"}}' "$server""#
    );
    // A process of its own writes it: a program that another thread's child holds open for writing cannot be run.
    let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$2" && chmod 755 "$2""#;
    let written = Command::new("sh").args(["-c", write, "sh", &script]).arg(file).status().unwrap();
    assert!(written.success());
    let usual = "/usr/bin:/bin".to_owned();
    let there = with("made", format!("{}:{usual}", folder.path().display()));
    with("nowhere", usual)
        .holds(|seen| {
            let told = rejection(seen)?;
            let names_it = ["detail", "hint"].map(|key| told.field(key).unwrap_or_default().contains("nowhere"));
            if names_it == [false; 2] { Err(format!("the helper is not named: {told:?}")) } else { Ok(()) }
        })
        .beside(there, move |seen| {
            let is_kept = folder.path().is_dir();
            if is_kept && seen.on_root("plug-dynamic/package.json").is_file() {
                return Ok(());
            }
            Err("the helper that is there was of no use".to_owned())
        })
}

fn unreadable_logins(config: &str) -> Case {
    let mut net = Net::new();
    net.start(with_login()).push(REPOSITORY, TAG, &good());
    let (logins, secrets) = (Some((config.to_owned(), String::new())), vec![PASSWORD.to_owned()]);
    Case { logins, secrets, ..logged_in(pinned(net, &good())) }
}

/// The same at every level and in both forms of the log.
fn redaction() -> Case {
    const OTHERS: [[&str; 4]; 7] = [
        ["--log-level", "error", "--log-format", "logfmt"],
        ["--log-level", "warn", "--log-format", "logfmt"],
        ["--log-level", "info", "--log-format", "logfmt"],
        ["--log-level", "error", "--log-format", "json"],
        ["--log-level", "warn", "--log-format", "json"],
        ["--log-level", "info", "--log-format", "json"],
        ["--log-level", "debug", "--log-format", "json"],
    ];
    let told = |flags: &'static [&'static str]| {
        let mut net = Net::new();
        let registry: &Registry = net.start(with_login().blob_redirect("cdn.example.com"));
        registry.push(REPOSITORY, TAG, &good());
        // The first answers are failures, so that there is something to tell of requests that carry a secret.
        let recorder = net.world.recorder().clone();
        let registry = net.registry(named(REGISTRY));
        registry.server().intercept(move |request, answer| {
            let is_first = is_blob(request) && recorder.count(&request.path) == 1;
            let seen = request.header("authorization").unwrap_or_default();
            let echo = json!({ "errors": [{ "code": "UNAVAILABLE", "message": seen }] });
            if is_first { Reply::status(503).header("x-echo", seen).json(&echo) } else { answer() }
        });
        let encoded = "cm9ib3Q6cmVnLXMzY3JldA";
        let secrets = vec![encoded.to_owned(), "signature=".to_owned()];
        Case { flags, secrets, ..logged_in(pinned(net, &good())) }.holds(|seen| {
            let token_used = seen.requests.iter().any(|request| request.bearer_token().is_some());
            let password_used = seen.requests.iter().any(|request| request.holds(PASSWORD));
            if token_used && password_used { Ok(()) } else { Err("there was nothing secret to tell".to_owned()) }
        })
    };
    OTHERS.iter().fold(told(&[]), |case, flags| {
        case.beside(told(flags), |seen| {
            let installed = seen.on_root("plug-dynamic/package.json").is_file();
            if installed { Ok(()) } else { Err("it was not installed".to_owned()) }
        })
    })
}
