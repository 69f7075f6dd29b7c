//! Two texts that differ in few places, as a unified diff (POSIX `diff -u`, section "Diff -u Output Format").

use std::fmt::Write as _;
use std::ops::Range;

use source::printable;

/// How far apart, in lines of both texts together, equal lines are looked for; beyond that everything up to the end
/// of the two counts as different.
const REACH: usize = 2_000;

/// Lines of the one text that stand where those of the other stood; either may be none.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Difference {
    old: Range<usize>,
    new: Range<usize>,
}

/// A diff that makes `new` of a file `name` that holds `old`; empty when they are equal. Lines that are equal are not
/// shown: nobody asked for them, and they may hold secrets. In their place `heading` says what stands at these lines of
/// `old`, counted from 1; an empty range is before the line that it starts at.
pub(crate) fn unified(name: &str, old: &str, new: &str, heading: impl Fn(Range<usize>) -> String) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let differences = differences(&old, &new);
    let mut out = String::new();
    if !differences.is_empty() {
        // A tab ends a name that has blanks in it.
        let name = format!("{}{}", printable(name), if name.contains(' ') { "\t" } else { "" });
        write(&mut out, format_args!("--- {name}\n+++ {name}\n"));
    }
    for Difference { old: removed, new: added } in differences {
        let heading = printable(&heading(removed.start + 1..removed.end + 1));
        let heading = if heading.is_empty() { heading } else { format!(" {heading}") };
        write(&mut out, format_args!("@@ -{} +{} @@{heading}\n", counted(&removed), counted(&added)));
        lines(&mut out, '-', &old[removed]);
        lines(&mut out, '+', &new[added]);
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

    fn bare(name: &str, old: &str, new: &str) -> String {
        unified(name, old, new, |_| String::new())
    }

    #[test]
    fn only_lines_that_change_are_shown_and_the_heading_says_what_they_are_of() {
        let old = numbered(1..30);
        let new = old.replace("\n5\n", "\nfive\n").replace("\n11\n", "\n11\n11a\n").replace("\n29\n", "\n");
        assert_eq!(
            unified("values.yaml", &old, &new, |lines| format!("{lines:?}\n@@")),
            "--- values.yaml\n+++ values.yaml\n@@ -5 +5 @@ 5..6\\n@@\n-5\n+five\n@@ -11,0 +12 @@ 12..12\\n@@\n+11a\n\
             @@ -29 +29,0 @@ 29..30\\n@@\n-29\n"
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
                "@@ -2 +2 @@\n-b\n\\ No newline at end of file\n+c\n\\ No newline at end of file\n",
            ),
            (
                "a line behind the last",
                "a",
                "a\nb",
                "@@ -1 +1,2 @@\n-a\n\\ No newline at end of file\n+a\n+b\n\\ No newline at end of file\n",
            ),
            ("one more of the same", "a\na\n", "a\na\na\n", "@@ -2,0 +3 @@\n+a\n"),
            ("CRLF", "a\r\n", "b\r\n", "@@ -1 +1 @@\n-a\r\n+b\r\n"),
        ] {
            let diff = bare("x", old, new);
            assert_eq!(diff.strip_prefix("--- x\n+++ x\n").unwrap_or_default(), hunk, "{name}");
        }
        assert!(bare("a b\n", "1", "2").starts_with("--- a b\\n\t\n+++ a b\\n\t\n"));
    }

    #[test]
    fn texts_that_differ_everywhere_are_still_told_apart() {
        let (old, new) = (numbered(0..5000), numbered(5000..12_000));
        let diff = bare("x", &format!("{old}end\n"), &format!("{new}end\n"));
        assert_eq!(diff.lines().filter(|line| line.starts_with('-') && !line.starts_with("---")).count(), 5000);
        assert_eq!(diff.lines().filter(|line| line.starts_with('+') && !line.starts_with("+++")).count(), 7000);
        assert!(!diff.contains("end"), "it is the same in both");
    }
}
