//! The binary as a user runs it: starts, says where it listens, drains at a signal, keeps its state through `kill -9`.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use holdfast_local::{Local, Options, client};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const MODEL: &str = "
name: Notes
version: 1.0.0
entities:
  note:
    id: string
    fields:
      text: {type: string, max: 100, required: true}
      parent: {ref: note, on_delete: restrict, inverse: children}
roles:
  admin: {all: true, system: all}
";

/// A directory with a model in it, where commands run.
struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("model.yaml"), MODEL).unwrap();
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
        command.args(arguments).current_dir(self.0.path()).kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().await.unwrap()
    }

    /// A server; everything that it said until it listened, and where it listens.
    async fn serve(&self, arguments: &[&str]) -> (Child, String, String) {
        let mut command = self.command(&[&["--port", "0"], arguments].concat());
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some(url) = line.strip_prefix("listening on ") {
                let url = url.to_owned();
                // The pipe must stay open, or the process would fail when it says that it stops.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return (child, url, said);
            }
            said.push_str(&line);
            said.push('\n');
        }
        panic!("it ended before it listened: {said}");
    }
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args([name, &pid]).status().unwrap().success());
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_signal_drains_and_ends_well() {
    let place = Scratch::new();
    for name in ["-TERM", "-INT"] {
        let (mut child, url, _) = place.serve(&["--memory"]).await;
        assert_eq!(client::http().build().unwrap().get(format!("{url}/v1/_health")).send().await.unwrap().status(), 200);
        signal(&child, name);
        let status = tokio::time::timeout(Duration::from_secs(60), child.wait()).await.unwrap().unwrap();
        assert_eq!(status.code(), Some(0), "{name}");
    }
}

#[tokio::test]
async fn a_start_says_where_and_gives_tokens_and_lines_that_work() {
    let place = Scratch::new();
    let (_child, url, said) = place.serve(&["--memory"]).await;
    assert!(said.contains(&format!("{url}/v1/docs")), "{said}");
    assert!(!said.contains('\u{1b}'), "no colours where there is no terminal: {said:?}");
    let lines: Vec<&str> = said.lines().filter(|line| line.trim_start().starts_with("curl ")).collect();
    // A list, one with what it refers to, who am I; created, changed, deleted.
    let statuses = ["200", "200", "200", "201", "200", "204"];
    assert_eq!(lines.len(), statuses.len(), "{said}");
    for (line, status) in lines.into_iter().zip(statuses) {
        let output = Command::new("sh").args(["-c", &format!("{line} -s -o /dev/null -w '%{{http_code}}'")]).output().await;
        assert_eq!(text(&output.unwrap().stdout), status, "{line}");
    }
}

/// The status of a shell line with curl.
async fn status(line: &str) -> String {
    let output = Command::new("sh").args(["-c", &format!("{line} -s -o /dev/null -w '%{{http_code}}'")]).output().await;
    text(&output.unwrap().stdout)
}

#[tokio::test]
async fn the_first_minutes_of_the_demo_need_no_credentials() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let place = Scratch::new();
    std::fs::copy(root.join("model.yaml"), place.path("model.yaml")).unwrap();
    let (_child, url, said) = place.serve(&["--memory"]).await;
    let lines: Vec<&str> = said.lines().filter(|line| line.trim_start().starts_with("curl ")).collect();
    let open: Vec<&&str> = lines.iter().take_while(|line| !line.contains("Authorization")).collect();
    assert_eq!(open.len(), 2, "{said}");
    for line in &lines {
        assert!(["200", "201", "204"].contains(&status(line).await.as_str()), "{line}");
    }
    // The first lines of the README show records, too.
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let plain: Vec<&str> = readme.lines().filter(|line| line.starts_with("curl -g 'http://127.0.0.1:3000/v1/")).collect();
    assert_eq!(plain.len(), 2, "{plain:?}");
    for line in plain {
        let line = line.replace("http://127.0.0.1:3000", &url);
        let output = Command::new("sh").args(["-c", &format!("{line} -s")]).output().await.unwrap();
        let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(!shown["data"].as_array().unwrap().is_empty(), "{line}: {shown}");
    }
}

