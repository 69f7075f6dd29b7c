//! The registries that must work, each under its own names and with its own manners: who gets in, who is told why not,
//! and who learns of the credentials.

#![expect(clippy::unwrap_used, reason = "the tests' own functions are tests, too, which clippy does not see")]

#[path = "support/bench.rs"]
mod bench;

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use bench::{Bench, Setup, everything_said, fetch, outcome, verified};
use fetch::{Access, Credentials, HelperProcess, Layers, Registries};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{
    Auth, DockerRegistry, Login, OCI_MANIFEST, Plugin, Quirks, Registry, RegistryBuilder, Reply, Request, docker_config,
};

const INSTALLED: &str = "installed";
const UNAUTHORIZED: &str = "oci_pull_failed unauthorized";
const FORBIDDEN: &str = "oci_pull_failed forbidden";
const NOT_FOUND: &str = "oci_pull_failed not_found";

#[derive(Clone, Copy)]
enum Who {
    Right,
    Wrong,
    Missing,
}

/// Who asks for what, and what comes of it where nobody, HTTP basic or a token server stands at the door.
const VISITS: [(&str, Who, &str, [&str; 3]); 9] = [
    ("private, right", Who::Right, "my-org/hello:1", [INSTALLED, INSTALLED, INSTALLED]),
    ("private, wrong", Who::Wrong, "my-org/hello:1", [INSTALLED, UNAUTHORIZED, UNAUTHORIZED]),
    ("private, missing", Who::Missing, "my-org/hello:1", [INSTALLED, UNAUTHORIZED, UNAUTHORIZED]),
    ("public, right", Who::Right, "open/hello:1", [INSTALLED, INSTALLED, INSTALLED]),
    // Where nobody asks for a password, nobody learns that it is wrong.
    ("public, wrong", Who::Wrong, "open/hello:1", [INSTALLED, INSTALLED, UNAUTHORIZED]),
    ("public, missing", Who::Missing, "open/hello:1", [INSTALLED, INSTALLED, INSTALLED]),
    ("not permitted", Who::Right, "other/hello:1", [INSTALLED, FORBIDDEN, FORBIDDEN]),
    ("not permitted, missing", Who::Missing, "other/hello:1", [INSTALLED, UNAUTHORIZED, UNAUTHORIZED]),
    ("no such tag", Who::Right, "my-org/hello:2", [NOT_FOUND, NOT_FOUND, NOT_FOUND]),
];

fn access(config: &str) -> Access {
    access_with(config, OsString::new())
}

fn access_with(config: &str, path: OsString) -> Access {
    let helper = Box::new(HelperProcess::on(path));
    Access { credentials: Credentials::parse(config.as_bytes(), helper).unwrap(), ..Access::anonymous() }
}

fn setup(access: Access) -> Setup {
    Setup { access, ..Setup::default() }
}

fn config(registry: &Registry, who: Who) -> String {
    match (who, &registry.quirks().auth) {
        (Who::Missing, _) => "{}".to_owned(),
        (Who::Right, _) => registry.docker_config(),
        (Who::Wrong, Auth::None) => docker_config(registry.host(), "somebody", "wrong-password"),
        (Who::Wrong, Auth::Bearer(bearer)) if bearer.identity_token.is_some() => {
            registry.docker_config().replace("made-identity-token", "wrong-identity-token")
        }
        (Who::Wrong, auth) => {
            let user = &auth.login().unwrap().user;
            docker_config(&registry.quirks().config_key, user, "wrong-password")
        }
    }
}

/// Every form in which a registry's credentials could show up.
fn secrets(registry: &Registry) -> Vec<String> {
    let fixed = ["made-password", "made-identity-token", "wrong-", "made-token", "signature=", "private_key"];
    let mut secrets: Vec<String> = fixed.map(str::to_owned).to_vec();
    if let Some(Login { user, password }) = registry.quirks().auth.login() {
        secrets.push(password.clone());
        secrets.extend([password, "wrong-password"].map(|password| encoded(user, password)));
    }
    secrets
}

