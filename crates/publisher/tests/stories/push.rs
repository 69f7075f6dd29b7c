//! `push`: a plugin reaches a registry once, under as many tags as wanted, and never replaces another.

use serde_json::Value;
use testkit::{Auth, DockerRegistry, Registry, Reply, Uploads, docker_config, sri};

use crate::desk::Desk;

/// How many uploads a registry was asked to begin.
fn uploads(registry: &Registry) -> usize {
    registry.recorder().requests().iter().filter(|request| request.method == "POST").count()
}

fn manifest(registry: &Registry, repository: &str, tag: &str) -> Value {
    serde_json::from_slice(&registry.manifest(repository, tag).unwrap()).unwrap()
}

#[test]
fn what_is_missing_of_plugin_and_reference_is_named() {
    let desk = Desk::new();
    desk.run(&["push", "dist-dynamic"]).exits(2).says("<REFERENCE>\n");
    desk.run(&["push", "oci://r.example.com/acme/hello:1"]).exits(2).says("<PLUGIN>...\n");
}

#[test]
fn a_folder_is_packed_sent_once_and_tagged_as_often_as_asked() {
    let desk = Desk::new();
    let registry = Registry::start();
    let reference = format!("oci://{}/acme/hello:1.2.3,1.x", registry.host());
    let run = desk.run(&["push", "dist-dynamic", &reference, "--tag", "latest"]).exits(0);
    let integrity = desk.run(&["pack"]).stdout;
    let expected = format!(
        "dynamicPlugins:\n  plugins:\n    # source: https://git.example.com/acme/hello\n    \
         - package: oci://{}/acme/hello:1.2.3\n      integrity: {integrity}",
        registry.host()
    );
    assert_eq!(run.stdout, expected);

    let one = manifest(&registry, "acme/hello", "1.2.3");
    assert_eq!(manifest(&registry, "acme/hello", "1.x"), one);
    assert_eq!(manifest(&registry, "acme/hello", "latest"), one);
    assert_eq!(one["layers"].as_array().unwrap().len(), 1);
    assert_eq!(one["layers"][0]["mediaType"], "application/gzip");
    assert_eq!(one["layers"][0]["annotations"]["org.opencontainers.image.title"], "package.tgz");
    let said = |key: &str| one["annotations"][format!("org.opencontainers.image.{key}")].as_str().map(str::to_owned);
    assert_eq!(said("title").as_deref(), Some("@acme/hello-dynamic"));
    assert_eq!(said("version").as_deref(), Some("1.2.3"));
    assert_eq!(said("source").as_deref(), Some("https://git.example.com/acme/hello"));
    assert_eq!((said("revision"), said("created")), (None, None), "nothing is made up");
    let layer = registry.blob("acme/hello", one["layers"][0]["digest"].as_str().unwrap()).unwrap();
    assert_eq!(format!("{}\n", sri(&layer)), integrity);
    assert_eq!(uploads(&registry), 2, "the layer and the config, each once");
}

#[test]
fn the_version_is_the_tag_that_nobody_gave() {
    let desk = Desk::new();
    let registry = Registry::start();
    let repository = format!("oci://{}/acme/hello", registry.host());
    desk.run(&["push", "dist-dynamic", &repository]).exits(0);
    assert!(registry.manifest("acme/hello", "1.2.3").is_some());
    desk.plugin("odd", "odd", "1.0.0+build.5");
    desk.run(&["push", "odd", &repository]).exits(2).says("cannot take the version for one").says("help: add one");
}

#[test]
fn a_second_push_of_the_same_sends_nothing_and_another_one_is_refused() {
    let desk = Desk::new();
    let registry = Registry::start();
    let reference = format!("oci://{}/acme/hello:1.2.3", registry.host());
    let first = desk.run(&["push", "dist-dynamic", &reference]).exits(0).stdout;
    registry.recorder().clear();
    let again = desk.run(&["push", "dist-dynamic", &reference]).exits(0).says("was there already");
    assert_eq!(again.stdout, first);
    let is_read = |method: &str| matches!(method, "GET" | "HEAD");
    assert!(registry.recorder().requests().iter().all(|request| is_read(&request.method)));

    desk.write("dist-dynamic/dist/more.js", "more");
    let before = registry.manifest("acme/hello", "1.2.3");
    let refused = desk.run(&["push", "dist-dynamic", &reference, "--tag", "2.0.0"]).exits(1);
    assert_eq!(refused.stdout, "");
    refused.says("error[tag_exists]").says(&reference).says("`--force`").says("whose move: publisher");
    assert_eq!(registry.manifest("acme/hello", "1.2.3"), before);
    assert!(registry.manifest("acme/hello", "2.0.0").is_none(), "no tag is written when one is refused");
    assert!(registry.recorder().requests().iter().all(|request| is_read(&request.method)), "nothing was sent");

    desk.run(&["push", "dist-dynamic", &reference, "--force"]).exits(0);
    assert_ne!(registry.manifest("acme/hello", "1.2.3"), before);
}

