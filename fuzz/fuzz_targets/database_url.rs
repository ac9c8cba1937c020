//! The URL of a database: nothing panics, it prints as it is read, and no message repeats what may be a password or breaks
//! its line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mailauth_core::config::DatabaseUrl;

/// What no message has a word of its own for.
const SECRET: &str = "Zq7#Zq7";

fuzz_target!(|text: &str| {
    match text.parse::<DatabaseUrl>() {
        Ok(url) => {
            let printed = url.to_string();
            assert_eq!(printed.parse::<DatabaseUrl>().as_ref(), Ok(&url), "{printed}");
            assert!(!printed.contains(char::is_control));
        }
        Err(error) => assert!(!error.to_string().contains(char::is_control), "{error}"),
    }
    // As people write it that know it from elsewhere: before the host.
    if let Some((kind @ ("mysql" | "mariadb" | "postgres" | "postgresql"), rest)) = text.split_once("://") {
        let with_password = format!("{kind}://user:{SECRET}@{rest}");
        let error = with_password.parse::<DatabaseUrl>().expect_err("a password in a URL is accepted");
        assert!(!error.to_string().contains(SECRET), "{error}");
    }
});
