//! The lines that clients of the original look for, without what no client can rely on.

/// How each of them begins.
const BEGINNINGS: [&str; 25] = [
    "======= Created lock file: ",
    "======= Waiting for lock to be released: ",
    "======= Removed lock file: ",
    "======= Workers: ",
    "======= Config file: ",
    "======= Extracting catalog index from ",
    "======= Including plugins from ",
    "======= No plugin path specified for ",
    "======= Auto-resolving OCI package ",
    "======= Adding new dynamic plugin configuration for ",
    "======= Overriding dynamic plugin configuration ",
    "======= Inheriting version ",
    "======= Disabling OCI plugin ",
    "======= Skipping ",
    "======= Installing ",
    "======= Removing obsolete plugin ",
    "======= All plugins installed successfully",
    "INFO: Overriding version for ",
    "WARNING: include file ",
    "No dynamic-plugins.yaml found at ",
    "\t==> Downloading oci://",
    "\t==> Falling back to quay.io/rhdh/ for ",
    "\t==> Running npm pack",
    "\t==> Verifying package integrity",
    "\t==> Installed ",
];
/// What some begin with, in front of a message that is each installer's own.
const IN_FRONT_OF_MESSAGES: [&str; 2] = ["\t==> ERROR: ", "  - "];
/// How others end, or what they have in the middle.
const ENDS: [&str; 5] = [
    " is empty. Skipping.",
    " plugin(s) failed:",
    ": already installed, skipping",
    ": digest unchanged, skipping",
    " (not found at ",
];
/// Behind these, lines say more.
const CUTS: [&str; 2] = [" (CPUs: ", " because of install failures."];

/// The parts of a log whose lines have an order. Among the parts there is none: ours takes the lock when it knows what
/// there is to do, asks an image for its folders when it is about to fetch it, works on all kinds at once, and tells what
/// became of the plugins when it is known of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Lock,
    Plan,
    Folder,
    Warning,
    Queue,
    Oci,
    Npm,
    Skipped,
    Outcome,
}

impl Part {
    pub(crate) const ALL: [Self; 9] = [
        Self::Lock,
        Self::Plan,
        Self::Folder,
        Self::Warning,
        Self::Queue,
        Self::Oci,
        Self::Npm,
        Self::Skipped,
        Self::Outcome,
    ];

    pub(crate) fn of(line: &str) -> Self {
        let begins = |beginnings: &[&str]| beginnings.iter().any(|begin| line.starts_with(begin));
        match line {
            _ if line.contains(" lock file: ") => Self::Lock,
            _ if line.contains(" plugin(s) (") => Self::Queue,
            _ if begins(&["======= Auto-resolving "]) => Self::Folder,
            _ if begins(&["WARNING: "]) => Self::Warning,
            _ if begins(&["======= Installing OCI ", "\t==> Downloading ", "\t==> Falling back "]) => Self::Oci,
            _ if begins(&["======= Installing NPM ", "\t==> Running ", "\t==> Verifying "]) => Self::Npm,
            _ if begins(&["======= Skipping disabled "]) || line.contains(" local plugins (") => Self::Skipped,
            _ if begins(&["\t==> ", "  - ", "======= Skipping ", "======= Removing ", "======= All "])
                || line.ends_with(" failed:") =>
            {
                Self::Outcome
            }
            _ => Self::Plan,
        }
    }
}

/// Those lines, in their order.
pub(crate) fn client_lines(text: &str) -> Vec<String> {
    text.lines().filter_map(client_line).collect()
}

fn client_line(line: &str) -> Option<String> {
    let line = line.replace("ROOT/install-dynamic-plugins.lock", "LOCK").replace("ROOT/.butler-plugins.lock", "LOCK");
    if let Some(begin) = IN_FRONT_OF_MESSAGES.iter().find(|begin| line.starts_with(**begin)) {
        let (package, _) = line[begin.len()..].split_once(": ")?;
        return Some(format!("{begin}{package}"));
    }
    let is_one = BEGINNINGS.iter().any(|begin| line.starts_with(begin)) || ENDS.iter().any(|end| line.contains(end));
    let cut = CUTS.iter().find_map(|cut| Some(line.find(cut)? + cut.len())).unwrap_or(line.len());
    is_one.then(|| line[..cut].to_owned())
}

/// Whether standard error has the last word of a run that failed.
pub(crate) fn failure(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("install-dynamic-plugins failed: "))
}

#[test]
fn lines_for_clients_are_told_from_others_and_cut() {
    let text = "\n======= Workers: 1 (CPUs: 2)\nINFO: version 1\n\t==> ERROR: oci://h/a:1!p: it broke: badly\n\
                \t==> p: already installed, skipping\n======= Created lock file: ROOT/.butler-plugins.lock\n";
    let expected = [
        "======= Workers: 1 (CPUs: ",
        "\t==> ERROR: oci://h/a:1!p",
        "\t==> p: already installed, skipping",
        "======= Created lock file: LOCK",
    ];
    assert_eq!(client_lines(text), expected);
}
