//! Every secret that a run can come by, and where none of them may be seen afterwards: not in what is said, not in what
//! is left on the volume, at no server but its own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::thread;

use serde_json::json;
use testkit::{
    Auth, Bearer, HttpServer, Login, Plugin, Proxy, Pushed, Quirks, Realm, Registry, Reply, Request, TokenField, World,
    sri,
};

use crate::portal::{Portal, entry};

const LEVELS: [&str; 4] = ["error", "warn", "info", "debug"];
const FORMATS: [&str; 2] = ["logfmt", "json"];

/// A text that only these origins may see.
struct Secret {
    text: String,
    own: Vec<String>,
}

const PASSWORD: &str = "pass/w0rd+of=bearer%";
const WRONG: &str = "wr0ng/pass+word";
const IDENTITY: &str = "1dentity/token+one";
const HELPED: &str = "h3lper/secret+one";
const ECHOED: &str = "ech0ed/secret+one";
const NETRC: &str = "n3trc/secret+one";
const NETRC_TOKEN: &str = "glpat-n3trc_T0ken";
const PROXY: &str = "pr0xy-s3cret-one";
const SIGNED: &str = "s1gned-query-one";
const DENIED: &str = "d3nied-query-one";
const OWN_QUERY: &str = "0wn-query-one";
/// What the tokens of testkit's registries begin with.
const TOKEN: &str = "made-token-";
/// What testkit's registries sign the URLs of their storage with.
const STORAGE: &str = "signature=made";

/// A world in which everybody wants to know who one is, and some tell everybody else.
struct Scene {
    world: World,
    proxy: Proxy,
    registries: Vec<Registry>,
    _servers: [HttpServer; 4],
    /// Entries that can be installed.
    good: Vec<Pushed>,
    /// Entries that cannot, and what is said about them.
    bad: Vec<(Pushed, &'static str)>,
    secrets: Vec<Secret>,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let proxy = Proxy::start(&world);
        let registries = registries(&world);
        let [tokens, identity, helped, refusing, echoing, echoing_tokens, sending] = &registries;
        let push = |registry: &Registry, name: &str| registry.push(&format!("my-org/{name}"), "1", &tarball(name));
        let good = vec![
            push(tokens, "tokens"),
            push(identity, "identity"),
            push(helped, "helped"),
            file("https://files.example.com/signed.tgz", &tarball("signed")),
            file(&format!("https://files.example.com/plain.tgz?key={OWN_QUERY}"), &tarball("plain")),
            file("https://forge.example.com/forge.tgz", &tarball("forge")),
        ];
        let other = |reference: &str| file(reference, b"other bytes");
        let with_key = |host: &str, key: &str| other(&format!("https://{host}.example.com/plain.tgz?key={key}"));
        let mismatch = Pushed { integrity: sri(b"other bytes"), ..push(tokens, "mismatch") };
        let bad = vec![
            (mismatch, "integrity_mismatch"),
            (push(refusing, "refusing"), "oci_pull_failed cause=unauthorized"),
            (push(echoing, "echoing"), "oci_pull_failed cause=forbidden"),
            (push(echoing_tokens, "echoing"), "oci_pull_failed cause=server_error"),
            (push(sending, "sending"), "oci_pull_failed cause=redirect_denied"),
            (other("https://files.example.com/denied.tgz"), "source_not_allowed cause=redirect_denied"),
            (other("https://files.example.com/plainer.tgz"), "https_pull_failed cause=redirect_denied"),
            (other("https://files.example.com/userinfo.tgz"), "https_pull_failed cause=redirect_denied"),
            (other("https://locked.example.com/x.tgz"), "https_pull_failed cause=unauthorized"),
            (with_key("files", DENIED), "https_pull_failed cause=forbidden"),
            (with_key("nobody", OWN_QUERY), "https_pull_failed cause=proxy"),
            (with_key("files", &format!("{OWN_QUERY}&x")), "integrity_mismatch"),
        ];
        let servers = servers(&world);
        Self { world, proxy, registries: registries.into(), _servers: servers, good, bad, secrets: secrets() }
    }