#[test]
fn a_packed_tarball_is_pushed_as_it_is() {
    let desk = Desk::new();
    let registry = Registry::start();
    let integrity = desk.run(&["pack"]).exits(0).stdout;
    let reference = format!("oci://{}/acme/hello:1", registry.host());
    let run = desk.run(&["push", "package.tgz", &reference, "--output", "json"]).exits(0);
    let value: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(value["plugins"][0]["package"], reference);
    assert_eq!(value["plugins"][0]["integrity"], integrity.trim());
    assert_eq!(value["plugins"][0]["source"], "https://git.example.com/acme/hello");
    assert!(value["digest"].as_str().unwrap().starts_with("sha256:"));

    desk.write("other.tgz", "no gzip at all");
    desk.run(&["push", "other.tgz", &reference]).exits(1).says("other.tgz").says("error[archive_invalid]");
}

#[test]
fn the_time_of_the_build_is_told_only_when_it_is_given() {
    let desk = Desk::new();
    let registry = Registry::start();
    let push = |tag: &str, epoch: &str| {
        let reference = format!("oci://{}/acme/hello:{tag}", registry.host());
        desk.run_with(&["push", "dist-dynamic", &reference], "", |command| command.env("SOURCE_DATE_EPOCH", epoch))
    };
    push("1", "1700000000").exits(0);
    let created =
        |tag| manifest(&registry, "acme/hello", tag)["annotations"]["org.opencontainers.image.created"].clone();
    assert_eq!(created("1"), "2023-11-14T22:13:20Z");
    push("2", "").exits(0);
    assert_eq!(created("2"), Value::Null);
    push("3", "yesterday").exits(2).says("SOURCE_DATE_EPOCH");
    push("3", "253402300800").exits(2).says("SOURCE_DATE_EPOCH");
}

#[test]
fn git_says_where_the_sources_are() {
    let desk = Desk::new();
    let git = |arguments: &[&str]| {
        let mut command = std::process::Command::new("git");
        command
            .current_dir(desk.path("."))
            .args(["-c", "user.name=a", "-c", "user.email=a@example.com"])
            .args(arguments);
        crate::desk::done(&mut command)
    };
    desk.write("source.js", "1");
    git(&["init", "--quiet"]);
    git(&["add", "source.js"]);
    git(&["commit", "--quiet", "--message", "one"]);
    git(&["remote", "add", "origin", "https://user:s3cret@git.example.org/acme/plugins.git"]);
    let revision = git(&["rev-parse", "HEAD"]);
    let registry = Registry::start();
    let reference = |tag: &str| format!("oci://{}/acme/hello:{tag}", registry.host());
    let said = |tag: &str, key: &str| {
        manifest(&registry, "acme/hello", tag)["annotations"][format!("org.opencontainers.image.{key}")].clone()
    };
    let run = desk.run(&["push", "dist-dynamic", &reference("1")]).exits(0).keeps_quiet_about("s3cret");
    assert!(run.stdout.contains("# source: https://git.example.org/acme/plugins\n"), "{}", run.stdout);
    assert_eq!(said("1", "source"), "https://git.example.org/acme/plugins");
    assert_eq!(said("1", "revision"), revision.trim());

    desk.run(&["push", "dist-dynamic", &reference("3"), "--source", "https://x.example.com/acme", "--revision", "r1"])
        .exits(0);
    assert_eq!((said("3", "source"), said("3", "revision")), ("https://x.example.com/acme".into(), "r1".into()));
}

