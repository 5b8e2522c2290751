//! Searching ended conversations and the activity log.

use epilogue_core::{
    EndReason, EndRequest, Session, SessionId, Span, StepId, StepKind, Timestamp, event::Activity,
};
use serde_json::{Map, Value, json};

use super::{
    Backend,
    fixture::{START, World, at},
    prelude::*,
};
use crate::{
    ActivityFilter, ActivityKind, ActivityOrder, ActivityText, OffsetPage, Product, Result,
    ResultFacets, ResultFilter, ResultOrder, ResultRecord, StepReport, Storage,
};

const PAGE: OffsetPage = OffsetPage { skip: 0, limit: 100, descending: true };

fn members(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).expect("an object")
}

fn record(session: &Session, more: impl FnOnce(&mut ResultRecord)) -> ResultRecord {
    let mut record = ResultRecord {
        session: session.id,
        dialect: session.dialect.clone(),
        agent: session.agent.id.clone(),
        reason: EndReason::UserEnd,
        opened_at: START,
        ended_at: at(10),
        active: Span::from_secs(5),
        endpoint: "web".into(),
        data: Map::new(),
    };
    more(&mut record);
    record
}

/// Ends session `n` and has the step keep it so. Its id.
async fn kept<S: Storage>(
    world: &World<S>,
    n: u32,
    words: &str,
    more: impl FnOnce(&mut ResultRecord),
) -> Result<SessionId> {
    let session = searchable(world, n).await?;
    let record = record(&session, more);
    let products = vec![Product::Result(Box::new(record), words.into())];
    let step = StepId::own(session.id, StepKind::RecordResult);
    world.work(step, StepReport::Done, products, at(20)).await?;
    Ok(session.id)
}

/// A session that has ended and owes its place in the search.
async fn searchable<S: Storage>(world: &World<S>, n: u32) -> Result<Session> {
    let mut session = world.session_at(n, START);
    session.profile.searchable = true;
    world.open(&session).await?;
    let end = EndRequest::asked(EndReason::UserEnd);
    world.store.end(&world.org, session.id, end, at(10)).await?;
    Ok(session)
}

fn all() -> ResultFilter {
    ResultFilter::of("native".into())
}

async fn found<S: Storage>(world: &World<S>, filter: &ResultFilter) -> Result<Vec<SessionId>> {
    let hits = world.store.search_results(&world.org, filter, ResultOrder::EndedAt, PAGE).await?;
    assert_eq!(hits.total as usize, hits.items.len());
    Ok(hits.items.into_iter().map(|hit| hit.record.session).collect())
}

fn words(text: &str) -> ResultFilter {
    ResultFilter { words: text.split_whitespace().map(str::to_owned).collect(), ..all() }
}

pub async fn a_result_is_found_as_it_was_kept(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let data = members(json!({ "a b": "x", "n": 1.5, "deep": [null] }));
    let id = kept(&world, 1, "Hello there", |record| record.data = data).await?;
    let hits = world.store.search_results(&world.org, &all(), ResultOrder::EndedAt, PAGE).await?;
    let session = world.stored(id).await?;
    let data = members(json!({ "a b": "x", "n": 1.5, "deep": [null] }));
    let expected = record(&session, |record| record.data = data);
    assert_eq!((&hits.items[0].record, hits.items[0].score, hits.total), (&expected, None, 1));
    assert_eq!(world.store.result(&world.org, id).await?, Some(expected));
    let scored = words("HELLO");
    let hits = world.store.search_results(&world.org, &scored, ResultOrder::Score, PAGE).await?;
    assert!(hits.items[0].score.is_some());
    assert!(hits.items[0].excerpt.as_ref().is_some_and(|text| text.contains("Hello there")));
    Ok(())
}

