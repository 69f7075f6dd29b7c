//! A `dynamic-plugins.yaml`: a plan or problems with their places, and an app-config that reads as it was meant.

use config::rhdh::{Include, MissingIntegrity, Planning};
use config::{AppConfig, Fragment, MAX_PROBLEMS, Plan, Problems, Request};
use source::is_invisible;

/// Words of the file.
pub const WORDS: &[&str] = &[
    "plugins:\n",
    "- package: ",
    "  integrity: sha512-",
    "  disabled: true\n",
    "  pluginConfig:\n",
    "allowedSources:",
    "includes: [a]\n",
    "  enabled: false\n",
    ":{{inherit}}",
    "ref://",
    "continueOnError: ",
    "dynamicPlugins:",
    "enabled: ",
    "rootDirectory: ",
    "oci://",
    "https://",
    "x-",
    "&a",
    "*a",
    "<<: *a",
    "!!str",
    "!!binary",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "|+\n",
    ">-\n",
    "? ",
    "\u{feff}",
    "\r\n",
    "\u{85}",
    "\u{2028}",
    "\"\\x00\"",
    "__proto__",
    "[]",
    "{}",
    "0x1F",
    "0o17",
    ".inf",
    "1e400",
    "12:30:45",
    "~",
];

/// Parses, looks at everything that comes out, and parses again what was made of it.
pub fn target(bytes: &[u8]) {
    rhdh(bytes);
    rhdh_plan(bytes);
    match config::parse(bytes) {
        Ok(plan) => look_at(plan, bytes),
        Err(problems) => {
            check(&problems, bytes);
            assert_eq!(config::parse(bytes).map(drop).map_err(|again| again.render("f")), Err(problems.render("f")));
        }
    }
}

/// A file of each form, right and wrong ones.
pub fn seeds() -> Vec<Vec<u8>> {
    let pin = format!("sha512-{}==", "A".repeat(86));
    let entry = format!("- package: oci://ghcr.io/my-org/a:1\n  integrity: {pin}\n");
    let config =
        "  pluginConfig:\n    a: {b: [1, 2.5, null, yes, 'x', \"\\n\"], c: 0x1F}\n    t: |\n      x\n       y\n";
    [
        String::new(),
        format!("continueOnError: true\nallowedSources:\n  - oci://ghcr.io/my-org\nplugins:\n{entry}{config}"),
        format!("allowedSources: []\nplugins:\n{entry}{entry}- package: https://a.example.com/x.tgz?s3cret\n"),
        format!("dynamicPlugins:\n  enabled: true\n  rootDirectory: /r\n  plugins:\n  - {{package: x, integrity: '{pin}'}}\n"),
        "plugins:\n- package: &a oci://x/y:1\n  integrity: *a\n".to_owned(),
        "allowedSource: [oci://ghcr.io]\nplugins: {}\n---\nx\n".to_owned(),
        "\u{feff}plugins:\r\n- package: 1\r\n  package: 2\r\n\tintegrity: x\r\n".to_owned(),
        "x-a: !!binary aGk=\n? [a, b]\n: c\nplugins: [null, ~, 12:30]\n".to_owned(),
        "plugins: [[[[[[[[{a: [{b: ".to_owned(),
        format!("x-a: &a {{disabled: yes, <<: {{enabled: ~}}}}\nincludes: [a.yaml]\nplugins:\n- {{<<: [*a, {{a: b}}], package: './a'}}\n{entry}{config}"),
        "x-a: &a [&b {c: *a}, *b]\nplugins:\n- package: a\n  pullPolicy: always\n  pluginConfig: &c {__proto__: *b}\n- *c\n".to_owned(),
    ]
    .map(String::into_bytes)
    .into()
}

/// The other dialect takes more, and tells what.
fn rhdh(bytes: &[u8]) {
    match config::rhdh::read(bytes, "f") {
        Ok(None) => {}
        Ok(Some(file)) => {
            for warning in &file.warnings {
                let problem = warning.as_problem();
                check_place(problem.position.line, problem.position.column, bytes);
                check_page(&warning.render());
            }
            let mut merged = AppConfig::rhdh();
            for entry in file.plugins {
                check_place(entry.place.position().line, entry.place.position().column, bytes);
                check_page(&entry.package.place.problem("x", None).render(""));
                if let Some(fragment) = entry.plugin_config
                    && let Err(conflict) = merged.merge("x", fragment)
                {
                    check_place(conflict.at.position.line, conflict.at.position.column, bytes);
                }
            }
            check_written(&merged);
        }
        Err(problems) => check(&problems, bytes),
    }
}

