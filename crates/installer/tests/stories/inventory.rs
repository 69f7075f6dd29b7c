//! `list` and `verify`: what an operator, or a security team's job, learns about a root without touching it.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use testkit::{Plugin, Pushed, Registry, Tree};

use crate::portal::{OnReject, Portal, Run, copy, entry, publish, text_of, wait_until};

const STATE: &str = ".butler-plugins.state";
const STAGING: &str = ".butler-plugins.staging";
const CODE: &str = "dist/index.cjs.js";

impl Portal {
    /// Runs `list` or `verify`, which touch nothing.
    fn look(&self, arguments: &[&str]) -> Run {
        let tree = || Tree::with_owners_and_times(&self.root()).ok();
        let before = tree();
        let run = self.install_with(|command| command.args(arguments));
        assert_eq!((run.stderr.as_str(), tree()), ("", before), "{arguments:?}");
        run
    }

    fn look_json(&self, what: &str, status: i32) -> Value {
        serde_json::from_str(&self.look(&[what, "--format=json"]).exits(status).stdout).unwrap()
    }

    /// The lines of `verify` about what is wrong, sorted.
    fn wrong(&self) -> Vec<String> {
        let run = self.look(&["verify"]).exits(1);
        let (mut lines, summary): (Vec<_>, Vec<_>) = run
            .stdout
            .lines()
            .filter(|line| !line.starts_with("ok: "))
            .map(str::to_owned)
            .partition(|line| !line.starts_with('/'));
        let count =
            if lines.len() == 1 { "1 difference from".to_owned() } else { format!("{} differences", lines.len()) };
        assert!(matches!(&summary[..], [line] if line.contains(&count)), "{}", run.stdout);
        lines.sort();
        lines
    }
}

/// A plugin with a program, a symlink and folders within folders.
fn furnished(registry: &Registry) -> Pushed {
    let plugin = Plugin::backend("rich").file(CODE, "rich()").file("dist/deep/er/data.json", "{}");
    let archive = plugin.archive().executable("package/bin/run", "#!/bin/sh\n").symlink("package/run", "bin/run");
    registry.push("my-org/rich", "1", &archive.gzip())
}

/// A root that holds `plain` and `rich`.
fn two_plugins() -> (Portal, Registry) {
    let registry = Registry::start();
    let entries = [entry(&publish(&registry, "plain", "1")), entry(&furnished(&registry))];
    let portal = Portal::listing(OnReject::Abort, &entries);
    portal.install().exits(0);
    (portal, registry)
}

#[test]
fn installed_plugins_are_listed_with_their_source_and_time() {
    let (portal, registry) = two_plugins();
    let run = portal.look(&["list"]).exits(0);
    let lines: Vec<Vec<_>> = run.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NAME", "VERSION", "DESTINATION", "FILES", "INSTALLED", "SOURCE"]);
    let source = |name| format!("oci://{}/my-org/{name}:1", registry.host());
    assert_eq!(lines[1][..4], ["plain", "1", "plain-dynamic", "2"]);
    assert_eq!(lines[2][..4], ["rich", "1.0.0", "rich-dynamic", "5"]);
    assert_eq!([lines[1][5], lines[2][5]], [source("plain"), source("rich")]);
    let column = |line: &str, word: &str| line.find(word).unwrap();
    let text: Vec<_> = run.stdout.lines().collect();
    assert_eq!(column(text[0], "SOURCE"), column(text[1], "oci://"));
    assert!(text[3].starts_with("/dynamic-plugins-root: 2 plugins, recorded by version "), "{}", run.stdout);
}

