//! Rows about the file as a whole.

use std::fmt::Write as _;

use testkit::{Plugin, Registry};

use crate::bench::{Mode, Seen};
use crate::case::{Case, ConfigFile, Entry, Listing};
use crate::net::{Net, Served};
use crate::placeholder::good;
use crate::row::Row;

const PACKAGE: &str = "oci://reg.example.com/my-org/plug:1.0.0";
const MANY: usize = 1_000;

/// All rows are descriptions. Without its fault each file would be accepted, and the plugin fetched.
pub(crate) fn config(row: &Row) -> Result<Case, String> {
    let mut net = Net::new();
    let served = net.serve(PACKAGE, &good());
    let Served { package, integrity } = &served;
    let entry = Entry::from(&served);
    let listing = Listing::of([entry.clone()]);
    let plugins = format!("plugins:\n  - package: {package}\n    integrity: {integrity}\n");
    let file = match row.id.as_str() {
        "PC01" => ConfigFile::Absent,
        "PC02" => ConfigFile::Directory,
        "PC03" => ConfigFile::Bytes(plugins.replace("    ", "\t").into_bytes()),
        "PC04" => ConfigFile::Bytes(vec![0xff, 0xfe, 0x00]),
        "PC05" => {
            let case = Case::of(net, ConfigFile::Bytes(Vec::new()));
            return Ok(case.holds(|seen| says(seen, "event=completed installed=0 rejected=0 skipped=0")));
        }
        "PC06" => ConfigFile::Bytes(format!("{plugins}    integrity: {integrity}\n").into_bytes()),
        "PC07" => ConfigFile::Bytes(plugins.repeat(2).into_bytes()),
        "PC08" => ConfigFile::Bytes(laughs(9, 9).into_bytes()),
        "PC09" => ConfigFile::Bytes(vec![b'['; 100_000]),
        "PC10" => ConfigFile::Bytes(plugins.replace("- ", "  ").into_bytes()),
        "PC11" => ConfigFile::Bytes(b"plugins: [null]\n".to_vec()),
        "PC12" => ConfigFile::Bytes(format!("{plugins}pluginz: []\n").into_bytes()),
        "PC13" => ConfigFile::Listing(Listing::of([entry.clone(), entry])),
        "PC14" => return Ok(many()),
        "PC15" => ConfigFile::Mounted(listing),
        _ => return Err(row.without_builder()),
    };
    Ok(Case::of(net, file))
}

/// Anchors whose expansion is `width` to the power of `depth`.
fn laughs(depth: usize, width: usize) -> String {
    let mut text = String::from("x-0: &a0 [ha]\n");
    for level in 1..=depth {
        let aliases = vec![format!("*a{}", level - 1); width].join(", ");
        writeln!(text, "x-{level}: &a{level} [{aliases}]").expect("a string takes all text");
    }
    text
}

/// A thousand plugins from a registry on this machine.
fn many() -> Case {
    let registry = Registry::start();
    let entries: Vec<_> = (0..MANY)
        .map(|number| {
            let plugin = Plugin::backend(&format!("plug-{number}"));
            let pushed = registry.push("my-org/plug", &format!("v{number}"), &plugin.tarball());
            Entry::new(&pushed.reference, &pushed.integrity)
        })
        .collect();
    let listing = Listing { allowed: format!("allowedSources: [oci://{}/my-org]", registry.host()), entries };
    let case = Case { modes: &[Mode::FailClosed], ..Case::listing(Net::new(), listing) };
    case.holds(move |seen| {
        // The registry lives as long as the case.
        let asked = registry.recorder().requests().len();
        says(seen, &format!("event=completed installed={MANY} rejected=0"))
            .map_err(|why| format!("{why} ({asked} asked)"))
    })
}

fn says(seen: &Seen, expected: &str) -> Result<(), String> {
    if seen.stdout.contains(expected) { Ok(()) } else { Err(format!("expected `{expected}` in the log")) }
}
