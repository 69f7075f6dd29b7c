//! Folders that the installer does not know, though it may have made them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use testkit::Plugin;

use super::{
    DEST, NEW, OLD, STATE, Versions, has_version, is_untouched, leaves_no_staging, next_is_idle, plugin, same,
};
use crate::bench::Seen;
use crate::case::Case;
use crate::logfmt::records;
use crate::placeholder::PLUG;

/// The state is gone or not to be read; what it listed is there.
pub(super) fn state_lost() -> Case {
    type Lose = fn(&Path);
    let losses: [(&str, Lose); 9] = [
        ("missing", |state| fs::remove_file(state).unwrap()),
        ("empty", |state| fs::write(state, "").unwrap()),
        ("cut short", |state| {
            let text = fs::read(state).unwrap();
            fs::write(state, &text[..text.len() - 20]).unwrap();
        }),
        ("cut after a line", |state| {
            let text = fs::read_to_string(state).unwrap();
            fs::write(state, text.split_inclusive('\n').next().unwrap()).unwrap();
        }),
        ("no JSON", |state| fs::write(state, "<!doctype html>\n").unwrap()),
        ("zeros", |state| fs::write(state, [0; 4096]).unwrap()),
        ("an endless line", |state| fs::write(state, "[".repeat(1_000_000)).unwrap()),
        ("of another format", |state| {
            let text = fs::read_to_string(state).unwrap();
            fs::write(state, text.replace("\"format\":", "\"format\":9")).unwrap();
        }),
        ("a link in its place", |state| {
            fs::rename(state, state.with_file_name("moved")).unwrap();
            symlink("moved", state).unwrap();
        }),
    ];
    let lost = |(name, lose): (&'static str, Lose)| {
        let case = Versions::new().upgrade().arranged(move |root| lose(&root.join(STATE)));
        (name, case.holds(|seen| is_adopted(seen, "gone-dynamic")).holds(next_is_idle))
    };
    let folder = Versions::new().upgrade().arranged(|root| {
        fs::remove_file(root.join(STATE)).unwrap();
        fs::create_dir(root.join(STATE)).unwrap();
    });
    let beside = Versions::new().upgrade().arranged(|root| fs::remove_file(root.join(STATE)).unwrap());
    let folder = beside.beside(folder, is_refused);
    Case::instances(losses.map(lost).into_iter().chain([("a folder in its place", folder)]))
}

/// That a name of ours is taken is told, and nothing is done.
fn is_refused(seen: &Seen) -> Result<(), String> {
    let told = records(&seen.stderr)?;
    match told.last() {
        Some(last) if seen.status == Some(3) && last.reason() == "root_unwritable" && last.field("hint").is_some() => {
            is_untouched(seen)
        }
        last => Err(format!("expected status 3 and a hint, found {:?} and {last:?}", seen.status)),
    }
}

/// That the plugin's folder was taken over and told so, and that another one was left and named.
fn is_adopted(seen: &Seen, other: &str) -> Result<(), String> {
    let records = records(&seen.stdout)?;
    let installed = records.iter().find(|record| record.event() == "plugin_installed").ok_or("nothing installed")?;
    if installed.field("adopted") != Some("true") {
        return Err(format!("expected adopted=true, found {installed:?}"));
    }
    has_version(seen, NEW)?;
    let of_other = |lines: &[String]| -> Vec<_> { lines.iter().filter(|line| line.contains(other)).cloned().collect() };
    same(&of_other(&seen.before.visible), &of_other(&seen.after.visible))?;
    if of_other(&seen.before.visible).is_empty() {
        return Err(format!("`{other}` was not there"));
    }
    let is_named = |line: &str| line.contains("level=WARN") && line.contains(other);
    if !seen.stdout.lines().any(is_named) {
        return Err(format!("no warning names `{other}`, which was left"));
    }
    leaves_no_staging(seen)
}

/// As the installers of other portals leave a root: no state of ours, a lock, hashes in the folders, a config.
pub(super) fn of_another_installer() -> Case {
    type Fill = fn(&Path);
    let fills: [(&str, Fill); 4] = [
        ("with a hash of the package", |root| {
            put(root, DEST, &plugin(OLD));
            fs::write(root.join(DEST).join("dynamic-plugin-config.hash"), "0a").unwrap();
            put(root, "theirs-dynamic", &Plugin::backend("theirs"));
            fs::write(root.join("install-dynamic-plugins.lock"), "").unwrap();
        }),
        ("with a hash of the image", |root| {
            put(root, DEST, &plugin(NEW));
            fs::write(root.join(DEST).join("dynamic-plugin-image.hash"), "0a").unwrap();
            put(root, "theirs-dynamic", &Plugin::backend("theirs"));
            fs::write(root.join("app-config.dynamic-plugins.yaml"), "dynamicPlugins: {}\n").unwrap();
        }),
        ("with more files", |root| {
            put(root, DEST, &plugin(NEW).file("node_modules/left-pad/index.js", "//"));
            put(root, "theirs-dynamic", &Plugin::backend("theirs"));
        }),
        ("with fewer files", |root| {
            put(root, DEST, &Plugin::backend(PLUG));
            put(root, "theirs-dynamic", &Plugin::backend("theirs"));
        }),
    ];
    Case::instances(fills.map(|(name, fill)| {
        let case = Versions::new().fresh().arranged(fill);
        let case = case.holds(|seen| is_adopted(seen, "theirs-dynamic")).holds(next_is_idle).holds(|seen| {
            let folder = seen.on_root(DEST);
            let names = ["dynamic-plugin-config.hash", "dynamic-plugin-image.hash", "node_modules"];
            let left = names.iter().find(|name| folder.join(name).exists());
            left.map_or(Ok(()), |name| Err(format!("`{name}` of another installer's is left")))
        });
        (name, case)
    }))
}

/// Unpacks a plugin as another program does.
fn put(root: &Path, folder: &str, plugin: &Plugin) {
    let into = root.join(folder);
    fs::create_dir(&into).unwrap();
    let archive = root.with_file_name("theirs.tgz");
    fs::write(&archive, plugin.tarball()).unwrap();
    let mut tar = Command::new("tar");
    let status = tar.args(["--extract", "--strip-components=1", "--file"]).arg(&archive).arg("--directory").arg(&into);
    assert!(status.status().unwrap().success());
    fs::remove_file(archive).unwrap();
}
