//! Values become a [`Profile`]: references are looked up, and what belongs together is checked together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::keys::{self, LETTER_FIELDS, check};
use super::place::Environment;
use super::profile::{
    Connection, DeadLetters, Encoding, LetterFormat, Occurrence, Profile, Protocol, Refresh, Sasl,
    SchemaRegistry, Thresholds, Tls,
};
use super::reference::{expand, resolve};
use super::secret::Secret;
use super::topic_names::TopicNames;
use super::value::{Layer, Origin, Place, Raw, Step, Value};
use crate::event::decode::{AvroSchema, Decoder, Decoding, ProtobufSchema, TopicDecoders};
use crate::text::Fault;

pub(super) struct Builder<'a> {
    pub(super) values: &'a Layer,
    pub(super) environment: &'a Environment,
    pub(super) beside: Option<&'a Path>,
}

impl Builder<'_> {
    /// Builds the profile; an empty name is that of a profile made from brokers alone.
    pub(super) fn profile(&self, name: String) -> Result<Profile, Fault> {
        let brokers = self.list(&Place::of("brokers"))?;
        if brokers.is_empty() {
            return Err(Fault::usage("config", format!("profile {name:?} names no brokers"))
                .hint("set `brokers = [\"host:9092\"]` in it, or give --brokers"));
        }
        let name = if name.is_empty() { brokers.join(",") } else { name };
        let properties: BTreeMap<String, Secret> =
            self.map("properties")?.into_iter().map(|(name, text)| (name, Secret::new(text))).collect();
        let mut profile = Profile::new(name, brokers);
        profile.connection = self.connection(profile.connection.brokers, properties)?;
        profile.read_only = self.on("read_only")?;
        profile.protected = self.on("protected")?;
        profile.colour = self.text("colour")?;
        profile.dead_letters = self.dead_letters()?;
        profile.refresh = self.refresh()?;
        profile.thresholds = self.thresholds()?;
        profile.schema_registry = self.schema_registry()?;
        profile.decoding = self.decoding()?;
        profile.metrics = self
            .entries("metrics.scrape")
            .into_iter()
            .map(|entry| self.needed_at(&entry.then(Step::Name("url".to_owned()))))
            .collect::<Result<_, _>>()?;
        Ok(profile)
    }

    fn connection(
        &self,
        brokers: Vec<String>,
        properties: BTreeMap<String, Secret>,
    ) -> Result<Connection, Fault> {
        let tls = Tls {
            ca: self.path("security.ca")?,
            certificate: self.path("security.certificate")?,
            key: self.path("security.key")?,
            key_password: self.secret("security.key_password")?,
            skip_hostname_check: self.on("security.skip_hostname_check")?,
        };
        let sasl = self.sasl()?;
        let wants_tls = tls.ca.is_some() || tls.certificate.is_some();
        let protocol = match self.text("security.protocol")?.as_deref() {
            Some("ssl") => Protocol::Ssl,
            Some("sasl_plaintext") => Protocol::SaslPlaintext,
            Some("sasl_ssl") => Protocol::SaslSsl,
            // A password never travels in the clear unless the profile says so.
            None if sasl.is_some() => Protocol::SaslSsl,
            None if wants_tls => Protocol::Ssl,
            Some(_) | None => Protocol::Plaintext,
        };
        let uses_sasl = matches!(protocol, Protocol::SaslPlaintext | Protocol::SaslSsl);
        let passed = ["sasl.mechanism", "sasl.mechanisms"].iter().any(|name| properties.contains_key(*name));
        if uses_sasl && sasl.is_none() && !passed {
            return Err(self
                .fault("security.protocol", "it asks for SASL, but there is no `mechanism`")
                .hint("set `security.mechanism` to PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"));
        }
        if !uses_sasl && sasl.is_some() {
            return Err(self
                .fault("security.mechanism", "the protocol is without SASL, so that it would not be used")
                .hint("set `security.protocol` to sasl_ssl or sasl_plaintext, or leave it out"));
        }
        if tls.certificate.is_some() != tls.key.is_some() {
            let (there, missing) =
                if tls.key.is_some() { ("key", "certificate") } else { ("certificate", "key") };
            return Err(
                self.fault(&format!("security.{there}"), format!("it needs `security.{missing}` too"))
            );
        }
        let timeout = self.duration("timeout")?.unwrap_or(std::time::Duration::from_secs(10));
        Ok(Connection { brokers, protocol, tls, sasl, properties, timeout })
    }

    fn sasl(&self) -> Result<Option<Sasl>, Fault> {
        let Some(mechanism) = self.text("security.mechanism")? else { return Ok(None) };
        let user = || self.needed("security.username", &mechanism);
        let password = || self.needed("security.password", &mechanism).map(Secret::new);
        Ok(Some(match mechanism.as_str() {
            "SCRAM-SHA-256" => Sasl::Scram { bits: 256, username: user()?, password: password()? },
            "SCRAM-SHA-512" => Sasl::Scram { bits: 512, username: user()?, password: password()? },
            "OAUTHBEARER" => Sasl::OAuthBearer {
                token_url: self.needed("security.oauth.token_url", &mechanism)?,
                client_id: self.needed("security.oauth.client_id", &mechanism)?,
                client_secret: Secret::new(self.needed("security.oauth.client_secret", &mechanism)?),
                scope: self.text("security.oauth.scope")?,
                ca: self.path("security.oauth.ca")?,
                extensions: self.map("security.oauth.extensions")?,
            },
            _ => Sasl::Plain { username: user()?, password: password()? },
        }))
    }

    fn dead_letters(&self) -> Result<DeadLetters, Fault> {
        Ok(DeadLetters {
            patterns: self.list(&Place::of("dead_letters.patterns"))?,
            adopt: self.list(&Place::of("dead_letters.adopt"))?,
            ignore: self.list(&Place::of("dead_letters.ignore"))?,
            library_frames: self.list(&Place::of("dead_letters.library_frames"))?,
            retention_warning: self
                .duration("dead_letters.retention_warning")?
                .unwrap_or(DeadLetters::default().retention_warning),
            formats: self
                .entries("dead_letters.formats")
                .into_iter()
                .map(|entry| self.letter_format(&entry))
                .collect::<Result<_, Fault>>()?,
            topic_names: TopicNames::default(),
        })
    }

    /// A home-grown format below `entry`.
    pub(super) fn letter_format(&self, entry: &Place) -> Result<LetterFormat, Fault> {
        let name = |name: &str| entry.then(Step::Name(name.to_owned()));
        let (fields_at, encodings_at) = (name("fields"), name("encodings"));
        let (mut fields, mut encodings) = (BTreeMap::new(), BTreeMap::new());
        for field in LETTER_FIELDS {
            let step = Step::Name((*field).to_owned());
            let at = fields_at.then(step.clone());
            if let Some(text) = self.text_at(&at)? {
                if text.is_empty() || (text.starts_with('$') && text.len() < 3) || text.starts_with("$[") {
                    let why = "a header's name or a path that begins with `$.` was expected".to_owned();
                    return Err(match self.values.get(&at) {
                        Some(value) => wrong(&at, value, why),
                        None => Fault::usage("config", format!("wrong value for `{at}`")).why(why),
                    });
                }
                fields.insert((*field).to_owned(), text);
            }
            let word = self.text_at(&encodings_at.then(step))?;
            if let Some(encoding) = word.as_deref().and_then(Encoding::of) {
                encodings.insert((*field).to_owned(), encoding);
            }
        }
        let latest = self.text_at(&name("latest"))?;
        let name_at = name("name");
        let format = LetterFormat {
            name: self.needed_at(&name_at)?,
            fields,
            encodings,
            latest: if latest.as_deref() == Some("first") { Occurrence::First } else { Occurrence::Last },
            strip: self.list(&name("strip"))?,
        };
        if format.fields.is_empty() {
            let why = format!("format {:?} names no field: one of {}", format.name, LETTER_FIELDS.join(", "));
            return Err(match self.values.get(&name_at) {
                Some(value) => wrong(&name_at, value, why),
                None => Fault::usage("config", format!("`{fields_at}` is missing")).why(why),
            });
        }
        Ok(format)
    }

    fn refresh(&self) -> Result<Refresh, Fault> {
        let usual = Refresh::default();
        Ok(Refresh {
            visible: self.duration("refresh.visible")?.unwrap_or(usual.visible),
            background: self.duration("refresh.background")?.unwrap_or(usual.background),
        })
    }

    fn thresholds(&self) -> Result<Thresholds, Fault> {
        let number = |key| Ok::<_, Fault>(self.text(key)?.as_deref().and_then(keys::number));
        Ok(Thresholds {
            lag: number("thresholds.lag")?,
            latency: self.duration("thresholds.latency")?,
            errors: number("thresholds.errors")?,
            dead_letters: number("thresholds.dead_letters")?,
        })
    }

    fn schema_registry(&self) -> Result<Option<SchemaRegistry>, Fault> {
        const KEYS: [&str; 6] = ["username", "password", "token", "ca", "certificate", "key"];
        let at = |key: &str| format!("schema_registry.{key}");
        let Some(url) = self.text(&at("url"))? else {
            let alone = KEYS.iter().find(|key| self.values.get(&Place::of(&at(key))).is_some());
            return match alone {
                Some(key) => Err(self.fault(&at(key), "it needs `schema_registry.url` too")),
                None => Ok(None),
            };
        };
        let registry = SchemaRegistry {
            url,
            username: self.text(&at("username"))?,
            password: self.secret(&at("password"))?,
            token: self.secret(&at("token"))?,
            ca: self.path(&at("ca"))?,
            certificate: self.path(&at("certificate"))?,
            key: self.path(&at("key"))?,
        };
        if registry.token.is_some() && registry.username.is_some() {
            return Err(self.fault(&at("token"), "it goes without `schema_registry.username`"));
        }
        if registry.certificate.is_some() != registry.key.is_some() {
            let there = if registry.key.is_some() { "key" } else { "certificate" };
            return Err(self.fault(&at(there), "a certificate and its key go together"));
        }
        Ok(Some(registry))
    }

    fn decoding(&self) -> Result<Decoding, Fault> {
        let entry = |entry: Place| {
            let side = |name: &str| {
                let place = entry.then(Step::Name(name.to_owned()));
                let words = self.list(&place)?;
                words.iter().map(|word| self.decoder(&place, word)).collect::<Result<Vec<_>, Fault>>()
            };
            Ok(TopicDecoders {
                pattern: self.needed_at(&entry.then(Step::Name("topic".to_owned())))?,
                key: side("key")?,
                value: side("value")?,
            })
        };
        let topics = self.entries("decode").into_iter().map(entry).collect::<Result<_, Fault>>()?;
        Ok(Decoding { topics, schemas: None })
    }

    /// A decoder by its name, or `avro:FILE`, `protobuf:FILE` and `protobuf:FILE#MESSAGE`.
    fn decoder(&self, place: &Place, word: &str) -> Result<Decoder, Fault> {
        let fault = |why: String| match self.values.get(place) {
            Some(value) => wrong(place, value, why),
            None => Fault::usage("config", format!("`{place}`")).why(why),
        };
        let file = |text: &str| {
            let beside = self.values.get(place).and_then(|value| self.beside_of(value));
            resolve(text, self.environment, beside)
        };
        if let Some(text) = word.strip_prefix("avro:") {
            let path = file(text);
            let schema = std::fs::read_to_string(&path).map_err(|e| e.to_string());
            let schema = schema.and_then(|text| AvroSchema::parse(&text, &[]));
            return schema
                .map(|schema| Decoder::Avro(Arc::new(schema)))
                .map_err(|why| fault(format!("{}: {why}", path.display())));
        }
        if let Some(text) = word.strip_prefix("protobuf:") {
            let (text, message) =
                text.split_once('#').map_or((text, None), |(text, name)| (text, Some(name)));
            let schema = ProtobufSchema::open(&file(text)).map_err(fault)?;
            schema.named(message).map_err(|why| fault(format!("{text}: {why}")))?;
            return Ok(Decoder::Protobuf(Arc::new(schema), message.map(str::to_owned)));
        }
        let known = Decoder::NAMED.into_iter().find(|(name, _)| *name == word);
        known.map(|(_, decoder)| decoder).ok_or_else(|| {
            let names: Vec<&str> = Decoder::NAMED.iter().map(|(name, _)| *name).collect();
            fault(format!(
                "{word:?} is no decoder: {}, avro:FILE, protobuf:FILE#MESSAGE are",
                names.join(", ")
            ))
        })
    }

    fn fault(&self, key: &str, why: impl Into<String>) -> Fault {
        match self.values.get(&Place::of(key)) {
            Some(value) => wrong(&Place::of(key), value, why.into()),
            None => Fault::usage("config", format!("`{key}`")).why(why),
        }
    }

    fn looked_up(&self, place: &Place, value: &Value, text: &str) -> Result<String, Fault> {
        let text =
            expand(text, self.environment, self.beside_of(value)).map_err(|why| wrong(place, value, why))?;
        check(value.key.kind, &text).map_err(|why| wrong(place, value, why))?;
        Ok(text)
    }

    /// Files of the configuration file lie beside it, those of other layers in the working directory.
    fn beside_of(&self, value: &Value) -> Option<&Path> {
        if matches!(value.origin, Origin::File { .. }) { self.beside } else { None }
    }

    fn text_at(&self, place: &Place) -> Result<Option<String>, Fault> {
        match self.values.get(place) {
            Some(value) => match &value.raw {
                Raw::Text(text) => self.looked_up(place, value, text).map(Some),
                Raw::List(list) => self.looked_up(place, value, &list.join(",")).map(Some),
            },
            None => Ok(None),
        }
    }

    fn text(&self, key: &str) -> Result<Option<String>, Fault> {
        self.text_at(&Place::of(key))
    }

    fn secret(&self, key: &str) -> Result<Option<Secret>, Fault> {
        Ok(self.text(key)?.map(Secret::new))
    }

    fn on(&self, key: &str) -> Result<bool, Fault> {
        Ok(self.text(key)?.as_deref() == Some("true"))
    }

    fn duration(&self, key: &str) -> Result<Option<std::time::Duration>, Fault> {
        Ok(self.text(key)?.as_deref().and_then(keys::duration))
    }

    fn path(&self, key: &str) -> Result<Option<PathBuf>, Fault> {
        let place = Place::of(key);
        let Some(value) = self.values.get(&place) else { return Ok(None) };
        Ok(self.text_at(&place)?.map(|text| resolve(&text, self.environment, self.beside_of(value))))
    }

    fn list(&self, place: &Place) -> Result<Vec<String>, Fault> {
        match self.values.get(place) {
            Some(value) => match &value.raw {
                Raw::List(list) => list.iter().map(|text| self.looked_up(place, value, text)).collect(),
                Raw::Text(text) => Ok(vec![self.looked_up(place, value, text)?]),
            },
            None => Ok(Vec::new()),
        }
    }

    fn needed(&self, key: &str, mechanism: &str) -> Result<String, Fault> {
        self.text(key)?
            .ok_or_else(|| self.fault("security.mechanism", format!("{mechanism} needs `{key}` too")))
    }

    fn needed_at(&self, place: &Place) -> Result<String, Fault> {
        self.text_at(place)?.ok_or_else(|| Fault::usage("config", format!("`{place}` is missing")))
    }

    fn below<'b>(&'b self, table: &'b Place) -> impl Iterator<Item = (&'b Step, &'b Place, &'b Value)> {
        self.values.iter().filter_map(|(place, value)| {
            let rest = place.0.strip_prefix(table.0.as_slice())?;
            Some((rest.first()?, place, value))
        })
    }

    fn map(&self, table: &str) -> Result<BTreeMap<String, String>, Fault> {
        let mut map = BTreeMap::new();
        for (step, place, _) in self.below(&Place::of(table)) {
            if let (Step::Name(name), Some(text)) = (step, self.text_at(place)?) {
                map.insert(name.clone(), text);
            }
        }
        Ok(map)
    }

    fn entries(&self, array: &str) -> Vec<Place> {
        let array = Place::of(array);
        let mut indices: Vec<&Step> = self.below(&array).map(|(step, ..)| step).collect();
        indices.dedup();
        indices.into_iter().map(|step| array.then(step.clone())).collect()
    }
}

fn wrong(place: &Place, value: &Value, why: String) -> Fault {
    let what = match &value.origin {
        Origin::File { path, line } => format!("{}:{line}: wrong value for `{place}`", path.display()),
        Origin::Environment(name) => format!("wrong value of {name}"),
        Origin::Option(name) => format!("wrong value of {name}"),
        Origin::Default | Origin::Profile(_) => format!("wrong value for `{place}`"),
    };
    Fault::usage("config", what).why(why)
}
