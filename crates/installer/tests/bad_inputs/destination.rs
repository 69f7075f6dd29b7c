//! Rows about the folder that a plugin goes to.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use testkit::Plugin;

use crate::bench::Seen;
use crate::case::{Case, Entry, Listing};
use crate::net::{Net, Served};
use crate::placeholder::PLUG;
use crate::row::Row;

/// One form: `name …`, the name in `package.json`. All other rows have a builder.
pub(crate) fn destination(row: &Row) -> Result<Case, String> {
    if let Some(name) = row.input.strip_prefix("name ") {
        return named(name).ok_or_else(|| row.without_builder());
    }
    match row.id.as_str() {
        "PD09" => Ok(collision([Plugin::backend("@a/b-c"), Plugin::backend("@a-b/c")], "a-b-c-dynamic")),
        "PD10" => {
            let versions = ["1.0.0", "2.0.0"].map(|version| Plugin::backend(PLUG).version(version));
            Ok(collision(versions, "plug-dynamic"))
        }
        "PD11" => Ok(collision([Plugin::backend("x"), Plugin::backend("x-dynamic")], "x-dynamic")),
        "PD12" => Ok(occupied(|root| symlink("../elsewhere", root.join("plug-dynamic")).unwrap())),
        "PD13" => Ok(occupied(|root| fs::write(root.join("plug-dynamic"), "somebody's").unwrap())),
        "PD14" => Ok(removed()),
        "PD15" => Ok(beside_a_stranger()),
        _ => Err(row.without_builder()),
    }
}

/// A good copy first; then the same package with another name inside.
fn named(described: &str) -> Option<Case> {
    let name = match described {
        "''" => String::new(),
        "with upper case" => "Plug".to_owned(),
        _ if described.starts_with("of ") => {
            let count = described.strip_prefix("of ")?.strip_suffix(" characters")?;
            "a".repeat(count.parse().ok()?)
        }
        _ if described.contains(' ') => return None,
        _ => described.to_owned(),
    };
    let mut net = Net::new();
    let before = net.push("plug:1.0.0", &Plugin::backend(PLUG));
    let served = net.push("plug:2.0.0", &Plugin::backend(&name));
    let case = Case::listing(net, only(&served)).after(only(&before));
    Some(if name == "@acme/plug" { case.holds(|seen| is_at(seen, "acme-plug-dynamic", "@acme/plug")) } else { case })
}

/// Two plugins for one folder: the first has it and keeps it.
fn collision([first, second]: [Plugin; 2], dest: &'static str) -> Case {
    let mut net = Net::new();
    let served = [net.push("first:1", &first.file("mine", "")), net.push("second:1", &second)];
    let case = Case::listing(net, Listing::of(served.iter().map(Entry::from))).after(only(&served[0]));
    let (winner, loser) = (served[0].package.clone(), served[1].package.clone());
    case.holds(move |seen| {
        let kept = seen.on_root(dest).join("mine").is_file();
        let told = seen.stderr.contains(&format!("package={loser} reason=")) && seen.stderr.contains(&winner);
        if kept && told { Ok(()) } else { Err(format!("kept the first: {kept}; named both: {told}")) }
    })
}

/// Something stands at the plugin's place that is no folder.
fn occupied(arrange: fn(&Path)) -> Case {
    let mut net = Net::new();
    let served = net.push("plug:1.0.0", &Plugin::backend(PLUG));
    Case::listing(net, only(&served)).arranged(arrange).holds(unchanged)
}

/// A list of two becomes a list of one, beside files of others.
fn removed() -> Case {
    let mut net = Net::new();
    let served = [net.push("plug:1.0.0", &Plugin::backend(PLUG)), net.push("stale:1.0.0", &Plugin::backend("stale"))];
    let case = Case::listing(net, only(&served[0])).after(Listing::of(served.iter().map(Entry::from)));
    case.arranged(strangers).holds(|seen| {
        let gone = |line: &&String| !seen.after.visible.contains(line);
        let gone: Vec<_> = seen.before.visible.iter().filter(gone).collect();
        let wrong = gone.iter().find(|line| !line.contains("stale-dynamic"));
        match wrong {
            Some(line) => Err(format!("removed although it is not the stale plugin's: {line}")),
            None if gone.is_empty() || seen.on_root("stale-dynamic").exists() => {
                Err("the stale plugin is there".into())
            }
            None if !seen.stdout.contains("event=plugin_removed name=stale ") => Err("its removal is not told".into()),
            None => Ok(()),
        }
    })
}

/// A folder that nobody knows, and a list that empties.
fn beside_a_stranger() -> Case {
    let mut net = Net::new();
    let served = net.push("plug:1.0.0", &Plugin::backend(PLUG));
    let case = Case::listing(net, Listing::of([])).after(only(&served));
    case.arranged(strangers).holds(|seen| {
        let theirs = |lines: &[String]| -> Vec<String> {
            lines.iter().filter(|line| !line.contains("plug-dynamic")).cloned().collect()
        };
        let (before, after) = (theirs(&seen.before.visible), theirs(&seen.after.visible));
        if before.len() > 3 && before == after && after == seen.after.visible {
            return Ok(());
        }
        Err(format!("expected the strangers alone, untouched: {before:#?}, found {:#?}", seen.after.visible))
    })
}

/// What others may keep on a root, one folder so like a plugin that only the state can tell it is none of ours.
fn strangers(root: &Path) {
    fs::create_dir_all(root.join("lost+found/deep")).unwrap();
    fs::create_dir(root.join("theirs-dynamic")).unwrap();
    let manifest = r#"{"name":"theirs","version":"1.0.0","backstage":{"role":"backend-plugin"}}"#;
    fs::write(root.join("theirs-dynamic/package.json"), manifest).unwrap();
    fs::write(root.join("notes.txt"), "keep").unwrap();
    symlink("../elsewhere", root.join("shortcut")).unwrap();
}

fn only(served: &Served) -> Listing {
    Listing::of([Entry::from(served)])
}

fn is_at(seen: &Seen, dest: &str, name: &str) -> Result<(), String> {
    let manifest = fs::read_to_string(seen.on_root(dest).join("package.json")).unwrap_or_default();
    if manifest.contains(name) { Ok(()) } else { Err(format!("`{name}` is not at `{dest}`")) }
}

fn unchanged(seen: &Seen) -> Result<(), String> {
    if seen.before.visible == seen.after.visible {
        return Ok(());
    }
    Err(format!("what stood at the destination was touched: {:#?}", seen.after.visible))
}
