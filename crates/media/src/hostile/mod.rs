//! What strangers and bad networks send, for property tests.

pub(crate) mod datagrams;
pub(crate) mod offers;

use proptest::test_runner::Config;

/// How many times as many cases are tried when tests may run long.
const LONGER: u32 = 30;

/// How many cases a property is tried with: so many, and many more with `EPILOGUE_TEST_LONG=1`.
pub(crate) fn cases(usual: u32) -> Config {
    let is_long = std::env::var("EPILOGUE_TEST_LONG").is_ok_and(|long| long == "1");
    let cases = if is_long { usual * LONGER } else { usual };
    // A case that failed is written down as a test of its own.
    Config { cases, failure_persistence: None, ..Config::default() }
}
