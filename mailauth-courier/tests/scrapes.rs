//! Scrapes of metrics while other clients are slow or hostile.

mod harness;

use harness::*;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Returns the durations of scrapes in a row, sorted.
fn scrape(port: std::net::SocketAddr, times: usize) -> Vec<Duration> {
    let mut took: Vec<Duration> = (0..times)
        .map(|_| {
            let begin = Instant::now();
            assert!(fetch(port, GET).starts_with("HTTP/1.1 200 "));
            begin.elapsed()
        })
        .collect();
    took.sort_unstable();
    took
}

#[test]
fn silent_trickling_and_unreading_clients_delay_no_scrape() {
    let mut server = serve(&two_accounts());
    let port = on_port(&mut server);
    let over = AtomicBool::new(false);
    let connect = |_| TcpStream::connect(port).unwrap();
    std::thread::scope(|scope| {
        let _silent: Vec<TcpStream> = (0..200).map(connect).collect();
        let mut unread: Vec<TcpStream> = (0..20).map(connect).collect();
        unread.iter_mut().for_each(|client| client.write_all(GET.as_bytes()).unwrap());
        scope.spawn(|| {
            let mut trickling: Vec<TcpStream> = (0..20).map(connect).collect();
            while !over.load(Ordering::Relaxed) {
                for client in &mut trickling {
                    if client.write_all(b"G").is_err() {
                        *client = connect(0);
                    }
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let took = scrape(port, 21);
        over.store(true, Ordering::Relaxed);
        // A scrape that waited for another client would take two seconds.
        assert!(took[10] < Duration::from_millis(500) && took[20] < Duration::from_millis(1900), "{took:?}");
    });
    assert!(server.ask(auth("anna", "secret")).ends_with(".\n"));
}

#[test]
fn more_clients_than_the_maximum_exclude_no_scrape() {
    let mut server = serve(&two_accounts());
    let port = on_port(&mut server);
    let mut held: Vec<TcpStream> = (0..600).map(|_| TcpStream::connect(port).unwrap()).collect();
    let took = scrape(port, 21);
    assert!(took[10] < Duration::from_millis(500), "{took:?}");
    // The oldest clients have been closed; one that is too late gets an error.
    let mut first = held.remove(0);
    first.set_read_timeout(Some(LONG)).unwrap();
    assert!(first.read(&mut [0]).is_ok_and(|count| count == 0));
    let mut last = held.pop().unwrap();
    last.set_read_timeout(Some(LONG)).unwrap();
    let mut reply = String::new();
    last.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 408 "), "{reply}");
}

#[test]
fn serving_metrics_can_end_while_clients_are_connected() {
    let mut server = serve(&two_accounts());
    let port = on_port(&mut server);
    let mut begun = TcpStream::connect(port).unwrap();
    begun.write_all(&GET.as_bytes()[..10]).unwrap();
    let _silent: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(port).unwrap()).collect();
    assert_eq!(scrape(port, 1).len(), 1);
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| server.running.as_mut().unwrap().serve_metrics(None).unwrap());
        begun.write_all(&GET.as_bytes()[10..]).unwrap();
        begun.set_read_timeout(Some(LONG)).unwrap();
        let mut reply = String::new();
        begun.read_to_string(&mut reply).unwrap();
        assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
        stopping.join().unwrap();
    });
    assert!(TcpStream::connect(port).is_err());
}
