//! `--trust-state`: what is believed, and what has to be on the disk for that.

use std::fs;
use std::process::Command;

use testkit::Registry;

use crate::portal::{OnReject, Portal, Run, entry, publish, text_of};

const STATE: &str = ".butler-plugins.state";
const CODE: &str = "hello-dynamic/dist/index.cjs.js";

/// One plugin on a root, from a run with these flags.
fn installed(flags: &[&str]) -> (Portal, Registry) {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
    portal.install_with(|command| command.args(flags)).exits(0);
    registry.recorder().clear();
    (portal, registry)
}

fn again(portal: &Portal) -> Run {
    portal.install_with(|command| command.arg("--trust-state")).exits(0)
}

/// Other bytes of the same length.
fn tamper(portal: &Portal) -> String {
    let code = text_of(&portal.root(), CODE);
    fs::write(portal.root().join(CODE), code.to_uppercase()).unwrap();
    code
}

#[test]
fn trusted_state_of_a_run_that_synced_is_believed_and_said_to_be() {
    let (portal, registry) = installed(&["--trust-state"]);
    assert!(text_of(&portal.root(), STATE).contains(r#""synced":true"#));
    let code = tamper(&portal);
    let run = again(&portal).says("event=warning reason=state_trusted");
    assert_eq!(run.events(), ["warning state_trusted", "plugin_skipped hello:1 unchanged", "completed"]);
    assert_eq!(registry.recorder().requests(), []);
    assert_ne!(text_of(&portal.root(), CODE), code, "the file was read and healed");
    // Without the flag nothing is believed.
    let events = portal.install().exits(0).events();
    assert_eq!(events, ["warning files_changed", "plugin_installed hello:1 hello", "completed"]);
    assert_eq!(text_of(&portal.root(), CODE), code);
}

#[test]
fn state_of_a_run_that_did_not_sync_is_not_believed_until_one_has() {
    let (portal, registry) = installed(&[]);
    assert!(text_of(&portal.root(), STATE).contains(r#""synced":false"#));
    let code = tamper(&portal);
    assert_eq!(again(&portal).events(), ["warning files_changed", "plugin_installed hello:1 hello", "completed"]);
    assert_eq!(text_of(&portal.root(), CODE), code);

    let (portal, _registry) = installed(&[]);
    assert_eq!(again(&portal).events(), ["plugin_skipped hello:1 unchanged", "completed"]);
    assert!(text_of(&portal.root(), STATE).contains(r#""synced":true"#));
    assert_eq!(again(&portal).events()[0], "warning state_trusted");
    drop(registry);
}

#[test]
fn what_can_be_seen_without_reading_is_healed_all_the_same() {
    type Damage = fn(&Portal);
    let rows: [(&str, Damage); 5] = [
        ("cut", |portal| fs::write(portal.root().join(CODE), "x").unwrap()),
        ("removed", |portal| fs::remove_file(portal.root().join(CODE)).unwrap()),
        ("a folder in its place", |portal| {
            fs::remove_file(portal.root().join(CODE)).unwrap();
            fs::create_dir(portal.root().join(CODE)).unwrap();
        }),
        ("one more file", |portal| fs::write(portal.root().join("hello-dynamic/more.js"), "").unwrap()),
        ("all of it removed", |portal| fs::remove_dir_all(portal.root().join("hello-dynamic")).unwrap()),
    ];
    for (name, damage) in rows {
        let (portal, _registry) = installed(&["--trust-state"]);
        let whole = portal.tree();
        damage(&portal);
        again(&portal).says("reason=files_changed").says("event=completed installed=1");
        assert_eq!(portal.tree().lines().len(), whole.lines().len(), "{name}");
        assert_eq!(text_of(&portal.root(), CODE), "module.exports = 'hello 1';\n", "{name}");
    }
}

#[test]
fn file_system_is_synced_before_the_first_plugin_is_visible() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
    let calls = |flags: &[&str]| -> Vec<String> {
        let installer = portal.command();
        let trace = portal.path("trace");
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-e", "trace=syncfs,renameat,renameat2,rename", "-o"]).arg(&trace);
        strace.arg(installer.get_program()).args(installer.get_args()).args(flags);
        portal.run(strace).exits(0);
        let name = |line: &str| Some(line.split_whitespace().nth(1)?.split_once('(')?.0.to_owned());
        fs::read_to_string(trace).unwrap().lines().filter_map(name).collect()
    };
    let synced = calls(&["--trust-state"]);
    assert_eq!(synced.first().map(String::as_str), Some("syncfs"), "{synced:?}");
    assert!(synced.len() > 2, "{synced:?}");
    assert!(!calls(&[]).contains(&"syncfs".to_owned()));
}
