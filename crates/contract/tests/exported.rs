//! Plugins that the real exporter made keep every rule.

use std::path::Path;

use contract::{check, collisions};
use tarball::{Dir, Limits};

#[test]
fn exported_plugins_have_no_findings() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/fixtures/dist-dynamic");
    let checked = ["hello-backend", "hello-frontend"].map(|name| {
        let dir = Dir::open(&folder.join(name)).expect("`cargo xtask fixtures` exports the plugins");
        let checked = check(name, &dir, &Limits::default()).unwrap();
        assert_eq!(checked.findings(), [], "{name}");
        assert!(checked.destination().unwrap().as_str().ends_with("-dynamic"), "{name}");
        checked
    });
    assert_eq!(collisions(&checked), []);
}