#[tokio::test]
async fn a_token_that_no_server_would_take_is_not_made() {
    let place = Scratch::new();
    let model = "
name: Notes
version: 1.0.0
entities: {note: {id: string, fields: {owner: {type: string, max: 60, filter: scan}}}}
roles:
  admin: {all: true, system: all}
  mine: {entities: {note: {view: {rows: {owner: $claim.account}}}}}
plans: {free: {rates: {burst: {rate: 10}}}}
auth: {claims: [account], default_plan: free}
";
    std::fs::write(place.path("model.yaml"), model).unwrap();
    std::fs::write(place.path("notes.txt"), "").unwrap();
    std::fs::create_dir(place.path("full")).unwrap();
    std::fs::write(place.path("full/file"), "").unwrap();
    for (arguments, told) in [
        (&["--role", "boss"][..], "the model has no role boss; it has admin, mine"),
        (&["--role", "admin", "--plan", "gold"], "the model has no plan gold; it has free"),
        (&["--role", "admin", "--data", "nowhere"], "there is no data directory nowhere"),
        (&["--role", "admin", "--data", "full"], "full is no data directory"),
    ] {
        let output = place.run(&[&["token", "--sub", "me"], arguments].concat()).await;
        assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}");
        assert!(text(&output.stderr).contains(told), "{arguments:?}: {}", text(&output.stderr));
    }
    assert!(!place.path("nowhere").exists());
    // A role whose rows are told by a claim: it is said which one, and the token is made.
    let output = place.run(&["token", "--sub", "me", "--role", "mine"]).await;
    assert!(output.status.success() && text(&output.stderr).contains("--claim account=VALUE"), "{}", text(&output.stderr));
    let output = place.run(&["token", "--sub", "me", "--role", "mine", "--claim", "account=a", "--plan", "free"]).await;
    assert_eq!((output.status.success(), text(&output.stderr)), (true, String::new()));
    // A start says the same of the tokens that it prints, and serves them.
    let (_child, url, said) = place.serve(&[]).await;
    assert!(said.contains("--claim account=VALUE") && said.contains("`holdfast token --sub me --role mine`"), "{said}");
    let token = text(&output.stdout);
    let read = client::http().build().unwrap().get(format!("{url}/v1/notes")).bearer_auth(token.trim());
    assert_eq!(read.send().await.unwrap().status(), 200);
    // The model is the one that the directory was served with, wherever the command runs.
    let elsewhere = tempfile::tempdir().unwrap();
    let data = place.path(".holdfast");
    let mut command = place.command(&["token", "--sub", "me", "--role", "boss", "--data", data.to_str().unwrap()]);
    let output = command.current_dir(elsewhere.path()).output().await.unwrap();
    assert!(text(&output.stderr).contains("no role boss"), "{}", text(&output.stderr));
}

#[tokio::test]
async fn a_check_says_what_an_issuer_comes_to() {
    let place = Scratch::new();
    let issuer =
        "auth: {issuers: {pool: {provider: cognito, issuer: 'https://cognito-idp.eu-west-1.amazonaws.com/p', clients: [web]}}}\n";
    std::fs::write(place.path("model.yaml"), format!("{MODEL}{issuer}")).unwrap();
    let told = text(&place.run(&["model", "check"]).await.stdout);
    assert!(told.contains("issuer pool: cognito") && told.contains("client_id must be web"), "{told}");
    assert!(told.contains("roles are in cognito:groups"), "{told}");
    let told = place.run(&["model", "check", "--format", "json"]).await.stdout;
    let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(told["summary"]["issuers"][0]["provider"], "cognito", "{told}");
}

#[tokio::test]
async fn a_data_directory_is_served_once() {
    let place = Scratch::new();
    let (_child, ..) = place.serve(&[]).await;
    let mut options = Options::in_memory(MODEL);
    options.data = Some(place.path(".holdfast"));
    let refused = Local::start(options).await.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(refused.contains("served by another process"), "{refused}");
}

