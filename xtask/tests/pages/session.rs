//! One shell that runs all commands of a page, and what is said of what it did.

use std::fs;
use std::path::Path;
use std::process::{Command as Process, Stdio};

use crate::desk::Desk;
use crate::page::{Act, Command, Dialect, Page};

/// Longest time for a page; what takes that long hangs.
const PATIENCE: &str = "120";

/// Runs a page. Answers with what is wrong, each with its place.
pub(crate) fn run(page: &Page, desk: &Desk) -> Vec<String> {
    let records = tempfile::tempdir().unwrap();
    let script: String = page.acts.iter().enumerate().map(|(number, act)| step(number, act, desk)).collect();
    fs::write(records.path().join("script"), script).unwrap();
    let mut shell = Process::new("timeout");
    shell.args([PATIENCE, "bash", "--noprofile", "--norc"]).arg(records.path().join("script"));
    desk.environment(&mut shell);
    shell.env("RECORDS", records.path()).stdin(Stdio::null()).stdout(Stdio::null());
    let output = shell.stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let mut complaints = page.faults.clone();
    for (number, act) in page.acts.iter().enumerate() {
        let told = told(records.path(), number, desk);
        let complaint = match act {
            Act::Run(command) => {
                judge(command, told.as_ref()).map(|text| (command.line, format!("`{}` {text}", command.text)))
            }
            Act::Write { line, name, .. } => told
                .filter(|(status, _)| *status != 0)
                .map(|(_, text)| (*line, format!("`{name}` is not what an installer takes:\n{text}"))),
            Act::Except(_) => None,
        };
        if let Some((line, text)) = complaint {
            complaints.push(format!("{}:{line}: {text}{said}", page.path));
            // What comes after a failure says nothing more.
            break;
        }
    }
    complaints
}

/// The lines of the script for one act. The first one that does not end as it should is the last.
fn step(number: usize, act: &Act, desk: &Desk) -> String {
    let (text, status) = match act {
        Act::Run(command) => (desk.typed(&command.text), command.status),
        Act::Write { name, text, check, .. } => {
            let check = match check {
                None => String::new(),
                Some(Dialect::Butler) => format!("butler-plugin-installer check {name}"),
                Some(Dialect::Rhdh) => format!("butler-plugin-installer check --dialect rhdh {name}"),
            };
            (format!("cat > {name} <<'END-OF-FILE'\n{}END-OF-FILE\n{check}", desk.typed(text)), 0)
        }
        Act::Except(_) => return String::new(),
    };
    format!(
        "exec > \"$RECORDS/{number}.printed\" 2>&1\n{text}\nstatus=$?\n\
         echo $status > \"$RECORDS/{number}.status\"\n[ $status = {status} ] || exit 0\n"
    )
}

/// How an act ended and what it printed; nothing if it was not come to.
fn told(records: &Path, number: usize, desk: &Desk) -> Option<(i32, String)> {
    let status = fs::read_to_string(records.join(format!("{number}.status"))).ok()?;
    let printed = fs::read(records.join(format!("{number}.printed"))).unwrap_or_default();
    Some((status.trim().parse().unwrap(), desk.shown(&String::from_utf8_lossy(&printed))))
}

fn judge(command: &Command, told: Option<&(i32, String)>) -> Option<String> {
    let Some((status, printed)) = told else { return Some("is not understood by the shell, or hangs\n".to_owned()) };
    if *status != command.status {
        return Some(format!(
            "ended with {status}, expected it to end with {}, and printed\n{printed}",
            command.status
        ));
    }
    let found: Vec<_> = printed.lines().map(without_times).collect();
    let expected: Vec<_> = command.expected.iter().map(|line| without_times(line)).collect();
    let matches = expected.is_empty() || lines_match(&expected, &found);
    (!matches).then(|| format!("printed\n{printed}instead of what stands below it\n"))
}

fn lines_match(expected: &[String], found: &[String]) -> bool {
    match expected.split_first() {
        None => found.is_empty(),
        Some((any, rest)) if any == "…" => (0..=found.len()).any(|from| lines_match(rest, &found[from..])),
        Some((line, rest)) => {
            found.split_first().is_some_and(|(first, others)| line_matches(line, first) && lines_match(rest, others))
        }
    }
}

fn line_matches(expected: &str, found: &str) -> bool {
    match expected.split_once('…') {
        None => expected == found,
        Some((start, rest)) => found.strip_prefix(start).is_some_and(|found| {
            found.char_indices().map(|(at, _)| at).chain([found.len()]).any(|at| line_matches(rest, &found[at..]))
        }),
    }
}

/// The line with each digit of a time as 0.
fn without_times(line: &str) -> String {
    const FORM: &str = "0000-00-00T00:00:00Z";
    let mut line = line.to_owned();
    for at in 0..line.len() {
        let is_time = line.get(at..at + FORM.len()).is_some_and(|text| {
            text.bytes().zip(FORM.bytes()).all(|(b, form)| if form == b'0' { b.is_ascii_digit() } else { b == form })
        });
        if is_time {
            line.replace_range(at..at + FORM.len(), FORM);
        }
    }
    line
}
