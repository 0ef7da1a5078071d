//! Runs the command line, and ends with its exit code.

fn main() {
    redrive::broker::kafka::leave(redrive::cli::main(std::env::args_os()));
}
