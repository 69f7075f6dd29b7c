//! Flags, variables, files around the list, and how the program ends.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Map, Value};
use testkit::Registry;

use crate::portal::{OnReject, Portal, Run, entry, publish, wrong_entry};

/// The installer with these arguments and nothing else.
fn installer(arguments: &[&str]) -> Run {
    let portal = Portal::new();
    let mut command = Command::new(portal.command().get_program());
    command.env_clear().args(arguments);
    portal.run(command)
}

#[test]
fn help_and_version_are_as_documented() {
    let help = installer(&["--help"]).exits(0);
    insta::assert_snapshot!("help", help.stdout);
    for command in ["check", "explain", "list", "schema", "verify"] {
        insta::assert_snapshot!(format!("help_{command}"), installer(&[command, "--help"]).exits(0).stdout);
    }
    assert_eq!(
        installer(&["--version"]).exits(0).stdout,
        format!("butler-plugin-installer {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn misused_command_line_is_explained() {
    let rows: [(&[&str], &str); 9] = [
        (&["--nope"], "'--nope'"),
        (&["install"], "'install'"),
        (&["--jobs=0"], "expected a number from 1, found `0`"),
        (&["--tries=0"], "'--tries <N>'"),
        (&["--lock-timeout=1d"], "expected a number of seconds or one with s, m or h, found `1d`"),
        (&["--max-file-bytes=5MB"], "expected a number of bytes or one with KiB, MiB or GiB, found `5MB`"),
        (&["--log-level=loud"], "[possible values: error, warn, info, debug]"),
        (&["--log-format"], "a value is required for '--log-format <FORMAT>'"),
        (&["check", "--format=xml"], "[possible values: text, json]"),
    ];
    for (arguments, explained) in rows {
        let run = installer(arguments).exits(2).says(explained).says("event=fatal reason=usage");
        assert_eq!(run.stdout, "", "{arguments:?}");
    }
}

#[test]
fn variables_stand_for_flags() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
    let termination_log = portal.write("termination-log", "");
    let mut command = Command::new(portal.command().get_program());
    command
        .env_clear()
        .env("BUTLER_PLUGINS_CONFIG", portal.path("dynamic-plugins.yaml"))
        .env("BUTLER_PLUGINS_ROOT", portal.root())
        .env("BUTLER_PLUGINS_TERMINATION_LOG", &termination_log)
        .env("BUTLER_PLUGINS_LOG_FORMAT", "json")
        .env("BUTLER_PLUGINS_MAX_ARTIFACT_BYTES", "16");
    let run = portal.run(command).exits(1).says(r#""event":"fatal","reason":"continueOnError_false""#);
    assert!(run.stderr.contains("artifact_too_large"), "{}", run.stderr);
    assert!(fs::read_to_string(termination_log).unwrap().starts_with("artifact_too_large: plugin `oci://"));
}

#[test]
fn list_that_cannot_be_read_ends_the_run() {
    type Spoil = fn(&Portal);
    let rows: [(&str, Spoil, &str); 4] = [
        ("missing", |_| {}, "there is no such file"),
        ("a folder", |portal| fs::create_dir(portal.path("dynamic-plugins.yaml")).unwrap(), "found a directory"),
        ("too long", |portal| drop(portal.write("dynamic-plugins.yaml", vec![b'#'; (4 << 20) + 1])), "found more"),
        (
            "broken link",
            |portal| std::os::unix::fs::symlink("gone", portal.path("dynamic-plugins.yaml")).unwrap(),
            "there is no such file",
        ),
    ];
    for (name, spoil, detail) in rows {
        let portal = Portal::new();
        spoil(&portal);
        let run = portal.install().exits(2).says(detail);
        assert_eq!(run.events(), ["fatal config_unreadable"], "{name}");
        assert_eq!(portal.tree().to_string(), "", "{name}");
    }
}

/// What `check --online` says to a list when this user may not read `denied`.
fn check_without_permission(portal: &Portal, denied: &Path, change: impl FnOnce(&mut Command) -> &mut Command) -> Run {
    let set_mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let arguments = portal.command();
    let mut command = if fs::metadata(denied).unwrap().uid() == 0 {
        // Root may read everything, so another user runs a copy in a folder that is open to all.
        let installer = portal.path("installer");
        // Copied by another process: a handle of ours, open for writing, could be inherited by what a test beside this
        // one starts, and a file that somebody may write to cannot be run.
        let copied = Command::new("cp").arg(arguments.get_program()).arg(&installer).status().unwrap();
        assert!(copied.success());
        set_mode(&portal.path("."), 0o755);
        let mut command = Command::new(installer);
        command.uid(65534).gid(65534);
        command
    } else {
        Command::new(arguments.get_program())
    };
    set_mode(denied, 0o000);
    command.env_clear().current_dir(portal.path(".")).args(arguments.get_args());
    change(&mut command).args(["check", "--online"]);
    let run = portal.run(command);
    set_mode(denied, 0o755);
    run
}

#[test]
fn list_that_this_user_may_not_read_is_told() {
    let portal = Portal::listing(OnReject::Abort, &[]);
    let run = check_without_permission(&portal, &portal.path("dynamic-plugins.yaml"), |command| command);
    run.exits(2).says("[config_unreadable]").says("help: let the container's user read the file");
}

#[test]
fn logins_that_this_user_may_not_read_are_missed_only_where_they_were_asked_for() {
    type Ask = for<'c> fn(&Portal, &'c mut Command) -> &'c mut Command;
    let rows: [(&str, Ask, i32); 3] = [
        ("HOME", |portal, command| command.env("HOME", portal.path("user")), 0),
        ("DOCKER_CONFIG", |portal, command| command.env("DOCKER_CONFIG", portal.path("user/.docker")), 2),
        (
            "REGISTRY_AUTH_FILE",
            |portal, command| command.env("REGISTRY_AUTH_FILE", portal.path("user/.docker/config.json")),
            2,
        ),
    ];
    for (name, ask, status) in rows {
        for denied in ["user", "user/.docker/config.json"] {
            let portal = Portal::listing(OnReject::Abort, &[]);
            fs::create_dir_all(portal.path("user/.docker")).unwrap();
            portal.write("user/.docker/config.json", "{}");
            let run = check_without_permission(&portal, &portal.path(denied), |command| ask(&portal, command));
            let said = if status == 0 { "0 would be rejected" } else { "failed to read `/user/.docker/config.json`" };
            assert!(run.stdout.contains(said), "{name} {denied}: {}", run.stdout);
            run.exits(status);
        }
    }
}

#[test]
fn variable_that_differs_from_the_file_is_quoted() {
    for (file, variable, said) in [
        (OnReject::Abort, "true", "the file says `continueOnError: false`, CONTINUE_ON_ERROR says `true`"),
        (OnReject::Continue, "FALSE", "the file says `continueOnError: true`, CONTINUE_ON_ERROR says `false`"),
    ] {
        let portal = Portal::listing(file, &[]);
        let run = portal.install_with(|command| command.env("CONTINUE_ON_ERROR", variable)).exits(0);
        run.says(&format!("detail=\"{said}; the stricter `false` holds\""));
    }
}

#[test]
fn list_is_read_through_the_links_of_a_mounted_config_map() {
    let portal = Portal::new();
    fs::create_dir(portal.path("..2026_11_21")).unwrap();
    portal.write("..2026_11_21/dynamic-plugins.yaml", "plugins: []\n");
    for (link, target) in [("..data", "..2026_11_21"), ("dynamic-plugins.yaml", "..data/dynamic-plugins.yaml")] {
        std::os::unix::fs::symlink(target, portal.path(link)).unwrap();
    }
    portal.install().exits(0).says("event=startup config_file=/dynamic-plugins.yaml ").says("plugin_count=0");
}

#[test]
fn broken_list_is_told_problem_by_problem() {
    let portal = Portal::new();
    portal.write("dynamic-plugins.yaml", "continueOnError: maybe\nallowedSource: []\n");
    insta::assert_snapshot!(portal.install().exits(2).log(), @r#"
    ts=… level=ERROR event=config_problem config_file=/dynamic-plugins.yaml line=1 column=18 detail="expected a boolean for `continueOnError`, found a string" source_line="continueOnError: maybe" hint="write true or false"
    ts=… level=ERROR event=config_problem config_file=/dynamic-plugins.yaml line=2 column=1 detail="unknown key `allowedSource`" source_line="allowedSource: []" hint="did you mean `allowedSources`?"
    ts=… level=ERROR event=fatal reason=config_invalid detail="`/dynamic-plugins.yaml`: line 1, column 18: expected a boolean for `continueOnError`, found a string; and 1 more problem" hint="write true or false" blame=operator
    "#);
    assert_eq!(portal.tree().to_string(), "");
}

#[test]
fn setting_that_cannot_be_used_ends_the_run_before_the_root_is_touched() {
    /// What it says, and for which reason.
    type Change = fn(&Portal, &mut Command) -> [&'static str; 2];
    let rows: [Change; 12] = [
        |_, command| {
            command.env("CONTINUE_ON_ERROR", "maybe");
            ["`CONTINUE_ON_ERROR` must be `true` or `false`, found `maybe`", "usage"]
        },
        |_, command| {
            command.arg("--token-realm=gitlab.com");
            ["`--token-realm` must be `REGISTRY=HOST`, found `gitlab.com`", "usage"]
        },
        |_, command| {
            command.env("HTTPS_PROXY", "ftp://proxy");
            ["`HTTPS_PROXY` must be", "usage"]
        },
        |portal, command| {
            command.arg("--netrc").arg(portal.path("none"));
            ["failed to read `/none`: there is no such file", "config_unreadable"]
        },
        |portal, command| {
            command.arg("--netrc").arg(portal.root());
            ["found a directory", "config_unreadable"]
        },
        |portal, command| {
            let file = portal.write("netrc", "machine example.com login s3cret passwort s3cret\n");
            command.arg("--netrc").arg(file);
            ["`/netrc` cannot be used", "config_invalid"]
        },
        |portal, command| {
            command.arg("--ca-file").arg(portal.path("none"));
            ["failed to load CA certificates from `/none`", "usage"]
        },
        |portal, command| {
            let file = portal.write("empty.pem", "no certificate\n");
            command.arg("--ca-file").arg(file);
            ["expected CA certificates in PEM form in `/empty.pem`, found none", "usage"]
        },
        |portal, command| {
            command.arg("--registry-auth-file").arg(portal.path("none"));
            ["failed to read `/none`: there is no such file", "config_unreadable"]
        },
        |portal, command| {
            portal.write("auth.json", "{ s3cret");
            command.arg("--registry-auth-file").arg(portal.path("auth.json"));
            ["look at line 1, column 3 of `/auth.json`", "config_invalid"]
        },
        |portal, command| {
            portal.write("config.json", "[\"s3cret\"]");
            command.env("DOCKER_CONFIG", portal.path("."));
            ["`/./config.json` cannot be used", "config_invalid"]
        },
        |portal, command| {
            fs::create_dir(portal.path("config.json")).unwrap();
            command.env("DOCKER_CONFIG", portal.path("."));
            ["found a directory", "config_unreadable"]
        },
    ];
    for change in rows {
        let portal = Portal::listing(OnReject::Continue, &[]);
        let mut expected = ["", ""];
        let run = portal.install_with(|command| {
            expected = change(&portal, command);
            command
        });
        let [said, reason] = expected;
        let run = run.exits(2).says(said);
        assert_eq!(run.events(), [format!("fatal {reason}")], "{said}");
        assert!(!run.stderr.contains("s3cret"), "{}", run.stderr);
        assert_eq!(portal.tree().to_string(), "", "{said}");
    }
}

#[test]
fn json_has_the_keys_of_logfmt_in_their_order() {
    let registry = Registry::start();
    let hello = publish(&registry, "hello", "1");
    let entries =
        [entry(&hello), wrong_entry(&publish(&registry, "other", "1")), entry(&hello) + "    disabled: true\n"];
    let log = |format: &str| {
        let portal = Portal::listing(OnReject::Continue, &entries);
        let run = portal.install_with(|command| command.arg("--log-format").arg(format)).exits(0);
        [run.stdout, run.stderr].concat()
    };
    let (logfmt, json) = (log("logfmt"), log("json"));
    assert_eq!(logfmt.lines().count(), json.lines().count());
    for (logfmt, json) in logfmt.lines().zip(json.lines()) {
        let record: Map<String, Value> = serde_json::from_str(json).unwrap();
        let mut places: Vec<_> = record.keys().map(|key| (json.find(&format!("\"{key}\":")).unwrap(), key)).collect();
        places.sort();
        let in_order: Vec<_> = places.into_iter().map(|(_, key)| key.as_str()).collect();
        assert_eq!(keys(logfmt), in_order, "{json}");
    }
}

/// The keys of a logfmt line.
fn keys(line: &str) -> Vec<&str> {
    let (mut keys, mut rest) = (Vec::new(), line);
    while let Some((key, value)) = rest.split_once('=') {
        keys.push(key.trim_start());
        // A list holds no space here, and every other value with one is quoted.
        let quoted = value.strip_prefix('"').map(|text| 2 + text.find('"').unwrap());
        let end = quoted.or_else(|| value.find(' ')).unwrap_or(value.len());
        rest = &value[end..];
    }
    keys
}

#[test]
fn level_cuts_the_log_and_nothing_else() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Continue, &[wrong_entry(&publish(&registry, "hello", "1"))]);
    let run = portal.install_with(|command| command.arg("--log-level=error")).exits(0);
    assert_eq!(run.stdout, "");
    assert_eq!(run.events(), ["plugin_rejected hello:1 integrity_mismatch"]);
}

#[test]
fn last_words_go_to_the_termination_log_where_there_is_one() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[wrong_entry(&publish(&registry, "hello", "1"))]);
    portal.install().exits(1);
    assert!(!portal.path("termination-log").exists());

    portal.write("termination-log", "words of the container before, longer than what comes now".repeat(100));
    let run = portal.install().exits(1);
    let left = fs::read_to_string(portal.path("termination-log")).unwrap();
    assert!(left.starts_with("integrity_mismatch: plugin `oci://") && left.contains("\nhelp: "), "{left}");
    assert!(left.len() <= 4096 && left.ends_with('\n'));
    assert!(run.stderr.contains("reason=continueOnError_false"));

    portal.list(OnReject::Continue, &[entry(&publish(&registry, "hello", "1"))]);
    portal.write("termination-log", "");
    portal.install().exits(0);
    assert_eq!(fs::read_to_string(portal.path("termination-log")).unwrap(), "");

    portal.list(OnReject::Continue, &[wrong_entry(&publish(&registry, "hello", "1"))]);
    portal.install().exits(0);
    assert!(fs::read_to_string(portal.path("termination-log")).unwrap().starts_with("integrity_mismatch: "));
}

