//! The front that RHDH's charts and images expect: how it is called, what it says, how it ends.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use testkit::{Fault, Registry, Tarball};

use crate::portal::{OnReject, Portal, Run, entry, publish, wait_until, wrong_entry};

const APP_CONFIG: &str = "app-config.dynamic-plugins.yaml";
const LOG: [&str; 2] = ["--log-format", "rhdh"];

/// RHDH's installer beside the portal's list, with nothing in its environment.
fn command(portal: &Portal) -> Command {
    let mut command = Command::new(portal.command().get_program());
    command
        .env_clear()
        .env("DYNAMIC_PLUGINS_DIALECT", "rhdh")
        .current_dir(portal.path("."))
        .arg("--termination-log")
        .arg(portal.path("termination-log"));
    command
}

fn install(portal: &Portal) -> Run {
    install_with(portal, |command| command)
}

fn install_with(portal: &Portal, change: impl FnOnce(&mut Command) -> &mut Command) -> Run {
    let mut command = command(portal);
    change(command.arg(portal.root()));
    portal.run(command)
}

/// A list as it is written for RHDH, which knows no `continueOnError`.
fn list(portal: &Portal, entries: &[String]) {
    portal.list(OnReject::Abort, entries);
    let text = fs::read_to_string(portal.path("dynamic-plugins.yaml")).unwrap();
    portal.write("dynamic-plugins.yaml", text.replace("continueOnError: false\n", ""));
}

#[test]
fn help_is_as_documented() {
    let portal = Portal::new();
    let mut help = command(&portal);
    help.arg("--help");
    insta::assert_snapshot!("help_rhdh", portal.run(help).exits(0).stdout);
}

#[test]
fn rhdh_is_chosen_by_name_by_variable_or_by_flag_and_its_one_command_may_be_named() {
    let rows: [(&str, &str, &[&str]); 6] = [
        ("install-dynamic-plugins", "", &["made"]),
        ("install-dynamic-plugins", "", &["install", "made"]),
        ("butler-plugin-installer", "rhdh", &["made"]),
        ("butler-plugin-installer", "rhdh", &["install", "made"]),
        ("butler-plugin-installer", "", &["--dialect=rhdh", "made"]),
        ("butler-plugin-installer", "", &["--dialect", "rhdh", "install", "made"]),
    ];
    for (name, variable, arguments) in rows {
        let portal = Portal::new();
        let program = portal.path(name);
        symlink(portal.command().get_program(), &program).unwrap();
        let mut command = Command::new(program);
        command.env_clear().current_dir(portal.path(".")).args(arguments);
        if !variable.is_empty() {
            command.env("DYNAMIC_PLUGINS_DIALECT", variable);
        }
        portal.run(command).exits(0).says("\nNo dynamic-plugins.yaml found at /dynamic-plugins.yaml. Skipping.\n");
        assert_eq!(fs::read(portal.path("made").join(APP_CONFIG)).unwrap(), b"", "{name} {variable} {arguments:?}");
    }
}

#[test]
fn command_line_that_cannot_be_used_is_told_with_the_usage_and_ends_with_one() {
    let rows: [(&[&str], &str); 6] = [
        (&[], "required arguments were not provided"),
        (&["install"], "required arguments were not provided"),
        (&["one", "two"], "unexpected argument 'two'"),
        (&["--root=one"], "unexpected argument '--root'"),
        (&["--nope", "one"], "unexpected argument '--nope'"),
        (&["--dialect=redhat", "one"], "[possible values: butler, rhdh]"),
    ];
    for (arguments, said) in rows {
        let portal = Portal::new();
        // Before the flags, where a start script has it.
        let mut command = Command::new(portal.command().get_program());
        command.env_clear().env("DYNAMIC_PLUGINS_DIALECT", "rhdh").current_dir(portal.path("."));
        let run = portal.run({
            command.args(arguments);
            command
        });
        let run = run.exits(1).says(said);
        assert_eq!(run.stdout, "", "{arguments:?}");
        assert!(said.starts_with('[') || run.stderr.contains("Usage: install-dynamic-plugins"), "{}", run.stderr);
        assert!(!portal.path("one").exists());
    }
}

#[test]
fn command_of_ours_is_no_root() {
    for name in ["check", "list", "schema", "verify"] {
        let portal = Portal::new();
        let mut command = Command::new(portal.command().get_program());
        command.env_clear().env("DYNAMIC_PLUGINS_DIALECT", "rhdh").current_dir(portal.path("."));
        let run = portal.run({
            command.args(["install", name]);
            command
        });
        run.exits(1).says(&format!("`butler-plugin-installer {name}`"));
        assert!(!portal.path(name).exists());
    }
}

