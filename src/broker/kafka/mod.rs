//! The Kafka adapter: the port on librdkafka.
