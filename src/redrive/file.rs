//! The file of a plan: JSON Lines, a header, one line a letter, a trailer with the digest of all before it.
//!
//! The file is made beside its place and then moved there, so that it is never half of a plan. It is for its
//! owner's eyes only (mode 0600), because positions and topic names tell about events. A file that is there
//! already is replaced if it is a plan, and refused if it is anything else: `plan --save f` may be repeated, but
//! a slip does not cost a file. Limits: the trailer tells damage and careless edits; it is not a signature.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::packed::Letters;
use super::plan::{Plan, PlanHeader, PlannedLetter, SCHEMA, damaged};
use crate::event::Digest;
use crate::text::Fault;

/// No line of a plan is longer; a file with one is not a plan.
const LONGEST_LINE: u64 = 4 << 20;
/// Bytes read or written at once.
const BUFFER: usize = 256 << 10;

#[derive(Serialize, Deserialize)]
struct Trailer {
    records: u64,
    sha256: String,
}

/// Passes bytes on and digests them.
struct Digesting<W> {
    to: W,
    sha: Sha256,
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = self.to.write(bytes)?;
        self.sha.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

impl Plan {
    /// Writes the plan to a file. Replaces a plan that is there, refuses to replace anything else.
    pub fn save(&self, path: &Path) -> Result<(), Fault> {
        let failed = |e: std::io::Error| {
            Fault::failed("io", format!("the plan could not be saved to {}", path.display()))
                .why(e.to_string())
        };
        if fs::symlink_metadata(path).is_ok() && !is_plan(path) {
            return Err(Fault::usage("file_exists", format!("{} exists", path.display()))
                .why("it is not a plan, so it is not replaced")
                .hint("give another name, or remove the file"));
        }
        let name = path.file_name().unwrap_or_default();
        let mut beside = PathBuf::from(path);
        beside.set_file_name(format!(".{}.{}", name.display(), self.header.id));
        let written = self.write_to(&beside).and_then(|()| fs::rename(&beside, path));
        written.map_err(|e| {
            // The first error is what counts; a file left behind is hidden and harmless.
            let _ = fs::remove_file(&beside);
            failed(e)
        })
    }

    fn write_to(&self, path: &Path) -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let file = BufWriter::with_capacity(BUFFER, options.open(path)?);
        let mut out = Digesting { to: file, sha: Sha256::new() };
        self.write_lines(&mut out)?;
        let sha256 = Digest(out.sha.finalize().into()).to_string();
        let mut to = out.to;
        serde_json::to_writer(&mut to, &Trailer { records: self.letters.len() as u64, sha256 })?;
        to.write_all(b"\n")?;
        to.flush()?;
        to.get_ref().sync_all()
    }

    fn write_lines(&self, out: &mut impl Write) -> std::io::Result<()> {
        serde_json::to_writer(&mut *out, &self.header)?;
        out.write_all(b"\n")?;
        let topics: Vec<String> = names(&self.header).collect();
        let mut line = Vec::new();
        for letter in &self.letters {
            let topic = topics.get(letter.target as usize).map_or("\"\"", String::as_str);
            line.clear();
            let (partition, offset, sha256) = (letter.partition, letter.offset, letter.sha256);
            writeln!(line, "[{partition},{offset},\"{sha256}\",{topic},{}]", letter.target_partition)?;
            out.write_all(&line)?;
        }
        Ok(())
    }

    /// The letters as the lines of the file, for `plan -o jsonl`.
    pub fn lines(&self) -> impl Iterator<Item = serde_json::Value> {
        self.letters.iter().map(|letter| {
            let topic = self.target(&letter).map_or("", |t| &*t.topic);
            let sha256 = letter.sha256.to_string();
            serde_json::json!([letter.partition, letter.offset, sha256, topic, letter.target_partition])
        })
    }

