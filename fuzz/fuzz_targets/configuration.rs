//! A configuration: nothing panics, every mistake has a position inside the file and a message of one line, and a URL prints
//! as it was written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mailauth_core::config::{Config, DatabaseUrl};
use std::path::Path;

fuzz_target!(|text: &str| {
    match Config::parse(text, Path::new("mailauth.toml")) {
        Ok(config) => {
            let url = config.database.url;
            assert_eq!(url.to_string().parse::<DatabaseUrl>().as_ref(), Ok(&url));
        }
        Err(errors) => {
            assert!(!errors.mistakes.is_empty());
            let lines = text.split('\n').count();
            for mistake in errors.mistakes {
                let position = mistake.position.expect("a position");
                assert!((1..=lines).contains(&position.line) && position.column >= 1);
                assert!(!mistake.to_string().contains('\n'));
            }
        }
    }
});
