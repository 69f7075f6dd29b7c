//! The files: which are needed, which may say what, and how all that is wrong is told.

use config::rhdh::{MAX_INCLUDES, MAX_TOTAL_BYTES};
use config::{Dialect, EntryError, Form, OnReject};

use super::*;

#[test]
fn included_files_are_asked_for_in_their_order() {
    let mut planning = begin("includes: [b.yaml, a.yaml, b.yaml]");
    let mut asked = Vec::new();
    while let Some(path) = planning.needs() {
        asked.push(path.to_owned());
        planning.supply(Include::read("x", Some(b"")));
    }
    assert_eq!(asked, ["b.yaml", "a.yaml", "b.yaml"]);
    planning.supply(Include::read("y", Some(b"plugins: 1")));
    assert!(planning.finish().is_ok());
}

#[test]
fn an_empty_main_file_is_told_from_one_that_asks_for_nothing() {
    for (text, is_empty) in [
        ("", true),
        (" \n\t\r\n", true),
        ("# nothing\n", true),
        ("---\n", true),
        ("# nothing today\n---\n", true),
        ("{}", false),
        ("plugins:", false),
        ("# x\nplugins:\n", false),
        ("1", false),
    ] {
        assert_eq!(begin(text).is_empty(), is_empty, "{text}");
    }
    let planned = begin("").finish().unwrap();
    assert!(planned.plan.entries.is_empty() && planned.notes.is_empty() && planned.warnings.is_empty());
}

#[test]
fn the_plan_is_one_of_this_dialect() {
    let plan = planned("", "- {package: './x'}").plan;
    assert_eq!((plan.dialect, plan.on_reject, plan.form), (Dialect::Rhdh, OnReject::Abort, Form::DynamicPlugins));
    assert!(plan.policy.is_permissive());
}

#[test]
fn an_included_file_that_is_missing_is_told() {
    let planned =
        plan_of(begin("includes:\n- a.yaml\n- b.yaml\n"), &[("b.yaml", "plugins: [{package: './x'}]")]).unwrap();
    assert_eq!(warnings(&planned), ["dynamic-plugins.yaml:2:3 include file a.yaml not found, skipping"]);
    assert_eq!(
        notes(&planned),
        ["======= Including plugins from b.yaml", "======= Adding new dynamic plugin configuration for ./x"]
    );
}

#[test]
fn warnings_are_told_beside_problems() {
    let included = [("a.yaml", "plugins: [{package: './x', colour: red}, {package: '!'}]")];
    let problems = plan_of(begin("includes: [a.yaml, b.yaml]\nplugins: 1"), &included).unwrap_err();
    let told: Vec<_> = problems.warnings().iter().map(|warning| warning.as_problem().message.clone()).collect();
    assert_eq!(told, ["unknown key `colour`", "include file b.yaml not found, skipping"]);
}

#[test]
fn an_included_file_includes_nothing_and_allows_nothing() {
    let planned = plan_of(begin("includes: [a.yaml]"), &[("a.yaml", "includes: [b.yaml]")]).unwrap();
    assert_eq!(warnings(&planned), ["a.yaml:1:12 `includes` of an included file is ignored"]);
    let problems = plan_of(begin("includes: [a.yaml]"), &[("a.yaml", "allowedSources: []")]).unwrap_err();
    assert_eq!(complaints(&problems), ["a.yaml:1:17 `allowedSources` stands in an included file"]);
}

#[test]
fn what_the_main_file_allows_holds_for_every_entry() {
    let main = "includes: [a.yaml]\nallowedSources: ['npm:@s', 'oci://quay.io/o']\nplugins: [{package: 'oci://evil.example.com/x:1'}]";
    let included = [("a.yaml", "plugins: [{package: 'oci://quay.io/o/y:1'}, {package: './z'}]")];
    let planned = plan_of(begin(main), &included).unwrap();
    let Plan { entries, policy, .. } = planned.plan;
    let verdicts: Vec<_> = entries
        .into_iter()
        .filter_map(|entry| match entry.request {
            Request::Wanted(wanted) => Some((wanted.admit(&policy), entry.place)),
            Request::Disabled => None,
        })
        .map(|(verdict, place)| match verdict {
            Ok(admitted) => admitted.source.subject().to_string(),
            Err(error) => {
                assert!(matches!(error, EntryError::NotAllowed(_)));
                let problem = place.problem(&error, b"of no use");
                let line = problem.source_line().unwrap_or_default().to_owned();
                format!("{}:{} {line}", problem.file.as_deref().unwrap_or_default(), problem.position)
            }
        })
        .collect();
    assert_eq!(
        verdicts,
        ["oci://quay.io/o/y:1", "a.yaml:1:55 …'./z'}]", "dynamic-plugins.yaml:3:21 …'oci://evil.example.com/x:1'}]"]
    );
}

