//! A terminal as a picture: what `cargo xtask demo` printed, as an SVG without script or font, the same in each run.

use std::fmt::Write as _;

/// The steps of the demo that are in the picture; the others are for those who run it.
const STEPS: [&str; 4] = ["1.", "2.", "4.", "6."];
/// Characters of a line.
const COLUMNS: usize = 112;
/// What follows of a longer line is left out.
const MAX_ROWS: usize = 2;
/// Pixels: of a character's width, with room for wider fonts, of a line, and around all.
const CHARACTER: usize = 8;
const LINE: usize = 18;
const MARGIN: usize = 16;
/// Characters of a hash that are shown.
const HASH: usize = 8;

/// What is coloured, and how.
const COLOURED: [(&str, &str); 4] = [
    ("digest_verified=ok", "good"),
    ("0 errors, 0 warnings", "good"),
    ("level=ERROR", "bad"),
    ("reason=integrity_mismatch", "bad"),
];

/// The picture of what the demo printed.
pub(crate) fn svg(printed: &str) -> String {
    let rows: Vec<String> = lines(printed).iter().flat_map(|line| wrapped(line)).collect();
    let (width, height) = (COLUMNS * CHARACTER + 2 * MARGIN, (rows.len() + 1) * LINE + MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\">\n<style>\n\
         rect {{ fill: #16181d }}\n\
         text {{ fill: #c8ccd4; font: 13px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace; white-space: pre }}\n\
         .title {{ fill: #7aa2f7 }}\n.command {{ fill: #ffffff; font-weight: bold }}\n.good {{ fill: #9ece6a }}\n\
         .bad {{ fill: #f7768e }}\n</style>\n<rect width=\"{width}\" height=\"{height}\" rx=\"8\"/>\n"
    );
    for (index, row) in rows.iter().enumerate().filter(|(_, row)| !row.is_empty()) {
        let class = match row.as_bytes() {
            [b'#', ..] => " class=\"title\"",
            [b'$', ..] => " class=\"command\"",
            _ => "",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            svg,
            "<text x=\"{MARGIN}\" y=\"{}\"{class} xml:space=\"preserve\">{}</text>",
            MARGIN + (index + 1) * LINE - LINE / 2,
            coloured(row)
        );
    }
    svg + "</svg>\n"
}

/// The commands of the chosen steps and what they print, without what differs between runs.
fn lines(printed: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for step in printed.split("\n=== ").skip(1).filter(|step| STEPS.iter().any(|number| step.starts_with(number))) {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(format!("# {}", step.lines().next().unwrap_or_default()));
        for command in step.split("\n$ ").skip(1) {
            let output = command.split("\nIts exit status").next().unwrap_or_default();
            lines.extend(format!("$ {}", output.trim_end()).lines().map(steady));
        }
    }
    lines
}

/// The line with a known host, short hashes, and nothing of this run and this machine.
fn steady(line: &str) -> String {
    let mut words = Vec::new();
    for word in line.split(' ') {
        let word = match word.split_once('=') {
            Some((key @ ("ts" | "duration_ms" | "sandbox"), _)) => format!("{key}=…"),
            _ => word.to_owned(),
        };
        words.push(
            ["sha512-", "sha256:"].iter().fold(with_known_host(&word), |word, kind| with_short_hash(&word, kind)),
        );
    }
    words.join(" ")
}

fn with_known_host(word: &str) -> String {
    match word.split_once("127.0.0.1:") {
        Some((before, after)) => {
            format!("{before}localhost:5000{}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        None => word.to_owned(),
    }
}

fn with_short_hash(word: &str, kind: &str) -> String {
    match word.split_once(kind) {
        Some((before, hash)) => {
            let end = hash.find(|c: char| !c.is_ascii_alphanumeric() && !"+/=".contains(c)).unwrap_or(hash.len());
            format!("{before}{kind}{}…{}", hash.get(..HASH).unwrap_or_default(), &hash[end..])
        }
        None => word.to_owned(),
    }
}

/// The rows of a line, broken between words.
fn wrapped(line: &str) -> Vec<String> {
    let mut rows = vec![String::new()];
    for (index, word) in line.split(' ').enumerate() {
        let (count, row) = (rows.len(), rows.last_mut().expect("there is a row from the start"));
        if row.chars().count() + 1 + word.chars().count() <= COLUMNS {
            *row += if index == 0 { "" } else { " " };
            *row += word;
        } else if count == MAX_ROWS {
            *row += " …";
            break;
        } else {
            rows.push(format!("    {word}"));
        }
    }
    rows
}

fn coloured(row: &str) -> String {
    let escaped = row.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    COLOURED
        .iter()
        .fold(escaped, |row, (word, class)| row.replace(word, &format!("<tspan class=\"{class}\">{word}</tspan>")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "\n=== 1. One\n\nText.\n\n$ a 127.0.0.1:1/x\nts=1 level=ERROR b=\"sha512-AAAAAAAAAAAA/+==\" <\n\nIts exit \
                           status is 0.\n\n\n=== 3. Three\n\n$ c\n\nIts exit status is 0.\n";

    #[test]
    fn what_differs_between_runs_is_not_in_the_picture() {
        let again = PRINTED.replace("127.0.0.1:1/", "127.0.0.1:23456/").replace("ts=1", "ts=2");
        assert_eq!(svg(PRINTED), svg(&again));
        let expected = ["# 1. One", "$ a localhost:5000/x", "ts=… level=ERROR b=\"sha512-AAAAAAAA…\" <"];
        assert_eq!(lines(PRINTED), expected);
    }

    #[test]
    fn long_lines_are_broken_and_cut() {
        let rows = wrapped(&"word ".repeat(100));
        assert_eq!(rows.len(), MAX_ROWS);
        assert!(rows[1].starts_with("    word") && rows[1].ends_with(" …"), "{rows:?}");
        assert_eq!(wrapped("  - a"), ["  - a"]);
    }

    #[test]
    fn text_is_no_markup() {
        assert_eq!(coloured("a<b level=ERROR"), "a&lt;b <tspan class=\"bad\">level=ERROR</tspan>");
    }
}
