//! What an operator reads when the file is wrong.

#[path = "tables/mistakes.rs"]
mod mistakes;

use mistakes::MISTAKES;

fn rendered(text: &str) -> String {
    config::parse(text.as_bytes())
        .map_or_else(|problems| problems.render("dynamic-plugins.yaml"), |plan| format!("{plan:?}"))
}

fn summary(text: impl AsRef<[u8]>) -> String {
    config::parse(text.as_ref()).map_or_else(|problems| problems.summary(), |plan| format!("{plan:?}"))
}

#[test]
fn a_page_shows_every_problem_with_place_source_and_hint() {
    let page = rendered(
        "\
allowedSource:
  - oci://ghcr.io/my-org
plugins:
  - package: 42
    integrity: sha512-x
    integrity: sha512-y
    disabled: yes
",
    );
    assert_eq!(
        page,
        "\
error: unknown key `allowedSource`
 --> dynamic-plugins.yaml:1:1
  |
1 | allowedSource:
  | ^^^^^^^^^^^^^
help: did you mean `allowedSources`?

error: expected a string for `package`, found a number
 --> dynamic-plugins.yaml:4:14
  |
4 |   - package: 42
  |              ^^
help: write it in quotes

error: duplicate key `integrity`
 --> dynamic-plugins.yaml:6:5
  |
6 |     integrity…
  |     ^^^^^^^^^
help: it is set already in line 5; keep one

error: expected a boolean for `disabled`, found a string
 --> dynamic-plugins.yaml:7:15
  |
7 |     disabled: yes
  |               ^^^
help: write `true`; YAML 1.2 reads `yes` as text

"
    );
}

#[test]
fn the_gutter_is_as_wide_as_the_line_number() {
    let page = rendered(&format!("{}pluginz: []\n", "#\n".repeat(99)));
    assert!(page.contains("\n   --> dynamic-plugins.yaml:100:1\n    |\n100 | pluginz: []\n    | ^^^^^^^\n"), "{page}");
}

#[test]
fn each_mistake_is_named_where_it_stands() {
    for (name, text, expected) in MISTAKES {
        assert_eq!(summary(text), *expected, "{name}");
    }
}

#[test]
fn a_source_list_that_would_allow_everything_is_a_problem() {
    for entry in [
        "''",
        "'oci://'",
        "'https:'",
        "'https://u:p@a.example.com/'",
        "'oci://*.example.com'",
        "\"oci://a.example.com/x\\n\"",
    ] {
        let problems = config::parse(format!("allowedSources: [{entry}]\n").as_bytes()).unwrap_err();
        assert_eq!((problems.count(), problems.reason()), (1, "config_invalid"), "{entry}");
        assert_eq!(problems.iter().next().unwrap().position, config::Position { line: 1, column: 18 }, "{entry}");
    }
}

#[test]
fn bytes_that_are_no_text_are_a_problem() {
    assert_eq!(summary([0xff, 0xfe, 0]), "line 1, column 1: not valid UTF-8");
    assert_eq!(summary(b"plugins: []\r\n# \xc3\xa9\xc3"), "line 2, column 4: not valid UTF-8");
}

#[test]
fn size_is_bounded() {
    let text = format!("plugins: []\n#{}", "x".repeat(config::MAX_CONFIG_BYTES - 13));
    assert_eq!(text.len(), config::MAX_CONFIG_BYTES);
    assert!(config::parse(text.as_bytes()).is_ok());
    assert_eq!(summary(text + "x"), "line 1, column 1: expected at most 4194304 bytes, found 4194305");
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| format!("x-a: {}{}\n", "[".repeat(depth - 1), "]".repeat(depth - 1));
    assert!(config::parse(nested(config::MAX_DEPTH).as_bytes()).is_ok());
    assert_eq!(summary(nested(config::MAX_DEPTH + 1)), "line 1, column 69: nested deeper than 64 levels");
}

#[test]
fn the_number_of_values_is_bounded() {
    // The root mapping, its key and the list are values, too.
    let listed = |items: usize| format!("x-a:\n{}", "- a\n".repeat(items));
    assert!(config::parse(listed(config::MAX_NODES - 3).as_bytes()).is_ok());
    assert!(summary(listed(config::MAX_NODES - 2)).contains("more than 200000 values"));
}

