//! The pictures of Northwind go up and come down byte for byte, with curl alone.

use std::path::{Path, PathBuf};

use holdfast_tests::upload::{announced, headers};
use holdfast_tests::{System, northwind_data, northwind_model};
use serde_json::{Value, json};
use tokio::process::Command;

/// Runs curl; what it prints.
async fn curl(arguments: &[&str]) -> Vec<u8> {
    let done = Command::new("curl").args(["-sS", "--fail-with-body", "--max-time", "60"]).args(arguments).output().await.unwrap();
    assert!(done.status.success(), "{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    done.stdout
}

/// The pictures with the plural and id that their names say: `categories-3.jpg`.
fn pictures(directory: &Path) -> Vec<(String, u64, PathBuf)> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: PathBuf| {
        let (plural, id) = path.file_stem()?.to_str()?.rsplit_once('-')?;
        Some((plural.to_owned(), id.parse().ok()?, path.clone()))
    };
    entries.filter_map(named).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_go_up_and_come_down_with_curl_alone() {
    let Some(directory) = northwind_data() else { return };
    if Command::new("curl").arg("--version").output().await.is_err() {
        eprintln!("skipped: there is no curl");
        return;
    }
    let pictures = pictures(&directory.join("pictures"));
    assert_eq!(pictures.len(), 17);
    let system = System::start(&northwind_model()).await;
    let admin = system.admin();
    let bearer = format!("Authorization: Bearer {}", admin.token().unwrap());
    let scratch = tempfile::tempdir().unwrap();
    for (plural, id, path) in pictures {
        let record = match plural.as_str() {
            "categories" => json!({ "id": id, "category_name": format!("c{id}") }),
            _ => json!({ "id": id, "last_name": "L", "first_name": "F" }),
        };
        admin.post(&format!("/v1/{plural}"), record).await.expect(201);
        let field = format!("{}/v1/{plural}/{id}/picture", system.url());
        let content = std::fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let body = announced(name, "image/jpeg", &content).to_string();
        let post = ["-X", "POST", "-H", &bearer, "-H", "Content-Type: application/json"];
        let link = curl(&[&post[..], &["-d", &body, &format!("{field}/upload")]].concat()).await;
        let link: Value = serde_json::from_slice(&link).unwrap();
        let headers: Vec<String> = headers(&link).into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let mut put = vec!["-T", path.to_str().unwrap()];
        for header in &headers {
            put.extend(["-H", header]);
        }
        put.push(link["url"].as_str().unwrap());
        curl(&put).await;
        curl(&[&post[..], &["-d", "{}", &format!("{field}/complete")]].concat()).await;
        let down = scratch.path().join(name);
        let out = down.to_str().unwrap();
        curl(&["-L", "-H", &bearer, "-o", out, "-D", &format!("{out}.headers"), &format!("{field}/download")]).await;
        assert!(std::fs::read(&down).unwrap() == content, "{name} came down as it went up");
        let headers = std::fs::read_to_string(format!("{out}.headers")).unwrap().to_lowercase();
        assert!(headers.contains(&format!("content-disposition: attachment; filename=\"{name}\"")), "{headers}");
    }
    system.stop().await;
}
