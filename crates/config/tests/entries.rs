//! What becomes of the entries of a file that is right.

#[path = "tables/outcomes.rs"]
mod outcomes;

use config::{Form, OnReject, Plan, Request};
use outcomes::{GOOD, in_file};

fn plan(text: &str) -> Plan {
    config::parse(text.as_bytes()).unwrap_or_else(|problems| panic!("{}", problems.render("file")))
}

/// The reason code of each entry, `admitted` or `disabled`.
fn outcomes(text: &str) -> Vec<&'static str> {
    let plan = plan(text);
    plan.entries
        .into_iter()
        .map(|entry| match entry.request {
            Request::Disabled => "disabled",
            Request::Wanted(wanted) => wanted.admit(&plan.policy).map_or_else(|error| error.reason(), |_| "admitted"),
        })
        .collect()
}

fn outcome(entry: &str) -> &'static str {
    outcomes(&in_file(entry))[0]
}

#[test]
fn nothing_asked_for_is_a_plan() {
    for text in [
        "",
        "# only a comment\n",
        "---\n",
        "{}\n",
        "null\n",
        "plugins:\n",
        "plugins: []\n",
        "x-mine: {a: 1}\n",
        "continueOnError: ~\n",
    ] {
        let plan = plan(text);
        assert!(plan.entries.is_empty() && plan.policy.is_permissive(), "{text}");
        assert_eq!((plan.on_reject, plan.form), (OnReject::Abort, Form::DynamicPlugins), "{text}");
    }
}

#[test]
fn checks_come_in_the_order_of_the_reason_codes() {
    for (entry, reason) in outcomes::entries() {
        assert_eq!(outcome(&entry), reason, "{entry}");
    }
}

#[test]
fn the_same_source_twice_rejects_the_second_and_names_the_first() {
    let entry = |package: &str, more: &str| format!("- {{package: '{package}', integrity: {GOOD}{more}}}\n");
    let (x, y) = ("oci://reg.example.com/x:1", "oci://reg.example.com/y:1");
    let text = |rows: &[String]| format!("plugins:\n{}", rows.concat());

    let twice = text(&[entry(x, ""), entry(y, ""), entry(x, "")]);
    assert_eq!(outcomes(&twice), ["admitted", "admitted", "duplicate_plugin"]);
    let Some(Request::Wanted(third)) = plan(&twice).entries.pop().map(|entry| entry.request) else { panic!() };
    let error = third.admit(&source::SourcePolicy::permissive()).unwrap_err();
    assert_eq!(error.to_string(), "the same source is listed in line 2 already");

    assert_eq!(outcomes(&text(&[entry(x, ", disabled: true"), entry(x, "")])), ["disabled", "admitted"]);
    assert_eq!(outcomes(&text(&[entry(x, ""), entry(x, ", disabled: true")])), ["admitted", "disabled"]);
}

#[test]
fn the_package_of_an_entry_is_fit_for_a_record() {
    let text = format!(
        "plugins:\n\
         - {{package: 'https://bob:s3cret@a.example.com/x.tgz', integrity: {GOOD}}}\n\
         - {{package: 'https://a.example.com/x.tgz?sig=s3cret', integrity: {GOOD}}}\n\
         - {{package: 'oci://ghcr.io/a/b:1', integrity: {GOOD}}}\n\
         - {{integrity: {GOOD}}}\n"
    );
    let shown: Vec<_> =
        plan(&text).entries.into_iter().map(|entry| (entry.package, entry.place.position().line)).collect();
    assert!(shown.iter().all(|(package, _)| !package.contains("s3cret")), "{shown:?}");
    assert_eq!(shown[2], ("oci://ghcr.io/a/b:1".to_owned(), 4));
    assert_eq!(shown[3], (String::new(), 5));
}

#[test]
fn every_error_says_whose_move_it_is_and_what_to_do() {
    let text = "plugins:\n- {}\n- {package: 'oci://reg.example.com/x:1'}\n";
    for entry in plan(text).entries {
        let Request::Wanted(wanted) = entry.request else { panic!() };
        let error = wanted.admit(&source::SourcePolicy::permissive()).unwrap_err();
        assert_eq!(error.blame(), integrity::Blame::Operator);
        assert!(error.hint().is_some_and(|hint| hint.starts_with("add `")), "{error}");
    }
}

#[test]
fn strings_are_what_yaml_1_2_says() {
    for (written, package) in [
        ("'oci://ghcr.io/a/b:1'", "oci://ghcr.io/a/b:1"),
        ("\"oci://ghcr.io/a/b:1\"", "oci://ghcr.io/a/b:1"),
        ("!!str oci://ghcr.io/a/b:1", "oci://ghcr.io/a/b:1"),
        ("! 1", "1"),
        ("&anchor oci://ghcr.io/a/b:1", "oci://ghcr.io/a/b:1"),
        (">-\n    oci://ghcr.io/a/b:1", "oci://ghcr.io/a/b:1"),
        ("yes", "yes"),
    ] {
        assert_eq!(plan(&format!("plugins:\n- package: {written}\n")).entries[0].package, package, "{written}");
    }
}

#[test]
fn continuing_takes_two() {
    use OnReject::{Abort, Continue};
    for (a, b, both) in
        [(Abort, Abort, Abort), (Abort, Continue, Abort), (Continue, Abort, Abort), (Continue, Continue, Continue)]
    {
        assert_eq!(a.stricter(b), both);
    }
    assert_eq!(plan("continueOnError: true\n").on_reject, Continue);
}
