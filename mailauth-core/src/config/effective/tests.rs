use super::*;
use std::collections::BTreeMap;

const SAMPLE: &str = include_str!("../../../../mailauth.toml");

/// Returns the keys of the sample with their sections and lines, in their order.
fn of_sample() -> Vec<(String, String, String)> {
    let mut section = String::new();
    let mut keys = Vec::new();
    for line in SAMPLE.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some((name, _)) = line.strip_prefix('#').and_then(|line| line.split_once(" = "))
            && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
        {
            keys.push((section.clone(), name.to_owned(), line[1..].to_owned()));
        }
    }
    keys
}

fn effective(text: &str) -> Effective {
    let (parsed, mistakes) = parse_partly(text);
    Effective::new(parsed, Origin::Defaults, mistakes)
}

#[test]
fn the_sample_has_every_key_in_the_same_order_with_its_default() {
    let (sample, keys) = (of_sample(), effective("").keys);
    let names = |section: &str, name: &str| format!("[{section}] {name}");
    let ours: Vec<_> = keys.iter().map(|key| names(&key.section, &key.name)).collect();
    let its: Vec<_> = sample.iter().map(|(section, name, _)| names(section, name)).collect();
    assert_eq!(ours, its);
    for (key, (section, name, line)) in keys.iter().zip(&sample) {
        let written = effective(&format!("[{section}]\n{line}\n"));
        let read = written.keys.iter().find(|key| key.section == *section && key.name == *name).unwrap();
        match key.from {
            // The sample has an example of a quota, whose default is none.
            ValueOrigin::Default if key.value.is_some() && name != "quota" => {
                assert_eq!(read.value, key.value, "[{section}] {line}")
            }
            _ => {}
        }
        // [admin] and some others need further keys.
        assert!(matches!(read.from, ValueOrigin::File(_) | ValueOrigin::Mistake(_)), "[{section}] {line}");
    }
}

#[test]
fn every_written_value_is_read_as_the_same_value() {
    let all: Vec<_> = of_sample().into_iter().filter(|(_, name, _)| !matches!(&**name, "uid" | "gid")).collect();
    let mut sections = BTreeMap::<String, Vec<String>>::new();
    let tables = all.iter().filter(|(section, ..)| section != "admin");
    tables.for_each(|(section, _, line)| sections.entry(section.clone()).or_default().push(line.clone()));
    let text = |lines: &[String]| lines.join("\n");
    let text: String = sections.iter().map(|(section, lines)| format!("[{section}]\n{}\n", text(lines))).collect();
    let first = effective(&text);
    assert_eq!(first.mistakes, None);
    let written: BTreeMap<String, Vec<String>> = first.keys.iter().fold(BTreeMap::new(), |mut written, key| {
        if let (ValueOrigin::File(_), Some(value)) = (&key.from, &key.value) {
            let lines: &mut Vec<String> = written.entry(key.section.clone()).or_default();
            lines.push(format!("{} = {value}", key.name));
        }
        written
    });
    let again: String = written.iter().map(|(section, lines)| format!("[{section}]\n{}\n", lines.join("\n"))).collect();
    let second = effective(&again);
    assert_eq!(second.mistakes, None, "{again}");
    let values = |effective: &Effective| effective.keys.iter().map(|key| key.value.clone()).collect::<Vec<_>>();
    assert_eq!(values(&first), values(&second));
    assert!(values(&first).iter().flatten().count() > 80);
}

#[test]
fn the_default_of_tls_depends_on_where_the_servers_are() {
    for (url, value, note) in [
        ("sqlite:/m.db", None, "SQLite is a file of this machine"),
        ("mysql://u@localhost/m", Some("disable"), "all hosts are on this machine"),
        ("postgres://u@/m?socket=/run/postgresql", Some("disable"), "all hosts are on this machine"),
        ("mysql://u@db/m", Some("verify-full"), "the hosts are on other machines"),
        ("mysql://u@db,[::1]/m", None, "verify-full for db:3306, disable for [::1]:3306"),
    ] {
        let keys = effective(&format!("[database]\nurl = '{url}'\n")).keys;
        let tls = keys.iter().find(|key| key.name == "tls").unwrap();
        assert_eq!(tls.value, value.map(|word| Value::String(word.to_owned())), "{url}");
        assert_eq!((tls.note.as_deref(), &tls.from), (Some(note), &ValueOrigin::Derived), "{url}");
    }
}
