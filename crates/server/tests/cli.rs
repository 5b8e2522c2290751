//! The binary as scripts see it: output and exit codes.

use std::process::{Command, Output};

fn epilogue(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_epilogue"))
        .args(arguments)
        .env_remove("EPILOGUE_CONFIG")
        .env_remove("EPILOGUE_DATA")
        .output()
        .expect("the binary runs")
}

#[test]
fn the_default_configuration_is_printed_as_it_is_documented() {
    let output = epilogue(&["config", "print-default"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, include_bytes!("../config.default.toml"));
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_right() {
    for arguments in [&[][..], &["no-such-command"], &["config", "--listen", "x"]] {
        let output = epilogue(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("Usage"), "{arguments:?}");
    }
}

#[test]
fn help_is_not_a_failure() {
    let output = epilogue(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("Exit codes: 0"));
}

#[test]
fn the_demo_finds_every_step_of_every_end_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("a path of text");
    let output = epilogue(&["--data", data, "demo", "--exit", "--listen", "127.0.0.1:0"]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("Every step of every end is done"), "{told}");
}
