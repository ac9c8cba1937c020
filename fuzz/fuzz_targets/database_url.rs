//! The URL of a database: nothing panics, it prints as it was read, and no message repeats a part that may be a password or
//! contains a line break.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mailauth_core::config::DatabaseUrl;

/// A password that occurs in no message by chance.
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
    // As other programs write it: a password before the host.
    if let Some((kind @ ("mysql" | "mariadb" | "postgres" | "postgresql"), rest)) = text.split_once("://") {
        let with_password = format!("{kind}://user:{SECRET}@{rest}");
        let error = with_password.parse::<DatabaseUrl>().expect_err("a password in a URL is accepted");
        assert!(!error.to_string().contains(SECRET), "{error}");
    }
});