pub async fn results_are_searched_by_each_part_and_by_words(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let one = kept(&world, 1, "My invoice, s'il vous plaît", |record| {
        record.ended_at = at(1);
        record.data = members(json!({ "tier": "gold", "n": 1 }));
    })
    .await?;
    let two = kept(&world, 2, "invoice \"NOT\" paid", |record| {
        record.ended_at = at(2);
        record.reason = EndReason::Failed;
        record.endpoint = "+1".into();
        record.agent = "agent_2".into();
    })
    .await?;
    let filters = [
        (ResultFilter { agents: vec!["agent_2".into()], ..all() }, vec![two]),
        (ResultFilter { reasons: Some(vec![EndReason::Failed]), ..all() }, vec![two]),
        (ResultFilter { reasons: Some(vec![]), ..all() }, vec![]),
        (ResultFilter { ended_from: Some(at(2)), ..all() }, vec![two]),
        (ResultFilter { ended_until: Some(at(1)), ..all() }, vec![one]),
        (ResultFilter { sessions: Some(vec![one]), ..all() }, vec![one]),
        (ResultFilter { endpoint: Some("+1".into()), ..all() }, vec![two]),
        (ResultFilter { data: vec![("tier".into(), json!("gold"))], ..all() }, vec![one]),
        (ResultFilter { data: vec![("n".into(), json!(1))], ..all() }, vec![one]),
        (ResultFilter { data: vec![("n".into(), json!("1"))], ..all() }, vec![]),
        (ResultFilter { data: vec![("\"\\".into(), json!(1))], ..all() }, vec![]),
        (ResultFilter::of("other".into()), vec![]),
        (words("INVOICE"), vec![two, one]),
        (words("plait invoice"), vec![one]),
        (words("not"), vec![two]),
        (words("\"not\""), vec![two]),
        (words("invoice zebra"), vec![]),
        (words("& invoice …"), vec![two, one]),
        (words("&"), vec![]),
        (words("pl\0aît"), vec![]),
        (words("invoice\0paid"), vec![]),
        (ResultFilter { data: vec![("a\0".into(), json!(1))], ..all() }, vec![]),
        (ResultFilter { agents: vec!["agent_2".into()], ..words("invoice") }, vec![two]),
        (ResultFilter { endpoint: Some("+1".into()), ended_until: Some(at(1)), ..all() }, vec![]),
    ];
    for (filter, expected) in filters {
        assert_eq!(found(&world, &filter).await?, expected, "{filter:?}");
    }
    Ok(())
}

pub async fn results_have_pages_orders_and_facets(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let mut ids = Vec::new();
    for n in 0..4u32 {
        let id = kept(&world, n + 1, "word", |record| {
            record.ended_at = at(u64::from(n) * 86_400);
            record.active = Span::from_secs(u64::from(10 - n));
            record.endpoint = if n == 0 { "a".into() } else { "b".into() };
            record.data = members(json!({ "half": n / 2 }));
        })
        .await?;
        ids.push(id);
    }
    let search = async |order, skip, limit, descending| {
        let page = OffsetPage { skip, limit, descending };
        let hits = world.store.search_results(&world.org, &all(), order, page).await?;
        assert_eq!(hits.total, 4);
        let found: Vec<_> = hits.items.iter().map(|hit| hit.record.session).collect();
        Ok::<_, crate::Error>(found)
    };
    assert_eq!(search(ResultOrder::EndedAt, 0, 2, false).await?, ids[..2]);
    assert_eq!(search(ResultOrder::EndedAt, 2, 2, false).await?, ids[2..]);
    assert_eq!(search(ResultOrder::EndedAt, 0, 1, true).await?, ids[3..]);
    assert_eq!(search(ResultOrder::Active, 0, 1, true).await?, ids[..1]);
    assert_eq!(search(ResultOrder::Endpoint, 0, 1, false).await?, ids[..1]);
    assert_eq!(search(ResultOrder::EndedAt, 9, 5, true).await?, []);
    let members = ["half".to_owned(), "none".to_owned()];
    let facets = world.store.result_facets(&world.org, &all(), &members).await?;
    let count = |value: &str, count| (value.to_owned(), count);
    let day = |n: u64| at(n * 86_400).to_jiff().strftime("%Y-%m-%d").to_string();
    let expected = ResultFacets {
        reasons: vec![count("user_end", 4)],
        agents: vec![count("agent_busy", 4)],
        endpoints: vec![count("b", 3), count("a", 1)],
        days: (0..4).map(|n| (day(n), 1)).collect(),
        data: vec![("half".into(), vec![count("0", 2), count("1", 2)]), ("none".into(), vec![])],
    };
    assert_eq!(facets, expected);
    Ok(())
}

pub async fn what_is_purged_leaves_the_search(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let id = kept(&world, 1, "secret words", |record| {
        record.data = members(json!({ "name": "Ann" }));
    })
    .await?;
    assert_eq!(found(&world, &words("secret")).await?, [id]);
    world.finalize(id, at(30)).await?;
    assert_eq!(found(&world, &words("secret")).await?, [], "its words are gone");
    let left = world.store.result(&world.org, id).await?.expect("that it was had stays");
    assert_eq!((left.endpoint.as_str(), left.data), ("", Map::new()));
    assert_eq!(found(&world, &all()).await?, [id]);
    Ok(())
}

