//! Tokens for OAUTHBEARER: fetched by client credentials (RFC 6749, section 4.4), and renewed in time.
//!
//! One token serves all clients of a connection: a read that is opened waits for no token endpoint. librdkafka's
//! own method needs libcurl, which is not built in, and rust-rdkafka's call-back cannot pass SASL extensions
//! (KIP-342); so the token is set on each client when it is made and when it is renewed.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider};

use super::ffi::{self, Native};
use super::health::Health;
use super::reaper::Reaped;
use crate::broker::{BrokerError, ErrorKind};
use crate::config::profile::Sasl;
use crate::config::secret::Secret;
use crate::text::{Clock, Timestamp};

/// Used where neither the answer nor the token says how long it is valid (RFC 6749 leaves it out at will).
const UNKNOWN_LIFETIME: i64 = 300;

/// The longest answer of a token endpoint that is read.
const LONGEST_ANSWER: u64 = 1 << 20;

struct Token {
    text: CString,
    principal: CString,
    until: Timestamp,
    /// When it was fetched.
    since: Timestamp,
}

/// A client that takes tokens.
trait Taker: Send + Sync {
    fn accept(&self, token: &Token, extensions: &[CString]) -> Result<(), String>;
}

impl<T: Native + Send + Sync + 'static> Taker for Reaped<T> {
    fn accept(&self, token: &Token, extensions: &[CString]) -> Result<(), String> {
        ffi::set_token(&**self, &token.text, &token.principal, token.until, extensions)
    }
}

struct State {
    token: Arc<Token>,
    takers: Vec<Weak<dyn Taker>>,
    ended: bool,
}

/// The token of a connection.
pub(super) struct Tokens {
    endpoint: Endpoint,
    extensions: Vec<CString>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    changed: Condvar,
}

impl Tokens {
    /// Fetches the first token, and renews it from then on. It blocks.
    pub(super) fn begin(
        sasl: &Sasl,
        timeout: Duration,
        clock: Arc<dyn Clock>,
        health: Arc<Health>,
    ) -> Result<Arc<Self>, BrokerError> {
        let (endpoint, extensions) = Endpoint::new(sasl, timeout)?;
        let token = endpoint.fetch(&*clock)?;
        let state = State { token: Arc::new(token), takers: Vec::new(), ended: false };
        let tokens =
            Arc::new(Self { endpoint, extensions, clock, state: Mutex::new(state), changed: Condvar::new() });
        let renewing = Arc::clone(&tokens);
        std::thread::Builder::new()
            .name("kafka-token".to_owned())
            .spawn(move || renewing.renew(&health))
            .map_err(|error| BrokerError::new(ErrorKind::Other, "connect", error.to_string()))?;
        Ok(tokens)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the token to a client, now and whenever it is renewed.
    pub(super) fn adopt<T: Native + Send + Sync + 'static>(
        &self,
        client: &Arc<Reaped<T>>,
    ) -> Result<(), BrokerError> {
        let mut state = self.lock();
        client.accept(&state.token, &self.extensions).map_err(|why| {
            BrokerError::new(ErrorKind::Authentication, "use the OAUTHBEARER token", why)
                .hint("check `security.oauth`, above all its extensions")
        })?;
        state.takers.retain(|taker| taker.strong_count() > 0);
        let taker: Weak<dyn Taker> = Arc::downgrade(client) as _;
        state.takers.push(taker);
        Ok(())
    }

