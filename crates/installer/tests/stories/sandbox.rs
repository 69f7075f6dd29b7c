//! What the kernel lets the installer and its credential helpers do, and in which order the installer does things.

use std::fs;
use std::path::Path;
use std::process::Command;

use testkit::{Auth, Pushed, Registry, Request, Tree, docker_config};

use crate::dist;
use crate::portal::{OnReject, Portal, Run, copy, entry, publish, text_of};

/// What a helper calls itself that nothing stood in the way of; the registry knows no other user.
const FREE: &str = "free";
/// What one calls itself that the kernel refused something.
const HELD: &str = "held";

/// A registry that wants a login, a plugin in it, and a helper that knows the login.
struct Stage {
    registry: Registry,
    portal: Portal,
}

impl Stage {
    /// The helper is started as `head` says, and carries `act` out before it answers.
    fn new(head: &str, act: &str) -> Self {
        let registry = Registry::builder().auth(Auth::basic(FREE, "made-password")).start();
        let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
        portal.write("config.json", format!(r#"{{"credHelpers":{{"{}":"made"}}}}"#, registry.host()));
        portal.write("beside", "as it was\n");
        let act = act.replace("HERE", portal.path(".").to_str().unwrap());
        let script = format!(
            r#"{head}
said=$( {{ {act}; }} 2>&1 )
case "$said" in
    "") user={FREE} ;;
    *"Permission denied"* | *"not permitted"*) user={HELD} ;;
    *) user="$said" ;;
esac
printf '{{"Username":"%s","Secret":"made-password"}}' "$user"
"#
        );
        // Another process writes it: a program that a thread's child still holds open for writing cannot be run.
        let write =
            r#"mkdir bin && printf %s "$1" > bin/docker-credential-made && chmod 755 bin/docker-credential-made"#;
        let status = Command::new("sh").args(["-c", write, "sh", &script]).current_dir(portal.path(".")).status();
        assert!(status.unwrap().success());
        Self { registry, portal }
    }

    /// Installs, and says as whom the helper came.
    fn install(&self, flags: &[&str]) -> (Run, String) {
        let run = self.portal.install_with(|command| self.equip(command).args(flags));
        (run, self.user())
    }

    fn equip<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let path = format!("{}:/usr/bin:/bin", self.portal.path("bin").display());
        command.env("PATH", path).env("DOCKER_CONFIG", self.portal.path("."))
    }

    /// What is beside the root.
    fn outside(&self) -> Vec<String> {
        let tree = Tree::of(&self.portal.path(".")).unwrap();
        tree.lines().iter().filter(|line| !line.contains(" dynamic-plugins-root")).cloned().collect()
    }

    fn user(&self) -> String {
        let requests = self.registry.recorder().requests();
        let mut logins = requests.iter().filter_map(Request::basic_credentials);
        logins.next().map(|(user, _)| user).unwrap_or_default()
    }
}

/// The version of Landlock that this kernel has, if it is one that will do.
fn landlock() -> Option<u32> {
    let ask = "import ctypes; print(ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1))";
    let output = Command::new("python3").args(["-c", ask]).output().expect("`python3` is on PATH");
    let version: i32 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    // From the first that allows renames between folders to the last that the library knows.
    let version = u32::try_from(version).ok().filter(|version| *version >= 2).map(|version| version.min(9));
    if version.is_none() {
        println!("skipped: this kernel has no Landlock that allows renames between folders");
    }
    version
}

/// Whether `strace` may trace here.
fn can_trace() -> bool {
    let can = Command::new("strace").args(["--output=/dev/null", "true"]).status().is_ok_and(|status| status.success());
    if !can {
        println!("skipped: `strace` cannot trace here");
    }
    can
}

impl Portal {
    /// Runs with its system calls traced as `flags` say, and gives them back in their order.
    fn traced(&self, flags: &[&str], change: impl FnOnce(&mut Command) -> &mut Command) -> (Run, Vec<String>) {
        self.traced_as(Path::new(self.command().get_program()), flags, change)
    }

    fn traced_as(
        &self,
        binary: &Path,
        flags: &[&str],
        change: impl FnOnce(&mut Command) -> &mut Command,
    ) -> (Run, Vec<String>) {
        let mut installer = self.command();
        change(&mut installer);
        let trace = self.path("trace");
        let mut command = Command::new("/usr/bin/strace");
        command
            .env_clear()
            .envs(installer.get_envs().filter_map(|(key, value)| Some((key, value?))))
            .args(["--follow-forks", "--quiet=all"])
            .args(flags)
            .arg("--output")
            .arg(&trace)
            .arg(binary)
            .args(installer.get_args());
        let run = self.run(command);
        (run, calls(&text_of(&self.path("."), "trace")))
    }
}

