//! A way to a Kafka whose answers come late, or not at all.
//!
//! The broker's own port in its answers is replaced by that of the way, so that the client stays on it. Limits: one broker,
//! named by an IPv4 address, without TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// So late is never.
const NEVER: u64 = u64::MAX;

/// The way.
pub struct SlowBroker {
    /// Where it is open.
    pub address: SocketAddr,
    /// How late answers come, in milliseconds.
    delay: Arc<AtomicU64>,
}

impl SlowBroker {
    /// Opens a way to the broker on which answers come at once.
    pub fn open(broker: &str) -> Self {
        let broker: SocketAddr = broker.parse().expect("an IPv4 address and a port");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let delay = Arc::<AtomicU64>::default();
        let shared = Arc::clone(&delay);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(broker) else { continue };
                let (mut requests, mut to_server) =
                    (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || {
                    // Either end may go away at any time.
                    let _ = std::io::copy(&mut requests, &mut to_server);
                    let _ = to_server.shutdown(std::net::Shutdown::Both);
                });
                answer(server, client, broker, address, Arc::clone(&shared));
            }
        });
        Self { address, delay }
    }

    /// From now on answers come so late.
    pub fn late(&self, by: Duration) {
        self.delay.store(by.as_millis() as u64, Ordering::Relaxed);
    }

    /// From now on no answer comes.
    pub fn never(&self) {
        self.delay.store(NEVER, Ordering::Relaxed);
    }
}

/// Brings the answers of one connection, each so late as is wanted when it is read.
fn answer(
    mut server: TcpStream,
    mut client: TcpStream,
    broker: SocketAddr,
    way: SocketAddr,
    delay: Arc<AtomicU64>,
) {
    let (send, answers) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        while let Some(mut frame) = frame(&mut server) {
            redirect(&mut frame, broker, way);
            let late = delay.load(Ordering::Relaxed);
            if late != NEVER && send.send((Instant::now() + Duration::from_millis(late), frame)).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (due, frame) in answers {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if client.write_all(&frame).is_err() {
                return;
            }
        }
    });
}

/// One answer with its length; `None` at the end.
fn frame(server: &mut TcpStream) -> Option<Vec<u8>> {
    let mut frame = vec![0; 4];
    server.read_exact(&mut frame).ok()?;
    let length = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]);
    frame.resize(4 + length as usize, 0);
    server.read_exact(&mut frame[4..]).ok()?;
    Some(frame)
}

/// Replaces the broker's port, which follows its host in answers on metadata and coordinators.
fn redirect(frame: &mut [u8], broker: SocketAddr, way: SocketAddr) {
    let mut told = broker.ip().to_string().into_bytes();
    let host = told.len();
    told.extend(i32::from(broker.port()).to_be_bytes());
    let places: Vec<usize> = memchr::memmem::find_iter(frame, &told).collect();
    for place in places {
        frame[place + host..place + told.len()].copy_from_slice(&i32::from(way.port()).to_be_bytes());
    }
}