#[test]
fn many_problems_are_counted_not_shown() {
    let keys: Vec<_> = (0..60).map(|n| format!("key{n}: 1")).collect();
    let problems = config::parse(keys.join("\n").as_bytes()).unwrap_err();
    assert_eq!((problems.iter().count(), problems.count()), (config::MAX_PROBLEMS, 60));
    assert!(problems.render("f").ends_with("error: and 10 more problems\n"));
    assert!(problems.summary().ends_with("; and 59 more problems"), "{}", problems.summary());
}

#[test]
fn excerpts_keep_secrets() {
    let page = rendered(
        "\
plugins:
  - package: https://bob:s3cret@a.example.com/x.tgz?X-Amz-Signature=s3cret
    package: 1
    pakage: https://bob:s3cret@a.example.com/x.tgz?sig=s3cret
    pluginConfig:
      password: s3cret
      password: s3cret
      db: {password: s3cret, password: s3cret}
      a: !vault s3cret
      b: { __proto__: s3cret }
",
    );
    assert!(!page.contains("s3cret"), "{page}");
    assert!(page.contains("7 |       password…\n  |       ^^^^^^^^\n"), "{page}");
    assert!(page.contains("8 | …password…\n  |  ^^^^^^^^\n"), "{page}");
    assert!(page.contains("9 |       a: !…\n  |          ^\n"), "{page}");

    let syntax = rendered("plugins:\n  - pluginConfig:\n      a: s3cret: s3cret\n");
    assert!(syntax.contains("not valid YAML") && !syntax.contains("s3cret"), "{syntax}");
    let number = rendered("plugins:\n  - pluginConfig:\n      a: 0x5ec3e75ec3e75ec3e75ec3e75ec3e75ec3e7\n");
    assert!(number.contains("3 |       a: …\n  |          ^\n") && !number.contains("5ec3e7"), "{number}");
    let userinfo = rendered("allowedSources: [\"https://u:s3cret@a.example.com/\"]\n");
    assert!(userinfo.contains("1 | allowedSources: [\"https://…@a.example.com/\"]"), "{userinfo}");
    assert!(!userinfo.contains("s3cret"), "{userinfo}");
}

#[test]
fn miswritten_plugin_config_keeps_its_secrets() {
    for lines in [
        "    pluginConfg: {token: s3cret}",
        "    pluginConfg: s3cret",
        "    apiToken: s3cret",
        "apiToken: s3cret",
        "    {apiToken:s3cret: x}",
        "    pluginConfig: s3cret",
        "    pluginConfig: [s3cret, x]",
        "    pluginConfig: |\n      s3cret",
        "    pluginConfig: !s3cret x",
        "    pluginConfig: {password: !s3cret}",
        "    pluginConfig: *s3cret",
        "    pluginconfig:\n      token: s3cret\n      token: s3cret",
        "    pluginconfig: {token: s3cret, token: s3cret}",
        "    token: s3cret\n    token: s3cret",
        "    apiToken: s3cret: x",
        "      apiToken: s3cret",
        "    apiToken: {a: s3cret",
        "    apiToken: \"s3cret",
        "    apiToken: [s3cret, *a]",
        "    *a : s3cret",
        "  - s3cret",
        "  - [s3cret]",
        "  - {disabled: no, pluginConfig: {token: s3cret}}",
        "  - {package: 42, apiToken: s3cret}",
        "  - {package: x, apiToken:s3cret}",
        "  - {package: x, apiToken=s3cret}",
        "  - {pluginConfig: {token: s3cret}, integrity: 42}",
        "  - package: {token: s3cret}",
        "  - package: [s3cret]",
        "  - disabled: {token: s3cret}",
        "--- {apiToken: s3cret}",
    ] {
        let problems = config::parse(format!("x-a: &a 1\nplugins:\n  - package: x\n{lines}\n").as_bytes()).unwrap_err();
        for shown in [problems.render("file"), problems.summary()] {
            assert!(!shown.contains("s3c"), "{lines}: {shown}");
        }
        for problem in problems.iter() {
            assert!(!problem.source_line().unwrap_or_default().contains("s3"), "{lines}: {problem:?}");
        }
    }
    assert!(!rendered("s3cret\n").contains("s3"));
}

