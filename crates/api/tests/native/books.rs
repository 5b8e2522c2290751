//! The ledger and the balance.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::native_support::World;

fn rows(page: &Value) -> Vec<(String, String, i64)> {
    let rows = page["items"].as_array().expect("rows").iter();
    rows.map(|row| {
        let text = |name: &str| row[name].as_str().expect("a text").to_owned();
        (
            text("transaction_id"),
            text("account"),
            row["amount_micro_credits"].as_i64().expect("a number"),
        )
    })
    .collect()
}

#[tokio::test]
async fn every_page_and_every_transaction_sums_to_zero_and_the_balance_is_the_sum() {
    let world = World::start().await;
    for number in 0..5 {
        let (session, _) = world.open().await;
        world.say(&session, "Hello").await;
        world.wait(1);
        if number < 4 {
            world.end(&session).await;
        }
    }
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.get(&format!("/ledger?limit=2{cursor}")).send().await.body;
        let rows = rows(&page);
        assert_eq!(rows.iter().map(|(.., amount)| amount).sum::<i64>(), 0);
        all.extend(rows);
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let (mut transactions, mut accounts) = (HashMap::new(), HashMap::new());
    for (transaction, account, amount) in &all {
        *transactions.entry(transaction).or_insert(0) += amount;
        *accounts.entry(account.as_str()).or_insert(0) += amount;
    }
    // The opening grant, five holds, four settlements.
    assert_eq!(transactions.len(), 10);
    assert!(transactions.values().all(|sum| *sum == 0));
    let balance = world.get("/balance").send().await.body;
    assert_eq!(balance["balance_micro_credits"], accounts["balance"]);
    assert_eq!(balance["held_micro_credits"], 2_000_000);
    insta::assert_json_snapshot!("balance", balance);
}

#[tokio::test]
async fn a_session_has_one_settlement_equal_to_its_cost() {
    let world = World::start().await;
    let (session, _) = world.open().await;
    world.say(&session, "Hello").await;
    let ended = world.end(&session).await.body;
    world.end(&session).await;
    let page = world.get(&format!("/ledger?session={session}")).send().await.body;
    insta::assert_json_snapshot!("ledger_of_a_session", page);
    let revenue: i64 =
        rows(&page).iter().filter(|(_, account, _)| account == "revenue").map(|row| row.2).sum();
    assert_eq!(json!(revenue), ended["cost_micro_credits"]);
    world.get("/ledger?session=none").send().await.is_problem(404, "not-found");
}
