//! Who is let in, with which token, and who is told why not.

use integrity::Blame;
use oci::{How, OciError, PushOptions};
use source::Authority;
use testkit::{Auth, Bearer, HttpServer, Quirks, Realm, Registry, Reply, Request, TokenField, docker_config};

use crate::bench::{Publisher, REPOSITORY, artifact, chunk, layer, methods, mount, to};

fn is_upload(request: &Request) -> bool {
    matches!(request.method.as_str(), "PUT" | "PATCH")
}

fn wrong(registry: &Registry) -> String {
    docker_config(registry.host(), "somebody", "wrong-password")
}

/// What tokens were asked for so far.
fn scopes(registry: &Registry) -> Vec<String> {
    let requests = registry.recorder().requests();
    let tokens = requests.iter().filter(|request| request.path == "/token");
    tokens.map(|request| request.query_values("scope").join(" ")).collect()
}

/// `cause` of a failed act, `done` of another.
fn outcome<T>(result: &Result<T, OciError>) -> &'static str {
    result.as_ref().err().map_or("done", OciError::cause)
}

#[test]
fn each_registry_takes_a_push_from_whom_it_should() {
    for quirks in Quirks::all() {
        let host = quirks.host.clone();
        let registry = Registry::builder().quirks(quirks).start();
        registry.push("other/hello", "1", &artifact(64));
        // The keys of the public names are of no use on a loopback port.
        let publisher = Publisher::with(&registry.docker_config());
        let authority = Authority::parse(registry.host()).unwrap();
        publisher.client.log_in(&authority, publisher.patience()).unwrap();
        let before = publisher.pull(&format!("{}/other/hello:1", registry.host())).unwrap();
        registry.recorder().clear();

        let options = PushOptions { mount_from: Some("other/hello".to_owned()), ..chunk(1_000) };
        let pushed = publisher.push(&to(&registry), &artifact(4_096), &options).unwrap();
        let mounted = publisher.push_blob(&to(&registry), &layer(&artifact(64)), &options).unwrap();
        assert_eq!(mounted.how(), How::Mounted, "{host}");
        let requests = registry.recorder().requests();
        let is_closed = *registry.quirks() != Quirks::plain();
        for request in requests.iter().filter(|request| is_upload(request)) {
            assert_eq!(request.header("authorization").is_some(), is_closed, "{host}: {}", request.path);
        }
        let sent: usize = requests.iter().filter(|request| request.method == "PATCH").map(|r| r.body.len()).sum();
        assert_eq!(sent, 4_096, "{host}: no byte is sent twice");
        assert_eq!(publisher.pull(&to(&registry)).unwrap(), (pushed, artifact(4_096)), "{host}");
        assert_ne!(before.0, pushed);
    }
}

#[test]
fn token_for_reading_is_not_shown_for_writing() {
    let registry = Registry::builder().auth(Auth::bearer("octocat", "made-password")).public("").start();
    let publisher = Publisher::with(&registry.docker_config());
    registry.push(REPOSITORY, "0", b"other");
    publisher.pull(&format!("{}/{REPOSITORY}:0", registry.host())).unwrap();
    registry.recorder().clear();
    let sent = publisher.push_blob(&to(&registry), &layer(b"tarball"), &PushOptions::default()).unwrap();
    assert_eq!(sent.how(), How::Sent);
    assert_eq!(scopes(&registry), [format!("repository:{REPOSITORY}:pull,push")]);
    registry.push_blob("other/hello", b"tarball of others");
    registry.recorder().clear();
    let mounted = publisher.push_blob(&to(&registry), &layer(b"tarball of others"), &mount("other/hello")).unwrap();
    assert_eq!(mounted.how(), How::Mounted);
    assert_eq!(scopes(&registry), [format!("repository:{REPOSITORY}:pull,push repository:other/hello:pull")]);
}

#[test]
fn token_that_expires_midway_is_replaced_and_the_bytes_are_sent_again() {
    let registry = Registry::builder().auth(Auth::bearer("octocat", "made-password")).start();
    let challenge = format!("Bearer realm=\"{}\",service=\"testkit\"", registry.server().url("/token"));
    let expired = move || Reply::status(401).header("www-authenticate", &challenge);
    registry.server().first(1, |request| request.method == "PUT", expired);
    let publisher = Publisher::with(&registry.docker_config());
    let blob = layer(&artifact(4_096));
    let sent = publisher.push_blob(&to(&registry), &blob, &PushOptions::default()).unwrap();
    assert_eq!(sent.how(), How::Sent);
    let uploads: Vec<_> = registry.recorder().requests().into_iter().filter(is_upload).collect();
    let [first, second] = &uploads[..] else { panic!("two requests") };
    assert!(first.header("authorization") != second.header("authorization") && first.body == second.body);
}

