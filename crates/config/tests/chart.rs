//! Files as the portal's chart ships, documents and renders them.

use config::{Form, OnReject, Plan, Request};

fn plan(text: &str) -> Plan {
    config::parse(text.as_bytes()).unwrap_or_else(|problems| panic!("{}", problems.render("values.yaml")))
}

fn values(enabled: bool, root: Option<&str>) -> Form {
    Form::HelmValues { enabled, root: root.map(str::to_owned) }
}

#[test]
fn the_default_block_asks_for_nothing() {
    let plan = plan(include_str!("../../../fixtures/real-configs/butler/values.chart-defaults.yaml"));
    assert_eq!(plan.form, values(false, None));
    assert_eq!(plan.on_reject, OnReject::Abort);
    assert!(plan.entries.is_empty() && plan.policy.is_permissive());
}

#[test]
fn only_the_block_of_a_values_file_is_read() {
    let plan = plan(include_str!("../../../fixtures/real-configs/butler/values.chart-enabled.yaml"));
    assert_eq!(plan.form, values(true, Some("/dynamic-plugins-root")));
    assert_eq!(plan.on_reject, OnReject::Continue);
    assert_eq!(plan.policy.prefixes().len(), 2);
    let [hello, world] = <[_; 2]>::try_from(plan.entries).unwrap();
    let Request::Wanted(wanted) = hello.request else { panic!() };
    assert!(wanted.admit(&plan.policy).unwrap().plugin_config.is_some());
    assert!(matches!(world.request, Request::Disabled));
    assert_eq!(world.package, "https://artifacts.internal.example.com/plugins/world-0.4.0.tgz");
}

#[test]
fn a_community_image_is_admitted_with_its_plugin_path() {
    let plan = plan(include_str!("../../../fixtures/real-configs/butler/values.community.yaml"));
    let [entry] = <[_; 1]>::try_from(plan.entries).unwrap();
    let Request::Wanted(wanted) = entry.request else { panic!() };
    let source = wanted.admit(&plan.policy).unwrap().source.subject().to_string();
    assert!(source.ends_with("!backstage-community-plugin-tech-radar"), "{source}");
}

#[test]
fn the_rendered_file_is_a_plan() {
    let plan = plan(include_str!("../../../fixtures/real-configs/butler/chart-rendered.yaml"));
    assert_eq!(plan.form, Form::DynamicPlugins);
    assert_eq!(plan.entries.len(), 2);
    assert_eq!(plan.entries[1].place.position().line, 8);
}

#[test]
fn a_disabled_block_is_checked_and_asks_for_nothing() {
    let block = "dynamicPlugins:\n  enabled: false\n  plugins:\n  - package: oci://ghcr.io/a/b:1\n";
    assert!(plan(block).entries.is_empty());
    let problems = config::parse(format!("{block}    packge: x\n").as_bytes()).unwrap_err();
    assert_eq!(problems.summary(), "line 5, column 5: unknown key `packge`");
}

#[test]
fn what_is_odd_outside_the_block_is_ignored_and_inside_not() {
    let outside = "a: &a {x: 1, x: 2}\nb: *a\nc: !mine 1\n~: 1\n? [k]\n: v\ndynamicPlugins: {}\nd: *a\nd: {<<: *a}\n";
    assert_eq!(plan(outside).form, values(true, None));
    let inside = "a: &a []\ndynamicPlugins:\n  plugins: *a\n  allowedSources: []\nb: *a\n";
    let problems = config::parse(inside.as_bytes()).unwrap_err();
    assert_eq!(problems.summary(), "line 3, column 12: YAML aliases are not supported");
}

#[test]
fn every_documented_key_of_the_block_is_typed() {
    let text = "dynamicPlugins:\n  enabled: on\n  rootDirectory: 1\n  installer:\n    image: []\n    tag: 0.1\n    pullPolicy: ~\n    continueOnError: 1\n";
    let problems = config::parse(text.as_bytes()).unwrap_err();
    let lines: Vec<_> = problems.iter().map(|problem| problem.position.line).collect();
    assert_eq!(lines, [2, 3, 5, 6, 8], "{}", problems.render("values.yaml"));
}
