//! Registries by other names: mirrors, blocked ones, the fallback of Red Hat's own, and logins for each.

use std::os::unix::fs::symlink;

use testkit::{Auth, Ca, Proxy, Quirks, Registry, World, docker_config};

use crate::hub::{Hub, Npm, asked, image, plugin, push};

/// An origin that nobody reaches.
const ORIGIN: &str = "127.0.0.1:1";

/// A portal that reaches the names of a world, and nothing else.
fn in_world(world: &World, proxy: &Proxy, entries: &[&str]) -> Hub {
    let mut hub = Hub::listing(entries);
    hub.set("HTTPS_PROXY", proxy.url());
    hub.set("SSL_CERT_FILE", hub.write("ca.pem", world.ca().pem()));
    hub
}

fn open(host: &str) -> Quirks {
    let mut quirks = Quirks::plain();
    quirks.host = host.to_owned();
    quirks.written = host.to_owned();
    quirks.config_key = host.to_owned();
    quirks
}

#[test]
fn mirror_serves_what_its_origin_cannot() {
    let mirror = Registry::start();
    push(&mirror, "one", "1", &["one"], "1");
    let of_mirror = format!("{}/rhdh", mirror.host());
    let rows: [(&str, &str, i32); 4] = [
        ("no policy", "", 0),
        ("the origin is allowed", "allowedSources: ['oci://127.0.0.1:1/rhdh']\n", 0),
        ("only the mirror is", "allowedSources: ['oci://MIRROR']\n", 1),
        ("a part of the origin", "allowedSources: ['oci://127.0.0.1:1/rhdh/one']\n", 0),
    ];
    for (row, policy, status) in rows {
        let hub = Hub::new();
        hub.write("registries.conf", registries("", &of_mirror));
        let policy = policy.replace("MIRROR", &of_mirror);
        hub.list(&format!("{policy}plugins:\n  - package: oci://{ORIGIN}/rhdh/one:1!one\n"));
        mirror.recorder().clear();
        let run = hub.install().exits(status);
        let said = if status == 0 {
            "\t==> Installed oci://127.0.0.1:1/rhdh/one:1!one\n"
        } else {
            "matches no entry of `allowedSources`"
        };
        run.says(said);
        assert_eq!(mirror.recorder().requests().is_empty(), status == 1, "{row}");
        assert_eq!(hub.plugins().len(), usize::from(status == 0), "{row}");
    }
}

/// A `registries.conf` that gives [`ORIGIN`] a mirror.
fn registries(more: &str, mirror: &str) -> String {
    format!(
        "[[registry]]\nprefix = \"{ORIGIN}/rhdh\"\nlocation = \"{ORIGIN}/rhdh\"\n{more}\n\
         [[registry.mirror]]\nlocation = \"{mirror}\"\ninsecure = true\n"
    )
}

#[test]
fn path_less_reference_is_resolved_by_the_mirror_and_survives_it() {
    let mirror = Registry::start();
    push(&mirror, "one", "1", &["one"], "1");
    let hub = Hub::listing(&[&format!("oci://{ORIGIN}/rhdh/one:1\npullPolicy: Always")]);
    hub.write("registries.conf", registries("", &format!("{}/rhdh", mirror.host())));
    hub.install().exits(0);
    assert_eq!(hub.plugins(), ["one"]);
    drop(mirror);
    hub.install().exits(0).says("could not be looked up again, and what was installed from it stays");
    assert_eq!(hub.plugins(), ["one"]);
}

#[test]
fn blocked_registry_is_asked_for_nothing_but_its_mirror_is() {
    let mirror = Registry::start();
    let package = push(&mirror, "one", "1", &["one"], "1").reference;
    let hub = Hub::listing(&[&format!("{package}!one")]);
    hub.write("registries.conf", format!("[[registry]]\nlocation = \"{}\"\nblocked = true\n", mirror.host()));
    hub.install().exits(1).says("`registries.conf` blocks every place of it").says("help: ");
    assert_eq!(asked(mirror.recorder()), [""; 0]);

    hub.write("registries.conf", registries("blocked = true", &format!("{}/rhdh", mirror.host())));
    hub.plugins_are(&[&format!("oci://{ORIGIN}/rhdh/one:1!one")]);
    hub.install().exits(0);
    assert_eq!(hub.plugins(), ["one"]);
}

#[test]
fn registries_conf_that_means_nothing_ends_the_run_before_anybody_is_asked() {
    let registry = Registry::start();
    let package = push(&registry, "one", "1", &["one"], "1").reference;
    for text in ["[[registry]]\n", "registry = 7\n", "[registries.search]\nregistries = ['quay.io']\n", "[["] {
        let hub = Hub::listing(&[&format!("{package}!one")]);
        hub.write("registries.conf", text);
        hub.install().exits(1).says("/registries.conf` cannot be used");
        assert_eq!(asked(registry.recorder()), [""; 0], "{text}");
    }
}

