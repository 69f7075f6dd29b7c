//! The installer keeps what the rows promise, so what is seen of it is doctored before the judge sees it: each change
//! must be reported for the reason given.

use std::time::Duration;
use std::{fs, thread};

use testkit::Request;

use super::{DEST, filesystem};
use crate::bench::{self, CAN_TRACE, Seen, Streams};
use crate::judge;
use crate::launch::CAN_MOUNT;

type Doctor = fn(&mut Seen);

const BROKEN: [(&str, &str, Doctor); 33] = [
    ("PX01", "run 0 was to be killed", |seen| seen.earlier[0].told.status = Some(0)),
    ("PX01", "`plug-dynamic` was half", |seen| seen.earlier[0].after.visible.retain(|line| !line.contains("/3.js"))),
    ("PX01", "a portal may see it", |seen| seen.earlier[0].after.staging.push(staged("package.json"))),
    ("PX01", "a portal may see it", |seen| seen.earlier[0].after.staging.push(staged("run-1/package.json"))),
    ("PX01", "expected `2.0.0` in `3.js`", |seen| fs::write(seen.on_root(DEST).join("dist/3.js"), "1.0.0").unwrap()),
    ("PX01", "listed no more is there", |seen| fs::create_dir(seen.on_root("gone-dynamic")).unwrap()),
    ("PX01", "waited for a lock", |seen| add(&mut seen.stdout, "level=WARN event=warning reason=lock_wait")),
    ("PX01", "staging is left", |seen| seen.after.staging.push(staged("run-1"))),
    ("PX01", "the next run was not idle", |seen| fs::write(seen.on_root(DEST).join("more"), "").unwrap()),
    ("PX02", "came between the halves", |seen| {
        seen.earlier[0].after.visible.push("0755 dir volume/plugins/plug-dynamic 0:0 1.0".to_owned());
    }),
    ("PX02", "was asked for", |seen| seen.requests.push(request())),
    ("PX03", "no warning says `files_changed`", |seen| seen.stdout = seen.stdout.replace("files_changed", "other")),
    ("PX05", "another installer failed", |seen| seen.others[0].status = Some(1)),
    ("PX05", "expected two installations", |seen| seen.others[0].stdout.clear()),
    ("PX06", "changed on the volume", |seen| seen.after.staging.clear()),
    ("PX06", "the holder had not begun", |seen| seen.before.staging.clear()),
    ("PX06", "expected `portal-7c9f`", |seen| seen.stderr = seen.stderr.replace("portal-7c9f", "somebody")),
    ("PX07", "no fault came", |seen| seen.calls.clear()),
    ("PX07", "no warning says `lock_unsupported`", |seen| seen.stdout = seen.stdout.replace("lock_unsupported", "x")),
    ("PX08", "within", |seen| seen.stopped_after = Some(Duration::from_secs(6))),
    ("PX08", "expected status 143", |seen| seen.status = Some(130)),
    ("PX08", "changed on the volume", |seen| seen.after.visible.clear()),
    ("PX08", "the next run failed", |seen| fs::remove_dir_all(seen.on_root("")).unwrap()),
    ("PX10", "staging is left", |seen| seen.after.staging.push(staged("run-1"))),
    ("PX14", "changed on the volume", |seen| seen.after.outside.clear()),
    ("PX15", "crossed devices", |seen| seen.calls.push("1 renameat() = -1 EXDEV (…)".to_owned())),
    ("PX17", "not everybody may read it", |seen| seen.after.visible.push("0640 file a 0:0 1.0".to_owned())),
    ("PX18", "not its own to do", |seen| seen.calls.push("1 fchownat(…) = 0".to_owned())),
    ("PX20", "asked for", |seen| seen.requests.push(request())),
    ("PX20", "to be skipped, found 0", |seen| seen.stdout = seen.stdout.replace("unchanged", "disabled")),
    ("PX24", "expected installed=2 rejected=1", |seen| seen.stdout = seen.stdout.replace("installed=2", "installed=1")),
    ("PX25", "expected two aborted", |seen| seen.stdout = seen.stdout.replace("aborted", "disabled")),
    ("PX28", "expected [\"plug-dynamic\"] on the root", |seen| fs::create_dir(seen.on_root("more")).unwrap()),
];

#[test]
fn promises_about_the_volume_that_are_broken_are_reported() {
    if !*CAN_TRACE || !*CAN_MOUNT {
        return;
    }
    let check = |id: &str, said: &str, doctor: Doctor| {
        let row = crate::rows().into_iter().find(|row| row.id == id).unwrap();
        let case = filesystem(&row).unwrap();
        let mut seen = bench::run(&case, case.modes[0], Streams::Captured);
        doctor(&mut seen);
        let problems = judge::problems(&row, &case, &seen);
        assert!(problems.iter().any(|problem| problem.contains(said)), "{id}: expected `{said}`, found {problems:#?}");
    };
    thread::scope(|scope| {
        for some in BROKEN.chunks(BROKEN.len().div_ceil(4)) {
            scope.spawn(move || some.iter().for_each(|(id, said, doctor)| check(id, said, *doctor)));
        }
    });
}

fn staged(path: &str) -> String {
    format!("0644 file volume/plugins/.butler-plugins.staging/{path} 0a 0:0 1.0")
}

/// Puts a record before all others.
fn add(log: &mut String, record: &str) {
    log.insert_str(0, &format!("ts=2026-01-02T03:04:05Z {record}\n"));
}

fn request() -> Request {
    Request {
        origin: "https://reg.example.com".into(),
        method: "GET".to_owned(),
        path: "/v2/".to_owned(),
        query: String::new(),
        headers: Vec::new(),
        body: [].into(),
    }
}