    /// Reads a plan. One that is truncated, edited, of another version or not a plan at all is refused as
    /// `plan_damaged`, with the reason.
    pub fn load(path: &Path) -> Result<Self, Fault> {
        let failed = |e: std::io::Error| {
            Fault::usage("io", format!("the plan {} could not be read", path.display())).why(e.to_string())
        };
        let mut input = BufReader::with_capacity(BUFFER, File::open(path).map_err(failed)?);
        // A plan of a million letters is digested while it is read: a run waits for both.
        let (to, parts) = sync_channel::<Vec<u8>>(4);
        let (read, sha256) = std::thread::scope(|scope| {
            let digest = scope.spawn(move || {
                let mut sha = Sha256::new();
                for part in parts {
                    sha.update(part);
                }
                Digest(sha.finalize().into())
            });
            let read = Self::read(&mut input, to);
            (read, digest.join())
        });
        let (plan, trailer) = read.map_err(|unread| match unread {
            Unread::Io(error) => failed(error),
            Unread::Damaged(fault) => fault,
        })?;
        if !sha256.is_ok_and(|sha256| trailer.sha256 == sha256.to_string()) {
            return Err(damaged("it was changed after it was made"));
        }
        plan.check()?;
        Ok(plan)
    }

    /// Reads header, letters and trailer; what is digested goes to `digested`.
    fn read(input: &mut impl BufRead, digested: SyncSender<Vec<u8>>) -> Result<(Self, Trailer), Unread> {
        let mut line = Vec::new();
        if !read_line(input, &mut line)? {
            return Err(damaged("the file is empty, or has a line without an end").into());
        }
        let header = header(&line)?;
        // Nobody stops listening before the end.
        drop(digested.send(line));
        let topics: Vec<String> = names(&header).collect();
        let (mut letters, mut block) = (Letters::default(), Vec::new());
        let mut end = loop {
            block.reserve_exact(BUFFER);
            let read = input.by_ref().take(BUFFER as u64).read_to_end(&mut block)?;
            let lines = memchr::memrchr(b'\n', &block).map_or(0, |at| at + 1);
            let (mut rest, left) = block.split_at(lines);
            while rest.first().is_some_and(|first| *first != b'{') {
                let letter;
                (letter, rest) = self::letter(rest, &topics).ok_or_else(|| no_letter(&letters))?;
                letters.push(&letter);
            }
            if !rest.is_empty() {
                let end = [rest, left].concat();
                block.truncate(lines - rest.len());
                drop(digested.send(block));
                break end;
            }
            if read == 0 {
                return Err(damaged("its end is missing").into());
            }
            if lines == 0 && read == BUFFER {
                // No line is as long.
                return Err(no_letter(&letters).into());
            }
            let left = left.to_vec();
            block.truncate(lines);
            drop(digested.send(std::mem::replace(&mut block, left)));
        };
        input.take(LONGEST_LINE).read_to_end(&mut end)?;
        let (line, rest) = end.split_at(memchr::memchr(b'\n', &end).map_or(end.len(), |at| at + 1));
        let trailer: Trailer =
            serde_json::from_slice(line).map_err(|e| damaged(format!("its last line is wrong: {e}")))?;
        if !rest.is_empty() {
            return Err(damaged("there is something after its end").into());
        }
        if trailer.records != letters.len() as u64 || header.counts.records != trailer.records {
            return Err(damaged(format!(
                "it has {} letters, its header says {}, its end says {}",
                letters.len(),
                header.counts.records,
                trailer.records
            ))
            .into());
        }
        Ok((Self { header, letters }, trailer))
    }
}

/// Why a file is not a plan.
enum Unread {
    Io(std::io::Error),
    Damaged(Fault),
}

impl From<std::io::Error> for Unread {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Fault> for Unread {
    fn from(fault: Fault) -> Self {
        Self::Damaged(fault)
    }
}

/// Whether the file begins like a plan.
fn is_plan(path: &Path) -> bool {
    let mut line = Vec::new();
    let read = File::open(path).and_then(|f| read_line(&mut BufReader::new(f), &mut line));
    read.is_ok_and(|whole| whole)
        && serde_json::from_slice::<serde_json::Value>(&line)
            .is_ok_and(|v| v["schema"].is_u64() && v["source"]["topic"].is_string() && v["id"].is_string())
}

/// Reads a line with its end; `false` when there is no further line that ends.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<bool> {
    line.clear();
    let mut bounded = input.take(LONGEST_LINE);
    bounded.read_until(b'\n', line)?;
    Ok(line.last() == Some(&b'\n'))
}