#[test]
fn an_image_holds_several_plugins_with_one_reference_each() {
    let desk = Desk::new();
    desk.plugin("second", "second", "2.0.0");
    let registry = Registry::start();
    let reference = format!("oci://{}/acme/both:1", registry.host());
    let run = desk.run(&["push", "--layout", "image", "dist-dynamic", "second", &reference]).exits(0);
    for path in ["acme-hello", "second"] {
        assert!(run.stdout.contains(&format!("- package: {reference}!{path}\n")), "{}", run.stdout);
    }
    let manifest = manifest(&registry, "acme/both", "1");
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.oci.image.config.v1+json");
    assert_eq!(manifest["layers"][0]["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
    let packages = crate::desk::done(std::process::Command::new("sh").args([
        "-c",
        "printf %s \"$1\" | base64 -d",
        "sh",
        manifest["annotations"]["io.backstage.dynamic-packages"].as_str().unwrap(),
    ]));
    let packages: Value = serde_json::from_str(&packages).unwrap();
    assert_eq!(packages[0]["acme-hello"]["version"], "1.2.3");
    assert_eq!(packages[0]["acme-hello"]["backstage"]["role"], "backend-plugin");
    assert_eq!(packages[1]["second"]["name"], "second");
    assert_eq!(packages.as_array().unwrap().len(), 2);

    let no_tag = format!("oci://{}/acme/both", registry.host());
    desk.run(&["push", "--layout", "image", "dist-dynamic", "second", &no_tag]).exits(2).says("several plugins");
    desk.run(&["push", "--layout", "image", "second", "second", &reference]).exits(2).says("second");
    desk.run(&["push", "dist-dynamic", "second", &reference]).exits(2).says("--layout image");
}

#[test]
fn chunks_are_sent_where_the_registry_takes_no_more() {
    let desk = Desk::new();
    let noise: Vec<u8> = (0..200_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    desk.write("dist-dynamic/dist/noise.bin", noise);
    let registry = Registry::builder().uploads(Uploads::BodyLimit(64 * 1024)).start();
    let reference = format!("oci://{}/acme/hello:1", registry.host());
    desk.run(&["push", "dist-dynamic", &reference]).exits(1).says("error[push_failed]").says("--chunk-size");
    desk.run(&["push", "dist-dynamic", &reference, "--chunk-size", "64KiB"]).exits(0);
    assert!(registry.manifest("acme/hello", "1").is_some());

    let forgetful = Registry::builder().uploads(Uploads::LastChunkOnly).start();
    let reference = format!("oci://{}/acme/hello:1", forgetful.host());
    let run = desk.run(&["push", "dist-dynamic", &reference, "--chunk-size", "64KiB"]);
    run.exits(1).says("error[push_failed]");
    assert!(forgetful.manifest("acme/hello", "1").is_none(), "no tag is written to what is not whole");
}

#[test]
fn what_another_repository_has_is_mounted() {
    let desk = Desk::new();
    let registry = Registry::start();
    let push = |repository: &str, more: &[&str]| {
        let reference = format!("oci://{}/{repository}:1", registry.host());
        desk.run(&[&["push", "dist-dynamic", reference.as_str()], more].concat()).exits(0)
    };
    push("acme/one", &[]);
    registry.recorder().clear();
    push("acme/two", &["--mount-from", "acme/one"]).says("taken over from the other repository");
    let sent = registry.recorder().requests();
    let layers = sent.iter().filter(|request| request.method == "PUT" && request.body.len() > 2);
    assert!(layers.filter(|request| request.path.contains("/blobs/")).count() == 0, "the layer was not sent");
}

#[test]
fn trouble_that_passes_is_waited_out_and_told() {
    let desk = Desk::new();
    let registry = Registry::start();
    registry.server().first(2, |request| request.method == "PUT", || Reply::status(503).retry_after("0"));
    let reference = format!("oci://{}/acme/hello:1", registry.host());
    desk.run(&["push", "dist-dynamic", &reference]).exits(0).says("next try in");
    registry.server().first(9, |request| request.method == "PUT", || Reply::status(503).retry_after("0"));
    desk.run(&["push", "dist-dynamic", &reference, "--force", "--revision", "x", "--tries", "2"])
        .exits(1)
        .says("error[push_failed]")
        .says("503");
}

#[test]
fn logins_come_from_files_helpers_and_standard_input() {
    let registry = Registry::builder().auth(Auth::bearer("me", "pass word")).start();
    let reference = format!("oci://{}/acme/hello:1", registry.host());
    let push = |desk: &Desk, more: &[&str], input: &str| {
        let run = desk.run_with(&[&["push", "dist-dynamic", &reference, "--force"], more].concat(), input, |c| c);
        run.keeps_quiet_about("pass word").keeps_quiet_about("no word")
    };
    let desk = Desk::new();
    push(&desk, &[], "").exits(1).says("401").says("whose move: operator");
    push(&desk, &["--username", "me", "--password-stdin"], "pass word\n").exits(0);
    push(&desk, &["--username", "me", "--password-stdin"], "no word\n").exits(1).says("401");
    push(&desk, &["--username", "me"], "").exits(2);
    push(&desk, &["--username", "me", "--password-stdin"], "").exits(2).says("the password is empty");

    desk.write("home/.docker/config.json", registry.docker_config());
    push(&desk, &[], "").exits(0);
    desk.write("home/.docker/config.json", docker_config(registry.host(), "me", "no word"));
    push(&desk, &[], "").exits(1).says("401");
}

#[test]
fn a_locked_docker_registry_takes_a_push() {
    let ca = testkit::Ca::new();
    let registry = DockerRegistry::locked(&ca);
    let desk = Desk::new();
    desk.write("ca.pem", ca.pem());
    desk.write(
        "home/.docker/config.json",
        docker_config(registry.host(), DockerRegistry::USER, DockerRegistry::PASSWORD),
    );
    let reference = format!("oci://{}/acme/hello:1,2", registry.host());
    let arguments = ["push", "dist-dynamic", &reference, "--ca-file", "ca.pem"];
    desk.run(&arguments).exits(0).keeps_quiet_about(DockerRegistry::PASSWORD);
    desk.run(&arguments).exits(0).says("was there already");
    desk.run(&["push", "dist-dynamic", &reference]).exits(1).says("--ca-file");
}

#[test]
fn flags_that_mean_nothing_there_are_refused() {
    let desk = Desk::new();
    for (arguments, said) in [
        (vec!["push", "dist-dynamic", "https://a.example.com/p.tgz", "--tag", "1"], "`--tag` is for registries"),
        (vec!["push", "dist-dynamic", "oci://a.example.com/p:1", "--token-stdin"], "for https artifact servers"),
        (vec!["push", "dist-dynamic", "a.example.com/p:1"], "`oci://`"),
        (vec!["push", "dist-dynamic", "oci://a.example.com/p:1@sha256:00"], "a digest or a plugin path"),
        (vec!["push", "dist-dynamic", "oci://a.example.com/p:1", "--chunk-size", "0"], "a number of bytes"),
        (vec!["push", "dist-dynamic"], "REFERENCE"),
        (
            vec!["push", "dist-dynamic", "oci://a.example.com/p:1", "--mount-from", "oci://a.example.com/q"],
            "--mount-from",
        ),
        (vec!["push", "dist-dynamic", "oci://a.example.com/p:1", "--source", "somewhere"], "--source"),
        (vec!["push", "dist-dynamic", "oci://a.example.com/p:a tag"], "a tag"),
    ] {
        desk.run(&arguments).exits(2).says(said);
    }
}

#[test]
fn nothing_that_a_repository_names_is_run() {
    let desk = Desk::new();
    let git = |folder: &str, arguments: &[&str]| {
        let mut command = std::process::Command::new("git");
        command
            .current_dir(desk.path(folder))
            .args(["-c", "user.name=a", "-c", "user.email=a@example.com"])
            .args(arguments);
        crate::desk::done(&mut command)
    };
    let ran = desk.path("ran");
    let program = format!("touch {}; false", ran.display());
    git(".", &["init", "--quiet"]);
    desk.write("a.txt", "1");
    git(".", &["add", "a.txt"]);
    git(".", &["commit", "--quiet", "--message", "one"]);
    for key in ["core.fsmonitor", "core.pager", "core.sshCommand", "filter.x.clean", "core.editor"] {
        git(".", &["config", key, &program]);
    }
    desk.write(".gitattributes", "* filter=x\n");
    desk.write("a.txt", "2");
    // A plugin's folder that is a bare repository at the same time.
    git("dist-dynamic", &["init", "--quiet", "--bare"]);
    git("dist-dynamic", &["config", "core.fsmonitor", &program]);
    assert!(!ran.exists());
    let registry = Registry::start();
    desk.run(&["push", "dist-dynamic", &format!("oci://{}/acme/hello:1", registry.host())]).exits(0);
    assert!(!ran.exists(), "a program that the repository names was run");
}

#[test]
fn a_login_in_the_address_of_the_sources_is_not_published() {
    let desk = Desk::new();
    let registry = Registry::start();
    let reference = format!("oci://{}/acme/hello:1", registry.host());
    let source = "https://ci-token:s3cret@git.example.com/acme/hello.git?private_token=s3cret";
    let run = desk.run(&["push", "dist-dynamic", &reference, "--source", source]).exits(0).keeps_quiet_about("s3cret");
    assert!(run.stdout.contains("# source: https://git.example.com/acme/hello\n"), "{}", run.stdout);
    assert!(!manifest(&registry, "acme/hello", "1").to_string().contains("s3cret"));
}

#[test]
fn what_a_registry_or_plugin_says_moves_no_cursor() {
    let desk = Desk::new();
    let registry = Registry::start();
    let image = testkit::Image::new("\u{1b}]0;pwned\u{7}\u{1b}[2J\nok sha512-FAKE", b"x");
    registry.push_image("acme/odd", "1", &image);
    let run = desk.run(&["integrity", &format!("oci://{}/acme/odd:1", registry.host())]).exits(1);
    assert!(!run.stderr.contains('\u{1b}') && !run.stderr.contains("\nok sha512"), "{:?}", run.stderr);
    desk.plugin("odd", "odd", "1.0.0\u{202e}");
    let run = desk.run(&["push", "odd", &format!("oci://{}/acme/odd:2", registry.host())]);
    assert!(!run.stderr.contains('\u{202e}') && !run.stdout.contains('\u{202e}'), "{run:?}");
}

#[test]
fn a_result_that_nobody_could_read_is_a_failure() {
    let desk = Desk::new();
    for arguments in [vec!["pack"], vec!["check"], vec!["check", "--format", "sarif"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let status = desk.command(&arguments).stdout(full).status().unwrap();
        assert_eq!(status.code(), Some(1), "{arguments:?}");
    }
}

#[test]
fn an_empty_variable_counts_as_none() {
    let desk = Desk::new();
    let registry = Registry::start();
    let reference = format!("oci://{}/acme/hello:1", registry.host());
    desk.run_with(&["push", "dist-dynamic", &reference], "", |command| {
        command.env("REGISTRY_AUTH_FILE", "").env("NETRC", "").env("DOCKER_CONFIG", "")
    })
    .exits(0);
}

#[test]
fn accepted_dangers_are_told() {
    let desk = Desk::new();
    let registry = Registry::start();
    let reference = format!("oci://{}/acme/hello:1", registry.host());
    desk.run(&["push", "dist-dynamic", &reference]).exits(0);
    desk.write("dist-dynamic/.env", "TOKEN=s3cret");
    let arguments = ["push", "dist-dynamic", &reference, "--force", "--allow-secret-files"];
    let run = desk.run(&arguments).exits(0).keeps_quiet_about("s3cret");
    run.says(".env").says("warning: ").says("which pointed to sha256:");

    // A tarball that others made is looked into as well.
    let tar = ["czf", "made.tgz", "--transform", "s,^dist-dynamic,package,", "dist-dynamic"];
    crate::desk::done(std::process::Command::new("tar").current_dir(desk.path(".")).args(tar));
    desk.run(&["push", "made.tgz", &format!("{reference}2")]).exits(1).says("error[pack_secret_file]").says(".env");
    desk.run(&["push", "made.tgz", &format!("{reference}2"), "--allow-secret-files"]).exits(0).says(".env");
}

#[test]
fn tags_that_are_meant_to_move_do_and_the_others_do_not() {
    let desk = Desk::new();
    let registry = Registry::start();
    let push = |tag: &str| {
        let reference = format!("oci://{}/acme/hello:{tag}", registry.host());
        desk.run(&["push", "dist-dynamic", &reference, "--move-tag", "latest", "--move-tag", "1.x"])
    };
    push("1.2.3").exits(0);
    let first = registry.manifest("acme/hello", "1.2.3");
    desk.write("dist-dynamic/dist/more.js", "more");
    push("1.2.3").exits(1).says("error[tag_exists]").says("--move-tag");
    assert_eq!(registry.manifest("acme/hello", "latest"), first, "a refused push moves nothing");
    push("1.2.4").exits(0).says("latest, which pointed to sha256:");
    assert_eq!(registry.manifest("acme/hello", "1.2.3"), first);
    assert_eq!(registry.manifest("acme/hello", "latest"), registry.manifest("acme/hello", "1.2.4"));
    assert_eq!(registry.manifest("acme/hello", "1.x"), registry.manifest("acme/hello", "1.2.4"));

    // What moves is not what portals pin.
    let repository = format!("oci://{}/acme/other", registry.host());
    let run = desk.run(&["push", "dist-dynamic", &repository, "--move-tag", "latest"]).exits(0);
    assert!(run.stdout.contains("/acme/other:1.2.3\n"), "{}", run.stdout);
    assert!(registry.manifest("acme/other", "latest").is_some());
}

#[test]
fn a_plugin_that_no_portal_would_run_is_published_with_a_warning() {
    let desk = Desk::new();
    let registry = Registry::start();
    std::fs::remove_file(desk.path("dist-dynamic/dist/index.cjs.js")).unwrap();
    let reference = format!("oci://{}/acme/hello:1", registry.host());
    desk.run(&["push", "dist-dynamic", &reference]).exits(0).says("warning: ").says("check dist-dynamic");
}
