//! The table of commands holds what it promises: command lines that parse, keys in the README, reasons.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use redrive::config::profile::Profile;
use redrive::tui::command::{REGISTRY, Risk, Scope};
use redrive::tui::keymap::Keymap;

use crate::bench::{console, console_on};
use crate::made_up::{at_plan, incident};

fn parse(line: &str) -> Result<(), String> {
    let words = std::iter::once("redrive").chain(line.split_whitespace());
    redrive::cli::tree().try_get_matches_from(words).map(drop).map_err(|e| format!("{line}: {e}"))
}

#[test]
fn every_command_line_of_the_table_is_one_of_the_program() {
    for line in REGISTRY.iter().filter_map(|command| command.cli) {
        parse(line).unwrap();
    }
}

#[test]
fn the_command_line_of_every_screen_is_one_of_the_program() {
    let bench = || console().seeing(incident());
    let screens = [
        bench(),
        bench().keys("gt"),
        bench().keys("gt").press("topics.open"),
        bench().keys("gt").press("topics.describe"),
        bench().keys("gc").press("groups.open"),
        bench().keys("gd").press("dlq.open"),
        crate::made_up::at_letters(bench()),
        crate::made_up::at_letters(bench()).press("letters.open"),
        at_plan(bench()),
        bench().keys("gr"),
    ];
    for bench in screens {
        let line = bench.state.view().command_line();
        let line = line.unwrap_or_else(|| panic!("{:?} has none", bench.state.view().scope()));
        parse(&line).unwrap();
    }
}

#[test]
fn what_writes_is_refused_with_a_reason_on_a_profile_that_is_read_only() {
    let mut profile = Profile::new("prod", Vec::new());
    profile.read_only = true;
    let bench = console_on(profile).seeing(incident());
    for command in REGISTRY.iter().filter(|command| command.risk == Risk::Write) {
        let why = (command.enabled)(&bench.state).unwrap_err();
        assert!(why.contains("prod is read-only"), "{}: {why}", command.name);
    }
    bench.keys("gd").keys("R").expect("profile prod is read-only");
}

#[test]
fn every_command_can_be_found_in_the_palette_where_it_is_in_force() {
    let mut bench = console().seeing(incident()).sized(120, 40);
    let here: Vec<&str> = REGISTRY
        .iter()
        .filter(|command| command.is_in(&bench.state.scopes()) && (command.enabled)(&bench.state).is_ok())
        .map(|command| command.name)
        .collect();
    for name in here {
        bench = bench.press("palette").typed(name).expect(name).keys("esc");
    }
}

/// The table of keys as the README has it.
fn table() -> String {
    let keymap = Keymap::new(&BTreeMap::new()).unwrap();
    let mut out = String::from("\n| where | keys | command | does |\n|---|---|---|---|\n");
    for scope in Scope::ALL {
        // A command of several screens is listed on the first of them.
        let first = |command: &&redrive::tui::command::Command| {
            Scope::ALL.iter().find(|scope| command.scopes.contains(scope)) == Some(scope)
        };
        for command in REGISTRY.iter().filter(first) {
            let keys = keymap.keys(command.id);
            let keys: Vec<String> = keys.iter().map(|key| format!("`{}`", key.replace('|', "\\|"))).collect();
            let places: Vec<&str> = command.scopes.iter().map(|scope| scope.title()).collect();
            writeln!(
                out,
                "| {} | {} | `{}` | {} |",
                places.join(", "),
                keys.join(" "),
                command.name,
                command.help
            )
            .unwrap();
        }
    }
    out
}

/// `REDRIVE_WRITE_README=1` writes the table anew.
#[test]
fn the_keys_in_the_readme_are_those_of_the_table() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once("<!-- keys -->").unwrap();
    let (written, after) = rest.split_once("<!-- /keys -->").unwrap();
    let right = table();
    if std::env::var_os("REDRIVE_WRITE_README").is_some() {
        std::fs::write(&path, format!("{before}<!-- keys -->{right}<!-- /keys -->{after}")).unwrap();
        return;
    }
    assert!(written == right, "REDRIVE_WRITE_README=1 cargo test --test tui writes the table anew");
}
