//! The patterns of the schema, which say in their way what parsers say.

use config::Dialect;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use crate::outcomes::GOOD;
use crate::{Case, judge, read};

/// Packages; what is right is the parser's to say.
const PACKAGES: &[&str] = &[
    "oci://ghcr.io/my-org/my-plugin:1.2.3",
    "oci://ghcr.io/a/b__c/d--e.f/g_h:1",
    "oci://reg:5000/a:latest",
    "oci://LOCALHOST/a:1",
    "oci://127.0.0.1:5000/a@sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a",
    "oci://[::1]:5000/a:1!p",
    "oci://ghcr.io/a:1@sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a!./a.b/..c/...",
    "oci://ghcr.io/a:1!a!b",
    "https://a.example.com/x.tgz",
    "https://A.example.com:8443/a/b;c/..d/...;e/x-1.2.3.tgz?X-Sig=a%20b&c=/d?e",
    "https://a.example.com/a%20b%C3%A9/%5Bx%5D.tgz",
    "https://a.example.com/;x/y",
    "https://[::1]:8443/x",
    "@s/n@1.0.0",
    "n@>=1.0.0 <2",
    "a:@npm:@s/n@^1",
    "n~.x",
    "a@npm:~n",
    "./a",
    "./a/b.tgz",
    "./dynamic-plugins/dist/it's/",
    "github:u/r#main",
    "u/r",
    "U-_/r.git#v1/x@2+3",
    "https://github.com/u/r#v1",
    "git+https://h.example.com/u/r.git#main",
    "git+ssh://git@h.example.com:22/u/r.git",
    "ssh://h.example.com/u",
    "git://h.example.com/u/r",
    "git@github.com:u/r.git",
    "ref://name",
    "oci://ghcr.io/a/b:{{inherit}}",
    "oci://ghcr.io/a/b:{{inherit}}!p/q",
];

/// Packages that are wrong, whichever way.
const WRONG: &[&str] = &[
    "oci://ghcr.io/my-org/my-plugin",
    "oci://my-org/plug:1",
    "oci://ghcr.io/My-Org/plug:1",
    "oci://ghcr.io/a//b:1",
    "oci://ghcr.io/a/../b:1",
    "oci://ghcr.io/a___b:1",
    "oci://ghcr.io/-a:1",
    "oci://ghcr.io/a:",
    "oci://ghcr.io/a:.1",
    "oci://ghcr.io/a:1:2",
    "oci://ghcr.io/a@sha256:abcd",
    "oci://ghcr.io/a:1!",
    "oci://ghcr.io/a:1!/abs",
    "oci://ghcr.io/a:1!a/../b",
    "oci://bob@ghcr.io/a:1",
    " oci://ghcr.io/a:1",
    "OCI://ghcr.io/a:1",
    "oci:ghcr.io/a:1",
    "https:/a.example.com/x.tgz",
    "https://a.example.com",
    "https://a.example.com/",
    "https://a.example.com/a//b",
    "https://a.example.com/../b",
    "https://a.example.com/a\\b",
    "https://bob:x@a.example.com/b",
    "http://a.example.com/x.tgz",
    "file:///x.tgz",
    "../x",
    "~n",
    "./../x",
    "./a//b",
    "ftp://h.example.com/x",
    "docker://quay.io/o/x:1",
    "@s",
    "My-Plugin@1",
    "n@",
    "",
];

/// What a file may allow, right and wrong.
const PREFIXES: &[&str] = &[
    "oci://ghcr.io",
    "oci://ghcr.io/",
    "oci://ghcr.io/my-org/x:1.0.0-a_long.tag",
    "oci://localhost:5000/a",
    "oci://ghcr.io/a@sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a",
    "https://a.example.com",
    "https://a.example.com/plugins/",
    "https://a.example.com:8443/a/b",
    "npm:@s",
    "npm:@s/",
    "npm:@s/n",
    "npm:n",
    "./",
    "./a/b",
    "./a/b/",
    "ghcr.io/my-org",
    "oci://",
    "https://",
    "oci://*.example.com",
    "oci://a.example.com//",
    "oci://a.example.com/x:1!p",
    "https://a.example.com/x?y=1",
    "https://a.example.com/x/../y",
    "https://u:p@a.example.com/",
    "npm:",
    "npm:@s/*",
    "npm:N",
    "./*",
    "../a",
    "/a",
];

fn package(dialect: Dialect, package: &str) -> Case {
    let quoted = package.replace('\'', "''");
    Case::new(package, dialect, format!("plugins:\n- package: '{quoted}'\n  integrity: {GOOD}\n"))
}

fn both<'a>(rows: &'a [&str], case: impl Fn(Dialect, &str) -> Case + 'a) -> impl Iterator<Item = Case> + 'a {
    rows.iter().flat_map(move |row| [Dialect::Butler, Dialect::Rhdh].map(|dialect| case(dialect, row)))
}

