//! The driver on programs whose calls are known.

use std::fs;

use testkit::Tree;

use super::super::Counted;
use super::*;

fn shell(script: &str, folder: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]).current_dir(folder).env("PATH", "/usr/bin:/bin").env("SAID", "yes");
    command
}

fn traced(script: &str, faults: &Faults) -> (tempfile::TempDir, Traced) {
    let folder = tempfile::tempdir().unwrap();
    let traced = run(&shell(script, folder.path()), folder.path(), faults).unwrap();
    (folder, traced)
}

fn at(n: usize, act: Act) -> Faults {
    Faults { at: vec![(n, act)], ..Faults::default() }
}

fn names(folder: &tempfile::TempDir) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_traced_program_does_what_it_does_alone() {
    let script = "mkdir a && echo $SAID > a/f && mv a b && ln -s f b/l && cat b/f && ls x; exit 3";
    let folder = tempfile::tempdir().unwrap();
    let alone = shell(script, folder.path()).output().unwrap();
    let (beside, traced) = traced(script, &Faults::default());
    assert_eq!(traced.end, End::Exited(3));
    assert_eq!(alone.status.code(), Some(3));
    assert_eq!(traced.stdout.as_bytes(), alone.stdout);
    assert_eq!(traced.stderr.as_bytes(), alone.stderr);
    assert_eq!(Tree::of(beside.path()).unwrap(), Tree::of(folder.path()).unwrap());
}

#[test]
fn only_calls_on_the_volume_count_and_in_order() {
    let elsewhere = tempfile::tempdir().unwrap();
    let outside = elsewhere.path().display();
    let script = format!("mkdir a; : > {outside}/x; echo x > a/f; mkdir {outside}/b; rmdir a 2>&-; rm a/f; echo");
    let (folder, traced) = traced(&script, &Faults::default());
    let calls: Vec<_> = traced
        .calls
        .iter()
        .map(|Call { name, path }| format!("{name} {}", path.strip_prefix(folder.path()).unwrap().display()))
        .collect();
    let wanted = ["mkdir a", "openat a/f", "write a/f", "rmdir a", "unlinkat a/f"];
    assert_eq!(calls, wanted);
    assert_eq!(names(&elsewhere), ["b", "x"]);
}

#[test]
fn a_kill_comes_after_the_call_and_before_the_next_one() {
    let script = ": > a; : > b; : > c; : > d";
    for (n, left) in [(1, &["a"][..]), (2, &["a", "b"]), (4, &["a", "b", "c", "d"])] {
        let (folder, traced) = traced(script, &at(n, Act::Signal(Signal::SIGKILL)));
        assert_eq!(traced.end, End::Signalled(Signal::SIGKILL));
        assert_eq!(names(&folder), left);
        assert!(traced.after_act.is_some());
    }
    let (folder, traced) = traced(script, &at(5, Act::Signal(Signal::SIGKILL)));
    assert_eq!((traced.end, traced.after_act), (End::Exited(0), None));
    assert_eq!(names(&folder).len(), 4);
}

#[test]
fn a_call_that_fails_is_not_carried_out_and_the_others_are() {
    let script = "for f in a b c; do echo x > $f || true; done";
    for (n, errno, left, said) in [
        (1, Errno::ENOSPC, ["b", "c"], "No space left on device"),
        (3, Errno::EIO, ["a", "c"], "Input/output error"),
        (5, Errno::EMFILE, ["a", "b"], "Too many open files"),
    ] {
        let (folder, traced) = traced(script, &at(n, Act::Fail(errno)));
        assert_eq!(names(&folder), left);
        assert!(traced.stderr.contains(said), "{}", traced.stderr);
        assert!(traced.after_act.is_some());
    }
}

#[test]
fn two_faults_come_in_one_run_and_the_last_one_is_what_is_waited_for() {
    let script = "true > a; true > b; true > c; true > d";
    let acts = |second| Faults {
        at: vec![(1, Act::Fail(Errno::EIO)), (second, Act::Signal(Signal::SIGKILL))],
        ..Faults::default()
    };
    let (folder, killed) = traced(script, &acts(3));
    assert_eq!((killed.end, names(&folder)), (End::Signalled(Signal::SIGKILL), vec!["b".to_owned(), "c".to_owned()]));
    assert!(killed.after_act.is_some());
    let (_folder, ended) = traced(script, &acts(5));
    assert_eq!((ended.end, ended.after_act), (End::Exited(0), None));
}

