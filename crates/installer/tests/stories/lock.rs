//! One installer at a time on a root.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use testkit::Registry;

use crate::portal::{OnReject, Portal, entry, publish, wait_until};

const LOCK: &str = ".butler-plugins.lock";
const LEASE: &str = ".butler-plugins.lease";

/// Takes the lock as an installer in another pod does.
fn hold(portal: &Portal) -> File {
    let path = portal.root().join(LOCK);
    fs::write(&path, "pod portal-7c9f").unwrap();
    let file = File::open(path).unwrap();
    file.lock().unwrap();
    file
}

#[test]
fn waiting_has_an_end_and_names_the_holder() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
    let held = hold(&portal);
    let run = portal.install_with(|command| command.arg("--lock-timeout=0")).exits(3);
    assert_eq!(run.events(), ["warning lock_wait", "plugin_skipped hello:1 aborted", "fatal lock_timeout"]);
    let run = run.says("waiting for pod portal-7c9f to finish").says("held by pod portal-7c9f");
    assert!(run.stderr.contains(" hint="), "{}", run.stderr);
    assert_eq!(registry.recorder().requests(), []);
    drop(held);
}

#[test]
fn lock_file_of_another_user_is_told_apart_from_an_unwritable_root() {
    let portal = Portal::listing(OnReject::Abort, &[]);
    let lock = portal.root().join(LOCK);
    fs::write(&lock, "").unwrap();
    fs::set_permissions(&lock, Permissions::from_mode(0o000)).unwrap();
    let run = portal.install_with(|command| {
        if fs::metadata(&lock).unwrap().uid() == 0 {
            // This user may open everything.
            for path in [portal.path(""), portal.root()] {
                chown(path, Some(65534), Some(65534)).unwrap();
            }
            command.uid(65534).gid(65534);
        }
        command
    });
    let run = run.exits(3).says("event=fatal reason=root_unwritable").says("blame=operator");
    run.says(&format!("failed to open `{LOCK}` in the plugin root: Permission denied"))
        .says(&format!("hint=\"another user made `{LOCK}`: run all installers of this root as one user"));
}

#[test]
fn waiter_goes_on_when_the_lock_is_free() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
    let held = hold(&portal);
    let waiter = portal.start(|command| command);
    wait_until("the installer waits", || waiter.stdout().contains("reason=lock_wait"));
    drop(held);
    let run = waiter.end().exits(0);
    assert_eq!(run.events(), ["warning lock_wait", "plugin_installed hello:1 hello", "completed"]);
}

#[test]
fn waiter_stops_when_it_is_told_to() {
    let portal = Portal::listing(OnReject::Abort, &[]);
    let held = hold(&portal);
    let mut waiter = portal.start(|command| command);
    wait_until("the installer waits", || waiter.stdout().contains("reason=lock_wait"));
    waiter.signal("TERM");
    assert_eq!(waiter.end().exits(143).events().last().unwrap(), "fatal interrupted");
    drop(held);
}

#[test]
fn lock_file_of_a_killed_run_is_no_lock() {
    let portal = Portal::listing(OnReject::Abort, &[]);
    drop(hold(&portal));
    let run = portal.install_with(|command| command.arg("--lock-timeout=0")).exits(0);
    assert_eq!(run.events(), ["startup_permissive_mode allowedSources_unset_permissive", "completed"]);
    assert!(portal.root().join(LOCK).exists());
}

#[test]
fn installers_of_several_pods_come_after_one_another() {
    let registry = Registry::start();
    let entries = ["one", "two", "three"].map(|name| entry(&publish(&registry, name, "1")));
    let portal = Portal::listing(OnReject::Abort, &entries);
    let others = [portal.beside(), portal.beside()];
    let running = others.each_ref().map(|other| {
        other.list(OnReject::Abort, &entries);
        other.start(|command| command)
    });
    let first = portal.install_with(|command| command).exits(0);
    let all = [first.stdout].into_iter().chain(running.map(|other| other.end().exits(0).stdout));
    let installed = all.map(|log| log.matches("event=plugin_installed").count()).sum::<usize>();
    assert_eq!(installed, 3);
    assert_eq!(portal.plugins(), ["one-dynamic", "three-dynamic", "two-dynamic"]);
}

#[test]
fn lock_file_that_is_removed_admits_nobody_twice() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
    registry.server().intercept({
        let lock = portal.root().join(LOCK);
        move |request, answer| {
            if request.path.contains("/blobs/") {
                drop(fs::remove_file(&lock));
            }
            answer()
        }
    });
    let run = portal.install().exits(3);
    assert_eq!(run.events(), ["plugin_skipped hello:1 aborted", "fatal io_error"]);
    run.says("somebody removed the lock file");
    assert_eq!(portal.plugins(), [""; 0]);
}

#[test]
fn lock_file_with_another_name_is_not_written_to() {
    let portal = Portal::listing(OnReject::Abort, &[]);
    portal.write("precious", "as it was");
    fs::hard_link(portal.path("precious"), portal.root().join(LOCK)).unwrap();
    let run = portal.install().exits(3);
    assert_eq!(run.events().last().unwrap(), "fatal root_unwritable");
    assert_eq!(fs::read_to_string(portal.path("precious")).unwrap(), "as it was");
}

/// The installer on a volume where the kernel has no locks to give.
fn without_locks(portal: &Portal) -> Command {
    let installer = portal.command();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", "trace=flock", "-e", "inject=flock:error=ENOLCK", "-o", "/dev/null"]);
    strace.arg(installer.get_program()).args(installer.get_args());
    strace
}

#[test]
fn volume_without_locks_is_told_and_has_a_lease_instead() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
    let run = portal.run(without_locks(&portal)).exits(0).says("a lease keeps other installers away");
    assert_eq!(run.events(), ["warning lock_unsupported", "plugin_installed hello:1 hello", "completed"]);
    assert!(!portal.root().join(LEASE).exists());
}

#[test]
fn lease_of_a_killed_run_lapses_and_its_holder_is_named() {
    let portal = Portal::listing(OnReject::Abort, &[]);
    fs::write(portal.root().join(LEASE), "0000000007\npod portal-7c9f (process 1) #5\n").unwrap();
    let run = portal.run(without_locks(&portal)).exits(0).says("waiting for pod portal-7c9f (process 1) to finish");
    run.says("pod portal-7c9f (process 1) was not heard of any more");
    assert!(!portal.root().join(LEASE).exists());
}

#[test]
fn installers_without_locks_come_after_one_another() {
    let registry = Registry::start();
    let entries = ["one", "two"].map(|name| entry(&publish(&registry, name, "1")));
    let portal = Portal::listing(OnReject::Abort, &entries);
    let others = [portal.beside(), portal.beside(), portal.beside()];
    let run = |portal: &Portal| portal.run(without_locks(portal)).exits(0).stdout;
    let logs: Vec<String> = std::thread::scope(|scope| {
        let running = others.each_ref().map(|other| {
            other.list(OnReject::Abort, &entries);
            scope.spawn(move || run(other))
        });
        running.into_iter().map(|running| running.join().unwrap()).chain([run(&portal)]).collect()
    });
    assert_eq!(logs.iter().map(|log| log.matches("event=plugin_installed").count()).sum::<usize>(), 2, "{logs:?}");
    assert_eq!(portal.plugins(), ["one-dynamic", "two-dynamic"]);
    assert!(!portal.root().join(LEASE).exists());
}
