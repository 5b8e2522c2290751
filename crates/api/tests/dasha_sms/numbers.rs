//! P2, and how numbers come to be.

use http::Method;
use serde_json::json;

use crate::{
    client::{get, keyed, post, problem, wrong},
    support::{AGENT, CHAT_AGENT, FOREIGN_AGENT, FOREIGN_KEY, READ_KEY},
    texting::{OURS, Texting},
};

#[tokio::test]
async fn p2_a_number_has_one_inbound_agent_and_relinking_replaces_it() {
    let texting = Texting::start().await;
    let first = texting.link(json!({ "agentId": CHAT_AGENT, "mode": "inbound" })).await;
    assert_eq!(
        first.json(),
        json!({
            "id": texting.number, "orgId": "org_acme", "phoneNumber": OURS, "credentialsId": null,
            "createdTime": "2024-01-15T10:00:00.000Z", "lastUpdateTime": "2024-01-15T10:00:00.000Z",
            "registrationStatus": null, "registration": null, "displayName": null,
            "description": null, "providerId": texting.provider,
            "incomingCallsAgentId": CHAT_AGENT,
        })
    );
    let second = texting.link(json!({ "agentId": AGENT })).await;
    assert_eq!(second.json()["incomingCallsAgentId"], AGENT);
    let list = texting.fixture.send(get("/sip-phone-numbers")).await.json();
    assert_eq!(list, json!([second.json()]));
    let nobody = texting.link(json!({ "agentId": null })).await;
    assert_eq!(nobody.json()["incomingCallsAgentId"], json!(null));
}

#[tokio::test]
async fn p2_what_is_wrong_with_a_link_is_said() {
    let texting = Texting::start().await;
    for agent in ["nobody", FOREIGN_AGENT] {
        wrong(&texting.link(json!({ "agentId": agent })).await, 400, "agentId");
    }
    wrong(&texting.link(json!({})).await, 400, "agentId");
    wrong(&texting.link(json!({ "agentId": AGENT, "mode": "sideways" })).await, 400, "mode");
    let outbound = json!({ "agentId": AGENT, "mode": "replaceOutbound" });
    wrong(&texting.link(outbound).await, 422, "mode");
    let link = |key: &str, id: &str| {
        let path = format!("/sip-phone-numbers/{id}/agent-link");
        keyed(key, Method::PUT, &path, json!({ "agentId": null }).to_string())
    };
    problem(&texting.fixture.send(link(crate::support::KEY, "none")).await, 404);
    problem(&texting.fixture.send(link(FOREIGN_KEY, &texting.number)).await, 404);
    problem(&texting.fixture.send(link(READ_KEY, &texting.number)).await, 403);
    let list = texting.fixture.send(get("/sip-phone-numbers")).await.json();
    assert_eq!(list[0]["incomingCallsAgentId"], CHAT_AGENT, "nothing changed");
}

#[tokio::test]
async fn a_number_is_added_once_to_an_account_of_the_organization() {
    let texting = Texting::start().await;
    let add = |number: &str, provider: &str| {
        post("/sip-phone-numbers", &json!({ "phoneNumber": number, "providerId": provider }))
    };
    let own = &*texting.provider;
    problem(&texting.fixture.send(add(OURS, own)).await, 409);
    wrong(&texting.fixture.send(add("+18005551213", "none")).await, 400, "providerId");
    for bad in ["", "8005551212x", "+", "12", "+1234567890123456", "1-800"] {
        wrong(&texting.fixture.send(add(bad, own)).await, 400, "phoneNumber");
    }
    for good in ["123", "+123456789012345"] {
        assert_eq!(texting.fixture.send(add(good, own)).await.status, 201, "{good}");
    }
    let foreign = json!({ "phoneNumber": "+18005551214", "providerId": own }).to_string();
    let foreign = keyed(FOREIGN_KEY, Method::POST, "/sip-phone-numbers", foreign);
    wrong(&texting.fixture.send(foreign).await, 400, "providerId");
}

#[tokio::test]
async fn names_and_descriptions_have_a_limit() {
    let texting = Texting::start().await;
    for (number, member, max) in [("700", "displayName", 100), ("701", "description", 500)] {
        let add = |chars: usize| {
            let mut body = json!({ "phoneNumber": number, "providerId": texting.provider });
            body[member] = "x".repeat(chars).into();
            post("/sip-phone-numbers", &body)
        };
        wrong(&texting.fixture.send(add(max + 1)).await, 400, member);
        let added = texting.fixture.send(add(max)).await;
        assert_eq!(added.json()[member].as_str().map(str::len), Some(max));
    }
}
