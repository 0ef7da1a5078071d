//! Parses, wires, runs, and maps an error to its exit code.

fn main() {}
