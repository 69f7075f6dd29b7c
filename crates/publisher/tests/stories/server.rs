//! `push` to an https server: the same hand-over for those who have no registry.

use std::sync::{Arc, Mutex};

use testkit::{Ca, HttpServer, Reply, sri};

use crate::desk::Desk;

/// A server that keeps what is put there, under TLS, for one token.
struct Shelf {
    ca: Ca,
    server: HttpServer,
    kept: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Shelf {
    fn new() -> Self {
        let kept = Arc::new(Mutex::new(None::<Vec<u8>>));
        let shelf = Arc::clone(&kept);
        let ca = Ca::new();
        let server = HttpServer::builder().tls(&ca).start(move |request| {
            if request.header("authorization") != Some("Bearer s3cret") {
                return Reply::status(401);
            }
            let mut kept = shelf.lock().unwrap();
            match request.method.as_str() {
                "PUT" | "POST" => {
                    *kept = Some(request.body.to_vec());
                    Reply::status(201).header("location", "/files/hello.tgz")
                }
                _ => kept.clone().map_or(Reply::status(404), |bytes| Reply::ok().body(bytes)),
            }
        });
        Self { ca, server, kept }
    }

    fn desk(&self) -> Desk {
        let desk = Desk::new();
        desk.write("ca.pem", self.ca.pem());
        desk.write("token", "s3cret\n");
        desk
    }

    fn kept(&self) -> Vec<u8> {
        self.kept.lock().unwrap().clone().unwrap_or_default()
    }
}

#[test]
fn a_file_is_put_with_a_token_and_handed_over() {
    let shelf = Shelf::new();
    let desk = shelf.desk();
    let url = shelf.server.url("/up/hello.tgz");
    let arguments = ["push", "dist-dynamic", &url, "--ca-file", "ca.pem", "--token-file", "token"];
    let run = desk.run(&arguments).exits(0).keeps_quiet_about("s3cret");
    let integrity = sri(&shelf.kept());
    assert!(run.stdout.ends_with(&format!("- package: {url}\n      integrity: {integrity}\n")), "{}", run.stdout);
    assert!(run.stdout.contains("# source: https://git.example.com/acme/hello"), "{}", run.stdout);

    shelf.server.recorder().clear();
    desk.run(&arguments).exits(0);
    assert!(shelf.server.recorder().requests().iter().all(|request| request.method == "GET"), "it was there already");

    desk.write("dist-dynamic/more.js", "more");
    desk.run(&arguments).exits(1).says("error[tag_exists]").says(&integrity);
    desk.run(&[&arguments[..], &["--force"]].concat()).exits(0);
    assert_ne!(sri(&shelf.kept()), integrity);
}

#[test]
fn a_form_is_posted_and_the_answer_says_where_the_file_is() {
    let shelf = Shelf::new();
    let desk = shelf.desk();
    let integrity = desk.run(&["pack"]).exits(0).stdout;
    let url = shelf.server.url("/api/upload");
    let arguments = [
        "push",
        "package.tgz",
        &url,
        "--ca-file",
        "ca.pem",
        "--token-stdin",
        "--form",
        "multipart",
        "--field",
        "asset",
    ];
    let run = desk.run_with(&arguments, "s3cret\n", |command| command).exits(0);
    let expected = format!("- package: {}\n      integrity: {integrity}", shelf.server.url("/files/hello.tgz"));
    assert!(run.stdout.ends_with(&expected), "{}", run.stdout);

    let body = shelf.kept();
    let head = String::from_utf8_lossy(&body[..200]).into_owned();
    assert!(head.contains(r#"name="asset"; filename="acme-hello-dynamic-1.2.3.tgz""#), "{head}");
    let tarball = std::fs::read(desk.path("package.tgz")).unwrap();
    assert!(body.windows(tarball.len()).any(|window| window == tarball), "the file is in the form, byte for byte");
    let sent = shelf.server.recorder().requests();
    let boundary = sent[0].header("content-type").unwrap().split_once("boundary=").unwrap().1.to_owned();
    assert!(body.starts_with(format!("--{boundary}\r\n").as_bytes()));
    assert!(body.ends_with(format!("\r\n--{boundary}--\r\n").as_bytes()));
}

#[test]
fn answers_that_are_no_success_say_what_to_do() {
    let shelf = Shelf::new();
    let desk = shelf.desk();
    let url = shelf.server.url("/hello.tgz");
    let push = |more: &[&str]| desk.run(&[&["push", "dist-dynamic", &url, "--ca-file", "ca.pem"], more].concat());
    push(&[]).exits(1).says("error[push_failed]").says("401").says("--token-file");
    desk.write("token", "wrong");
    push(&["--token-file", "token"]).exits(1).says("use a token that may write there").keeps_quiet_about("wrong");

    let elsewhere = HttpServer::start(|_| Reply::ok());
    let there = elsewhere.url("/");
    let liar = HttpServer::builder().tls(&shelf.ca).start(move |_| Reply::redirect(307, &there));
    let run = desk.run(&["push", "dist-dynamic", &liar.url("/p.tgz"), "--ca-file", "ca.pem", "--token-file", "token"]);
    run.exits(1).says("error[push_failed]").says("redirect");
    assert!(elsewhere.recorder().requests().is_empty(), "neither token nor plugin goes where a server points");
}
