//! The configuration as a whole: layers, choice, care, the example, and properties over arbitrary files.

use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::keys::{KEYS, Kind, PROFILE};
use super::profile::{Profile, Protocol, Sasl};
use super::value::{Place, Step};
use super::{Choice, Chosen, Configuration, Environment, Options, Unchosen};
use crate::text::Fault;

const TWO: &str = "\
[profiles.dev]
brokers = 'dev:9092'

[profiles.prod]
brokers = ['kafka-1:9094', 'kafka-2:9094']
read_only = true
protected = true
";

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn load(text: &str, variables: &[(&str, &str)], options: Options) -> Result<Configuration, Fault> {
    let place = Some(PathBuf::from("/etc/redrive/config.toml"));
    Configuration::from_text(Some(text), place, environment(variables), options)
}

fn chosen(text: &str, variables: &[(&str, &str)], options: Options) -> Result<Chosen, Fault> {
    let configuration = load(text, variables, options)?;
    let choice = configuration.choose().expect("a profile is chosen");
    configuration.profile(&choice)
}

fn profile(text: &str) -> Result<Profile, Fault> {
    chosen(text, &[], Options::default()).map(|c| c.profile)
}

fn named(name: &str) -> Options {
    Options { profile: Some(name.to_owned()), ..Options::default() }
}

fn brokers(list: &str) -> Options {
    Options { brokers: Some(list.to_owned()), ..Options::default() }
}

fn origin(chosen: &Chosen, key: &str) -> String {
    chosen.values.get(&Place::of(key)).expect(key).origin.to_string()
}

#[test]
fn each_layer_wins_over_the_one_below_and_says_so() {
    let text = "[profiles.a]\nbrokers = 'file:1'\ntimeout = '7s'\ncolour = 'red'\n";
    let options = Options { profile: Some("a".to_owned()), ..brokers("option:1") };
    let chosen = chosen(text, &[("REDRIVE_BROKERS", "env:1"), ("REDRIVE_COLOUR", "blue")], options).unwrap();
    assert_eq!(chosen.profile.connection.brokers, ["option:1"]);
    assert_eq!(chosen.profile.colour.as_deref(), Some("blue"));
    assert_eq!(chosen.profile.connection.timeout, Duration::from_secs(7));
    assert_eq!(origin(&chosen, "brokers"), "option --brokers");
    assert_eq!(origin(&chosen, "colour"), "environment REDRIVE_COLOUR");
    assert_eq!(origin(&chosen, "timeout"), "/etc/redrive/config.toml:3");
    assert_eq!(origin(&chosen, "refresh.visible"), "default");
}

#[test]
fn the_only_profile_needs_no_name_and_of_several_none_is_guessed() {
    let choose =
        |text: &str, variables: &[(&str, &str)], options| load(text, variables, options).unwrap().choose();
    assert_eq!(choose("[profiles.a]\n", &[], Options::default()), Ok(Choice::Named("a".to_owned())));
    assert_eq!(
        choose(TWO, &[], Options::default()),
        Err(Unchosen::Several(vec!["dev".to_owned(), "prod".to_owned()]))
    );
    assert_eq!(choose("", &[], Options::default()), Err(Unchosen::None));
    let default = format!("default_profile = 'dev'\n{TWO}");
    assert_eq!(choose(&default, &[], Options::default()), Ok(Choice::Named("dev".to_owned())));
    assert_eq!(
        choose(&default, &[("REDRIVE_PROFILE", "prod")], Options::default()),
        Ok(Choice::Named("prod".to_owned()))
    );
    assert_eq!(choose(&default, &[], brokers("h:1")), Ok(Choice::AdHoc));
    assert_eq!(
        choose(&default, &[("REDRIVE_PROFILE", "prod")], named("dev")),
        Ok(Choice::Named("dev".to_owned()))
    );
}