/// The file as the first of those that it includes.
fn rhdh_plan(bytes: &[u8]) {
    let mut planning = Planning::begin("f", bytes, MissingIntegrity::IsSkipped);
    let mut itself = Some(bytes);
    while planning.needs().is_some() {
        planning.supply(Include::read("f", itself.take()));
    }
    match planning.finish() {
        Ok(planned) => {
            for warning in &planned.warnings {
                check_page(&warning.render());
            }
            for note in &planned.notes {
                assert!(!note.text.contains(is_invisible), "a note that a terminal acts on");
            }
            look_at(planned.plan, bytes);
        }
        Err(problems) => check(&problems, bytes),
    }
}

fn look_at(plan: Plan, bytes: &[u8]) {
    let Plan { policy, entries, .. } = plan;
    assert!(entries.len() <= bytes.len() / 2, "more entries than the file has room for");
    let mut merged = AppConfig::default();
    for (index, entry) in entries.into_iter().enumerate() {
        let place = entry.place;
        check_place(place.position().line, place.position().column, bytes);
        let Request::Wanted(wanted) = entry.request else { continue };
        match wanted.admit(&policy) {
            Ok(admitted) => {
                assert_eq!(admitted.source.subject().to_string(), entry.package.trim_end());
                if let Some(fragment) = admitted.plugin_config {
                    // A conflict is an answer, too.
                    let _ = merged.merge(&index.to_string(), fragment);
                }
            }
            Err(error) => {
                let problem = place.problem(&error, bytes);
                check_place(problem.position.line, problem.position.column, bytes);
                check_page(&problem.render("f"));
            }
        }
    }
    if !merged.is_empty() {
        check_written(&merged);
    }
}

fn check_written(merged: &AppConfig) {
    let text = merged.to_yaml();
    // Aliases make more of a file than it could hold itself.
    if text.len() <= config::MAX_CONFIG_BYTES / 8 {
        assert_eq!(reread(&text), text, "an app-config that another run reads differently");
    }
}

/// What is written for the app-config that a text says.
fn reread(yaml: &str) -> String {
    let pin = format!("sha512-{}==", "A".repeat(86));
    let head = format!("plugins:\n- package: oci://r.example.com/a:1\n  integrity: {pin}\n  pluginConfig:\n");
    let body = yaml.lines().fold(String::new(), |body, line| body + "    " + line + "\n");
    let plan = config::parse((head + &body).as_bytes()).unwrap_or_else(|error| panic!("{error} in {yaml}"));
    let mut merged = AppConfig::default();
    for entry in plan.entries {
        let Request::Wanted(wanted) = entry.request else { continue };
        let fragment: Option<Fragment> = wanted.admit(&plan.policy).expect("the source is right").plugin_config;
        let _ = fragment.map(|fragment| merged.merge("0", fragment));
    }
    merged.to_yaml()
}

fn check(problems: &Problems, bytes: &[u8]) {
    let shown = problems.iter().count();
    assert!(shown > 0 && shown <= MAX_PROBLEMS && problems.count() >= shown);
    for problem in problems.iter() {
        check_place(problem.position.line, problem.position.column, bytes);
        assert!(problem.length >= 1 && problem.length <= bytes.len().max(1), "{problem:?}");
        assert!(problem.source_line().is_none_or(|line| !line.contains(is_invisible)), "{problem:?}");
    }
    check_page(&problems.render("dynamic-plugins.yaml"));
    assert!(!problems.summary().contains(is_invisible) && problems.hint().is_none_or(|hint| !hint.is_empty()));
}

fn check_page(page: &str) {
    assert!(page.lines().all(|line| !line.contains(is_invisible)), "{page:?}");
    assert!(page.len() <= (MAX_PROBLEMS + 1) * 8 * 1024, "{} bytes", page.len());
}

/// A place lies in the file, or just behind its end.
fn check_place(line: u32, column: u32, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<_> = text.split('\n').collect();
    let (line, column) = (line as usize, column as usize);
    assert!(line >= 1 && line <= lines.len() + 1, "line {line} of {}", lines.len());
    let width = lines.get(line - 1).map_or(0, |line| line.chars().count());
    assert!(column >= 1 && column <= width + 2, "column {column} of {width} in line {line}");
}
