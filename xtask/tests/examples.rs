//! The examples for embedders do what they say, with good input and with bad.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "a test works with paths and with the environment it is started in")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use integrity::HashingWriter;
use testkit::Tarball;

/// Where cargo leaves the examples. They are built like everything else the tests are made of, so mostly they are there.
static EXAMPLES: LazyLock<PathBuf> = LazyLock::new(|| {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--workspace", "--examples", "--locked"]);
    // What cargo says of this test's own package would have build scripts run again that look at it.
    let of_this_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_this_package)) {
        cargo.env_remove(name);
    }
    assert!(cargo.status().unwrap().success(), "the examples do not build");
    let this = std::env::current_exe().unwrap();
    this.ancestors().nth(2).unwrap().join("examples")
});

/// What an example answers: exit status, standard output, standard error.
fn run(example: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let answer = Command::new(EXAMPLES.join(example)).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (answer.status.code(), text(answer.stdout), text(answer.stderr))
}

/// Runs each row, which names what standard output or, after a failure, standard error must hold.
fn try_all(example: &str, rows: &[(&str, &[&str], i32, &str)]) {
    for (name, arguments, status, part) in rows {
        let (code, stdout, stderr) = run(example, arguments);
        assert_eq!(code, Some(*status), "{example}, {name}: {stdout}{stderr}");
        let (told, silent) = if *status == 0 { (stdout, stderr) } else { (stderr, stdout) };
        assert!(told.contains(part), "{example}, {name}: {told}");
        assert_eq!(silent, "", "{example}, {name}");
    }
}

fn pin(bytes: &[u8]) -> String {
    let mut sink = HashingWriter::new(std::io::sink());
    std::io::Write::write_all(&mut sink, bytes).unwrap();
    sink.finish().integrity().to_string()
}

#[test]
fn verify_tells_the_promised_file_from_others() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plugin.tgz");
    fs::write(&file, "hello").unwrap();
    let (file, good, bad) = (file.to_str().unwrap(), pin(b"hello"), pin(b"hellO"));
    try_all(
        "verify",
        &[
            ("the promised bytes", &[file, &good], 0, "plugin.tgz: 5 bytes, the promised ones"),
            ("other bytes", &[file, &bad], 1, "expected an artifact with `sha512-"),
            ("a weak hash", &[file, "sha256-AAAA"], 1, "sha512"),
            ("no such file", &["/nowhere", &good], 1, "No such file"),
            ("nothing at all", &[], 2, "usage: verify FILE INTEGRITY"),
        ],
    );
}

#[test]
fn admit_lets_through_what_a_prefix_covers() {
    let ours = "oci://ghcr.io/my-org";
    try_all(
        "admit",
        &[
            ("covered", &["oci://ghcr.io/my-org/plugin:1", ours], 0, "oci://ghcr.io/my-org/plugin:1 may be asked for"),
            (
                "by a later prefix",
                &["https://a.example/p.tgz", ours, "https://a.example"],
                0,
                "https://a.example/p.tgz",
            ),
            ("a near miss", &["oci://ghcr.io/my-org-evil/plugin:1", ours], 1, "hint: "),
            ("no source", &["http://a.example/p.tgz", ours], 1, "package must start with"),
            ("no prefix", &["oci://ghcr.io/my-org/plugin:1", "ftp://x"], 1, "ftp://x"),
            ("no policy", &["oci://ghcr.io/my-org/plugin:1"], 2, "usage: admit PACKAGE PREFIX..."),
        ],
    );
}