/// Where the schema and the reader differ, and why it is not worse.
fn differences(cases: &[Case]) -> Vec<&str> {
    let mut milder = Vec::new();
    for (case, answer) in cases.iter().zip(judge(cases)) {
        match (read(case.dialect, &case.text, None), answer) {
            (Ok(()), Some(complaint)) => panic!("the schema is stricter: {:?}: {complaint}", case.text),
            (Err(_), None) => milder.push(case.name.as_str()),
            _ => {}
        }
    }
    milder
}

#[test]
fn packages_and_prefixes_are_told_apart_as_the_parsers_do() {
    let prefix = |dialect, prefix: &str| Case::new(prefix, dialect, format!("allowedSources: ['{prefix}']\n"));
    let cases: Vec<_> = both(PACKAGES, package).chain(both(WRONG, package)).chain(both(PREFIXES, prefix)).collect();
    assert_eq!(
        differences(&cases),
        // What the first three lead to stands in another file; npm would take the last for a path.
        ["ref://name", "oci://ghcr.io/a/b:{{inherit}}", "oci://ghcr.io/a/b:{{inherit}}!p/q", "~n"]
    );
}

#[test]
fn what_is_switched_off_may_be_wrong() {
    let switches = [
        "",
        "disabled: true",
        "disabled: yes",
        "disabled: 'ON'",
        "disabled: false",
        "disabled: n",
        "enabled: false",
        "enabled: Off",
        "enabled: true",
        "enabled: true\n  disabled: true",
        "enabled: false\n  disabled: false",
        "enabled: ~\n  disabled: true",
        "enabled:\n  disabled: False",
    ];
    let case = |dialect, switch: &str| {
        let text = format!("plugins:\n- package: http://a.example.com/x.tgz\n  integrity: x\n  {switch}\n");
        Case::new(switch, dialect, text)
    };
    let cases: Vec<_> = both(&switches, case).collect();
    assert_eq!(differences(&cases), [""; 0]);
}

#[test]
fn integrities_are_told_apart_as_the_parsers_do() {
    let wrong_end = GOOD.replace("Qw==", "Qx==");
    let cases: Vec<_> = [
        GOOD.to_owned(),
        wrong_end,
        GOOD.replace("sha512-", "sha512:"),
        GOOD.replace("sha512-", "sha1-"),
        GOOD.replace("==", ""),
        GOOD.replace('/', "_"),
        format!("{GOOD} {GOOD}"),
        format!("{GOOD}?x"),
        format!(" {GOOD}"),
        format!("sha512-{}", "0a".repeat(64)),
        "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".to_owned(),
        "sha384-OLBgp1GsljhM2TJ+sbHjaiH9txEUvgdDTAzHv2P24donTt6/529l+9Ua0vFImLlb".to_owned(),
        "sha384-OLBgp1Gs".to_owned(),
        "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=".to_owned(),
    ]
    .iter()
    .flat_map(|integrity| {
        [Dialect::Butler, Dialect::Rhdh].map(|dialect| {
            let text = format!("plugins:\n- package: https://a.example.com/x.tgz\n  integrity: '{integrity}'\n");
            Case::new(integrity, dialect, text)
        })
    })
    .collect();
    assert_eq!(differences(&cases), [""; 0]);
}

#[test]
fn schema_is_never_stricter_than_the_parsers() {
    let written = [
        "oci://[a-z0-9.:-]{1,9}(/[a-z0-9._-]{1,4}){1,2}[:@!][a-zA-Z0-9._!/-]{1,6}",
        "https://[a-zA-Z0-9.-]{1,6}(:[1-9]{2})?(/[a-z.;%2F~@!*-]{1,4}){1,3}([?#][a-z/?.]{0,3})?",
        "(@[a-z~-]{1,2}/)?[a-z0-9._~-]{1,4}(@[a-z0-9 ^~.*=<>|-]{1,5})?",
        "([a-z]{1,2}:?@npm:)?[a-z@/.]{1,5}",
        "\\./[a-z./!'-]{1,6}",
        "(github:|git@|git\\+https://|git\\+ssh://|git://)?[a-zA-Z0-9.@-]{1,5}[:/][a-z./-]{1,5}(#[a-z/.@-]{1,4})?",
    ];
    let mut runner = TestRunner::deterministic();
    let mut cases = Vec::new();
    for pattern in written {
        let strategy = proptest::string::string_regex(pattern).unwrap();
        for _ in 0..150 {
            let text = strategy.new_tree(&mut runner).unwrap().current();
            cases.extend([Dialect::Butler, Dialect::Rhdh].map(|dialect| package(dialect, &text)));
        }
    }
    let right = cases.iter().filter(|case| read(case.dialect, &case.text, None).is_ok()).count();
    assert!(right > 150, "{right}");
    differences(&cases);
}
