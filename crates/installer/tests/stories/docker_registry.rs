//! The acceptance stories with Debian's `docker-registry`, TLS under a made authority and a password, and a client that
//! is not ours: skopeo. `apt-get install skopeo docker-registry` gets both.

use std::fs;
use std::process::Command;

use testkit::{Ca, DockerRegistry, Plugin, Pushed, Registry, docker_config};

use crate::portal::{OnReject, Portal, Run, entry, wrong_entry};

/// A locked registry, and the plugin that skopeo pushed to it.
struct Stage {
    registry: DockerRegistry,
    ca: Ca,
    pushed: Pushed,
}

impl Stage {
    fn new() -> Self {
        let ca = Ca::new();
        let registry = DockerRegistry::locked(&ca);
        let ours = Registry::start();
        let pushed = ours.push("my-org/test", "1.0.0", &Plugin::backend("butler.test-dynamic").tarball());
        let certificates = tempfile::tempdir().unwrap();
        fs::write(certificates.path().join("authority.crt"), ca.pem()).unwrap();
        let repository = format!("{}/my-org/test", registry.host());
        let output = Command::new("skopeo")
            .args(["--insecure-policy", "copy", "--preserve-digests", "--src-tls-verify=false"])
            .arg(format!("--dest-cert-dir={}", certificates.path().display()))
            .arg(format!("--dest-creds={}:{}", DockerRegistry::USER, DockerRegistry::PASSWORD))
            .arg(pushed.reference.replace("oci://", "docker://"))
            .arg(format!("docker://{repository}:1.0.0"))
            .output()
            .expect("`skopeo` is on PATH; `apt-get install skopeo` puts it there");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let pushed = Pushed { reference: format!("oci://{repository}:1.0.0"), ..pushed };
        Self { registry, ca, pushed }
    }

    /// A portal with the authority and a login at hand.
    fn portal(&self, on_reject: OnReject, entry: String, password: &str) -> Portal {
        let portal = Portal::listing(on_reject, &[entry]);
        portal.write("authority.pem", self.ca.pem());
        portal.write("config.json", docker_config(self.registry.host(), DockerRegistry::USER, password));
        portal
    }
}

impl Portal {
    /// Runs with the login and the authority, at the most talkative level.
    fn install_logged_in(&self) -> Run {
        let folder = self.path(".");
        self.install_with(|command| {
            command
                .env("DOCKER_CONFIG", folder)
                .arg("--ca-file")
                .arg(self.path("authority.pem"))
                .arg("--log-level=debug")
        })
    }
}

impl Run {
    /// Insists that no form of the password is in the log.
    #[track_caller]
    fn keeps_the_secret(self) -> Self {
        let login = docker_config("host", DockerRegistry::USER, DockerRegistry::PASSWORD);
        let encoded = login.split('"').find(|word| word.len() > 20).unwrap().to_owned();
        for secret in [DockerRegistry::PASSWORD, &encoded, "correct%20horse", "wrong-password"] {
            assert!(!self.log().contains(secret), "`{secret}` is in\n{}", self.log());
        }
        self
    }
}

#[test]
fn plugin_with_the_promised_bytes_is_installed() {
    let stage = Stage::new();
    let portal = stage.portal(OnReject::Abort, entry(&stage.pushed), DockerRegistry::PASSWORD);
    let run = portal.install_logged_in().exits(0).keeps_the_secret();
    assert_eq!(portal.plugins(), ["butler.test-dynamic"]);
    assert!(run.stdout.contains("event=plugin_installed") && run.stdout.contains("digest_verified=ok"));
}

#[test]
fn plugin_with_other_bytes_is_installed_neither_fail_closed_nor_fail_open() {
    let stage = Stage::new();
    for (on_reject, status, last) in
        [(OnReject::Abort, 1, "event=fatal reason=continueOnError_false"), (OnReject::Continue, 0, "event=completed")]
    {
        let portal = stage.portal(on_reject, wrong_entry(&stage.pushed), DockerRegistry::PASSWORD);
        portal.install_logged_in().exits(status).keeps_the_secret().says("reason=integrity_mismatch").says(last);
        assert_eq!(portal.plugins(), [""; 0]);
    }
}

#[test]
fn login_and_authority_are_found_where_other_tools_look() {
    type Give = fn(&Portal, &mut Command);
    let rows: [(&str, Give); 3] = [
        ("docker", |portal, command| {
            fs::create_dir(portal.path(".docker")).unwrap();
            fs::rename(portal.path("config.json"), portal.path(".docker/config.json")).unwrap();
            command.env("HOME", portal.path(".")).env("SSL_CERT_FILE", portal.path("authority.pem"));
        }),
        ("podman", |portal, command| {
            let authorities = portal.path("authorities");
            fs::create_dir(&authorities).unwrap();
            // The name that OpenSSL looks for; any hash will do.
            fs::rename(portal.path("authority.pem"), authorities.join("0123abcd.0")).unwrap();
            command.env("REGISTRY_AUTH_FILE", portal.path("config.json")).env("SSL_CERT_DIR", authorities);
        }),
        ("ours", |portal, command| {
            command.arg("--registry-auth-file").arg(portal.path("config.json"));
            command.env("BUTLER_PLUGINS_CA_FILE", portal.path("authority.pem"));
        }),
    ];
    let stage = Stage::new();
    let by_digest =
        Pushed { reference: format!("{}@{}", stage.pushed.reference, stage.pushed.digest), ..stage.pushed.clone() };
    for (name, give) in rows {
        let portal = stage.portal(OnReject::Abort, entry(&by_digest), DockerRegistry::PASSWORD);
        let run = portal.install_with(|command| {
            give(&portal, command);
            command
        });
        assert_eq!(run.exits(0).keeps_the_secret().events().last().unwrap(), "completed", "{name}");
    }
}

#[test]
fn wrong_and_missing_passwords_are_told_apart() {
    let stage = Stage::new();
    let rejection = |run: Run| {
        let (_, reason) = run.stderr.lines().next().unwrap().split_once(" reason=").unwrap();
        reason.replace(stage.registry.host(), "HOST") + "\n"
    };
    let portal = stage.portal(OnReject::Abort, entry(&stage.pushed), "wrong-password");
    let wrong = portal.install_logged_in().exits(1).keeps_the_secret();
    insta::assert_snapshot!(rejection(wrong), @r#"
    oci_pull_failed cause=unauthorized detail="failed to pull from the registry: failed to resolve the manifest of `oci://HOST/my-org/test:1.0.0`: `HOST` answered 401 to the credentials it was given: UNAUTHORIZED: authentication required" hint="the password or token for `HOST` in `config.json` is wrong or has expired" blame=operator line=4
    "#);
    portal.write("config.json", "{}");
    let missing = portal.install_logged_in().exits(1).keeps_the_secret();
    insta::assert_snapshot!(rejection(missing), @r#"
    oci_pull_failed cause=unauthorized detail="failed to pull from the registry: failed to resolve the manifest of `oci://HOST/my-org/test:1.0.0`: `HOST` answered 401 and was given no credentials" hint="mount a `config.json` with an entry for `HOST` and point DOCKER_CONFIG at its folder" blame=operator line=4
    "#);
}

#[test]
fn authority_that_nobody_trusts_is_not_trusted() {
    let stage = Stage::new();
    let portal = stage.portal(OnReject::Abort, entry(&stage.pushed), DockerRegistry::PASSWORD);
    let run = portal.install_with(|command| command.env("DOCKER_CONFIG", portal.path("."))).exits(1).keeps_the_secret();
    run.says("reason=oci_pull_failed cause=tls").says("`--ca-file`");
}
