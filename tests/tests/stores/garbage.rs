//! A server that sends what no server sends: the answer is "not now", without a panic.

use crate::database::{Database, login};
use mailauth_core::store::{AccountStore, open_pooled, open_single};
use mailauth_tests::{Kind, Scratch, on_each_server, output_with_input, program};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;

on_each_server!(a_server_that_sends_garbage_is_an_outage);

/// Returns a packet of MySQL's protocol.
fn packet(number: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    [&length[..3], &[number], payload].concat()
}

/// The greeting of a real MariaDB server.
const GREETING: &[u8] = b"\x0a5.5.5-10.11.19-MariaDB\0\x05\0\0\0abcdefgh\0\xfe\xf7\x2d\x02\0\xff\x81\x15\0\0\0\0\0\0\x1d\0\0\0ijklmnopqrst\0mysql_native_password\0";

/// Returns what a server of this kind sends at once, whatever the client sends.
fn sayings(kind: Kind) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = vec![vec![], vec![0; 64], vec![0xff; 64], b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()];
    if matches!(kind, Kind::MariaDb | Kind::MySql) {
        let greeted = |answers: &[&[u8]]| {
            let answers = answers.iter().zip(2..).map(|(answer, number)| packet(number, answer));
            [packet(0, GREETING)].into_iter().chain(answers).collect::<Vec<_>>().concat()
        };
        all.extend((0..GREETING.len()).step_by(7).map(|count| packet(0, &GREETING[..count])));
        all.extend([
            packet(0, b""),
            packet(0, b"\xff"),
            packet(0, b"\xff\x10"),
            greeted(&[b""]),
            greeted(&[b"\xfe"]),
            greeted(&[b"\xfe\0"]),
            greeted(&[b"\xfeclient_ed25519\0"]),
            greeted(&[b"\xfeclient_ed25519\0short"]),
            greeted(&[b"\xfeparsec\0short", b"\x01P\xff"]),
            greeted(&[b"\xfeparsec\0abcdefghijklmnopqrstabcdefghijkl", b"P\xffabcdefghijklmnopqr"]),
            greeted(&[b"\xfecaching_sha2_password\0abcdefghijklmnopqrst\0", b"\x01"]),
            greeted(&[b"\xfecaching_sha2_password\0abcdefghijklmnopqrst\0", b"\x01\x04", b"\x01no key"]),
            greeted(&[
                b"\xfecaching_sha2_password\0\0",
                b"\x01\x04",
                b"\x01-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
            ]),
            greeted(&[b"\xfesomething else\0"]),
            greeted(&[b"\x01\x03\x01\x03"]),
            greeted(&[b"\0\0\0\x02\0\0\0", b"\xfb/etc/passwd"]),
            greeted(&[b"\0\0\0\x02\0\0\0", b"\xfd\xff\xff\xff"]),
            vec![0xff, 0xff, 0xff, 0],
        ]);
    } else {
        all.extend([
            b"R\0\0\0\x08\0\0\0\x7f".to_vec(),
            b"R\0\0\0\x03".to_vec(),
            b"R\0\0\0\x0c\0\0\0\x05ab".to_vec(),
            b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0".to_vec(),
            b"E\0\0\0\x05\0".to_vec(),
            b"E\xff\xff\xff\xff".to_vec(),
            b"T\0\0\0\x06\xff\xff".to_vec(),
        ]);
    }
    all
}

/// Sends the same bytes to every client.
fn serve(saying: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let saying = saying.clone();
            std::thread::spawn(move || {
                // Then it disconnects, once the client has sent its message.
                let _ = client.write_all(&saying).and_then(|()| client.read(&mut [0; 4096]));
            });
        }
    });
    port
}

fn a_server_that_sends_garbage_is_an_outage(kind: Kind) {
    let database = Database::empty(kind);
    let folder = Scratch::new("garbage");
    for saying in sayings(kind) {
        let what = String::from_utf8_lossy(&saying).into_owned();
        let config = database.config_tcp(&[&format!("127.0.0.1:{}", serve(saying))]);
        for store in [open_single(&config).unwrap(), open_pooled(&config).unwrap()] {
            let error = store.find(&login("anna@x.example")).unwrap_err();
            assert!(error.is_outage(), "{what:?}: {error:?}");
        }
        let path = folder.join("mailauth.toml");
        fs::write(&path, format!("[database]\nurl = \"{}\"\n", config.url)).unwrap();
        let listed = output_with_input(
            Command::new(program("mailauth")).arg("--config").arg(&path).args(["account", "list"]),
            "",
        );
        assert_eq!(listed.status.code(), Some(75), "{what:?}: {listed:?}");
        assert!(!String::from_utf8_lossy(&listed.stderr).contains("panicked at"), "{what:?}: {listed:?}");
    }
}