/// The calls of a trace in the order in which they began, each with its end.
fn calls(trace: &str) -> Vec<String> {
    let mut calls: Vec<String> = Vec::new();
    for line in trace.lines() {
        let (process, said) = line.split_once(' ').unwrap();
        match said.trim_start().split_once(" resumed>") {
            Some((_, end)) if said.trim_start().starts_with("<... ") => {
                let is_begun = |call: &&mut String| call.starts_with(process) && call.ends_with("<unfinished ...>");
                calls.iter_mut().rev().find(is_begun).unwrap().push_str(end);
            }
            _ => calls.push(line.to_owned()),
        }
    }
    calls
}

/// The last field of the record `startup`.
fn last_of_startup(run: &Run) -> &str {
    let startup = run.stdout.lines().find(|line| line.contains("event=startup ")).unwrap();
    startup.rsplit(' ').next().unwrap()
}

#[test]
fn startup_tells_what_confines_the_process() {
    let Some(version) = landlock() else { return };
    let portal = Portal::listing(OnReject::Abort, &[]);
    let run = portal.install().exits(0);
    assert_eq!(last_of_startup(&run), format!("sandbox=landlock_v{version}"));
    assert!(!run.log().contains("sandbox_declined"));
    for run in [
        portal.install_with(|command| command.arg("--without-sandbox")),
        portal.install_with(|command| command.env("BUTLER_PLUGINS_WITHOUT_SANDBOX", "true")),
    ] {
        let run = run.exits(0).says("level=WARN event=warning reason=sandbox_declined");
        assert_eq!(last_of_startup(&run), "sandbox=none");
    }
    let run = portal.install_with(|command| command.env("BUTLER_PLUGINS_WITHOUT_SANDBOX", "false")).exits(0);
    assert_eq!(last_of_startup(&run), format!("sandbox=landlock_v{version}"));
}

#[test]
fn kernel_holds_a_helper_to_reading_and_to_itself() {
    let Some(version) = landlock() else { return };
    let (shell, env) = ("#!/bin/sh", "#!/usr/bin/env sh");
    let signal = format!("kill -0 {}", std::process::id());
    for (name, head, act, expected) in [
        ("signals somebody else", shell, &*signal, if version < 6 { FREE } else { HELD }),
        ("does nothing", shell, ":", FREE),
        ("is started by env", env, ":", FREE),
        ("reads", shell, "read -r line < HERE/beside", FREE),
        ("throws away", shell, "echo > /dev/null", FREE),
        ("makes a file", shell, "echo > HERE/new", HELD),
        ("changes a file", shell, "echo >> HERE/beside", HELD),
        ("empties a file", shell, "( : > HERE/beside )", HELD),
        ("starts a program", shell, "/bin/true", HELD),
        ("starts a program from PATH", env, "cat /dev/null", HELD),
    ] {
        let stage = Stage::new(head, act);
        let before = stage.outside();
        let (run, user) = stage.install(&[]);
        assert_eq!(user, expected, "{name}\n{}", run.log());
        run.exits(i32::from(expected == HELD));
        assert_eq!(stage.outside(), before, "{name}");

        // Nothing else held it.
        let stage = Stage::new(head, act);
        let before = stage.outside();
        let (run, user) = stage.install(&["--without-sandbox"]);
        assert_eq!(user, FREE, "{name}\n{}", run.log());
        run.exits(0);
        assert_eq!(stage.outside() != before, act.contains("HERE") && expected == HELD, "{name}");
    }
}

#[test]
fn check_holds_a_helper_as_well() {
    if landlock().is_none() {
        return;
    }
    for (flags, status, user) in [(&[][..], 1, HELD), (&["--without-sandbox"], 0, FREE)] {
        let stage = Stage::new("#!/bin/sh", "echo > HERE/new");
        let mut command = Command::new(stage.portal.command().get_program());
        stage.equip(command.env_clear()).args(["check", "--online"]).args(flags);
        command.arg(stage.portal.path("dynamic-plugins.yaml"));
        let run = stage.portal.run(command);
        assert_eq!(stage.user(), user, "{flags:?}\n{}", run.stdout);
        run.exits(status);
    }
}

#[test]
fn program_that_needs_a_loader_is_a_helper() {
    let stage = Stage::new("#!/bin/sh", ":");
    let helper = stage.portal.path("bin/docker-credential-made");
    fs::remove_file(&helper).unwrap();
    copy(&fs::canonicalize("/bin/echo").unwrap(), &helper);
    // It repeats its question, which is no answer.
    stage.install(&[]).0.exits(1).says("`docker-credential-made` answered something that is not `{Username, Secret}`");
}

#[test]
fn helper_that_fails_in_the_sandbox_is_told_with_the_way_out() {
    if landlock().is_none() {
        return;
    }
    let stage = Stage::new("#!/bin/sh\nexec cat /dev/null", ":");
    stage.install(&[]).0.exits(1).says("`docker-credential-made` failed: exit status: 126").says("`--without-sandbox`");
}

