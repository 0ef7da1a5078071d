//! The layers put together: defaults < file < environment < options, and which profile is meant.
//!
//! Care only grows: `read_only` and `protected` can be switched on from the environment and by option, never
//! off. A profile made from `--brokers` alone, or whose brokers were replaced, takes over the care of every
//! profile of the file that names one of the same brokers: a slip on the command line does not unlock
//! production.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::build::Builder;
use super::keys::{self, KEYS, Kind, PROFILE};
use super::nearest;
use super::parse::{parse, split};
use super::place::{Environment, usual_file};
use super::profile::Profile;
use super::value::{Layer, Origin, Place, Raw, Step, Value};
use crate::text::Fault;
use crate::text::shell::quoted;

/// What the command line says. Not `Debug`: a property may be a secret.
#[derive(Clone, Default)]
pub struct Options {
    /// `--profile`.
    pub profile: Option<String>,
    /// `--brokers`, not yet split.
    pub brokers: Option<String>,
    /// `--config`.
    pub file: Option<PathBuf>,
    /// `-X name=value`.
    pub properties: Vec<(String, String)>,
    /// `--read-only`.
    pub read_only: bool,
}

/// Which profile is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// One of the file.
    Named(String),
    /// One made from `--brokers` or `REDRIVE_BROKERS` alone.
    AdHoc,
}

/// Why no profile can be chosen without asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unchosen {
    /// There is none.
    None,
    /// There are several and no default.
    Several(Vec<String>),
}

/// A profile in force, with the values that made it.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The profile.
    pub profile: Profile,
    /// Its values by place (`security.protocol`), defaults among them.
    pub values: Layer,
}

/// Settings of the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Console {
    /// Wheel and click; `%` toggles it.
    pub mouse: bool,
    /// Draw with ASCII alone.
    pub ascii: bool,
    /// Key chords by command name; an empty list unbinds the command.
    pub keys: BTreeMap<String, Vec<String>>,
}

/// The file, the environment and the options, read and checked. Not `Debug`: the environment holds secrets.
#[derive(Clone)]
pub struct Configuration {
    /// Where the file is, or would be.
    pub place: Option<PathBuf>,
    /// Whether it is there.
    pub exists: bool,
    globals: Layer,
    profiles: BTreeMap<String, Layer>,
    environment: Environment,
    options: Options,
}

impl Configuration {
    /// Reads all layers. A file that is named must exist; none at the usual place is fine.
    pub fn load(environment: Environment, options: Options) -> Result<Self, Fault> {
        let (place, named_by) = match (&options.file, environment.get("REDRIVE_CONFIG")) {
            (Some(file), _) => (Some(file.clone()), Some("--config")),
            (None, Some(file)) if !file.is_empty() => (Some(PathBuf::from(file)), Some("REDRIVE_CONFIG")),
            _ => (usual_file(), None),
        };
        let text = place.as_deref().map(|path| read(path, named_by)).transpose()?.flatten();
        Self::from_text(text.as_deref(), place, environment, options)
    }

    /// The same, from the text of the file; `None` where there is none.
    pub fn from_text(
        text: Option<&str>,
        place: Option<PathBuf>,
        environment: Environment,
        options: Options,
    ) -> Result<Self, Fault> {
        let path = place.as_deref().unwrap_or(Path::new("config.toml"));
        let (all, named) = text.map(|text| parse(text, path)).transpose()?.unwrap_or_default();
        let mut globals = Layer::new();
        let mut profiles: BTreeMap<String, Layer> =
            named.into_iter().map(|name| (name, Layer::new())).collect();
        for (place, value) in all {
            match place.0.as_slice() {
                [Step::Name(profiles_table), Step::Name(name), rest @ ..] if profiles_table == "profiles" => {
                    profiles.entry(name.clone()).or_default().insert(Place(rest.to_vec()), value);
                }
                _ => {
                    globals.insert(place, value);
                }
            }
        }
        let configuration = Self { place, exists: text.is_some(), globals, profiles, environment, options };
        if let Some(value) = configuration.globals.get(&Place::of("default_profile"))
            && let Raw::Text(name) = &value.raw
            && !configuration.profiles.contains_key(name)
        {
            return Err(configuration
                .unknown_profile(name)
                .why(format!("`default_profile` names it ({})", value.origin)));
        }
        Ok(configuration)
    }

