//! Findings for other programs, and the rules for people.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{Finding, Level, RULES, Rule};

/// The program that findings are told by, as SARIF names it.
const TOOL: &str = "butler-plugin-publisher";

/// The findings as one JSON object: how many there are of each level, and each with its rule.
pub fn to_json(findings: &[Finding]) -> String {
    let count = |level| findings.iter().filter(|finding| finding.rule.level == level).count();
    let listed: Vec<_> = findings.iter().map(plain).collect();
    pretty(&json!({ "errors": count(Level::Error), "warnings": count(Level::Warning), "findings": listed }))
}

/// The findings as a SARIF 2.1.0 log (OASIS, sections 3.13 to 3.27) of one run by `version` of the program, with every
/// rule described.
pub fn to_sarif(findings: &[Finding], version: &str) -> String {
    let rules: Vec<_> = RULES.iter().map(descriptor).collect();
    let results: Vec<_> = findings.iter().map(result).collect();
    pretty(&json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": TOOL, "version": version, "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    }))
}

/// The reference page of all rules, in Markdown.
pub fn rules_page() -> String {
    let mut page = "# Rules\n\nWhat `butler-plugin-publisher check` holds a plugin's folder against. An error makes the exit status 1, a \
        warning does with `--deny-warnings`.\n\n| rule | level | what is wrong |\n| --- | --- | --- |\n"
        .to_owned();
    for rule in RULES {
        let Rule { id, level, title, .. } = rule;
        let _ = writeln!(page, "| [`{id}`](#{id}) | {} | {title} |", level.name());
    }
    for Rule { id, level, title, why, fix } in RULES {
        let _ = write!(page, "\n## {id}\n\n{title} ({}).\n\n- Why: {why}\n- What to do: {fix}\n", level.name());
    }
    page
}

fn plain(finding: &Finding) -> Value {
    let Finding { rule, plugin, path, line, message } = finding;
    json!({
        "rule": rule.id,
        "level": rule.level.name(),
        "plugin": plugin,
        "path": path,
        "line": line,
        "message": message,
        "why": rule.why,
        "fix": rule.fix,
    })
}

fn descriptor(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "shortDescription": { "text": rule.title },
        "fullDescription": { "text": rule.why },
        "help": { "text": rule.fix },
        "defaultConfiguration": { "level": rule.level.name() },
    })
}

fn result(finding: &Finding) -> Value {
    let Finding { rule, plugin, path, line, message } = finding;
    let artifact = match path {
        Some(path) => format!("{}/{path}", plugin.trim_end_matches('/')),
        None => plugin.clone(),
    };
    let mut place = json!({ "artifactLocation": { "uri": uri(&artifact) } });
    if let Some(line) = line {
        place["region"] = json!({ "startLine": line });
    }
    json!({
        "ruleId": rule.id,
        "ruleIndex": RULES.iter().position(|other| other.id == rule.id),
        "level": rule.level.name(),
        "message": { "text": format!("{message}. {}", rule.fix) },
        "locations": [{
            "physicalLocation": place,
            "logicalLocations": [{ "fullyQualifiedName": plugin, "kind": "package" }],
        }],
    })
}

/// A path or reference as a URI reference (RFC 3986, section 4.1), where everything else is percent-encoded.
fn uri(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut uri, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/:@!$&'()*+,;=".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
        uri
    })
}

/// Like its `Display`, with line breaks; a JSON value always serialises.
fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules;

    fn findings() -> Vec<Finding> {
        vec![
            Finding {
                rule: &rules::MAIN_ESM,
                plugin: "out dir/dist-dynamic/".to_owned(),
                path: Some("dist/ä b.js".to_owned()),
                line: Some(3),
                message: "expected CommonJS, found \"export\"".to_owned(),
            },
            Finding {
                rule: &rules::MF_PUBLIC_PATH_FIXED,
                plugin: "oci://ghcr.io/acme/x:1".to_owned(),
                path: None,
                line: None,
                message: "expected".to_owned(),
            },
        ]
    }

    #[test]
    fn json_counts_and_lists_every_finding() {
        let json: Value = serde_json::from_str(&to_json(&findings())).unwrap();
        assert_eq!((&json["errors"], &json["warnings"]), (&json!(1), &json!(1)));
        let first = &json["findings"][0];
        assert_eq!((&first["rule"], &first["level"]), (&json!("main-esm"), &json!("error")));
        assert_eq!((&first["path"], &first["line"]), (&json!("dist/ä b.js"), &json!(3)));
        assert_eq!(json["findings"][1]["path"], Value::Null);
        assert_eq!(serde_json::from_str::<Value>(&to_json(&[])).unwrap()["findings"], json!([]));
    }

    #[test]
    fn sarif_has_what_the_specification_requires() {
        let log: Value = serde_json::from_str(&to_sarif(&findings(), "1.2.3")).unwrap();
        assert_eq!(log["version"], "2.1.0");
        let run = &log["runs"][0];
        let driver = &run["tool"]["driver"];
        assert_eq!((&driver["name"], &driver["version"]), (&json!(TOOL), &json!("1.2.3")));
        let rules = driver["rules"].as_array().unwrap();
        for rule in rules {
            assert!(rule["id"].is_string() && rule["shortDescription"]["text"].is_string(), "{rule}");
            assert!(["error", "warning"].contains(&rule["defaultConfiguration"]["level"].as_str().unwrap()));
        }
        for result in run["results"].as_array().unwrap() {
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(rules[index]["id"], result["ruleId"]);
            assert_eq!(rules[index]["defaultConfiguration"]["level"], result["level"]);
            assert!(result["message"]["text"].is_string());
            let uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].as_str().unwrap();
            assert!(uri.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}#?".contains(&byte)), "{uri}");
        }
        let place = &run["results"][0]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "out%20dir/dist-dynamic/dist/%C3%A4%20b.js");
        assert_eq!(place["region"]["startLine"], 3);
        let place = &run["results"][1]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "oci://ghcr.io/acme/x:1");
        assert!(place.get("region").is_none());
    }

    #[test]
    fn ids_are_unique_kebab_case_and_on_the_page() {
        let page = rules_page();
        for (n, rule) in RULES.iter().enumerate() {
            assert!(rule.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", rule.id);
            assert!(RULES[..n].iter().all(|other| other.id != rule.id), "{}", rule.id);
            assert!(page.contains(&format!("\n## {}\n", rule.id)), "{}", rule.id);
            assert!(rule.why.ends_with('.') && rule.fix.ends_with('.'), "{}", rule.id);
        }
    }
}