#[tokio::test]
async fn verify_and_reindex_work_beside_the_server_of_the_directory() {
    use std::os::unix::fs::PermissionsExt;
    let place = Scratch::new();
    let (mut child, url, _) = place.serve(&[]).await;
    let left = std::fs::metadata(place.path(".holdfast").join("functions.env")).unwrap();
    assert_eq!(left.permissions().mode() & 0o777, 0o600, "it says where the stores are and what they take");
    std::fs::write(place.path("n.ndjson"), "{\"id\":\"a\",\"text\":\"one\"}\n").unwrap();
    // From another directory there is no model.yaml to know the plural by.
    let elsewhere = tempfile::tempdir().unwrap();
    let (data, lines) = (place.path(".holdfast"), place.path("n.ndjson"));
    let (data, lines) = (data.to_str().unwrap(), lines.to_str().unwrap());
    let mut import = place.command(&["import", "note", lines, "--url", &url, "--data", data]);
    let imported = import.current_dir(elsewhere.path()).output().await.unwrap();
    assert_eq!(text(&imported.stdout), "notes: 1 created, 0 already there, 0 refused\n", "{}", text(&imported.stderr));
    for arguments in [&["verify"][..], &["verify", "--repair"], &["reindex", "note", "by_parent", "--settle", "1s"]] {
        let output = place.run(arguments).await;
        assert!(output.status.success(), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
        assert!(text(&output.stdout).contains("1 records"), "{arguments:?}: {}", text(&output.stdout));
    }
    signal(&child, "-KILL");
    child.wait().await.unwrap();
    assert!(place.run(&["verify"]).await.status.success(), "nobody holds the directory any more");
}

#[tokio::test]
async fn subjects_are_migrated_beside_the_server_and_after_it() {
    let place = Scratch::new();
    let with_owner = MODEL.replace("      parent:", "      owner: {type: string, max: 12}\n      parent:").replace(
        "  admin: {all: true, system: all}\n",
        "  admin: {all: true, system: all}\n  owner: {entities: {note: {read: {rows: {owner: $subject}}}}}\n",
    );
    let issuer = "auth: {issuers: {shop: {issuer: i, jwks_uri: 'https://k.example/', audiences: [a]}}}\n";
    std::fs::write(place.path("model.yaml"), &with_owner).unwrap();
    std::fs::write(place.path("two.yaml"), format!("{with_owner}{issuer}")).unwrap();
    let (mut child, url, _) = place.serve(&[]).await;
    let lines = "{\"id\":\"a\",\"text\":\"one\",\"owner\":\"me\"}\n{\"id\":\"b\",\"text\":\"two\"}\n";
    std::fs::write(place.path("n.ndjson"), lines).unwrap();
    assert!(place.run(&["import", "note", "n.ndjson", "--url", &url]).await.status.success());
    let told = async |arguments: &[&str]| {
        let output = place.run(&[&["migrate"], arguments].concat()).await;
        (output.status.code().unwrap(), format!("{}{}", text(&output.stdout), text(&output.stderr)))
    };
    let to_local = ["--subject-issuer", "local"];
    for (arguments, code, said) in [
        (&["--model", "two.yaml", "--subjects", "--plan"][..], 2, "one of `shop`, `local`"),
        (&["--subject-issuer", "nobody"], 2, "there is no issuer `nobody`"),
        (&["--from", "x"], 2, "--subject-issuer"),
        (&["--subject-issuer", "local", "--plan"], 10, "note.owner: 1 value\n2 records: 1 would change, 0 values cannot"),
        (&["--subjects", "--plan"], 10, "1 would change"),
        (&to_local, 0, "2 records: 1 changed, 0 values cannot"),
        (&to_local, 0, "2 records: 0 changed, 0 values cannot"),
        (&["--subject-issuer", "local", "--plan"], 0, "2 records: 0 would change, 0 values cannot"),
    ] {
        let (status, output) = told(arguments).await;
        assert_eq!(status, code, "{arguments:?}: {output}");
        assert!(output.contains(said), "{arguments:?}: {output}");
    }
    let token = text(&place.run(&["token", "--sub", "me", "--role", "owner"]).await.stdout);
    let read = client::http().build().unwrap().get(format!("{url}/v1/notes/a")).bearer_auth(token.trim());
    assert_eq!(read.send().await.unwrap().status(), 200);
    signal(&child, "-TERM");
    child.wait().await.unwrap();
    let (status, output) = told(&["--model", "two.yaml", "--subject-issuer", "shop", "--from", "local"]).await;
    assert_eq!((status, output.contains("note.owner: 1 value")), (0, true), "{output}");
    std::fs::write(place.path("narrow.yaml"), with_owner.replace("max: 12", "max: 7")).unwrap();
    let (status, output) = told(&["--model", "narrow.yaml", "--subject-issuer", "local", "--from", "shop"]).await;
    assert_eq!(status, 1, "{output}");
    assert!(output.contains("cannot change note/a owner: it would be \"local:me\", which must have at most 7"), "{output}");
    std::fs::write(place.path("without.yaml"), MODEL).unwrap();
    let (status, output) = told(&["--subjects", "--model", "without.yaml"]).await;
    assert_eq!((status, output.contains("nothing to do")), (0, true), "{output}");
}

#[tokio::test]
async fn stored_data_follows_the_model() {
    let place = Scratch::new();
    let newer = MODEL.replace(
        "max: 100, required: true}",
        "max: 100, required: true, unique: true}\n      kind: {type: string, max: 9, required: true}",
    );
    std::fs::write(place.path("newer.yaml"), &newer).unwrap();
    let (mut child, url, _) = place.serve(&[]).await;
    std::fs::write(place.path("n.ndjson"), "{\"id\":\"a\",\"text\":\"one\"}\n{\"id\":\"b\",\"text\":\"one\"}\n").unwrap();
    assert!(place.run(&["import", "note", "n.ndjson", "--url", &url]).await.status.success());
    signal(&child, "-TERM");
    child.wait().await.unwrap();
    let told = async |arguments: &[&str]| {
        let output = place.run(&[&["migrate", "--model", "newer.yaml"], arguments].concat()).await;
        (output.status.code().unwrap(), format!("{}{}", text(&output.stdout), text(&output.stderr)))
    };
    for (arguments, code, said) in [
        (&["--plan"][..], 10, "build the unique values of note.text"),
        (&["--plan"], 10, "run `holdfast migrate --prepare`"),
        (&["--plan", "--format", "json"], 10, "\"needed_before\": true"),
        (&["--fill", "note.kind"], 2, "is not of the form ENTITY.FIELD=VALUE"),
        (&["--fill", "note.sort=x"], 2, "`note` has no field `sort`"),
        (&["--fill", "note.kind=much too long for it"], 2, "is no value of note.kind"),
        (&["--prepare"], 1, "--fill note.kind=VALUE"),
        (&["--fill", "note.kind=memo"], 1, "unique note.text: note/"),
    ] {
        let (status, output) = told(arguments).await;
        assert_eq!(status, code, "{arguments:?}: {output}");
        assert!(output.contains(said), "{arguments:?}: {output}");
    }
    let (mut child, url, said) = place.serve(&["--model", "newer.yaml"]).await;
    assert!(said.contains("not as the model wants it"), "{said}");
    let token = text(&place.run(&["token", "--sub", "me", "--role", "admin"]).await.stdout);
    let delete = client::http().build().unwrap().delete(format!("{url}/v1/notes/b")).bearer_auth(token.trim());
    assert_eq!(delete.send().await.unwrap().status(), 204);
    signal(&child, "-TERM");
    child.wait().await.unwrap();
    let (status, output) = told(&[]).await;
    assert_eq!((status, output.contains("the stored data is as the model wants it")), (0, true), "{output}");
    assert_eq!(told(&["--plan"]).await.0, 0);
    // A start with the model of before, and one with the newer again, bring the data along by themselves.
    let (mut child, ..) = place.serve(&[]).await;
    signal(&child, "-TERM");
    child.wait().await.unwrap();
    let (mut child, _, said) = place.serve(&["--model", "newer.yaml"]).await;
    assert!(!said.contains("not as the model wants it"), "{said}");
    signal(&child, "-TERM");
    child.wait().await.unwrap();
    let verify = place.run(&["verify", "--model", "newer.yaml"]).await;
    assert!(text(&verify.stdout).contains(" 0 problems"), "{}", text(&verify.stdout));
}

#[tokio::test]
async fn records_survive_a_kill_and_an_import_is_repeatable() {
    let place = Scratch::new();
    let lines = "{\"key\":\"b\",\"text\":\"two\",\"parent_id\":\"a\",\"x\":1}\n{\"key\":\"a\",\"text\":\"one\",\"x\":2}\n{\"key\":\"c\"}\n";
    std::fs::write(place.path("notes.ndjson"), lines).unwrap();
    let (mut child, url, _) = place.serve(&[]).await;
    let import = ["import", "note", "notes.ndjson", "--url", &url, "--rename", "key=id", "--drop", "x"];
    let output = place.run(&import).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "notes: 2 created, 0 already there, 1 refused\n", "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("refused notes.ndjson:3: 422 "), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("/text"), "{}", text(&output.stderr));
    signal(&child, "-KILL");
    child.wait().await.unwrap();

    let (mut child, url, _) = place.serve(&[]).await;
    let token = place.run(&["token", "--sub", "me", "--role", "admin"]).await;
    let read = client::http().build().unwrap().get(format!("{url}/v1/notes/b")).bearer_auth(text(&token.stdout).trim());
    let record: serde_json::Value = serde_json::from_slice(&read.send().await.unwrap().bytes().await.unwrap()).unwrap();
    assert_eq!((&record["text"], &record["parent_id"]), (&"two".into(), &"a".into()));
    let again = ["import", "notes", "notes.ndjson", "--url", &url, "--rename", "key=id", "--drop", "x"];
    assert_eq!(text(&place.run(&again).await.stdout), "notes: 0 created, 2 already there, 1 refused\n");
    signal(&child, "-TERM");
    child.wait().await.unwrap();

    let verify = place.run(&["verify"]).await;
    assert!(verify.status.success(), "{}{}", text(&verify.stdout), text(&verify.stderr));
    assert!(text(&verify.stdout).contains(" 0 problems"), "{}", text(&verify.stdout));
}

/// Creates records `WRITER-0`, `WRITER-1`, ..., each with the one before as its parent, until the server is gone; how many were acknowledged.
async fn write_until_gone(url: &str, token: &str, writer: usize, done: &AtomicUsize) -> usize {
    let client = client::http().build().unwrap();
    for number in 0_usize.. {
        let parent = number.checked_sub(1).map(|before| format!("{writer}-{before}"));
        let body = serde_json::json!({"id": format!("{writer}-{number}"), "text": "t", "parent_id": parent});
        let sent = client.post(format!("{url}/v1/notes")).bearer_auth(token).json(&body).send().await;
        match sent.map(|response| response.status().as_u16()) {
            Ok(201) => done.fetch_add(1, Ordering::SeqCst),
            Ok(other) => panic!("{other}"),
            Err(_) => return number,
        };
    }
    unreachable!()
}

#[tokio::test]
async fn a_kill_amid_writes_loses_no_acknowledged_one_and_leaves_none_by_halves() {
    let place = Scratch::new();
    let (mut child, url, _) = place.serve(&[]).await;
    let token = text(&place.run(&["token", "--sub", "me", "--role", "admin"]).await.stdout).trim().to_owned();
    let done = Arc::<AtomicUsize>::default();
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (url, token, done) = (url.clone(), token.clone(), done.clone());
            tokio::spawn(async move { write_until_gone(&url, &token, writer, &done).await })
        })
        .collect();
    while done.load(Ordering::SeqCst) < 200 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    signal(&child, "-KILL");
    child.wait().await.unwrap();
    let (mut child, url, _) = place.serve(&[]).await;
    let client = client::http().build().unwrap();
    for (writer, acknowledged) in futures::future::join_all(writers).await.into_iter().enumerate() {
        for number in 0..acknowledged.unwrap() {
            let read = client.get(format!("{url}/v1/notes/{writer}-{number}")).bearer_auth(&token).send().await.unwrap();
            assert_eq!(read.status(), 200, "{writer}-{number} was acknowledged");
        }
    }
    signal(&child, "-TERM");
    child.wait().await.unwrap();
    let verify = place.run(&["verify"]).await;
    assert!(verify.status.success(), "{}{}", text(&verify.stdout), text(&verify.stderr));
    assert!(text(&verify.stdout).contains(" 0 problems"), "{}", text(&verify.stdout));
}

