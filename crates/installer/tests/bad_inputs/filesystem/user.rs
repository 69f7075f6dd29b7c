//! Whom the volume and what is on it belong to, and what the installer may do.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::sync::LazyLock;

use testkit::Plugin;

use super::{DEST, NEW, Versions, in_memory, is_upgraded, list, next_is_idle, plugin};
use crate::bench::Seen;
use crate::case::Case;
use crate::launch::{CAN_BECOME_OTHERS, Launch, User};

/// The image's user, on a volume of the pod's `fsGroup`.
pub(super) const NONROOT: User = User { uid: 65532, gid: 65532, volume: 2000 };
/// A user as `OpenShift` invents one.
const RANDOM: User = User { uid: 1_000_670_000, gid: 0, volume: 1_000_670_000 };

pub(super) fn umask() -> Case {
    let of = |shell, case: Case| Case { launch: Launch { shell, ..Launch::default() }, ..case }.holds(all_may_read);
    let with_config = || {
        let mut versions = Versions::new();
        let program = plugin(NEW).archive().executable("package/bin/run", "").gzip();
        versions.new = versions.net.serve("oci://reg.example.com/my-org/program:2.0.0", &program);
        let mut listing = list([&versions.new]);
        listing.entries[0].0.push("pluginConfig: { app: { title: Hello } }".to_owned());
        in_memory(versions.net, listing).after(list([&versions.old])).holds(is_upgraded)
    };
    Case::instances([
        ("077", of("umask 077", with_config())),
        ("0777", of("umask 0777", with_config())),
        ("077, as nobody", Case { user: Some(NONROOT), ..of("umask 077", with_config()) }),
    ])
}

/// That the main container's user, whoever that is, can read all that a portal reads.
fn all_may_read(seen: &Seen) -> Result<(), String> {
    let is_open = |line: &str| {
        let mode = line.split(' ').next().and_then(|mode| u32::from_str_radix(mode, 8).ok()).unwrap_or_default();
        let wanted = if line.contains(" dir ") { 0o755 } else { 0o644 };
        mode & wanted == wanted && mode & 0o022 == 0
    };
    match seen.after.visible.iter().find(|line| !is_open(line)) {
        Some(line) => Err(format!("not everybody may read it, or others may write it: {line}")),
        None if seen.after.visible.len() < super::FILES => Err("nothing is there".to_owned()),
        None => Ok(()),
    }
}

pub(super) fn nonroot() -> Case {
    let calls = &["chown", "fchown", "lchown", "fchownat", "chmod", "fchmod", "fchmodat", "renameat", "renameat2"];
    let of = move |user: User, case: Case| {
        let launch = Launch { noted: calls, ..Launch::default() };
        let case = Case { launch, user: Some(user), ..case }.holds(is_upgraded).holds(next_is_idle);
        case.holds(asks_for_no_owner).holds(move |seen| belongs_to(seen, user))
    };
    // A pod of another user's, and the kubelet that gives all of it to the group before the next one starts.
    let handed_over = |root: &Path| {
        if *CAN_BECOME_OTHERS {
            hand_over(root, 4711, NONROOT.volume);
        }
    };
    Case::instances([
        ("on an empty volume", of(NONROOT, Versions::new().fresh())),
        ("after an earlier run", of(NONROOT, Versions::new().upgrade())),
        ("as a user that was made up", of(RANDOM, Versions::new().upgrade())),
        ("after another user's run", of(NONROOT, Versions::new().upgrade().arranged(handed_over))),
    ])
}

fn hand_over(path: &Path, uid: u32, gid: u32) {
    let meta = fs::symlink_metadata(path).unwrap();
    if path.file_name().is_some_and(|name| name != "plugins") {
        chown(path, Some(uid), Some(gid)).unwrap();
    }
    let mode = meta.mode() & 0o7777;
    fs::set_permissions(path, Permissions::from_mode(if meta.is_dir() { mode | 0o2770 } else { mode | 0o660 }))
        .unwrap();
    if meta.is_dir() {
        for item in fs::read_dir(path).unwrap() {
            hand_over(&item.unwrap().path(), uid, gid);
        }
    }
}