#[test]
fn rejected_entry_is_shown_without_its_plugin_config() {
    for entry in [
        "{package: 'http://a.example.com/x', pluginConfig: {token: s3cret}}",
        "{pluginConfig: {token: s3cret}, package: 'http://a.example.com/x'}",
        "{pluginConfig: {token: s3cret}, package: 'oci://a.example.com/x:1'}",
        "{pluginConfig: {token: s3cret}, package: 'oci://a.example.com/x:1', integrity: sha1-x}",
    ] {
        let file = format!("plugins:\n- {entry}\n");
        let plan = config::parse(file.as_bytes()).unwrap();
        let config::Entry { place, request, .. } = plan.entries.into_iter().next().unwrap();
        let config::Request::Wanted(wanted) = request else { panic!("{entry}") };
        let error = wanted.admit(&plan.policy).unwrap_err();
        let page = place.problem(&error, file.as_bytes()).render("file");
        assert!(!page.contains("s3cret"), "{page}");
    }
}

#[test]
fn excerpts_are_narrow_and_harmless() {
    let long = rendered(&format!("plugins: {}\n", "a".repeat(300)));
    assert!(long.lines().all(|line| line.chars().count() < 200), "{long}");
    assert!(long.contains("1 | plugins: aaa"), "{long}");
    let indented = rendered(&format!("{}pluginz: x\n", " ".repeat(300)));
    assert!(indented.lines().all(|line| line.chars().count() < 200), "{indented}");

    let longer = rendered(&format!("{{x-a: {}, pluginz: []}}\n", "a".repeat(5000)));
    assert!(longer.starts_with("error: unknown key `pluginz`\n --> dynamic-plugins.yaml:1:5009\nhelp: "), "{longer}");

    let bidi = rendered("plug\u{202e}inz: 1\t# x\n");
    assert!(bidi.contains("error: unknown key `plug\\u{202e}inz`\n"), "{bidi}");
    assert!(bidi.contains("1 | plug\\u{202e}inz…\n  | ^^^^^^^^^^^^^^^\n"), "{bidi}");
}

#[test]
fn columns_count_characters_and_lines_end_in_any_way() {
    assert_eq!(
        summary("x-\u{e9}: [\u{1f600}, *a]\n"),
        "line 1, column 10: not valid YAML: while parsing node, found unknown anchor"
    );
    for end in ["\n", "\r\n", "\r"] {
        let page = rendered(&format!("plugins: []{end}# x{end}pluginz: []{end}"));
        assert!(page.contains("3 | pluginz: []\n  | ^^^^^^^\n"), "{end:?}: {page}");
    }
    assert!(rendered("\u{feff}pluginz: []\n").contains(":1:1\n  |\n1 | pluginz: []\n  | ^^^^^^^\n"));
}

#[test]
fn hints_name_what_was_meant() {
    for (text, hint) in [
        ("PLUGINS: []\n", "did you mean `plugins`?"),
        ("allowed_sources: []\n", "did you mean `allowedSources`?"),
        ("dynamicplugins: {}\n", "did you mean `dynamicPlugins`?"),
        (
            "includes: []\n",
            "known here: continueOnError, allowedSources, plugins, dynamicPlugins; keys that start with `x-` are ignored",
        ),
        ("allowedSources: []\nplugins: oci://x\n", "put `- ` before it, on a line of its own"),
        ("allowedSources: [ghcr.io/my-org]\n", "did you mean `oci://ghcr.io/my-org`?"),
        ("continueOnError: yes\n", "write `true`; YAML 1.2 reads `yes` as text"),
        ("continueOnError: Off\n", "write `false`; YAML 1.2 reads `Off` as text"),
        ("continueOnError: 'true'\n", "write true, without quotes"),
        ("continueOnError: maybe\n", "write true or false"),
    ] {
        assert_eq!(config::parse(text.as_bytes()).unwrap_err().hint(), Some(hint), "{text}");
    }
}