fn encoded(user: &str, password: &str) -> String {
    Base64::encode_string(format!("{user}:{password}").as_bytes())
}

/// Whether a request proves who one is, whatever it does it with.
fn proves_something(request: &Request) -> bool {
    request.header("authorization").is_some() || !request.form_values("refresh_token").is_empty()
}

#[test]
fn each_registry_lets_in_whom_it_should_and_tells_the_others_why() {
    let tarball = Plugin::backend("hello").tarball();
    for quirks in Quirks::all() {
        let host = quirks.written.clone();
        let bench = Bench::new();
        let registry = bench.world.registry(RegistryBuilder::from(quirks).public("open").forbidden("other"));
        let repositories = ["my-org/hello", "open/hello", "other/hello"];
        let [pushed, ..] = repositories.map(|repository| registry.push(repository, "1", &tarball));
        let door = match registry.quirks().auth {
            Auth::None => 0,
            Auth::Basic(_) => 1,
            Auth::Bearer(_) => 2,
        };
        for (name, who, place, expected) in VISITS {
            let result = bench.fetch(setup(access(&config(&registry, who))), &format!("oci://{host}/{place}"));
            assert_eq!(outcome(&result), expected[door], "{host}: {name}");
            match result {
                Ok(fetched) => assert_eq!(verified(fetched, &pushed.integrity), tarball, "{host}: {name}"),
                Err(error) => {
                    let said = everything_said(&error);
                    let told = secrets(&registry).into_iter().find(|secret| said.contains(secret.as_str()));
                    assert_eq!(told, None, "{host}: {name}: {said}");
                    let hint = error.hint().unwrap();
                    assert!(
                        error.cause() != Some("unauthorized") || hint.contains(&format!("`{host}`")),
                        "{host}: {name}: {hint}"
                    );
                }
            }
        }
        let own = [Some(registry.server()), registry.realm()].map(|server| server.map(testkit::HttpServer::origin));
        for request in bench.world.recorder().requests().iter().filter(|request| proves_something(request)) {
            let origin = &*request.origin;
            assert!(own.contains(&Some(origin)), "{host}: credentials at {origin}");
            assert!(request.bearer_token().is_none() || own[0] == Some(origin), "{host}: a token at {origin}");
        }
        for request in bench.world.recorder().requests().iter().filter(|r| !own.contains(&Some(&*r.origin))) {
            let kept = ["made-password", "made-identity-token", "made-token", "private_key", "wrong-"];
            let leaked = kept.into_iter().find(|secret| request.holds(secret));
            assert_eq!(leaked, None, "{host}: at {}", request.origin);
        }
        assert_eq!(bench.waits(), Vec::<Duration>::new(), "{host}: none of this is worth a second try");
    }
}

#[test]
fn rate_limit_of_docker_hub_is_waited_out() {
    let bench = Bench::new();
    let hub = bench.world.registry(Quirks::docker_hub());
    let pushed = hub.push("my-org/hello", "1", &Plugin::backend("hello").tarball());
    hub.rate_limit(2, "7");
    let fetched = bench.fetch(setup(access(&hub.docker_config())), &pushed.reference).unwrap();
    verified(fetched, &pushed.integrity);
    assert_eq!(bench.waits(), [Duration::from_secs(7); 2]);
}

#[test]
fn docker_hub_is_one_registry_under_all_its_names() {
    for written in ["docker.io", "index.docker.io", "registry-1.docker.io"] {
        for key in ["https://index.docker.io/v1/", "docker.io", "registry-1.docker.io"] {
            let bench = Bench::new();
            let quirks = Quirks { written: written.to_owned(), config_key: key.to_owned(), ..Quirks::docker_hub() };
            let hub = bench.world.registry(quirks);
            let pushed = hub.push("my-org/hello", "1", &Plugin::backend("hello").tarball());
            assert!(pushed.reference.contains(written));
            let fetched = bench.fetch(setup(access(&hub.docker_config())), &pushed.reference);
            assert_eq!(outcome(&fetched), INSTALLED, "{written}, {key}");
        }
    }
}

