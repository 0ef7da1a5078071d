//! Exit codes and streams: data on stdout, everything else on stderr.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::program::{Home, ended};

#[test]
fn help_and_version_are_data_and_end_with_0() {
    let home = Home::new();
    for arguments in [&["--help"][..], &["-h"], &["--version"], &["dlq", "--help"], &["help", "plan"]] {
        let ended = home.run(arguments).code(0);
        assert!(!ended.out.is_empty() && ended.err.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_usage_error_is_three_lines_on_stderr_and_ends_with_2() {
    let ended = Home::new().run(&["plan", "orders-dlt", "--failrue", "x"]).code(2);
    assert_eq!(ended.out, "");
    let lines: Vec<&str> = ended.err.lines().collect();
    assert_eq!(lines.len(), 3, "{}", ended.err);
    assert!(lines[0].starts_with("error: ") && lines[0].contains("--failrue"), "{}", ended.err);
    assert!(lines[1].starts_with("  why: usage: redrive plan"), "{}", ended.err);
    assert_eq!(lines[2], " hint: did you mean `--failure`?");
}

#[test]
fn a_usage_error_is_a_document_where_json_was_asked_for() {
    for arguments in [&["-o", "json", "nonsense"][..], &["nonsense", "--output=json"], &["-ojsonl", "dlq"]] {
        let ended = Home::new().run(arguments).code(2);
        assert_eq!(ended.out, "");
        assert_eq!(ended.error()["code"], "usage", "{}", ended.err);
    }
}

#[test]
fn a_word_from_outside_never_drives_the_terminal() {
    let hostile = "\u{1b}]0;owned\u{7}\u{9b}2J";
    for format in ["table", "json"] {
        let ended = Home::new().run(&["-o", format, hostile]).code(2);
        assert!(!ended.err.contains(['\u{1b}', '\u{7}', '\u{9b}']), "{:?}", ended.err);
        let ended = Home::new().run(&["-o", format, "--profile", hostile, "config", "show"]).code(2);
        assert!(!ended.err.contains(['\u{1b}', '\u{7}', '\u{9b}']), "{:?}", ended.err);
    }
}

#[test]
fn the_formats_of_tail_are_refused_elsewhere() {
    let ended = Home::new().run(&["config", "show", "-o", "raw"]).code(2);
    assert!(ended.err.contains("tail and get only"), "{}", ended.err);
}

#[test]
fn a_wrong_selector_is_a_usage_error() {
    let home = Home::new();
    for (option, value) in
        [("--from", "yesterday"), ("--partition", "3-1"), ("--key-base64", "%"), ("--to", "-15m")]
    {
        let ended = home.run(&["dlq", "failures", "orders-dlt", option, value]).code(2);
        assert!(ended.err.contains(option), "{}", ended.err);
    }
}

#[test]
fn an_expression_that_cannot_be_read_is_pointed_at_before_anything_is_connected() {
    let home = Home::new().set("REDRIVE_BROKERS", "127.0.0.1:1");
    for command in [
        &["tail", "orders"][..],
        &["dlq", "failures", "orders-dlt"],
        &["dlq", "letters", "orders-dlt"],
        &["plan", "orders-dlt"],
        &["replay", "orders", "--into", "topic:kept"],
        &["export", "orders", "--save", "orders.jsonl"],
        &["copy", "orders", "--into", "topic:kept"],
    ] {
        let ended = home.run(&[command, &["--where", ".value.a == == 1", "-o", "json"]].concat()).code(2);
        let error = ended.error();
        assert_eq!(error["code"], "jq", "{command:?}: {error}");
        let shown = format!("{}{}", error["message"], error["hint"]);
        assert!(shown.contains("--where") && shown.contains("at character 13"), "{command:?}: {error}");
    }
    let ended = home.run(&["tail", "orders", "--select", ".value | fooo", "-o", "jsonl"]).code(2);
    assert!(ended.err.contains("no filter fooo") && ended.err.contains("--select"), "{}", ended.err);
}

#[test]
fn with_nothing_configured_the_error_says_what_to_do() {
    let home = Home::new();
    for arguments in [&[][..], &["dlq", "failures", "orders-dlt"]] {
        let ended = home.run(arguments).code(2);
        assert_eq!(ended.out, "");
        assert!(ended.err.contains("no cluster is configured"), "{}", ended.err);
        assert!(ended.err.contains("--brokers"), "{}", ended.err);
        assert!(ended.err.contains(home.config_file().to_str().unwrap()), "{}", ended.err);
    }
}

#[test]
fn completions_are_there_for_every_shell() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = home.run(&["completions", shell]).code(0);
        assert!(ended.out.contains("redrive") && ended.err.is_empty(), "{shell}");
    }
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let home = Home::new();
    assert!(home.run(&["man"]).code(0).out.contains(".TH redrive 1"));
    home.run(&["man", "--dir", "pages"]).code(0);
    for page in ["redrive.1", "redrive-plan.1", "redrive-dlq-failures.1"] {
        assert!(home.path().join("pages").join(page).exists(), "{page}");
    }
}

#[test]
fn a_closed_pipe_ends_quietly_with_0() {
    // `yes | head` in small: the reader goes away after one line, long before all is written.
    let home = Home::new();
    let mut child =
        home.command(&["completions", "zsh"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut reader = BufReader::with_capacity(16, child.stdout.take().unwrap());
    reader.read_line(&mut line).unwrap();
    drop(reader);
    let ended = ended(child.wait_with_output().unwrap()).code(0);
    assert_eq!(ended.err, "");
}

#[test]
fn a_plan_that_is_no_plan_is_refused_before_anything_is_connected() {
    let home = Home::new();
    std::fs::write(home.path().join("notes.txt"), "not a plan\n").unwrap();
    let ended = home.run(&["-o", "json", "--brokers", "127.0.0.1:1", "run", "notes.txt"]);
    assert_ne!(ended.code, 0);
    assert_eq!(ended.error()["code"], "plan_damaged", "{}", ended.err);
    home.run(&["--brokers", "127.0.0.1:1", "run", "nowhere.plan"]).code(2);
}

#[test]
fn a_letter_format_that_is_wrong_is_told_before_anything_is_connected() {
    let home = Home::new();
    std::fs::write(home.path().join("ours.toml"), "name = 'ours'\n[fields]\norigin_topik = 'x'\n").unwrap();
    let letters = ["--brokers", "127.0.0.1:1", "dlq", "letters", "orders-failed", "--letter-format"];
    let ended = home.run(&[&letters[..], &["ours.toml"]].concat()).code(2);
    assert!(ended.err.contains("ours.toml:3: unknown key `fields.origin_topik`"), "{}", ended.err);
    let ended = home.run(&[&letters[..], &["none.toml"]].concat()).code(2);
    assert!(ended.err.contains("the letter format none.toml cannot be read"), "{}", ended.err);
}

#[test]
fn the_demonstration_refuses_profiles_that_want_care() {
    let home = Home::with(
        "[profiles.prod]\nbrokers = '127.0.0.1:1'\nprotected = true\n\n[profiles.look]\nbrokers = '127.0.0.1:1'\nread_only = true\n",
    );
    for (profile, rule) in [("prod", "protected"), ("look", "read_only")] {
        for more in
            [&["--headless", "--yes"][..], &["--clean", "--yes"], &["--repair", "missing-sku", "--yes"]]
        {
            let arguments = [&["-o", "json", "--profile", profile, "demo"], more].concat();
            let ended = home.run(&arguments).code(4);
            assert_eq!(ended.error()["code"], rule, "{}", ended.err);
        }
    }
    // A cluster is only used where the command line itself names it.
    let ended = home.run(&["demo", "--clean", "--yes"]).code(2);
    assert!(ended.err.contains("--brokers or --profile"), "{}", ended.err);
}
