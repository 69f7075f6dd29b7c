//! Registries that send us elsewhere, and what must not go there.

use super::*;

#[test]
fn redirected_blob_comes_without_credentials_and_only_over_https() {
    let plain = HttpServer::start(|_| Reply::ok().body(*b"tarball"));
    let no_host = "https:///x".to_owned();
    for (name, location, expected) in [
        ("another host", "https://cdn.example.net/x?signature=made".to_owned(), "installed"),
        ("own host", format!("/v2/{REPOSITORY}/blobs/{}?hop=1", sha256_digest(b"tarball")), "installed"),
        ("own host, http", "http://harbor.example.com/x".to_owned(), "oci_pull_failed redirect_denied"),
        ("loopback, http", plain.url("/x"), "oci_pull_failed redirect_denied"),
        ("file", "file:///etc/passwd".to_owned(), "oci_pull_failed redirect_denied"),
        ("userinfo", "https://u:s3cret@cdn.example.net/x".to_owned(), "oci_pull_failed redirect_denied"),
        ("no host", no_host, "oci_pull_failed redirect_denied"),
        ("another host, same scheme", "//cdn.example.net/x".to_owned(), "installed"),
        ("host as user", "https://harbor.example.com@cdn.example.net/x".to_owned(), "oci_pull_failed redirect_denied"),
        ("relative", "x?hop=1".to_owned(), "oci_pull_failed redirect_denied"),
        ("line break", "https://cdn.example.net/\tx".to_owned(), "oci_pull_failed redirect_denied"),
        ("five hops", "https://hops.example.net/5".to_owned(), "installed"),
        ("six hops", "https://hops.example.net/6".to_owned(), "oci_pull_failed redirect_denied"),
        ("loop", format!("/v2/{REPOSITORY}/blobs/loop"), "oci_pull_failed redirect_denied"),
        ("loop of two hosts", "https://loop.example.net/x".to_owned(), "oci_pull_failed redirect_denied"),
    ] {
        let bench = Bench::new();
        let registry = bench.world.registry(Quirks::harbor());
        let pushed = registry.push(REPOSITORY, "1", b"tarball");
        let cdn = bench.world.server("cdn.example.net", |_| Reply::ok().body(*b"tarball"));
        let back = registry.server().url(&format!("/v2/{REPOSITORY}/blobs/x"));
        let _loop = bench.world.server("loop.example.net", move |_| Reply::redirect(302, &back));
        let _hops = bench.world.server("hops.example.net", |request| match request.path.trim_matches('/') {
            "1" => Reply::ok().body(*b"tarball"),
            left => Reply::redirect(302, &format!("/{}", left.parse::<u8>().unwrap() - 1)),
        });
        registry.server().intercept(move |request, answer| {
            if is_blob(request) && request.query.is_empty() { Reply::redirect(307, &location) } else { answer() }
        });
        let result = bench.fetch(setup(access(&registry.docker_config())), &pushed.reference);
        assert_eq!(outcome(&result), expected, "{name}");
        if let Err(error) = result {
            assert!(!everything_said(&error).contains("s3cret"), "{name}");
        }
        assert!(cdn.recorder().to_origin(cdn.origin()).iter().all(|request| request.header("authorization").is_none()));
        assert!(bench.world.recorder().requests().iter().filter(|request| is_blob(request)).count() <= 6, "{name}");
    }
    assert_eq!(plain.recorder().requests(), []);
}