    /// A portal with all logins, and this list.
    fn portal(&self, entries: &[Pushed]) -> Portal {
        let portal = Portal::new();
        portal.write("authority.pem", self.world.ca().pem());
        let netrc = [("files", NETRC), ("forge", NETRC_TOKEN), ("locked", WRONG)]
            .map(|(host, password)| format!("machine {host}.example.com login robot password {password}\n"));
        portal.write("netrc", netrc.concat());
        fs::create_dir(portal.path("docker")).unwrap();
        portal.write("docker/config.json", self.config_json());
        let helper = portal.write(
            "docker-credential-made",
            format!("#!/bin/sh\nprintf '{{\"Username\":\"robot\",\"Secret\":\"{HELPED}\"}}'\necho {HELPED} >&2\n"),
        );
        fs::set_permissions(helper, fs::Permissions::from_mode(0o755)).unwrap();
        let list: String = entries.iter().map(entry).collect::<Vec<_>>().concat();
        let allowed: Vec<_> = self.registries.iter().map(|registry| format!("oci://{}", registry.host())).collect();
        let hosts = ["files", "forge", "store", "locked", "nobody"].map(|host| format!("https://{host}.example.com"));
        let allowed = [allowed, hosts.to_vec()].concat().join(", ");
        portal.write(
            "dynamic-plugins.yaml",
            format!("continueOnError: true\nallowedSources: [{allowed}]\nplugins:\n{list}"),
        );
        portal
    }

    fn config_json(&self) -> String {
        let mut auths = json!({});
        for registry in &self.registries {
            let own: serde_json::Value = serde_json::from_str(&registry.docker_config()).unwrap();
            auths.as_object_mut().unwrap().extend(own["auths"].as_object().unwrap().clone());
        }
        let wrong: serde_json::Value =
            serde_json::from_str(&testkit::docker_config("refusing.example.com", "robot", WRONG)).unwrap();
        auths["refusing.example.com"] = wrong["auths"]["refusing.example.com"].clone();
        auths.as_object_mut().unwrap().remove("helped.example.com");
        json!({ "auths": auths, "credHelpers": { "helped.example.com": "made" } }).to_string()
    }

    fn surround<'a>(&self, portal: &Portal, command: &'a mut Command) -> &'a mut Command {
        let proxy = self.proxy.url().replace("http://", &format!("http://robot:{PROXY}@"));
        command
            .env("HTTPS_PROXY", proxy)
            .env("SSL_CERT_FILE", portal.path("authority.pem"))
            .env("DOCKER_CONFIG", portal.path("docker"))
            .env("NETRC", portal.path("netrc"))
            .env("PATH", format!("{}:/usr/bin:/bin", portal.path("").display()))
            .arg("--tries=2")
    }
}

fn tarball(name: &str) -> Vec<u8> {
    Plugin::backend(name).tarball()
}

/// A file on an https server, of which these bytes are promised.
fn file(reference: &str, bytes: &[u8]) -> Pushed {
    Pushed { reference: reference.to_owned(), digest: String::new(), integrity: sri(bytes) }
}

fn secrets() -> Vec<Secret> {
    let secret = |text: &str, own: &[&str]| Secret {
        text: text.to_owned(),
        own: own.iter().map(|host| format!("https://{host}")).collect(),
    };
    vec![
        secret(PASSWORD, &["tokens.example.com"]),
        secret(WRONG, &["refusing.example.com", "locked.example.com"]),
        secret(IDENTITY, &["identity.example.com"]),
        secret(HELPED, &["helped.example.com", "sending.example.com"]),
        secret(ECHOED, &["echoing.example.com", "echoing-tokens.example.com"]),
        secret(NETRC, &["files.example.com"]),
        secret(NETRC_TOKEN, &["forge.example.com"]),
        secret(PROXY, &[]),
        secret(SIGNED, &["store.example.com"]),
        secret(DENIED, &["files.example.com"]),
        secret(OWN_QUERY, &["files.example.com", "nobody.example.com"]),
        secret(
            TOKEN,
            &["tokens.example.com", "identity.example.com", "refusing.example.com", "echoing-tokens.example.com"],
        ),
        secret(STORAGE, &["storage.tokens.example.com", "storage.identity.example.com"]),
    ]
}

