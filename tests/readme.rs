//! What the README says in code is true: its configuration is accepted, its tables are those of the program.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end with a panic")]

use std::path::PathBuf;

use redrive::config::place::Environment;
use redrive::config::{Choice, Configuration, Options};
use redrive::dlq::formats::tells;

const README: &str = include_str!("../README.md");

/// The text between `<!-- name -->` and `<!-- /name -->`.
fn section(name: &str) -> &'static str {
    let (_, rest) =
        README.split_once(&format!("<!-- {name} -->")).unwrap_or_else(|| panic!("no section {name}"));
    rest.split_once(&format!("<!-- /{name} -->")).unwrap_or_else(|| panic!("{name} has no end")).0
}

#[test]
fn every_set_up_is_a_profile_that_is_accepted() {
    let text = section("connect").split_once("```toml").unwrap().1.split_once("```").unwrap().0;
    let environment: Environment =
        ["KAFKA_PASSWORD", "CLUSTER_API_KEY", "CLUSTER_API_SECRET", "OAUTH_CLIENT_SECRET"]
            .map(|name| (name.to_owned(), "secret".to_owned()))
            .into_iter()
            .collect();
    let place = Some(PathBuf::from("config.toml"));
    let configuration = Configuration::from_text(Some(text), place, environment, Options::default()).unwrap();
    let names = configuration.names();
    assert_eq!(names, ["local", "managed", "mutual-tls", "oauth", "scram"]);
    for name in names {
        let chosen = configuration.profile(&Choice::Named(name.clone()));
        assert!(chosen.is_ok(), "{name}: {:?}", chosen.err());
    }
}

#[test]
fn the_table_of_dead_letter_formats_is_that_of_the_program() {
    let mut table = String::from(
        "\n| format | written by | origin | its time | group | class | message | stack trace | attempts | \
         times dead-lettered | time of failure | key and value |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for format in tells::all() {
        let yes = |known: bool| if known { "yes" } else { "" };
        let cells = [
            format!("`{}`", format.name),
            format.written_by.to_owned(),
            format.origin.unwrap_or_default().to_owned(),
            yes(format.timestamp).to_owned(),
            yes(format.group).to_owned(),
            yes(format.class).to_owned(),
            yes(format.message).to_owned(),
            yes(format.trace).to_owned(),
            yes(format.attempts).to_owned(),
            yes(format.hops).to_owned(),
            yes(format.failed_at).to_owned(),
            format.bytes.to_owned(),
        ];
        table.push_str("| ");
        table.push_str(&cells.join(" | "));
        table.push_str(" |\n");
    }
    let table = table.replace("  |", " |");
    if std::env::var_os("REDRIVE_WRITE_README").is_some() {
        let (before, rest) = README.split_once("<!-- formats -->").unwrap();
        let (_, after) = rest.split_once("<!-- /formats -->").unwrap();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
        let text = format!("{before}<!-- formats -->{table}<!-- /formats -->{after}");
        std::fs::write(path, text).unwrap();
    } else {
        assert_eq!(section("formats"), table, "REDRIVE_WRITE_README=1 cargo test --test readme writes it");
    }
}
