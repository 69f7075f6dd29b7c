//! A volume that is full, read-only, not there, or of a kind that cannot do everything.

use std::fs::{self, Permissions};
use std::iter;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use super::{
    DEST, LARGE, NEW, Versions, count_below, fault_came, has_version, is_untouched, is_upgraded, leaves_no_staging,
    next_is_idle, plugin, user,
};
use crate::bench::{Mode, Seen};
use crate::case::Case;
use crate::launch::{CAN_BECOME_OTHERS, CAN_MOUNT, Launch, mount};
use crate::logfmt::{Record, records};
use crate::network::noise;

const MIB: usize = 1024 * 1024;
/// A tmpfs that is too small for the new version, and then the same by faults, of the disk's as well.
pub(super) fn no_space() -> Case {
    let zeros = plugin(NEW).file("dist/zeros.bin", vec![0; 8 * MIB]).tarball();
    let noise = plugin(NEW).file("dist/noise.bin", noise()).tarball();
    let many = (0..400).fold(plugin(NEW), |plugin, n| plugin.file(&format!("more/{n}.js"), vec![b'x'; 5_000]));
    let real = [
        ("in a large file", full("size=4m", "write:error=ENOSPC:when=8+", &zeros)),
        ("in the artifact", full("size=1m", "write:error=ENOSPC:when=1+", &noise)),
        ("among many files", full("size=2m", "write:error=ENOSPC:when=100+", &many.tarball())),
    ];
    Case::instances(real.into_iter().chain(faulty("ENOSPC")).chain(faulty("EIO")))
}

pub(super) fn over_quota() -> Case {
    println!("quotas are made up by faults in system calls: a tmpfs has none on every kernel");
    Case::instances(faulty("EDQUOT"))
}

pub(super) fn no_inodes() -> Case {
    let many = full("nr_inodes=80", "openat:error=ENOSPC:when=150+", &LARGE);
    let none = if *CAN_MOUNT {
        let filler = |root: &Path| root.join(format!("filler-{}", count_below(root.into())));
        let use_up = move |root: &Path| while fs::File::create(filler(root)).is_ok() {};
        Case { tmpfs: Some("nr_inodes=80"), ..Versions::new().upgrade() }.arranged(use_up)
    } else {
        let launch = Launch::with_faults(&["mkdirat:error=ENOSPC:when=1+"]);
        Case { launch, ..Versions::new().upgrade() }
    };
    Case::instances([("among many files, and for the first folder", many.beside(none, takes_nothing))])
}

/// Where not even a folder can be made nothing can be removed either, since no intent can be noted.
fn takes_nothing(seen: &Seen) -> Result<(), String> {
    let told = records(&seen.stderr)?;
    let reasons: Vec<_> = told.iter().map(Record::reason).collect();
    let expected = match seen.mode {
        Mode::FailClosed => (Some(1), vec!["io_error", "continueOnError_false"]),
        Mode::FailOpen => (Some(3), vec!["io_error", "io_error"]),
    };
    if (seen.status, reasons) != expected {
        return Err(format!("expected {expected:?}, found {:?} and {told:?}", seen.status));
    }
    is_untouched(seen)
}

/// The old version fits on the volume and this one does not.
fn full(options: &'static str, fault: &str, artifact: &[u8]) -> Case {
    let case = Versions::new().upgrade_to(artifact);
    if *CAN_MOUNT {
        return fails(Case { tmpfs: Some(options), ..case });
    }
    fails(Case { launch: Launch::with_faults(&[fault]), ..case }.holds(fault_came))
}