fn header(line: &[u8]) -> Result<PlanHeader, Fault> {
    let json: serde_json::Value = serde_json::from_slice(line)
        .map_err(|_| damaged("its first line is not JSON: this is not a plan"))?;
    match json["schema"].as_u64() {
        Some(schema) if schema == u64::from(SCHEMA) => {}
        Some(schema) => {
            return Err(damaged(format!("it is of version {schema}, this program reads version {SCHEMA}")));
        }
        None => return Err(damaged("its first line has no version: this is not a plan")),
    }
    serde_json::from_value(json).map_err(|e| damaged(format!("its first line is wrong: {e}")))
}

/// The names of the targets as lines have them: JSON with its quotes.
fn names(header: &PlanHeader) -> impl Iterator<Item = String> {
    header.target.topics.iter().map(|t| serde_json::Value::from(&*t.topic).to_string())
}

/// Reads a line exactly as [`Plan::save`] writes it, and gives what follows it; with more than a million of them, JSON at
/// large would be most of what a run waits for at its beginning.
fn letter<'t>(text: &'t [u8], topics: &[String]) -> Option<(PlannedLetter, &'t [u8])> {
    let (partition, rest) = number(text.strip_prefix(b"[")?)?;
    let (offset, rest) = number(rest.strip_prefix(b",")?)?;
    let (sha, rest) = rest.strip_prefix(b",\"")?.split_at_checked(64)?;
    let rest = rest.strip_prefix(b"\",")?;
    let (target, rest) = topics
        .iter()
        .enumerate()
        .find_map(|(i, name)| Some((i as u32, rest.strip_prefix(name.as_bytes())?)))?;
    let (target_partition, rest) = number(rest.strip_prefix(b",")?)?;
    let rest = rest.strip_prefix(b"]\n")?;
    let letter = PlannedLetter {
        partition: i32::try_from(partition).ok()?,
        offset,
        sha256: Digest::from_hex(sha)?,
        target,
        target_partition: i32::try_from(target_partition).ok()?,
    };
    Some((letter, rest))
}

/// The line behind these letters is not one.
fn no_letter(letters: &Letters) -> Fault {
    damaged(format!("line {} is not a letter of it", letters.len() + 2))
}