#[test]
fn brokers_alone_make_a_profile_without_any_file() {
    let configuration =
        Configuration::from_text(None, None, Environment::new(), brokers("localhost:9092, other:9093"))
            .unwrap();
    let profile = configuration.profile(&configuration.choose().unwrap()).unwrap().profile;
    assert_eq!(profile.connection.brokers, ["localhost:9092", "other:9093"]);
    assert_eq!(profile.name, "localhost:9092,other:9093");
    assert!(!profile.read_only);
}

#[test]
fn the_options_that_choose_a_profile_again_are_known() {
    let again = |options: Options| chosen(TWO, &[], options).unwrap().profile.chosen_by.join(" ");
    assert_eq!(again(named("dev")), "--profile dev");
    assert_eq!(again(brokers("b:1,c:2")), "--brokers b:1,c:2");
    let secret = ("sasl.password".to_owned(), "hidden".to_owned());
    let options = Options { properties: vec![secret], read_only: true, ..named("dev") };
    assert_eq!(again(options), "--profile dev --read-only");
}

#[test]
fn nothing_switches_a_read_only_profile_off() {
    let off = [("REDRIVE_READ_ONLY", "false"), ("REDRIVE_PROTECTED", "0")];
    let prod = chosen(TWO, &off, named("prod")).unwrap().profile;
    assert!(prod.read_only && prod.protected);
    let dev = chosen(TWO, &[("REDRIVE_READ_ONLY", "1")], named("dev")).unwrap().profile;
    assert!(dev.read_only);
    let dev = chosen(TWO, &[], Options { read_only: true, ..named("dev") }).unwrap().profile;
    assert!(dev.read_only && !dev.protected);
}

#[test]
fn a_slip_on_the_command_line_does_not_unlock_production() {
    for options in
        [brokers("KAFKA-2:9094"), Options { profile: Some("dev".to_owned()), ..brokers("kafka-2:9094") }]
    {
        let chosen = chosen(TWO, &[], options).unwrap();
        assert!(chosen.profile.read_only && chosen.profile.protected);
        assert_eq!(origin(&chosen, "read_only"), "profile prod, which has the same broker");
    }
    assert!(!chosen(TWO, &[], brokers("kafka-3:9094")).unwrap().profile.read_only);
}

#[test]
fn a_missing_secret_names_file_line_and_key() {
    let text = "[profiles.a]\nbrokers = 'h:1'\n[profiles.a.security]\nmechanism = 'PLAIN'\nusername = 'u'\n\
                password = '${env:NOT_SET}'\n";
    let fault = profile(text).unwrap_err();
    assert_eq!(fault.what, "/etc/redrive/config.toml:6: wrong value for `security.password`");
    assert!(fault.why.contains("NOT_SET"), "{}", fault.why);
    assert_eq!(fault.exit_code(), 2);
}

#[test]
fn a_secret_is_never_shown() {
    let text = "[profiles.a]\nbrokers = 'h:1'\n[profiles.a.security]\nmechanism = 'PLAIN'\nusername = 'u'\n\
                password = 'hunter2'\n[profiles.a.properties]\n'ssl.key.password' = 'hunter2'\n\
                [profiles.a.schema_registry]\nurl = 'https://me:hunter2@host'\n";
    let chosen = chosen(text, &[], Options::default()).unwrap();
    let shown: Vec<String> = chosen.values.iter().map(|(place, value)| value.shown(place)).collect();
    let seen = format!("{shown:?} {:?} {:?}", chosen.values, chosen.profile.connection);
    assert!(!seen.contains("hunter2"), "{seen}");
    let reference = text.replace("= 'hunter2'", "= '${env:PW}'");
    let chosen = self::chosen(&reference, &[("PW", "hunter2")], Options::default()).unwrap();
    let password = Place::of("security.password");
    assert_eq!(chosen.values.get(&password).unwrap().shown(&password), "${env:PW}");
}