#[test]
fn list_as_json_has_everything_but_the_files() {
    let (portal, _registry) = two_plugins();
    let list = portal.look_json("list", 0);
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&list), ["commit_open", "installer", "plugins", "root", "written"]);
    assert_eq!((&list["commit_open"], &list["installer"]), (&false.into(), &env!("CARGO_PKG_VERSION").into()));
    let plugin = &list["plugins"][1];
    let known = ["dest", "files", "folders", "installed", "installer", "integrity", "manifest", "name", "source"];
    assert_eq!(keys(plugin), [&known[..], &["synced", "version"]].concat());
    assert_eq!((&plugin["files"], &plugin["folders"]), (&5.into(), &4.into()));
    let text = |key: &str| plugin[key].as_str().unwrap();
    assert_eq!((text("integrity").len(), text("manifest").len()), (95, 71), "{plugin}");
    for moment in [text("installed"), list["written"].as_str().unwrap()] {
        assert!(moment.len() == 20 && moment.starts_with("20") && moment.ends_with('Z'), "{moment}");
    }
}

#[test]
fn whole_root_is_verified_and_counted() {
    let (portal, _registry) = two_plugins();
    let size = |path: &str| fs::metadata(portal.root().join(path)).unwrap().len();
    let plain = size("plain-dynamic/package.json") + size("plain-dynamic/dist/index.cjs.js");
    let inner = ["package.json", CODE, "dist/deep/er/data.json", "bin/run"];
    let rich: u64 = inner.iter().map(|file| size(&format!("rich-dynamic/{file}"))).sum();
    assert_eq!(
        portal.look(&["verify"]).exits(0).stdout,
        format!(
            "ok: plain-dynamic: 2 files, {plain} bytes\nok: rich-dynamic: 5 files, {rich} bytes\n\
             /dynamic-plugins-root: 2 plugins, 7 files, {} bytes verified; all is as it was installed\n",
            plain + rich
        )
    );
    let report = portal.look_json("verify", 0);
    let told = ["intact", "files", "bytes", "difference_count", "differences"].map(|key| &report[key]);
    assert_eq!(told, [&json!(true), &json!(7), &json!(plain + rich), &json!(0), &json!([])]);
    let plugin = json!({
        "name": "rich", "version": "1.0.0", "dest": "rich-dynamic", "files": 5, "bytes": rich, "difference_count": 0,
    });
    assert_eq!(report["plugins"][1], plugin);
}

type Damage = fn(&Path);