/// A number and what follows it.
fn number(text: &[u8]) -> Option<(i64, &[u8])> {
    let (sign, digits) = text.strip_prefix(b"-").map_or((1, text), |digits| (-1, digits));
    let length = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    let (digits, rest) = digits.split_at_checked(length)?;
    let value =
        digits.iter().try_fold(0_i64, |n, digit| n.checked_mul(10)?.checked_add(i64::from(digit - b'0')))?;
    (length > 0).then_some((sign * value, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::document::Into;
    use super::super::options::Options;
    use super::super::plan::{PlanCounts, PlannedTarget, PlannedTopic};
    use super::*;

    fn plan(letters: &[(i32, i64)]) -> Plan {
        let topic = |name: &str, partitions| PlannedTopic {
            topic: name.into(),
            topic_id: Some(format!("id-{name}").into()),
            partitions,
        };
        Plan {
            header: PlanHeader {
                schema: SCHEMA,
                id: "p1".into(),
                cluster_id: "c".into(),
                source: topic("orders-dlt", 8),
                target: PlannedTarget {
                    into: Into::Origin,
                    topics: vec![topic("a\"b", 3), topic("orders", 6)],
                },
                origins: vec![topic("orders", 6)],
                replay: false,
                options: Options {
                    rate: Some(7),
                    canary: Some(3),
                    strip_headers: vec!["x".into()],
                    add_headers: vec![("a".into(), "b".into())],
                    ..Options::default()
                },
                operator: "ada".into(),
                created_ms: 5,
                counts: PlanCounts { records: letters.len() as u64, keys: 0, duplicates: Some(2) },
            },
            letters: letters
                .iter()
                .map(|&(partition, offset)| PlannedLetter {
                    partition,
                    offset,
                    sha256: Digest([offset as u8; 32]),
                    target: (offset % 2) as u32,
                    target_partition: partition % 3,
                })
                .collect(),
        }
    }

    fn why(path: &Path) -> String {
        let fault = Plan::load(path).unwrap_err();
        assert_eq!(fault.code, "plan_damaged");
        fault.why
    }

    #[test]
    fn a_plan_is_read_as_it_was_saved_by_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let plan = plan(&[(0, 1), (2, 8), (1, 3)]);
        plan.save(&path).unwrap();
        assert_eq!(Plan::load(&path).unwrap(), plan);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        plan.save(&path).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_a_plan_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        fs::write(&path, "mine\n").unwrap();
        assert_eq!(plan(&[]).save(&path).unwrap_err().code, "file_exists");
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine\n");
    }

    #[test]
    fn every_damage_is_refused_with_its_reason() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        plan(&[(0, 1), (2, 8), (1, 3)]).save(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let write = |text: String| {
            fs::write(&path, text).unwrap();
            why(&path)
        };
        assert!(write(text.replacen("[2,8,", "[2,9,", 1)).contains("changed"));
        assert!(write(lines[..3].join("\n") + "\n").contains("end is missing"));
        assert!(write(text.trim_end().to_owned()).contains("end is missing"));
        assert!(write(text.replacen("\"schema\":1", "\"schema\":2", 1)).contains("version 2"));
        assert!(write(text.clone() + "x\n").contains("after its end"));
        assert!(write([lines[0], lines[1], lines[4], ""].join("\n")).contains("letters"));
        assert!(write("hello\n".into()).contains("not a plan"));
        assert!(write(String::new()).contains("empty"));
        assert!(write(text.replacen("orders\",", "payments\",", 1)).contains("line"));
    }

    #[test]
    fn a_plan_of_many_blocks_is_read_and_damage_in_each_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let letters: Vec<(i32, i64)> = (0..10_000).map(|i| (i % 7, i64::from(i))).collect();
        let plan = plan(&letters);
        plan.save(&path).unwrap();
        assert_eq!(Plan::load(&path).unwrap(), plan);
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.len() > 3 * BUFFER);
        let header = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for at in [header, header + BUFFER, header + 2 * BUFFER + 1, bytes.len() - 1] {
            fs::write(&path, &bytes[..at]).unwrap();
            assert!(why(&path).contains("end is missing"), "{at}");
        }
        for at in [header, header + BUFFER - 1, header + 2 * BUFFER] {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
            let why = why(&path);
            assert!(["changed", "is not a letter", "last line"].iter().any(|w| why.contains(w)), "{why}");
        }
        let long = [&bytes[..header], &vec![b'['; BUFFER + 9][..]].concat();
        fs::write(&path, long).unwrap();
        assert!(why(&path).contains("line 2 is not a letter"));
    }

    #[test]
    fn a_letter_twice_or_an_impossible_partition_is_refused() {
        for twice in [&[(0, 1), (0, 1)][..], &[(0, 1), (1, 1), (0, 1)], &[(1, 0), (0, 1), (2, 1), (0, 1)]] {
            assert!(plan(twice).check().unwrap_err().why.contains("is in it twice"), "{twice:?}");
        }
        // Offsets need not ascend.
        plan(&[(0, 2), (1, 1), (0, 1), (0, 3)]).check().unwrap();
        let mut wrong = plan(&[(0, 1)]);
        wrong.letters = wrong.letters.iter().map(|l| PlannedLetter { target_partition: 6, ..l }).collect();
        assert!(wrong.check().unwrap_err().why.contains("partition 6"));
        assert!(plan(&[(8, 1)]).check().is_err());
    }

    proptest! {
        #[test]
        fn no_single_changed_byte_of_a_plan_goes_unnoticed(at in 0usize..2000, byte in any::<u8>()) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("f");
            plan(&[(0, 1), (2, 8), (1, 3)]).save(&path).unwrap();
            let mut bytes = fs::read(&path).unwrap();
            let at = at % bytes.len();
            prop_assume!(bytes[at] != byte);
            bytes[at] = byte;
            fs::write(&path, &bytes).unwrap();
            // A changed trailer may still read the same (white space), the lines before it may not.
            let trailer = bytes.len() - 1 - bytes.iter().rev().skip(1).position(|b| *b == b'\n').unwrap_or(0);
            if at < trailer - 2 {
                prop_assert!(Plan::load(&path).is_err());
            }
        }
    }
}