#[test]
fn expired_token_is_replaced_once() {
    let bench = Bench::new();
    let ghcr = bench.world.registry(Quirks::ghcr());
    let pushed = ghcr.push("my-org/hello", "1", &Plugin::backend("hello").tarball());
    let fetcher = bench.fetcher(setup(access(&ghcr.docker_config())));
    verified(fetch(&fetcher, &pushed.reference).unwrap(), &pushed.integrity);
    assert_eq!(ghcr.recorder().count("/token"), 1);
    verified(fetch(&fetcher, &pushed.reference).unwrap(), &pushed.integrity);
    assert_eq!(ghcr.recorder().count("/token"), 1, "a token serves the whole run");
    ghcr.revoke_tokens();
    verified(fetch(&fetcher, &pushed.reference).unwrap(), &pushed.integrity);
    assert_eq!(ghcr.recorder().count("/token"), 2);
}

#[test]
fn registry_on_a_port_is_spoken_to_by_the_scheme_it_speaks() {
    let tarball = Plugin::backend("hello").tarball();
    let bench = Bench::new();
    for (name, auth) in [
        ("open", Auth::None),
        ("basic", Auth::basic("robot$project+name", "p:w")),
        ("bearer", Auth::bearer("my-org+robot", "made-password")),
    ] {
        for (scheme, builder) in [("http", Registry::builder()), ("https", Registry::builder().tls(bench.world.ca()))] {
            let registry = builder.auth(auth.clone()).start();
            let pushed = registry.push("my-org/hello", "1", &tarball);
            let right = bench.fetch(setup(access(&registry.docker_config())), &pushed.reference);
            assert_eq!(verified(right.unwrap(), &pushed.integrity), tarball, "{scheme}, {name}");
            let missing = bench.fetch(Setup::default(), &pushed.reference);
            let expected = if auth == Auth::None { INSTALLED } else { UNAUTHORIZED };
            assert_eq!(outcome(&missing), expected, "{scheme}, {name}");
        }
    }
    assert_eq!(bench.world.recorder().requests(), [], "no loopback registry is asked through the proxy");
}

#[test]
fn plain_registry_never_sees_credentials_that_it_did_not_ask_for() {
    let bench = Bench::new();
    let registry = Registry::start();
    let pushed = registry.push("my-org/hello", "1", b"tarball");
    let config = docker_config(registry.host(), "robot", "made-password");
    verified(bench.fetch(setup(access(&config)), &pushed.reference).unwrap(), &pushed.integrity);
    assert_eq!(registry.recorder().with_header("authorization"), []);
}

#[test]
fn registry_of_another_maker_is_understood() {
    assert!(DockerRegistry::available(), "`apt-get install docker-registry` gets it");
    let bench = Bench::new();
    let open = DockerRegistry::open();
    assert_eq!(outcome(&bench.fetch(Setup::default(), &format!("oci://{}/a/b:1", open.host()))), NOT_FOUND);
    let locked = DockerRegistry::locked(bench.world.ca());
    let package = format!("oci://{}/a/b:1", locked.host());
    for (name, config, expected) in [
        ("right", docker_config(locked.host(), DockerRegistry::USER, DockerRegistry::PASSWORD), NOT_FOUND),
        ("wrong", docker_config(locked.host(), DockerRegistry::USER, "x"), UNAUTHORIZED),
        ("missing", "{}".to_owned(), UNAUTHORIZED),
    ] {
        assert_eq!(outcome(&bench.fetch(setup(access(&config)), &package)), expected, "{name}");
    }
}