fn asks_for_no_owner(seen: &Seen) -> Result<(), String> {
    let is_wrong = |call: &&String| call.contains("chown") || call.contains(" EPERM ");
    match seen.calls.iter().find(is_wrong) {
        Some(call) => Err(format!("asked for what is not its own to do: {call}")),
        None => Ok(()),
    }
}

fn belongs_to(seen: &Seen, user: User) -> Result<(), String> {
    if !*CAN_BECOME_OTHERS {
        return Ok(());
    }
    let meta = fs::metadata(seen.on_root(DEST).join("package.json")).map_err(|error| error.to_string())?;
    let (found, expected) = ((meta.uid(), meta.gid()), (user.uid, user.volume));
    if found == expected { Ok(()) } else { Err(format!("expected owners {expected:?}, found {found:?}")) }
}

/// Folders that their own owner may not write to cannot be emptied as they are.
pub(super) fn read_only_folders() -> Case {
    type Lock = fn(&Path);
    let locks: [(&str, Lock); 5] = [
        ("a folder inside", |root| set_mode(&root.join(DEST).join("dist"), 0o555)),
        ("the folder itself", |root| set_mode(&root.join(DEST), 0o555)),
        ("all of it", |root| {
            for (path, mode) in [("dist/3.js", 0o444), ("dist", 0o555), ("", 0o555)] {
                set_mode(&root.join(DEST).join(path), mode);
            }
        }),
        ("nobody may look inside", |root| set_mode(&root.join(DEST).join("dist"), 0o000)),
        ("the one that goes", |root| {
            for path in ["gone-dynamic/dist", "gone-dynamic"] {
                set_mode(&root.join(path), 0o555);
            }
        }),
    ];
    let of = |user: Option<User>| {
        locks.map(|(name, lock)| {
            let case = Case { user, ..Versions::new().upgrade().arranged(lock) };
            (name, case.holds(is_upgraded).holds(next_is_idle))
        })
    };
    Case::instances(of(Some(NONROOT)).into_iter().chain(of(None)))
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// More files than may be open at once, in few folders and in deep ones, and more plugins than that.
pub(super) fn few_descriptors() -> Case {
    static MANY: LazyLock<Vec<u8>> = LazyLock::new(|| super::trouble::of_files(10_000));
    static DEEP: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let folders = (0..60).map(|depth| "d/".repeat(depth));
        folders.fold(plugin(NEW), |plugin, folder| plugin.file(&format!("{folder}deep.js"), "//")).tarball()
    });
    let shell = "ulimit -n 64";
    let of = |artifact: &[u8]| {
        let launch = Launch { shell, ..Launch::default() };
        let case = Case { launch, ..Versions::new().upgrade_to(artifact) };
        case.holds(is_upgraded)
    };
    let mut versions = Versions::new();
    let names: Vec<_> = (0..80).map(|n| format!("small-{n}")).collect();
    let small: Vec<_> = names
        .iter()
        .map(|name| versions.net.push(&format!("{name}:1.0.0"), &Plugin::backend(name).file("dist/extra.js", "//")))
        .collect();
    let launch = Launch { shell, flags: &["--jobs=16"], ..Launch::default() };
    let several = Case { launch, ..in_memory(versions.net, list(&small)) };
    let several =
        several.holds(|seen| match seen.after.visible.iter().filter(|line| line.contains("/package.json ")).count() {
            80 => Ok(()),
            found => Err(format!("expected 80 plugins, found {found}")),
        });
    Case::instances([("10,000 files", of(&MANY)), ("60 folders deep", of(&DEEP)), ("80 plugins", several)])
}