/// Calls at which a volume takes no more; the log has fewer lines than each of the writes has others before it.
fn faulty(error: &'static str) -> Vec<(&'static str, Case)> {
    static NOISE: LazyLock<Vec<u8>> = LazyLock::new(|| plugin(NEW).file("dist/noise.bin", noise()).tarball());
    let calls: [(&str, &str, &[u8]); 4] = [
        ("another folder", "mkdirat:error=ERROR:when=2", &LARGE),
        ("the artifact's bytes", "write:error=ERROR:when=20", &NOISE),
        ("a file's bytes", "write:error=ERROR:when=40", &LARGE),
        ("a file's bytes and all after them", "write:error=ERROR:when=300+", &LARGE),
    ];
    let cases = calls.map(|(name, fault, artifact)| {
        let launch = Launch::with_faults(&[&fault.replace("ERROR", error)]);
        let case = Case { launch, ..Versions::new().upgrade_to(artifact) };
        (name, fails(case.holds(fault_came)))
    });
    let [first, rest @ ..] = cases;
    let places = [("fsync", 1), ("fsync", 3), ("renameat", 1), ("renameat2", 1), ("renameat", 2), ("renameat", 3)];
    let first = places
        .into_iter()
        .fold(first.1, |case, (call, when)| case.beside(in_the_commit(error, call, when), is_rolled_back));
    // Calls are counted in each thread by itself: this is the first one of the commit, too.
    let launch = Launch::with_faults(&[&format!("mkdirat:error={error}:when=1")]);
    let first = first.beside(Case { launch, ..Versions::new().upgrade() }, |seen| {
        fault_came(seen).and_then(|()| leaves_no_staging(seen)).and_then(|()| takes_nothing(seen))
    });
    iter::once(("another folder, calls of the commit, and the first folder", first)).chain(rest).collect()
}

/// That the plugin is not there in half, and that once there is space again the next run has no trouble.
fn fails(case: Case) -> Case {
    case.holds(leaves_no_staging).holds(|seen| match seen.mode {
        Mode::FailClosed => is_untouched(seen),
        Mode::FailOpen if seen.on_root(DEST).exists() => Err("a rejected plugin is there".to_owned()),
        Mode::FailOpen => Ok(()),
    })
}

/// Trouble when all is ready.
fn in_the_commit(error: &str, call: &str, when: usize) -> Case {
    let launch = Launch::with_faults(&[&format!("{call}:error={error}:when={when}")]);
    Case { launch, ..Versions::new().upgrade() }
}

/// No plugin is to blame then, so that the run as a whole fails in either mode.
fn is_rolled_back(seen: &Seen) -> Result<(), String> {
    fault_came(seen)?;
    let records = records(&seen.stderr)?;
    let last = records.last().ok_or("no last record")?;
    if (seen.status, last.event(), last.reason()) != (Some(3), "fatal", "io_error") {
        return Err(format!("expected status 3 and `io_error`, found {:?} and {last:?}", seen.status));
    }
    is_untouched(seen)?;
    let next = seen.again(super::NO_WAIT);
    if next.status != Some(0) {
        return Err(format!("the next run failed: {next:?}"));
    }
    has_version(seen, NEW)
}

pub(super) fn read_only() -> Case {
    let untouched = |case: Case| case.holds(is_untouched);
    let mode = |mode| move |root: &Path| fs::set_permissions(root, Permissions::from_mode(mode)).unwrap();
    let mut instances = Vec::new();
    if *CAN_MOUNT {
        let remount = |root: &Path| {
            let status = Command::new("mount").args(["-o", "remount,ro"]).arg(root).status();
            assert!(status.unwrap().success());
        };
        let mounted = Case { tmpfs: Some("size=4m"), ..Versions::new().upgrade() };
        instances.push(("mounted so", untouched(mounted.arranged(remount))));
        let empty = Case { tmpfs: Some("size=4m"), ..Versions::new().fresh() };
        instances.push(("mounted so, and empty", untouched(empty.arranged(remount))));
    }
    if *CAN_BECOME_OTHERS {
        let nobody = Case { user: Some(user::NONROOT), ..Versions::new().upgrade() };
        instances.push(("by its mode", untouched(nobody.arranged(mode(0o555)))));
    } else {
        instances.push(("by its mode", untouched(Versions::new().upgrade().arranged(mode(0o555)))));
    }
    Case::instances(instances)
}

pub(super) fn no_root() -> Case {
    type Spoil = fn(&Path);
    let spoilt: [(&str, Spoil); 5] = [
        ("nothing", |_| ()),
        ("a file", |root| fs::write(root, "").unwrap()),
        ("a link to a folder", |root| symlink("elsewhere", root).unwrap()),
        ("a link to nothing", |root| symlink("gone", root).unwrap()),
        ("a link to itself", |root| symlink("plugins", root).unwrap()),
    ];
    Case::instances(spoilt.map(|(name, spoil)| {
        let case = Versions::new().fresh().arranged(move |root| {
            fs::remove_dir(root).unwrap();
            spoil(root);
        });
        (name, case.holds(|seen| super::same(&seen.before.outside, &seen.after.outside)))
    }))
}