#[test]
fn list_that_was_named_must_be_there() {
    let portal = Portal::new();
    let run = portal.run({
        let mut command = command(&portal);
        command.arg("--config=gone.yaml").arg(portal.root());
        command
    });
    run.exits(1).says("failed to read `/gone.yaml`: there is no such file");
}

#[test]
fn our_commands_work_where_the_variable_is_set_for_a_whole_container() {
    let portal = Portal::new();
    for name in ["list", "verify"] {
        let mut command = Command::new(portal.command().get_program());
        command.env_clear().env("DYNAMIC_PLUGINS_DIALECT", "rhdh").args([name, "--root"]).arg(portal.root());
        portal.run(command).exits(0);
    }
}

#[test]
fn list_that_is_missing_or_empty_leaves_an_empty_file_and_the_plugins() {
    let registry = Registry::start();
    let portal = Portal::new();
    list(&portal, &[entry(&publish(&registry, "hello", "1"))]);
    install(&portal).exits(0);
    let plugins = portal.plugins();
    assert_eq!(plugins, ["hello-1"]);
    for (text, told) in [
        (None, "No dynamic-plugins.yaml found at /dynamic-plugins.yaml. Skipping.\n"),
        (Some(""), "/dynamic-plugins.yaml is empty. Skipping.\n"),
        (Some("# nothing yet\n---\n"), "/dynamic-plugins.yaml is empty. Skipping.\n"),
    ] {
        fs::remove_file(portal.path("dynamic-plugins.yaml")).ok();
        fs::write(portal.root().join(APP_CONFIG), "dynamicPlugins: {}\n").unwrap();
        if let Some(text) = text {
            portal.write("dynamic-plugins.yaml", text);
        }
        let run = install(&portal).exits(0);
        assert!(
            run.stdout.ends_with(&format!("\n======= Config file: /dynamic-plugins.yaml\n{told}")),
            "{}",
            run.stdout
        );
        assert_eq!(run.stderr, "");
        assert_eq!(fs::read(portal.root().join(APP_CONFIG)).unwrap(), b"");
        assert_eq!(portal.plugins(), plugins);
    }
}

#[test]
fn folder_that_only_others_may_look_into_is_left_and_stops_nobody() {
    let portal = Portal::new();
    list(&portal, &[]);
    let locked = portal.root().join("somebody-elses");
    fs::create_dir(&locked).unwrap();
    let set_mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    set_mode(&locked, 0o000);
    let mut command = command(&portal);
    if fs::metadata(&locked).unwrap().uid() == 0 {
        // Root may look into everything, so another user runs a copy in a folder that is open to all.
        let installer = portal.path("installer");
        let copied = Command::new("cp").arg(command.get_program()).arg(&installer).status().unwrap();
        assert!(copied.success());
        set_mode(&portal.path("."), 0o755);
        set_mode(&portal.root(), 0o777);
        command = Command::new(installer);
        command.env_clear().env("DYNAMIC_PLUGINS_DIALECT", "rhdh").current_dir(portal.path(".")).uid(65534).gid(65534);
    }
    command.arg(portal.root());
    portal.run(command).exits(0);
    assert!(locked.is_dir());
}

#[test]
fn variables_are_told_where_they_are_not_taken_as_written() {
    let portal = Portal::new();
    for (name, value, said) in [
        ("DYNAMIC_PLUGINS_WORKERS", "3", "\n======= Workers: 3 (CPUs: "),
        ("DYNAMIC_PLUGINS_NPM_WORKERS", "2", "\n======= Workers: 2 (CPUs: "),
        ("DYNAMIC_PLUGINS_WORKERS", "lots", "\n======= Workers: 1 (CPUs: "),
        (
            "DYNAMIC_PLUGINS_WORKERS",
            "lots",
            "\nWARNING: expected `auto` or a number from 1 in `DYNAMIC_PLUGINS_WORKERS`",
        ),
        ("BUTLER_PLUGINS_JOBS", "5", "\n======= Workers: 5 (CPUs: "),
        ("MAX_ENTRY_SIZE", "0", "\nWARNING: expected a number of bytes from 1 in `MAX_ENTRY_SIZE`, found `0`; "),
        ("DYNAMIC_PLUGINS_LOCK_TIMEOUT_MS", "x", "\nWARNING: expected a number of milliseconds from 1 in "),
        ("SKIP_INTEGRITY_CHECK", "TRUE", "\nWARNING: `SKIP_INTEGRITY_CHECK` is set: plugins without `integrity` are "),
        ("SKIP_INTEGRITY_CHECK", "1", "\nWARNING: expected `true` or `false` in `SKIP_INTEGRITY_CHECK`, found `1`; "),
        (
            "EXTRA_CATALOG_INDEX_IMAGES",
            "../x=quay.io/a:1",
            "\nWARNING: `EXTRA_CATALOG_INDEX_IMAGES`: expected the name ",
        ),
        (
            "NODE_EXTRA_CA_CERTS",
            "/none.pem",
            "\nWARNING: `NODE_EXTRA_CA_CERTS` names `/none.pem`, where there is nothing",
        ),
    ] {
        install_with(&portal, |command| command.env(name, value)).exits(0).says(said);
    }
}

