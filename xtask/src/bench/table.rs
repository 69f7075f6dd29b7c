//! The tables, ratios first: below 1 is good.

use std::time::Duration;

use super::usage::Usage;

const MIB: f64 = 1024.0 * 1024.0;
/// GNU time counts hundredths of a second: ratios of times below this say nothing.
const SHORT: Duration = Duration::from_millis(30);

/// One thing that is limited.
#[derive(Debug)]
pub(super) struct Limit {
    pub(super) what: String,
    found: Amount,
    at_most: Amount,
}

/// How much of it there is.
#[derive(Debug, Clone, Copy)]
enum Amount {
    Count(usize),
    Bytes(u64),
    Time(Duration),
}

/// What a limit says about what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is kept.
    Within,
    /// Something that is the same on every machine is over it.
    TooMuch,
    /// A time is over it.
    TooLong,
}

impl Limit {
    pub(super) fn count(what: &str, found: usize, at_most: usize) -> Self {
        Self { what: what.to_owned(), found: Amount::Count(found), at_most: Amount::Count(at_most) }
    }

    pub(super) fn bytes(what: impl Into<String>, found: u64, at_most: u64) -> Self {
        Self { what: what.into(), found: Amount::Bytes(found), at_most: Amount::Bytes(at_most) }
    }

    pub(super) fn time(what: impl Into<String>, found: Duration, at_most: Duration) -> Self {
        Self { what: what.into(), found: Amount::Time(found), at_most: Amount::Time(at_most) }
    }

    pub(super) fn verdict(&self) -> Verdict {
        match self.found {
            _ if self.ratio() <= 1.0 => Verdict::Within,
            Amount::Count(_) | Amount::Bytes(_) => Verdict::TooMuch,
            Amount::Time(_) => Verdict::TooLong,
        }
    }

    fn ratio(&self) -> f64 {
        self.found.number() / self.at_most.number()
    }
}

impl Amount {
    #[expect(clippy::cast_precision_loss, reason = "for a ratio of two digits")]
    fn number(self) -> f64 {
        match self {
            Self::Count(count) => count as f64,
            Self::Bytes(bytes) => bytes as f64,
            Self::Time(time) => time.as_secs_f64(),
        }
    }

    fn shown(self) -> String {
        match self {
            Self::Count(count) => count.to_string(),
            Self::Bytes(_) => format!("{:.2} MiB", self.number() / MIB),
            Self::Time(time) if time.as_secs() > 0 => format!("{:.2} s", time.as_secs_f64()),
            Self::Time(time) => format!("{:.2} ms", time.as_secs_f64() * 1000.0),
        }
    }
}

/// A way to do the same work, and what it took: the middle of several rounds.
#[derive(Debug)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    pub(super) usage: Usage,
}

/// Several ways to do one thing, ours first.
#[derive(Debug)]
pub(super) struct Comparison {
    /// The work in words.
    pub(super) about: &'static str,
    pub(super) tools: Vec<Tool>,
    /// What ours is held to.
    pub(super) limits: Vec<Limit>,
}

/// A tool that packs, and the size of its tarball.
#[derive(Debug)]
pub(super) struct Packer {
    pub(super) tool: Tool,
    /// Bytes.
    pub(super) packed: u64,
}

/// Prints what is limited, and how much of each limit is used.
pub(super) fn print_limits(limits: &[Limit]) {
    println!("\n| of the limit | what | found | at most |\n| ---: | --- | ---: | ---: |");
    for limit in limits {
        println!("| {:.2} | {} | {} | {} |", limit.ratio(), limit.what, limit.found.shown(), limit.at_most.shown());
    }
}

/// Prints the tools of each comparison beside the first of them, which is ours.
pub(super) fn print_comparisons(comparisons: &[Comparison], rounds: usize) {
    println!("\n| ours to this, wall | CPU | what | tool, median of {rounds} rounds | wall | CPU | peak memory |");
    println!("| ---: | ---: | --- | --- | ---: | ---: | ---: |");
    for Comparison { about, tools, .. } in comparisons {
        let Some(ours) = tools.first() else { continue };
        for tool in tools {
            println!("| {} | {about} | {} | {} |", ours.beside(tool), tool.name, tool.usage.shown());
        }
    }
}

/// Prints the packers beside the first of them, which is ours.
pub(super) fn print_packers(packers: &[Packer], rounds: usize) {
    let Some(ours) = packers.first() else { return };
    println!(
        "\n| ours to this, wall | CPU | size | tool, median of {rounds} rounds | wall | CPU | peak memory | size |"
    );
    println!("| ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: |");
    for Packer { tool, packed } in packers {
        let (ours_packed, packed) = (Amount::Bytes(ours.packed), Amount::Bytes(*packed));
        let size = ours_packed.number() / packed.number();
        let (ratios, usage) = (ours.tool.beside(tool), tool.usage.shown());
        println!("| {ratios} | {size:.3} | {} | {usage} | {} |", tool.name, packed.shown());
    }
}

impl Tool {
    /// Two cells: the ratios of this one's times to the `other`'s.
    fn beside(&self, other: &Self) -> String {
        let ratio = |time: fn(&Usage) -> Duration| match (time(&self.usage), time(&other.usage)) {
            (ours, theirs) if ours.min(theirs) < SHORT => "–".to_owned(),
            (ours, theirs) => format!("{:.2}", ours.as_secs_f64() / theirs.as_secs_f64()),
        };
        format!("{} | {}", ratio(|usage| usage.wall), ratio(|usage| usage.cpu))
    }
}

impl Usage {
    /// Three cells: times and memory.
    fn shown(&self) -> String {
        let Self { wall, cpu, peak } = self;
        format!("{:.3} s | {:.2} s | {}", wall.as_secs_f64(), cpu.as_secs_f64(), Amount::Bytes(*peak).shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_at_its_limit_is_within_and_what_is_past_it_is_told_apart() {
        let millis = Duration::from_millis;
        for (limit, expected) in [
            (Limit::count("crates", 75, 75), Verdict::Within),
            (Limit::count("crates", 76, 75), Verdict::TooMuch),
            (Limit::bytes("binary", 4, 4), Verdict::Within),
            (Limit::bytes("binary", 5, 4), Verdict::TooMuch),
            (Limit::time("start", millis(5), millis(5)), Verdict::Within),
            (Limit::time("start", millis(6), millis(5)), Verdict::TooLong),
        ] {
            assert_eq!(limit.verdict(), expected, "{limit:?}");
        }
    }

    #[test]
    fn a_time_too_short_to_be_counted_has_no_ratio() {
        let tool = |millis| {
            let time = Duration::from_millis(millis);
            Tool { name: "any", usage: Usage { wall: 2 * time, cpu: time, peak: 1 } }
        };
        assert_eq!(tool(30).beside(&tool(60)), "0.50 | 0.50");
        assert_eq!(tool(20).beside(&tool(60)), "0.33 | –");
        assert_eq!(tool(30).beside(&tool(0)), "– | –");
    }
}