fn registries(world: &World) -> [Registry; 7] {
    let bearer = |host: &str, login: Login, identity: Option<&str>| Quirks {
        host: host.to_owned(),
        written: host.to_owned(),
        config_key: host.to_owned(),
        auth: Auth::Bearer(Bearer {
            login,
            identity_token: identity.map(str::to_owned),
            realm: Realm::Own { path: "/token".to_owned() },
            service: host.to_owned(),
            token_field: TokenField::Both,
        }),
        storage: Some(format!("storage.{host}")),
        ..Quirks::plain()
    };
    let basic = |host: &str, password: &str| Quirks {
        auth: Auth::basic("robot", password),
        storage: None,
        ..bearer(host, Login::new("robot", password), None)
    };
    let tokens = world.registry(bearer("tokens.example.com", Login::new("robot", PASSWORD), None));
    let identity = world.registry(bearer("identity.example.com", Login::new("", "unused"), Some(IDENTITY)));
    let helped = world.registry(basic("helped.example.com", HELPED));
    let refusing = world.registry(bearer("refusing.example.com", Login::new("robot", PASSWORD), None));
    let echoing = world.registry(basic("echoing.example.com", ECHOED));
    let echoing_tokens = world.registry(bearer("echoing-tokens.example.com", Login::new("robot", ECHOED), None));
    let sending = world.registry(basic("sending.example.com", HELPED));

    echoing.server().intercept(|request, answer| match request.header("authorization") {
        Some(_) => echo(403, request),
        None => answer(),
    });
    echoing_tokens.server().intercept(|request, answer| match request.path.as_str() {
        "/token" => answer(),
        _ if request.header("authorization").is_some() => echo(500, request),
        _ => answer(),
    });
    refusing.server().intercept(|request, answer| match request.path.as_str() {
        "/token" => echo(401, request),
        _ => answer(),
    });
    sending.server().intercept(|request, answer| {
        let to = format!("http://cdn.example.net/x?sig={DENIED}");
        if request.path.contains("/blobs/") { Reply::redirect(307, &to) } else { answer() }
    });
    [tokens, identity, helped, refusing, echoing, echoing_tokens, sending]
}

fn servers(world: &World) -> [HttpServer; 4] {
    let files = world.server("files.example.com", |request| {
        if request.basic_credentials().is_none_or(|(_, password)| password != NETRC) {
            return echo(401, request);
        }
        match request.path.as_str() {
            "/signed.tgz" => Reply::redirect(302, &format!("https://store.example.com/x?sig={SIGNED}")),
            "/denied.tgz" => Reply::redirect(302, &format!("https://evil.example/x?sig={DENIED}")),
            "/plainer.tgz" => Reply::redirect(302, &format!("http://files.example.com/x?sig={DENIED}")),
            "/userinfo.tgz" => Reply::redirect(302, &format!("https://u:{DENIED}@files.example.com/x")),
            "/plain.tgz" if request.query_values("key") == [OWN_QUERY] => Reply::ok().body(tarball("plain")),
            _ => echo(403, request),
        }
    });
    let store = world.server("store.example.com", |request| {
        if request.query_values("sig") == [SIGNED] { Reply::ok().body(tarball("signed")) } else { echo(403, request) }
    });
    let forge = world.server("forge.example.com", |request| match request.basic_credentials() {
        Some((_, password)) if password == NETRC_TOKEN => Reply::ok().body(tarball("forge")),
        _ => echo(401, request),
    });

    let locked = world.server("locked.example.com", |request| echo(401, request));
    [files, store, forge, locked]
}

/// A refusal that repeats all it was told, wherever it can.
fn echo(status: u16, request: &Request) -> Reply {
    let told = request.header("authorization").unwrap_or_default();
    let known = request.basic_credentials().map(|(_, password)| password).unwrap_or_default();
    let message = format!("no: Authorization: {told}, password {known}, {}?{}", request.path, request.query);
    Reply::status(status)
        .header("x-echo", &message)
        .header("www-authenticate", &format!("Basic realm=\"{message}\""))
        .header("retry-after", &message)
        .json(&json!({ "errors": [{ "code": known, "message": message, "detail": told }] }))
}

/// Where something may have been left: a name and all that is there.
type Place = (String, Vec<u8>);

/// All files below a folder.
fn files_below(folder: &Path) -> Vec<Place> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match fs::symlink_metadata(&path).unwrap() {
            kind if kind.is_dir() => files_below(&path),
            kind if kind.is_file() => vec![(path.display().to_string(), fs::read(&path).unwrap())],
            _ => {
                vec![(path.display().to_string(), fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes())]
            }
        })
        .collect()
}