#[test]
fn everything_that_is_wrong_is_told_in_one_pass() {
    let main = "\
includes: [a.yaml, b.yaml]
plugins:
- {package: 'oci://quay.io/o/x:{{inherit}}', enabled: maybe}
- {package: 'http://h.example.com/x.tgz'}
- {package: 'n@1'}
- {package: './d'}
- {package: './d'}
";
    let included = [("a.yaml", "plugins: ["), ("b.yaml", "plugins: [{package: 'oci://quay.io/o/y'}]")];
    let problems = plan_of(begin(main), &included).unwrap_err();
    let complaints = complaints(&problems);
    let places: Vec<_> = complaints.iter().map(|complaint| complaint.split(' ').next().unwrap()).collect();
    assert_eq!(
        places,
        [
            "dynamic-plugins.yaml:3:55",
            "a.yaml:2:1",
            "b.yaml:1:21",
            "dynamic-plugins.yaml:4:13",
            "dynamic-plugins.yaml:5:3",
            "dynamic-plugins.yaml:7:13"
        ],
        "{complaints:#?}"
    );
}

#[test]
fn what_may_be_in_a_file_that_cannot_be_read_is_not_missed() {
    let main = "includes: [a.yaml]\nplugins:\n- {package: 'oci://quay.io/o/x:{{inherit}}'}\n- {package: 'ref://x'}\n";
    let problems = plan_of(begin(main), &[("a.yaml", "plugins: {")]).unwrap_err();
    assert_eq!(problems.count(), 1, "{}", problems.render(""));
}

#[test]
fn as_many_files_are_included_as_the_limit_says() {
    let main = |count: usize| format!("includes: [{}]", vec!["a.yaml"; count].join(", "));
    let included = [("a.yaml", "")];
    assert!(plan_of(begin(&main(MAX_INCLUDES)), &included).is_ok());
    let mut planning = begin(&main(MAX_INCLUDES + 1));
    for _ in 0..MAX_INCLUDES {
        planning.supply(Include::read("a.yaml", Some(b"")));
    }
    assert_eq!(planning.needs(), None);
    let problems = planning.finish().unwrap_err();
    assert_eq!(problems.iter().next().unwrap().message, "expected at most 64 included files, found 65");
}

#[test]
fn all_files_together_are_as_large_as_the_limit_says() {
    let main = format!("includes: [{}]\n", ["a", "b", "c", "d", "e", "f"].join(", "));
    let large = format!("#{}\n", "x".repeat(MAX_TOTAL_BYTES / 4 - 2));
    let rest = |more: usize| format!("#{}", "x".repeat(MAX_TOTAL_BYTES / 4 - main.len() + more - 1));
    for (more, expected) in [(0, None), (1, Some(("d", "dynamic-plugins.yaml:1:21")))] {
        let mut planning = begin(&main);
        for name in ["a", "b", "c"] {
            planning.supply(Include::read(name, Some(large.as_bytes())));
        }
        assert_eq!(planning.room(), MAX_TOTAL_BYTES / 4 - main.len());
        planning.supply(Include::read("d", Some(rest(more).as_bytes())));
        planning.supply(Include::read("e", Some(b"")));
        planning.supply(Include::read("f", None));
        assert_eq!(planning.policy().is_some(), expected.is_none());
        let problems = planning.finish().err();
        assert_eq!(problems.as_ref().map(Problems::count), expected.map(|_| 1));
        let rendered = problems.map_or(String::new(), |problems| problems.render(""));
        let (name, place) = expected.unwrap_or_default();
        assert!(rendered.contains(place) && rendered.contains(name), "{rendered}");
        assert_eq!(rendered.contains("expected at most 16777216 bytes in all files together"), expected.is_some());
    }
}