#[test]
fn what_belongs_together_is_checked_together() {
    let with = |security: &str| {
        profile(&format!("[profiles.a]\nbrokers = 'h:1'\n[profiles.a.security]\n{security}"))
    };
    assert!(with("mechanism = 'PLAIN'").unwrap_err().why.contains("security.username"));
    assert!(with("mechanism = 'OAUTHBEARER'").unwrap_err().why.contains("token_url"));
    assert!(with("protocol = 'sasl_ssl'").unwrap_err().why.contains("mechanism"));
    assert!(with("certificate = 'c.pem'").unwrap_err().why.contains("security.key"));
    let plain = "mechanism = 'PLAIN'\nusername = 'u'\npassword = 'p'\n";
    assert!(with(&format!("{plain}protocol = 'plaintext'")).unwrap_err().why.contains("without SASL"));
    // A password never travels in the clear unless the profile says so.
    assert_eq!(with(plain).unwrap().connection.protocol, Protocol::SaslSsl);
    let clear = with(&format!("{plain}protocol = 'sasl_plaintext'")).unwrap().connection;
    assert_eq!(clear.protocol, Protocol::SaslPlaintext);
    assert!(matches!(clear.sasl, Some(Sasl::Plain { .. })));
    assert_eq!(with("ca = 'ca.pem'").unwrap().connection.protocol, Protocol::Ssl);
    assert_eq!(with("ca = 'ca.pem'").unwrap().connection.tls.ca, Some(PathBuf::from("/etc/redrive/ca.pem")));
}

#[test]
fn a_profile_that_is_not_there_names_the_nearest() {
    let fault = chosen(TWO, &[], named("prd")).unwrap_err();
    assert_eq!((fault.exit_code(), fault.hint.as_str()), (2, "did you mean \"prod\"?"));
    let fault = load("default_profile = 'x'\n[profiles.a]\n", &[], Options::default()).err().unwrap();
    assert!(fault.why.contains("config.toml:1"), "{}", fault.why);
}

#[test]
fn a_profile_without_brokers_says_so_and_the_environment_can_give_them() {
    assert!(profile("[profiles.a]\n").unwrap_err().what.contains("names no brokers"));
    let chosen =
        chosen("[profiles.a]\n", &[("REDRIVE_BROKERS", "h:1"), ("REDRIVE_PROFILE", "a")], Options::default());
    assert_eq!(chosen.unwrap().profile.connection.brokers, ["h:1"]);
}

#[test]
fn a_wrong_variable_is_an_error_and_a_mistyped_one_is_found() {
    let fault = chosen(TWO, &[("REDRIVE_TIMEOUT", "soon")], named("dev")).unwrap_err();
    assert_eq!(fault.what, "wrong value of REDRIVE_TIMEOUT");
    let variables =
        [("REDRIVE_BROKER", "h:1"), ("REDRIVE_SERVICE_HOST", "10.0.0.1"), ("REDRIVE_PROFILE", "dev")];
    let configuration = load(TWO, &variables, Options::default()).unwrap();
    assert_eq!(
        configuration.mistyped_variables(),
        [("REDRIVE_BROKER".to_owned(), "REDRIVE_BROKERS".to_owned())]
    );
}

const EXAMPLE: &str = include_str!("../../config.example.toml");

#[test]
fn the_example_is_right_and_complete() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("registry-password"), "p\n").unwrap();
    let variables: Vec<(&str, &str)> = [
        "KAFKA_KEY_PASSWORD",
        "KAFKA_PASSWORD",
        "CLUSTER_API_KEY",
        "CLUSTER_API_SECRET",
        "OAUTH_CLIENT_SECRET",
    ]
    .into_iter()
    .map(|name| (name, "x"))
    .collect();
    let place = Some(folder.path().join("config.toml"));
    let configuration =
        Configuration::from_text(Some(EXAMPLE), place, environment(&variables), Options::default()).unwrap();
    assert_eq!(configuration.choose(), Ok(Choice::Named("local".to_owned())));
    for name in configuration.names() {
        configuration.profile_of_file(&name).unwrap();
    }
    let production = configuration.profile_of_file("production").unwrap().profile;
    assert_eq!(production.schema_registry.unwrap().password.unwrap().reveal(), "p");
    let (layer, _) = super::parse::parse(EXAMPLE, &PathBuf::from("config.example.toml")).unwrap();
    for key in KEYS.iter().filter(|key| key.pattern != "keys.*") {
        let shown = layer.values().any(|value| value.key.pattern == key.pattern);
        assert!(shown, "config.example.toml does not show {}", key.pattern);
    }
}

