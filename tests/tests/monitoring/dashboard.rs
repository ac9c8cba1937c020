//! Grafana's dashboard is well formed.

use super::{shipped, text_of};
use serde_json::Value;
use std::collections::BTreeSet;

fn dashboard() -> Value {
    serde_json::from_str(&text_of(shipped("grafana/mailauth.json"))).expect("JSON")
}

fn panels(dashboard: &Value) -> &Vec<Value> {
    dashboard["panels"].as_array().expect("panels")
}

/// Returns the title of its panel and the text of each expression.
pub fn expressions() -> Vec<(String, String)> {
    let dashboard = dashboard();
    let mut all = Vec::new();
    for part in panels(&dashboard).iter().chain(dashboard["annotations"]["list"].as_array().expect("annotations")) {
        let title = part["title"].as_str().or(part["name"].as_str()).expect("a title");
        let targets = part["targets"].as_array().cloned().unwrap_or_default();
        let expressions = targets.iter().map(|target| &target["expr"]).chain([&part["expr"]]);
        let texts: Vec<_> = expressions.filter_map(Value::as_str).collect();
        assert!(!texts.is_empty() || matches!(part["type"].as_str(), Some("row" | "text")), "{title} shows nothing");
        all.extend(texts.into_iter().map(|text| (title.to_owned(), text.to_owned())));
    }
    assert!(all.len() > 30, "{}", all.len());
    all
}

#[test]
fn the_dashboard_is_well_formed() {
    let dashboard = dashboard();
    assert_eq!((&dashboard["uid"], &dashboard["title"]), (&Value::from("mailauth"), &Value::from("mailauth")));
    assert!(dashboard["schemaVersion"].as_u64().is_some_and(|version| version >= 36));
    assert!(dashboard["id"].is_null(), "an id belongs to one Grafana");
    let panels = panels(&dashboard);
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().expect("an id")).collect();
    assert_eq!(ids.len(), panels.len(), "an id twice");
    let mut taken = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().expect("a title");
        let at = |name: &str| panel["gridPos"][name].as_u64().unwrap_or_else(|| panic!("{title} has no {name}"));
        let (x, y, w, h) = (at("x"), at("y"), at("w"), at("h"));
        assert!(w > 0 && h > 0 && x + w <= 24, "{title} is wider than the page");
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(place), "{title} covers another panel");
        }
    }
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    let is_variable = |name: &str, kind: &str| variables.iter().any(|v| v["name"] == name && v["type"] == kind);
    assert!(is_variable("datasource", "datasource") && is_variable("instance", "query"));
    sources_are_chosen(&dashboard);
}

/// Checks that each query uses the data source that is chosen on the page, and the chosen hosts.
fn sources_are_chosen(part: &Value) {
    match part {
        Value::Object(fields) => {
            if let Some(source) = fields.get("datasource") {
                assert_eq!(source["uid"], "${datasource}", "{part}");
            }
            if let Some(Value::String(expression)) = fields.get("expr") {
                let unbound = expression.matches('{').count() - expression.matches("instance=~\"$instance\"").count();
                assert_eq!(unbound, 0, "all hosts are in {expression}");
            }
            fields.values().for_each(sources_are_chosen);
        }
        Value::Array(items) => items.iter().for_each(sources_are_chosen),
        _ => {}
    }
}
