//! Serves metrics over HTTP/1.1: small, and bounded so that no client can hold it up.
//!
//! Each connection answers one request and has ten seconds for all of it, so that a collector that stalls in the
//! middle of a line, or does not take its answer, is cut off. Connections beyond the bound wait to be accepted.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Dialect;

/// Connections at once.
const MOST_CONNECTIONS: usize = 32;
/// How long one may take.
const LONGEST: Duration = Duration::from_secs(10);
/// How long the head of a request may take.
const LONGEST_HEAD: Duration = Duration::from_secs(5);
/// The longest head of a request, in bytes.
const LARGEST_HEAD: usize = 16 << 10;
/// How long answers under way may take at the end.
const GRACE: Duration = Duration::from_secs(2);

/// What is served under `/metrics`.
pub trait Pages: Send + Sync + 'static {
    /// The metrics of now.
    fn metrics(&self, dialect: Dialect) -> String;
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
}

impl Server {
    /// Listens; a port of 0 lets the system choose one.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await? })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`; then answers under way are finished.
    pub async fn serve(self, pages: Arc<dyn Pages>, stop: CancellationToken) {
        let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let connections = TaskTracker::new();
        loop {
            let (permit, stream) = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.accept(&room) => accepted,
            };
            let pages = Arc::clone(&pages);
            connections.spawn(async move {
                let _permit = permit;
                // Who is cut off, or gone, is not told.
                let _ = tokio::time::timeout(LONGEST, converse(stream, pages)).await;
            });
        }
        connections.close();
        let _ = tokio::time::timeout(GRACE, connections.wait()).await;
    }

    /// The next connection, once there is room for it.
    async fn accept(&self, room: &Arc<Semaphore>) -> (tokio::sync::OwnedSemaphorePermit, TcpStream) {
        loop {
            let Ok(permit) = Arc::clone(room).acquire_owned().await else { std::future::pending().await };
            match self.listener.accept().await {
                Ok((stream, _)) => return (permit, stream),
                // The client went away, or there are no file descriptors left for the moment.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }
}

async fn converse(stream: TcpStream, pages: Arc<dyn Pages>) -> hyper::Result<()> {
    let answer = service_fn(move |request: Request<Incoming>| {
        let pages = Arc::clone(&pages);
        async move { Ok::<_, Infallible>(answer(&request, &*pages)) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(LONGEST_HEAD)
        .max_buf_size(LARGEST_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer)
        .await
}

fn answer(request: &Request<Incoming>, pages: &dyn Pages) -> Response<String> {
    let path = request.uri().path();
    if !matches!(path, "/metrics" | "/-/healthy") {
        return plain(StatusCode::NOT_FOUND, "not found: there is /metrics, and /-/healthy\n");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered\n");
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    if path == "/-/healthy" {
        return plain(StatusCode::OK, "healthy\n");
    }
    let accepts = request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let dialect = Dialect::accepted(&accepts.collect::<Vec<_>>().join(","));
    let mut found = Response::new(pages.metrics(dialect));
    found.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(dialect.content_type()));
    found
}

fn plain(status: StatusCode, text: &str) -> Response<String> {
    let mut response = Response::new(text.to_owned());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    struct One;

    impl Pages for One {
        fn metrics(&self, dialect: Dialect) -> String {
            if dialect == Dialect::Text { "one 1\n".to_owned() } else { "one 1\n# EOF\n".to_owned() }
        }
    }

    async fn serving() -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let server = Server::bind("127.0.0.1:0").await.unwrap();
        let address = server.address().unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(server.serve(Arc::new(One), stop.clone()));
        (address, stop, task)
    }

    async fn say(address: SocketAddr, words: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(words).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn each_path_and_method_has_its_answer() {
        let (address, stop, task) = serving().await;
        for (request, status, holds) in [
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200, "one 1"),
            ("GET /metrics?x=1 HTTP/1.0\r\n\r\n", 200, "version=0.0.4"),
            (
                "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text\r\n\r\n",
                200,
                "# EOF",
            ),
            ("GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n", 200, "healthy"),
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404, "/metrics"),
            ("GET /metrics/ HTTP/1.1\r\nHost: x\r\n\r\n", 404, ""),
            ("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405, "allow: GET, HEAD"),
            ("nonsense\r\n\r\n", 400, ""),
        ] {
            let answer = say(address, request.as_bytes()).await;
            let said = answer.get(9..12).and_then(|code| code.parse().ok());
            assert_eq!(said, Some(status), "{request}{answer}");
            assert!(answer.contains(holds), "{request}{answer}");
        }
        let head = say(address, b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(head.contains("content-length: 6") && !head.contains("one 1"), "{head}");
        stop.cancel();
        task.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn a_head_without_end_is_refused_and_slow_clients_leave_room_for_others() {
        let (address, _stop, _task) = serving().await;
        let mut slow = Vec::new();
        for _ in 0..MOST_CONNECTIONS - 1 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /met").await.unwrap();
            slow.push(stream);
        }
        let mut endless = b"GET /metrics HTTP/1.1\r\nx: ".to_vec();
        endless.resize(64 << 10, b'a');
        let answer = say(address, &endless).await;
        assert!(!answer.contains("200"), "{answer}");
        let answer = say(address, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(answer.contains("one 1"), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_never_ends_a_request_is_cut_off() {
        let (address, _stop, _task) = serving().await;
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET /met").await.unwrap();
        let mut answer = Vec::new();
        let _ = slow.read_to_end(&mut answer).await;
        assert!(!String::from_utf8(answer).unwrap().contains("200"));
    }
}