#[test]
fn each_status_that_redirects_does_and_no_other() {
    for (status, location, expected) in [
        (300, Some("https://cdn.example.net/x"), "oci_pull_failed protocol"),
        (301, Some("https://cdn.example.net/x"), "installed"),
        (302, Some("https://cdn.example.net/x"), "installed"),
        (303, Some("https://cdn.example.net/x"), "installed"),
        (304, Some("https://cdn.example.net/x"), "oci_pull_failed protocol"),
        (305, Some("https://cdn.example.net/x"), "oci_pull_failed protocol"),
        (307, Some("https://cdn.example.net/x"), "installed"),
        (308, Some("https://cdn.example.net/x"), "installed"),
        (302, None, "oci_pull_failed redirect_denied"),
        (302, Some(""), "oci_pull_failed redirect_denied"),
    ] {
        let bench = Bench::new();
        let registry = bench.world.registry(Quirks::harbor());
        let pushed = registry.push(REPOSITORY, "1", b"tarball");
        let cdn = bench.world.server("cdn.example.net", |_| Reply::ok().body(*b"tarball"));
        let reply = move || location.map_or(Reply::status(status), |to| Reply::redirect(status, to));
        registry.server().first(usize::MAX, is_blob, reply);
        let result = bench.fetch(setup(access(&registry.docker_config())), &pushed.reference);
        assert_eq!(outcome(&result), expected, "{status} {location:?}");
        let at_storage = bench.world.recorder().to_origin(cdn.origin());
        assert!(!at_storage.iter().any(|request| request.holds("made-password") || request.holds("made-token")));
        assert_eq!(bench.waits(), Vec::<Duration>::new(), "{status}");
    }
}

#[test]
fn manifest_comes_from_the_registry_itself() {
    for (name, location, expected) in [
        ("own path", format!("/v2/{REPOSITORY}/manifests/1?hop=1"), "installed"),
        ("another host", "https://cdn.example.net/x".to_owned(), "oci_pull_failed redirect_denied"),
        ("another port", "https://harbor.example.com:8443/x".to_owned(), "oci_pull_failed redirect_denied"),
    ] {
        let bench = Bench::new();
        let registry = bench.world.registry(Quirks::harbor());
        let pushed = registry.push(REPOSITORY, "1", b"tarball");
        let cdn = bench.world.server("cdn.example.net", |_| Reply::ok().body(*b"{}"));
        registry.server().intercept(move |request, answer| {
            if is_manifest(request) && request.query.is_empty() { Reply::redirect(307, &location) } else { answer() }
        });
        let result = bench.fetch(setup(access(&registry.docker_config())), &pushed.reference);
        assert_eq!(outcome(&result), expected, "{name}");
        assert_eq!(bench.world.recorder().to_origin(cdn.origin()), [], "{name}");
    }
}

#[test]
fn refusal_by_a_registrys_storage_is_not_taken_for_one_of_the_login() {
    for (status, expected) in [(401, "oci_pull_failed unauthorized"), (403, "oci_pull_failed forbidden")] {
        let bench = Bench::new();
        let registry = bench.world.registry(Quirks::harbor());
        let pushed = registry.push(REPOSITORY, "1", b"tarball");
        let _cdn = bench.world.server("cdn.example.net", move |_| Reply::status(status));
        registry.server().first(usize::MAX, is_blob, || Reply::redirect(307, "https://cdn.example.net/x"));
        let result = bench.fetch(setup(access(&registry.docker_config())), &pushed.reference);
        assert_eq!(outcome(&result), expected);
        let hint = result.unwrap_err().hint().unwrap();
        assert!(hint.contains("storage") && !hint.contains("config.json"), "{hint}");
    }
}

