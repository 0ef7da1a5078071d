//! One profile: how to connect to a cluster, and how careful to be there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::secret::Secret;
use super::topic_names::TopicNames;
use crate::event::decode::Decoding;

/// The transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Protocol {
    /// No TLS, no authentication.
    #[default]
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL without TLS.
    SaslPlaintext,
    /// SASL over TLS.
    SaslSsl,
}

impl Protocol {
    /// The word of the configuration, which is librdkafka's too.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }
}

/// TLS settings.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Tls {
    /// PEM file of the CA; `None` for the system's store.
    pub ca: Option<PathBuf>,
    /// PEM file of the client's certificate.
    pub certificate: Option<PathBuf>,
    /// PEM file of the client's key.
    pub key: Option<PathBuf>,
    /// Password of the client's key.
    pub key_password: Option<Secret>,
    /// Whether the broker's name must match its certificate.
    pub skip_hostname_check: bool,
}

/// How to authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sasl {
    /// PLAIN.
    Plain {
        /// User.
        username: String,
        /// Password.
        password: Secret,
    },
    /// SCRAM-SHA-256 or -512.
    Scram {
        /// 256 or 512.
        bits: u16,
        /// User.
        username: String,
        /// Password.
        password: Secret,
    },
    /// OAUTHBEARER with client credentials (RFC 6749, section 4.4).
    OAuthBearer {
        /// Token endpoint, an http or https URL.
        token_url: String,
        /// Client id.
        client_id: String,
        /// Client secret.
        client_secret: Secret,
        /// Scope.
        scope: Option<String>,
        /// PEM file of the CA of the token endpoint.
        ca: Option<PathBuf>,
        /// SASL extensions (KIP-342).
        extensions: BTreeMap<String, String>,
    },
}

/// How to reach a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// `host:port` of bootstrap brokers.
    pub brokers: Vec<String>,
    /// Transport.
    pub protocol: Protocol,
    /// TLS.
    pub tls: Tls,
    /// Authentication.
    pub sasl: Option<Sasl>,
    /// librdkafka properties passed through; they win over all others.
    pub properties: BTreeMap<String, Secret>,
    /// How long the first contact may take.
    pub timeout: Duration,
}

/// How dead-letter topics are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetters {
    /// Name patterns (`*` matches anything) in addition to the built-in ones.
    pub patterns: Vec<String>,
    /// Topics that are dead-letter topics although nothing shows it.
    pub adopt: Vec<String>,
    /// Topics that are none although something looks like it.
    pub ignore: Vec<String>,
    /// Stack frames of libraries beside the built-in ones: prefixes of class and method, `~` and a part of a
    /// file's path, `!` and one of these for frames that are the application's own after all.
    pub library_frames: Vec<String>,
    /// How long before retention can delete an open letter this needs attention.
    pub retention_warning: Duration,
    /// Home-grown formats.
    pub formats: Vec<LetterFormat>,
    /// Names of topics by id; not configured, but learnt from the cluster.
    pub topic_names: TopicNames,
}

impl Default for DeadLetters {
    fn default() -> Self {
        Self {
            patterns: Vec::new(),
            adopt: Vec::new(),
            ignore: Vec::new(),
            library_frames: Vec::new(),
            retention_warning: Duration::from_secs(24 * 3600),
            formats: Vec::new(),
            topic_names: TopicNames::default(),
        }
    }
}

/// A home-grown dead-letter format: where it keeps what. A field is a header's name, or a JSON path into
/// the value that begins with `$.`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LetterFormat {
    /// Name.
    pub name: String,
    /// Field (one of [`super::keys::LETTER_FIELDS`]) to its place.
    pub fields: BTreeMap<String, String>,
    /// How a field's value is written, where that is not left to its form.
    pub encodings: BTreeMap<String, Encoding>,
    /// Which of several headers with one name is the latest.
    pub latest: Occurrence,
    /// Headers to strip on a redrive, `*` at the end matches a prefix.
    pub strip: Vec<String>,
}

/// Which of several headers with one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Occurrence {
    /// The first.
    First,
    /// The last.
    #[default]
    Last,
}

