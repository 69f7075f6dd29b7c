//! The sweeps themselves on trial: an installer that works in place does all that is asked of it on a good day, and is
//! found out on every bad one.

use std::collections::BTreeSet;

use super::*;

/// A scene with that installer on it.
fn scene() -> Scene {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sweep/in-place-installer.sh");
    Scene::in_memory(&script).unwrap()
}

fn findings(swept: anyhow::Result<Swept>) -> String {
    swept.unwrap().findings.join("\n")
}

#[test]
fn a_reader_finds_a_plugin_that_is_replaced_in_place() {
    let findings = findings(reader::sweep(&scene(), Scale::Short));
    assert!(findings.contains("was missing for a moment"), "{findings}");
}

#[test]
fn torn_files_that_nobody_looks_at_are_found() {
    let findings = findings(torn::sweep(&scene(), Scale::Short));
    for word in ["zeroed", "changed by a byte", "gone", "of mode"] {
        assert!(findings.contains(word), "{word}: {findings}");
    }
}

#[test]
fn a_run_that_is_stopped_in_the_middle_of_its_work_is_found() {
    let findings = findings(stop::sweep(&scene(), Scale::Short));
    assert!(findings.contains("the run was stopped, and something on the root has changed"), "{findings}");
}

#[test]
fn a_run_that_is_killed_in_the_middle_of_its_work_is_found() {
    // From the first change that can be seen on, which no load on the machine moves to another place.
    let findings = findings(Ok(random::commits(&scene(), Scale::Short)));
    assert!(findings.contains("is neither the old one") || findings.contains("is missing"), "{findings}");
}

#[test]
fn whoever_does_not_wait_for_the_others_is_found() {
    let findings = findings(Ok(crowd::sweep(&scene(), Scale::Short)));
    assert!(!findings.is_empty());
}

#[test]
fn a_finding_fails_the_whole() {
    assert!(tell(&[]).is_ok());
    let mut swept = Swept::default();
    assert_eq!(swept.take("one", Ok(7)), Some(7));
    assert_eq!(swept.take::<()>("another", Err(anyhow::anyhow!("half").context("`many`"))), None);
    assert_eq!((swept.faults, &swept.findings[..]), (2, &["another: `many`: half".to_owned()][..]));
    assert_eq!(tell(&swept.findings).unwrap_err().to_string(), "1 finding");
}

#[test]
fn a_sweep_whose_faults_come_too_late_is_a_finding() {
    for (faults, unreached, passes) in [(100, 10, true), (100, 11, false), (7, 0, true), (7, 1, false), (0, 0, false)] {
        let mut swept = Swept { faults, ..Swept::default() };
        swept.expect_reached(unreached);
        assert_eq!(swept.findings.is_empty(), passes, "{unreached} too late, {faults} in time");
    }
}

#[test]
fn each_sweep_has_a_name_of_its_own() {
    let names: BTreeSet<_> = SWEEPS.iter().map(|sweep| sweep.name).collect();
    assert_eq!(names.len(), SWEEPS.len());
}
