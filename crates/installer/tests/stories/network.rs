//! Servers under their public names, private ones too, reached through a proxy as in a closed network.

use testkit::{Auth, Bearer, Fault, Plugin, Proxy, Quirks, Registry, Reply, Request, World, sri};

use crate::portal::{OnReject, Portal, Run, entry, publish};

impl Portal {
    /// Runs where the proxy is the only way out.
    fn install_behind(&self, proxy: &Proxy, world: &World) -> Run {
        let authority = self.write("authority.pem", world.ca().pem());
        self.install_with(|command| {
            command
                .env("https_proxy", proxy.url())
                .env("SSL_CERT_FILE", authority)
                .env("DOCKER_CONFIG", self.path("."))
                .env("NETRC", self.path("netrc"))
                .arg("--log-level=debug")
        })
    }
}

#[test]
fn every_registry_of_the_support_matrix_is_reached_by_name() {
    for quirks in Quirks::all() {
        let world = World::new();
        let proxy = Proxy::start(&world);
        let registry = world.registry(quirks);
        let pushed = registry.push("my-org/hello", "1.2.3", &Plugin::backend("hello").tarball());
        let portal = Portal::listing(OnReject::Abort, &[entry(&pushed)]);
        portal.write("netrc", "");
        portal.write("config.json", registry.docker_config());
        let run = portal.install_behind(&proxy, &world).exits(0).says("event=plugin_installed");
        assert_eq!(portal.plugins(), ["hello-dynamic"], "{pushed:?}");
        let Some(login) = registry.quirks().auth.login() else { continue };
        assert!(!run.log().contains(&login.password), "{}", run.log());

        // Without the login each says the same, whoever gave the answer.
        let portal = Portal::listing(OnReject::Abort, &[entry(&pushed)]);
        portal.write("netrc", "");
        let run = portal.install_behind(&proxy, &world).exits(1).says("reason=oci_pull_failed cause=unauthorized");
        assert!(run.stderr.contains(" hint="), "{}", run.stderr);
    }
}

#[test]
fn short_outage_is_waited_out() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
    registry.fail_first(1, 503);
    let is_blob = |request: &Request| request.path.contains("/blobs/");
    registry.server().first(1, is_blob, || Reply::broken(Fault::Reset));
    let run = portal.install().exits(0).says("event=plugin_installed");
    run.says("event=warning reason=retry").says("answered 503; next try in ");
}

#[test]
fn longer_outage_is_told_for_what_it_is() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
    registry.fail_first(usize::MAX, 503);
    let run = portal.install_with(|command| command.arg("--tries=2")).exits(1);
    run.says("reason=oci_pull_failed cause=server_error");
    assert_eq!(registry.recorder().requests().len(), 2);
}

#[test]
fn token_server_on_another_host_gets_the_login_only_when_it_is_named() {
    let world = World::new();
    let proxy = Proxy::start(&world);
    let mut quirks = Quirks::gitlab();
    quirks.host = "registry.internal.example".to_owned();
    quirks.written.clone_from(&quirks.host);
    quirks.config_key.clone_from(&quirks.host);
    let registry = world.registry(quirks);
    let Auth::Bearer(Bearer { login, .. }) = &registry.quirks().auth else { panic!("expected tokens") };
    let pushed = registry.push("my-org/hello", "1", &Plugin::backend("hello").tarball());
    let portal = Portal::listing(OnReject::Abort, &[entry(&pushed)]);
    portal.write("netrc", "");
    portal.write("config.json", registry.docker_config());
    let sent = || {
        let asked = world.recorder().to_origin("https://gitlab.com");
        asked.iter().any(|request| request.basic_credentials().is_some_and(|(_, password)| password == login.password))
    };
    portal.install_behind(&proxy, &world).exits(1).says("reason=oci_pull_failed").says("--token-realm");
    assert!(!sent());
    let run = portal.install_with(|command| {
        command
            .env("HTTPS_PROXY", proxy.url())
            .env("BUTLER_PLUGINS_CA_FILE", portal.path("authority.pem"))
            .env("DOCKER_CONFIG", portal.path("."))
            .arg("--token-realm=registry.internal.example=gitlab.com")
    });
    run.exits(0);
    assert!(sent());
}

#[test]
fn https_tarball_is_fetched_with_the_login_of_its_host() {
    let tarball = Plugin::backend("hello").tarball();
    let integrity = sri(&tarball);
    let world = World::new();
    let proxy = Proxy::start(&world);
    let _server = world.server("artifacts.internal.example.com", move |request| match request.basic_credentials() {
        Some((user, password)) if (user.as_str(), password.as_str()) == ("robot", "s3cret") => {
            Reply::ok().body(tarball.clone())
        }
        _ => Reply::status(401).header("www-authenticate", "Basic realm=\"made\""),
    });
    let portal = Portal::new();
    let package = "https://artifacts.internal.example.com/plugins/hello-1.0.0.tgz";
    portal.write(
        "dynamic-plugins.yaml",
        format!("allowedSources: [https://artifacts.internal.example.com/plugins]\nplugins:\n  - package: {package}\n    integrity: {integrity}\n"),
    );
    portal.write("netrc", "machine artifacts.internal.example.com login robot password s3cret\n");
    let run = portal.install_behind(&proxy, &world).exits(0).says("event=plugin_installed").says("digest_verified=ok");
    assert!(!run.log().contains("s3cret"), "{}", run.log());
    assert_eq!(proxy.asked(), ["artifacts.internal.example.com:443"]);

    let portal_without = portal.beside();
    portal_without.write("dynamic-plugins.yaml", std::fs::read(portal.path("dynamic-plugins.yaml")).unwrap());
    portal_without.write("netrc", "machine other.example.com login robot password s3cret\n");
    std::fs::remove_dir_all(portal.root().join("hello-dynamic")).unwrap();
    let run = portal_without.install_behind(&proxy, &world).exits(1);
    run.says("reason=https_pull_failed cause=unauthorized").says("`--netrc`");
}

#[test]
fn what_a_registry_says_has_limits_that_can_be_set() {
    let registry = Registry::builder().auth(Auth::bearer("octocat", "made")).start();
    let pushed = publish(&registry, "hello", "1");
    let padded = |len: usize| {
        move |mut body: Vec<u8>| {
            body.resize(len, b' ');
            body
        }
    };
    registry.server().intercept(move |request, answer| match &*request.path {
        "/token" => answer().with_body(padded(300)),
        path if path.contains("/manifests/") && request.header("authorization").is_some() => {
            answer().without("docker-content-digest").with_body(padded(3000))
        }
        _ => answer(),
    });
    for (flag, status) in [
        ("--max-manifest-bytes=3000", 0),
        ("--max-manifest-bytes=2999", 1),
        ("--max-token-bytes=300", 0),
        ("--max-token-bytes=299", 1),
    ] {
        let portal = Portal::listing(OnReject::Abort, &[entry(&pushed)]);
        portal.write("config.json", registry.docker_config());
        let run = portal.install_with(|command| command.env("DOCKER_CONFIG", portal.path(".")).arg(flag));
        assert_eq!(run.log().contains("cause=too_large"), status == 1, "{flag}: {}", run.log());
        run.exits(status);
    }
}