#[test]
fn steps_are_renames_syncs_and_what_goes_from_the_top() {
    let script = "mkdir d; : > d/f; : > g; sync g; mv d/f d/h; rm d/h; rm g";
    let (folder, traced) = traced(script, &Faults { counted: Counted::Steps, ..Faults::default() });
    let steps: Vec<_> = traced.calls.iter().map(|call| call.path.strip_prefix(folder.path()).unwrap()).collect();
    assert_eq!(steps, ["g", "d/h", "g"].map(Path::new), "{:?}", traced.calls);
}

#[test]
fn a_full_volume_takes_nothing_new_and_lets_go_of_what_is_there() {
    let script = "echo x > a; echo x > b || true; mkdir d; ln -s a l; rm a; echo x > c || true; cat < b";
    // The second file gets its name, and no content.
    let (folder, traced) = traced(script, &at(4, Act::FillUp));
    assert_eq!(names(&folder), ["b"], "{:?}", traced.calls);
    assert_eq!(fs::read_to_string(folder.path().join("b")).unwrap(), "");
    assert_eq!(traced.stderr.matches("No space left on device").count(), 3, "{}", traced.stderr);
}

#[test]
fn a_broken_volume_answers_nothing_any_more() {
    let script = "echo x > a; echo x > b; rm a; cat a";
    let (folder, traced) = traced(script, &at(3, Act::Break));
    assert_eq!(names(&folder), ["a"]);
    assert_eq!(traced.stderr.matches("Input/output error").count(), 3, "{}", traced.stderr);
}

#[test]
fn what_a_volume_lacks_is_refused_each_time() {
    let script = "exec 9> lock; flock -n 9; echo $?; flock -n 9; echo $?";
    let faults = Faults { lacking: vec![Lacking::Locks], ..Faults::default() };
    let (_folder, traced) = traced(script, &faults);
    assert!(!traced.stdout.contains('0'), "{}", traced.stdout);
    assert_eq!(traced.stderr.matches("No locks available").count(), 2, "{}", traced.stderr);
}

#[test]
fn signals_reach_the_program() {
    let script = "trap 'echo heard; exit 7' TERM; : > a; while :; do :; done";
    let (_folder, traced) = traced(script, &at(1, Act::Signal(Signal::SIGTERM)));
    assert_eq!(traced.end, End::Exited(7));
    assert_eq!(traced.stdout, "heard\n");
    let (_folder, traced) = super::tests::traced("kill -STOP $$; kill -USR1 $$", &Faults::default());
    assert_eq!(traced.end, End::Signalled(Signal::SIGUSR1));
}

#[test]
fn a_program_that_is_not_there_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = run(&Command::new("/no/such/program"), folder.path(), &Faults::default()).unwrap_err();
    assert_eq!(error.to_string(), "the program could not be started");
}

#[test]
fn looks_and_syncs_are_counted_when_they_are_asked_for() {
    let script = "echo x > a; sync a; read -r line < a";
    let (folder, at) = (tempfile::tempdir().unwrap(), |counted| Faults { counted, ..Faults::default() });
    let names = |counted| {
        let traced = run(&shell(script, folder.path()), folder.path(), &at(counted)).unwrap();
        traced.calls.iter().filter(|call| call.path.ends_with("a")).map(|call| call.name).collect::<Vec<_>>()
    };
    assert_eq!(names(Counted::Changes), ["openat", "write", "openat", "fsync", "openat"]);
    assert_eq!(names(Counted::Syncs), ["fsync"]);
    assert!(names(Counted::Looks).iter().all(|name| ["read", "fstat", "newfstatat"].contains(name)));
}

#[test]
fn calls_of_all_threads_are_counted_in_one_order() {
    let script = "exec python3 -c '
import threading
def work(thread):
    for n in range(50): open(f\"{thread}-{n}\", \"w\").close()
threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
'";
    let (folder, traced) = traced(script, &Faults::default());
    // Python looks for modules in the folder itself.
    let made = traced.calls.iter().filter(|call| call.path != folder.path()).count();
    assert_eq!((traced.end, made, names(&folder).len()), (End::Exited(0), 200, 200), "{}", traced.stderr);
    let (folder, traced) = super::tests::traced(script, &at(100, Act::Signal(Signal::SIGKILL)));
    assert_eq!(traced.end, End::Signalled(Signal::SIGKILL));
    // The other three may be within a call of their own when the signal comes.
    assert!((99..=103).contains(&names(&folder).len()), "{}", names(&folder).len());
}