#[test]
fn storage_cannot_ask_for_a_login() {
    for challenge in ["Basic realm=\"x\"", "Bearer realm=\"https://evil.example/token\",service=\"harbor-registry\""] {
        let bench = Bench::new();
        let registry = bench.world.registry(Quirks::harbor());
        let pushed = registry.push(REPOSITORY, "1", b"tarball");
        let evil = bench.world.server("evil.example", |_| Reply::ok().body(*br#"{"token":"t"}"#));
        let cdn =
            bench.world.server("cdn.example.net", move |_| Reply::status(401).header("www-authenticate", challenge));
        registry.server().first(usize::MAX, is_blob, || Reply::redirect(307, "https://cdn.example.net/x"));
        let result = bench.fetch(setup(access(&registry.docker_config())), &pushed.reference);
        assert_eq!(outcome(&result), "oci_pull_failed unauthorized", "{challenge}");
        let [asked] = &bench.world.recorder().to_origin(cdn.origin())[..] else { panic!("{challenge}: asked once") };
        assert!(asked.header("authorization").is_none(), "{challenge}");
        assert_eq!(bench.world.recorder().to_origin(evil.origin()), [], "{challenge}");
    }
}

#[test]
fn redirect_from_https_to_http_is_denied_on_loopback_too() {
    let bench = Bench::new();
    let registry = Registry::builder().tls(bench.world.ca()).start();
    let pushed = registry.push(REPOSITORY, "1", b"tarball");
    let plain = HttpServer::start(|_| Reply::ok().body(*b"tarball"));
    let location = plain.url("/x");
    let redirect = move || Reply::redirect(307, &location);
    registry.server().first(usize::MAX, is_blob, redirect);
    assert_eq!(outcome(&bench.fetch(Setup::default(), &pushed.reference)), "oci_pull_failed redirect_denied");
    assert_eq!(plain.recorder().requests(), []);
}

/// A registry whose challenge names a realm of its choice.
fn with_realm(world: &World, realm: Realm) -> (Registry, Pushed) {
    let auth = Auth::Bearer(Bearer {
        login: Login::new("robot", "made-password"),
        identity_token: None,
        realm,
        service: "testkit".to_owned(),
        token_field: TokenField::Both,
    });
    let registry = world.registry(RegistryBuilder::from(Quirks { auth, ..Quirks::plain() }));
    let pushed = registry.push(REPOSITORY, "1", b"tarball");
    (registry, pushed)
}

#[test]
fn foreign_token_server_is_asked_by_nobody_in_particular() {
    let bench = Bench::new();
    let realm = Realm::Elsewhere { host: "login.example.com".to_owned(), path: "/token".to_owned() };
    let (registry, pushed) = with_realm(&bench.world, realm);
    let config = registry.docker_config();
    let error = bench.fetch(setup(access(&config)), &pushed.reference).unwrap_err();
    assert_eq!((error.reason(), error.cause()), ("oci_pull_failed", Some("unauthorized")));
    assert!(error.hint().unwrap().contains("--token-realm registry.example.com=login.example.com"));
    let asked = bench.world.recorder().to_origin("https://login.example.com");
    assert_eq!(asked.len(), 1);
    assert!(asked[0].header("authorization").is_none() && asked[0].body.is_empty());

    let realms = TrustedRealms::built_in().with("registry.example.com", "login.example.com");
    let listed = Access { realms, ..access(&config) };
    verified(bench.fetch(setup(listed), &pushed.reference).unwrap(), &pushed.integrity);
}

#[test]
fn realm_that_is_not_https_is_never_contacted() {
    let plain = HttpServer::start(|_| Reply::ok().body(*br#"{"token":"t"}"#));
    for realm in [
        "http://169.254.169.254/latest",
        "http://registry.example.com/token",
        &plain.url("/token"),
        "token",
        "",
        "ftp://registry.example.com/token",
        "https://",
        "https://robot@registry.example.com/token",
        "https://registry.example.com@evil.example/token",
        "https://registry.example.com\\@evil.example/token",
        "https://registry.example.com:0/token",
        "https://registry.example.com/a token",
    ] {
        let bench = Bench::new();
        let (registry, pushed) = with_realm(&bench.world, Realm::Claimed(realm.to_owned()));
        let error = bench.fetch(setup(access(&registry.docker_config())), &pushed.reference).unwrap_err();
        assert_eq!((error.reason(), error.cause()), ("oci_pull_failed", Some("realm_denied")), "{realm}");
        let hint = error.hint().unwrap();
        assert!(hint.contains("https token server") && !hint.contains("--token-realm"), "{realm}: {hint}");
        assert_eq!(bench.world.recorder().requests().len(), 1, "{realm}");
    }
    assert_eq!(plain.recorder().requests(), []);
}

#[test]
fn token_server_must_answer_itself() {
    let bench = Bench::new();
    let registry = bench.world.registry(Quirks::harbor());
    let pushed = registry.push(REPOSITORY, "1", b"tarball");
    let evil = bench.world.server("evil.example", |_| Reply::ok().body(*br#"{"token":"t"}"#));
    let to_evil = evil.url("/service/token");
    registry.server().first(1, |request| request.path == "/service/token", move || Reply::redirect(307, &to_evil));
    let result = bench.fetch(setup(access(&registry.docker_config())), &pushed.reference);
    assert_eq!(outcome(&result), "oci_pull_failed redirect_denied");
    assert_eq!(evil.recorder().to_origin(evil.origin()), []);
}