#[test]
fn keys_of_the_config_are_for_their_host_and_longest_namespace() {
    let bench = Bench::new();
    let harbor = bench.world.registry(Quirks::harbor());
    let pushed = harbor.push("my-org/hello", "1", b"tarball");
    let right = encoded("robot$project+name", "made-password");
    let wrong = encoded("robot$project+name", "wrong-password");
    for (name, keys, expected) in [
        ("host", vec![("harbor.example.com", &right)], INSTALLED),
        ("URL", vec![("https://harbor.example.com/v2/", &right)], INSTALLED),
        ("namespace", vec![("harbor.example.com/my-org", &right), ("harbor.example.com", &wrong)], INSTALLED),
        ("repository", vec![("harbor.example.com/my-org/hello", &right), ("harbor.example.com", &wrong)], INSTALLED),
        ("namespace `v2`", vec![("harbor.example.com/my-org/v2", &wrong), ("harbor.example.com", &right)], INSTALLED),
        ("wrong namespace", vec![("harbor.example.com/my-org", &wrong), ("harbor.example.com", &right)], UNAUTHORIZED),
        ("half a namespace", vec![("harbor.example.com/my", &wrong), ("harbor.example.com", &right)], INSTALLED),
        ("another port", vec![("harbor.example.com:8443", &right)], UNAUTHORIZED),
        ("part of the host", vec![("example.com", &right)], UNAUTHORIZED),
        ("more than the host", vec![("harbor.example.com.evil.example", &right)], UNAUTHORIZED),
    ] {
        let auths: serde_json::Map<_, _> =
            keys.iter().map(|(key, auth)| ((*key).to_owned(), serde_json::json!({ "auth": auth }))).collect();
        let config = serde_json::json!({ "auths": auths }).to_string();
        let result = bench.fetch(setup(access(&config)), &pushed.reference);
        assert_eq!(outcome(&result), expected, "{name}");
    }
}

#[test]
fn mirror_is_asked_with_its_own_login_and_errors_name_what_the_list_says() {
    let conf = "[[registry]]\nlocation='quay.io'\nmirror=[{location='harbor.example.com/quay'}]";
    let bench = Bench::new();
    let harbor = bench.world.registry(Quirks::harbor());
    let pushed = harbor.push("quay/my-org/hello", "1", b"tarball");
    let access = |registries: &str| Access {
        registries: Registries::none().and(registries).unwrap(),
        layers: Layers::Several,
        ..access(&harbor.docker_config())
    };
    let package = "oci://quay.io/my-org/hello:1";
    let fetched = bench.fetch(setup(access(conf)), package).unwrap();
    assert_eq!(verified(fetched, &pushed.integrity), b"tarball");
    let error = bench.fetch(setup(access(conf)), "oci://quay.io/my-org/hello:2").unwrap_err();
    assert!(everything_said(&error).contains("failed to resolve the manifest of `oci://quay.io/my-org/hello:2`"));
    assert!(everything_said(&error).contains("`oci://harbor.example.com/quay/my-org/hello:2` (`harbor.example.com`"));
    let blocked = bench.fetch(setup(access("[[registry]]\nlocation='quay.io'\nblocked=true")), package);
    assert_eq!(outcome(&blocked), "oci_pull_failed blocked");
}

/// A folder with `docker-credential-NAME`. A process of its own writes it: a program that another thread's child still
/// holds open for writing cannot be run.
fn helper(folder: &Path, name: &str, script: &str) {
    let file = folder.join(format!("docker-credential-{name}"));
    let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$2" && chmod 755 "$2""#;
    let status = Command::new("sh").args(["-c", write, "sh", script]).arg(file).status().unwrap();
    assert!(status.success());
}

