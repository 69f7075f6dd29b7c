//! `login` and `logout`: the file that docker, oras and skopeo read.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::{Value, json};
use testkit::{Auth, Ca, DockerRegistry, Registry};

use crate::desk::{Desk, done};

const CONFIG: &str = "home/.docker/config.json";

fn config(desk: &Desk) -> Value {
    serde_json::from_str(&desk.read(CONFIG)).unwrap()
}

fn login(desk: &Desk, host: &str, password: &str) -> crate::desk::Run {
    desk.run_with(&["login", host, "--username", "me", "--password-stdin"], password, |command| command)
        .keeps_quiet_about(password.trim())
}

#[test]
fn a_login_that_the_registry_accepts_is_kept_for_this_user_only() {
    let registry = Registry::builder().auth(Auth::bearer("me", "pass word")).start();
    let desk = Desk::new();
    login(&desk, registry.host(), "pass word\n").exits(0).says("accepts the login of `me`");
    let mode = |name: &str| desk.path(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(CONFIG), mode("home/.docker")), (0o600, 0o700));
    // `bWU6cGFzcyB3b3Jk` is me:pass word.
    assert_eq!(config(&desk), json!({"auths": {registry.host(): {"auth": "bWU6cGFzcyB3b3Jk"}}}));
    let reference = format!("oci://{}/acme/hello:1", registry.host());
    desk.run(&["push", "dist-dynamic", &reference]).exits(0);

    desk.run(&["logout", registry.host()]).exits(0).says("removed the login");
    assert_eq!(config(&desk), json!({"auths": {}}));
    desk.run(&["logout", registry.host()]).exits(0).says("no login");
}

#[test]
fn other_keys_and_logins_stay() {
    let registry = Registry::builder().auth(Auth::basic("me", "pass word")).start();
    let desk = Desk::new();
    desk.write(
        CONFIG,
        r#"{"auths": {"other.example.com": {"auth": "eDp5"}}, "psFormat": "table", "plugins": {"a": {}}}"#,
    );
    login(&desk, &format!("https://{}/", registry.host()), "pass word").exits(0);
    desk.run(&["logout", registry.host()]).exits(0);
    let expected = json!({"auths": {"other.example.com": {"auth": "eDp5"}}, "psFormat": "table", "plugins": {"a": {}}});
    assert_eq!(config(&desk), expected);
}

#[test]
fn a_wrong_password_is_not_kept() {
    let registry = Registry::builder().auth(Auth::basic("me", "pass word")).start();
    let desk = Desk::new();
    login(&desk, registry.host(), "wrong one").exits(1).says("error[login_failed]").says("401");
    assert!(!desk.path(CONFIG).exists());
    login(&desk, "registry.example.com/acme", "a password").exits(2).says("without a repository");
    desk.write(CONFIG, "[]");
    login(&desk, registry.host(), "pass word").exits(2).says("config.json");
    assert_eq!(desk.read(CONFIG), "[]", "a file of another form is left alone");
}

#[test]
fn a_credential_helper_keeps_the_logins_it_is_named_for() {
    let registry = Registry::builder().auth(Auth::basic("me", "pass word")).start();
    let desk = Desk::new();
    desk.write(CONFIG, json!({"credHelpers": {registry.host(): "made"}}).to_string());
    let script = "#!/bin/sh\ncase $1 in store) cat > \"$HOME/kept\";; erase) rm \"$HOME/kept\";; \
                  get) cat \"$HOME/kept\";; esac\n";
    // A program that another thread's child still holds open for writing cannot be run: another process writes it.
    let write = r#"mkdir bin; printf %s "$1" > bin/docker-credential-made && chmod 755 bin/docker-credential-made"#;
    done(Command::new("sh").current_dir(desk.path(".")).args(["-c", write, "sh", script]));
    let path = format!("{}:/usr/bin:/bin", desk.path("bin").display());
    let run = |arguments: &[&str], input: &str| desk.run_with(arguments, input, |command| command.env("PATH", &path));
    let arguments = ["login", registry.host(), "-u", "me", "--password-stdin"];
    run(&arguments, "pass word").exits(0).says("docker-credential-made").keeps_quiet_about("pass word");
    assert!(desk.read("home/kept").contains(r#""Username":"me""#));
    assert!(!desk.read(CONFIG).contains("auths"), "the file itself has no login");
    let reference = format!("oci://{}/acme/hello:1", registry.host());
    run(&["push", "dist-dynamic", &reference], "").exits(0);
    run(&["logout", registry.host()], "").exits(0);
    assert!(!desk.path("home/kept").exists());
}

#[test]
fn skopeo_uses_the_login() {
    let ca = Ca::new();
    let registry = DockerRegistry::locked(&ca);
    let desk = Desk::new();
    desk.write("ca/ca.crt", ca.pem());
    let arguments =
        ["login", registry.host(), "-u", DockerRegistry::USER, "--password-stdin", "--ca-file", "ca/ca.crt"];
    desk.run_with(&arguments, DockerRegistry::PASSWORD, |command| command).exits(0);
    let reference = format!("oci://{}/acme/hello:1", registry.host());
    desk.run(&["push", "dist-dynamic", &reference, "--ca-file", "ca/ca.crt"]).exits(0);
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["inspect", "--raw", "--authfile"]).arg(desk.path(CONFIG)).arg("--cert-dir").arg(desk.path("ca"));
    assert!(done(skopeo.arg(reference.replace("oci://", "docker://"))).contains("package.tgz"));
}

#[test]
fn a_password_on_the_command_line_is_refused_and_not_repeated() {
    let desk = Desk::new();
    for arguments in [
        vec!["login", "registry.example.com", "--username", "me", "--password", "s3cret"],
        vec!["login", "registry.example.com", "--username", "me", "--password=s3cret"],
        vec!["login", "registry.example.com", "--username", "me", "-p", "s3cret"],
        vec!["push", "dist-dynamic", "oci://registry.example.com/a:1", "--password", "s3cret"],
        vec!["--password", "s3cret", "logout", "registry.example.com"],
    ] {
        let run = desk.run(&arguments).exits(2).keeps_quiet_about("s3cret");
        run.says("error[usage]: a password on the command line").says("--password-stdin");
    }
    desk.run(&["login", "registry.example.com", "--username", "me"]).exits(2).says("--password-stdin");
}