    /// Ends the renewing.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    fn renew(&self, health: &Health) {
        let mut wait = due(&self.lock().token, self.clock.now());
        loop {
            let state = self.lock();
            let (state, _) = self
                .changed
                .wait_timeout_while(state, wait, |state| !state.ended)
                .unwrap_or_else(PoisonError::into_inner);
            if state.ended {
                return;
            }
            drop(state);
            match self.endpoint.fetch(&*self.clock) {
                Ok(token) => {
                    wait = due(&token, self.clock.now());
                    let mut state = self.lock();
                    state.token = Arc::new(token);
                    state.takers.retain(|taker| taker.strong_count() > 0);
                    for taker in state.takers.iter().filter_map(Weak::upgrade) {
                        if let Err(why) = taker.accept(&state.token, &self.extensions) {
                            tracing::warn!(why, "the renewed token was not accepted");
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the token could not be renewed");
                    wait = Duration::from_secs(5);
                    if self.lock().token.until <= self.clock.now() {
                        health.trouble(error);
                    }
                }
            }
        }
    }
}

/// When to renew: after four fifths of the time that a token is valid.
fn due(token: &Token, now: Timestamp) -> Duration {
    let renew = token.since.plus_millis(token.until.since(token.since) / 5 * 4);
    Duration::from_millis(u64::try_from(renew.since(now)).unwrap_or(0)).max(Duration::from_secs(1))
}

struct Endpoint {
    agent: ureq::Agent,
    url: String,
    client_id: String,
    client_secret: Secret,
    scope: Option<String>,
}

impl Endpoint {
    fn new(sasl: &Sasl, timeout: Duration) -> Result<(Self, Vec<CString>), BrokerError> {
        let Sasl::OAuthBearer { token_url, client_id, client_secret, scope, ca, extensions } = sasl else {
            return Err(failed(ErrorKind::Invalid, "the mechanism is not OAUTHBEARER"));
        };
        let roots = authorities(ca.as_ref())?;
        let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(roots).build();
        let agent = ureq::Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            // A secret is not carried elsewhere.
            .max_redirects(0)
            .build()
            .new_agent();
        let endpoint = Self {
            agent,
            url: token_url.clone(),
            client_id: client_id.clone(),
            client_secret: client_secret.clone(),
            scope: scope.clone(),
        };
        Ok((endpoint, flat(extensions)?))
    }

    fn fetch(&self, clock: &dyn Clock) -> Result<Token, BrokerError> {
        let credentials = format!("{}:{}", encoded(&self.client_id), encoded(self.client_secret.reveal()));
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(self.scope.as_deref().map(|scope| ("scope", scope)));
        let since = clock.now();
        let mut answer = self
            .agent
            .post(&self.url)
            .header("Authorization", format!("Basic {}", STANDARD.encode(credentials)))
            .header("Accept", "application/json")
            .send_form(form)
            .map_err(|error| self.unanswered(&error))?;
        let status = answer.status();
        let body = answer
            .body_mut()
            .with_config()
            .limit(LONGEST_ANSWER)
            .read_to_vec()
            .map_err(|error| self.unanswered(&error))?;
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        if !status.is_success() {
            let word = |name| body.get(name).and_then(serde_json::Value::as_str);
            let said: Vec<_> = ["error", "error_description"].into_iter().filter_map(word).collect();
            let why = format!("{} answered {status} {}", self.url, said.join(": "));
            let kind =
                if status.is_server_error() { ErrorKind::Unreachable } else { ErrorKind::Authentication };
            return Err(failed(kind, why.trim_end()));
        }
        token(&body, since).map_err(|why| failed(ErrorKind::Authentication, format!("{}: {why}", self.url)))
    }

    fn unanswered(&self, error: &ureq::Error) -> BrokerError {
        let kind = match error {
            ureq::Error::Tls(_) | ureq::Error::NativeTls(_) => ErrorKind::Tls,
            ureq::Error::BadUri(_) => ErrorKind::Invalid,
            _ => ErrorKind::Unreachable,
        };
        failed(kind, format!("{}: {error}", self.url))
    }
}

fn failed(kind: ErrorKind, why: impl Into<String>) -> BrokerError {
    let error = BrokerError::new(kind, "fetch a token for OAUTHBEARER", why);
    match kind {
        ErrorKind::Authentication => error.hint("check `security.oauth`: client_id, client_secret and scope"),
        ErrorKind::Tls => error.hint("check `security.oauth.ca`"),
        ErrorKind::Unreachable => error.hint("check `security.oauth.token_url`").retryable(),
        _ => error,
    }
}

/// The authorities of the token endpoint; without a file those of the system.
fn authorities(file: Option<&PathBuf>) -> Result<RootCerts, BrokerError> {
    let Some(path) = file else { return Ok(RootCerts::PlatformVerifier) };
    let at = |why: String| failed(ErrorKind::Tls, format!("{}: {why}", path.display()));
    let text = std::fs::read(path).map_err(|error| at(error.to_string()))?;
    let mut found: Vec<Certificate<'static>> = Vec::new();
    for item in ureq::tls::parse_pem(&text) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| at(error.to_string()))? {
            found.push(certificate);
        }
    }
    if found.is_empty() {
        return Err(at("there is no certificate in it".to_owned()));
    }
    Ok(found.into())
}

