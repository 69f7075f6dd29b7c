//! What the installer knows of the volume, and what becomes of a run when it is more, less or something else.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use testkit::{OCI_MANIFEST, Plugin, Reply, sri};

use super::{
    DEST, NEW, OLD, Versions, has_version, in_memory, is_untouched, is_upgraded, leaves_no_staging, list, next_is_idle,
    plugin, warns,
};
use crate::bench::{Mode, Seen};
use crate::case::{Case, Entry, Listing};
use crate::launch::Launch;
use crate::logfmt::records;
use crate::net::{ARTIFACTS, Net, REGISTRY, named};
use crate::oci::is_manifest;
use crate::placeholder::evil;

/// Nothing has changed: in the file, or but for its order.
pub(super) fn unchanged() -> Case {
    let plain = Versions::new().repeated();
    let mut versions = Versions::new();
    let more = versions.net.push("more:1.0.0", &Plugin::backend("more"));
    let case = in_memory(versions.net, list([&more, &versions.new])).after(list([&versions.new, &more]));
    Case::instances([("as it was", stays(plain)), ("in another order", stays(case))])
}

fn stays(case: Case) -> Case {
    let inode = |root: &Path| fs::metadata(root.join(DEST)).map(|meta| meta.ino()).unwrap_or_default();
    let before = Arc::new(Mutex::new(0));
    let noted = Arc::clone(&before);
    case.arranged(move |root| *noted.lock().unwrap() = inode(root)).holds(is_untouched).holds(move |seen| {
        let skipped = records(&seen.stdout)?.into_iter().filter(|record| record.event() == "plugin_skipped");
        let skipped = skipped.filter(|record| record.reason() == "unchanged").count();
        let listed = content_count(seen);
        match (&seen.requests[..], *before.lock().unwrap() == inode(&seen.on_root(""))) {
            _ if skipped != listed => Err(format!("expected {listed} plugins to be skipped, found {skipped}")),
            ([request, ..], _) => Err(format!("asked for {}", request.path)),
            ([], false) => Err("the folder is another one".to_owned()),
            ([], true) => Ok(()),
        }
    })
}

/// How many plugins are visible.
fn content_count(seen: &Seen) -> usize {
    seen.after.visible.iter().filter(|line| line.contains("-dynamic/package.json ")).count()
}

pub(super) fn tampered() -> Case {
    type Tamper = fn(&Path);
    let tampers: [(&str, Tamper); 9] = [
        ("other content", |plugin| fs::write(plugin.join("dist/3.js"), "steal()").unwrap()),
        ("content of the same length", |plugin| fs::write(plugin.join("dist/3.js"), "9.0.0").unwrap()),
        ("content of the same length and age", |plugin| {
            let path = plugin.join("dist/3.js");
            let modified = fs::metadata(&path).unwrap().modified().unwrap();
            fs::write(&path, "9.0.0").unwrap();
            fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        }),
        ("a file more", |plugin| fs::write(plugin.join("dist/extra.js"), "").unwrap()),
        ("a file less", |plugin| fs::remove_file(plugin.join("dist/3.js")).unwrap()),
        ("a file under another name", |plugin| fs::rename(plugin.join("dist/3.js"), plugin.join("dist/x.js")).unwrap()),
        ("a link for a file", |plugin| {
            fs::rename(plugin.join("dist/3.js"), plugin.with_file_name("moved")).unwrap();
            symlink("../../moved", plugin.join("dist/3.js")).unwrap();
        }),
        ("a link for a folder", |plugin| {
            fs::rename(plugin.join("dist"), plugin.with_file_name("moved")).unwrap();
            symlink("../moved", plugin.join("dist")).unwrap();
        }),
        ("another name in the manifest", |plugin| {
            let manifest = fs::read_to_string(plugin.join("package.json")).unwrap();
            fs::write(plugin.join("package.json"), manifest.replace("\"plug\"", "\"evil\"")).unwrap();
        }),
    ];
    Case::instances(tampers.map(|(name, tamper)| {
        let case = Versions::new().repeated().arranged(move |root| tamper(&root.join(DEST)));
        let case = case.holds(|seen| warns(seen, "files_changed")).holds(|seen| has_version(seen, NEW));
        let case = case.holds(|seen| {
            let extra = ["dist/extra.js", "dist/x.js"].iter().find(|name| seen.on_root(DEST).join(name).exists());
            extra.map_or(Ok(()), |name| Err(format!("`{name}` is still there")))
        });
        (name, case.holds(leaves_no_staging).holds(next_is_idle))
    }))
}

