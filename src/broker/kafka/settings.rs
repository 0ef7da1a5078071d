//! From a profile to librdkafka's properties.

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::broker::{BrokerError, ErrorKind};
use crate::config::profile::{Connection, Profile, Protocol, Sasl, Tls};

/// Properties that every client begins with; what the profile passes through is in it already.
pub(super) fn base(profile: &Profile) -> Result<ClientConfig, BrokerError> {
    let connection = &profile.connection;
    let mut config = ClientConfig::new();
    config
        .set_log_level(RDKafkaLogLevel::Info)
        .set("bootstrap.servers", connection.brokers.join(","))
        .set("client.id", "redrive")
        .set("security.protocol", connection.protocol.as_str())
        // A broker that comes back is used within seconds.
        .set("reconnect.backoff.max.ms", "2000")
        .set("log.connection.close", "false")
        // KIP-714: the client's own metrics are nobody's business.
        .set("enable.metrics.push", "false");
    tls(&mut config, connection.protocol, &connection.tls)?;
    sasl(&mut config, connection);
    for (name, value) in &connection.properties {
        config.set(name, value.reveal());
    }
    // What the program's promises rest on cannot be changed from outside.
    config.remove("group.id");
    config.set("allow.auto.create.topics", "false");
    no_kerberos(&config)?;
    Ok(config)
}

fn tls(config: &mut ClientConfig, protocol: Protocol, tls: &Tls) -> Result<(), BrokerError> {
    if !matches!(protocol, Protocol::Ssl | Protocol::SaslSsl) {
        return Ok(());
    }
    let text = |path: &std::path::Path| {
        path.to_str().map(str::to_owned).ok_or_else(|| {
            let why = format!("the path {} is not UTF-8", path.display());
            BrokerError::new(ErrorKind::Invalid, "connect", why)
        })
    };
    config.set("ssl.ca.location", tls.ca.as_deref().map_or_else(|| Ok(system_store()), text)?);
    if let Some(certificate) = &tls.certificate {
        config.set("ssl.certificate.location", text(certificate)?);
    }
    if let Some(key) = &tls.key {
        config.set("ssl.key.location", text(key)?);
    }
    if let Some(password) = &tls.key_password {
        config.set("ssl.key.password", password.reveal());
    }
    let check = if tls.skip_hostname_check { "none" } else { "https" };
    config.set("ssl.endpoint.identification.algorithm", check);
    Ok(())
}

/// Where this system keeps its authorities: an OpenSSL that is compiled in does not know it, so that the usual
/// places are looked at, after those that OpenSSL is told by its own variables.
fn system_store() -> String {
    ["SSL_CERT_FILE", "SSL_CERT_DIR"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|path| !path.is_empty()))
        .unwrap_or_else(|| "probe".to_owned())
}

fn sasl(config: &mut ClientConfig, connection: &Connection) {
    let mut login = |mechanism: &str, username: &str, password: &str| {
        config.set("sasl.mechanism", mechanism).set("sasl.username", username).set("sasl.password", password);
    };
    match &connection.sasl {
        None => {}
        Some(Sasl::Plain { username, password }) => login("PLAIN", username, password.reveal()),
        Some(Sasl::Scram { bits, username, password }) => {
            login(&format!("SCRAM-SHA-{bits}"), username, password.reveal());
        }
        Some(Sasl::OAuthBearer { .. }) => {
            config.set("sasl.mechanism", "OAUTHBEARER");
        }
    }
}

fn no_kerberos(config: &ClientConfig) -> Result<(), BrokerError> {
    let mechanism = ["sasl.mechanism", "sasl.mechanisms"].into_iter().find_map(|name| config.get(name));
    if mechanism.is_some_and(|m| m.eq_ignore_ascii_case("GSSAPI")) {
        let why = "Kerberos (sasl.mechanism=GSSAPI) is not built in";
        return Err(BrokerError::new(ErrorKind::Unsupported, "connect", why)
            .hint("PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER and client certificates are"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::secret::Secret;

    fn profile() -> Profile {
        Profile::new("p", vec!["a:1".to_owned(), "b:2".to_owned()])
    }

    #[test]
    fn properties_win_but_promises_stay() {
        let mut profile = profile();
        for (name, value) in
            [("client.id", "mine"), ("group.id", "theirs"), ("allow.auto.create.topics", "true")]
        {
            profile.connection.properties.insert(name.to_owned(), Secret::new(value));
        }
        let config = base(&profile).unwrap();
        assert_eq!(config.get("bootstrap.servers"), Some("a:1,b:2"));
        assert_eq!(config.get("client.id"), Some("mine"));
        assert_eq!(config.get("group.id"), None);
        assert_eq!(config.get("allow.auto.create.topics"), Some("false"));
    }

    #[test]
    fn the_systems_authorities_are_looked_for_where_the_profile_names_none() {
        let mut profile = profile();
        assert_eq!(base(&profile).unwrap().get("ssl.ca.location"), None);
        profile.connection.protocol = Protocol::Ssl;
        let store = system_store();
        assert_eq!(base(&profile).unwrap().get("ssl.ca.location"), Some(store.as_str()));
        profile.connection.tls.ca = Some("/etc/ca.pem".into());
        assert_eq!(base(&profile).unwrap().get("ssl.ca.location"), Some("/etc/ca.pem"));
    }

    #[test]
    fn kerberos_is_refused_in_words() {
        let mut profile = profile();
        profile.connection.protocol = Protocol::SaslPlaintext;
        profile.connection.properties.insert("sasl.mechanism".to_owned(), Secret::new("gssapi"));
        let error = base(&profile).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unsupported);
        assert!(error.why.contains("Kerberos"));
    }
}