/// What is done to a plugin's folder, and what is said to that.
const DAMAGES: [(Damage, &[&str]); 20] = [
    (
        |rich| fs::write(rich.join(CODE), "evil()").unwrap(),
        &["changed: rich-dynamic/dist/index.cjs.js: it has other content"],
    ),
    (
        |rich| fs::write(rich.join(CODE), "").unwrap(),
        &["changed: rich-dynamic/dist/index.cjs.js: expected 6 bytes, found 0"],
    ),
    (
        |rich| fs::write(rich.join(CODE), "rich()\n").unwrap(),
        &["changed: rich-dynamic/dist/index.cjs.js: expected 6 bytes, found 7"],
    ),
    (|rich| fs::remove_file(rich.join("package.json")).unwrap(), &["missing: rich-dynamic/package.json"]),
    (|rich| fs::remove_file(rich.join("run")).unwrap(), &["missing: rich-dynamic/run"]),
    (
        |rich| fs::write(rich.join("dist/deep/x.js"), "").unwrap(),
        &["extra: rich-dynamic/dist/deep/x.js: expected nothing, found a file"],
    ),
    (|rich| symlink("/", rich.join("x")).unwrap(), &["extra: rich-dynamic/x: expected nothing, found a symlink"]),
    (
        |rich| assert!(Command::new("mkfifo").arg(rich.join("x")).status().unwrap().success()),
        &["extra: rich-dynamic/x: expected nothing, found a device, socket or pipe"],
    ),
    (
        |rich| fs::create_dir(rich.join("dist/x")).unwrap(),
        &["extra: rich-dynamic/dist/x: expected nothing, found a folder"],
    ),
    (
        |rich| {
            fs::create_dir_all(rich.join("x/y")).unwrap();
            fs::write(rich.join("x/y/z"), "").unwrap();
        },
        &[
            "extra: rich-dynamic/x/y/z: expected nothing, found a file",
            "extra: rich-dynamic/x/y: expected nothing, found a folder",
            "extra: rich-dynamic/x: expected nothing, found a folder",
        ],
    ),
    (
        |rich| fs::rename(rich.join(CODE), rich.join("dist/other.js")).unwrap(),
        &[
            "extra: rich-dynamic/dist/other.js: expected nothing, found a file",
            "missing: rich-dynamic/dist/index.cjs.js",
        ],
    ),
    (
        |rich| {
            fs::rename(rich.join(CODE), rich.join("dist/moved")).unwrap();
            symlink("moved", rich.join(CODE)).unwrap();
        },
        &[
            "changed: rich-dynamic/dist/index.cjs.js: expected a file, found a symlink",
            "extra: rich-dynamic/dist/moved: expected nothing, found a file",
        ],
    ),
    (
        |rich| {
            fs::remove_file(rich.join(CODE)).unwrap();
            fs::create_dir(rich.join(CODE)).unwrap();
            fs::write(rich.join(CODE).join("x"), "").unwrap();
        },
        &[
            "changed: rich-dynamic/dist/index.cjs.js: expected a file, found a folder",
            "extra: rich-dynamic/dist/index.cjs.js/x: expected nothing, found a file",
        ],
    ),
    (
        |rich| {
            fs::remove_file(rich.join("run")).unwrap();
            fs::write(rich.join("run"), "").unwrap();
        },
        &["changed: rich-dynamic/run: expected a symlink, found a file"],
    ),
    (
        |rich| {
            fs::remove_file(rich.join("run")).unwrap();
            symlink("/bin/sh", rich.join("run")).unwrap();
        },
        &["changed: rich-dynamic/run: expected the target `bin/run`, found `/bin/sh`"],
    ),
    (
        |rich| {
            fs::rename(rich.join("dist/deep"), rich.parent().unwrap().join("elsewhere")).unwrap();
            symlink("../../elsewhere", rich.join("dist/deep")).unwrap();
        },
        &[
            "changed: rich-dynamic/dist/deep: expected a folder, found a symlink",
            "missing: rich-dynamic/dist/deep/er/data.json",
        ],
    ),
    (|rich| fs::remove_dir_all(rich.join("dist/deep")).unwrap(), &["missing: rich-dynamic/dist/deep/er/data.json"]),
    (|rich| fs::remove_dir_all(rich).unwrap(), &["missing: rich-dynamic"]),
    (
        |rich| {
            fs::remove_dir_all(rich).unwrap();
            symlink("plain-dynamic", rich).unwrap();
        },
        &["changed: rich-dynamic: expected a folder, found a symlink"],
    ),
    (
        |rich| {
            fs::write(rich.join(CODE), "evil()").unwrap();
            fs::write(rich.join("x"), "").unwrap();
            fs::remove_file(rich.join("bin/run")).unwrap();
            fs::write(rich.with_file_name("plain-dynamic").join(CODE), "evil()").unwrap();
        },
        &[
            "changed: plain-dynamic/dist/index.cjs.js: expected 28 bytes, found 6",
            "changed: rich-dynamic/dist/index.cjs.js: it has other content",
            "extra: rich-dynamic/x: expected nothing, found a file",
            "missing: rich-dynamic/bin/run",
        ],
    ),
];

#[test]
fn each_kind_of_damage_is_named() {
    let (intact, _registry) = two_plugins();
    let damaged = || {
        let portal = Portal::new();
        fs::remove_dir(portal.root()).unwrap();
        copy(&intact.root(), &portal.root());
        portal
    };
    for (damage, told) in DAMAGES {
        let portal = damaged();
        damage(&portal.root().join("rich-dynamic"));
        assert_eq!(portal.wrong(), told);
    }
    let set_mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let modes = [
        ("bin/run", 0o644, "expected mode 0755, found 0644"),
        (CODE, 0o755, "expected mode 0644, found 0755"),
        (CODE, 0o640, "expected mode 0644, found 0640"),
        ("dist/deep", 0o700, "expected mode 0755, found 0700"),
        ("", 0o750, "expected mode 0755, found 0750"),
    ];
    for (path, mode, detail) in modes {
        let portal = damaged();
        set_mode(&portal.root().join("rich-dynamic").join(path), mode);
        let place = format!("rich-dynamic/{path}");
        assert_eq!(portal.wrong(), [format!("changed: {}: {detail}", place.trim_end_matches('/'))]);
    }
}

