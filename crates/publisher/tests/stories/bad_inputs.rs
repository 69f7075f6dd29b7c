//! Bad input, a row of `fixtures/bad-inputs.tsv` each, through the real binary: the right outcome, for the right
//! reason, and with everything kept that the row says must hold. A new row is a new test, or fails for want of one.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use testkit::{Auth, HttpServer, Registry, Reply, Uploads};

use crate::desk::{Desk, Run, done};

const TABLE: &str = include_str!("../../../../fixtures/bad-inputs.tsv");

/// What a row expects, and what its input is.
struct Row<'t> {
    id: &'t str,
    input: &'t str,
    expect: &'t str,
    reason: &'t str,
    /// What must hold beside the outcome.
    note: &'t str,
}

/// Plays a row's input, and insists on what the row says must hold beside its outcome.
type Scene = fn(&Row<'_>) -> Run;

const SCENES: [(&str, Scene); 10] = [
    ("symlink in dist-dynamic that leaves the tree", link_that_leaves),
    ("socket or FIFO in the tree", special_file),
    ("packing the same tree twice, other mtimes, other umask", packed_twice),
    (".env, .npmrc, id_rsa in the tree", secret_files),
    ("package.json missing", no_package_json),
    ("upload Location on another host", upload_elsewhere),
    ("tag exists with another digest", taken_tag),
    ("registry stores other bytes (digest of the PUT differs)", other_bytes),
    ("password on the command line", password_typed),
    ("file changes while it is hashed", changing_file),
];

fn rows(table: &str) -> Vec<Row<'_>> {
    table
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .filter(|cells| cells.get(1) == Some(&"publisher"))
        .map(|cells| Row { id: cells[0], input: cells[3], expect: cells[5], reason: cells[6], note: cells[8] })
        .collect()
}

/// What is wrong with a row's run, if anything.
fn problem(row: &Row<'_>, run: &Run) -> Option<String> {
    let Row { id, expect, reason, .. } = row;
    let ends = match (*expect, run.status) {
        ("accept", Some(0)) | ("reject", Some(1 | 2)) => true,
        ("accept" | "reject", _) => false,
        (other, _) => return Some(format!("{id}: `{other}` is no outcome")),
    };
    let says = *expect == "accept" || run.stderr.contains(&format!("error[{reason}]: "));
    (!ends || !says).then(|| format!("{id}: expected {expect} {reason}, found {run:?}"))
}