#[tokio::test]
async fn mistakes_are_told_with_their_place() {
    let place = Scratch::new();
    std::fs::write(place.path("wrong.yaml"), MODEL.replace("max: 100", "maximum: 100")).unwrap();
    for arguments in [&["model", "check", "wrong.yaml"][..], &["--memory", "--model", "wrong.yaml"]] {
        let output = place.run(arguments).await;
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(text(&output.stderr).contains("wrong.yaml:8:"), "{}", text(&output.stderr));
    }
    let checked = text(&place.run(&["model", "check", "wrong.yaml"]).await.stderr);
    assert!(checked.starts_with("error: wrong.yaml:8:"), "{checked}");
    let shown = include_str!("../../../docs/model.md");
    assert!(shown.contains("\nerror: model.yaml:12:5: ") && !shown.contains("\nmodel.yaml:"), "the manual shows it so too");
    let missing = place.run(&["--memory", "--model", "nowhere.yaml"]).await;
    assert!(text(&missing.stderr).contains("nowhere.yaml"), "{}", text(&missing.stderr));
    let diff = place.run(&["model", "diff", "model.yaml", "model.yaml"]).await;
    assert_eq!((diff.status.code(), text(&diff.stdout)), (Some(0), "no difference\n".to_owned()));
    let unknown = place.run(&["model", "diff", "model.yaml", "--role", "admin", "--to", "nobody"]).await;
    assert!(text(&unknown.stderr).contains("no role nobody; it has"), "{}", text(&unknown.stderr));
    let same = place.run(&["model", "diff", "model.yaml", "--role", "admin"]).await;
    assert_eq!((same.status.code(), text(&same.stdout)), (Some(0), "no difference\n".to_owned()));
}

