//! What an operator is told who asks about a reason or cause in the log.

use std::process::Command;

use audit::Explanation;
use testkit::{Auth, Registry};

use crate::portal::{OnReject, Portal, Run, entry, publish};

/// `explain` where there is neither list nor root, and the variables are RHDH's.
fn explain(asked: &[&str]) -> Run {
    let portal = Portal::new();
    let mut command = Command::new(portal.command().get_program());
    command.env_clear().env("DYNAMIC_PLUGINS_DIALECT", "rhdh").arg("explain").args(asked);
    portal.run(command)
}

#[test]
fn each_code_is_explained_in_full_and_listed_in_one_line() {
    let list = explain(&[]).exits(0).stdout;
    for explained in Explanation::all() {
        let Explanation { code, whose, what, fix, .. } = explained;
        let page = explain(&[code]).exits(0).stdout;
        assert!([code, whose, what, fix].iter().all(|part| !part.is_empty() && page.contains(part)), "{page}");
        let named = list.lines().filter(|line| line.split_whitespace().next() == Some(code));
        assert_eq!(named.count(), 1, "{code}: {list}");
    }
    insta::assert_snapshot!(explain(&["oci_pull_failed"]).stdout);
}

#[test]
fn line_of_a_log_is_explained_by_its_reason_and_cause() {
    let registry = Registry::builder().auth(Auth::basic("octocat", "right")).start();
    let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
    let expected = explain(&["oci_pull_failed"]).stdout + "\n" + &explain(&["unauthorized"]).stdout;
    for format in ["logfmt", "json"] {
        let run = portal.install_with(|command| command.arg("--log-format").arg(format)).exits(1);
        let line = run.stderr.lines().find(|line| line.contains("plugin_rejected")).unwrap();
        assert_eq!(explain(&[line]).exits(0).stdout, expected, "{line}");
        // Without quotes a shell hands over words.
        assert_eq!(explain(&line.split_whitespace().collect::<Vec<_>>()).exits(0).stdout, expected, "{line}");
    }
    let left = std::fs::read_to_string(portal.write("termination-log", "")).unwrap();
    assert_eq!(left, "");
    portal.install().exits(1);
    let left = std::fs::read_to_string(portal.path("termination-log")).unwrap();
    assert_eq!(explain(&[&left]).exits(0).stdout, explain(&["oci_pull_failed"]).stdout, "{left}");
}

#[test]
fn line_without_a_reason_says_so_and_a_problem_in_the_list_is_one() {
    let portal = Portal::new();
    portal.write("dynamic-plugins.yaml", "plugins: {}\n");
    let expected = explain(&["config_invalid"]).stdout;
    for format in ["logfmt", "json"] {
        let run = portal.install_with(|command| command.arg("--log-format").arg(format)).exits(2);
        let line = run.stderr.lines().find(|line| line.contains("config_problem")).unwrap();
        assert_eq!(explain(&[line]).exits(0).stdout, expected, "{line}");
    }
    portal.write("dynamic-plugins.yaml", "plugins: []\n");
    let run = portal.install().exits(0);
    let line = run.stdout.lines().find(|line| line.contains("event=completed")).unwrap();
    explain(&[line]).exits(2).says("this line of the log has no reason");
}

#[test]
fn unknown_code_is_answered_with_the_nearest() {
    for (asked, hint) in [
        ("oci_pul_failed", "did you mean `oci_pull_failed`?"),
        ("continueonerror_false", "did you mean `continueOnError_false`?"),
        ("reason=archive_layuot", "did you mean `archive_layout`?"),
        ("oci-pull-failed", "did you mean `oci_pull_failed`?"),
        ("the-weather-in-may", "`explain` alone lists them"),
        ("--help-me", "`explain` alone lists them"),
    ] {
        let run = explain(&["--", asked]).exits(2);
        assert!(run.stderr.contains("event=fatal reason=usage") && run.stderr.contains(hint), "{asked}: {run:?}");
    }
}