#[test]
fn git_is_named_by_the_file_that_has_an_entry_of_it() {
    for (entries, expected) in [
        ("plugins: [{package: 'github:u/r#v1', enabled: false}]", true),
        ("plugins: [{package: 'oci://quay.io/o/x:1!p'}, {package: 'ref://github:u/r'}]", false),
        ("plugins: {", false),
    ] {
        assert_eq!(begin(entries).names_git(), expected, "{entries}");
        assert_eq!(Include::read("a", Some(entries.as_bytes())).names_git(), expected, "{entries}");
    }
    assert!(!Include::read("a", None).names_git());
}

#[test]
fn many_problems_and_warnings_are_counted() {
    let many = |rest: &str| {
        let entries: Vec<_> = (0..20_000).map(|at| format!("- {{package: 'oci://quay.io/o/x{at}'{rest}}}")).collect();
        plan("", &entries.join("\n"))
    };
    let problems = many("").unwrap_err();
    assert_eq!((problems.count(), problems.iter().count()), (20_000, config::MAX_PROBLEMS));
    let planned = many(", enabled: false").unwrap();
    assert_eq!(planned.warnings.len(), config::MAX_PROBLEMS + 1);
    assert!(warnings(&planned).pop().unwrap().ends_with("and 19950 more warnings"));
}

#[test]
fn versions_that_are_replaced_are_told() {
    let planned = planned(
        &format!(
            "- {{package: 'oci://quay.io/o/x:1!p'}}\n- {{package: 'n@1', integrity: {SRI}}}\n- {{package: 'oci://quay.io/o/y:1!p'}}"
        ),
        "- {package: 'oci://quay.io/o/x:2!p'}\n- {package: 'n@2'}\n- {package: 'oci://quay.io/o/y:1!p', enabled: false}",
    );
    assert_eq!(
        notes(&planned),
        [
            "======= Including plugins from default.yaml",
            "======= Adding new dynamic plugin configuration for version `1` of oci://quay.io/o/x:!p",
            "======= Adding new dynamic plugin configuration for n",
            "======= Adding new dynamic plugin configuration for version `1` of oci://quay.io/o/y:!p",
            "======= Overriding dynamic plugin configuration oci://quay.io/o/x:!p",
            "INFO: Overriding version for oci://quay.io/o/x:!p from `1` to `2`",
            "======= Overriding dynamic plugin configuration n",
            "======= Overriding dynamic plugin configuration oci://quay.io/o/y:!p",
        ]
    );
}

#[test]
fn no_note_shows_a_secret() {
    let planned = planned(
        &format!("- {{package: 'https://h.example.com/x.tgz?token=s3cret', integrity: {SRI}}}"),
        "- {package: 'https://h.example.com/x.tgz?token=s3cret', disabled: true}",
    );
    assert!(!notes(&planned).join("\n").contains("s3cret"), "{:#?}", notes(&planned));
    let problems = plan("", "- {package: 'https://bob:s3cret@h.example.com/x.tgz'}\n- {package: 'ref://bob:s3cret@x'}");
    assert!(!problems.unwrap_err().render("").contains("s3cret"));
}

#[test]
fn a_note_is_one_line() {
    let main = "includes: ['a.yaml']\nplugins: [{package: \"ref://a\\nb\", disabled: true}]";
    let mut planning = begin(main);
    planning.supply(Include::read("a\n======= b", Some(b"")));
    let rendered = planning.finish().unwrap_err().render("");
    assert!(rendered.contains("`ref://a\\nb`"), "{rendered}");
    let mut planning = begin("includes: ['a.yaml']");
    planning.supply(Include::read("a\n======= b", Some(b"")));
    assert_eq!(notes(&planning.finish().unwrap()), ["======= Including plugins from a\\n======= b"]);
}

#[test]
fn many_plugins_of_one_name_cost_little_each() {
    let entries = |version: &str| {
        let entries: Vec<_> =
            (0..20_000).map(|at| format!("- {{package: 'oci://quay.io/o/x:{version}!p{at}'}}")).collect();
        entries.join("\n")
    };
    let started = std::time::Instant::now();
    assert_eq!(planned(&entries("1"), &entries("{{inherit}}")).plan.entries.len(), 20_000);
    let without = format!("{}\n- {{package: 'oci://quay.io/o/x:{{{{inherit}}}}', enabled: false}}", entries("1"));
    assert_eq!(planned(&entries("1"), &without).plan.entries.len(), 20_001);
    assert!(started.elapsed() < std::time::Duration::from_mins(1));
}
