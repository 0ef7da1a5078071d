//! What the README says in code is true: its configuration is accepted, its tables are those of the program.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end with a panic")]

use std::path::PathBuf;

use redrive::config::place::Environment;
use redrive::config::{Choice, Configuration, Options};
use redrive::dlq::formats::table::TABLE;

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
fn every_dead_letter_format_is_in_the_table() {
    let mut written: Vec<&str> = section("formats")
        .lines()
        .filter(|line| line.starts_with("| `"))
        .flat_map(|line| line.split('|').nth(1).unwrap_or_default().split(','))
        .map(|name| name.trim().trim_matches('`'))
        .collect();
    let mut known: Vec<&str> = TABLE.iter().map(|format| format.name).collect();
    written.sort_unstable();
    known.sort_unstable();
    assert_eq!(written, known);
}
