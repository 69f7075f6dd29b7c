//! Two texts that differ in few places, as a unified diff (POSIX `diff -u`, section "Diff -u Output Format").

use std::fmt::Write as _;
use std::ops::Range;

use source::printable;

/// Equal lines shown around what differs.
const CONTEXT: usize = 3;
/// How far apart, in lines of both texts together, equal lines are looked for; beyond that everything up to the end
/// of the two counts as different.
const REACH: usize = 2_000;

/// Lines of the one text that stand where those of the other stood; either may be none.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Difference {
    old: Range<usize>,
    new: Range<usize>,
}

/// A diff that makes `new` of a file `name` that holds `old`; empty when they are equal.
pub(crate) fn unified(name: &str, old: &str, new: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let differences = differences(&old, &new);
    let mut out = String::new();
    if !differences.is_empty() {
        // A tab ends a name that has blanks in it.
        let name = format!("{}{}", printable(name), if name.contains(' ') { "\t" } else { "" });
        write(&mut out, format_args!("--- {name}\n+++ {name}\n"));
    }
    for hunk in differences.chunk_by(|a, b| b.old.start - a.old.end <= 2 * CONTEXT) {
        show(&mut out, hunk, &old, &new);
    }
    out
}

/// Walks through both texts; where they differ, goes on at the nearest two lines that are equal.
fn differences(old: &[&str], new: &[&str]) -> Vec<Difference> {
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let (mut i, mut j) = (0, 0);
    let mut found = Vec::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
            continue;
        }
        let meet = |distance: usize| {
            let mut ways = (0..=distance).map(|skipped| (i + skipped, j + distance - skipped));
            ways.find(|&(a, b)| a < old.len() && b < new.len() && old[a] == new[b])
        };
        let tail = tail.min(old.len() - i).min(new.len() - j);
        let ends = (old.len() - tail, new.len() - tail);
        let (to_i, to_j) = (1..=REACH).find_map(meet).unwrap_or(ends);
        found.push(Difference { old: i..to_i, new: j..to_j });
        (i, j) = (to_i, to_j);
    }
    found
}

fn show(out: &mut String, hunk: &[Difference], old: &[&str], new: &[&str]) {
    let ([first, ..], [.., last]) = (hunk, hunk) else { return };
    let before = first.old.start.min(CONTEXT);
    let after = (old.len() - last.old.end).min(CONTEXT);
    let old_lines = first.old.start - before..last.old.end + after;
    let new_lines = first.new.start - before..last.new.end + after;
    write(out, format_args!("@@ -{} +{} @@\n", counted(&old_lines), counted(&new_lines)));
    let mut at = old_lines.start;
    for Difference { old: removed, new: added } in hunk {
        lines(out, ' ', &old[at..removed.start]);
        lines(out, '-', &old[removed.clone()]);
        lines(out, '+', &new[added.clone()]);
        at = removed.end;
    }
    lines(out, ' ', &old[at..old_lines.end]);
}

/// Where lines begin, counted from 1, and how many there are; of none, behind which line.
fn counted(lines: &Range<usize>) -> String {
    match lines.len() {
        0 => format!("{},0", lines.start),
        1 => (lines.start + 1).to_string(),
        count => format!("{},{count}", lines.start + 1),
    }
}

fn lines(out: &mut String, mark: char, lines: &[&str]) {
    for line in lines {
        out.push(mark);
        out.push_str(line);
        if !line.ends_with('\n') {
            out.push_str("\n\\ No newline at end of file\n");
        }
    }
}

fn write(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes all text");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(range: Range<usize>) -> String {
        range.fold(String::new(), |text, number| format!("{text}{number}\n"))
    }

    #[test]
    fn hunks_have_three_lines_of_context_and_join_when_they_touch() {
        let old = numbered(1..30);
        let new = old.replace("\n5\n", "\nfive\n").replace("\n11\n", "\n11\n11a\n").replace("\n29\n", "\n");
        assert_eq!(
            unified("values.yaml", &old, &new),
            "--- values.yaml\n+++ values.yaml\n@@ -2,13 +2,14 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n 9\n 10\n 11\n+11a\n 12\n 13\n 14\n@@ -26,4 +27,3 @@\n 26\n 27\n 28\n-29\n"
        );
    }

    #[test]
    fn edges_are_counted_as_patch_counts_them() {
        for (name, old, new, hunk) in [
            ("equal", "a\n", "a\n", ""),
            ("to nothing", "a\n", "", "@@ -1 +0,0 @@\n-a\n"),
            ("from nothing", "", "a\n", "@@ -0,0 +1 @@\n+a\n"),
            (
                "no final newline",
                "a\nb",
                "a\nc",
                "@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+c\n\\ No newline at end of file\n",
            ),
            (
                "a line behind the last",
                "a",
                "a\nb",
                "@@ -1 +1,2 @@\n-a\n\\ No newline at end of file\n+a\n+b\n\\ No newline at end of file\n",
            ),
            ("one more of the same", "a\na\n", "a\na\na\n", "@@ -1,2 +1,3 @@\n a\n a\n+a\n"),
            ("CRLF", "a\r\n", "b\r\n", "@@ -1 +1 @@\n-a\r\n+b\r\n"),
        ] {
            let diff = unified("x", old, new);
            assert_eq!(diff.strip_prefix("--- x\n+++ x\n").unwrap_or_default(), hunk, "{name}");
        }
        assert!(unified("a b\n", "1", "2").starts_with("--- a b\\n\t\n+++ a b\\n\t\n"));
    }

    #[test]
    fn texts_that_differ_everywhere_are_still_told_apart() {
        let (old, new) = (numbered(0..5000), numbered(5000..12_000));
        let diff = unified("x", &format!("{old}end\n"), &format!("{new}end\n"));
        assert_eq!(diff.lines().filter(|line| line.starts_with('-') && !line.starts_with("---")).count(), 5000);
        assert_eq!(diff.lines().filter(|line| line.starts_with('+') && !line.starts_with("+++")).count(), 7000);
        assert!(diff.ends_with(" end\n"));
    }
}