#[test]
fn the_console_takes_its_settings_and_keys() {
    let text = "[console]\nmouse = false\n[keys]\n'dlq.plan' = ['R', 'f5']\n'app.quit' = []\n";
    let console = load(text, &[], Options::default()).unwrap().console();
    assert!(!console.mouse && !console.ascii);
    assert_eq!(console.keys["dlq.plan"], ["R", "f5"]);
    assert!(console.keys["app.quit"].is_empty());
}

/// A text that fits the kind, and is never mistaken for a reference.
fn fitting(kind: Kind) -> BoxedStrategy<String> {
    match kind {
        Kind::Bool => prop_oneof!["true", "false"].boxed(),
        Kind::Number => "[0-9]{1,6}(\\.[0-9]{1,2})?".boxed(),
        Kind::Duration => "[1-9][0-9]{0,3}(ms|s|m)".boxed(),
        Kind::Url => "https?://[a-z]{1,8}(:[1-9][0-9]{0,3})?/[a-z]{0,5}".boxed(),
        Kind::Brokers => "[a-z]{1,8}:[1-9][0-9]{0,3}".boxed(),
        Kind::OneOf(words) => proptest::sample::select(words).prop_map(str::to_owned).boxed(),
        _ => "\\PC{1,12}".prop_filter("no reference", |text: &String| !text.contains('$')).boxed(),
    }
}

proptest! {
    #[test]
    fn an_arbitrary_file_is_read_or_refused_and_never_a_panic(text in "\\PC{0,200}") {
        if let Err(fault) = load(&text, &[], Options::default()) {
            prop_assert_eq!(fault.exit_code(), 2);
            prop_assert!(fault.what.contains("config.toml"), "{}", fault.what);
        }
    }

    #[test]
    fn a_file_made_of_its_own_words_is_read_or_refused_and_never_a_panic(
        words in proptest::collection::vec(
            proptest::sample::select(&[
                "[", "]", "[[", "]]", "=", ".", ",", "\n", "'x'", "\"${env:A}\"", "1", "true", "{", "}", "profiles",
                "a", "security", "brokers", "metrics", "scrape", "dead_letters", "formats", "properties", "keys",
                "default_profile", "console", "'h:1'", "[]",
            ][..]),
            0..40,
        ),
    ) {
        let text = words.concat();
        if let Ok(configuration) = load(&text, &[], Options::default()) {
            for name in configuration.names() {
                // Right or refused: either is fine here.
                let _ = configuration.profile_of_file(&name);
            }
            let _ = configuration.console();
        }
    }

    #[test]
    fn every_known_key_comes_back_as_it_was_written(
        (key, text) in proptest::sample::select(
            KEYS.iter()
                .filter(|k| k.pattern.starts_with(PROFILE) && !k.pattern.contains("[]") && k.kind != Kind::List)
                .collect::<Vec<_>>(),
        )
        .prop_flat_map(|key| (Just(key), fitting(key.kind))),
    ) {
        let name = key.pattern.strip_prefix(PROFILE).unwrap().replace('*', "\"any name\"");
        let value = if key.kind == Kind::Bool { text.clone() } else { toml::Value::from(text.as_str()).to_string() };
        let (layer, profiles) =
            super::parse::parse(&format!("profiles.p.{name} = {value}\n"), &PathBuf::from("c")).unwrap();
        prop_assert_eq!(layer.len(), 1);
        let (place, found) = layer.iter().next().unwrap();
        prop_assert_eq!(place.0.first(), Some(&Step::Name("profiles".to_owned())));
        prop_assert_eq!(found.key.pattern, key.pattern);
        let written = match &found.raw {
            super::value::Raw::Text(text) => text.clone(),
            super::value::Raw::List(list) => list.join(","),
        };
        prop_assert_eq!(written, text);
        prop_assert!(profiles.len() <= 1);
    }
}
