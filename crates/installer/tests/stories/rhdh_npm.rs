//! Plugins of npm registries: which version is meant, who gets the login, and whose word counts for the bytes.

use std::fs;

use testkit::{Ca, HttpServer, Proxy, Recorder, Reply, World};

use crate::hub::{Hub, Npm, asked};

const PACKAGE: &str = "@my/package";
const VERSIONS: [&str; 4] = ["1.0.0", "1.1.0", "2.0.0-beta.1", "2.0.0"];

fn hub(registry: &HttpServer, entries: &[&str]) -> Hub {
    let mut hub = Hub::listing(entries);
    let npmrc = hub.write("npmrc", format!("registry={}\n", registry.url("/npm/")));
    hub.set("NPM_CONFIG_USERCONFIG", npmrc);
    hub
}

/// All files below the root but our own, by their names.
fn archives(hub: &Hub) -> Vec<String> {
    hub.tree().lines().iter().filter(|line| line.contains(".tgz")).cloned().collect()
}

#[test]
fn version_is_the_one_that_npm_would_choose() {
    let npm = Npm::new(PACKAGE, &VERSIONS);
    let integrities = VERSIONS.map(|version| npm.integrity(version));
    let registry = npm.serve();
    let rows: [(&str, Result<&str, &str>); 12] = [
        (PACKAGE, Ok("2.0.0")),
        ("@my/package@latest", Ok("2.0.0")),
        ("@my/package@old", Ok("1.0.0")),
        ("@my/package@1.0.0", Ok("1.0.0")),
        ("@my/package@^1", Ok("1.1.0")),
        ("@my/package@~1.0", Ok("1.0.0")),
        ("@my/package@1.x", Ok("1.1.0")),
        ("@my/package@>=1.0.0 <1.1", Ok("1.0.0")),
        ("@my/package@2.0.0-beta.1", Ok("2.0.0-beta.1")),
        ("alias@npm:@my/package@^1", Ok("1.1.0")),
        ("@my/package@^3", Err("no version matches `^3`; the newest are ")),
        ("@my/package@next", Err("no version has the tag `next`; the tags are ")),
    ];
    for (package, expected) in rows {
        let version = expected.unwrap_or("2.0.0");
        let integrity = &integrities[VERSIONS.iter().position(|own| *own == version).unwrap()];
        let hub = hub(&registry, &[&format!("'{package}'\nintegrity: {integrity}")]);
        let run = hub.install();
        match expected {
            Ok(version) => {
                run.exits(0).says(&format!("\t==> Installed {package}\n"));
                assert_eq!(hub.plugins(), [format!("my-package-{version}")], "{package}");
                assert_eq!(hub.installed(&format!("my-package-{version}/dist/mark")), version);
            }
            Err(said) => {
                run.exits(1).says(said);
                assert_eq!(hub.plugins(), [""; 0], "{package}");
            }
        }
    }
}

#[test]
fn another_version_takes_the_place_of_the_one_before() {
    let npm = Npm::new(PACKAGE, &VERSIONS);
    let [first, second] = ["1.0.0", "1.1.0"].map(|version| {
        let integrity = npm.integrity(version);
        format!("'@my/package@{version}'\nintegrity: {integrity}")
    });
    let registry = npm.serve();
    let hub = hub(&registry, &[&first]);
    hub.install().exits(0);
    hub.plugins_are(&[&second]);
    hub.install().exits(0).says("Removing obsolete plugin my-package-1.0.0");
    assert_eq!(hub.plugins(), ["my-package-1.1.0"]);
    hub.plugins_are(&[&first, &second.replace("@my", "alias@npm:@my")]);
    hub.install().exits(0);
    assert_eq!(hub.plugins(), ["my-package-1.0.0", "my-package-1.1.0"]);
}