#[test]
fn plugins_of_red_hat_come_from_quay_when_their_own_registry_has_none() {
    let package = "oci://registry.access.redhat.com/rhdh/one:1!one";
    for (row, own_has_it) in [("there", true), ("not there", false)] {
        let world = World::new();
        let proxy = Proxy::start(&world);
        let [own, quay] = ["registry.access.redhat.com", "quay.io"].map(|host| world.registry(open(host)));
        quay.push_image("rhdh/one", "1", &image(&["one"], "quay"));
        if own_has_it {
            own.push_image("rhdh/one", "1", &image(&["one"], "own"));
        }
        let hub = in_world(&world, &proxy, &[package]);
        let run = hub.install().exits(0);
        let line = "\t==> Falling back to quay.io/rhdh/ for ";
        let heading = run.stdout.find(&format!("======= Installing OCI plugin {package}\n")).unwrap();
        let told = run.stdout.find(line);
        assert_eq!(told.map(|told| heading < told), (!own_has_it).then_some(true), "{row}: {}", run.stdout);
        assert_eq!(hub.installed("one/dist/mark"), if own_has_it { "own" } else { "quay" }, "{row}");
        assert_eq!(world.recorder().to_origin("https://quay.io").is_empty(), own_has_it, "{row}");
    }
    // A registry that cannot be reached is one that has none; and nobody else's plugins go astray.
    for (host, repository, status) in [
        ("registry.access.redhat.com", "rhdh/one", 0),
        ("registry.access.redhat.com", "rhdh-other/one", 1),
        ("registry.access.redhat.com.example.com", "rhdh/one", 1),
        ("other.example.com", "rhdh/one", 1),
    ] {
        let world = World::new();
        let proxy = Proxy::start(&world);
        let quay = world.registry(open("quay.io"));
        for repository in ["rhdh/one", "rhdh-other/one"] {
            quay.push_image(repository, "1", &image(&["one"], "quay"));
        }
        let hub = in_world(&world, &proxy, &[&format!("oci://{host}/{repository}:1!one")]);
        let run = hub.install();
        assert_eq!(run.status, Some(status), "{host}/{repository}: {}{}", run.stdout, run.stderr);
        assert_eq!(quay.recorder().requests().is_empty(), status == 1, "{host}/{repository}");
    }
    // What is allowed is what is written.
    for (allowed, status) in [("registry.access.redhat.com/rhdh", 0), ("quay.io/rhdh", 1)] {
        let world = World::new();
        let proxy = Proxy::start(&world);
        let quay = world.registry(open("quay.io"));
        quay.push_image("rhdh/one", "1", &image(&["one"], "quay"));
        let hub = in_world(&world, &proxy, &[]);
        hub.list(&format!("allowedSources: ['oci://{allowed}']\nplugins:\n  - package: {package}\n"));
        hub.install().exits(status);
        assert_eq!(quay.recorder().requests().is_empty(), status == 1, "{allowed}");
    }
}

#[test]
fn each_place_gets_its_own_login() {
    let mirror = Registry::builder().auth(Auth::bearer("robot", "made-for-mirror")).start();
    let origin = Registry::builder().auth(Auth::basic("other", "made-for-origin")).start();
    push(&mirror, "one", "1", &["one"], "1");
    let mut hub = Hub::listing(&[&format!("oci://{}/rhdh/one:1!one", origin.host())]);
    hub.write(
        "registries.conf",
        format!(
            "[[registry]]\nlocation = \"{}\"\ninsecure = true\n[[registry.mirror]]\nlocation = \"{}\"\ninsecure = true\n",
            origin.host(),
            mirror.host()
        ),
    );
    hub.install().exits(1).says("answered 401");
    assert_eq!(hub.plugins(), [""; 0]);
    let auth = hub.write("auth.json", docker_config(mirror.host(), "robot", "made-for-mirror"));
    hub.set("REGISTRY_AUTH_FILE", auth);
    let run = hub.install().exits(0);
    assert!(!run.log().contains("made-for"), "{}", run.log());
    assert!(origin.recorder().requests().iter().all(|request| !request.holds("made-for-mirror")));
    assert_eq!(hub.plugins(), ["one"]);

    // Where the mirror has none, the origin is asked, with what is written for it.
    mirror.fail_first(usize::MAX, 404);
    push(&origin, "two", "1", &["two"], "1");
    hub.plugins_are(&[&format!("oci://{}/rhdh/two:1!two", origin.host())]);
    hub.install().exits(1);
    hub.write("auth.json", docker_config(origin.host(), "other", "made-for-origin"));
    mirror.recorder().clear();
    hub.install().exits(0);
    assert_eq!(hub.plugins(), ["two"]);
    assert!(mirror.recorder().requests().iter().all(|request| !request.holds("made-for-origin")));
}

