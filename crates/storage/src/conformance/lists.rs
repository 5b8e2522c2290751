//! Lists of sessions, and their transcripts: filters and pages.

use std::{collections::HashSet, sync::Arc};

use epilogue_core::{
    EndReason, EndRequest, Message, Person, Session, SessionId, Timestamp, session::AgentVersion,
};

use super::{
    Backend,
    fixture::{START, World, at, every, quiet_agent, replied, said, tool_traffic},
    prelude::*,
};
use crate::{
    Admission, OpenOutcome, OpenRequest, PageRequest, Result, SessionFilter, StateFilter, Storage,
};

async fn ids<S: Storage>(world: &World<S>, filter: &SessionFilter) -> Result<Vec<SessionId>> {
    let list = async |page| world.store.list(&world.org, filter, &page).await;
    let one_page = every(PageRequest::LIMIT_MAX, list).await?;
    let many_pages = every(1, list).await?;
    assert_eq!(one_page, many_pages, "the size of the pages changes nothing");
    Ok(one_page.into_iter().map(|session| session.id).collect())
}

pub async fn a_list_shows_the_latest_opened_first(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let mut expected = Vec::new();
    for n in 1..=5 {
        // The third and the fourth are opened in the same millisecond.
        let session = world.session_at(n, at(u64::from(if n == 4 { 3 } else { n })));
        assert_eq!(world.open(&session).await?, OpenOutcome::Opened);
        expected.insert(0, session.id);
    }
    let mut found = ids(&world, &SessionFilter::default()).await?;
    assert_eq!(found.len(), 5);
    found[1..3].sort_by(|a, b| b.cmp(a));
    assert_eq!(found, expected);
    Ok(())
}

/// Four sessions that differ in everything a filter looks at: active, finalizing, final, and
/// final for another reason.
async fn varied<S: Storage>(world: &World<S>) -> Result<[Session; 4]> {
    let quiet = world.store.put_agent(&world.org, quiet_agent(), START).await?;
    let mut third = world.session_at(3, at(3));
    third.agent = quiet.clone();
    third.profile.holds_media = false;
    let mut fourth = world.session_at(4, at(4));
    fourth.agent = quiet;
    fourth.profile.holds_media = false;
    fourth.dialect = "other".into();
    fourth.person = None;
    let second = Session { person: Person::new("bob"), ..world.session_at(2, at(2)) };
    let all = [world.session_at(1, at(1)), second, third, fourth];
    for session in &all {
        assert_eq!(world.open(session).await?, OpenOutcome::Opened);
    }
    for (session, reason) in [
        (&all[1], EndReason::UserEnd),
        (&all[2], EndReason::Operator),
        (&all[3], EndReason::UserEnd),
    ] {
        let request = EndRequest::asked(reason);
        world.end(session.id, request, at(10)).await?;
    }
    Ok(all)
}

pub async fn each_filter_restricts_by_its_part(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let all = varied(&world).await?;
    let any = SessionFilter::default;
    let state = |state| SessionFilter { state: Some(state), ..any() };
    let agent = |version: &AgentVersion| SessionFilter { agent: Some(version.id.clone()), ..any() };
    let from = |from| SessionFilter { opened_from: Some(from), ..any() };
    let before = |before| SessionFilter { opened_before: Some(before), ..any() };
    let ms = |at: Timestamp| Timestamp::from_millis(at.as_millis() + 1);
    let cases: Vec<(SessionFilter, &[usize])> = vec![
        (any(), &[3, 2, 1, 0]),
        (state(StateFilter::Active), &[0]),
        (state(StateFilter::Finalizing), &[1]),
        (state(StateFilter::Final), &[3, 2]),
        (agent(&all[0].agent), &[1, 0]),
        (agent(&all[2].agent), &[3, 2]),
        (SessionFilter { dialect: Some("other".into()), ..any() }, &[3]),
        (SessionFilter { dialect: Some("none".into()), ..any() }, &[]),
        (SessionFilter { reason: Some(EndReason::UserEnd), ..any() }, &[3, 1]),
        (SessionFilter { reason: Some(EndReason::Idle), ..any() }, &[]),
        (SessionFilter { person: Person::new("bob"), ..any() }, &[1]),
        (SessionFilter { person: Person::new("ann@example.com"), ..any() }, &[2, 0]),
        (from(at(3)), &[3, 2]),
        (from(ms(at(3))), &[3]),
        (before(at(3)), &[1, 0]),
        (before(ms(at(3))), &[2, 1, 0]),
    ];
    for (filter, expected) in cases {
        let expected: Vec<_> = expected.iter().map(|index| all[*index].id).collect();
        assert_eq!(ids(&world, &filter).await?, expected, "{filter:?}");
    }
    Ok(())
}

pub async fn filters_restrict_together(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let all = varied(&world).await?;
    let filter = SessionFilter {
        dialect: Some("native".into()),
        project: None,
        state: Some(StateFilter::Finalizing),
        agent: Some(all[1].agent.id.clone()),
        reason: Some(EndReason::UserEnd),
        person: Person::new("bob"),
        opened_from: Some(at(2)),
        opened_before: Some(at(3)),
    };
    assert_eq!(ids(&world, &filter).await?, [all[1].id]);
    let other = SessionFilter { reason: Some(EndReason::Operator), ..filter };
    assert_eq!(ids(&world, &other).await?, []);
    Ok(())
}