    /// The names of the profiles in the file.
    pub fn names(&self) -> Vec<String> {
        self.profiles.keys().cloned().collect()
    }

    /// Which profile is meant: `--profile`, else `--brokers` alone, else the same two of the environment, else
    /// `default_profile`, else the only one.
    pub fn choose(&self) -> Result<Choice, Unchosen> {
        if let Some(name) = &self.options.profile {
            return Ok(Choice::Named(name.clone()));
        }
        if self.options.brokers.is_some() {
            return Ok(Choice::AdHoc);
        }
        if let Some(name) = self.variable("REDRIVE_PROFILE") {
            return Ok(Choice::Named(name.to_owned()));
        }
        if self.variable("REDRIVE_BROKERS").is_some() {
            return Ok(Choice::AdHoc);
        }
        if let Some(Value { raw: Raw::Text(name), .. }) = self.globals.get(&Place::of("default_profile")) {
            return Ok(Choice::Named(name.clone()));
        }
        let mut names = self.names();
        match names.len() {
            0 => Err(Unchosen::None),
            1 => names.pop().map(Choice::Named).ok_or(Unchosen::None),
            _ => Err(Unchosen::Several(names)),
        }
    }

    /// The profile in force for a choice, with all layers.
    pub fn profile(&self, choice: &Choice) -> Result<Chosen, Fault> {
        let (name, mut values) = match choice {
            Choice::Named(name) => {
                let layer = self.profiles.get(name).ok_or_else(|| self.unknown_profile(name))?;
                (name.clone(), layer.clone())
            }
            Choice::AdHoc => (String::new(), Layer::new()),
        };
        self.add_environment(&mut values)?;
        self.add_options(&mut values)?;
        let brokers_replaced = values
            .get(&Place::of("brokers"))
            .is_some_and(|v| matches!(v.origin, Origin::Environment(_) | Origin::Option(_)));
        if brokers_replaced {
            self.add_care_of_the_same_brokers(&mut values);
        }
        let mut chosen = self.finish(name, values)?;
        chosen.profile.chosen_by = self.chosen_by(choice);
        Ok(chosen)
    }

    /// The options that make the same choice again.
    fn chosen_by(&self, choice: &Choice) -> Vec<String> {
        let Options { profile: _, brokers, file, properties: _, read_only } = &self.options;
        let file = file.as_ref().map(|file| ("--config", file.display().to_string()));
        let profile = match choice {
            Choice::Named(name) => Some(("--profile", name.clone())),
            Choice::AdHoc => None,
        };
        let brokers = brokers.as_ref().map(|brokers| ("--brokers", brokers.clone()));
        let given = [file, profile, brokers].into_iter().flatten();
        let mut words: Vec<String> =
            given.flat_map(|(option, value)| [option.to_owned(), quoted(&value)]).collect();
        words.extend(read_only.then(|| "--read-only".to_owned()));
        words
    }

    /// A profile as the file alone has it.
    pub fn profile_of_file(&self, name: &str) -> Result<Chosen, Fault> {
        let values = self.profiles.get(name).ok_or_else(|| self.unknown_profile(name))?.clone();
        self.finish(name.to_owned(), values)
    }

    /// The settings of the console.
    pub fn console(&self) -> Console {
        let on = |key: &str, default: bool| match self.globals.get(&Place::of(key)) {
            Some(Value { raw: Raw::Text(text), .. }) => text == "true",
            _ => default,
        };
        let keys = self
            .globals
            .iter()
            .filter_map(|(place, value)| match (place.0.as_slice(), &value.raw) {
                ([Step::Name(table), Step::Name(command)], Raw::List(chords)) if table == "keys" => {
                    Some((command.clone(), chords.clone()))
                }
                _ => None,
            })
            .collect();
        Console { mouse: on("console.mouse", true), ascii: on("console.ascii", false), keys }
    }

