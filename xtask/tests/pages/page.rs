//! A page of Markdown as what is to be done: files to write, commands to run.

/// The key of a chart's values below which the list is.
const VALUES: &str = "dynamicPlugins:";
/// The keys of a list.
const LIST: [&str; 4] = ["plugins:", "allowedSources:", "continueOnError:", "includes:"];

/// Pages that tell how something was measured once, on one machine.
const MEASURED: [&str; 1] = ["docs/performance.md"];

/// A page.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) path: String,
    pub(crate) acts: Vec<Act>,
    /// What is wrong with the page itself.
    pub(crate) faults: Vec<String>,
}

/// What a block of a page asks for.
#[derive(Debug)]
pub(crate) enum Act {
    /// A command is run.
    Run(Command),
    /// A file is written.
    Write { line: usize, name: String, text: String, check: Option<Dialect> },
    /// A block is excepted; its first command.
    Except(String),
}

/// How a list of plugins is written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Dialect {
    Butler,
    Rhdh,
}

/// A command as it is typed.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) line: usize,
    pub(crate) text: String,
    /// The lines that it prints; any if there are none.
    pub(crate) expected: Vec<String>,
    pub(crate) status: i32,
}

/// A block between two fences.
struct Block<'a> {
    line: usize,
    language: &'a str,
    /// The comment above, without its marks.
    mark: Option<&'a str>,
    lines: Vec<&'a str>,
}

impl Page {
    pub(crate) fn parse(path: &str, text: &str) -> Self {
        let mut page = Self { path: path.to_owned(), acts: Vec::new(), faults: Vec::new() };
        let mut above = "";
        let mut lines = text.lines().enumerate();
        while let Some((index, line)) = lines.next() {
            let Some(language) = line.trim_start().strip_prefix("```") else {
                above = if line.trim().is_empty() { above } else { line.trim() };
                continue;
            };
            let indent = line.len() - line.trim_start().len();
            let is_end = |line: &str| line.trim() == "```";
            let body: Vec<_> = lines.by_ref().map(|(_, line)| line).take_while(|line| !is_end(line)).collect();
            if text.lines().nth(index + body.len() + 1).is_none() {
                page.faults.push(format!("{path}:{}: the block has no end", index + 1));
            }
            let lines = body.into_iter().map(|line| line.get(indent..).unwrap_or_default()).collect();
            let mark = above.strip_prefix("<!-- ").and_then(|mark| mark.strip_suffix(" -->"));
            page.add(&Block { line: index + 1, language, mark, lines });
            above = "";
        }
        page
    }

    /// Whether there is something to do or to complain about.
    pub(crate) fn asks(&self) -> bool {
        !self.acts.is_empty() || !self.faults.is_empty()
    }

    /// The excepted blocks: page and first command.
    pub(crate) fn not_run(&self) -> impl Iterator<Item = (&str, &str)> {
        self.acts.iter().filter_map(|act| match act {
            Act::Except(first) => Some((self.path.as_str(), first.as_str())),
            Act::Run(_) | Act::Write { .. } => None,
        })
    }

    fn add(&mut self, block: &Block<'_>) {
        if block.language == "console" {
            match block.mark.map(|mark| mark.split_once(": ").unwrap_or((mark, ""))) {
                Some(("not run", reason)) if !reason.is_empty() => {
                    let first = block.lines.first().map_or("", |line| line.trim_start_matches("$ "));
                    self.acts.push(Act::Except(first.to_owned()));
                }
                _ => self.add_commands(block),
            }
        } else if ["sh", "bash", "shell"].contains(&block.language) && !MEASURED.contains(&self.path.as_str()) {
            self.faults
                .push(format!("{}:{}: expected commands in a block of the language `console`", self.path, block.line));
        } else if let Some(name) = block.file_name() {
            let text = block.lines.join("\n") + "\n";
            let check = match block.mark {
                _ if !block.is_list() => None,
                Some("rhdh") => Some(Dialect::Rhdh),
                _ => Some(Dialect::Butler),
            };
            self.acts.push(Act::Write { line: block.line, name: name.to_owned(), text, check });
        }
    }

    fn add_commands(&mut self, block: &Block<'_>) {
        let mut commands: Vec<Command> = Vec::new();
        for (index, line) in block.lines.iter().enumerate() {
            if let Some(text) = line.strip_prefix("$ ") {
                let text = text.to_owned();
                commands.push(Command { line: block.line + index + 1, text, expected: Vec::new(), status: 0 });
            } else if let Some(command) = commands.last_mut() {
                match line.strip_prefix("> ").filter(|_| command.expected.is_empty()) {
                    Some(more) => command.text.extend(["\n", more]),
                    None => command.expected.push((*line).to_owned()),
                }
            } else {
                self.faults.push(format!("{}:{}: expected `$ ` first", self.path, block.line + 1));
            }
        }
        let status = block.mark.and_then(|mark| mark.strip_prefix("ends with ")).map(|status| status.parse().unwrap());
        if let (Some(status), Some(last)) = (status, commands.last_mut()) {
            last.status = status;
        }
        self.acts.extend(commands.into_iter().map(Act::Run));
    }
}

impl Block<'_> {
    /// The file that it is.
    fn file_name(&self) -> Option<&str> {
        let is_name = |text: &&str| text.contains('.') && !text.contains([' ', ',']);
        if let Some(name) = self.lines.first()?.strip_prefix("# ").filter(is_name) {
            return Some(name);
        }
        match *self.lines.iter().find(|line| !line.starts_with('#'))? {
            VALUES => Some("values.yaml"),
            first => LIST.iter().any(|key| first.starts_with(key)).then_some("dynamic-plugins.yaml"),
        }
    }

    /// Whether it has a list of plugins, or a part of one.
    fn is_list(&self) -> bool {
        self.lines.iter().any(|line| *line == VALUES || LIST.iter().any(|key| line.starts_with(key)))
    }
}