#[test]
fn publisher_rows_hold() {
    let mut problems = Vec::new();
    let rows = rows(TABLE);
    assert!(rows.len() >= SCENES.len(), "{} rows", rows.len());
    for row in &rows {
        match SCENES.iter().find(|(input, _)| *input == row.input) {
            Some((_, scene)) => problems.extend(problem(row, &scene(row))),
            None => problems.push(format!("{}: nothing plays `{}`", row.id, row.input)),
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

/// A test that cannot fail proves nothing.
#[test]
fn rows_that_do_not_hold_are_reported() {
    let run = |status, stderr: &str| Run { stdout: String::new(), stderr: stderr.to_owned(), status: Some(status) };
    let row = |expect, reason| Row { id: "ZZ01", input: "", expect, reason, note: "" };
    for (row, run, holds) in [
        (row("reject", "tag_exists"), run(1, "error[tag_exists]: x"), true),
        (row("reject", "tag_exists"), run(1, "error[push_failed]: x"), false),
        (row("reject", "tag_exists"), run(0, "error[tag_exists]: x"), false),
        (row("reject", "usage"), run(2, "error[usage]: x"), true),
        (row("reject", "usage"), run(101, "error[usage]: x"), false),
        (row("accept", ""), run(0, ""), true),
        (row("accept", ""), run(1, ""), false),
        (row("warn", ""), run(0, ""), false),
    ] {
        assert_eq!(problem(&row, &run).is_none(), holds, "{} {} {run:?}", row.expect, row.reason);
    }
}

/// A row must promise what its scene insists on, word for word.
#[track_caller]
fn promises(row: &Row<'_>, words: &str) {
    assert_eq!(row.note, words, "{}", row.id);
}

fn link_that_leaves(row: &Row<'_>) -> Run {
    promises(row, "never dereferenced silently");
    let desk = Desk::new();
    desk.write("outside.txt", "outside");
    for (name, target) in
        [("up", "../outside.txt"), ("absolute", "/etc/hostname"), ("deep/up", "../../outside.txt"), ("round", "round")]
    {
        let link = desk.path("dist-dynamic").join(name);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(target, &link).unwrap();
        let run = desk.run(&["pack"]).exits(1).says("error[pack_unsafe_entry]").says(name);
        assert!(!desk.path("package.tgz").exists(), "{run:?}");
        fs::remove_file(link).unwrap();
    }
    symlink("../outside.txt", desk.path("dist-dynamic/up")).unwrap();
    symlink("deep", desk.path("dist-dynamic/inner")).unwrap();
    desk.run(&["pack"]).says("up")
}

fn special_file(row: &Row<'_>) -> Run {
    promises(row, "");
    let desk = Desk::new();
    let socket = desk.path("dist-dynamic/socket");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    desk.run(&["pack"]).exits(1).says("error[pack_unsafe_entry]").says("socket");
    drop(listener);
    fs::remove_file(socket).unwrap();
    done(Command::new("mkfifo").arg(desk.path("dist-dynamic/pipe")));
    desk.run(&["pack"]).says("pipe")
}

fn packed_twice(row: &Row<'_>) -> Run {
    promises(row, "same bytes, same integrity");
    let desk = Desk::new();
    let first = desk.run(&["pack"]).exits(0);
    let bytes = fs::read(desk.path("package.tgz")).unwrap();
    let other = Desk::new();
    let again = "umask 077; cp -r dist-dynamic copy; find copy -exec touch -h -d '1999-01-01' {} +; \
                 chmod -R g-rwx,o-rwx copy; rm -r dist-dynamic; mv copy dist-dynamic";
    done(Command::new("sh").current_dir(other.path(".")).args(["-c", again]));
    let second = other.run(&["pack"]).exits(0);
    assert_eq!(second.stdout, first.stdout);
    assert_eq!(fs::read(other.path("package.tgz")).unwrap(), bytes);
    second
}

fn secret_files(row: &Row<'_>) -> Run {
    promises(row, "unless --allow-secret-files; the message names each file");
    let desk = Desk::new();
    for name in [".env", "dist/.npmrc", "node_modules/is-even/id_rsa"] {
        desk.write(&format!("dist-dynamic/{name}"), "token=s3cret");
    }
    let run = desk.run(&["pack"]).says(".env").says("dist/.npmrc").says("node_modules/is-even/id_rsa");
    assert!(!desk.path("package.tgz").exists());
    desk.run(&["pack", "--allow-secret-files"]).exits(0);
    run.keeps_quiet_about("s3cret")
}

fn no_package_json(row: &Row<'_>) -> Run {
    promises(row, "");
    let desk = Desk::new();
    fs::remove_file(desk.path("dist-dynamic/package.json")).unwrap();
    desk.run(&["pack"])
}

fn upload_elsewhere(row: &Row<'_>) -> Run {
    promises(row, "CVE-2026-50151: no credentials there");
    let elsewhere = HttpServer::start(|_| Reply::status(201));
    let registry = Registry::builder()
        .auth(Auth::basic("me", "s3cret"))
        .uploads(Uploads::At(elsewhere.origin().to_owned()))
        .start();
    let desk = Desk::new();
    desk.write("home/.docker/config.json", registry.docker_config());
    let run = desk.run(&["push", "dist-dynamic", &format!("oci://{}/acme/hello:1", registry.host())]);
    assert!(elsewhere.recorder().requests().is_empty(), "neither credentials nor bytes go there");
    run
}

fn taken_tag(row: &Row<'_>) -> Run {
    promises(row, "unless forced");
    let registry = Registry::start();
    let desk = Desk::new();
    let reference = format!("oci://{}/acme/hello:1", registry.host());
    desk.run(&["push", "dist-dynamic", &reference]).exits(0);
    let before = registry.manifest("acme/hello", "1");
    desk.write("dist-dynamic/dist/more.js", "more");
    let run = desk.run(&["push", "dist-dynamic", &reference]);
    assert_eq!(registry.manifest("acme/hello", "1"), before);
    desk.run(&["push", "dist-dynamic", &reference, "--force"]).exits(0);
    assert_ne!(registry.manifest("acme/hello", "1"), before);
    run
}

fn other_bytes(row: &Row<'_>) -> Run {
    promises(row, "");
    let registry = Registry::builder().uploads(Uploads::OtherBytes).start();
    let run = Desk::new().run(&["push", "dist-dynamic", &format!("oci://{}/acme/hello:1", registry.host())]);
    assert!(registry.manifest("acme/hello", "1").is_none(), "no tag is written");
    run
}

fn password_typed(row: &Row<'_>) -> Run {
    promises(row, "stdin or config only");
    let desk = Desk::new();
    let push = |flag: &str| desk.run(&["push", "dist-dynamic", "oci://r.example.com/a:1", flag, "s3cret"]);
    push("-p").exits(2).keeps_quiet_about("s3cret");
    push("--password").exits(2).keeps_quiet_about("s3cret").says("--password-stdin")
}

/// A file that another process writes to all the time. Whether it is caught at it is not left to chance: the file is
/// large enough that it cannot be read between two writes.
fn changing_file(row: &Row<'_>) -> Run {
    promises(row, "");
    let desk = Desk::new();
    fs::File::create(desk.path("growing.tgz")).unwrap().set_len(64 << 20).unwrap();
    let mut writer = Command::new("sh")
        .current_dir(desk.path("."))
        .args(["-c", "while :; do printf x >> growing.tgz; done"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let run = desk.run(&["integrity", "growing.tgz"]);
    drop(writer.kill());
    drop(writer.wait());
    run
}
