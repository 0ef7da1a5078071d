//! A way to the broker that a test holds in its hand: the ends of transactions pass through it, and one of them can be
//! lost or come late; or it is cut when so many bytes have come back.
//!
//! The broker's own address in its answers is replaced by the proxy's, so that the client stays on it. Limits: one
//! broker, named by an IPv4 address, without TLS.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::support::variable;

/// The number of the request `EndTxn` in the Kafka protocol.
const END_TXN: i16 = 26;

/// What happens to one end of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It reaches the broker; its answer is lost with the connection.
    AnswerLost,
    /// It is lost with the connection.
    RequestLost,
    /// It reaches the broker so much later.
    Late(Duration),
}

/// What follows the trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The way is free again.
    Free,
    /// There is no way to the broker any more.
    Cut,
}

struct State {
    /// Which end of a transaction has trouble, counted from 1.
    nth: usize,
    trouble: Trouble,
    then: Then,
    seen: usize,
    over: bool,
    cut: bool,
    /// Bytes that may still come back before the way is cut.
    room: usize,
}

/// The way.
pub struct Proxy {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Proxy {
    /// Opens a way on which the nth end of a transaction has trouble.
    pub async fn open(nth: usize, trouble: Trouble, then: Then) -> Self {
        Self::with(State { nth, trouble, then, seen: 0, over: false, cut: false, room: usize::MAX }).await
    }

    /// Opens a way that is cut when more than so many bytes have come back.
    pub async fn cut_after(room: usize) -> Self {
        let (trouble, then) = (Trouble::RequestLost, Then::Cut);
        Self::with(State { nth: usize::MAX, trouble, then, seen: 0, over: false, cut: false, room }).await
    }

    async fn with(state: State) -> Self {
        let broker: SocketAddr =
            variable("REDRIVE_TEST_BROKERS").parse().expect("one broker, by its IPv4 address");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(state));
        let of_way = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = Arc::clone(&of_way);
                tokio::spawn(async move {
                    if state.lock().unwrap().cut {
                        return;
                    }
                    let Ok(server) = TcpStream::connect(broker).await else { return };
                    pass(client, server, &state, broker, address).await;
                });
            }
        });
        Self { address, state }
    }

    /// Whether the trouble has happened.
    pub fn is_over(&self) -> bool {
        self.state.lock().unwrap().over
    }
}

/// Passes everything on until one side ends, or the trouble ends it.
async fn pass(
    client: TcpStream,
    server: TcpStream,
    state: &Mutex<State>,
    broker: SocketAddr,
    own: SocketAddr,
) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let lost = Mutex::new(HashSet::new());
    tokio::select! {
        () = requests(from_client, to_server, state, &lost) => {}
        () = answers(from_server, to_client, state, &lost, [broker, own].map(place)) => {}
    }
}

async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    state: &Mutex<State>,
    lost: &Mutex<HashSet<i32>>,
) {
    while let Some(frame) = frame(&mut from).await {
        let number = i16::from_be_bytes([frame[0], frame[1]]);
        let correlation = i32::from_be_bytes([frame[4], frame[5], frame[6], frame[7]]);
        let trouble = if number == END_TXN { next_end(state) } else { None };
        match trouble {
            Some(Trouble::RequestLost) => return over(state),
            Some(Trouble::AnswerLost) => {
                lost.lock().unwrap().insert(correlation);
            }
            Some(Trouble::Late(time)) => {
                tokio::time::sleep(time).await;
                over(state);
            }
            None => {}
        }
        if send(&mut to, &frame).await.is_none() {
            return;
        }
    }
}

async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    state: &Mutex<State>,
    lost: &Mutex<HashSet<i32>>,
    [broker, own]: [Vec<u8>; 2],
) {
    while let Some(mut frame) = frame(&mut from).await {
        let correlation = i32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]);
        if lost.lock().unwrap().contains(&correlation) {
            return over(state);
        }
        let places: Vec<usize> =
            frame.windows(broker.len()).enumerate().filter(|(_, w)| *w == broker).map(|(at, _)| at).collect();
        for at in places {
            frame[at..at + own.len()].copy_from_slice(&own);
        }
        if send(&mut to, &frame).await.is_none() || is_used_up(state, frame.len()) {
            return;
        }
    }
}

/// Counts what came back; whether the way is cut by now.
fn is_used_up(state: &Mutex<State>, bytes: usize) -> bool {
    let mut state = state.lock().unwrap();
    if bytes > state.room {
        (state.over, state.cut) = (true, true);
    }
    state.room = state.room.saturating_sub(bytes);
    state.cut
}

/// An address as answers hold it: the host's text, then the port in four bytes.
fn place(address: SocketAddr) -> Vec<u8> {
    let mut bytes = address.ip().to_string().into_bytes();
    bytes.extend(i32::from(address.port()).to_be_bytes());
    bytes
}

/// Counts the end of a transaction; gives its trouble.
fn next_end(state: &Mutex<State>) -> Option<Trouble> {
    let mut state = state.lock().unwrap();
    state.seen += 1;
    (state.seen == state.nth).then_some(state.trouble)
}

fn over(state: &Mutex<State>) {
    let mut state = state.lock().unwrap();
    state.over = true;
    state.cut = state.then == Then::Cut;
}

async fn frame(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let length = from.read_i32().await.ok()?;
    let mut frame = vec![0; usize::try_from(length).ok()?];
    from.read_exact(&mut frame).await.ok()?;
    Some(frame)
}

async fn send(to: &mut OwnedWriteHalf, frame: &[u8]) -> Option<()> {
    to.write_i32(i32::try_from(frame.len()).ok()?).await.ok()?;
    to.write_all(frame).await.ok()
}