#[test]
fn folders_without_a_file_are_counted() {
    let registry = Registry::start();
    let archive = Plugin::backend("hollow").archive().dir("package/empty/inner");
    let portal = Portal::listing(OnReject::Abort, &[entry(&registry.push("my-org/hollow", "1", &archive.gzip()))]);
    portal.install().exits(0);
    portal.look(&["verify"]).exits(0);
    let folder = portal.root().join("hollow-dynamic");
    let told = |found| [format!("changed: hollow-dynamic: expected 2 folder(s) without a file, found {found}")];
    fs::create_dir(folder.join("dist/x")).unwrap();
    assert_eq!(portal.wrong(), told(3));
    fs::remove_dir_all(folder.join("empty")).unwrap();
    assert_eq!(portal.wrong(), told(1));
}

#[test]
fn plugin_of_somebody_else_is_told_and_no_difference() {
    let (portal, _registry) = two_plugins();
    for folder in ["theirs", ".theirs", "lost+found"] {
        fs::create_dir(portal.root().join(folder)).unwrap();
    }
    fs::write(portal.root().join("file"), "").unwrap();
    symlink("plain-dynamic", portal.root().join("link")).unwrap();
    let run = portal.look(&["verify"]).exits(0);
    assert!(!run.stdout.contains("note: "), "{}", run.stdout);
    fs::write(portal.root().join("theirs/package.json"), "{}").unwrap();
    portal
        .look(&["verify"])
        .exits(0)
        .says("\nnote: theirs: not installed by this program, but a portal would load it\n");
    assert_eq!(portal.look_json("verify", 0)["foreign"], json!(["theirs"]));
}

