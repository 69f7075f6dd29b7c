//! The merged `app-config.dynamic-plugins.yaml`.

use std::fs;

use testkit::Registry;

use crate::portal::{OnReject, Portal, entry, publish, text_of};

const APP_CONFIG: &str = "app-config.dynamic-plugins.yaml";

/// An entry with a piece of app-config, written in flow style.
fn with(registry: &Registry, name: &str, plugin_config: &str) -> String {
    entry(&publish(registry, name, "1")) + &format!("    pluginConfig: {plugin_config}\n")
}

#[test]
fn pieces_of_all_plugins_are_merged() {
    let registry = Registry::start();
    let portal = Portal::listing(
        OnReject::Abort,
        &[
            with(&registry, "one", "{ app: { title: 'yes', routes: [/a, /b] }, backend: { port: 7007 } }"),
            with(&registry, "two", "{ app: { support: { url: 'https://example.com' } } }"),
            entry(&publish(&registry, "three", "1")),
        ],
    );
    portal.install().exits(0);
    insta::assert_snapshot!(text_of(&portal.root(), APP_CONFIG), @r#"
    # Written by butler-plugin-installer from the plugins' `pluginConfig`. Changes made here are lost.
    "app":
      "title": "yes"
      "routes":
        - "/a"
        - "/b"
      "support":
        "url": "https://example.com"
    "backend":
      "port": 7007
    "#);
}

#[test]
fn plugins_that_set_one_key_differently_are_told_apart() {
    let registry = Registry::start();
    let (one, two) = (
        with(&registry, "one", "{ app: { title: One } }"),
        with(&registry, "two", "{ app: { title: Two, extra: true } }"),
    );
    let portal = Portal::listing(OnReject::Continue, &[one.clone(), two.clone()]);
    let run = portal.install().exits(0);
    let run = run.says("reason=plugin_config_conflict").says("in line 6, found another value in line 9");
    assert!(run.stderr.contains("hint=\"set `app.title` alike at 6:28 and 9:28, or in one of the two entries only\""));
    assert_eq!(portal.plugins(), ["one-dynamic"]);
    assert!(!text_of(&portal.root(), APP_CONFIG).contains("extra"));

    let portal = Portal::listing(OnReject::Abort, &[one, two]);
    portal.install().exits(1).says("plugin_config_conflict");
    assert_eq!(portal.untouched(), [""; 0]);
}

#[test]
fn file_goes_with_the_last_piece() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[with(&registry, "one", "{ app: { title: One } }")]);
    portal.install().exits(0);
    assert!(portal.root().join(APP_CONFIG).exists());
    portal.list(OnReject::Abort, &[entry(&publish(&registry, "one", "1"))]);
    portal.install().exits(0).says("reason=unchanged");
    assert!(!portal.root().join(APP_CONFIG).exists());
    assert_eq!(portal.plugins(), ["one-dynamic"]);
}

#[test]
fn file_of_somebody_else_stays_while_no_plugin_has_a_piece() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "one", "1"))]);
    fs::write(portal.root().join(APP_CONFIG), "app: { title: Mine }\n").unwrap();
    portal.install().exits(0);
    portal.list(OnReject::Abort, &[]);
    portal.install().exits(0);
    assert_eq!(text_of(&portal.root(), APP_CONFIG), "app: { title: Mine }\n");
}

#[test]
fn file_follows_the_list_without_a_download() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[with(&registry, "one", "{ app: { title: One } }")]);
    portal.install().exits(0);
    let first = text_of(&portal.root(), APP_CONFIG);
    registry.recorder().clear();

    fs::write(portal.root().join(APP_CONFIG), first.replace("One", "Tampered")).unwrap();
    portal.install().exits(0).says("reason=unchanged");
    assert_eq!(text_of(&portal.root(), APP_CONFIG), first);

    portal.list(OnReject::Abort, &[with(&registry, "one", "{ app: { title: Two } }")]);
    portal.install().exits(0).says("reason=unchanged");
    assert_eq!(text_of(&portal.root(), APP_CONFIG), first.replace("One", "Two"));
    assert_eq!(registry.recorder().requests(), []);
}
