//! `cargo xtask fuzz`: lets libFuzzer look for bytes for which something does not hold.
//!
//! What it learns is kept where tests replay it: the smallest inputs that reach everything in `fuzz/corpus/`, and those
//! for which something did not hold in `fuzz/findings/`. All else stays in `target/fuzz/`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use fuzz::{TARGETS, Target};

use crate::{command, workspace};

/// Where the bins are built for; cargo-fuzz names it always.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";
/// Memory of a whole process: what goal G12 allows.
const MEMORY_MIB: usize = 256;
/// Seconds after which one input counts as a hang.
const HANG: usize = 1;
/// Most inputs that the repository keeps of one target, and most bytes of them together.
const KEPT_FILES: usize = 256;
const KEPT_BYTES: u64 = 1024 * 1024;

/// Fuzzes one target, or each in turn, for that many seconds, and shows what came of it.
pub(crate) fn run(seconds: u64, name: Option<&str>) -> anyhow::Result<()> {
    let chosen: Vec<_> = TARGETS.iter().filter(|target| name.is_none_or(|name| target.name == name)).collect();
    if chosen.is_empty() {
        let known: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        bail!("expected one of {}, found `{}`", known.join(", "), name.unwrap_or_default());
    }
    build()?;
    let runs = chosen.into_iter().map(|target| fuzz(target, seconds)).collect::<anyhow::Result<Vec<_>>>()?;
    println!("\n{:<18}{:>8}{:>14}{:>10}{:>8}{:>10}", "target", "seconds", "executions", "exec/s", "corpus", "findings");
    for Outcome { name, executions, kept, findings } in &runs {
        let rate = executions / seconds;
        println!("{name:<18}{seconds:>8}{executions:>14}{rate:>10}{kept:>8}{findings:>10}");
    }
    match runs.iter().map(|run| run.findings).sum() {
        0 => Ok(()),
        count => bail!("{count} findings in `fuzz/findings/`"),
    }
}

/// What came of one target.
struct Outcome {
    name: &'static str,
    executions: u64,
    /// Files in the corpus afterwards.
    kept: usize,
    /// Inputs for which something did not hold, this time.
    findings: usize,
}

fn build() -> anyhow::Result<()> {
    if !command::has_subcommand("fuzz") {
        println!("cargo-fuzz is missing: installing it takes about a minute");
        command::run(&mut command::cargo(&["install", "cargo-fuzz@0.13.2", "--locked"]))?;
    }
    // rustup's cargo, as the one that runs this tool knows no `+nightly`.
    let mut build = command::program("rustup", &["run", "nightly", "cargo", "fuzz", "build"]);
    build.args(["--fuzz-dir", "fuzz", "--features", "libfuzzer"]);
    // The release profile makes small programs, slowly; names are needed to understand a finding.
    for (key, value) in [("LTO", "off"), ("OPT_LEVEL", "3"), ("CODEGEN_UNITS", "16"), ("STRIP", "none")] {
        build.env(format!("CARGO_PROFILE_RELEASE_{key}"), value);
    }
    command::run(&mut build)
}

fn fuzz(target: &Target, seconds: u64) -> anyhow::Result<Outcome> {
    let place = Place::prepare(target)?;
    let before = files(&place.findings)?;
    println!("{}: {seconds} s, log in `{}`", target.name, place.log.display());
    let log = File::create(&place.log).with_context(|| format!("could not write `{}`", place.log.display()))?;
    let mut run = place.program(target);
    run.arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", place.findings.display()))
        .arg(format!("-dict={}", place.words.display()))
        .args(["-print_final_stats=1", "-reload=0"])
        .args([&place.work, &place.corpus]);
    // It fails when something does not hold; the finding says so, too.
    run.stdout(Stdio::null()).stderr(log).status().with_context(|| format!("could not start `{}`", target.name))?;
    let findings = place.confirmed(target, &before)?;
    let log = fs::read(&place.log).context("the log is gone")?;
    let executions = executions(&String::from_utf8_lossy(&log))
        .with_context(|| format!("`{}` ended early: see `{}`", target.name, place.log.display()))?;
    place.keep_the_best(target)?;
    Ok(Outcome { name: target.name, executions, kept: files(&place.corpus)?.len(), findings })
}

/// The files of one target.
struct Place {
    corpus: PathBuf,
    findings: PathBuf,
    /// Everything that reached something new, on this machine.
    work: PathBuf,
    /// Of all that, as little as reaches the same.
    least: PathBuf,
    words: PathBuf,
    log: PathBuf,
    program: PathBuf,
}

impl Place {
    fn prepare(target: &Target) -> anyhow::Result<Self> {
        let kept = workspace::root().join("fuzz");
        let built = workspace::target()?;
        let own = built.join("fuzz").join(target.name);
        let place = Self {
            corpus: kept.join("corpus").join(target.name),
            findings: kept.join("findings").join(target.name),
            work: own.join("work"),
            least: own.join("least"),
            words: own.join("words.dict"),
            log: own.join("log"),
            program: built.join(TRIPLE).join("release").join(target.name),
        };
        for folder in [&place.corpus, &place.findings, &place.work, &place.least] {
            fs::create_dir_all(folder).with_context(|| format!("could not create `{}`", folder.display()))?;
        }
        for (number, seed) in (target.seeds)().into_iter().enumerate() {
            fs::write(place.work.join(format!("seed-{number:03}")), seed).context("could not write a seed")?;
        }
        fs::write(&place.words, dictionary(target.words)).context("could not write the dictionary")?;
        Ok(place)
    }