/// Which secrets stand where, in which form.
fn leaks(places: &[Place], secrets: &[Secret]) -> Vec<String> {
    let forms: Vec<_> =
        secrets.iter().flat_map(|secret| forms(&secret.text).into_iter().map(|form| (&secret.text, form))).collect();
    let mut found = Vec::new();
    for (place, bytes) in places {
        let text = String::from_utf8_lossy(bytes);
        let hits = forms.iter().filter(|(_, (_, form))| text.contains(form.as_str()));
        found.extend(hits.map(|(secret, (name, _))| format!("`{secret}` {name} in {place}")));
    }
    found
}

/// A secret as it is, and disguised.
fn forms(secret: &str) -> Vec<(&'static str, String)> {
    let hex = |upper: bool| {
        let digit = |byte: &u8| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
        secret.as_bytes().iter().map(digit).collect::<Vec<_>>().concat()
    };
    let percent = |byte: &u8| {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
        if plain { char::from(*byte).to_string() } else { format!("%{byte:02X}") }
    };
    let percent: Vec<_> = secret.as_bytes().iter().map(percent).collect();
    let mut forms = vec![("as it is", secret.to_owned()), ("in hex", hex(false)), ("in hex", hex(true))];
    forms.push(("percent-encoded", percent.concat()));
    forms.push(("percent-encoded", percent.concat().to_ascii_lowercase()));
    for before in 0..3 {
        let text = inside_base64(secret, before);
        forms.push(("in base64", text.replace('+', "-").replace('/', "_")));
        forms.push(("in base64", text));
    }
    forms
}

/// What a base64 text has of a secret that so many bytes (modulo 3) stand before: the digits that no neighbour changes.
fn inside_base64(secret: &str, before: usize) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = vec![0; before].into_iter().chain(secret.bytes()).collect();
    let bit = |at: usize| (bytes[at / 8] >> (7 - at % 8)) & 1;
    let (first, last) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
    let digit = |at: usize| (0..6).fold(0, |value, offset| (value << 1) | bit(at * 6 + offset));
    (first..last).map(|at| char::from(DIGITS[usize::from(digit(at))])).collect()
}

#[test]
fn no_secret_is_told_or_left_behind_or_shown_to_others() {
    let scene = Scene::new();
    thread::scope(|scope| {
        for format in FORMATS {
            for level in LEVELS {
                let scene = &scene;
                scope.spawn(move || scene.play(level, format));
            }
        }
    });
    let mut seen = 0;
    for request in scene.world.recorder().requests() {
        for secret in scene.secrets.iter().filter(|secret| request.holds(&secret.text)) {
            let Secret { text, own } = secret;
            seen += 1;
            assert!(
                own.iter().any(|own| **own == *request.origin),
                "`{text}` at {} ({})",
                request.origin,
                request.path
            );
        }
    }
    assert!(seen > 100, "the secrets are used at all");
    for request in scene.proxy.server().recorder().requests() {
        let held: Vec<_> = scene.secrets.iter().map(|secret| &secret.text).filter(|text| request.holds(text)).collect();
        assert_eq!(held, [PROXY], "at the proxy");
    }
}

impl Scene {
    /// One run of each kind, and a look at what it said and left.
    fn play(&self, level: &str, format: &str) {
        let log = [format!("--log-level={level}"), format!("--log-format={format}")];
        let all: Vec<_> = self.good.iter().chain(self.bad.iter().map(|(entry, _)| entry)).cloned().collect();
        let report = if format == "json" { "json" } else { "text" };
        for (name, entries, on_error, arguments, status) in [
            ("success", &self.good, "true", vec![], 0),
            ("trouble", &all, "true", vec![], 0),
            ("abort", &all, "false", vec![], 1),
            ("check", &all, "true", vec!["check", "--format", report], 0),
            ("check --online", &all, "true", vec!["check", "--online", "--format", report], 1),
        ] {
            let portal = self.portal(entries);
            let log_to_kubernetes = portal.write("termination-log", "");
            // The second run finds what the first has left.
            for _ in 0..if arguments.is_empty() { 2 } else { 1 } {
                let run = portal.install_with(|command| {
                    self.surround(&portal, command).env("CONTINUE_ON_ERROR", on_error).args(&log).args(&arguments)
                });
                assert_eq!(run.status, Some(status), "{name}\n{}{}", run.stdout, run.stderr);
                let said = [("stdout", &run.stdout), ("stderr", &run.stderr)];
                let mut places: Vec<Place> =
                    said.into_iter().map(|(name, text)| (name.to_owned(), text.clone().into_bytes())).collect();
                places.push(("termination log".to_owned(), fs::read(&log_to_kubernetes).unwrap()));
                places.extend(files_below(&portal.root()));
                assert_eq!(leaks(&places, &self.secrets), Vec::<String>::new(), "{name} {log:?}");
                if name == "trouble" && format == "logfmt" {
                    let rejected: Vec<_> = run.stderr.lines().filter(|line| line.contains("plugin_rejected")).collect();
                    assert_eq!(rejected.len(), self.bad.len(), "{}", run.stderr);
                    for (line, (_, why)) in rejected.iter().zip(&self.bad) {
                        assert!(line.contains(&format!(" reason={why} ")), "{why}: {line}");
                    }
                    assert_eq!(portal.plugins().len(), self.good.len(), "{}", run.stderr);
                }
            }
        }
    }
}

