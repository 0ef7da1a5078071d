//! OAUTHBEARER with a token endpoint of the test's own.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use redrive::broker::ErrorKind;
use redrive::config::profile::{Profile, Protocol, Sasl};
use redrive::config::secret::Secret;
use redrive::text::{Clock as _, SystemClock};
use serde_json::json;

use crate::support::{connect, fails, profile, soon};

const SECRET: &str = "s3cret: with/odd+signs";

/// An endpoint that gives tokens valid for some seconds to whoever has the secret.
struct Endpoint {
    url: String,
    given: Arc<AtomicUsize>,
}

/// What the endpoint writes into its tokens.
#[derive(Clone, Copy)]
struct Claims {
    lifetime: i64,
    /// Seconds by which the token is already over for the broker.
    over: i64,
}

fn endpoint(claims: Claims) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/oauth/token", listener.local_addr().unwrap());
    let given = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&given);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(stream, claims, &counter);
        }
    });
    Endpoint { url, given }
}

fn answer(mut stream: TcpStream, claims: Claims, given: &AtomicUsize) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut allowed, mut length) = (false, 0);
    let encoded = format!("redrive:{}", "s3cret%3A+with%2Fodd%2Bsigns");
    let expected = format!("Basic {}", STANDARD.encode(encoded));
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
            break;
        }
        let (name, value) = line.trim().split_once(':').unwrap_or((line.trim(), ""));
        match name.to_lowercase().as_str() {
            "authorization" => allowed = value.trim() == expected,
            "content-length" => length = value.trim().parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body = String::from_utf8(body).unwrap();
    let asked = body.contains("grant_type=client_credentials") && body.contains("scope=kafka");
    let (status, body) = if allowed && asked {
        given.fetch_add(1, Ordering::SeqCst);
        let now = SystemClock::default().now().as_millis() / 1_000;
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let token = format!(
            "{}.{}.",
            part(json!({"alg": "none"})),
            part(json!({
                "sub": "alice",
                "iat": now - 1 - claims.over,
                "exp": now + claims.lifetime - claims.over
            }))
        );
        ("200 OK", json!({"access_token": token, "token_type": "Bearer", "expires_in": claims.lifetime}))
    } else {
        ("401 Unauthorized", json!({"error": "invalid_client", "error_description": "no such secret"}))
    };
    let body = body.to_string();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}", body.len());
    drop(stream.write_all(format!("{head}\r\nConnection: close\r\n\r\n{body}").as_bytes()));
}

fn with(token_url: &str, secret: &str, extensions: &[(&str, &str)]) -> Profile {
    let mut profile = profile("REDRIVE_TEST_OAUTH", Protocol::SaslPlaintext);
    profile.connection.sasl = Some(Sasl::OAuthBearer {
        token_url: token_url.to_owned(),
        client_id: "redrive".to_owned(),
        client_secret: Secret::new(secret),
        scope: Some("kafka".to_owned()),
        ca: None,
        extensions: extensions
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect::<BTreeMap<_, _>>(),
    });
    profile
}

#[tokio::test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn one_token_serves_all_clients_of_a_connection() {
    let endpoint = endpoint(Claims { lifetime: 600, over: 0 });
    let broker = connect(&with(&endpoint.url, SECRET, &[("tenant", "blue")])).await.unwrap();
    let shard = crate::support::topic(&*broker, &[]).await;
    crate::support::put(&*broker, [crate::support::write(&shard, "x")]).await;
    let plan = redrive::broker::ReadPlan::new(vec![crate::support::whole(&shard)]);
    assert_eq!(crate::support::read(&*broker, plan).await.len(), 1);
    assert_eq!(endpoint.given.load(Ordering::SeqCst), 1);
}

#[tokio::test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_token_is_renewed_before_it_is_over() {
    let endpoint = endpoint(Claims { lifetime: 3, over: 0 });
    let broker = connect(&with(&endpoint.url, SECRET, &[])).await.unwrap();
    soon("the second renewal", async {
        while endpoint.given.load(Ordering::SeqCst) < 3 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    // On a busy machine a token of three seconds may be over before it is used.
    soon("an answer with it", async {
        while broker.catalog().cluster().await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_wrong_client_secret_is_told_in_the_endpoints_words() {
    let endpoint = endpoint(Claims { lifetime: 600, over: 0 });
    let fault = fails(&with(&endpoint.url, "wrong", &[]), ErrorKind::Authentication).await;
    assert!(fault.why.contains("invalid_client") && fault.why.contains("401"), "{fault}");
    assert!(!fault.why.contains("wrong"), "{fault}");
}

#[tokio::test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_token_that_the_broker_refuses_is_told_as_such() {
    let endpoint = endpoint(Claims { lifetime: 600, over: 3_600 });
    fails(&with(&endpoint.url, SECRET, &[]), ErrorKind::Authentication).await;
}

#[tokio::test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn an_endpoint_that_is_not_there_is_told_as_such() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let fault = fails(&with(&format!("http://{free}/token"), SECRET, &[]), ErrorKind::Unreachable).await;
    assert!(fault.hint.contains("token_url"), "{fault:?}");
    // It speaks no TLS.
    let endpoint = endpoint(Claims { lifetime: 600, over: 0 });
    fails(&with(&endpoint.url.replace("http:", "https:"), SECRET, &[]), ErrorKind::Tls).await;
}

#[tokio::test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn an_extension_that_is_not_allowed_is_refused() {
    let endpoint = endpoint(Claims { lifetime: 600, over: 0 });
    // The name is reserved (RFC 7628).
    fails(&with(&endpoint.url, SECRET, &[("auth", "x")]), ErrorKind::Authentication).await;
}
