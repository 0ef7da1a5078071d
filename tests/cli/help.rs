//! The whole help, so that no option comes, goes or changes its words unseen.

use std::fmt::Write as _;

fn add(out: &mut String, path: &str, command: &clap::Command) {
    let mut own = command.clone().term_width(100).bin_name(path.to_owned());
    let help = own.render_long_help().to_string();
    // They are the same everywhere: once is enough.
    let cut = if out.is_empty() { help.len() } else { help.find("Global options:").unwrap_or(help.len()) };
    writeln!(out, "$ {path} --help\n{}", &help[..cut]).unwrap();
    for sub in command.get_subcommands().filter(|c| c.get_name() != "help") {
        add(out, &format!("{path} {}", sub.get_name()), sub);
    }
}

#[test]
fn the_whole_help() {
    let mut tree = redrive::cli::tree();
    tree.build();
    let mut out = String::new();
    add(&mut out, "redrive", &tree);
    insta::assert_snapshot!(out);
}

#[test]
fn every_command_says_what_it_does_in_one_line() {
    fn check(path: &str, command: &clap::Command) {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(!about.is_empty() && !about.contains('\n'), "{path}");
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{path} {}", argument.get_id());
        }
        for sub in command.get_subcommands() {
            check(&format!("{path} {}", sub.get_name()), sub);
        }
    }
    check("redrive", &redrive::cli::tree());
}
