//! Configuration at the command line: places, layers, errors, secrets.

use crate::program::Home;

const TWO: &str = "\
[profiles.dev]
brokers = ['127.0.0.1:1']
timeout = '1s'

[profiles.prod]
brokers = ['kafka.example.com:9094']
read_only = true

[profiles.prod.security]
mechanism = 'SCRAM-SHA-512'
username = 'operations'
password = 'hunter2'
";

#[test]
fn the_path_is_told_whether_the_file_is_there_or_not_and_though_it_is_wrong() {
    let home = Home::new();
    let path = home.config_file();
    assert_eq!(home.run(&["config", "path"]).code(0).out.trim_end(), path.to_str().unwrap());
    assert_eq!(home.run(&["config", "path", "-o", "json"]).code(0).json()["exists"], false);
    let home = Home::with("[profiles");
    assert_eq!(home.run(&["config", "path", "-o", "json"]).code(0).json()["exists"], true);
    let other = home.set("REDRIVE_CONFIG", "/tmp/other.toml");
    assert_eq!(other.run(&["config", "path"]).code(0).out, "/tmp/other.toml\n");
    assert_eq!(other.run(&["config", "path", "--config", "/tmp/x.toml"]).code(0).out, "/tmp/x.toml\n");
}

#[test]
fn a_mistake_in_the_file_names_file_line_key_and_the_nearest_right_one() {
    let home = Home::with("[profiles.a]\nbrokers = 'h:1'\nread_onyl = true\n");
    let ended = home.run(&["config", "show"]).code(2);
    assert_eq!(ended.out, "");
    assert!(
        ended
            .err
            .contains(&format!("{}:3: unknown key `profiles.a.read_onyl`", home.config_file().display()))
    );
    assert!(ended.err.contains("did you mean `read_only`?"), "{}", ended.err);
    let error = home.run(&["config", "show", "-o", "json"]).code(2).error();
    assert_eq!(error["code"], "config");
    assert_eq!(error["hint"], "did you mean `read_only`?");
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let home = Home::new();
    let ended = home.run(&["config", "show", "--config", "nowhere.toml"]).code(2);
    assert!(ended.err.contains("nowhere.toml") && ended.err.contains("--config"), "{}", ended.err);
}

#[test]
fn several_profiles_without_a_choice_end_with_their_names() {
    let ended = Home::with(TWO).run(&["runs", "list"]).code(2);
    assert!(ended.err.contains("dev, prod"), "{}", ended.err);
    assert!(ended.err.contains("--profile"), "{}", ended.err);
    let ended = Home::with(TWO).run(&["runs", "list", "--profile", "prd"]).code(2);
    assert!(ended.err.contains("did you mean \"prod\"?"), "{}", ended.err);
}

#[test]
fn what_is_in_force_says_where_it_comes_from_and_hides_secrets() {
    let home = Home::with(TWO).set("REDRIVE_TIMEOUT", "3s");
    let arguments = [
        "config",
        "show",
        "--origin",
        "--profile",
        "prod",
        "-X",
        "client.id=x",
        "-X",
        "sasl.password=hunter2",
    ];
    let ended = home.run(&arguments).code(0);
    assert!(!ended.out.contains("hunter2"), "{}", ended.out);
    let line = |key: &str| {
        ended.out.lines().find(|l| l.contains(key)).unwrap_or_else(|| panic!("{key}\n{}", ended.out))
    };
    assert!(line("profiles.prod.timeout").contains("environment REDRIVE_TIMEOUT"));
    assert!(line("profiles.prod.read_only").contains("config.toml:7"));
    assert!(line("client.id").contains("option -X"));
    assert!(line("profiles.prod.refresh.visible").ends_with("default"));
    let document = home.run(&["config", "show", "--profile", "prod", "-o", "json"]).code(0).json();
    assert_eq!(document["schema"], 1);
    let values = document["profiles"][0]["values"].as_array().unwrap();
    let password = values.iter().find(|v| v["key"] == "security.password").unwrap();
    assert_eq!(password["value"], "•••");
    assert_eq!(password["layer"], "file");
}

#[test]
fn neither_environment_nor_options_switch_a_read_only_profile_off() {
    let home = Home::with(TWO).set("REDRIVE_READ_ONLY", "false");
    let document = home.run(&["config", "show", "--profile", "prod", "-o", "json"]).code(0).json();
    let values = document["profiles"][0]["values"].as_array().unwrap();
    assert_eq!(values.iter().find(|v| v["key"] == "read_only").unwrap()["value"], "true");
}

#[test]
fn a_missing_secret_is_told_with_its_place_and_not_with_another_profile() {
    let config = TWO.replace("'hunter2'", "'${env:KAFKA_PASSWORD}'");
    let home = Home::with(&config);
    let ended = home.run(&["config", "show", "--profile", "prod"]).code(2);
    assert!(ended.err.contains("config.toml:12: wrong value for `security.password`"), "{}", ended.err);
    assert!(ended.err.contains("KAFKA_PASSWORD"), "{}", ended.err);
    home.run(&["config", "show", "--profile", "dev"]).code(0);
}

#[test]
fn a_mistyped_variable_is_warned_of_on_stderr() {
    let home = Home::with(TWO).set("REDRIVE_PROFIL", "prod");
    let ended = home.run(&["config", "show", "--profile", "dev"]).code(0);
    assert!(ended.err.contains("did you mean REDRIVE_PROFILE?"), "{}", ended.err);
}

#[test]
fn the_example_is_right_as_it_is() {
    let home = Home::with(include_str!("../../config.example.toml"));
    home.run(&["config", "show"]).code(0);
    let ended = home.run(&["config", "show", "--profile", "oauth"]).code(2);
    assert!(ended.err.contains("OAUTH_CLIENT_SECRET"), "{}", ended.err);
}

#[test]
fn the_log_goes_to_its_file_and_never_to_the_streams() {
    let home = Home::with(TWO);
    let ended =
        home.run(&["config", "show", "--profile", "dev", "-vv", "--log-file", "logs/redrive.log"]).code(0);
    assert_eq!(ended.err, "");
    assert!(home.path().join("logs/redrive.log").exists());
}
