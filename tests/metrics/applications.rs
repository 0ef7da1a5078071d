//! The metrics of applications are read over HTTP, and one that misbehaves costs its own figures alone.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redrive::ask::{Exposure, Interest};
use redrive::exposition::{Dialect, Pages, Server};
use tokio_util::sync::CancellationToken;

use crate::world::World;

/// Counts 100 events more each time it is asked.
#[derive(Default)]
struct Shipping(AtomicU64);

impl Pages for Shipping {
    fn metrics(&self, _: Dialect) -> String {
        let n = self.0.fetch_add(100, Ordering::Relaxed) + 1_000;
        format!("events_published_total{{event_type=\"A\x1b[2J\",topic=\"t\"}} {n}\n")
    }
}

/// Answers each request with these bytes.
fn saying(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(bytes);
        }
    });
    url
}

#[tokio::test]
async fn each_target_is_told_as_it_is() {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let well = format!("http://{}/metrics", server.address().unwrap());
    tokio::spawn(server.serve(Arc::new(Shipping::default()), CancellationToken::new()));
    let gone = "http://user:secret@127.0.0.1:1/metrics".to_owned();
    let page = saying(b"<html>hello</html>\n");
    let binary = saying(b"\xff\xfe\x00");
    let world = World::scraping(vec![well, gone, page, binary]);
    let exposure = Exposure {
        looks: 2,
        window: Duration::from_millis(300),
        interest: Interest::default(),
        count_letters: false,
    };
    let picture = world.desk.picture(&exposure, &|_| {}, &CancellationToken::new()).await.unwrap();
    let told = picture.applications.as_deref().unwrap();
    let up: Vec<_> = told.targets.iter().map(|target| target.up).collect();
    assert_eq!(up, [Some(true), Some(false), Some(false), Some(false)], "{told:#?}");
    let why = |i: usize| told.targets[i].error.clone().unwrap_or_default();
    assert!(why(2).contains("line 1") && why(3).contains("UTF-8"), "{told:#?}");
    let worst: Vec<&str> = picture.attention.iter().map(|a| &*a.what).collect();
    assert_eq!(worst.iter().filter(|what| what.starts_with("application at ")).count(), 3, "{worst:?}");
    assert!(!told.targets[1].url.contains("secret") && !why(1).contains("secret"), "{told:#?}");
    assert_eq!((told.published.len(), told.published[0].total), (1, 1_100.0));
    assert!(told.published[0].per_second.is_some_and(|rate| rate > 0.0));
    assert_eq!(told.consumed, []);
}
