//! CSV files in: all or nothing, over HTTP and at a start, seen by every process.

mod harness;

use harness::{eventually, import, spawn, start};
use serde_json::json;

const GOOD: &str = "symbol,name,sector,industry,price,market_cap,volume,pe,closes\n\
                    ACME,Acme Anvils,Tools,Anvils,12.5,1000000,500,8.5,10 11 12.5\n\
                    bolt,\"Bolts, Nuts & Sons <Ltd>\",Tools,Fasteners,3,2000000,700,,\n";

#[test]
fn an_import_replaces_the_universe_and_no_page_calls_it_synthetic() {
    let folder = tempfile::tempdir().unwrap();
    let screener = start(&folder.path().join("s.db"), &["--count", "50"]);
    assert!(screener.get("/").text().contains("Synthetic data"));
    assert_eq!(screener.json("/api/stocks")["total"], 50);

    let imported = import(&screener, "/api/import", GOOD.as_bytes());
    assert_eq!((imported.status, imported.json()), (200, json!({ "imported": 2, "total": 2 })));
    let list = screener.json("/api/stocks?sort=symbol");
    assert_eq!(list["stocks"][1]["symbol"], "BOLT");
    assert_eq!(list["stocks"][1]["pe"], json!(null));
    assert_eq!(screener.json("/api/stocks/acme")["closes"], json!([10.0, 11.0, 12.5]));
    assert_eq!(screener.json("/api/sectors")["synthetic"], 0);
    let page = screener.get("/").text();
    assert!(!page.contains("Synthetic data"));
    assert!(page.contains("Bolts, Nuts &amp; Sons &lt;Ltd&gt;"), "names are text, never markup");
}

#[test]
fn a_merge_keeps_the_rest_and_replaces_a_stock_with_its_history() {
    let folder = tempfile::tempdir().unwrap();
    let screener = start(&folder.path().join("s.db"), &["--count", "50"]);
    let synthetic =
        screener.json("/api/stocks?per_page=1")["stocks"][0]["symbol"].as_str().unwrap().to_owned();
    assert!(!screener.json(&format!("/api/stocks/{synthetic}"))["closes"].as_array().unwrap().is_empty());
    let file = GOOD.replace("ACME", &synthetic).replace("10 11 12.5", "");
    let merged = import(&screener, "/api/import?mode=merge", file.as_bytes());
    assert_eq!(merged.json(), json!({ "imported": 2, "total": 51 }));
    let stock = screener.json(&format!("/api/stocks/{synthetic}"));
    assert_eq!((&stock["name"], &stock["synthetic"]), (&json!("Acme Anvils"), &json!(false)));
    assert_eq!(stock["closes"], json!([]), "a new stock does not inherit the old one's history");
}

#[test]
fn one_bad_row_refuses_the_whole_file_and_names_every_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let screener = start(&folder.path().join("s.db"), &["--count", "50"]);
    let before = screener.get("/api/stocks.csv").body;
    let bad = format!("{GOOD}CCC,C,S,I,free,1,1,,\nDDD,D,S,I,1,1\nACME,A,S,I,1,1,1,,1 x\n");
    let refused = import(&screener, "/api/import", bad.as_bytes());
    assert_eq!(refused.status, 400);
    let named: Vec<_> = refused.named().into_iter().map(|(line, field)| (line.unwrap(), field)).collect();
    let wanted = [(4, "price"), (5, "row"), (6, "closes"), (6, "symbol")]
        .map(|(line, field)| (line, field.to_owned()));
    assert_eq!(named, wanted);
    assert_eq!(screener.get("/api/stocks.csv").body, before, "nothing changed");
}

#[test]
fn an_export_imports_again_without_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let screener = start(&folder.path().join("s.db"), &["--count", "300"]);
    let before = screener.get("/api/stocks.csv").body;
    assert_eq!(import(&screener, "/api/import", &before).json()["imported"], 300);
    assert_eq!(screener.get("/api/stocks.csv").body, before);
    assert_eq!(screener.json("/api/sectors")["synthetic"], 300, "what was made up stays marked");
}

#[test]
fn importing_needs_the_token_and_a_file_of_bearable_size() {
    let folder = tempfile::tempdir().unwrap();
    let screener = start(&folder.path().join("s.db"), &["--count", "5"]);
    let ask = |token: &str| screener.ask("POST", "/api/import", &[("authorization", token)], GOOD.as_bytes());
    for wrong in ["Bearer let-me-on", "Bearer let-me-in2", "let-me-in", "Bearer "] {
        let refused = ask(wrong);
        assert_eq!((refused.status, refused.json()["code"].as_str()), (401, Some("wrong-token")), "{wrong}");
    }
    let large = screener.ask(
        "POST",
        "/api/import",
        &[("authorization", "Bearer let-me-in")],
        &vec![b'x'; (32 << 20) + 1],
    );
    assert_eq!((large.status, large.json()["code"].as_str()), (413, Some("body-too-large")));
    assert_eq!(
        import(&screener, "/api/import?mode=mrge", GOOD.as_bytes()).named(),
        [(None, "mode".to_owned())]
    );
    drop(screener);

    let screener = start(&folder.path().join("s.db"), &["--import-token", ""]);
    let off = import(&screener, "/api/import", GOOD.as_bytes());
    assert_eq!((off.status, off.json()["code"].as_str()), (403, Some("import-off")));
}

#[test]
fn a_file_given_to_several_processes_at_their_start_is_imported_once() {
    let folder = tempfile::tempdir().unwrap();
    let (database, file) = (folder.path().join("s.db"), folder.path().join("real.csv"));
    std::fs::write(&file, GOOD).unwrap();
    let options = ["--count", "50", "--import", file.to_str().unwrap()];
    let starting = [(); 3].map(|()| spawn(&database, &options));
    let running = starting.map(harness::Starting::listening);
    let imports = running.iter().flat_map(|screener| &screener.logged);
    assert_eq!(imports.filter(|line| line.contains("\"message\":\"imported\"")).count(), 1);
    for screener in &running {
        assert_eq!(screener.json("/api/stocks")["total"], 2);
    }

    // What one process imports later, the others show without being told.
    let third = format!("{GOOD}CCC,C,S,I,1,1,1,,\n");
    assert_eq!(import(&running[0], "/api/import", third.as_bytes()).status, 200);
    assert_eq!(running[0].json("/api/stocks")["total"], 3, "who writes sees it at once");
    for other in &running[1..] {
        eventually("the import shows", || other.json("/api/stocks")["total"] == 3);
    }
}

#[test]
fn a_bad_file_at_the_start_stops_it_and_names_the_lines() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.csv");
    std::fs::write(&file, format!("{GOOD}CCC,C,S,I,free,1,1,,\n")).unwrap();
    let options = ["--count", "5", "--import", file.to_str().unwrap()];
    let (status, said) = spawn(&folder.path().join("s.db"), &options).failing();
    assert!(!status.success());
    assert!(
        said.contains("nothing was imported") && said.contains("line 4: price: not a number: \"free\""),
        "{said}"
    );
}