#[tokio::test]
async fn a_difference_has_an_exit_code_and_a_form_for_programs() {
    let place = Scratch::new();
    let write = |name: &str, text: String| std::fs::write(place.path(name), text).unwrap();
    write("wider.yaml", MODEL.replace("max: 100", "max: 101"));
    write("filled.yaml", MODEL.replace("      parent:", "      mark: {type: boolean, fill: false}\n      parent:"));
    write("narrow.yaml", MODEL.replace("max: 100", "max: 9"));
    for (new, code, breaks, steps) in
        [("model.yaml", 0, false, 0), ("wider.yaml", 0, false, 0), ("filled.yaml", 10, false, 1), ("narrow.yaml", 11, true, 1)]
    {
        let output = place.run(&["model", "diff", "model.yaml", new, "--format", "json"]).await;
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let found = (output.status.code(), said["breaks_clients"].as_bool(), said["steps"].as_array().unwrap().len());
        assert_eq!(found, (Some(code), Some(breaks), steps), "{new}: {said:#}");
        assert_eq!((&said["exit_code"], said["needs_migration"].as_bool()), (&code.into(), Some(steps > 0)), "{new}");
        let shown = place.run(&["model", "diff", "model.yaml", new]).await;
        assert_eq!(shown.status.code(), Some(code));
        assert_eq!(text(&shown.stdout).contains("\nbefore  "), steps > 0, "{}", text(&shown.stdout));
    }
    assert_eq!(place.run(&["model", "diff", "model.yaml"]).await.status.code(), Some(2), "a usage");
    assert_eq!(place.run(&["model", "diff", "model.yaml", "nowhere.yaml"]).await.status.code(), Some(1), "a failure");
    let role = place.run(&["model", "diff", "model.yaml", "--role", "admin", "--format", "json"]).await;
    let said: serde_json::Value = serde_json::from_slice(&role.stdout).unwrap();
    assert_eq!((role.status.code(), &said["changes"]), (Some(0), &serde_json::json!([])));
}

