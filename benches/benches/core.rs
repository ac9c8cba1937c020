//! What single steps of a login cost: `cargo bench -p mailauth-benches --bench core`.

use criterion::{Criterion, criterion_group, criterion_main};
use mailauth_core::Login;
use mailauth_core::password::{NewScheme, Rules, Stored, hash};
use std::hint::black_box;
use std::time::Duration;

/// Reading a stored value and trying a password on it, for the schemes that tables hold most.
fn verify(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("verify");
    group.sample_size(20).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    let rules = Rules::default();
    let mut values = vec![
        ("SHA256".to_owned(), b"{SHA256}jybY6JNWjtgo2dDmaohf7pfQ++u2+/x/ue/75W+RKO0=".to_vec()),
        ("SSHA".to_owned(), b"{SSHA}fGZ+XCmHDv3ji7DwSPv21bDUcJ1YGulH".to_vec()),
    ];
    for scheme in NewScheme::ALL {
        let made = hash(scheme, b"Secret-Passw0rd").expect("a hash");
        values.push((scheme.name().to_owned(), made.expose().to_vec()));
    }
    for (name, value) in values {
        group.bench_function(&name, |bencher| {
            bencher.iter(|| {
                let stored = Stored::parse(black_box(&value), &rules).expect("a sound value");
                assert_eq!(stored.verify("anna@example.org", black_box(b"Secret-Passw0rd")), Ok(true));
            });
        });
    }
}

/// Reading a login as a client sent it.
fn login(criterion: &mut Criterion) {
    criterion.bench_function("login", |bencher| {
        bencher.iter(|| Login::parse(black_box(b"Anna.Example@Example.org"), None));
    });
}

criterion_group!(benches, verify, login);
criterion_main!(benches);