#[test]
fn last_words_have_room_in_the_termination_log() {
    let portal = Portal::new();
    let log = portal.write("termination-log", "");
    let deep = format!("{}/ü", "/ü".repeat(2000));
    let mut command = Command::new(portal.command().get_program());
    command.env_clear().args(["--config", &deep, "--termination-log"]).arg(&log);
    portal.run(command).exits(2);
    let left = fs::read_to_string(log).unwrap();
    assert!(left.starts_with("config_unreadable: failed to read `/ü/ü"), "{left}");
    assert!(left.len() <= 4096 && left.len() > 4000 && left.contains('…'), "{left}");
}

#[test]
fn reader_that_went_away_changes_nothing() {
    let registry = Registry::start();
    let hello = publish(&registry, "hello", "1");
    for (entry, status) in [(entry(&hello), 0), (wrong_entry(&hello), 1)] {
        for arguments in [&[][..], &["check"], &["check", "--format=json"]] {
            let portal = Portal::listing(OnReject::Abort, std::slice::from_ref(&entry));
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let mut command = portal.command();
            command.args(arguments).stdin(Stdio::null()).stdout(writer.try_clone().unwrap()).stderr(writer);
            let ended = command.status().unwrap();
            let expected = if arguments.is_empty() { status } else { 0 };
            assert_eq!(ended.code(), Some(expected), "{arguments:?}");
        }
    }
}