#[test]
fn largest_file_is_theirs_to_say() {
    let registry = Registry::start();
    for (variable, status) in [("10", 1), ("40000000", 0), ("none", 0)] {
        let portal = Portal::new();
        list(&portal, &[entry(&publish(&registry, "hello", "1"))]);
        install_with(&portal, |command| command.env("MAX_ENTRY_SIZE", variable)).exits(status);
    }
}

#[test]
fn whatever_fails_ends_with_one_and_changes_nothing() {
    type Spoil = fn(&Portal, &Registry) -> &'static str;
    let rows: [(&str, Spoil); 5] = [
        ("a rejected plugin", |portal, registry| {
            list(portal, &[wrong_entry(&publish(registry, "hello", "1"))]);
            "\t==> ERROR: oci://"
        }),
        ("a list that is wrong", |portal, _| {
            portal.write("dynamic-plugins.yaml", "plugins: 7\n");
            "ERROR: /dynamic-plugins.yaml:1:10: "
        }),
        ("a list that cannot be read", |portal, _| {
            fs::create_dir(portal.path("dynamic-plugins.yaml")).unwrap();
            "install-dynamic-plugins failed: failed to read `/dynamic-plugins.yaml`: "
        }),
        ("a root that is a file", |portal, _| {
            fs::remove_dir(portal.root()).unwrap();
            fs::write(portal.root(), "").unwrap();
            list(portal, &[]);
            "install-dynamic-plugins failed: failed to make the plugin root `/dynamic-plugins-root`: "
        }),
        ("a root that is a link", |portal, _| {
            fs::rename(portal.root(), portal.path("elsewhere")).unwrap();
            symlink("elsewhere", portal.root()).unwrap();
            list(portal, &[]);
            "install-dynamic-plugins failed: the plugin root cannot be used: "
        }),
    ];
    for (row, spoil) in rows {
        let (portal, registry) = (Portal::new(), Registry::start());
        let said = spoil(&portal, &registry);
        let run = install(&portal).exits(1).says(said);
        assert!(run.stderr.starts_with("\ninstall-dynamic-plugins failed: "), "{row}: {}", run.stderr);
        assert!(!portal.root().join(APP_CONFIG).exists(), "{row}");
    }
}

