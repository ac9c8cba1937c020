//! Stored values made by real tools (Dovecot, Courier, libxcrypt, openssl, htpasswd, MariaDB, PostgreSQL, passlib), and
//! known pitfalls of such tools: each verifies exactly as its vector says.

use mailauth_core::password::{DefaultScheme, Flaw, HashRules, Stored};
use serde_json::Value;
use std::time::Instant;

/// Schemes of "may" vectors that are recognized by name but not supported.
const NOT_SUPPORTED: &[&str] = &["SUN-MD5", "GOST-YESCRYPT"];

fn bytes(vector: &Value, name: &str) -> Vec<u8> {
    match (vector[name].as_str(), vector[format!("{name}_hex")].as_str()) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (None, Some(hex)) => {
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
        }
        (None, None) => panic!("vector {}: no {name}", vector["id"]),
    }
}

#[test]
fn every_vector_verifies_as_stated_within_the_cost_limits() {
    let file: Value = serde_json::from_str(include_str!("vectors/passwords.json")).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    assert!(vectors.len() >= 107, "vectors are missing");
    let mut wrong = Vec::new();
    let (mut must, mut may, mut unsupported) = (0, 0, 0);
    for vector in vectors {
        let default = vector["default"].as_str().unwrap_or("crypt");
        let default_scheme = DefaultScheme::from_name(default).expect("the vector's default scheme");
        let rules = HashRules { default_scheme, ..HashRules::default() };
        let begin = Instant::now();
        let login = vector["user"].as_str().unwrap_or("anna@example.org");
        let parsed = Stored::parse(&bytes(vector, "stored"), &rules);
        let verdict = parsed.and_then(|stored| stored.verify(login, &bytes(vector, "password")));
        if vector["need"] == "may" && verdict.is_err() {
            let scheme = vector["scheme"].as_str().unwrap();
            match verdict {
                Err(Flaw::Unsupported { .. }) => unsupported += 1,
                _ if vector["ok"] == false => may += 1,
                other => wrong.push(format!("{}: {other:?}", vector["id"])),
            }
            assert!(vector["ok"] == false || NOT_SUPPORTED.contains(&scheme), "{scheme} is not supported");
            continue;
        }
        *if vector["need"] == "must" { &mut must } else { &mut may } += 1;
        if Value::Bool(verdict == Ok(true)) != vector["ok"] {
            wrong.push(format!("{} {}: {verdict:?}, {}", vector["id"], vector["scheme"], vector["stored"]));
        }
        assert!(begin.elapsed().as_secs() < 10, "vector {} takes too long", vector["id"]);
    }
    println!("{must} must, {may} may, {unsupported} of schemes that are not supported");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(must >= 80 && may >= 15, "{must} must and {may} may vectors ran");
}
