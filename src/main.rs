//! Runs the command line, and ends with its exit code.

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    redrive::broker::kafka::leave(redrive::cli::main(std::env::args_os()));
}