/// How a value of a home-grown format is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// By its form: digits are decimal, four or eight other bytes big-endian.
    Guess,
    /// UTF-8.
    Text,
    /// A decimal number in text.
    Decimal,
    /// Four raw bytes.
    BigEndian32,
    /// Eight raw bytes.
    BigEndian64,
    /// Base64.
    Base64,
}

impl Encoding {
    /// The words of the configuration.
    pub const WORDS: &[&str] = &["guess", "text", "decimal", "i32be", "i64be", "base64"];

    /// The encoding of a word.
    pub fn of(word: &str) -> Option<Self> {
        const ALL: [Encoding; 6] = [
            Encoding::Guess,
            Encoding::Text,
            Encoding::Decimal,
            Encoding::BigEndian32,
            Encoding::BigEndian64,
            Encoding::Base64,
        ];
        Self::WORDS.iter().position(|w| *w == word).and_then(|at| ALL.get(at).copied())
    }
}

/// How often is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// What is on the screen.
    pub visible: Duration,
    /// The rest.
    pub background: Duration,
}

impl Default for Refresh {
    fn default() -> Self {
        Self { visible: Duration::from_secs(2), background: Duration::from_secs(10) }
    }
}

/// What the totals of the dashboards should stay below; what is above needs attention, and the charts show it.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Thresholds {
    /// Records that groups have not consumed.
    pub lag: Option<f64>,
    /// End-to-end latency, p99.
    pub latency: Option<Duration>,
    /// Dead letters in percent of what is consumed.
    pub errors: Option<f64>,
    /// Pending dead letters.
    pub dead_letters: Option<f64>,
}

/// A schema registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaRegistry {
    /// Base URL.
    pub url: String,
    /// User of basic authentication.
    pub username: Option<String>,
    /// Password of basic authentication.
    pub password: Option<Secret>,
    /// Bearer token.
    pub token: Option<Secret>,
    /// PEM file of its CA; `None` for the system's store.
    pub ca: Option<PathBuf>,
    /// PEM file of the client's certificate.
    pub certificate: Option<PathBuf>,
    /// PEM file of the client's key.
    pub key: Option<PathBuf>,
}

impl SchemaRegistry {
    /// One that everybody may ask.
    pub fn at(url: &str) -> Self {
        let url = url.to_owned();
        Self { url, username: None, password: None, token: None, ca: None, certificate: None, key: None }
    }
}

/// One profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Name.
    pub name: String,
    /// The file that keeps what the operator decides by hand; else why there is none.
    pub kept_in: Result<PathBuf, String>,
    /// The words of a command line that choose it again; without `-X`, where secrets can stand.
    pub chosen_by: Vec<String>,
    /// Connection.
    pub connection: Connection,
    /// Nothing is ever written.
    pub read_only: bool,
    /// Every write asks for a typed count, and the header shows a reversed block.
    pub protected: bool,
    /// Colour of the profile's name: one of the 16 ANSI names.
    pub colour: Option<String>,
    /// Dead letters.
    pub dead_letters: DeadLetters,
    /// Sampling.
    pub refresh: Refresh,
    /// What the dashboards should stay below.
    pub thresholds: Thresholds,
    /// Schema registry.
    pub schema_registry: Option<SchemaRegistry>,
    /// How payloads are decoded.
    pub decoding: Decoding,
    /// Prometheus endpoints of the applications.
    pub metrics: Vec<String>,
}

impl Profile {
    /// A profile with defaults for `brokers`.
    pub fn new(name: impl Into<String>, brokers: Vec<String>) -> Self {
        Self {
            name: name.into(),
            kept_in: Err("the profile was made for this run alone".to_owned()),
            chosen_by: Vec::new(),
            connection: Connection {
                brokers,
                protocol: Protocol::default(),
                tls: Tls::default(),
                sasl: None,
                properties: BTreeMap::new(),
                timeout: Duration::from_secs(10),
            },
            read_only: false,
            protected: false,
            colour: None,
            dead_letters: DeadLetters::default(),
            refresh: Refresh::default(),
            thresholds: Thresholds::default(),
            schema_registry: None,
            decoding: Decoding::default(),
            metrics: Vec::new(),
        }
    }
}