#[test]
fn login_and_certificates_are_those_of_the_registry_and_go_nowhere_else() {
    const TOKEN: &str = "npm_made4this";
    let (ca, recorder) = (Ca::new(), Recorder::default());
    let mine = Npm::new(PACKAGE, &["1.0.0"]);
    let theirs = Npm::new("plain", &["1.0.0"]);
    let integrities = [mine.integrity("1.0.0"), theirs.integrity("1.0.0")];
    let secret = HttpServer::builder().tls(&ca).recorder(&recorder).start(move |request| {
        if request.bearer_token() != Some(TOKEN) {
            return Reply::status(401);
        }
        mine.answer(request).unwrap_or_else(|| Reply::status(404))
    });
    let public = theirs.serve();
    let entries =
        [format!("'@my/package'\nintegrity: {}", integrities[0]), format!("plain\nintegrity: {}", integrities[1])];
    let mut hub = Hub::listing(&entries.each_ref().map(String::as_str));
    let ca_file = hub.write("npm.pem", ca.pem());
    let at = secret.url("/npm/");
    let below = at.trim_start_matches("https:");
    let public_at = public.url("/npm/");
    let npmrc = |more: &str| {
        format!(
            "registry={public_at}\n@my:registry={at}\n{below}:_authToken=${{NPM_TOKEN}}\ncafile={}\n{more}",
            ca_file.display()
        )
    };
    hub.set("NPM_CONFIG_USERCONFIG", hub.write("npmrc", npmrc("")));
    hub.set("NPM_TOKEN", TOKEN);
    let run = hub.install().exits(0);
    assert!(!run.log().contains(TOKEN), "{}", run.log());
    assert_eq!(hub.plugins(), ["my-package-1.0.0", "plain-1.0.0"]);
    assert!(recorder.requests().iter().all(|request| request.bearer_token() == Some(TOKEN)));
    assert!(public.recorder().requests().len() >= 2);
    assert!(public.recorder().requests().iter().all(|request| !request.holds(TOKEN)), "{:?}", public.recorder());

    // The certificate of the npm registry vouches for no other host's tarball.
    let other = HttpServer::builder().tls(&ca).start(|_| Reply::ok().body(*b"x"));
    hub.plugins_are(&[&format!("{}\nintegrity: {}", other.url("/x.tgz"), integrities[0])]);
    hub.install().exits(1).says("certificate");
    assert_eq!(asked(other.recorder()), [""; 0]);

    // Without the token it is said what is missing.
    hub.plugins_are(&[&entries[0]]);
    fs::remove_dir_all(hub.root().join("my-package-1.0.0")).unwrap();
    hub.set("NPM_TOKEN", "wrong-token");
    let run = hub.install().exits(1).says("answered 401").says("help: ");
    assert!(!run.log().contains("wrong-token"), "{}", run.log());

    // A login for everybody is refused before anybody is asked.
    hub.write("npmrc", npmrc("_authToken=abc\n"));
    recorder.clear();
    hub.install().exits(1).says("is for no registry in particular");
    assert_eq!(asked(&recorder), [""; 0]);
}

#[test]
fn tarball_of_other_bytes_is_rejected_and_nothing_of_it_stays() {
    let npm = Npm::new(PACKAGE, &VERSIONS);
    let wrong = npm.integrity("1.0.0");
    let registry = npm.serve();
    let hub = hub(&registry, &[&format!("'@my/package@1.1.0'\nintegrity: {wrong}")]);
    let run = hub.install().exits(1).says("integrity check failed — got sha512-").says(&format!("expected {wrong}"));
    assert!(!run.stdout.contains("==> Installed"), "{}", run.stdout);
    assert_eq!((hub.plugins(), archives(&hub)), (vec![], vec![]));

    // Bytes that are not even those of the registry's own metadata are no plugin, whatever is skipped.
    registry.intercept(|request, answer| {
        let other = || Reply::ok().body(crate::hub::plugin("other", "x").tarball());
        if request.path.ends_with("1.1.0.tgz") { other() } else { answer() }
    });
    let mut hub = hub;
    hub.set("SKIP_INTEGRITY_CHECK", "true");
    hub.plugins_are(&["'@my/package@1.1.0'"]);
    hub.install().exits(1).says("expected content with digest `sha512-");
    assert_eq!((hub.plugins(), archives(&hub)), (vec![], vec![]));
}