    /// The values outside the profiles, defaults among them.
    pub fn globals(&self) -> Layer {
        let mut values = self.globals.clone();
        add_defaults(&mut values, "");
        values
    }

    /// A variable of the environment that is not empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// Variables that are most likely a mistyped one of ours, with the one that was meant.
    pub fn mistyped_variables(&self) -> Vec<(String, String)> {
        let known: Vec<String> = keys::variables()
            .map(|(.., name)| name)
            .chain(OTHER_VARIABLES.iter().map(|(name, _)| (*name).to_owned()))
            .collect();
        self.environment
            .keys()
            .filter(|name| name.starts_with("REDRIVE_") && !known.contains(name))
            .filter_map(|name| {
                let ends = known.iter().filter_map(|k| k.strip_prefix("REDRIVE_"));
                let near = nearest(name.strip_prefix("REDRIVE_")?, ends)?;
                Some((name.clone(), format!("REDRIVE_{near}")))
            })
            .collect()
    }

    fn unknown_profile(&self, name: &str) -> Fault {
        let names = self.names();
        let fault = Fault::usage("unknown_profile", format!("there is no profile {name:?}"));
        let near = nearest(name, names.iter().map(String::as_str));
        match (near, names.is_empty()) {
            (Some(near), _) => fault.hint(format!("did you mean {near:?}?")),
            (None, false) => fault.hint(format!("profiles: {}", names.join(", "))),
            (None, true) => fault.hint(format!(
                "the configuration has no profiles: write [profiles.{name}] into {}",
                self.place.as_deref().unwrap_or(Path::new("config.toml")).display()
            )),
        }
    }

    fn add_environment(&self, values: &mut Layer) -> Result<(), Fault> {
        for (key, name, variable) in keys::variables() {
            let Some(text) = self.variable(&variable) else { continue };
            let wrong = |why: String| Fault::usage("config", format!("wrong value of {variable}")).why(why);
            let raw = match key.kind {
                Kind::List | Kind::Brokers => Raw::List(split(text)),
                Kind::Bool => match text {
                    "true" | "1" | "yes" => Raw::Text("true".to_owned()),
                    "false" | "0" | "no" => Raw::Text("false".to_owned()),
                    _ => return Err(wrong("true or false was expected".to_owned())),
                },
                _ => Raw::Text(text.to_owned()),
            };
            let texts = match &raw {
                Raw::Text(text) => std::slice::from_ref(text),
                Raw::List(list) => list.as_slice(),
            };
            for text in texts.iter().filter(|t| !super::reference::has_reference(t)) {
                keys::check(key.kind, text).map_err(wrong)?;
            }
            if ONLY_ON.contains(&name) && raw == Raw::Text("false".to_owned()) {
                continue;
            }
            values.insert(Place::of(name), Value { key, raw, origin: Origin::Environment(variable) });
        }
        Ok(())
    }

    fn add_options(&self, values: &mut Layer) -> Result<(), Fault> {
        if let Some(brokers) = &self.options.brokers {
            let list = split(brokers);
            let wrong = |why: String| Fault::usage("config", "wrong value of --brokers").why(why);
            if list.is_empty() {
                return Err(wrong("host:port was expected".to_owned()));
            }
            for broker in list.iter().filter(|b| !super::reference::has_reference(b)) {
                keys::check(Kind::Brokers, broker).map_err(|why| wrong(format!("{why}, not {broker:?}")))?;
            }
            insert(values, "brokers", Raw::List(list), Origin::Option("--brokers"));
        }
        for (name, text) in &self.options.properties {
            let place = Place::of("properties").then(Step::Name(name.clone()));
            if let Some(key) = profile_key("properties.*") {
                let value = Value { key, raw: Raw::Text(text.clone()), origin: Origin::Option("-X") };
                values.insert(place, value);
            }
        }
        if self.options.read_only {
            insert(values, "read_only", Raw::Text("true".to_owned()), Origin::Option("--read-only"));
        }
        Ok(())
    }

