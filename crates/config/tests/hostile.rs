//! Files that try to cost time or memory, or to break the reader.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::time::{Duration, Instant};

use proptest::prelude::*;

fn bounded(text: &str) -> config::Problems {
    let start = Instant::now();
    let problems = config::parse(text.as_bytes()).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    problems
}

#[test]
fn a_hundred_thousand_brackets_end_early() {
    for open in ["[", "{a: ", "- ", "? "] {
        let problems = bounded(&open.repeat(100_000));
        assert_eq!(problems.count(), 1, "{open}: {problems}");
    }
}

#[test]
fn a_billion_laughs_are_not_laughed() {
    let mut text = vec!["a0: &a0 [x, x, x, x, x, x, x, x, x]".to_owned()];
    text.extend(
        (1..=9).map(|level| format!("a{level}: &a{level} [{}]", vec![format!("*a{}", level - 1); 9].join(", "))),
    );
    let text = text.join("\n");
    let problems = bounded(&text);
    assert_eq!(problems.count(), 10 + 81, "{problems}");
}

#[test]
fn a_large_file_of_any_one_thing_is_read_in_bounded_time() {
    let size = config::MAX_CONFIG_BYTES / 4;
    for unit in
        ["a: b\n", "- a\n", "[a,", "a,", "'", "\"", "? a\n", "&a ", "!!a ", "*a ", "|\n", "#\n", "\t", "k: [\n", "é"]
    {
        for start in ["", "[", "{", "x-a: ", "- |\n "] {
            let text = format!("{start}{}", unit.repeat((size - start.len()) / unit.len()));
            let begun = Instant::now();
            drop(config::parse(text.as_bytes()));
            drop(config::rhdh::read(text.as_bytes(), "file"));
            assert!(begun.elapsed() < Duration::from_secs(20), "{start:?} {unit:?}: {:?}", begun.elapsed());
        }
    }
}

#[test]
fn reading_ends_after_ten_thousand_problems() {
    for (number, counted) in [(9_999, 9_999), (10_000, 10_000), (10_001, 10_002), (100_000, 10_002)] {
        let text = format!("x: &a 1\nplugins:\n{}", "- *a\n".repeat(number));
        assert_eq!(bounded(&text).count(), counted + usize::from(number <= 10_000), "{number}");
    }
}

/// The parser would keep all of it, at over a hundred bytes a character.
#[test]
fn brackets_where_a_key_may_stand_are_read_up_to_a_limit() {
    let filled = |start: &str, end: &str, length: usize| {
        let items = "a,".repeat((length - start.len() - end.len()) / 2);
        let space = " ".repeat(length - start.len() - end.len() - items.len());
        format!("{start}{items}{space}{end}")
    };
    let said = |text: &str| config::parse(text.as_bytes()).err().map(|problems| problems.summary()).unwrap_or_default();
    for (start, end, place) in [
        ("[", "]", "line 1, column 1:"),
        ("{", "}", "line 1, column 1:"),
        ("# é\n---\n[", "]", "line 3, column 1:"),
        ("- [", "]", "line 1, column 3:"),
        ("- &a !t [", "]", "line 1, column 9:"),
        ("x-a: [[", "]]", "line 1, column 7:"),
        ("x-a: {b: c, [", "]}", "line 1, column 13:"),
        ("? [", "]", "line 1, column 3:"),
        ("x-a: b\n? - {", "}", "line 2, column 5:"),
    ] {
        for (length, is_read) in [
            (config::MAX_LOOKAHEAD - 16, true),
            (start.len() + config::MAX_LOOKAHEAD + 16, false),
            (config::MAX_CONFIG_BYTES, false),
        ] {
            let said = said(&filled(start, end, length));
            assert_eq!(!said.contains("brackets of at most"), is_read, "{start}, {length}: {said}");
            assert!(is_read || said.starts_with(place), "{start}: {said}");
        }
    }
}

#[test]
fn long_texts_and_brackets_that_are_no_keys_are_read_whole() {
    let long = "[a, {b: c}], ".repeat(config::MAX_LOOKAHEAD / 4);
    for value in [
        format!("\"{long}\""),
        format!("'{long}'"),
        format!("|\n  {long}\n"),
        format!("[{}]", "a, ".repeat(config::MAX_LOOKAHEAD / 4)),
        format!("[{}]", "[a, b], ".repeat(config::MAX_LOOKAHEAD / 16)),
    ] {
        let text = format!("{}\nplugins: []\nx-a: {value}\n", "# [\n".repeat(config::MAX_LOOKAHEAD));
        let problems = config::parse(text.as_bytes()).err().map(|problems| problems.summary());
        assert_eq!(problems, None, "{value:.20}");
    }
}

#[test]
fn a_thousand_plugins_are_a_plan() {
    let integrity = "sha512-m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==";
    let entry = |n| format!("- package: oci://a.example.com/p{n}:1\n  integrity: {integrity}");
    let text = format!("plugins:\n{}\n", (0..1000).map(entry).collect::<Vec<_>>().join("\n"));
    assert_eq!(config::parse(text.as_bytes()).unwrap().entries.len(), 1000);
}

/// Pieces that YAML gives a meaning, and those of the schema.
fn yamlish() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "plugins",
        "package",
        "integrity",
        "pluginConfig",
        "allowedSources",
        "dynamicPlugins",
        "installer",
        ": ",
        ":",
        "- ",
        "-",
        "\n",
        "\n  ",
        "\n    ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "&a ",
        "*a",
        "!t ",
        "!!str ",
        "|",
        ">",
        "'",
        "\"",
        "#",
        " ",
        "? ",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "~",
        "true",
        "0x1F",
        "1.5",
        "<<",
        "\t",
        "\r",
        "\u{feff}",
        "é",
        "\u{1f600}",
        "\\",
        "oci://a:b@c/d",
        "__proto__",
        "@",
        "`",
        "|2-\n",
        "\u{85}",
        "\u{2028}",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(config::parse(&bytes).map_err(|problems| problems.render("file")));
        drop(config::rhdh::read(&bytes, "file").map_err(|problems| problems.render("")));
    }

    #[test]
    fn no_text_breaks_the_reader_or_leaves_a_problem_without_a_place(text in yamlish()) {
        let rhdh = config::rhdh::read(text.as_bytes(), "file");
        if let Ok(Some(file)) = &rhdh {
            for warning in &file.warnings {
                prop_assert!(!warning.render().contains(|c: char| c.is_control() && c != '\n'));
            }
        }
        for problems in [config::parse(text.as_bytes()).err(), rhdh.err()].into_iter().flatten() {
            prop_assert!(problems.count() > 0);
            prop_assert!(!problems.summary().contains(char::is_control));
            for problem in problems.iter() {
                prop_assert!(problem.position.line > 0 && problem.position.column > 0 && problem.length > 0);
            }
            prop_assert!(!problems.render("file").contains(|c: char| c.is_control() && c != '\n'));
        }
    }
}
