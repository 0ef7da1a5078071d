//! The dashboard and the alerts name only series that are there.

use std::collections::BTreeSet;

use redrive::exposition::Dialect;
use regex::Regex;

use crate::world::{of_the_demonstration, series};

fn asset(name: &str) -> String {
    std::fs::read_to_string(format!("{}/assets/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The metrics that an asset names.
fn named(text: &str) -> BTreeSet<String> {
    Regex::new(r"\bredrive_[a-z0-9_]+")
        .unwrap()
        .find_iter(text)
        .map(|found| found.as_str().to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn every_series_that_the_dashboard_and_the_alerts_name_is_exported() {
    let text = of_the_demonstration(Dialect::Text).await;
    let exported: BTreeSet<String> =
        series(&text).into_iter().map(|(name, _)| name.split('{').next().unwrap().to_owned()).collect();
    for name in ["grafana-dashboard.json", "alerts.yml"] {
        let named = named(&asset(name));
        assert!(named.len() > 8, "{name}: {named:?}");
        let missing: Vec<_> = named.difference(&exported).collect();
        assert!(missing.is_empty(), "{name} names {missing:?}\n{text}");
    }
    for family in redrive::metrics::names::ALL {
        assert!(
            exported.iter().any(|name| name.starts_with(family.name)),
            "{} is never exported",
            family.name
        );
    }
}

#[test]
fn the_dashboard_is_json_whose_panels_each_ask_something() {
    let dashboard: serde_json::Value = serde_json::from_str(&asset("grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let asking = panels.iter().filter(|panel| panel["type"] != "row");
    assert!(asking.clone().count() >= 10);
    for panel in asking {
        assert!(panel["targets"][0]["expr"].is_string(), "{panel}");
    }
}