/// What is staged must lie on the root's own device, wherever temporary files go.
pub(super) fn other_devices() -> Case {
    let crosses = |seen: &Seen| match seen.calls.iter().find(|call| call.contains(" EXDEV ")) {
        Some(call) => Err(format!("crossed devices: {call}")),
        None => Ok(()),
    };
    let launch = || Launch { noted: &["renameat", "renameat2", "linkat"], ..Launch::default() };
    let of = move |case: Case| {
        let case = Case { launch: launch(), ..case }.holds(is_upgraded).holds(next_is_idle);
        case.holds(|seen| super::same(&seen.before.outside, &seen.after.outside))
    };
    let mut instances = vec![("all on one", of(Versions::new().upgrade()).holds(crosses))];
    if *CAN_MOUNT {
        let alone = Case { tmpfs: Some("size=4m"), ..Versions::new().upgrade() };
        instances.push(("the root alone", of(alone).holds(crosses)));
        let fresh = of(Versions::new().fresh().arranged(layered)).holds(crosses);
        let below = Versions::new().upgrade().arranged(layered);
        instances.push(("a layer over an image's", fresh.beside(below, is_told_in_vain)));
    }
    Case::instances(instances)
}

/// What lies in a layer below cannot be renamed, and taking it away bit by bit would show half of it.
fn is_told_in_vain(seen: &Seen) -> Result<(), String> {
    let told = records(&seen.stderr)?;
    match told.last() {
        Some(last) if (seen.status, last.event(), last.reason()) == (Some(3), "fatal", "io_error") => {
            is_untouched(seen)
        }
        last => Err(format!("expected status 3 and `io_error`, found {:?} and {last:?}", seen.status)),
    }
}

/// Puts a layer over the root, as a container has one over its image.
fn layered(root: &Path) {
    let lower = root.with_file_name("lower");
    let scratch = root.with_file_name("scratch");
    assert!(Command::new("cp").arg("--archive").arg(root).arg(&lower).status().unwrap().success());
    fs::create_dir(&scratch).unwrap();
    assert!(mount("tmpfs", "size=4m", &scratch));
    for name in ["upper", "work"] {
        fs::create_dir(scratch.join(name)).unwrap();
    }
    let at = |path: &Path| path.display().to_string();
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        at(&lower),
        at(&scratch.join("upper")),
        at(&scratch.join("work"))
    );
    assert!(mount("overlay", &options, root));
    // It stays as long as the layer needs it.
    assert!(Command::new("umount").arg("--lazy").arg(&scratch).status().unwrap().success());
}

/// The file system knows no flags of a rename, for this run and all after it.
pub(super) fn no_exchange() -> Case {
    let errors = ["EINVAL", "ENOSYS", "EOPNOTSUPP"].map(|error| {
        let launch = Launch::with_faults(&[&format!("renameat2:error={error}")]);
        let case = Case { launch, ..Versions::new().upgrade() }.holds(fault_came);
        (error, case.holds(is_upgraded).holds(next_is_idle))
    });
    // One half fails for good: the old copy comes back.
    let fault = "renameat:error=EIO:when=3";
    let launch = Launch::with_faults(&["renameat2:error=EINVAL", fault]);
    let failing = Case { launch, ..Versions::new().upgrade() };
    let launch = Launch::with_faults(&["renameat2:error=EINVAL"]);
    let beside = Case { launch, ..Versions::new().upgrade() }.beside(failing, is_rolled_back);
    let first = Case { launch: Launch::with_faults(&["renameat2:error=EINVAL"]), ..Versions::new().fresh() };
    let rest = [("rolled back", beside.holds(is_upgraded)), ("nothing before", first.holds(is_upgraded))];
    Case::instances(errors.into_iter().chain(rest))
}

/// A plugin of many files.
pub(super) fn of_files(count: usize) -> Vec<u8> {
    (0..count).fold(plugin(NEW), |plugin, n| plugin.file(&format!("more/{}/{n}.js", n % 100), "//")).tarball()
}