#[test]
fn secret_in_a_file_or_variable_that_cannot_be_used_is_not_shown() {
    let scene = Scene::new();
    let secrets = &scene.secrets;
    for (name, arrange) in [
        ("config.json", broken_config as fn(&Portal, &mut Command)),
        ("auth in it", |portal, _| {
            portal.write(
                "docker/config.json",
                json!({ "auths": { "tokens.example.com": { "auth": PASSWORD } } }).to_string(),
            );
        }),
        ("netrc", |portal, _| {
            portal.write("netrc", format!("machine files.example.com login robot pasword {NETRC}\n"));
        }),
        ("proxy", |_, command| {
            command.env("HTTPS_PROXY", format!("socks5://robot:{PROXY}@proxy.example.com:1080"));
        }),
        ("proxy without a host", |_, command| {
            command.env("HTTPS_PROXY", format!("http://robot:{PROXY}@"));
        }),
        ("userinfo in a package", |portal, _| {
            let entry = |scheme: &str| {
                let package = format!("{scheme}://robot:{PASSWORD}@tokens.example.com/my-org/x:1");
                format!("  - package: {package}\n    integrity: sha512-x\n")
            };
            portal.write("dynamic-plugins.yaml", format!("plugins:\n{}{}", entry("oci"), entry("https")));
        }),
        ("token realm", |_, command| {
            command.arg(format!("--token-realm=https://robot:{ECHOED}@login.example.com"));
        }),
    ] {
        for format in FORMATS {
            let portal = scene.portal(&scene.good[..1]);
            let left = portal.write("termination-log", "");
            let run = portal.install_with(|command| {
                scene.surround(&portal, command).args(["--log-level=debug", "--log-format", format]);
                arrange(&portal, command);
                command
            });
            assert_ne!((run.status, run.stderr.as_str()), (Some(0), ""), "{name}");
            let places = [
                ("stdout".to_owned(), run.stdout.into_bytes()),
                ("stderr".to_owned(), run.stderr.into_bytes()),
                ("termination log".to_owned(), fs::read(left).unwrap()),
            ];
            assert_eq!(leaks(&places, secrets), Vec::<String>::new(), "{name}");
        }
    }
}

fn broken_config(portal: &Portal, _: &mut Command) {
    portal.write("docker/config.json", format!("{{\"auths\":{{\"r\":{{\"password\": {PASSWORD}}}}}}}"));
}

#[test]
fn secret_is_found_in_whichever_form_it_is_left() {
    let scene = Scene::new();
    let portal = scene.portal(&scene.good);
    portal.write("hex", forms(PROXY)[1].1.as_bytes());
    portal.write("form", format!("token={}", forms(IDENTITY)[3].1));
    let found = leaks(&files_below(&portal.path("")), &scene.secrets);
    for (secret, form, file) in [
        (PASSWORD, "in base64", "docker/config.json"),
        (WRONG, "in base64", "docker/config.json"),
        (IDENTITY, "as it is", "docker/config.json"),
        (NETRC, "as it is", "netrc"),
        (HELPED, "as it is", "docker-credential-made"),
        (OWN_QUERY, "as it is", "dynamic-plugins.yaml"),
        (PROXY, "in hex", "hex"),
        (IDENTITY, "percent-encoded", "form"),
    ] {
        let is_told = |leak: &String| leak.starts_with(&format!("`{secret}` {form} in ")) && leak.ends_with(file);
        assert!(found.iter().any(is_told), "`{secret}` {form} in {file}: {found:#?}");
    }
}