/// Extensions as librdkafka takes them: name, value, name, value.
fn flat(extensions: &BTreeMap<String, String>) -> Result<Vec<CString>, BrokerError> {
    extensions
        .iter()
        .flat_map(|(name, value)| [name, value])
        .map(|text| CString::new(text.as_str()))
        .collect::<Result<_, _>>()
        .map_err(|error| failed(ErrorKind::Invalid, format!("an extension: {error}")))
}

/// Percent-encoding of `application/x-www-form-urlencoded`, which RFC 6749 (2.3.1) asks of both halves.
fn encoded(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => char::from(byte).to_string(),
        b' ' => "+".to_owned(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

fn token(answer: &serde_json::Value, since: Timestamp) -> Result<Token, String> {
    let text = answer
        .get("access_token")
        .and_then(serde_json::Value::as_str)
        .ok_or("there is no access_token in the answer")?;
    let claims = claims(text);
    let claim = |name: &str| claims.as_ref().and_then(|c| c.get(name));
    let seconds = answer.get("expires_in").and_then(number);
    let until = match (seconds, claim("exp").and_then(number)) {
        (Some(seconds), _) => since.plus_millis(seconds.saturating_mul(1_000)),
        (None, Some(at)) => Timestamp(at.saturating_mul(1_000)),
        (None, None) => since.plus_millis(UNKNOWN_LIFETIME * 1_000),
    };
    if until <= since {
        return Err(format!("the token is valid until {until}, which is over"));
    }
    let principal = claim("sub").and_then(serde_json::Value::as_str).unwrap_or("redrive");
    let string = |text: &str| CString::new(text).map_err(|error| format!("the token: {error}"));
    Ok(Token { text: string(text)?, principal: string(principal)?, until, since })
}

/// A number, also where it is written as text or with a fraction.
fn number(value: &serde_json::Value) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_f64().map(|f| f as i64))
        .or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}

/// The claims of a token, if it is a JWT (RFC 7519).
fn claims(token: &str) -> Option<serde_json::Value> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SINCE: Timestamp = Timestamp(1_795_525_331_034);

    fn jwt(claims: &serde_json::Value) -> String {
        format!("e30.{}.x", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    #[test]
    fn a_token_is_valid_as_long_as_the_answer_says_else_as_itself_says() {
        let jwt = jwt(&json!({"sub": "alice", "exp": 1_795_525_431}));
        let by_answer = token(&json!({"access_token": jwt, "expires_in": 60}), SINCE).unwrap();
        assert_eq!(by_answer.until, SINCE.plus_millis(60_000));
        assert_eq!(by_answer.principal.to_str(), Ok("alice"));
        let by_itself = token(&json!({"access_token": jwt}), SINCE).unwrap();
        assert_eq!(by_itself.until, Timestamp(1_795_525_431_000));
        let opaque = token(&json!({"access_token": "opaque"}), SINCE).unwrap();
        assert_eq!(opaque.until, SINCE.plus_millis(300_000));
        assert!(token(&json!({"access_token": "t", "expires_in": 0}), SINCE).is_err());
        assert!(token(&json!({"token": "t"}), SINCE).is_err());
    }

    #[test]
    fn a_token_is_renewed_after_four_fifths_of_its_time() {
        let token = token(&json!({"access_token": "t", "expires_in": 100}), SINCE).unwrap();
        assert_eq!(due(&token, SINCE), Duration::from_secs(80));
        assert_eq!(due(&token, SINCE.plus_millis(90_000)), Duration::from_secs(1));
    }

    #[test]
    fn a_secret_with_a_colon_or_umlaut_is_encoded() {
        assert_eq!(encoded("a:b c%ü"), "a%3Ab+c%25%C3%BC");
    }
}
