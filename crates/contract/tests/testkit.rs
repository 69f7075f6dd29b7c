//! The plugins of other crates' tests are such as a portal takes.

use std::io::{self, Cursor, Write as _};

use contract::check;
use integrity::HashingWriter;
use tarball::{Dir, Layout, Limits, Record, Written, unpack};
use testkit::{Plugin, sri};

/// Wants to know nothing about the files.
struct Unrecorded;

impl Record for Unrecorded {
    fn written(&mut self, _: &Written<'_>) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn plugins_of_the_testkit_have_no_findings() {
    let limits = Limits::default();
    for (name, plugin) in [("backend", Plugin::backend("hello-backend")), ("frontend", Plugin::frontend("@acme/hello"))]
    {
        let bytes = plugin.tarball();
        let mut hash = HashingWriter::new(Cursor::new(Vec::new()));
        hash.write_all(&bytes).unwrap();
        let mut artifact = hash.finish().verify(&sri(&bytes).parse().unwrap()).unwrap();
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        let unpacked = unpack(&mut artifact, &Layout::Package, &dir, &limits, &mut Unrecorded).unwrap();
        let checked = check(name, &dir, &limits).unwrap();
        assert_eq!(checked.findings(), [], "{name}");
        assert_eq!(checked.destination(), Some(&unpacked.manifest().name().destination()), "{name}");
    }
}