pub async fn pages_have_no_gaps_or_doubles_though_rows_are_added(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let mut expected = HashSet::new();
    for n in 1..=10 {
        // Two by two in the same millisecond.
        let session = world.session_at(n, at(u64::from(n / 2)));
        assert_eq!(world.open(&session).await?, OpenOutcome::Opened);
        expected.insert(session.id);
    }
    let (mut seen, mut n) = (Vec::new(), 100);
    let mut request = PageRequest::first(3);
    loop {
        let page = world.store.list(&world.org, &SessionFilter::default(), &request).await?;
        seen.extend(page.items.into_iter().map(|session| session.id));
        n += 1;
        let newer = world.session_at(n, at(u64::from(n)));
        assert_eq!(world.open(&newer).await?, OpenOutcome::Opened);
        let Some(next) = page.next else { break };
        request.after = Some(next);
    }
    assert_eq!(seen.len(), 10);
    assert_eq!(seen.into_iter().collect::<HashSet<_>>(), expected);
    Ok(())
}

pub async fn a_page_that_is_exactly_full_is_the_last(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    for n in 1..=3 {
        world.opened(n).await?;
    }
    let filter = SessionFilter::default();
    let page = async |limit| {
        let page = world.store.list(&world.org, &filter, &PageRequest::first(limit)).await?;
        Ok::<_, crate::Error>((page.items.len(), page.next.is_some()))
    };
    assert_eq!(page(2).await?, (2, true));
    assert_eq!(page(3).await?, (3, false));
    assert_eq!(page(4).await?, (3, false));
    assert_eq!(page(0).await?, (1, true), "a page has at least one row");
    Ok(())
}

pub async fn a_page_holds_no_more_than_its_limit(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let opens: Vec<_> = (0..=PageRequest::LIMIT_MAX)
        .map(|n| {
            let (store, session) = (Arc::clone(&world.store), world.session(n));
            tokio::spawn(async move {
                let admission = Admission::Free;
                store
                    .open(OpenRequest { session, greeting: None, admission, open_max: 0 }, START)
                    .await
            })
        })
        .collect();
    for open in opens {
        assert_eq!(open.await.expect("no panic")?, OpenOutcome::Opened);
    }
    let request = PageRequest::first(PageRequest::LIMIT_MAX + 1);
    let page = world.store.list(&world.org, &SessionFilter::default(), &request).await?;
    assert_eq!(page.items.len(), PageRequest::LIMIT_MAX as usize);
    let rest = PageRequest { after: page.next, ..request };
    let page = world.store.list(&world.org, &SessionFilter::default(), &rest).await?;
    assert_eq!((page.items.len(), page.next), (1, None));
    Ok(())
}

/// A session with a transcript of `[said, call, result, replied]`, twice.
async fn talkative<S: Storage>(world: &World<S>) -> Result<(SessionId, Vec<Message>)> {
    let session = world.opened(1).await?;
    let mut expected = Vec::new();
    for turn in 1..=2 {
        let now = at(u64::from(turn));
        let number = world.begun(session.id, now).await?;
        let mut request = world.finish(session.id, number, now);
        request.messages = tool_traffic(now);
        request.messages.push(replied("Done.", now));
        let bodies = [vec![said("Where is my train?", now)], request.messages.clone()].concat();
        for body in bodies {
            let seq = u32::try_from(expected.len()).expect("a few");
            expected.push(Message { seq, turn, body });
        }
        world.store.finish_turn(request, now).await?;
    }
    Ok((session.id, expected))
}

pub async fn a_transcript_is_read_in_parts(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let (id, all) = talkative(&world).await?;
    let read = async |from, limit| world.store.messages(&world.org, id, from, limit).await;
    let whole = world.store.conversation(&world.org, id).await?;
    let expected = (world.stored(id).await?, read(0, 1_000).await?);
    assert_eq!(whole, Some(expected), "at one moment");
    let theirs = world.neighbour("org_2").await?.org;
    assert_eq!(world.store.conversation(&theirs, id).await?, None);
    assert_eq!(read(0, 100).await?, all);
    assert_eq!(read(0, 8).await?, all);
    assert_eq!(read(0, 7).await?, all[..7]);
    assert_eq!(read(3, 2).await?, all[3..5]);
    assert_eq!(read(7, 100).await?, all[7..]);
    assert_eq!(read(8, 100).await?, []);
    Ok(())
}

pub async fn the_person_does_not_see_tools_at_work(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let (id, all) = talkative(&world).await?;
    let visible: Vec<_> = all.into_iter().filter(|m| m.body.is_visible()).collect();
    let read = async |skip, limit| world.store.visible_messages(&world.org, id, skip, limit).await;
    assert_eq!(visible.len(), 4);
    assert_eq!(read(0, 100).await?, visible);
    assert_eq!(read(0, 3).await?, visible[..3]);
    assert_eq!(read(1, 2).await?, visible[1..3], "what is invisible is not counted when skipping");
    assert_eq!(read(3, 1).await?, visible[3..]);
    assert_eq!(read(4, 1).await?, []);
    Ok(())
}
