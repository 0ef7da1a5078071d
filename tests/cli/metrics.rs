//! The exporter as a program: it listens, serves without a broker, and ends when it is told to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStderr, Stdio};

use crate::program::Home;

/// The program, and what it still says.
struct Serving {
    child: Child,
    said: BufReader<ChildStderr>,
    address: String,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serving(home: &Home, arguments: &[&str]) -> Serving {
    let mut child = home.command(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let address =
        line.trim().strip_prefix("listening on http://").and_then(|rest| rest.strip_suffix("/metrics"));
    let address = address.unwrap_or_else(|| panic!("{line}")).to_owned();
    Serving { child, said, address }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn without_a_broker_it_serves_that_and_ends_well_when_it_is_told_to() {
    let home = Home::new();
    let mut serving = serving(&home, &["metrics", "--brokers", "127.0.0.1:1", "--listen", "127.0.0.1:0"]);
    let answer = get(&serving.address, "/metrics");
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("\nredrive_up 0\n"), "{answer}");
    assert!(!answer.contains("redrive_last_sample"), "{answer}");
    assert!(get(&serving.address, "/-/healthy").starts_with("HTTP/1.1 200 OK"));
    assert!(get(&serving.address, "/").starts_with("HTTP/1.1 404 "));
    let pid = rustix::process::Pid::from_child(&serving.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    serving.said.read_to_string(&mut rest).unwrap();
    assert!(!rest.contains("error"), "{rest}");
}

#[test]
fn an_address_that_is_taken_is_an_error_that_says_so() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = home.run(&["metrics", "--brokers", "127.0.0.1:1", "--listen", &address]).code(1);
    assert!(ended.err.contains(&format!("cannot listen on {address}")), "{}", ended.err);
    assert!(ended.err.contains("another program has the port"), "{}", ended.err);
}

#[test]
fn wrong_usage_is_told_before_anything_is_done() {
    let home = Home::new();
    for (arguments, says) in [
        (&["--listen", "9464"][..], "HOST:PORT"),
        (&["--topics", "("], "unclosed group"),
        (&["--once", "--listen", "127.0.0.1:0"], "cannot be used with"),
        (&["-o", "json", "--once"], "text format"),
    ] {
        let ended = home.run(&[&["metrics", "--brokers", "127.0.0.1:1"], arguments].concat()).code(2);
        assert!(ended.err.contains(says), "{arguments:?}: {}", ended.err);
    }
}