#[test]
fn unpack_leaves_a_plugin_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = r#"{ "name": "@acme/hello", "version": "1.0.0", "backstage": { "role": "backend-plugin" } }"#;
    let good = Tarball::new().file("package/package.json", manifest).file("package/dist/index.js", "").gzip();
    let evil = Tarball::new().file("package/package.json", manifest).symlink("package/out", "/etc").gzip();
    let paths = ["good.tgz", "evil.tgz", "root"].map(|name| folder.path().join(name));
    fs::write(&paths[0], &good).unwrap();
    fs::write(&paths[1], &evil).unwrap();
    fs::create_dir(&paths[2]).unwrap();
    fs::create_dir_all(paths[2].join(".unpacking/plugin/left-by-a-killed-run")).unwrap();
    let [good_path, evil_path, root] = paths.each_ref().map(|path| path.to_str().unwrap());
    let (good, evil) = (pin(&good), pin(&evil));
    try_all(
        "unpack",
        &[
            ("a link that leads out", &[evil_path, &evil, root], 1, "evil.tgz: "),
            ("another's pin", &[good_path, &evil, root], 1, "expected an artifact with"),
            ("no end", &["/dev/zero", &good, root], 1, "expected at most 67108864 bytes"),
            ("no folder", &[good_path, &good, "/nowhere"], 1, "No such file"),
            ("nothing at all", &[], 2, "usage: unpack TARBALL INTEGRITY FOLDER"),
        ],
    );
    assert_eq!(fs::read_dir(root).unwrap().count(), 0, "what is rejected leaves nothing");
    try_all(
        "unpack",
        &[
            ("a plugin", &[good_path, &good, root], 0, "root/acme-hello-dynamic"),
            ("the same again", &[good_path, &good, root], 1, "root/acme-hello-dynamic`: File exists"),
        ],
    );
    assert!(paths[2].join("acme-hello-dynamic/dist/index.js").is_file());
    assert_eq!(fs::read_dir(root).unwrap().count(), 1);
}

#[test]
fn admission_admits_a_values_file_or_says_what_speaks_against_it() {
    let folder = tempfile::tempdir().unwrap();
    let pinned = pin(b"hello");
    let entry = |package: &str| format!("plugins: [{{ package: '{package}', integrity: {pinned} }}]\n");
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let listed = "allowedSources: ['oci://ghcr.io/my-org']\n".to_owned();
    let good = write("good.yaml", listed.clone() + &entry("oci://ghcr.io/my-org/plugin:1"));
    let stray = write("stray.yaml", listed.clone() + &entry("oci://ghcr.io/other/plugin:1"));
    let bare = write("bare.yaml", listed.clone() + "plugins: [{ package: 'oci://ghcr.io/my-org/plugin:1' }]\n");
    let typo = write("typo.yaml", "plugin: []\n".into());
    let values = format!(
        "dynamicPlugins: {{ allowedSources: ['oci://ghcr.io/my-org/team'], {} }}\n",
        entry("oci://ghcr.io/my-org/team/b:1").trim()
    );
    let values = write("values.yaml", values);
    let unlimited = write("unlimited.yaml", entry("oci://ghcr.io/my-org/plugin:1"));
    let empty = write("empty.yaml", "allowedSources: []\n".to_owned() + &entry("oci://ghcr.io/my-org/plugin:1"));
    let wide =
        write("wide.yaml", "allowedSources: ['oci://ghcr.io']\n".to_owned() + &entry("oci://ghcr.io/my-org/x:1"));
    let (ours, other) = ("oci://ghcr.io/my-org", "oci://ghcr.io/other");
    let wider = "`oci://ghcr.io/my-org` in `allowedSources` is at or below no given prefix";
    try_all(
        "admission",
        &[
            ("a list", &[&good, ours], 0, "good.yaml is admitted"),
            ("one of two prefixes", &[&good, other, ours], 0, "good.yaml is admitted"),
            ("a chart's values with less than is allowed", &[&values, ours], 0, "values.yaml is admitted"),
            ("an entry that the file does not allow", &[&stray, ours, other], 1, "stray.yaml:2"),
            ("its own prefixes are others'", &[&good, other], 1, wider),
            ("and wider", &[&good, "oci://ghcr.io/my-org/team"], 1, wider),
            ("by much", &[&wide, ours], 1, "`oci://ghcr.io` in `allowedSources`"),
            ("as begins with the same letters", &[&good, "oci://ghcr.io/my"], 1, wider),
            ("no sources named", &[&unlimited, ours], 1, "unlimited.yaml: expected `allowedSources`"),
            ("an empty list of them", &[&empty, ours], 1, "empty.yaml: expected `allowedSources`"),
            ("without integrity", &[&bare, ours], 1, "expected `integrity` in the entry"),
            ("a typo", &[&typo, ours], 1, "typo.yaml:1"),
            ("no such prefix", &[&good, "ftp://x"], 1, "ftp://x"),
            ("no such file", &["/nowhere", ours], 1, "could not read `/nowhere`"),
            ("no prefix", &[&good], 2, "usage: admission FILE PREFIX..."),
            ("nothing at all", &[], 2, "usage: admission FILE PREFIX..."),
        ],
    );
}
