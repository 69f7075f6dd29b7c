//! From `dist-dynamic` to a portal's root: what was packed is what is installed.

use std::fs;
use std::path::Path;
use std::process::Command;

use testkit::{DockerRegistry, Registry, Tree};

use crate::desk::{Desk, Run, done, installer};

/// Checks the block with the installer, then installs it as a chart would list it.
fn install(desk: &Desk, block: &Run) -> Tree {
    desk.write("values.yaml", &block.stdout);
    let mut check = Command::new(installer());
    let checked = done(check.arg("check").arg(desk.path("values.yaml")).env_clear());
    assert!(checked.contains(", 0 would be rejected"), "{checked}");
    // What the chart renders is the block itself.
    let lines: Vec<_> = block.stdout.lines().skip(1).map(|line| line.strip_prefix("  ").unwrap()).collect();
    desk.write("dynamic-plugins.yaml", lines.join("\n"));
    fs::create_dir(desk.path("root")).unwrap();
    let mut install = Command::new(installer());
    install.env_clear().arg("--config").arg(desk.path("dynamic-plugins.yaml")).arg("--root").arg(desk.path("root"));
    done(install.arg("--termination-log").arg(desk.path("termination-log")));
    Tree::of(&desk.path("root")).unwrap()
}

/// A tree as an installer leaves it: modes by what may be executed (rule A6).
fn as_installed(folder: &Path) -> Tree {
    done(Command::new("chmod").args(["-R", "a+rX,u+w,go-w"]).arg(folder));
    done(Command::new("find").arg(folder).args(["-type", "f", "-perm", "/111", "-exec", "chmod", "755", "{}", "+"]));
    Tree::of(folder).unwrap()
}

fn goes_round(desk: &Desk, host: &str, folder: &str, destination: &str) {
    let reference = format!("oci://{host}/acme/{folder}:1");
    let block = desk.run(&["push", folder, &reference]).exits(0);
    install(desk, &block);
    let installed = Tree::of(&desk.path("root").join(destination)).unwrap();
    assert_eq!(installed.lines(), as_installed(&desk.path(folder)).lines(), "{folder}");
    fs::remove_dir_all(desk.path("root")).unwrap();
}

#[test]
fn what_was_packed_is_what_is_installed() {
    let (ours, debians) = (Registry::start(), DockerRegistry::open());
    for host in [ours.host(), debians.host()] {
        goes_round(&Desk::new(), host, "dist-dynamic", "acme-hello-dynamic");
    }
}

#[test]
fn real_exports_go_round() {
    let (ours, debians) = (Registry::start(), DockerRegistry::open());
    for (plugin, destination) in
        [("hello-backend", "hello-backend-dynamic"), ("hello-frontend", "hello-frontend-dynamic")]
    {
        let exported = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/fixtures/dist-dynamic").join(plugin);
        assert!(exported.is_dir(), "`cargo xtask fixtures` exports `{}`", exported.display());
        let desk = Desk::new();
        done(Command::new("cp").arg("-a").arg(&exported).arg(desk.path(plugin)));
        desk.run(&["check", plugin, "--deny-warnings"]).exits(0);
        for host in [ours.host(), debians.host()] {
            goes_round(&desk, host, plugin, destination);
        }
    }
}

#[test]
fn each_plugin_of_an_image_is_installed_by_its_path() {
    let desk = Desk::new();
    desk.plugin("second", "second", "2.0.0");
    let registry = Registry::start();
    let reference = format!("oci://{}/acme/both:1", registry.host());
    let block = desk.run(&["push", "--layout", "image", "dist-dynamic", "second", &reference]).exits(0);
    install(&desk, &block);
    for (folder, destination) in [("dist-dynamic", "acme-hello-dynamic"), ("second", "second-dynamic")] {
        let installed = Tree::of(&desk.path("root").join(destination)).unwrap();
        assert_eq!(installed.lines(), as_installed(&desk.path(folder)).lines(), "{folder}");
    }
}
