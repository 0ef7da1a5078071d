//! Every way into the broker, with what fits and with what does not.

use std::process::Command;
use std::time::Duration;

use redrive::broker::ErrorKind;
use redrive::config::profile::{Profile, Protocol, Sasl};
use redrive::config::secret::Secret;

use crate::support::{certificate, fails, profile, variable, works};

fn ssl() -> Profile {
    let mut profile = profile("REDRIVE_TEST_SSL", Protocol::Ssl);
    profile.connection.tls.ca = Some(certificate("ca.pem"));
    profile
}

fn sasl(mechanism: impl FnOnce(String, Secret) -> Sasl, password: &str) -> Profile {
    let mut profile = profile("REDRIVE_TEST_SASL_SSL", Protocol::SaslSsl);
    profile.connection.tls.ca = Some(certificate("ca.pem"));
    profile.connection.sasl = Some(mechanism("alice".to_owned(), Secret::new(password)));
    profile
}

fn plain(username: String, password: Secret) -> Sasl {
    Sasl::Plain { username, password }
}

fn scram(bits: u16) -> impl FnOnce(String, Secret) -> Sasl {
    move |username, password| Sasl::Scram { bits, username, password }
}

#[tokio::test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_password_is_accepted_over_tls_by_every_mechanism() {
    works(&sasl(plain, "alice-secret")).await;
    works(&sasl(scram(256), "alice-secret")).await;
    works(&sasl(scram(512), "alice-secret")).await;
}

#[tokio::test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_wrong_password_is_told_as_such() {
    fails(&sasl(plain, "wrong"), ErrorKind::Authentication).await;
    fails(&sasl(scram(256), "wrong"), ErrorKind::Authentication).await;
    let fault = fails(&sasl(scram(512), "wrong"), ErrorKind::Authentication).await;
    assert!(!format!("{fault:?}").contains("alice-secret"));
}

#[tokio::test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn tls_works_with_the_authority_of_the_profile_and_not_without() {
    works(&ssl()).await;
    let mut other = ssl();
    other.connection.tls.ca = Some(certificate("other-ca.pem"));
    fails(&other, ErrorKind::Tls).await;
    // The system's store does not hold it.
    other.connection.tls.ca = None;
    fails(&other, ErrorKind::Tls).await;
    other.connection.tls.ca = Some(certificate("no-such-file.pem"));
    fails(&other, ErrorKind::Tls).await;
}

#[tokio::test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_certificate_must_name_the_address_that_is_used() {
    let mut by_address = ssl();
    for broker in &mut by_address.connection.brokers {
        *broker = broker.replace("localhost", "127.0.0.1");
    }
    fails(&by_address, ErrorKind::Tls).await;
    by_address.connection.tls.skip_hostname_check = true;
    works(&by_address).await;
}

#[tokio::test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_client_certificate_is_shown_and_a_strangers_is_refused() {
    let with = |certificate_of: &str, key_of: &str| {
        let mut profile = profile("REDRIVE_TEST_MUTUAL_TLS", Protocol::Ssl);
        profile.connection.tls.ca = Some(certificate("ca.pem"));
        profile.connection.tls.certificate = Some(certificate(&format!("{certificate_of}.pem")));
        profile.connection.tls.key = Some(certificate(&format!("{key_of}.key")));
        profile
    };
    works(&with("client", "client")).await;
    fails(&with("stranger", "stranger"), ErrorKind::Tls).await;
    fails(&with("client", "stranger"), ErrorKind::Tls).await;
    let mut without = with("client", "client");
    without.connection.tls.certificate = None;
    without.connection.tls.key = None;
    fails(&without, ErrorKind::Tls).await;
}

#[tokio::test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn nobody_at_the_address_is_told_within_seconds() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut nobody = Profile::new("nobody", vec![free.to_string()]);
    fails(&nobody, ErrorKind::Unreachable).await;
    // A time-out of the profile is kept, also where somebody takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    nobody.connection.brokers = vec![silent.local_addr().unwrap().to_string()];
    nobody.connection.timeout = Duration::from_secs(2);
    fails(&nobody, ErrorKind::Unreachable).await;
    nobody.connection.brokers = vec!["no-such-host.invalid:9092".to_owned()];
    fails(&nobody, ErrorKind::Unreachable).await;
}

#[tokio::test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn the_wrong_protocol_does_not_hang() {
    let plain_on_tls = profile("REDRIVE_TEST_SSL", Protocol::Plaintext);
    fails(&plain_on_tls, ErrorKind::Unreachable).await;
    let mut tls_on_plain = profile("REDRIVE_TEST_BROKERS", Protocol::Ssl);
    tls_on_plain.connection.tls.ca = Some(certificate("ca.pem"));
    fails(&tls_on_plain, ErrorKind::Tls).await;
}

#[tokio::test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn what_is_not_built_in_is_said() {
    let mut kerberos = profile("REDRIVE_TEST_SASL_SSL", Protocol::SaslSsl);
    kerberos.connection.properties.insert("sasl.mechanism".to_owned(), Secret::new("GSSAPI"));
    let fault = fails(&kerberos, ErrorKind::Unsupported).await;
    assert!(fault.why.contains("Kerberos"), "{fault}");
    let mut unknown = profile("REDRIVE_TEST_BROKERS", Protocol::Plaintext);
    unknown.connection.properties.insert("no.such.property".to_owned(), Secret::new("1"));
    let fault = fails(&unknown, ErrorKind::Invalid).await;
    assert!(fault.why.contains("no.such.property"), "{fault}");
}

/// The program itself, with a profile that names no authority, started through `words`.
fn program(words: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let redrive = env!("CARGO_BIN_EXE_redrive");
    let brokers = variable("REDRIVE_TEST_SSL");
    let own = [redrive, "--brokers", &brokers, "topics", "list", "-o", "json"];
    let mut all = words.iter().chain(&own);
    let output = Command::new(all.next().unwrap())
        .args(all)
        .env("REDRIVE_SECURITY_PROTOCOL", "ssl")
        .env_remove("SSL_CERT_FILE")
        .env_remove("SSL_CERT_DIR")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code(), text)
}

#[test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
fn an_authority_in_the_systems_store_is_enough() {
    let (code, text) = program(&[], &[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("\"tls\""), "{text}");
    // The variable by which OpenSSL is told of another store.
    let ca = certificate("ca.pem");
    let ca = ca.to_str().unwrap();
    let (code, text) = program(&[], &[("SSL_CERT_FILE", ca)]);
    assert_eq!(code, Some(0), "{text}");
    // The store itself: in a namespace of its own this process sees another file at the store's place.
    let mount =
        "for store in /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/certs/ca-bundle.crt /etc/ssl/cert.pem \
                 /etc/ssl/certs/ca-certificates.crt; do
                     [ -f $store ] && mount --bind \"$CA\" $store && exec \"$@\"
                 done
                 exit 97";
    let possible = Command::new("unshare").args(["-rm", "true"]).status().is_ok_and(|s| s.success());
    if !possible {
        eprintln!("no namespaces here: the system's own store was proved by SSL_CERT_FILE alone");
        return;
    }
    let (code, text) = program(&["unshare", "-rm", "sh", "-c", mount, "sh"], &[("CA", ca)]);
    assert_eq!(code, Some(0), "{text}");
}
