//! The binary: a thin caller of the library.

fn main() -> std::process::ExitCode {
    incident_sink::cli::main()
}