    fn program(&self, target: &Target) -> Command {
        let mut program = Command::new(&self.program);
        program.current_dir(workspace::root());
        // What was freed stays in quarantine, which is no memory that the product asks for.
        program.env("ASAN_OPTIONS", "detect_odr_violation=0:quarantine_size_mb=16");
        program.arg(format!("-max_len={}", target.max_len));
        program.arg(format!("-rss_limit_mb={MEMORY_MIB}")).arg(format!("-timeout={HANG}"));
        program
    }

    /// How many findings are new. On a busy machine any input may seem to hang: what does not when it is tried alone is
    /// thrown away.
    fn confirmed(&self, target: &Target, before: &[(PathBuf, u64)]) -> anyhow::Result<usize> {
        let mut count = 0;
        for finding in files(&self.findings)?.into_iter().filter(|finding| !before.contains(finding)) {
            let mut again = self.program(target);
            let status = again.arg(&finding.0).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
            let is_hang = finding.0.file_name().is_some_and(|name| name.to_string_lossy().starts_with("timeout-"));
            if is_hang && status.success() {
                fs::remove_file(&finding.0)?;
            } else {
                count += 1;
            }
        }
        Ok(count)
    }

    /// Makes the corpus the fewest inputs that take every branch which any of them takes.
    fn keep_the_best(&self, target: &Target) -> anyhow::Result<()> {
        for (path, _) in files(&self.least)? {
            fs::remove_file(path)?;
        }
        let mut merge = self.program(target);
        merge.args(["-set_cover_merge=1", "-use_counters=0"]).args([&self.least, &self.corpus, &self.work]);
        let status = merge.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        if !status.success() {
            bail!("choosing from the inputs of `{}` failed with {status}", target.name);
        }
        for (path, _) in files(&self.corpus)? {
            fs::remove_file(path)?;
        }
        for path in sample(files(&self.least)?) {
            fs::copy(&path, self.corpus.join(path.file_name().context("a file has a name")?))?;
        }
        Ok(())
    }
}

/// The files of a folder, and their sizes.
fn files(folder: &Path) -> anyhow::Result<Vec<(PathBuf, u64)>> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.with_context(|| format!("could not read `{}`", folder.display()))?;
    entries.into_iter().map(|entry| Ok((entry.path(), entry.metadata()?.len()))).collect()
}

/// As many files as are kept, of all sizes: the smallest alone would be those that fail first.
fn sample(mut files: Vec<(PathBuf, u64)>) -> Vec<PathBuf> {
    files.sort_by_key(|(path, bytes)| (*bytes, path.clone()));
    let count = files.len().min(KEPT_FILES);
    let mut room = KEPT_BYTES;
    let mut fits = |bytes: u64| room.checked_sub(bytes).map(|left| room = left).is_some();
    let chosen = (0..count).map(|number| &files[number * files.len() / count]);
    chosen.filter(|(_, bytes)| fits(*bytes)).map(|(path, _)| path.clone()).collect()
}

/// Words as libFuzzer reads them: one to a line, in quotes, everything unusual as hex.
fn dictionary(words: &[&str]) -> String {
    let byte = |byte: u8| match byte {
        b' ' | b'!' | b'#'..=b'[' | b']'..=b'~' => char::from(byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    };
    let line = |word: &&str| format!("\"{}\"", word.bytes().map(byte).collect::<String>());
    words.iter().map(line).collect::<Vec<_>>().join("\n") + "\n"
}

/// How many inputs were tried, as libFuzzer says at its end.
fn executions(log: &str) -> Option<u64> {
    let line = log.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_all_sizes_are_kept_within_the_bounds() {
        let files = |count: u64, bytes: u64| (0..count).map(|n| (PathBuf::from(n.to_string()), n * bytes)).collect();
        assert_eq!(sample(files(3, 1)).len(), 3);
        let many: Vec<u64> =
            sample(files(1024, 1)).iter().map(|path| path.to_str().unwrap().parse().unwrap()).collect();
        assert_eq!((many.len(), many[0], many[255]), (KEPT_FILES, 0, 1020));
        assert_eq!(sample(files(4, KEPT_BYTES / 3)).len(), 3);
    }

    #[test]
    fn words_are_written_as_libfuzzer_reads_them() {
        assert_eq!(dictionary(&["a b", "\"\\", "\n\u{85}"]), "\"a b\"\n\"\\x22\\x5c\"\n\"\\x0a\\xc2\\x85\"\n");
    }

    #[test]
    fn the_number_of_executions_is_read_from_the_log() {
        assert_eq!(executions("Done\nstat::number_of_executed_units: 1234\nstat::peak_rss_mb: 1\n"), Some(1234));
        assert_eq!(executions("==1== ERROR"), None);
    }
}
