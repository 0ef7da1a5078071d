//! One key's records, where real clients put them: which partitions are read, and that none is missed.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::Value;

use crate::redrive::Bench;
use crate::support::{soon, variable};

const KEY: &str = "ord-7";

struct Topic {
    bench: Bench,
}

impl Topic {
    async fn new(partitions: i32, config: &[(&str, &str)]) -> Self {
        Self { bench: Bench::new(partitions, config).await }
    }

    /// Produces 200 records of 40 keys as a client with this partitioner does.
    async fn produce(&self, partitioner: &str) {
        self.produce_before_others(partitioner, 0).await;
    }

    /// The same, and then so many records of other keys.
    async fn produce_before_others(&self, partitioner: &str, others: usize) {
        let (topic, partitioner) = (self.bench.target.to_string(), partitioner.to_owned());
        let produce = move || {
            let producer: BaseProducer = ClientConfig::new()
                .set("bootstrap.servers", variable("REDRIVE_TEST_BROKERS"))
                .set("partitioner", partitioner)
                .set("queue.buffering.max.messages", "1000000")
                .create()
                .unwrap();
            for i in 0..200 + others {
                let whose = if i < 200 { "ord" } else { "other" };
                let (key, value) = (format!("{whose}-{}", i % 40), format!("{i}"));
                producer.send(BaseRecord::to(&topic).key(&key).payload(&value)).map_err(|(e, _)| e).unwrap();
            }
            producer.flush(Duration::from_secs(30)).unwrap();
        };
        tokio::task::spawn_blocking(produce).await.unwrap();
    }

    /// Sends records without a key, and some where no client's rule would put them.
    async fn produce_by_hand(&self, keys: &[Option<&str>], partition: i32) {
        let writes = keys.iter().map(|key| redrive::broker::Write {
            topic: self.bench.target.clone(),
            partition: Some(partition),
            key: key.map(|key| bytes::Bytes::from(key.to_owned())),
            value: Some("by hand".into()),
            headers: redrive::event::Headers::default(),
            timestamp: None,
        });
        crate::support::put(&*self.bench.broker, writes.collect::<Vec<_>>()).await;
    }

    async fn add_partitions(&self, to: usize) {
        let topic = self.bench.target.to_string();
        let add = async {
            let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
                .set("bootstrap.servers", variable("REDRIVE_TEST_BROKERS"))
                .create()
                .unwrap();
            let more = admin.create_partitions(&[NewPartitions::new(&topic, to)], &AdminOptions::new()).await;
            assert!(more.unwrap().iter().all(Result::is_ok));
        };
        add.await;
        soon("the new partitions", async {
            loop {
                let found =
                    self.bench.broker.catalog().topics(Some(std::slice::from_ref(&self.bench.target))).await;
                if found.is_ok_and(|topics| topics[0].partitions.len() == to) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    }

    /// Records with a key; checked to be those that reading all partitions finds. Gives the number of partitions read.
    async fn find(&self, key: &str) -> (usize, usize, String) {
        let tail = |also: &'static [&'static str]| {
            let arguments = [&["tail", &*self.bench.target, "--key", key, "-o", "json"], also].concat();
            async move { self.bench.redrive(&arguments).await.with(0) }
        };
        let (found, all) = (tail(&[]).await, tail(&["--all-partitions"]).await);
        assert_eq!((&found["complete"], &all["complete"]), (&Value::Bool(true), &Value::Bool(true)));
        let offsets = |document: &Value| {
            let records = document["records"].as_array().unwrap().iter();
            let mut all: Vec<_> = records.map(|r| (r["partition"].as_i64(), r["offset"].as_i64())).collect();
            all.sort_unstable();
            all
        };
        assert_eq!(offsets(&found), offsets(&all), "{}", found["notes"]);
        let read = found["ranges"].as_array().unwrap().len();
        (offsets(&found).len(), read, found["notes"].to_string())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_key_of_either_hash_needs_one_partition() {
    for (partitioner, word) in [("murmur2_random", "murmur2"), ("consistent_random", "CRC-32")] {
        let topic = Topic::new(6, &[]).await;
        topic.produce(partitioner).await;
        topic.produce_by_hand(&[None; 30], 2).await;
        let (found, read, notes) = topic.find(KEY).await;
        assert_eq!((found, read), (5, 1), "{partitioner}: {notes}");
        assert!(notes.contains(word) && notes.contains("--all-partitions"), "{notes}");
        let (found, read, _) = topic.find("never-written").await;
        assert_eq!((found, read), (0, 1));
    }
}

/// A partition that comes fast does not use up what may be read of the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_large_topic_is_sampled_at_a_few_places() {
    let topic = Topic::new(3, &[]).await;
    topic.produce_before_others("murmur2_random", 600_000).await;
    let (found, read, notes) = topic.find(KEY).await;
    assert_eq!((found, read), (5, 1), "{notes}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn old_records_of_before_a_partition_was_added_are_found() {
    let topic = Topic::new(3, &[]).await;
    topic.produce("murmur2_random").await;
    topic.add_partitions(5).await;
    topic.produce("murmur2_random").await;
    let (found, read, notes) = topic.find(KEY).await;
    assert_eq!((found, read), (10, 5), "{notes}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn keys_of_a_custom_partitioner_a_compacted_topic_and_no_keys_at_all_are_looked_for_everywhere() {
    let custom = Topic::new(4, &[]).await;
    for partition in 0..4 {
        let keys: Vec<String> = (0..40).filter(|i| i % 4 == partition).map(|i| format!("ord-{i}")).collect();
        custom.produce_by_hand(&keys.iter().map(|k| Some(k.as_str())).collect::<Vec<_>>(), partition).await;
    }
    let (found, read, notes) = custom.find(KEY).await;
    assert_eq!((found, read), (1, 4), "{notes}");

    let compacted = Topic::new(4, &[("cleanup.policy", "compact")]).await;
    compacted.produce("murmur2_random").await;
    let (found, read, notes) = compacted.find(KEY).await;
    assert_eq!((found, read), (5, 4), "{notes}");
    assert!(notes.contains("compacted"), "{notes}");

    let keyless = Topic::new(4, &[]).await;
    keyless.produce_by_hand(&[None; 40], 1).await;
    keyless.produce_by_hand(&[Some(KEY)], 3).await;
    let (found, read, notes) = keyless.find(KEY).await;
    assert_eq!((found, read), (1, 4), "{notes}");
}
