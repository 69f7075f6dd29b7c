//! How two outcomes differ, and what is written down of it.

use std::collections::HashMap;

use crate::app_config::with_floats;
use crate::log::Part;
use crate::outcome::{Listing, Outcome};

/// A heading names a row of the guide; below it, each line is a difference.
const WRITTEN_DOWN: &str = include_str!("differences.txt");

/// Every difference that is meant, behind the name of its row in the guide.
pub(crate) fn written_down() -> Vec<(String, String)> {
    let (mut row, mut all) = (String::new(), Vec::new());
    for line in WRITTEN_DOWN.lines().filter(|line| !line.is_empty() && !line.starts_with("//")) {
        match line.strip_prefix("## ") {
            Some(name) => name.clone_into(&mut row),
            None => all.push((row.clone(), line.to_owned())),
        }
    }
    all
}

/// All differences between two outcomes of a scene's run: `-` is what the original has, `+` what ours has.
pub(crate) fn between(scene: &str, run: usize, theirs: &Outcome, ours: &Outcome) -> Vec<String> {
    let mut found = Vec::new();
    if theirs.status != ours.status {
        found.push(format!("status - {} + {}", theirs.status, ours.status));
    }
    if theirs.failure != ours.failure {
        found.push(format!("last word {}", if ours.failure { '+' } else { '-' }));
    }
    if with_floats(&theirs.config) != with_floats(&ours.config) {
        found.push(format!("config - {} + {}", theirs.config, ours.config));
    }
    compare_listings("root", &theirs.root, &ours.root, &mut found);
    compare_listings("entities", &theirs.entities, &ours.entities, &mut found);
    compare_logs(&theirs.log, &ours.log, &mut found);
    found.into_iter().map(|what| format!("{scene} {run}: {what}")).collect()
}

/// Of a folder that is only theirs no content is told.
fn compare_listings(name: &str, theirs: &Listing, ours: &Listing, found: &mut Vec<String>) {
    for (path, what) in theirs {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        match ours.get(path) {
            Some(other) if other == what => {}
            Some(other) => found.push(format!("{name} - {path} {what} + {other}")),
            None if folder.is_empty() || ours.contains_key(folder) => found.push(format!("{name} - {path} {what}")),
            None => {}
        }
    }
    let added = ours.iter().filter(|(path, _)| !theirs.contains_key(*path));
    found.extend(added.map(|(path, what)| format!("{name} + {path} {what}")));
}

/// Lines that only one has, and the first of each part that comes out of turn among those that both have.
fn compare_logs(theirs: &[String], ours: &[String], found: &mut Vec<String>) {
    let (their_rest, their_common) = without(theirs, ours);
    let (our_rest, our_common) = without(ours, theirs);
    found.extend(their_rest.iter().map(|line| format!("log - {}", line.trim_start())));
    found.extend(our_rest.iter().map(|line| format!("log + {}", line.trim_start())));
    for part in Part::ALL {
        let is_of_part = |line: &&&str| Part::of(line) == part;
        let (their_part, our_part) = (their_common.iter().filter(is_of_part), our_common.iter().filter(is_of_part));
        if let Some((their, our)) = their_part.zip(our_part).find(|(their, our)| their != our) {
            found.push(format!("turn - {} + {}", their.trim_start(), our.trim_start()));
        }
    }
}

/// The lines that have no counterpart among the others, and those that have, both in their order.
pub(crate) fn without<'a>(lines: &'a [String], others: &[String]) -> (Vec<&'a str>, Vec<&'a str>) {
    let mut left = HashMap::new();
    for line in others {
        *left.entry(&**line).or_insert(0_usize) += 1;
    }
    lines.iter().map(|line| &**line).partition(|line| match left.get_mut(line) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    })
}