#[test]
fn json_names_the_same_as_the_text() {
    let (portal, _registry) = two_plugins();
    for plugin in ["plain-dynamic", "rich-dynamic"] {
        fs::write(portal.root().join(plugin).join("x"), "").unwrap();
        fs::remove_file(portal.root().join(plugin).join(CODE)).unwrap();
    }
    let report = portal.look_json("verify", 1);
    assert_eq!((&report["intact"], &report["difference_count"]), (&json!(false), &json!(4)));
    assert_eq!(report["plugins"][0]["difference_count"], 2);
    let mut told: Vec<_> = report["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|difference| ["what", "dest", "path"].map(|key| difference[key].as_str().unwrap()))
        .map(|[what, dest, path]| format!("{what}: {dest}/{path}"))
        .collect();
    told.sort();
    let texts = portal.wrong();
    let texts: Vec<_> = texts.iter().map(|line| line.trim_end_matches(": expected nothing, found a file")).collect();
    assert_eq!(told, texts);
}

#[test]
fn report_of_very_many_differences_is_bounded() {
    let (portal, _registry) = two_plugins();
    for n in 0..10_050 {
        fs::write(portal.root().join(format!("rich-dynamic/dist/{n}")), "").unwrap();
    }
    assert_eq!(portal.wrong().len(), 10_050);
    let report = portal.look_json("verify", 1);
    assert_eq!(
        (&report["difference_count"], report["differences"].as_array().unwrap().len()),
        (&json!(10_050), 10_000)
    );
}

#[test]
fn unusual_names_do_nothing_to_a_terminal() {
    let (portal, _registry) = two_plugins();
    let rich = portal.root().join("rich-dynamic");
    for name in [&b"a\x1b[2J\nok: x"[..], b"\xff\xfe.js", "\u{202e}sj.ü".as_bytes(), b"\xff-folder/inner"] {
        let path = rich.join(OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    assert_eq!(
        portal.wrong(),
        [
            r"extra: rich-dynamic/\u{202e}sj.ü: expected nothing, found a file",
            r"extra: rich-dynamic/\xff-folder: expected nothing, found a folder",
            r"extra: rich-dynamic/\xff\xfe.js: expected nothing, found a file",
            r"extra: rich-dynamic/a\u{1b}[2J\nok: x: expected nothing, found a file",
        ]
    );
    let report = portal.look_json("verify", 1);
    let told = report["differences"].as_array().unwrap().iter();
    let mut paths: Vec<_> = told.map(|difference| difference["path"].as_str().unwrap()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["\\xff-folder", "\\xff\\xfe.js", "a\u{1b}[2J\nok: x", "\u{202e}sj.ü"]);
}

#[test]
fn very_deep_folder_does_not_hold_verify_up() {
    let (portal, _registry) = two_plugins();
    let deep = portal.root().join("rich-dynamic").join(vec!["d"; 200].join("/"));
    fs::create_dir_all(&deep).unwrap();
    assert_eq!(portal.wrong().len(), 64);
}

#[test]
fn nothing_installed_is_told_apart_from_nothing_known() {
    type Forget = fn(&Path);
    let portal = Portal::listing(OnReject::Abort, &[]);
    for _ in 0..2 {
        assert_eq!(portal.look(&["list"]).exits(0).stdout, "/dynamic-plugins-root: nothing is installed\n");
        assert_eq!(portal.look_json("list", 0)["plugins"], json!([]));
        portal.look(&["verify"]).exits(0).says("0 plugins, 0 files, 0 bytes verified");
        // A run with nothing to do is no installation either.
        portal.install().exits(0);
    }
    fs::create_dir(portal.root().join("lost+found")).unwrap();
    portal.look(&["list"]).exits(0);

    let rows: [(Forget, &str); 5] = [
        (|root| fs::remove_file(root.join(STATE)).unwrap(), "this root holds plugins and no record of them"),
        (|root| fs::write(root.join(STATE), "").unwrap(), "the record of this root is not whole"),
        (
            |root| {
                let state = text_of(root, STATE);
                fs::write(root.join(STATE), &state[..state.len() - 20]).unwrap();
            },
            "the record of this root is not whole",
        ),
        (
            |root| {
                fs::remove_file(root.join(STATE)).unwrap();
                fs::create_dir(root.join(STATE)).unwrap();
            },
            "the record of this root is not whole",
        ),
        (
            |root| {
                let elsewhere = root.with_file_name("elsewhere");
                fs::rename(root.join(STATE), &elsewhere).unwrap();
                symlink(elsewhere, root.join(STATE)).unwrap();
            },
            "the record of this root is not whole",
        ),
    ];
    for (forget, told) in rows {
        let (portal, _registry) = two_plugins();
        forget(&portal.root());
        for what in ["list", "verify"] {
            portal.look(&[what]).exits(3).says(told).says(" [state_lost]\nhelp: ");
            assert_eq!(portal.look_json(what, 3)["reason"], "state_lost", "{what}");
        }
    }
}

#[test]
fn plugins_that_all_were_removed_are_not_lost() {
    let (portal, _registry) = two_plugins();
    portal.list(OnReject::Abort, &[]);
    portal.install().exits(0);
    portal.look(&["list"]).exits(0).says("/dynamic-plugins-root: 0 plugins, recorded by ");
    portal.look(&["verify"]).exits(0).says("0 plugins, 0 files");
}

#[test]
fn root_that_is_none_is_told() {
    type Spoil = fn(&Path);
    let rows: [(Spoil, &str); 3] = [
        (|root| fs::remove_dir_all(root).unwrap(), "to exist, found nothing there"),
        (
            |root| {
                fs::remove_dir_all(root).unwrap();
                fs::write(root, "").unwrap();
            },
            "to be a directory, found a file or a symlink",
        ),
        (
            |root| {
                fs::rename(root, root.with_extension("moved")).unwrap();
                symlink(root.with_extension("moved"), root).unwrap();
            },
            "to be a directory, found a file or a symlink",
        ),
    ];
    for (spoil, told) in rows {
        let (portal, _registry) = two_plugins();
        spoil(&portal.root());
        for what in ["list", "verify"] {
            let run =
                portal.install_with(|command| command.arg(what)).exits(3).says(told).says(" [root_unreadable]\nhelp: ");
            assert_eq!(run.stderr, "");
        }
    }
}

#[test]
fn root_is_named_behind_the_command_before_it_or_by_a_variable() {
    let (portal, _registry) = two_plugins();
    let program = portal.command();
    let root = portal.root();
    let root = root.to_str().unwrap();
    let ways: [(&str, &[&str]); 4] = [
        ("/none", &["list", "--root", root]),
        ("/none", &["--root", root, "list"]),
        ("/none", &["--root", "/none", "list", "--root", root]),
        (root, &["list"]),
    ];
    for (variable, arguments) in ways {
        let mut command = Command::new(program.get_program());
        command.env_clear().env("BUTLER_PLUGINS_ROOT", variable).args(arguments);
        portal.run(command).exits(0).says("/dynamic-plugins-root: 2 plugins");
    }
}

/// Leaves the root as a run does that was killed when its commit had begun; `settled` is whether its record is there.
fn open_commit(portal: &Portal, settled: bool) {
    let run = portal.root().join(STAGING).join("run-1");
    fs::create_dir_all(&run).unwrap();
    let state = text_of(&portal.root(), STATE);
    if settled {
        fs::write(run.join("state.settled"), &state).unwrap();
    }
    let mut header: Value = serde_json::from_str(state.lines().next().unwrap()).unwrap();
    let put = [json!({ "staged": 0, "dest": "rich-dynamic" })];
    header["header"]["commit"] = json!({ "run": 1, "put": put, "remove": [] });
    let header = format!("{header}\n");
    let sha256 = testkit::sha256_digest(header.as_bytes());
    let end = json!({ "end": { "plugins": 0, "sha256": sha256.strip_prefix("sha256:") } });
    fs::write(portal.root().join(STATE), format!("{header}{end}\n")).unwrap();
}

#[test]
fn open_commit_is_told_until_the_next_run_completes_it() {
    let (portal, _registry) = two_plugins();
    let before = portal.look(&["list"]).exits(0).stdout;
    open_commit(&portal, true);
    let run = portal.look(&["list"]).exits(0).says("\nnote: the plugins are being made visible");
    assert_eq!(
        run.stdout.lines().filter(|line| !line.starts_with("note: ")).collect::<Vec<_>>(),
        before.lines().collect::<Vec<_>>()
    );
    assert_eq!(portal.look_json("list", 0)["commit_open"], true);
    portal.look(&["verify"]).exits(3).says(" [commit_open]\nhelp: wait for the installer");
    assert_eq!(portal.look_json("verify", 3)["reason"], "commit_open");
    portal.install().exits(0).says("reason=commit_resumed");
    portal.look(&["verify"]).exits(0);

    open_commit(&portal, false);
    for what in ["list", "verify"] {
        portal.look(&[what]).exits(3).says("the record of this root is not whole").says("[state_lost]");
    }
}

/// Runs the installer as the user of its container.
fn as_installers_user(portal: &Portal, arguments: &[&str]) -> Run {
    let set_mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let mut command = Command::new(portal.command().get_program());
    if fs::metadata(portal.root()).unwrap().uid() == 0 {
        let installer = portal.path("installer");
        // Copied by another process: a program that somebody may write to cannot be run.
        copy(Path::new(portal.command().get_program()), &installer);
        set_mode(&portal.path("."), 0o755);
        command = Command::new(installer);
        command.uid(65532).gid(65532);
    }
    command.env_clear().arg("--root").arg(portal.root()).args(arguments);
    portal.run(command)
}

#[test]
fn root_that_cannot_be_written_is_read_by_another_user() {
    let (portal, _registry) = two_plugins();
    fs::set_permissions(portal.root(), Permissions::from_mode(0o555)).unwrap();
    as_installers_user(&portal, &["list"]).exits(0).says("2 plugins, recorded by");
    as_installers_user(&portal, &["verify"]).exits(0).says("; all is as it was installed");
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_verified() {
    let (portal, _registry) = two_plugins();
    let rich = portal.root().join("rich-dynamic");
    fs::set_permissions(rich.join(CODE), Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(rich.join("bin"), Permissions::from_mode(0o000)).unwrap();
    fs::write(portal.root().join("plain-dynamic/x"), "").unwrap();
    let run = as_installers_user(&portal, &["verify"]).exits(1);
    for told in [
        "extra: plain-dynamic/x: expected nothing",
        "unreadable: rich-dynamic/bin/run: it cannot be read: Permission denied",
        "unreadable: rich-dynamic/bin: it cannot be read: Permission denied",
        "unreadable: rich-dynamic/dist/index.cjs.js: it cannot be read: Permission denied",
        ": 2 plugins, 5 files, ",
        " bytes verified; 4 differences from",
    ] {
        assert!(run.stdout.contains(told), "no `{told}` in {}", run.stdout);
    }
    fs::set_permissions(portal.root().join(STATE), Permissions::from_mode(0o000)).unwrap();
    as_installers_user(&portal, &["verify"])
        .exits(3)
        .says("failed to read the record: Permission denied")
        .says("\nhelp: run this as");
    fs::set_permissions(portal.root(), Permissions::from_mode(0o000)).unwrap();
    let run = as_installers_user(&portal, &["list"]);
    fs::set_permissions(portal.root(), Permissions::from_mode(0o755)).unwrap();
    run.exits(3).says("failed to read the plugin root: Permission denied");
}

#[test]
fn installer_at_work_makes_no_differences() {
    let registry = Registry::start();
    let versions = ["1", "2"].map(|version| {
        let add = |plugin: Plugin, n| plugin.file(&format!("dist/{n}-{version}.js"), vec![b'x'; 4096]);
        let large = (0..300).fold(Plugin::backend("hello"), add);
        entry(&registry.push("my-org/hello", version, &large.tarball()))
    });
    let portal = Portal::listing(OnReject::Abort, &versions[..1]);
    portal.install().exits(0);
    let (mut seen, mut restarted) = (0, 0);
    for version in versions.iter().cycle().skip(1).take(12) {
        portal.list(OnReject::Abort, std::slice::from_ref(version));
        let mut installer = portal.start(|command| command);
        while !installer.has_ended() {
            let mut command = Command::new(portal.command().get_program());
            command.env_clear().arg("verify").arg("--root").arg(portal.root());
            let run = portal.run(command).exits(0);
            restarted += usize::from(run.stdout.contains("note: an installer has changed the root: starting over"));
            let about = |line: &&str| ["ok: ", "note: ", "/"].iter().all(|start| !line.starts_with(start));
            assert_eq!(run.stdout.lines().find(about), None, "{}", run.stdout);
            seen += 1;
        }
        installer.end().exits(0);
    }
    println!("verified {seen} times, {restarted} of them anew");
    portal.look(&["verify"]).exits(0);
}

#[test]
fn verify_ends_soon_when_it_is_told_to() {
    let (portal, _registry) = two_plugins();
    open_commit(&portal, true);
    for (signal, status) in [("TERM", 143), ("INT", 130)] {
        let mut running = portal.start(|command| command.arg("verify"));
        wait_until("verify waits for the commit", || running.stdout().contains("note: "));
        running.signal(signal);
        running.end().exits(status);
    }
}
