//! Against a real Kafka: the commands end to end, their JSON checked.
