//! IAM permissions: one role per function, nothing wider than it must be, and a table in docs/security.md that lists them.
//!
//! After a change of the template `UPDATE_DOCS=1 cargo test --workspace --test system rights` rewrites the table.

use std::collections::BTreeSet;

use holdfast_tests::root;
use saphyr::{LoadableYamlNode, YamlOwned};

const BEGIN: &str = "<!-- rights: written by tests/system/rights.rs -->\n";
const END: &str = "<!-- /rights -->\n";

/// Actions that IAM allows on `*` alone (Service Authorization Reference: no resource type).
const UNNAMEABLE: &[&str] = &[
    "cloudwatch:PutMetricData",
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
];

struct Right {
    holder: String,
    actions: Vec<String>,
    resources: Vec<String>,
}

fn template() -> YamlOwned {
    let text = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    YamlOwned::load_from_str(&text).unwrap().remove(0)
}

fn child<'a>(node: &'a YamlOwned, key: &str) -> Option<&'a YamlOwned> {
    let value = node.as_mapping_get(key)?;
    Some(value.get_tagged_node().unwrap_or(value))
}

fn of_type<'a>(template: &'a YamlOwned, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a YamlOwned)> {
    let resources = child(template, "Resources").and_then(YamlOwned::as_mapping).unwrap().iter();
    let named = resources.filter_map(|(name, node)| Some((name.as_str()?, node)));
    named.filter(move |(_, node)| child(node, "Type").and_then(YamlOwned::as_str) == Some(kind))
}

/// One text or a list of them, as the template names its own resources: `!GetAtt DataTable.Arn` -> `DataTable`.
fn texts(node: &YamlOwned) -> Vec<String> {
    let node = node.get_tagged_node().unwrap_or(node);
    match node.as_vec() {
        Some(list) => list.iter().flat_map(texts).collect(),
        None => vec![node.as_str().unwrap().replace("${", "").replace('}', "").replace(".Arn", "").replace(".Id", "")],
    }
}

fn statements(document: &YamlOwned) -> impl Iterator<Item = &YamlOwned> {
    child(document, "Statement").and_then(YamlOwned::as_vec).unwrap().iter()
}

fn right(holder: String, statement: &YamlOwned) -> Right {
    let list = |name| texts(child(statement, name).unwrap_or_else(|| panic!("{holder}: a statement without {name}")));
    Right { actions: list("Action"), resources: list("Resource"), holder }
}

/// Every right that the template gives to a function: by its role, or by a policy that several roles share.
fn rights(template: &YamlOwned) -> Vec<Right> {
    let mut rights = Vec::new();
    for (name, role) in of_type(template, "AWS::IAM::Role") {
        for policy in child(role, "Properties").and_then(|it| child(it, "Policies")).and_then(YamlOwned::as_vec).unwrap() {
            rights.extend(statements(child(policy, "PolicyDocument").unwrap()).map(|it| right(name.replace("Role", ""), it)));
        }
    }
    for (name, policy) in of_type(template, "AWS::IAM::ManagedPolicy") {
        let properties = child(policy, "Properties").unwrap();
        let condition = child(policy, "Condition").and_then(YamlOwned::as_str).unwrap_or("always");
        let holder = format!("every function, if {condition} ({name})");
        rights.extend(statements(child(properties, "PolicyDocument").unwrap()).map(|it| right(holder.clone(), it)));
    }
    rights
}

fn table(rights: &[Right]) -> String {
    let mut lines = String::from("| function | actions | resources |\n|---|---|---|\n");
    let mut last = "";
    for right in rights {
        let holder = if right.holder == last { "" } else { &right.holder };
        last = &right.holder;
        lines.push_str(&format!("| {holder} | {} | {} |\n", right.actions.join(", "), right.resources.join(", ")));
    }
    lines
}

#[test]
fn every_function_has_a_role_of_its_own() {
    let template = template();
    let mut taken = BTreeSet::new();
    for (name, function) in of_type(&template, "AWS::Serverless::Function") {
        let properties = child(function, "Properties").unwrap();
        let role = child(properties, "Role").map(texts).unwrap_or_default().join("");
        assert_eq!(role, name.replace("Function", "Role"), "{name}");
        assert!(child(properties, "Policies").is_none(), "{name}: SAM ignores Policies beside Role; put them into {role}");
        assert!(taken.insert(role), "{name} shares its role");
    }
}

#[test]
fn no_right_is_wider_than_it_must_be() {
    for Right { holder, actions, resources } in rights(&template()) {
        assert!(actions.iter().all(|action| !action.contains('*')), "{holder}: {actions:?}");
        let everywhere = resources.iter().any(|resource| resource == "*");
        let unnameable = actions.iter().all(|action| UNNAMEABLE.contains(&action.as_str()));
        assert!(!everywhere || unnameable, "{holder}: {actions:?} on everything");
    }
}

#[test]
fn the_page_lists_the_permissions_of_each_function() {
    let path = root().join("docs/security.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the beginning of the table");
    let (shown, after) = rest.split_once(END).expect("the end of the table");
    let expected = table(&rights(&template()));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        return;
    }
    assert!(shown == expected, "docs/security.md differs from template.yaml; UPDATE_DOCS=1 rewrites its table:\n{expected}");
}
