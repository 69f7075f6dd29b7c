//! `integrity`: what an operator would pin, of a file or of something published.

use testkit::{Ca, HttpServer, Plugin, Registry, Reply, sri};

use crate::desk::Desk;

#[test]
fn a_file_and_both_kinds_of_references_have_the_same_one() {
    let desk = Desk::new();
    let tarball = Plugin::backend("hello").tarball();
    let expected = format!("{}\n", sri(&tarball));
    desk.write("p.tgz", &tarball);
    assert_eq!(desk.run(&["integrity", "p.tgz"]).exits(0).stdout, expected);

    let registry = Registry::start();
    let pushed = registry.push("my-org/hello", "1", &tarball);
    assert_eq!(desk.run(&["integrity", &pushed.reference]).exits(0).stdout, expected);

    let ca = Ca::new();
    desk.write("ca.pem", ca.pem());
    let server = HttpServer::builder().tls(&ca).start(move |_| Reply::ok().body(tarball.clone()));
    let run = desk.run(&["integrity", &server.url("/p.tgz"), "--ca-file", "ca.pem"]);
    assert_eq!(run.exits(0).stdout, expected);
}

#[test]
fn a_check_says_both_values() {
    let desk = Desk::new();
    desk.write("p.tgz", "one");
    let (one, two) = (sri(b"one"), sri(b"two"));
    desk.run(&["integrity", "p.tgz", "--check", &one]).exits(0);
    let run = desk.run(&["integrity", "p.tgz", "--check", &two]).exits(1);
    assert_eq!(run.stdout, "");
    run.says("error[integrity_mismatch]").says(&one).says(&two);
    desk.run(&["integrity", "p.tgz", "--check", "sha256-abc"]).exits(2).says("error[usage]");
}

#[test]
fn what_is_not_there_is_named() {
    let desk = Desk::new();
    desk.run(&["integrity", "me:s3cret@r.example.com/a:1"]).exits(1).keeps_quiet_about("s3cret");
    desk.run(&["integrity", "missing.tgz"]).exits(1).says("`missing.tgz`");
    desk.run(&["integrity", "dist-dynamic"]).exits(1).says("expected a regular file");
    crate::desk::done(std::process::Command::new("mkfifo").arg(desk.path("pipe")));
    desk.run(&["integrity", "pipe"]).exits(1).says("expected a regular file");
    let registry = Registry::start();
    let reference = format!("oci://{}/my-org/missing:1", registry.host());
    desk.run(&["integrity", &reference]).exits(1).says("error[oci_pull_failed]").says("404");
    desk.run(&["integrity", "http://example.com/p.tgz"]).exits(2).says("error[usage]");
}
