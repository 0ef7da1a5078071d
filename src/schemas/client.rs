//! The requests to a schema registry.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, TlsProvider};

use crate::config::nearest;
use crate::config::profile::SchemaRegistry;
use crate::event::decode::{AvroSchema, JsonSchema, ProtobufSchema, Registered, Schema, SchemaId};
use crate::text::Fault;

/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: u64 = 4 << 20;
/// References of one schema, those of its references among them.
const MOST_REFERENCES: usize = 256;

/// A client of one registry.
pub(super) struct Client {
    agent: ureq::Agent,
    url: String,
    authorization: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    schema: String,
    /// Avro where it is left out.
    #[serde(rename = "schemaType")]
    kind: Option<String>,
    #[serde(default)]
    references: Vec<Reference>,
    /// These two are told of subjects only.
    id: Option<u32>,
    version: Option<u32>,
}

#[derive(Deserialize)]
struct Reference {
    name: String,
    subject: String,
    version: i64,
}

#[derive(Deserialize)]
struct Refusal {
    message: Option<String>,
}

impl Client {
    pub(super) fn new(settings: &SchemaRegistry, timeout: Duration) -> Result<Self, Fault> {
        let mut tls = TlsConfig::builder().provider(TlsProvider::NativeTls);
        tls = tls.root_certs(match &settings.ca {
            None => RootCerts::PlatformVerifier,
            Some(path) => certificates(path, "schema_registry.ca")?.into(),
        });
        if let (Some(certificate), Some(key)) = (&settings.certificate, &settings.key) {
            let chain = certificates(certificate, "schema_registry.certificate")?;
            let text = read(key, "schema_registry.key")?;
            let key = PrivateKey::from_pem(&text)
                .map_err(|e| wrong("schema_registry.key", key).why(e.to_string()))?;
            tls = tls.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
        }
        let agent = ureq::Agent::config_builder()
            .tls_config(tls.build())
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            // Credentials are not carried elsewhere.
            .max_redirects(0)
            .build()
            .new_agent();
        let basic = settings.username.as_ref().map(|user| {
            let password = settings.password.as_ref().map_or("", |password| password.reveal());
            format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
        });
        let bearer = settings.token.as_ref().map(|token| format!("Bearer {}", token.reveal()));
        Ok(Self {
            agent,
            url: settings.url.trim_end_matches('/').to_owned(),
            authorization: bearer.or(basic),
        })
    }

    /// Fetches a schema with all that it refers to.
    pub(super) fn fetch(&self, id: &SchemaId) -> Result<Schema, String> {
        let answer = match id {
            SchemaId::Number(id) => self.get(&format!("/schemas/ids/{id}")),
            SchemaId::Guid(id) => self.get(&format!("/schemas/guids/{id}")),
        };
        answer.and_then(|answer| self.read(answer)).map_err(|why| format!("schema {id}: {why}"))
    }

    /// Fetches the schema of a subject in a version, or in the newest.
    pub(super) fn registered(&self, subject: &str, version: Option<u32>) -> Result<Registered, String> {
        let version = version.map_or_else(|| "latest".to_owned(), |version| version.to_string());
        let of = |why: String| format!("subject {subject}, version {version}: {why}");
        let path = format!("/subjects/{}/versions/{version}", encoded(subject));
        let answer: Answer = self.get(&path).map_err(|why| of(why) + &self.meant(subject))?;
        let numbers = answer.id.zip(answer.version);
        let (id, version) = numbers.ok_or_else(|| of("the answer has no id and version".to_owned()))?;
        Ok(Registered { id, version, schema: Arc::new(self.read(answer).map_err(of)?) })
    }

    /// The subject that was most likely meant by one that is not there, in words.
    fn meant(&self, subject: &str) -> String {
        let subjects: Vec<String> = self.get("/subjects").unwrap_or_default();
        match nearest(subject, subjects.iter().map(String::as_str)) {
            Some(near) if near != subject => format!(" (did you mean {near}?)"),
            _ => String::new(),
        }
    }

    fn read(&self, answer: Answer) -> Result<Schema, String> {
        let mut references = Vec::new();
        self.collect(&answer.references, &mut HashSet::new(), &mut references)?;
        match answer.kind.as_deref().unwrap_or("AVRO") {
            "AVRO" => {
                let texts: Vec<String> = references.into_iter().map(|(_, text)| text).collect();
                AvroSchema::parse(&answer.schema, &texts).map(Schema::Avro)
            }
            "PROTOBUF" => ProtobufSchema::parse(&answer.schema, &references).map(Schema::Protobuf),
            "JSON" => Ok(Schema::Json(JsonSchema::new(answer.schema, references))),
            other => Err(format!("it is of the unknown type {other}")),
        }
    }

    /// The texts of references by name, those that others need first.
    fn collect(
        &self,
        references: &[Reference],
        seen: &mut HashSet<String>,
        out: &mut Vec<(String, String)>,
    ) -> Result<(), String> {
        for reference in references {
            if !seen.insert(reference.name.clone()) {
                continue;
            }
            if seen.len() > MOST_REFERENCES {
                return Err(format!("it has more than {MOST_REFERENCES} references"));
            }
            let path = format!("/subjects/{}/versions/{}", encoded(&reference.subject), reference.version);
            let answer: Answer =
                self.get(&path).map_err(|why| format!("reference {}: {why}", reference.name))?;
            self.collect(&answer.references, seen, out)?;
            out.push((reference.name.clone(), answer.schema));
        }
        Ok(())
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, String> {
        let mut request = self
            .agent
            .get(format!("{}{path}", self.url))
            .header("Accept", "application/vnd.schemaregistry.v1+json, application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let unreachable = |e: ureq::Error| format!("the schema registry {} cannot be reached: {e}", self.url);
        let mut answer = request.call().map_err(unreachable)?;
        let status = answer.status();
        let body =
            answer.body_mut().with_config().limit(LONGEST_ANSWER).read_to_vec().map_err(unreachable)?;
        if !status.is_success() {
            let said = serde_json::from_slice::<Refusal>(&body).ok().and_then(|refusal| refusal.message);
            let said: String = said.unwrap_or_default().chars().take(200).collect();
            return Err(format!("the schema registry answered {status} {said}").trim_end().to_owned());
        }
        serde_json::from_slice(&body)
            .map_err(|e| format!("the schema registry's answer is not understood: {e}"))
    }
}

/// A part of a URL's path.
fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            // Writing to a string cannot fail.
            byte => write!(out, "%{byte:02X}").unwrap_or_default(),
        }
    }
    out
}

fn wrong(key: &str, path: &Path) -> Fault {
    Fault::usage("config", format!("`{key}`: {} cannot be used", path.display()))
}

fn read(path: &Path, key: &str) -> Result<Vec<u8>, Fault> {
    std::fs::read(path).map_err(|e| wrong(key, path).why(e.to_string()))
}

fn certificates(path: &Path, key: &str) -> Result<Vec<Certificate<'static>>, Fault> {
    let text = read(path, key)?;
    let mut found = Vec::new();
    for item in ureq::tls::parse_pem(&text) {
        if let PemItem::Certificate(certificate) = item.map_err(|e| wrong(key, path).why(e.to_string()))? {
            found.push(certificate);
        }
    }
    if found.is_empty() {
        return Err(wrong(key, path).why("there is no certificate in it"));
    }
    Ok(found)
}