    fn add_care_of_the_same_brokers(&self, values: &mut Layer) {
        let Some(Raw::List(brokers)) = values.get(&Place::of("brokers")).map(|v| v.raw.clone()) else {
            return;
        };
        for (name, layer) in &self.profiles {
            let Some(Raw::List(theirs)) = layer.get(&Place::of("brokers")).map(|v| &v.raw) else { continue };
            let same = |a: &str, b: &str| with_port(a).eq_ignore_ascii_case(&with_port(b));
            if !theirs.iter().any(|a| brokers.iter().any(|b| same(a, b))) {
                continue;
            }
            for care in ONLY_ON {
                if is_on(layer, care) && !is_on(values, care) {
                    insert(values, care, Raw::Text("true".to_owned()), Origin::Profile(name.clone()));
                }
            }
        }
    }

    /// Where what is decided by hand is kept for a profile; an empty name is that of one made from brokers alone.
    fn kept_in(&self, name: &str, values: &Layer) -> Result<PathBuf, String> {
        let place = self.place.as_ref().filter(|_| self.exists && !name.is_empty());
        let place = place.ok_or("brokers were given, and no profile of a file")?;
        for list in ["dead_letters.adopt", "dead_letters.ignore"] {
            if let Some(Value { origin: Origin::Environment(variable), .. }) = values.get(&Place::of(list)) {
                return Err(format!("{variable} decides, whatever the file says"));
            }
        }
        Ok(place.clone())
    }

    fn finish(&self, name: String, mut values: Layer) -> Result<Chosen, Fault> {
        let beside = self.place.as_deref().and_then(Path::parent);
        let kept_in = self.kept_in(&name, &values);
        let mut profile =
            Builder { values: &values, environment: &self.environment, beside }.profile(name)?;
        profile.kept_in = kept_in;
        add_defaults(&mut values, PROFILE);
        // Its default follows from the mechanism and the certificates.
        if !values.contains_key(&Place::of("security.protocol")) {
            let protocol = Raw::Text(profile.connection.protocol.as_str().to_owned());
            insert(&mut values, "security.protocol", protocol, Origin::Default);
        }
        Ok(Chosen { profile, values })
    }
}

/// Variables that no key of a profile stands behind, with their meaning.
pub const OTHER_VARIABLES: &[(&str, &str)] = &[
    ("REDRIVE_CONFIG", "the configuration file, as --config"),
    ("REDRIVE_PROFILE", "the profile, as --profile"),
    ("REDRIVE_OPERATOR", "who acts, as --operator"),
    ("REDRIVE_LOG_FILE", "the log file, as --log-file"),
];

/// Keys that environment and options can only switch on.
const ONLY_ON: [&str; 2] = ["read_only", "protected"];

fn is_on(values: &Layer, name: &str) -> bool {
    matches!(values.get(&Place::of(name)), Some(Value { raw: Raw::Text(text), .. }) if text == "true")
}

fn profile_key(name: &str) -> Option<&'static keys::Key> {
    KEYS.iter().find(|key| key.pattern.strip_prefix(PROFILE) == Some(name))
}

fn insert(values: &mut Layer, name: &str, raw: Raw, origin: Origin) {
    if let Some(key) = profile_key(name) {
        values.insert(Place::of(name), Value { key, raw, origin });
    }
}

fn add_defaults(values: &mut Layer, prefix: &str) {
    for key in KEYS.iter().filter(|key| !key.default.is_empty() && key.kind != Kind::List) {
        let Some(name) = key.pattern.strip_prefix(prefix) else { continue };
        if name.contains(['*', '[']) {
            continue;
        }
        values.entry(Place::of(name)).or_insert_with(|| Value {
            key,
            raw: Raw::Text(key.default.to_owned()),
            origin: Origin::Default,
        });
    }
}

fn with_port(broker: &str) -> String {
    if broker.rsplit_once(':').is_some() { broker.to_owned() } else { format!("{broker}:9092") }
}

fn read(path: &Path, named_by: Option<&str>) -> Result<Option<String>, Fault> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && named_by.is_none() => Ok(None),
        Err(e) => {
            let what = format!("the configuration {} cannot be read", path.display());
            let fault = Fault::usage("config", what).why(e.to_string());
            Err(match named_by {
                Some(by) => fault.hint(format!("{by} names it: correct it or leave it out")),
                None => fault,
            })
        }
    }
}