#[test]
fn entries_without_integrity_are_told_all_at_once_before_anybody_is_asked() {
    let npm = Npm::new(PACKAGE, &VERSIONS);
    let integrity = npm.integrity("2.0.0");
    let registry = npm.serve();
    let without = ["'@my/package@1.0.0'", "alias@npm:@my/package", "https://127.0.0.1:1/x.tgz", "github:u/r"];
    let with = format!("'other@npm:@my/package'\nintegrity: {integrity}");
    let off = "off\ndisabled: true";
    let mut hub = hub(&registry, &[without[0], without[1], without[2], without[3], &with, off, "./none"]);
    let run = hub.install().exits(1);
    let told: Vec<_> = run.stdout.lines().filter(|line| line.starts_with("ERROR: ")).collect();
    let expected = without.iter().zip(2..).map(|(package, line)| {
        let package = package.trim_matches('\'');
        format!("ERROR: /dynamic-plugins.yaml:{line}:5: expected `integrity` for `{package}`, found none")
    });
    assert_eq!(told, expected.collect::<Vec<_>>());
    assert_eq!(asked(registry.recorder()), [""; 0]);
    assert_eq!(hub.plugins(), [""; 0]);

    hub.plugins_are(&[without[0], &with]);
    for value in ["1", "yes", "false"] {
        hub.set("SKIP_INTEGRITY_CHECK", value);
        hub.install().exits(1);
    }
    hub.set("SKIP_INTEGRITY_CHECK", "True");
    let run = hub.install().exits(0).says("WARNING: `SKIP_INTEGRITY_CHECK` is set: ");
    assert!(run.stdout.contains("WARNING: "), "{}", run.stdout);
    assert_eq!(hub.plugins(), ["my-package-1.0.0", "my-package-2.0.0"]);

    // What came is recorded, though nobody had said what it would be.
    fs::remove_dir_all(hub.root().join("my-package-1.0.0")).unwrap();
    hub.install_with(&["--log-format=logfmt"]).exits(0).says("integrity=\"unchecked\"").says("manifest=sha512:");

    // What is written counts all the same.
    hub.plugins_are(&[&format!("'@my/package@1.1.0'\nintegrity: {integrity}")]);
    hub.install().exits(1).says("integrity check failed");
}

#[test]
fn allowed_sources_name_scopes_and_packages() {
    let npm = Npm::new(PACKAGE, &VERSIONS);
    let integrity = npm.integrity("2.0.0");
    let registry = npm.serve();
    let rows = [
        ("npm:@my", PACKAGE, Ok(())),
        ("npm:@my/package", PACKAGE, Ok(())),
        ("npm:@my/package", "alias@npm:@my/package", Ok(())),
        ("npm:@my/pack", PACKAGE, Err("matches no entry of `allowedSources`")),
        ("npm:@m", PACKAGE, Err("matches no entry of `allowedSources`")),
        ("npm:@other", "'@other/alias@npm:@my/package'", Err("matches no entry of `allowedSources`")),
        ("oci://quay.io/my", PACKAGE, Err("matches no entry of `allowedSources`")),
        ("npm:", PACKAGE, Err("dynamic-plugins.yaml:1:18: ")),
        ("'npm:@'", PACKAGE, Err("dynamic-plugins.yaml:1:18: ")),
        ("'@my'", PACKAGE, Err("dynamic-plugins.yaml:1:18: ")),
        ("'oci://'", PACKAGE, Err("dynamic-plugins.yaml:1:18: ")),
        ("'https://'", PACKAGE, Err("dynamic-plugins.yaml:1:18: ")),
        ("'git+ssh://'", PACKAGE, Err("dynamic-plugins.yaml:1:18: ")),
        ("'ftp://x.example.com/y'", PACKAGE, Err("dynamic-plugins.yaml:1:18: ")),
        ("7", PACKAGE, Err("dynamic-plugins.yaml:1:18: ")),
    ];
    for (allowed, package, expected) in rows {
        let hub = hub(&registry, &[]);
        let package = if package.starts_with('\'') { package.to_owned() } else { format!("'{package}'") };
        let allowed =
            if allowed.starts_with('\'') || allowed == "7" { allowed.to_owned() } else { format!("'{allowed}'") };
        hub.list(&format!(
            "allowedSources: [{allowed}]\nplugins:\n  - package: {package}\n    integrity: {integrity}\n"
        ));
        registry.recorder().clear();
        let run = hub.install();
        match expected {
            Ok(()) => assert_eq!(run.exits(0).status, Some(0)),
            Err(said) => {
                run.exits(1).says(said);
                assert_eq!(asked(registry.recorder()), [""; 0], "{allowed}");
                assert_eq!(hub.plugins(), [""; 0], "{allowed}");
            }
        }
    }
}