pub async fn anothers_results_are_in_no_search(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let other = world.neighbour("org_2").await?;
    let id = kept(&world, 1, "mine", |_| ()).await?;
    for filter in [all(), words("mine"), ResultFilter { sessions: Some(vec![id]), ..all() }] {
        assert_eq!(found(&other, &filter).await?, []);
        let facets = other.store.result_facets(&other.org, &filter, &[]).await?;
        assert_eq!(facets, ResultFacets::default());
    }
    assert_eq!(other.store.result(&other.org, id).await?, None);
    assert_eq!(found(&world, &words("mine")).await?, [id]);
    let any = ActivityFilter::default();
    let (log, counts) =
        other.store.search_activity(&other.org, &any, ActivityOrder::At, PAGE).await?;
    assert_eq!((log.items, counts), (vec![], vec![]));
    Ok(())
}

async fn entries<S: Storage>(world: &World<S>, filter: ActivityFilter) -> Result<Vec<String>> {
    let search = world.store.search_activity(&world.org, &filter, ActivityOrder::At, PAGE);
    let (found, counts) = search.await?;
    assert_eq!(found.total as usize, found.items.len());
    assert_eq!(counts.iter().map(|count| count.count).sum::<u32>(), found.total);
    Ok(found.items.into_iter().map(|entry: Activity| entry.kind).collect())
}

fn kind(kind: &str, failed: Option<bool>) -> ActivityKind {
    ActivityKind { kind: kind.into(), failed }
}

fn text(text: &str, kinds: Vec<ActivityKind>) -> ActivityFilter {
    let end_members = vec!["note".into()];
    let text = Some(ActivityText { text: text.into(), kinds, reasons: Vec::new(), end_members });
    ActivityFilter { text, ..ActivityFilter::default() }
}

fn with_reasons(reasons: Vec<EndReason>) -> ActivityFilter {
    let text =
        ActivityText { text: "zebra".into(), kinds: Vec::new(), reasons, end_members: Vec::new() };
    ActivityFilter { text: Some(text), ..ActivityFilter::default() }
}

pub async fn the_activity_log_is_searched_by_each_part(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let end = async |n, reason, note: Option<&str>, by: Option<&str>, now: Timestamp| {
        let session = world.opened(n).await?;
        let request = EndRequest {
            note: note.map(str::to_owned),
            by: by.map(str::to_owned),
            ..EndRequest::asked(reason)
        };
        world.store.end(&world.org, session.id, request, now).await?;
        Ok::<_, crate::Error>(session.id)
    };
    let one = end(1, EndReason::UserEnd, Some("Grüße, \"100%\"\n"), Some("key_1"), at(1)).await?;
    end(2, EndReason::Failed, None, None, at(2)).await?;
    let any = ActivityFilter::default;
    let ended = "session.ended";
    let filters = [
        (any(), 2),
        (ActivityFilter { kinds: Some(vec![]), ..any() }, 0),
        (ActivityFilter { kinds: Some(vec![kind(ended, None)]), ..any() }, 2),
        (ActivityFilter { kinds: Some(vec![kind(ended, Some(true))]), ..any() }, 1),
        (ActivityFilter { kinds: Some(vec![kind(ended, Some(false))]), ..any() }, 1),
        (ActivityFilter { by_someone: Some(true), ..any() }, 1),
        (ActivityFilter { by_someone: Some(false), ..any() }, 1),
        (ActivityFilter { sessions: Some(vec![one]), ..any() }, 1),
        (ActivityFilter { sessions: Some(vec![]), ..any() }, 0),
        (ActivityFilter { agents: Some(vec!["agent_busy".into()]), ..any() }, 2),
        (ActivityFilter { agents: Some(vec!["other".into()]), ..any() }, 0),
        (ActivityFilter { from: Some(at(2)), ..any() }, 1),
        (ActivityFilter { until: Some(at(1)), ..any() }, 1),
        (text("GRÜSSE", vec![]), 0),
        (text("GRÜßE", vec![]), 1),
        (text("\"100%\"\n", vec![]), 1),
        (text("zebra", vec![kind(ended, Some(true))]), 1),
        (text("zebra", vec![]), 0),
        (text("KEY_1", vec![]), 1),
        (text("reason", vec![]), 0),
        (text("user_end", vec![]), 0),
        (with_reasons(vec![EndReason::UserEnd]), 1),
        (with_reasons(vec![EndReason::Idle]), 0),
    ];
    for (filter, expected) in filters {
        let found = entries(&world, filter.clone()).await?;
        assert_eq!(found.len(), expected, "{filter:?}");
    }
    let page = OffsetPage { skip: 1, limit: 1, descending: false };
    let every = any();
    let search = world.store.search_activity(&world.org, &every, ActivityOrder::Kind, page);
    let (second, counts) = search.await?;
    assert_eq!((second.total, second.items[0].at), (2, at(2)));
    assert_eq!(counts.len(), 2, "whatever the page shows: {counts:?}");
    Ok(())
}
