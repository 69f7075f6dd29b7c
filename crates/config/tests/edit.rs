//! Pins changed in place, in every way a file may be written.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use config::{Edit, EditError, Pins, Request};
use integrity::Integrity;
use proptest::prelude::*;

/// As computed: what the tests pin. Written `NEW` in the tables.
const NEW: &str = "sha512-m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==";
/// As it stood in the file. Written `OLD` in the tables.
const OLD: &str = "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==";
const DIGEST: &str = "@sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";

fn pins(text: &str) -> Pins {
    Pins::read(text.as_bytes()).unwrap_or_else(|problems| panic!("{}", problems.render("values.yaml")))
}

fn pin(entry: usize) -> Edit {
    Edit { entry, integrity: Integrity::parse(NEW).unwrap(), package: None }
}

/// The short words written out.
fn full(text: &str) -> String {
    text.replace("PKG", "package: oci://r.io/x:1").replace("NEW", NEW).replace("OLD", OLD).replace("@D", DIGEST)
}

/// A file of a table, which may begin with its list.
fn whole(text: &str) -> String {
    let is_list = text.starts_with(['-', ' ', '#']) && !text.starts_with("---");
    full(&format!("{}{text}", if is_list { "plugins:\n" } else { "" }))
}

/// Pins the first entry.
fn pinned(text: &str) -> String {
    pins(text).edited(&[pin(0)]).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A name, a text, and the same with the first entry pinned; see [`whole`].
type Row = (&'static str, &'static str, &'static str);

/// There is no integrity: it goes below the package.
const ABSENT: &[Row] = &[
    ("absent", "- PKG\n", "- PKG\n  integrity: NEW\n"),
    ("dash alone", "  -\n    PKG\n", "  -\n    PKG\n    integrity: NEW\n"),
    ("wide dash", "-    PKG\n     disabled: true\n", "-    PKG\n     integrity: NEW\n     disabled: true\n"),
    (
        "comments",
        "# a\n- PKG  # b \n  # c\n  disabled: true # d\n",
        "# a\n- PKG  # b \n  integrity: NEW\n  # c\n  disabled: true # d\n",
    ),
    ("package last", "- disabled: true\n\n  PKG\n\n\n# end", "- disabled: true\n\n  PKG\n  integrity: NEW\n\n\n# end"),
    ("no final newline", "- PKG", "- PKG\n  integrity: NEW"),
    ("CRLF", "plugins:\r\n- PKG\r\n", "plugins:\r\n- PKG\r\n  integrity: NEW\r\n"),
    ("CRLF, no final newline", "plugins:\r\n- PKG ", "plugins:\r\n- PKG \r\n  integrity: NEW"),
    ("CR", "plugins:\r- PKG\r", "plugins:\r- PKG\r  integrity: NEW\r"),
    ("byte order mark", "\u{feff}plugins:\n- PKG\n", "\u{feff}plugins:\n- PKG\n  integrity: NEW\n"),
    (
        "wide characters before",
        "x-é: \u{1f600}\u{1f600}\nplugins:\n- PKG # ü\n",
        "x-é: \u{1f600}\u{1f600}\nplugins:\n- PKG # ü\n  integrity: NEW\n",
    ),
    (
        "package in double quotes",
        "- package: \"oci://r.io/x:1\" # b\n",
        "- package: \"oci://r.io/x:1\" # b\n  integrity: \"NEW\"\n",
    ),
    (
        "package in single quotes",
        "- package: 'oci://r.io/x:1'  \n",
        "- package: 'oci://r.io/x:1'  \n  integrity: 'NEW'\n",
    ),
    (
        "package on the next line",
        "- package:  # b\n    oci://r.io/x:1\n  x-a: 1\n",
        "- package:  # b\n    oci://r.io/x:1\n  integrity: NEW\n  x-a: 1\n",
    ),
    (
        "package folded",
        "- package: >-\n    oci://r.io/x:1\n\n  # c\n  x-a: 1\n",
        "- package: >-\n    oci://r.io/x:1\n  integrity: NEW\n\n  # c\n  x-a: 1\n",
    ),
    (
        "package with properties",
        "- package: &p !!str oci://r.io/x:1\n",
        "- package: &p !!str oci://r.io/x:1\n  integrity: NEW\n",
    ),
    ("key with an anchor", "- &k PKG\n", "- &k PKG\n  integrity: NEW\n"),
    ("entry with an anchor", "- &e !!map\n  PKG\n", "- &e !!map\n  PKG\n  integrity: NEW\n"),
    ("comment behind the dash", "- # a\n  PKG\n", "- # a\n  PKG\n  integrity: NEW\n"),
    ("end of document", "---\nplugins:\n- PKG\n...\n", "---\nplugins:\n- PKG\n  integrity: NEW\n...\n"),
    (
        "values",
        "a: &a {b: 1}\nc: *a\ndynamicPlugins:\n    enabled: false\n    plugins:\n        - PKG\nd: *a\na: 2\n",
        "a: &a {b: 1}\nc: *a\ndynamicPlugins:\n    enabled: false\n    plugins:\n        - PKG\n          integrity: NEW\nd: *a\na: 2\n",
    ),
];

/// There is an `integrity` without a value.
const NOTHING: &[Row] = &[
    ("null", "- PKG\n  integrity:\n", "- PKG\n  integrity: NEW\n"),
    ("null, spaces and comment", "- integrity:   # later\n  PKG\n", "- integrity: NEW   # later\n  PKG\n"),
    ("null, no final newline", "- PKG\n  integrity:", "- PKG\n  integrity: NEW"),
    ("tilde", "- PKG\n  integrity: ~ # later\n", "- PKG\n  integrity: NEW # later\n"),
    ("null word", "- PKG\n  integrity: null\n", "- PKG\n  integrity: NEW\n"),
    ("null tag", "- PKG\n  integrity: !!null\n  x-a: 1\n", "- PKG\n  integrity: NEW\n  x-a: 1\n"),
    ("anchor alone", "- PKG\n  integrity: &i\n", "- PKG\n  integrity: NEW\n"),
    ("text tag alone", "- PKG\n  integrity: !!str\n  x-a: 1\n", "- PKG\n  integrity: NEW\n  x-a: 1\n"),
    ("empty double quotes", "- PKG\n  integrity: \"\"\n", "- PKG\n  integrity: \"NEW\"\n"),
    ("empty single quotes", "- PKG\n  integrity:   '' # c\n", "- PKG\n  integrity:   'NEW' # c\n"),
    ("empty block scalar", "- PKG\n  integrity: >- # c\n\n  x-a: 1\n", "- PKG\n  integrity: NEW # c\n\n  x-a: 1\n"),
];

/// There is a value, which is replaced in its style.
const WRITTEN: &[Row] = &[
    ("plain", "- PKG\n  integrity: OLD # c\n", "- PKG\n  integrity: NEW # c\n"),
    ("plain, broken", "- PKG\n  integrity:  sha256-AAAA\t\n", "- PKG\n  integrity:  NEW\t\n"),
    (
        "plain, wrapped",
        "- PKG\n  integrity: sha512-AAAA\n\n    BBBB\n  x-a: 1\n",
        "- PKG\n  integrity: NEW\n  x-a: 1\n",
    ),
    ("plain, on the next line", "- PKG\n  integrity: # c\n    OLD # d\n", "- PKG\n  integrity: # c\n    NEW # d\n"),
    ("plain, with properties", "- PKG\n  integrity: &i !!str OLD\n", "- PKG\n  integrity: &i !!str NEW\n"),
    (
        "plain, with properties above",
        "- PKG\n  integrity: !!str # c\n    &i\n    OLD\n",
        "- PKG\n  integrity: !!str # c\n    &i\n    NEW\n",
    ),
    ("double quotes", "- PKG\n  integrity: \"OLD\" # c\n", "- PKG\n  integrity: \"NEW\" # c\n"),
    (
        "double quotes with escapes",
        "- PKG\n  integrity: \"\\\"#\\\\\" # c \"\n",
        "- PKG\n  integrity: \"NEW\" # c \"\n",
    ),
    (
        "double quotes, wrapped",
        "- PKG\n  integrity: \"sha512-AA\\\n    BB\" # c\n",
        "- PKG\n  integrity: \"NEW\" # c\n",
    ),
    ("single quotes", "- PKG\n  'integrity' : 'it''s # no' # it's\n", "- PKG\n  'integrity' : 'NEW' # it's\n"),
    ("folded", "- PKG\n  integrity: >-\n    OLD\n  x-a: 1\n", "- PKG\n  integrity: >-\n    NEW\n  x-a: 1\n"),
    (
        "literal, with its line break",
        "- PKG\n  integrity: | # c\n    OLD\n\n  x-a: 1\n",
        "- PKG\n  integrity: |- # c\n    NEW\n\n  x-a: 1\n",
    ),
    (
        "literal, with all line breaks",
        "- PKG\n  integrity: |+\n    OLD\n\n# c\n",
        "- PKG\n  integrity: |-\n    NEW\n\n# c\n",
    ),
    (
        "literal, indented by number",
        "- PKG\n  integrity: |1-\n      OLD\n   x\n",
        "- PKG\n  integrity: |-\n      NEW\n",
    ),
    (
        "folded, wrapped",
        "- PKG\n  integrity: >-\n\n      sha512-AA\n      BB\n  # c\n",
        "- PKG\n  integrity: >-\n      NEW\n  # c\n",
    ),
    (
        "folded, CRLF, at the end",
        "plugins:\r\n- PKG\r\n  integrity: >-\r\n    OLD",
        "plugins:\r\n- PKG\r\n  integrity: >-\r\n    NEW",
    ),
    (
        "literal, with properties",
        "- PKG\n  integrity: &i !!str\n    |-\n    OLD\n",
        "- PKG\n  integrity: &i !!str\n    |-\n    NEW\n",
    ),
    (
        "explicit key, pinned",
        "- ? package\n  : oci://r.io/x:1\n  ? integrity # c\n  : OLD\n",
        "- ? package\n  : oci://r.io/x:1\n  ? integrity # c\n  : NEW\n",
    ),
    ("the same already", "- PKG\n  integrity: |1-\n     NEW\n", "- PKG\n  integrity: |-\n     NEW\n"),
];

/// Entries in braces, JSON among them.
const BRACES: &[Row] = &[
    ("braces", "- {PKG}\n", "- {PKG, integrity: NEW}\n"),
    (
        "braces, pinned",
        "- { integrity: OLD , package: 'oci://r.io/x:1' }\n",
        "- { integrity: NEW , package: 'oci://r.io/x:1' }\n",
    ),
    ("braces, null", "plugins: [{integrity: , PKG}]\n", "plugins: [{integrity: NEW , PKG}]\n"),
    ("braces, null at the end", "plugins: [{PKG, integrity:}]\n", "plugins: [{PKG, integrity: NEW}]\n"),
    (
        "braces over lines",
        "plugins: [\n  &e {\n    # a\n    PKG , # b\n    disabled: true,\n  },\n]\n",
        "plugins: [\n  &e {\n    # a\n    PKG, integrity: NEW , # b\n    disabled: true,\n  },\n]\n",
    ),
    (
        "JSON",
        "{\"plugins\": [{\"package\":\"oci://r.io/x:1\"}]}",
        "{\"plugins\": [{\"package\":\"oci://r.io/x:1\", \"integrity\": \"NEW\"}]}",
    ),
    (
        "JSON, pinned",
        "{\"plugins\": [{\"package\":\"oci://r.io/x:1\",\"integrity\":null}]}",
        "{\"plugins\": [{\"package\":\"oci://r.io/x:1\",\"integrity\":\"NEW\"}]}",
    ),
];

#[test]
fn only_the_integrity_changes() {
    for (name, before, after) in [ABSENT, NOTHING, WRITTEN, BRACES].concat() {
        let (before, after) = (whole(before), whole(after));
        assert_eq!(pinned(&before), after, "{name}");
        assert_eq!(pinned(&after), after, "{name}, again");
        assert_eq!(pins(&after).entries()[0].integrity().unwrap().to_string(), NEW, "{name}");
    }
}

#[test]
fn a_package_changes_in_its_own_style() {
    let plugin_path = "oci://r.io/x:1!plugins/[a],{b}";
    for (name, before, package, after) in [
        (
            "plain",
            "- package: oci://r.io/x:1 # c\n",
            "oci://r.io/x:1@D",
            "- package: oci://r.io/x:1@D # c\n  integrity: NEW\n",
        ),
        (
            "quoted",
            "- package: \"oci://r.io/x:1\"\n  integrity: OLD\n",
            "oci://r.io/x:1@D",
            "- package: \"oci://r.io/x:1@D\"\n  integrity: NEW\n",
        ),
        (
            "folded",
            "- package: >-\n    oci://r.io/x:1\n  disabled: true\n",
            "oci://r.io/x:1@D",
            "- package: >-\n    oci://r.io/x:1@D\n  integrity: NEW\n  disabled: true\n",
        ),
        (
            "braces",
            "- {disabled: true, package: oci://r.io/x:1}\n",
            "oci://r.io/x:1@D",
            "- {disabled: true, package: oci://r.io/x:1@D, integrity: NEW}\n",
        ),
        ("null", "- package:\n", "oci://r.io/x:1", "- package: oci://r.io/x:1\n  integrity: NEW\n"),
        ("null in braces", "- {package: }\n", "oci://r.io/x:1", "- {package: oci://r.io/x:1, integrity: NEW }\n"),
        (
            "plain no more",
            "- {package: oci://r.io/x:1}\n",
            plugin_path,
            "- {package: \"oci://r.io/x:1!plugins/[a],{b}\", integrity: NEW}\n",
        ),
        ("a quote", "- package: 'x'\n", "it's", "- package: 'it''s'\n  integrity: 'NEW'\n"),
    ] {
        let edit = Edit { package: Some(full(package)), ..pin(0) };
        let edited = pins(&whole(before)).edited(&[edit]).unwrap_or_else(|error| panic!("{error}: {name}"));
        assert_eq!(edited, whole(after), "{name}");
    }
}

#[test]
fn each_entry_is_its_own_even_when_it_stands_twice() {
    let text = "plugins:\n- package: oci://r.io/x:1\n- package: oci://r.io/x:1\n- {package: oci://r.io/x:1}\n";
    let pins = pins(text);
    assert_eq!(pins.entries()[1].admit(pins.policy()).unwrap_err().reason(), "duplicate_plugin");
    let edited = pins.edited(&[pin(2), pin(1)]).unwrap();
    let expected = "plugins:\n- package: oci://r.io/x:1\n- package: oci://r.io/x:1\n  integrity: NEW\n- {package: oci://r.io/x:1, integrity: NEW}\n";
    assert_eq!(edited, full(expected));
    assert_eq!(pins.edited(&[]).unwrap(), text);
}

#[test]
fn what_cannot_be_changed_alone_is_refused() {
    let values = |plugins: &str, outside: &str| format!("dynamicPlugins:{plugins}\nx: {outside}\n");
    let entry = "package: oci://r.io/x:1";
    for (name, text, expected) in [
        (
            "aliased value",
            values(&format!("\n  plugins:\n  - {entry}\n    integrity: &a OLD"), "*a"),
            "Shared integrity",
        ),
        ("aliased null", values(&format!("\n  plugins:\n  - {entry}\n    integrity: &a"), "*a"), "Shared integrity"),
        (
            "aliased folded value",
            values(&format!("\n  plugins:\n  - {entry}\n    integrity: &a >-\n      OLD"), "*a"),
            "Shared integrity",
        ),
        ("aliased entry", values(&format!("\n  plugins:\n  - &a\n    {entry}"), "*a"), "Shared integrity"),
        ("aliased entry in braces", values(&format!("\n  plugins: [&a {{{entry}}}]"), "[*a]"), "Shared integrity"),
        (
            "aliased list",
            values(&format!("\n  plugins: &a\n  - {entry}\n    integrity: OLD"), "{y: *a}"),
            "Shared integrity",
        ),
        ("aliased block", values(&format!(" &a\n  plugins:\n  - {entry}"), "*a"), "Shared integrity"),
        ("merged block", values(&format!(" &a\n  plugins:\n  - {entry}"), "{<<: *a}"), "Shared integrity"),
        ("pair in a list", format!("plugins: [{entry}]\n"), "Form integrity"),
        ("explicit key", "plugins:\n- ? package\n  : oci://r.io/x:1\n".to_owned(), "Form integrity"),
        ("explicit key without value", format!("plugins:\n- {entry}\n  ? integrity\n"), "Form integrity"),
        ("word in braces", format!("plugins:\n- {{{entry}, integrity}}\n"), "Form integrity"),
        ("no package", "plugins:\n- disabled: true\n".to_owned(), "Form package"),
        ("no mapping", "plugins:\n- {}\n".to_owned(), "Form package"),
    ] {
        let error = pins(&full(&text)).edited(&[pin(0)]).unwrap_err();
        let found = match &error {
            EditError::Shared { key, .. } => format!("Shared {key}"),
            EditError::Form { key, .. } => format!("Form {key}"),
            other => format!("{other:?}"),
        };
        assert_eq!(found, expected, "{name}");
        assert_eq!((error.entry(), error.hint().is_some()), (Some(0), true), "{name}");
    }
    let harmless = "x: &a 1\ndynamicPlugins:\n  plugins:\n  - package: oci://r.io/x:1\n    integrity: &b OLD\ny: *a\n";
    assert_eq!(pinned(&full(harmless)), full(&harmless.replace("OLD", "NEW")));
}

#[test]
fn an_entry_that_is_not_there_is_a_bug_and_so_are_two_edits_that_differ() {
    let pins = pins("plugins:\n- package: oci://r.io/x:1\n");
    assert_eq!(pins.edited(&[pin(1)]), Err(EditError::NoEntry { entry: 1 }));
    let moved = |package: &str| Edit { package: Some(package.to_owned()), ..pin(0) };
    let error = pins.edited(&[moved("oci://r.io/y:1"), moved("oci://r.io/z:1")]).unwrap_err();
    assert_eq!((&error, error.blame()), (&EditError::Reread, integrity::Blame::Bug));
}

#[test]
fn a_text_that_would_be_too_long_is_not_given_out() {
    let room = config::MAX_CONFIG_BYTES - whole("- PKG\n#").len();
    let filled = |room: usize| format!("{}{}", whole("- PKG\n#"), "#".repeat(room));
    assert_eq!(pins(&filled(room)).edited(&[pin(0)]), Err(EditError::Reread));
    assert!(pins(&filled(room - NEW.len() - "  integrity: \n".len())).edited(&[pin(0)]).is_ok());
}

#[test]
fn a_thousand_entries_are_pinned_at_once() {
    let entries = |rest: &str| (0..1000).map(|n| full(&format!("- PKG{n}\n{rest}"))).collect::<Vec<_>>().concat();
    let edits: Vec<_> = (0..1000).map(pin).collect();
    let edited = pins(&whole(&entries(""))).edited(&edits).unwrap();
    assert_eq!(edited, whole(&entries("  integrity: NEW\n")));
}

#[test]
fn problems_are_those_of_the_plan() {
    for text in [
        "plugins: 1\n",
        "plugin: []\n",
        "plugins:\n- {{ template }}\n",
        "plugins:\n{{- range . }}\n- package: x\n{{- end }}\n",
        "plugins:\n- package: &a x\n- package: *a\n",
        "dynamicPlugins: {plugins: [], plugins: []}\n",
        "a: 1\n---\nb: 1\n",
        "allowedSources: ['*']\n",
    ] {
        let expected = config::parse(text.as_bytes()).unwrap_err().render("file");
        assert_eq!(Pins::read(text.as_bytes()).unwrap_err().render("file"), expected);
    }
}

#[test]
fn the_chart_s_files_keep_their_comments() {
    let enabled = include_str!("../../../fixtures/real-configs/butler/values.chart-enabled.yaml");
    let edited = pins(enabled).edited(&[pin(0), pin(1)]).unwrap();
    assert_eq!(edited, enabled, "the fixtures pin the same bytes");
    let unpinned: String = enabled.split_inclusive('\n').filter(|line| !line.contains("integrity:")).collect();
    assert_eq!(pins(&unpinned).edited(&[pin(0), pin(1)]).unwrap(), enabled);
}

/// Ways to write the value of `integrity` behind its colon.
const VALUES: &[&str] = &[
    "",
    " ",
    "  # c",
    " ~",
    " null # c",
    " ''",
    " \"\"",
    " OLD",
    "   OLD  # c ",
    " 'OLD' # it's",
    " \"OLD\"",
    " &a OLD",
    " !!str OLD",
    " !!null",
    "\n  OLD",
    " # c\n  OLD # d",
    " >-\n  OLD",
    " |\n  OLD\n",
    " |+ # c\n  OLD\n\n",
    " >1-\n   OLD",
    " &a\n  OLD",
    " sha1-x",
    " \"a\n  b\"",
    " '\n  OLD'",
    " a\n  b",
    " !!str\n  |-\n  OLD",
    " 'it''s'",
    " >-",
];
/// Ways to write the value of `package`.
const PACKAGES: &[&str] = &[
    " SOURCE",
    " SOURCE # c",
    " 'SOURCE'",
    " \"SOURCE\" # c",
    " >-\n  SOURCE",
    "\n  SOURCE",
    " # c\n  SOURCE # d",
    "   SOURCE \t",
    " &p SOURCE",
    " !!str 'SOURCE'",
];
const KEYS: &[&str] = &["integrity", "'integrity' ", "\"integrity\"", "&k integrity", "!!str integrity"];
/// What else an entry may hold.
const MORE: &[&str] = &[
    "",
    "x-a: {b: [c, d]}",
    "# c",
    "disabled: false # c",
    "  ",
    "pluginConfig:\n  a: |\n    integrity: OLD\n\n  b: package",
];
/// What stands before the first field, the others below its end.
const DASHES: &[&str] = &["- ", "-   ", "-\n  ", "- # c\n    "];
/// Whole entries in braces.
const FLOWS: &[&str] = &[
    "- {package: SOURCE}",
    "- { package: 'SOURCE' , integrity: }",
    "- {integrity: OLD,package: SOURCE}",
    "- {package: SOURCE, integrity: ~,}",
    "- {\n  # c\n  \"package\":\"SOURCE\"\n   ,\n  disabled: false }",
    "- {package: SOURCE, 'integrity':}",
    "-\n  {package: \"SOURCE\",\n   # c\n   integrity: # d\n   OLD}",
];

/// Pieces that may make a file, or may not.
const PIECES: &[&str] = &[
    "\n",
    "\n  ",
    "\n    ",
    "\n- ",
    "\n-\n  ",
    "\r\n  ",
    " ",
    "\t",
    "integrity:",
    "integrity",
    "'integrity':",
    "? ",
    "package:",
    "package: b",
    "{package: c",
    "}",
    "}\n",
    ",",
    " OLD",
    "'",
    "\"",
    " |",
    " >-",
    " |+\n",
    " # c",
    "#",
    "\u{a0}",
    " &a",
    " !!str",
    " !!null",
    " ~",
    " ''",
    ": ",
    "x-a: ",
    "[",
    "]",
    "\n...",
    "\n---",
    "\\",
    "é",
    "\u{1f600}",
    "pluginConfig: {a: b}",
    "disabled: true",
];

fn indented(text: &str, by: usize) -> String {
    text.replace('\n', &format!("\n{:by$}", ""))
}

fn select(ways: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(ways)
}

/// An entry, written in one of many ways.
fn entry() -> impl Strategy<Value = String> {
    let pinned = prop::option::weighted(0.7, (select(KEYS), select(VALUES)));
    let fields = (select(PACKAGES), pinned, select(MORE), select(MORE)).prop_map(|(package, pinned, first, second)| {
        let pinned = pinned.map(|(key, value)| format!("{key}:{value}")).unwrap_or_default();
        let second = if first == second { "" } else { second };
        vec![format!("package:{package}"), pinned, first.to_owned(), second.to_owned()]
    });
    let block = (fields.prop_shuffle(), select(DASHES)).prop_map(|(mut fields, dash)| {
        fields.retain(|field| !field.is_empty());
        let width = dash.rsplit('\n').next().map_or(0, str::len);
        format!("{dash}{}", indented(&fields.join("\n"), width))
    });
    prop_oneof![4 => block, 1 => select(FLOWS).prop_map(str::to_owned)]
}

/// A file of a few such entries, their number, and how its lines end.
fn file() -> impl Strategy<Value = (String, usize, &'static str)> {
    let heads = [
        ("", 0),
        ("allowedSources: []\n# é\n", 2),
        ("\u{feff}x-a: 1\n", 1),
        ("a: *b\ndynamicPlugins:\n  ", 2),
        ("---\ndynamicPlugins:\n    ", 6),
    ];
    let tails = prop::sample::select(vec!["", "\n", "\n\n# end", "\n # end\n", "\n...\n"]);
    let line_ends = prop::sample::select(vec!["\n", "\r\n", "\r"]);
    (prop::sample::select(heads.to_vec()), prop::collection::vec(entry(), 1..5), tails, line_ends).prop_map(
        |((head, at), entries, tail, line_end)| {
            let numbered =
                entries.iter().enumerate().map(|(n, entry)| entry.replace("SOURCE", &format!("oci://r.io/p{n}:1")));
            let list: Vec<_> = numbered.map(|entry| indented(&format!("\n{entry}"), at)).collect();
            let head = head.replace("a: *b", "b: &b 1\na: *b");
            let text = full(&format!("{head}plugins:{}{tail}", list.concat())).replace('\n', line_end);
            (text, entries.len(), line_end)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_formatting_is_kept_and_says_the_new_values((before, count, line_end) in file(), to_digest in any::<bool>()) {
        let source = |n: usize| full(&format!("oci://r.io/p{n}:1{}", if to_digest { "@D" } else { "" }));
        let edits: Vec<_> =
            (0..count).map(|n| Edit { package: to_digest.then(|| source(n)), ..pin(n) }).collect();
        let read = pins(&before);
        let after = read.edited(&edits).unwrap_or_else(|error| panic!("{error}\n{before}"));
        prop_assert_eq!(&pins(&after).edited(&edits).unwrap(), &after);

        let plan = config::parse(after.as_bytes()).unwrap();
        prop_assert_eq!(plan.entries.len(), count);
        for (n, entry) in plan.entries.into_iter().enumerate() {
            let Request::Wanted(wanted) = entry.request else { panic!("{before}") };
            let admitted = wanted.admit(&plan.policy).unwrap();
            prop_assert_eq!(admitted.promise.to_string(), NEW);
            prop_assert_eq!(admitted.source.subject().to_string(), source(n));
        }

        prop_assert_eq!(after.matches('#').count(), before.matches('#').count(), "a comment is lost in\n{}", after);
        prop_assert!(!after.replace(line_end, "").contains(['\n', '\r']), "a line ends otherwise in {after:?}");
        let mut old = before.split(line_end);
        for line in after.replace(DIGEST, "").split(line_end).filter(|line| !line.contains(NEW)) {
            let is_header = line.contains("|-") || line.contains(">-");
            prop_assert!(is_header || old.any(|found| found == line), "{line:?} is new in\n{after}\nof\n{before}");
        }
    }

    #[test]
    fn whatever_is_read_is_edited_or_refused(pieces in prop::collection::vec(select(PIECES), 0..14)) {
        let text = format!("plugins:\n- package: oci://r.io/x:1{}", full(&pieces.concat()));
        if let Ok(read) = Pins::read(text.as_bytes()) {
            for entry in 0..read.entries().len() {
                match read.edited(&[pin(entry)]) {
                    Ok(edited) => prop_assert_eq!(pins(&edited).edited(&[pin(entry)]).unwrap(), edited),
                    // Some brackets and block scalars are found out only when the edited text is read again.
                    Err(EditError::Reread) => {}
                    Err(error) => prop_assert_eq!(error.entry(), Some(entry), "{} in\n{}", error, text),
                }
            }
        }
    }
}