/// The same reference, published anew and pinned anew; a reader looks all the while.
pub(super) fn same_tag() -> Case {
    let is_new = Arc::new(AtomicBool::new(false));
    let mut net = Net::new();
    let registry = net.registry(named(REGISTRY));
    let old = registry.push("my-org/plug", "1.0.0", &plugin(OLD).tarball());
    let old_manifest = registry.manifest("my-org/plug", "1.0.0").expect("it was pushed");
    let new = registry.push("my-org/plug", "1.0.0", &plugin(NEW).tarball());
    registry.server().intercept({
        let is_new = Arc::clone(&is_new);
        move |request, answer| {
            if is_manifest(request) && !is_new.load(Ordering::SeqCst) {
                return Reply::ok().header("content-type", OCI_MANIFEST).body(old_manifest.to_vec());
            }
            answer()
        }
    });
    let oci = in_memory(net, Listing::of([Entry::new(&new.reference, &new.integrity)]));
    let oci = oci.after(Listing::of([Entry::new(&old.reference, &old.integrity)]));
    let oci = oci.arranged(move |_| is_new.store(true, Ordering::SeqCst));

    let is_new = Arc::new(AtomicBool::new(false));
    let bytes = [plugin(OLD).tarball(), plugin(NEW).tarball()];
    let [old, new] = bytes.each_ref().map(|bytes| sri(bytes));
    let mut net = Net::new();
    net.https(ARTIFACTS, {
        let is_new = Arc::clone(&is_new);
        move |_| Reply::ok().body(bytes[usize::from(is_new.load(Ordering::SeqCst))].clone())
    });
    let entry =
        |integrity: &str| Listing::of([Entry::new(&format!("https://{ARTIFACTS}/plugins/plug.tgz"), integrity)]);
    let https = in_memory(net, entry(&new)).after(entry(&old));
    let https = https.arranged(move |_| is_new.store(true, Ordering::SeqCst));
    Case::instances([("a tag", read_all_the_while(oci)), ("a file", read_all_the_while(https))])
}

/// That a reader finds the plugin at any time, in one version or the other.
fn read_all_the_while(case: Case) -> Case {
    let wrong = Arc::new(Mutex::new(None));
    let noted = Arc::clone(&wrong);
    let launch = Launch::beside(move |running| {
        let folder = running.root.join(DEST);
        while !running.has_ended() {
            match fs::read_to_string(folder.join("package.json")) {
                Ok(manifest) if manifest.contains(OLD) || manifest.contains(NEW) => {}
                found => *noted.lock().unwrap() = Some(format!("a reader found {found:?}")),
            }
        }
    });
    let case = Case { launch, ..case }.holds(move |_| wrong.lock().unwrap().clone().map_or(Ok(()), Err));
    case.holds(is_upgraded).holds(next_is_idle)
}

/// Three, and the second one is rejected, for reasons of every stage; the order is that of the file.
fn three(mode: &'static [Mode], check: fn(&Seen, &str) -> Result<(), String>) -> Case {
    type Bad = fn(&mut Versions) -> Entry;
    let bad: [(&str, Bad); 5] = [
        ("integrity_mismatch", |versions| Entry::new(&versions.new.package, &sri(b"other"))),
        ("source_not_allowed", |versions| Entry::new("oci://reg.example.com/evil/plug:1", &versions.new.integrity)),
        ("oci_pull_failed", |versions| Entry::new("oci://reg.example.com/my-org/nothing:1", &versions.new.integrity)),
        ("integrity_missing", |versions| Entry(vec![format!("package: {}", versions.new.package)])),
        ("archive_unsafe_entry", |versions| {
            Entry::from(&versions.net.serve("oci://reg.example.com/my-org/evil:1", &evil()))
        }),
    ];
    Case::instances(bad.map(|(reason, entry)| {
        let mut versions = Versions::new();
        let of = |net: &mut Net, name: &str, version: &str| {
            net.push(&format!("{name}:{version}"), &Plugin::backend(name).version(version))
        };
        let old = ["one", "three"].map(|name| of(&mut versions.net, name, OLD));
        let new = ["one", "three"].map(|name| of(&mut versions.net, name, NEW));
        let bad = entry(&mut versions);
        let listing = Listing::of([Entry::from(&new[0]), bad, Entry::from(&new[1])]);
        let before = list([&old[0], &versions.old, &old[1]]);
        let case = Case { modes: mode, ..in_memory(versions.net, listing) }.after(before);
        (reason, case.holds(move |seen| check(seen, reason)).holds(leaves_no_staging))
    }))
}

pub(super) fn goes_on() -> Case {
    three(&[Mode::FailOpen], |seen, reason| {
        let out = records(&seen.stdout)?;
        let last = out.last().ok_or("no last record")?;
        let counts = ["installed", "rejected"].map(|key| last.field(key).unwrap_or_default().to_owned());
        if counts != ["2", "1"] {
            return Err(format!("expected installed=2 rejected=1, found {last:?}"));
        }
        has_reason(seen, reason)?;
        if seen.on_root(DEST).exists() {
            return Err("a rejected plugin is there".to_owned());
        }
        for folder in ["one-dynamic", "three-dynamic"] {
            if !fs::read_to_string(seen.on_root(folder).join("package.json")).unwrap_or_default().contains(NEW) {
                return Err(format!("the new version is not at `{folder}`"));
            }
        }
        Ok(())
    })
}

pub(super) fn aborts() -> Case {
    three(&[Mode::FailClosed], |seen, reason| {
        has_reason(seen, reason)?;
        let skipped = records(&seen.stdout)?.into_iter().filter(|record| record.reason() == "aborted").count();
        if skipped != 2 {
            return Err(format!("expected two aborted plugins, found {skipped}"));
        }
        is_untouched(seen)
    })
}

fn has_reason(seen: &Seen, reason: &str) -> Result<(), String> {
    let found = crate::judge::rejection(seen)?;
    if found.reason() == reason { Ok(()) } else { Err(format!("expected `{reason}`, found {found:?}")) }
}