#[test]
fn who_may_not_push_is_told_what_to_do() {
    let builder = |auth: &Auth| Registry::builder().auth(auth.clone()).read_only("my-org").public("");
    for auth in [Auth::basic("octocat", "made-password"), Auth::bearer("octocat", "made-password")] {
        let registry = builder(&auth).start();
        for (name, config, expected, hint) in [
            ("may only read", registry.docker_config(), "forbidden", "write access"),
            ("wrong password", wrong(&registry), "unauthorized", "may not push"),
            ("nobody", "{}".to_owned(), "unauthorized", "log in to"),
        ] {
            methods(&registry);
            let result = Publisher::with(&config).push(&to(&registry), b"tarball", &PushOptions::default());
            let error = result.unwrap_err();
            assert_eq!((error.cause(), error.blame()), (expected, Blame::Operator), "{name}");
            assert!(error.hint().unwrap().contains(hint), "{name}: {:?}", error.hint());
            assert!(!methods(&registry).contains("PUT"), "{name}: nothing is sent");
        }
    }
}

#[test]
fn repository_that_must_be_made_first_is_named_as_such() {
    let registry = Registry::start();
    registry.server().intercept(|request, answer| match request.method.as_str() {
        "POST" => Reply::status(404).json(&serde_json::json!({ "errors": [{ "code": "NAME_UNKNOWN" }] })),
        _ => answer(),
    });
    let error = Publisher::anonymous().push(&to(&registry), b"tarball", &PushOptions::default()).unwrap_err();
    assert_eq!(error.cause(), "not_found");
    assert!(error.hint().unwrap().contains("create the repository"), "{:?}", error.hint());
}

#[test]
fn login_is_tried_before_it_is_kept() {
    let bearer = Auth::bearer("octocat", "made-password");
    for (name, auth, right, expected) in [
        ("open", Auth::None, false, "done"),
        ("basic", Auth::basic("octocat", "made-password"), true, "done"),
        ("basic, wrong", Auth::basic("octocat", "made-password"), false, "unauthorized"),
        ("bearer", bearer.clone(), true, "done"),
        ("bearer, wrong", bearer, false, "unauthorized"),
    ] {
        let registry = Registry::builder().auth(auth).start();
        let config = if right { registry.docker_config() } else { wrong(&registry) };
        let publisher = Publisher::with(&config);
        let authority = Authority::parse(registry.host()).unwrap();
        let result = publisher.client.log_in(&authority, publisher.patience());
        assert_eq!(outcome(&result), expected, "{name}");
        if let Err(error) = result {
            assert_eq!(error.to_string(), format!("failed to log in to `{}`", registry.host()));
            assert!(error.hint().unwrap().contains("wrong") && !format!("{error:?}").contains("wrong-password"));
        }
    }
}

#[test]
fn login_that_must_not_be_shown_is_not_called_accepted() {
    let realm = HttpServer::start(|_| Reply::ok().json(&serde_json::json!({ "token": "for-anybody" })));
    // Another name for the same machine is another host.
    let claimed = realm.url("/token").replace("127.0.0.1", "localhost");
    let auth = Auth::Bearer(Bearer {
        login: testkit::Login::new("octocat", "made-password"),
        identity_token: None,
        realm: Realm::Claimed(claimed),
        service: "testkit".to_owned(),
        token_field: TokenField::Token,
    });
    let registry = Registry::builder().auth(auth).start();
    registry.server().intercept(|request, answer| match request.bearer_token() {
        Some("for-anybody") => Reply::ok(),
        _ => answer(),
    });
    let publisher = Publisher::with(&registry.docker_config());
    let authority = Authority::parse(registry.host()).unwrap();
    let error = publisher.client.log_in(&authority, publisher.patience()).unwrap_err();
    assert_eq!(error.cause(), "unauthorized");
    assert!(error.hint().unwrap().contains("--token-realm"), "{:?}", error.hint());
    assert_eq!(realm.recorder().with_header("authorization"), []);
}
