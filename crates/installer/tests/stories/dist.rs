//! The image's binary as the chart's pod runs it: nobody's user, nothing in the environment, a read-only working folder
//! and a volume that is writable through `fsGroup` only.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::Registry;

use crate::portal::{OnReject, Portal, copy, entry, publish};

/// The user and the group of the image.
const NONROOT: u32 = 65532;
/// The `fsGroup` of the pod.
const VOLUME: u32 = 2000;

/// A pod's view: a portal whose binary and files anyone may read.
struct Pod {
    portal: Portal,
    binary: PathBuf,
}

impl Pod {
    /// Prepares one, or says why that is not possible here.
    fn new(entries: &[String], root_mode: u32, root_group: u32) -> Option<Self> {
        let portal = Portal::listing(OnReject::Abort, entries);
        if fs::metadata(portal.root()).unwrap().uid() != 0 {
            println!("skipped: only root can become another user");
            return None;
        }
        let binary = portal.path("installer");
        copy(&built(), &binary);
        let cwd = portal.path("cwd");
        fs::create_dir(&cwd).unwrap();
        for (path, mode) in
            [(portal.path("."), 0o755), (cwd, 0o555), (binary.clone(), 0o755), (portal.root(), root_mode)]
        {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        chown(portal.root(), Some(0), Some(root_group)).unwrap();
        // Changing the group takes the setgid bit away.
        fs::set_permissions(portal.root(), Permissions::from_mode(root_mode)).unwrap();
        Some(Self { portal, binary })
    }

    /// The installer as the pod's security context starts it.
    fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args([format!("--reuid={NONROOT}"), format!("--regid={NONROOT}"), format!("--groups={VOLUME}")])
            .args(["--inh-caps=-all", "--no-new-privs", "/usr/bin/env", "-i"])
            .arg(&self.binary)
            .args(self.portal.command().get_args())
            .current_dir(self.portal.path("cwd"));
        command
    }
}

/// The static binary that `cargo xtask test` built, or in a plain `cargo test` the one of this build.
pub(crate) fn built() -> PathBuf {
    std::env::var_os("BUTLER_DIST").map_or_else(
        || {
            println!("not the static binary: `cargo xtask test` builds it and runs this story with it");
            PathBuf::from(env!("CARGO_BIN_EXE_butler-plugin-installer"))
        },
        |dist| Path::new(&dist).join("butler-plugin-installer"),
    )
}

#[test]
fn nonroot_user_installs_on_a_volume_of_its_group() {
    let registry = Registry::start();
    let hello = entry(&publish(&registry, "hello", "1")) + "    pluginConfig: { app: { title: Hello } }\n";
    let Some(pod) = Pod::new(&[hello], 0o2775, VOLUME) else { return };
    let run = pod.portal.run(pod.command()).exits(0);
    assert_eq!(run.stderr, "");
    assert_eq!(run.events(), ["plugin_installed hello:1 hello", "completed"]);
    let tree = pod.portal.tree().to_string();
    // A folder in a setgid folder is one as well, so that the portal's group stays the volume's.
    for line in [
        "0644 file app-config.dynamic-plugins.yaml ",
        "755 dir hello-dynamic\n",
        "755 dir hello-dynamic/dist\n",
        "0644 file hello-dynamic/dist/index.cjs.js ",
        "0644 file hello-dynamic/package.json ",
    ] {
        assert!(tree.contains(line), "no `{line}` in\n{tree}");
    }
    let installed = fs::metadata(pod.portal.root().join("hello-dynamic/package.json")).unwrap();
    assert_eq!((installed.uid(), installed.gid()), (NONROOT, VOLUME));
    let again = pod.portal.run(pod.command()).exits(0);
    assert_eq!(again.events(), ["plugin_skipped hello:1 unchanged", "completed"]);
}

#[test]
fn volume_of_another_group_is_told_with_what_to_set() {
    let registry = Registry::start();
    let Some(pod) = Pod::new(&[entry(&publish(&registry, "hello", "1"))], 0o755, 0) else { return };
    let run = pod.portal.run(pod.command()).exits(3).says("`fsGroup`");
    assert_eq!(run.events(), ["plugin_skipped hello:1 aborted", "fatal root_unwritable"]);
    assert_eq!(registry.recorder().requests(), []);
}