#[test]
fn kernel_that_can_do_less_is_taken_as_it_is() {
    if landlock().is_none() || !can_trace() {
        return;
    }
    let registry = Registry::start();
    let hello = entry(&publish(&registry, "hello", "1"));
    for (name, fault, sandbox, why) in [
        ("none built in", "landlock_create_ruleset:error=ENOSYS", "none", "the kernel has no Landlock"),
        ("switched off", "landlock_create_ruleset:error=EOPNOTSUPP", "none", "Landlock is switched off"),
        ("forbidden", "landlock_create_ruleset:error=EPERM", "none", "a seccomp filter forbids it"),
        ("forbidden at last", "landlock_restrict_self:error=EPERM", "none", "Operation not permitted"),
        ("without renames", "landlock_create_ruleset:retval=1", "none", "cannot allow renames between folders"),
        ("with renames", "landlock_create_ruleset:retval=2:when=1", "landlock_v2", "event=completed"),
        ("with truncation", "landlock_create_ruleset:retval=3:when=1", "landlock_v3", "event=completed"),
    ] {
        let portal = Portal::listing(OnReject::Abort, std::slice::from_ref(&hello));
        let inject = format!("--inject={fault}");
        let (run, _) = portal.traced(&[&inject, "--trace=landlock_create_ruleset,landlock_restrict_self"], |command| {
            command.arg("--log-level=debug")
        });
        let run = run.exits(0).says("event=plugin_installed").says(why);
        assert_eq!(last_of_startup(&run), format!("sandbox={sandbox}"), "{name}");
    }
}

#[test]
fn process_is_confined_and_all_entries_are_judged_before_the_first_socket() {
    if !can_trace() {
        return;
    }
    let registry = Registry::start();
    let [first, last] = ["first", "last"].map(|name| publish(&registry, name, "1"));
    let bad = |reference: &str, integrity: &str| {
        entry(&Pushed { reference: reference.to_owned(), integrity: integrity.to_owned(), ..first.clone() })
    };
    let mut entries = vec![
        entry(&first),
        bad(&first.reference.replace("my-org", "evil"), &first.integrity),
        bad(&first.reference, "sha512-AAAA"),
        bad("oci://127.0.0.1:9/my-org/hello", &first.integrity),
        entry(&last),
    ];
    let network = ["--trace=%network,prctl,write,landlock_restrict_self", "--string-limit=4096"];
    let portal = Portal::listing(OnReject::Continue, &entries);
    let (run, calls) = portal.traced(&network, |command| command.arg("--log-level=debug"));
    run.exits(0).says("installed=2 rejected=3");
    let place = |call: &str| calls.iter().position(|made| made.contains(call)).unwrap_or_else(|| panic!("no {call}"));
    let socket = place(" socket(");
    assert!(place("2 admitted, 3 rejected") < socket, "{calls:#?}");
    assert!(place("PR_SET_NO_NEW_PRIVS") < socket, "{calls:#?}");
    if landlock().is_some() {
        assert!(place(" landlock_restrict_self(") < socket, "{calls:#?}");
    }

    // Where one is enough to end the run, nobody is asked about the others.
    entries.truncate(2);
    entries.push(entry(&last));
    let portal = Portal::listing(OnReject::Abort, &entries);
    let (run, calls) = portal.traced(&network, |command| command.arg("--log-level=debug"));
    run.exits(1).says("2 admitted, 1 rejected");
    assert!(!calls.iter().any(|call| call.contains("socket(")), "{calls:#?}");
}

#[test]
fn nothing_that_a_run_opens_is_refused() {
    if !can_trace() {
        return;
    }
    // A name, so that the resolver has something to do.
    let registry = Registry::builder().auth(Auth::basic(FREE, "made-password")).start();
    let port = registry.host().rsplit(':').next().unwrap();
    let hello = publish(&registry, "hello", "1");
    let reference = hello.reference.replace(registry.host(), &format!("localhost:{port}"));
    let portal = Portal::listing(OnReject::Abort, &[entry(&Pushed { reference, ..hello })]);
    portal.write("config.json", docker_config(&format!("localhost:{port}"), FREE, "made-password"));
    portal.write("termination-log", "");
    for binary in [portal.command().get_program().into(), dist::built()] {
        drop(fs::remove_dir_all(portal.root().join("hello-dynamic")));
        let (run, calls) =
            portal.traced_as(&binary, &["--trace=%file"], |command| command.env("DOCKER_CONFIG", portal.path(".")));
        run.exits(0).says("event=plugin_installed");
        let refused = |call: &&String| {
            // It is glibc's allocator that would like to know about memory, and does without.
            call.contains(" EACCES ") && !call.contains("/proc/sys/vm/overcommit_memory")
        };
        assert_eq!(calls.iter().find(refused), None, "{calls:#?}");
        let is_read =
            |call: &String| call.contains("\"/etc/hosts\"") && !call.contains("O_PATH") && !call.contains("= -1");
        assert!(calls.iter().any(is_read), "{calls:#?}");
    }
}
