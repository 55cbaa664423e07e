//! The recipes of docs/changing-the-model.md, each tried: the models are read from it, and what `migrate --plan` says is compared with it.

use holdfast_tests::root;

use super::Place;

/// A recipe: its title, the model before and after, and the plan.
struct Recipe {
    title: String,
    before: String,
    after: String,
    plan: String,
}

fn recipes() -> Vec<Recipe> {
    let text = std::fs::read_to_string(root().join("docs/changing-the-model.md")).unwrap();
    text.split("\n## ").skip(1).map(recipe).collect()
}

fn recipe(section: &str) -> Recipe {
    let title = section.lines().next().unwrap().to_owned();
    let change = block(section, "diff").unwrap_or_else(|| panic!("{title}: no change"));
    let plan = block(section, "text").unwrap_or_default();
    let side = |dropped: char| {
        let kept = change.lines().filter(|line| !line.starts_with(dropped));
        // The first column of a change is its sign.
        let lines: String = kept.map(|line| format!("{}\n", line.get(1..).unwrap_or_default())).collect();
        format!("name: Shop\nversion: 1.0.0\nentities:\n{lines}roles:\n  admin: {{all: true, system: all}}\n")
    };
    Recipe { before: side('+'), after: side('-'), title, plan }
}

fn block(section: &str, language: &str) -> Option<String> {
    let (_, rest) = section.split_once(&format!("```{language}\n"))?;
    Some(rest.split_once("```")?.0.trim_end().to_owned())
}

#[tokio::test]
async fn every_recipe_says_what_is_done() {
    let recipes = recipes();
    assert!(recipes.len() >= 10, "{}", recipes.len());
    for Recipe { title, before, after, plan } in recipes {
        let mut place = Place::new(&before).await;
        let first = place.system().local().model.entities[0].plural.clone();
        place.admin().post(&format!("/v1/{first}"), serde_json::json!({"id": "17"})).await.expect(201);
        let told: Vec<String> = place.plan(&after).await.steps.iter().map(ToString::to_string).collect();
        assert_eq!(told.join("\n"), plan, "{title}");
        place.serve(&after).await;
        let left: Vec<String> = place.plan(&after).await.own().map(ToString::to_string).collect();
        assert!(left.is_empty(), "{title}: {left:?}");
        place.assert_clean().await;
    }
}