#[test]
fn range_that_nobody_pinned_is_asked_for_where_it_always_is() {
    let old = Npm::new(PACKAGE, &["1.0.0"]);
    let new = Npm::new(PACKAGE, &["1.0.0", "1.1.0"]);
    let registry = old.serve();
    let mut hub = hub(&registry, &["'@my/package@^1'"]);
    hub.set("SKIP_INTEGRITY_CHECK", "true");
    hub.install().exits(0);
    registry.intercept(move |request, _| new.answer(request).unwrap_or_else(|| Reply::status(404)));
    hub.install().exits(0).says("already installed, skipping");
    assert_eq!(hub.plugins(), ["my-package-1.0.0"]);
    hub.plugins_are(&["'@my/package@^1'\npullPolicy: Always"]);
    hub.install().exits(0).says("Removing obsolete plugin my-package-1.0.0");
    assert_eq!(hub.plugins(), ["my-package-1.1.0"]);
    drop(registry);
    hub.install().exits(0).says("could not be looked up again, and what was installed from it stays");
    assert_eq!(hub.plugins(), ["my-package-1.1.0"]);
    hub.plugins_are(&["'@my/package@^1'\nforceDownload: true"]);
    hub.install().exits(1);
    assert_eq!(hub.plugins(), ["my-package-1.1.0"]);
}

#[test]
fn proxy_of_npm_leads_to_its_registry_and_to_no_other_server() {
    let world = World::new();
    let proxy = Proxy::start(&world);
    let npm = Npm::new(PACKAGE, &VERSIONS);
    let integrity = npm.integrity("2.0.0");
    let _registry =
        world.server("npm.example.com", move |request| npm.answer(request).unwrap_or_else(|| Reply::status(404)));
    let mut hub = Hub::listing(&[&format!("'@my/package'\nintegrity: {integrity}")]);
    hub.set("SSL_CERT_FILE", hub.write("ca.pem", world.ca().pem()));
    let npmrc = format!("@my:registry=https://npm.example.com/npm/\nhttps-proxy={}\n", proxy.url());
    hub.set("NPM_CONFIG_USERCONFIG", hub.write("npmrc", npmrc));
    hub.install().exits(0);
    assert_eq!(hub.plugins(), ["my-package-2.0.0"]);
    assert!(proxy.asked().iter().all(|name| name == "npm.example.com:443") && !proxy.asked().is_empty());

    let asked_before = proxy.asked().len();
    hub.plugins_are(&[&format!("https://other.invalid/x.tgz\nintegrity: {integrity}")]);
    hub.install().exits(1);
    assert_eq!(proxy.asked().len(), asked_before);
}