#[test]
fn login_file_that_is_named_and_not_there_is_told() {
    let registry = Registry::start();
    let mut hub = Hub::listing(&[&format!("{}!one", push(&registry, "one", "1", &["one"], "1").reference)]);
    let missing = hub.path("none.json");
    hub.set("REGISTRY_AUTH_FILE", missing);
    let run = hub.install();
    assert!(run.log().contains("/none.json"), "{}", run.log());
}

#[test]
fn certificate_beside_the_name_of_a_registry_vouches_for_that_one() {
    let ca = Ca::new();
    let [trusted, other] = [(); 2].map(|()| Registry::builder().tls(&ca).start());
    let mut hub = Hub::new();
    let folder = hub.path(".config/containers/certs.d").join(trusted.host());
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("ca.crt"), ca.pem()).unwrap();
    let home = hub.path(".");
    hub.set("HOME", home);
    for (registry, status) in [(&trusted, 0), (&other, 1)] {
        hub.plugins_are(&[&format!("{}!one", push(registry, "one", "1", &["one"], "1").reference)]);
        hub.install().exits(status).says(if status == 0 { "\t==> Installed " } else { "certificate" });
    }
}

#[test]
fn drop_in_file_adds_a_mirror() {
    let mirror = Registry::start();
    push(&mirror, "one", "1", &["one"], "1");
    let mut hub = Hub::listing(&[&format!("oci://{ORIGIN}/rhdh/one:1!one")]);
    let folder = hub.path(".config/containers/registries.conf.d");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("mirror.conf"), registries("", &format!("{}/rhdh", mirror.host()))).unwrap();
    hub.install().exits(1);
    let home = hub.path(".");
    hub.set("HOME", home);
    hub.install().exits(0);
    assert_eq!(hub.plugins(), ["one"]);
}

/// Puts a file where it is as Kubernetes mounts one: behind two links, the first of which is replaced by updates.
fn mount(hub: &Hub, name: &str, text: &str) {
    let path = hub.path(name);
    let folder = path.parent().unwrap();
    let file = path.file_name().unwrap();
    let content = folder.join("..2026_11_21");
    std::fs::create_dir_all(&content).unwrap();
    std::fs::write(content.join(file), text).unwrap();
    if !folder.join("..data").exists() {
        symlink("..2026_11_21", folder.join("..data")).unwrap();
    }
    std::fs::remove_file(&path).ok();
    symlink(std::path::Path::new("..data").join(file), path).unwrap();
}

#[test]
fn files_are_read_where_kubernetes_mounts_them() {
    let ca = Ca::new();
    let mirror = Registry::builder().tls(&ca).auth(Auth::basic("robot", "made-for-mirror")).start();
    push(&mirror, "one", "1", &["one"], "1");
    let npm = Npm::new("@my/package", &["1.0.0"]);
    let integrity = npm.integrity("1.0.0");
    let npm = npm.serve();
    let mut hub = Hub::new();
    let list = format!(
        "includes: [more/defaults.yaml]\nplugins:\n  - package: '@my/package'\n    integrity: {integrity}\n  - package: ./mine.tgz\n"
    );
    mount(&hub, "dynamic-plugins.yaml", &list);
    mount(&hub, "more/defaults.yaml", &format!("plugins:\n  - package: oci://{ORIGIN}/rhdh/one:1!one\n"));
    mount(&hub, "secrets/auth.json", &docker_config(mirror.host(), "robot", "made-for-mirror"));
    mount(&hub, "secrets/npmrc", &format!("registry={}\n", npm.url("/npm/")));
    mount(&hub, "secrets/ca.pem", &ca.pem());
    mount(&hub, "secrets/registries.conf", &registries("", &format!("{}/rhdh", mirror.host())));
    std::fs::create_dir_all(hub.path("local")).unwrap();
    std::fs::write(hub.path("local/mine.tgz"), plugin("mine", "1").tarball()).unwrap();
    symlink("local/mine.tgz", hub.path("mine.tgz")).unwrap();
    for (variable, file) in [
        ("REGISTRY_AUTH_FILE", "auth.json"),
        ("NPM_CONFIG_USERCONFIG", "npmrc"),
        ("SSL_CERT_FILE", "ca.pem"),
        ("CONTAINERS_REGISTRIES_CONF", "registries.conf"),
    ] {
        let path = hub.path("secrets").join(file);
        hub.set(variable, path);
    }
    hub.install().exits(0);
    assert_eq!(hub.plugins(), ["mine-1.0.0", "my-package-1.0.0", "one"]);
}
