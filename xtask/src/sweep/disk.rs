//! The same on a file system with a disk under it, where syncing takes its time and names are kept in other ways.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use super::scene::Scene;
use super::{Scale, Swept, crowd, random, reader, stop, torn};
use crate::command;

type Part = (&'static str, fn(&Scene, Scale) -> anyhow::Result<Swept>);

const PARTS: [Part; 6] = [
    ("a reader", reader::sweep),
    ("killed in commits", |scene, scale| Ok(random::commits(scene, scale))),
    ("killed at random", random::kills),
    ("told to stop", stop::sweep),
    ("torn files", torn::sweep),
    ("crowds", |scene, scale| Ok(crowd::sweep(scene, scale))),
];

/// The short form of every sweep that needs no driver, on the folder for temporary files; the first of them alone when
/// all of this is to be short.
pub(super) fn sweep(scene: &Scene, scale: Scale) -> anyhow::Result<Swept> {
    let place = std::env::temp_dir();
    let [here, there] = [file_system(&place)?, file_system(scene.place())?];
    if here == there {
        return Ok(Swept { tried: format!("skipped: temporary files are on {here}, too"), ..Swept::default() });
    }
    let scene = Scene::within(scene.program(), &place)?;
    let mut swept = Swept::default();
    let mut names = Vec::new();
    for (name, part) in PARTS.into_iter().take(scale.of(1, PARTS.len())) {
        let done = part(&scene, Scale::Short).with_context(|| format!("{name}, on disk"))?;
        names.push(format!("{name} ({})", done.faults));
        swept.faults += done.faults;
        swept.findings.extend(done.findings.into_iter().map(|finding| format!("on {here}: {finding}")));
    }
    swept.tried = format!("on {here}: {}", names.join(", "));
    Ok(swept)
}

/// What kind of file system a folder is on, as GNU df calls it.
fn file_system(folder: &Path) -> anyhow::Result<String> {
    let table = command::read(Command::new("df").arg("--output=fstype").arg(folder))?;
    Ok(table.lines().last().unwrap_or_default().to_owned())
}