#[test]
fn credential_helper_on_path_is_asked_for_its_registry() {
    let folder = TempDir::new().unwrap();
    let answer = r#"read -r server; [ "$1" = get ] && printf '{"ServerURL":"%s","Username":"AWS","Secret":"made-password"}' "$server""#;
    helper(folder.path(), "fake", answer);
    helper(folder.path(), "empty", "echo credentials not found in native keychain; exit 1");
    helper(folder.path(), "broken", "echo made-password; exit 3");
    helper(folder.path(), "wordy", "echo made-password");
    let bench = Bench::new();
    let ecr = bench.world.registry(Quirks::ecr());
    let pushed = ecr.push("my-org/hello", "1", b"tarball");
    let host = ecr.host();
    let failed = "oci_pull_failed credentials";
    for (name, config, expected, hint) in [
        ("for the host", format!(r#"{{"credHelpers":{{"{host}":"fake"}}}}"#), INSTALLED, ""),
        ("for all", r#"{"credsStore":"fake"}"#.to_owned(), INSTALLED, ""),
        ("for another", r#"{"credHelpers":{"ghcr.io":"fake"}}"#.to_owned(), UNAUTHORIZED, "config.json"),
        ("knows nobody", r#"{"credsStore":"empty"}"#.to_owned(), UNAUTHORIZED, "config.json"),
        ("fails", r#"{"credsStore":"broken"}"#.to_owned(), failed, "by hand"),
        ("talks nonsense", r#"{"credsStore":"wordy"}"#.to_owned(), failed, "by hand"),
        ("missing", r#"{"credsStore":"nowhere"}"#.to_owned(), failed, "docker-credential-nowhere"),
        ("a path", r#"{"credsStore":"../fake"}"#.to_owned(), failed, "../fake"),
    ] {
        let access = access_with(&config, folder.path().as_os_str().to_owned());
        let result = bench.fetch(setup(access), &pushed.reference);
        assert_eq!(outcome(&result), expected, "{name}");
        if let Err(error) = result {
            assert!(error.hint().unwrap().contains(hint), "{name}: {:?}", error.hint());
            assert!(!everything_said(&error).contains("made-password"), "{name}");
        }
    }
}

/// What a registry puts into its answer, where it is asked with a login.
type Word = fn(&str) -> Reply;

/// It knows the login by right, and may be careless with it.
#[test]
fn registry_that_repeats_a_login_in_any_field_is_not_quoted() {
    const PASSWORD: &str = "made+pass/word";
    let words: [(&str, bool, Word); 7] = [
        ("realm", true, |word| {
            Reply::status(401).header("www-authenticate", &format!("Bearer realm=\"http://a.example/{word}\""))
        }),
        ("media type", true, |word| {
            let document = json!({ "schemaVersion": 2, "mediaType": word });
            Reply::ok().header("content-type", word).body(document.to_string().into_bytes())
        }),
        ("layer's media type", true, |word| manifest(&json!(2), word)),
        ("schema version", true, |word| manifest(&json!(word), "application/gzip")),
        ("reason", true, |word| Reply::status(400).json(&json!({ "errors": [{ "message": word }] }))),
        ("digest", false, |word| Reply::ok().header("docker-content-digest", word).body(*b"{}")),
        ("redirect", false, |word| Reply::redirect(307, &format!("https://a.example/{word}"))),
    ];
    for (name, is_quoted, word) in words {
        let said = |text: &str| {
            let bench = Bench::new();
            let registry = bench.world.registry(Quirks { auth: Auth::basic("octocat", PASSWORD), ..Quirks::plain() });
            let pushed = registry.push("my-org/hello", "1", b"tarball");
            let fetcher = bench.fetcher(setup(access(&docker_config(registry.host(), "octocat", PASSWORD))));
            drop(fetch(&fetcher, &pushed.reference).unwrap());
            let text = text.to_owned();
            registry.server().intercept(move |_, _| word(&text));
            everything_said(&fetch(&fetcher, &pushed.reference).unwrap_err())
        };
        assert_eq!(said("not/secret").contains("not/secret"), is_quoted, "{name}");
        for form in ["made+pass/word", "MADE%2bpass%2fword", "bWFkZStwYXNzL3dvcmQ", "6d6164652B706173732f776F7264"] {
            let said = said(form);
            assert!(!said.to_lowercase().contains(&form.to_lowercase()), "{name}: {said}");
        }
    }
}

fn manifest(version: &Value, media_type: &str) -> Reply {
    let digest = format!("sha256:{}", "0".repeat(64));
    let layer = json!({ "mediaType": media_type, "digest": digest, "size": 3 });
    let manifest = json!({ "schemaVersion": version, "mediaType": OCI_MANIFEST, "layers": [layer] });
    Reply::ok().header("content-type", OCI_MANIFEST).body(manifest.to_string().into_bytes())
}