#[tokio::test]
async fn a_model_is_checked_for_readers_and_for_programs() {
    let place = Scratch::new();
    let right = text(&place.run(&["model", "check"]).await.stdout);
    assert!(right.contains("no mistakes\n") && !right.contains("at most"), "{right}");
    let ceilings = text(&place.run(&["model", "check", "--ceilings"]).await.stdout);
    assert!(ceilings.contains("at most") && ceilings.contains(" a second "), "{ceilings}");
    std::fs::write(place.path("wrong.yaml"), MODEL.replace("max: 100", "maximum: 100")).unwrap();
    std::fs::write(place.path("odd.yaml"), MODEL.replace("max: 100", "max: 0")).unwrap();
    for (model, code, mistakes, warned) in [("wrong.yaml", 1, 1, false), ("odd.yaml", 0, 0, true)] {
        let output = place.run(&["model", "check", model, "--format", "json"]).await;
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), said["ok"].as_bool()), (Some(code), Some(code == 0)), "{said:#}");
        assert_eq!(said["mistakes"].as_array().unwrap().len(), mistakes, "{said:#}");
        let place_of = |list: &str| said[list][0]["line"].as_u64();
        assert_eq!(place_of(if warned { "warnings" } else { "mistakes" }), Some(8), "{said:#}");
        assert!(said.get("ceilings").is_none() && said["summary"].is_null() == !warned, "{said:#}");
    }
    let schema: serde_json::Value = serde_json::from_slice(&place.run(&["schema"]).await.stdout).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

#[tokio::test]
async fn the_key_is_private_and_a_token_is_all_that_is_printed() {
    use std::os::unix::fs::PermissionsExt;
    let place = Scratch::new();
    let output = place.run(&["token", "--sub", "u", "--role", "admin", "--claim", "level=3", "--expires", "2h"]).await;
    let token = text(&output.stdout);
    assert_eq!(token.trim_end().matches('.').count(), 2);
    assert_eq!(token.lines().count(), 1);
    let key = Path::new(&place.path(".holdfast")).join("signing-key");
    assert_eq!(std::fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
}