#[test]
fn plugins_of_one_image_may_each_be_promised_in_another_way() {
    let (registry, portal) = (Registry::start(), Portal::new());
    let manifest =
        |name: &str| format!(r#"{{"name":"{name}","version":"1.0.0","backstage":{{"role":"backend-plugin"}}}}"#);
    let tarball = Tarball::new().file("a/package.json", manifest("a")).file("b/package.json", manifest("b")).gzip();
    let image = registry.push("my-org/two", "1", &tarball).reference;
    let with = |integrity: &str| {
        let entries =
            [format!("  - package: {image}!a\n"), format!("  - package: {image}!b\n    integrity: {integrity}\n")];
        list(&portal, &entries);
        install_with(&portal, |command| command.arg("--jobs=1"))
    };
    let wrong = format!("sha384-{}", "A".repeat(64));
    let run = with(&wrong).exits(1).says("integrity check failed — got sha384-");
    let (_, said) = run.stdout.split_once("got ").unwrap();
    with(said.split(',').next().unwrap()).exits(0);
    assert_eq!(portal.plugins(), ["a", "b"]);
}

#[test]
fn stopped_run_ends_as_one_and_nothing_is_installed() {
    for (signal, status) in [("TERM", 143), ("INT", 130)] {
        let (registry, portal) = (Registry::start(), Portal::new());
        list(&portal, &[entry(&publish(&registry, "hello", "1"))]);
        registry.server().intercept(|_, answer| answer().broken_after(0, Fault::Stall));
        let root = portal.root();
        let mut running = portal.start(|start| {
            *start = command(&portal);
            start.arg(root)
        });
        wait_until("it asks the registry", || !registry.recorder().requests().is_empty());
        running.signal(signal);
        let run = running.end().exits(status).says("\ninstall-dynamic-plugins failed: the run was stopped\n");
        assert!(!run.stdout.contains("Skipping app-config"), "{}", run.stdout);
        assert_eq!(portal.plugins(), [""; 0]);
    }
}

#[test]
fn outcomes_are_told_in_the_lines_that_clients_of_rhdh_match() {
    let registry = Registry::start();
    let (hello, other) = (publish(&registry, "hello", "1"), publish(&registry, "other", "1"));
    let portal = Portal::listing(OnReject::Abort, &[entry(&hello), entry(&other) + "    disabled: true\n"]);
    let first = portal.install_with(|command| command.args(LOG)).exits(0);
    let second = portal.install_with(|command| command.args(LOG)).exits(0);
    portal.list(OnReject::Abort, &[entry(&other)]);
    let third = portal.install_with(|command| command.args(LOG)).exits(0);
    portal.list(OnReject::Abort, &[wrong_entry(&hello), entry(&other)]);
    let fourth = portal.install_with(|command| command.args(LOG)).exits(1);
    let lines = |run: &Run| {
        let log = run.log();
        let kept = log.lines().filter(|line| !line.is_empty() && !line.starts_with("INFO:"));
        kept.map(str::to_owned).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!([&first, &second, &third, &fourth].map(lines).join("\n\n"), @"
    ======= Created lock file: /dynamic-plugins-root/.butler-plugins.lock
    ======= Installing 1 OCI plugin(s) (1 worker)
    ======= Installing OCI plugin oci://127.0.0.1:…/my-org/hello:1
    	==> Downloading oci://127.0.0.1:…/my-org/hello:1
    	==> Verifying package integrity
    	==> Installed oci://127.0.0.1:…/my-org/hello:1
    ======= Skipping disabled plugin oci://127.0.0.1:…/my-org/other:1
    ======= Removed lock file: /dynamic-plugins-root/.butler-plugins.lock
    ======= All plugins installed successfully

    ======= Created lock file: /dynamic-plugins-root/.butler-plugins.lock
    	==> oci://127.0.0.1:…/my-org/hello:1: already installed, skipping
    ======= Skipping disabled plugin oci://127.0.0.1:…/my-org/other:1
    ======= Removed lock file: /dynamic-plugins-root/.butler-plugins.lock
    ======= All plugins installed successfully

    ======= Created lock file: /dynamic-plugins-root/.butler-plugins.lock
    ======= Installing 1 OCI plugin(s) (1 worker)
    ======= Installing OCI plugin oci://127.0.0.1:…/my-org/other:1
    	==> Downloading oci://127.0.0.1:…/my-org/other:1
    	==> Verifying package integrity
    	==> Installed oci://127.0.0.1:…/my-org/other:1
    ======= Removing obsolete plugin hello-dynamic
    ======= Removed lock file: /dynamic-plugins-root/.butler-plugins.lock
    ======= All plugins installed successfully

    ======= Created lock file: /dynamic-plugins-root/.butler-plugins.lock
    ======= Installing 1 OCI plugin(s) (1 worker)
    ======= Installing OCI plugin oci://127.0.0.1:…/my-org/hello:1
    	==> Downloading oci://127.0.0.1:…/my-org/hello:1
    	==> Verifying package integrity
    	==> ERROR: oci://127.0.0.1:…/my-org/hello:1: integrity check failed — got sha512-…, expected sha512-…
    	    help: if the publisher confirms the computed value, pin it; otherwise someone changed the artifact
    	==> oci://127.0.0.1:…/my-org/other:1: not touched, since the run failed
    ======= Removed lock file: /dynamic-plugins-root/.butler-plugins.lock
    ======= 1 plugin(s) failed:
      - oci://127.0.0.1:…/my-org/hello:1: integrity check failed — got sha512-…, expected sha512-…
    ======= Skipping app-config.dynamic-plugins.yaml write and cleanup because of install failures. Nothing on the volume was changed.
    install-dynamic-plugins failed: oci://127.0.0.1:…/my-org/hello:1: integrity check failed — got sha512-…, expected sha512-… (integrity_mismatch)
    help: if the publisher confirms the computed value, pin it; otherwise someone changed the artifact
    ");
}
