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
    login(&desk, registry.host(), "pass word\n").exits(0).says("takes the login of `me`");
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
        vec!["login", "registry.example.com", "--username", "me", "--password-stdin=s3cret"],
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

#[test]
fn a_file_that_is_named_is_made_with_its_folders() {
    let registry = Registry::builder().auth(Auth::basic("me", "pass word")).start();
    let desk = Desk::new();
    let arguments = ["login", registry.host(), "-u", "me", "--password-stdin", "--registry-auth-file", "a/b/auth.json"];
    desk.run_with(&arguments, "pass word", |command| command).exits(0);
    let mode = |name: &str| desk.path(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("a"), mode("a/b"), mode("a/b/auth.json")), (0o700, 0o700, 0o600));
}

#[test]
fn a_file_that_others_could_read_no_longer_can() {
    let registry = Registry::builder().auth(Auth::basic("me", "pass word")).start();
    let desk = Desk::new();
    let path = desk.write(CONFIG, r#"{"big": 123456789012345678901234567890, "small": 1.10}"#);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    login(&desk, registry.host(), "pass word").exits(0);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let text = desk.read(CONFIG);
    assert!(text.contains("123456789012345678901234567890") && text.contains("1.10"), "{text}");
}

#[test]
fn logins_that_were_written_meanwhile_stay() {
    let registry = Registry::builder().auth(Auth::basic("me", "pass word")).start();
    let desk = Desk::new();
    let other = r#"{"auths": {"other.example.com": {"auth": "eDp5"}}}"#;
    let path = desk.write(CONFIG, "{}");
    registry.server().intercept(move |_, answer| {
        std::fs::write(&path, other).unwrap();
        answer()
    });
    login(&desk, registry.host(), "pass word").exits(0);
    assert_eq!(config(&desk)["auths"].as_object().unwrap().len(), 2);
}

#[test]
fn logout_forgets_what_it_can_when_a_helper_fails() {
    let desk = Desk::new();
    desk.write(CONFIG, r#"{"auths": {"r.example.com": {"auth": "dTpw"}}, "credsStore": "missing"}"#);
    desk.run(&["logout", "r.example.com"]).exits(1).says("docker-credential-missing");
    assert_eq!(config(&desk)["auths"], json!({}));
}

/// A terminal that `script` makes: what is typed is not shown, and whatever ends the program, it shows input again.
#[test]
fn a_terminal_is_left_as_it_was() {
    let registry = Registry::builder().auth(Auth::basic("me", "pass word")).start();
    let desk = Desk::new();
    let publisher = env!("CARGO_BIN_EXE_butler-plugin-publisher");
    let session = format!(
        "stty -a | grep -o -- '-*echo ' > before; \
         env --default-signal=INT {publisher} login {} -u me; \
         echo status $?; stty -a | grep -o -- '-*echo ' > after",
        registry.host()
    );
    // A shell has what it runs in the background ignore Ctrl-C, hence `env`. Types when it is asked for the password, and not before.
    let type_it = "rm -f in shown; mkfifo in; script -qefc \"$1\" shown < in > /dev/null & exec 3> in; \
                   until grep -q 'password or token' shown; do :; done; printf \"$2\" >&3; wait; cat shown";
    let typed = |input: &str| {
        let mut command = Command::new("sh");
        command.current_dir(desk.path(".")).env("HOME", desk.path("home"));
        let shown = done(command.args(["-c", type_it, "sh", &session, input]));
        assert_eq!(desk.read("before"), desk.read("after"), "{shown}");
        assert!(!shown.contains("pass word"), "{shown}");
        shown
    };
    assert!(typed("pass word\\n").contains("status 0"));
    // Ctrl-C
    assert!(typed("\\003").contains("status 130"));
}
