//! Cost of single steps of a login: `cargo bench -p mailauth-benches --bench core`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mailauth_core::account::{AccountRow, Password};
use mailauth_core::authenticate::{Authenticator, Credential, Request};
use mailauth_core::config::{CacheConfig, Config};
use mailauth_core::password::{HashRules, NewScheme, Stored, hash};
use mailauth_core::store::AccountStore;
use mailauth_core::store::cache::Cache;
use mailauth_core::testing::MemoryStore;
use mailauth_core::{Login, Service};
use mailauth_lockstep::Lockstep;
use mailauth_lockstep::sha512::{LANES, Sha512Lanes, Task, Unit};
use sha2::block_api::compress512;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Measures parsing a stored value and verifying a password with it, for the most common schemes.
fn verify(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("verify");
    group.sample_size(20).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    let rules = HashRules::default();
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

/// Measures the compression function of SHA-512: of one block, and of a block of each lane.
fn sha512_blocks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("SHA-512");
    let (mut state, block) = ([1_u64; 8], [3_u8; 128]);
    group.throughput(Throughput::Elements(1));
    group.bench_function("one block", |bencher| {
        bencher.iter(|| compress512(black_box(&mut state), black_box(&[block])));
    });
    let Some(unit) = Unit::detected() else { return };
    let (mut states, blocks) = ([[1_u64; LANES]; 8], [[3_u64; LANES]; 16]);
    group.throughput(Throughput::Elements(unit.lanes() as u64));
    group.bench_function(format!("a block of each of {} lanes by {}", unit.lanes(), unit.name()), |bencher| {
        bencher.iter(|| unit.compress(black_box(&mut states), black_box(&blocks)));
    });
}

/// Measures sha512-crypt with 5,000 rounds: of one password, and of each of many in all lanes.
fn sha512_crypt(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sha512-crypt");
    group.sample_size(20);
    group.throughput(Throughput::Elements(1));
    let rules = HashRules::default();
    let value = hash(NewScheme::Sha512Crypt, b"Secret-Passw0rd").expect("a hash");
    let stored = Stored::parse(value.expose(), &rules).expect("a sound value");
    group.bench_function("one password", |bencher| {
        bencher.iter(|| stored.verify("anna@example.org", black_box(b"Secret-Passw0rd")));
    });
    let Some(unit) = Unit::detected() else { return };
    let mut lanes = Sha512Lanes::new(unit);
    let task = Task::Crypt {
        password: b"Secret-Passw0rd".to_vec().into(),
        salt: b"saltsaltsaltsalt".to_vec().into(),
        rounds: 5000,
    };
    group.throughput(Throughput::Elements(unit.lanes() as u64));
    group.bench_function(format!("{} passwords together", unit.lanes()), |bencher| {
        bencher.iter(|| {
            (0..unit.lanes()).for_each(|lane| lanes.load(lane, task.clone()));
            assert_eq!(lanes.run().len(), unit.lanes());
        });
    });
}

/// Measures parsing a login as a client sent it.
fn login(criterion: &mut Criterion) {
    criterion.bench_function("login", |bencher| {
        bencher.iter(|| Login::parse(black_box(b"Anna.Example@Example.org"), None));
    });
}

/// Returns a cache over one account in memory, without the cost of a database.
fn cache() -> (Cache<MemoryStore>, Login) {
    let login = Login::parse(b"anna@example.org", None).expect("a login");
    let row = AccountRow {
        password: Password(hash(NewScheme::Sha512Crypt, b"Secret-Passw0rd").expect("a hash")),
        uid: Some(5000),
        gid: Some(5000),
        name: Some("Anna Example".into()),
        ..AccountRow::new(login.clone())
    };
    let config = CacheConfig { found: Duration::from_secs(3600), ..CacheConfig::default() };
    (Cache::new(MemoryStore::with([row]), "memory".into(), &config, Arc::default()), login)
}

/// Measures a look-up in the cache, and a whole login with a costly hash that was verified recently.
fn remembered(criterion: &mut Criterion) {
    let deadline = Instant::now() + Duration::from_secs(3600);
    let (store, login) = cache();
    criterion.bench_function("cached look-up", |bencher| {
        bencher.iter(|| store.look_up(black_box(&login), deadline).expect("a row"));
    });
    let config = Config::default();
    let authenticator = Authenticator::new(Arc::new(cache().0), config.policy(), Arc::new(config.budget()));
    let authenticator = authenticator.remembering(&config.cache, Arc::default());
    criterion.bench_function("verified login", |bencher| {
        bencher.iter(|| {
            let request = Request {
                service: Service::Imap,
                login: b"anna@example.org".to_vec(),
                credential: Credential::Password("Secret-Passw0rd".into()),
                client: None,
                deadline,
            };
            assert!(authenticator.authenticate(request).is_ok());
        });
    });
}

criterion_group!(benches, verify, sha512_blocks, sha512_crypt, login, remembered);
criterion_main!(benches);
