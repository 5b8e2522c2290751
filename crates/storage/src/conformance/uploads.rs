//! Conversations on their way to a memory service: queued once, claimed by one, one after the other.

use epilogue_core::{
    MemoryScope, NodeId, OrgId, Person, SessionId, StepId, StepKind, StepState, Timestamp,
    upload::{Progress, Upload, UploadState},
};

use super::{
    Backend,
    fixture::{LEASE, NODE, World, at, busy_agent},
    prelude::*,
};
use crate::{
    ClaimUploads, DroppedUploads, DueUploads, NewUpload, Result, Storage, UploadCensus,
    UploadClaim, UploadOutcome, UploadReport,
};

fn scope(name: &str) -> MemoryScope {
    MemoryScope(name.into())
}

fn of<S: Storage>(world: &World<S>, n: u32) -> SessionId {
    world.session(n).id
}

/// Puts conversation number `n`, which ended `n` seconds after the start, into somebody's lane.
async fn queued<S: Storage>(world: &World<S>, n: u32, who: &str) -> Result<Upload> {
    let (org, session) = (world.org.clone(), of(world, n));
    let (began_at, ended_at, due_at) = (at(u64::from(n)), at(u64::from(n)), at(100));
    let person = Person::new(who).expect("a person").key();
    let new = NewUpload { org, session, scope: scope(who), person, began_at, ended_at, due_at };
    world.store.enqueue_upload(new, at(100)).await
}

async fn claimed<S: Storage>(world: &World<S>, now: Timestamp) -> Result<Vec<Upload>> {
    let request = ClaimUploads {
        org: world.org.clone(),
        node: NodeId::from(NODE),
        lease_until: now + LEASE,
        limit: 100,
    };
    world.store.claim_uploads(request, now).await
}

fn claim_of(upload: &Upload) -> UploadClaim {
    let Upload { org, session, attempt, .. } = upload.clone();
    UploadClaim { org, session, attempt }
}

async fn one<S: Storage>(world: &World<S>, n: u32) -> Result<Upload> {
    Ok(world.store.upload(&world.org, of(world, n)).await?.expect("queued"))
}

async fn settled<S: Storage>(
    world: &World<S>,
    upload: &Upload,
    report: UploadReport,
    now: Timestamp,
) -> Result<()> {
    let outcome = world.store.settle_upload(&claim_of(upload), report, now).await?;
    assert_eq!(outcome, UploadOutcome::Recorded);
    Ok(())
}

/// Claims what is due and says which conversations that were.
async fn taken<S: Storage>(world: &World<S>, now: Timestamp) -> Result<Vec<SessionId>> {
    Ok(claimed(world, now).await?.iter().map(|upload| upload.session).collect())
}

pub async fn a_conversation_is_queued_once(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let first = queued(&world, 1, "ann").await?;
    let expected = Upload {
        org: world.org.clone(),
        session: of(&world, 1),
        scope: scope("ann"),
        ended_at: at(1),
        state: UploadState::Owed { due_at: at(100) },
        progress: Progress::default(),
        attempt: 0,
        failures: 0,
        queued_at: at(100),
        detail: String::new(),
    };
    assert_eq!(first, expected);
    assert_eq!(one(&world, 1).await?, expected);
    assert_eq!(queued(&world, 1, "bob").await?, expected);
    assert_eq!(world.store.upload(&world.org, of(&world, 2)).await?, None);
    let [upload] = claimed(&world, at(100)).await?.try_into().expect("one");
    settled(&world, &upload, UploadReport::Done("all of it".into()), at(101)).await?;
    assert_eq!(queued(&world, 1, "ann").await?.state, UploadState::Done { at: at(101) });
    assert!(claimed(&world, at(900)).await?.is_empty());
    Ok(())
}

pub async fn of_a_lane_one_conversation_is_under_way_in_the_order_of_their_ends(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    // What nobody has begun with gives way to what ended before it.
    for (n, first) in [(4, true), (2, true), (3, false)] {
        let is_first = queued(&world, n, "ann").await?.state != UploadState::Waiting;
        assert_eq!(is_first, first, "{n}");
    }
    queued(&world, 9, "bob").await?;
    assert_eq!(one(&world, 4).await?.state, UploadState::Waiting);
    let mut first = claimed(&world, at(100)).await?;
    first.sort_by_key(|upload| upload.session);
    assert_eq!(first.iter().map(|u| u.session).collect::<Vec<_>>(), [of(&world, 2), of(&world, 9)]);
    // It does not once it is under way: what is queued late and ended early comes next.
    queued(&world, 1, "ann").await?;
    assert!(claimed(&world, at(101)).await?.is_empty());
    for (report, next) in [
        (UploadReport::Done("one".into()), 1),
        (UploadReport::Park("no".into()), 3),
        (UploadReport::Done("three".into()), 4),
    ] {
        settled(&world, &first[0], report, at(102)).await?;
        first = claimed(&world, at(102)).await?;
        assert_eq!(first.iter().map(|u| u.session).collect::<Vec<_>>(), [of(&world, next)]);
    }
    Ok(())
}

pub async fn progress_is_on_record_and_forgives_failures(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    queued(&world, 1, "ann").await?;
    let [upload] = claimed(&world, at(100)).await?.try_into().expect("one");
    let again = UploadReport::Again { due_at: at(110), detail: "it is down".into() };
    settled(&world, &upload, again, at(101)).await?;
    let failed = one(&world, 1).await?;
    assert_eq!((failed.failures, failed.detail.as_str()), (1, "it is down"));
    assert!(claimed(&world, at(109)).await?.is_empty());
    let [upload] = claimed(&world, at(110)).await?.try_into().expect("one");
    let advance =
        async |progress| world.store.advance_upload(&claim_of(&upload), progress, at(130)).await;
    let sent = Progress { confirmed: 0, sent_at: Some(at(111)), lost: 2 };
    assert_eq!(advance(sent).await?, UploadOutcome::Recorded);
    assert_eq!((one(&world, 1).await?.progress, one(&world, 1).await?.failures), (sent, 1));
    let found = Progress { confirmed: 1, sent_at: None, lost: 2 };
    assert_eq!(advance(found).await?, UploadOutcome::Recorded);
    assert_eq!((one(&world, 1).await?.progress, one(&world, 1).await?.failures), (found, 0));
    let extended = UploadState::Leased { node: NodeId::from(NODE), until: at(130) };
    assert_eq!(one(&world, 1).await?.state, extended);
    settled(&world, &upload, UploadReport::GoesOn { due_at: at(120) }, at(112)).await?;
    let going_on = one(&world, 1).await?;
    assert_eq!((going_on.state, going_on.failures), (UploadState::Owed { due_at: at(120) }, 0));
    Ok(())
}

pub async fn a_lost_claim_on_an_upload_writes_nothing(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    queued(&world, 1, "ann").await?;
    let [old] = claimed(&world, at(100)).await?.try_into().expect("one");
    assert!(claimed(&world, at(100)).await?.is_empty(), "the lease holds");
    let [new] = claimed(&world, at(100) + LEASE).await?.try_into().expect("the lease ran out");
    let sent = Progress { sent_at: Some(at(200)), ..Progress::default() };
    let lost = UploadOutcome::LeaseLost;
    assert_eq!(world.store.advance_upload(&claim_of(&old), sent, at(300)).await?, lost);
    let report = UploadReport::Done("no".into());
    assert_eq!(world.store.settle_upload(&claim_of(&old), report.clone(), at(201)).await?, lost);
    assert_eq!(one(&world, 1).await?.progress, Progress::default());
    settled(&world, &new, report.clone(), at(202)).await?;
    assert_eq!(world.store.settle_upload(&claim_of(&new), report, at(203)).await?, lost);
    Ok(())
}

pub async fn the_step_that_waits_is_due_when_its_upload_is_at_rest(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let ends = [UploadReport::Done("all of it".into()), UploadReport::Park("no".into())];
    for (n, report) in (1..).zip(ends) {
        let session = world.finished(n).await?.id;
        queued(&world, n, "ann").await?;
        let step = StepId::own(session, StepKind::IngestMemory);
        let later = crate::StepReport::Again { due_at: at(5_000) };
        world.work(step, later, Vec::new(), at(100)).await?;
        let [upload] = claimed(&world, at(110)).await?.try_into().expect("one");
        let due = async || Ok::<_, crate::Error>(world.step(session, step.kind).await?.state);
        assert_eq!(due().await?, StepState::Owed { due_at: at(5_000) });
        settled(&world, &upload, report.clone(), at(120)).await?;
        assert_eq!(due().await?, StepState::Owed { due_at: at(120) });
        if matches!(report, UploadReport::Park(_)) {
            world.work(step, crate::StepReport::Park("no".into()), Vec::new(), at(121)).await?;
            world.store.retry(&world.org, step, None, at(130)).await?;
            assert_eq!(one(&world, n).await?.state, UploadState::Owed { due_at: at(130) });
        }
    }
    Ok(())
}

pub async fn a_parked_upload_is_resumed_behind_what_is_under_way(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    for n in [1, 2, 3] {
        queued(&world, n, "ann").await?;
    }
    let resume = async |n| world.store.resume_upload(&world.org, of(&world, n), at(105)).await;
    assert!(!resume(1).await?, "it is owed");
    let [first] = claimed(&world, at(100)).await?.try_into().expect("one");
    settled(&world, &first, UploadReport::Park("no".into()), at(101)).await?;
    let [second] = claimed(&world, at(102)).await?.try_into().expect("the next");
    assert!(resume(1).await?);
    assert!(!resume(1).await?, "once is enough");
    assert_eq!(one(&world, 1).await?.state, UploadState::Waiting);
    assert!(claimed(&world, at(106)).await?.is_empty(), "another is under way");
    settled(&world, &second, UploadReport::Done("two".into()), at(107)).await?;
    let [first] = claimed(&world, at(107)).await?.try_into().expect("one");
    assert_eq!(first.session, of(&world, 1), "it comes before what ended later");
    settled(&world, &first, UploadReport::Park("no".into()), at(108)).await?;
    let [third] = claimed(&world, at(108)).await?.try_into().expect("one");
    settled(&world, &third, UploadReport::Done("three".into()), at(109)).await?;
    assert!(resume(1).await?, "the lane is free");
    assert_eq!(taken(&world, at(110)).await?, [of(&world, 1)]);
    assert!(!world.store.resume_upload(&OrgId::from("other"), of(&world, 1), at(111)).await?);
    Ok(())
}

pub async fn a_dropped_lane_sends_nothing_any_more(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    for n in [1, 2, 3] {
        queued(&world, n, "ann").await?;
    }
    queued(&world, 4, "bob").await?;
    let all = claimed(&world, at(100)).await?;
    let first = all.iter().find(|upload| upload.session == of(&world, 1)).expect("due");
    settled(&world, first, UploadReport::Done("one".into()), at(101)).await?;
    let [second] = claimed(&world, at(102)).await?.try_into().expect("the next");
    let sent = Progress { sent_at: Some(at(103)), ..Progress::default() };
    world.store.advance_upload(&claim_of(&second), sent, at(300)).await?;
    let drop = async || world.store.drop_uploads(&world.org, &scope("ann"), at(104)).await;
    assert_eq!(drop().await?, DroppedUploads { conversations: 2, on_their_way: 1 });
    assert_eq!(drop().await?, DroppedUploads::default());
    assert_eq!(one(&world, 2).await?.state, UploadState::Dropped { at: at(104) });
    assert_eq!(one(&world, 3).await?.state, UploadState::Dropped { at: at(104) });
    assert_eq!(world.store.upload(&world.org, of(&world, 1)).await?, None, "it was through");
    let late = world.store.advance_upload(&claim_of(&second), sent, at(300)).await?;
    assert_eq!(late, UploadOutcome::LeaseLost);
    assert!(matches!(queued(&world, 3, "ann").await?.state, UploadState::Dropped { .. }));
    assert!(matches!(one(&world, 4).await?.state, UploadState::Leased { .. }), "bob's goes on");
    queued(&world, 5, "ann").await?;
    assert_eq!(taken(&world, at(105)).await?, [of(&world, 5)], "ann has come back");
    Ok(())
}

pub async fn what_began_before_its_person_was_forgotten_is_dropped_at_once(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let ann = Person::new("ann").expect("a person");
    world.store.erase_person(&world.org, &ann, &[scope("ann")], at(5)).await?;
    assert_eq!(queued(&world, 5, "ann").await?.state, UploadState::Dropped { at: at(100) });
    assert_eq!(one(&world, 5).await?.state, UploadState::Dropped { at: at(100) });
    assert!(matches!(queued(&world, 6, "ann").await?.state, UploadState::Owed { .. }));
    assert!(matches!(queued(&world, 1, "bob").await?.state, UploadState::Owed { .. }));
    Ok(())
}

pub async fn uploads_of_nodes_that_are_gone_are_due_at_once(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    queued(&world, 1, "ann").await?;
    claimed(&world, at(100)).await?;
    assert_eq!(world.store.release_uploads(&[NodeId::from(NODE)], at(101)).await?, 0);
    assert!(claimed(&world, at(101)).await?.is_empty());
    assert_eq!(world.store.release_uploads(&[], at(101)).await?, 1);
    assert_eq!(taken(&world, at(101)).await?, [of(&world, 1)]);
    Ok(())
}

pub async fn due_uploads_are_read_in_their_order_and_counted(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let other = World::join(world.store.clone(), "org_2", busy_agent()).await?;
    assert_eq!(world.store.next_due_upload().await?, None);
    for world in [&other, &world] {
        queued(world, 1, "ann").await?;
        queued(world, 2, "ann").await?;
    }
    let due = |org: &str| DueUploads { org: org.into(), due_at: at(100) };
    let list = async |now, after: Option<OrgId>, limit| {
        world.store.due_uploads(now, after.as_ref(), limit).await
    };
    assert_eq!(list(at(100), None, 10).await?, [due("org_1"), due("org_2")]);
    assert_eq!(list(at(100), None, 1).await?, [due("org_1")]);
    assert_eq!(list(at(100), Some("org_1".into()), 10).await?, [due("org_2")]);
    assert_eq!(list(at(99), None, 10).await?, []);
    assert_eq!(world.store.next_due_upload().await?, Some(at(100)));
    let [upload] = claimed(&world, at(100)).await?.try_into().expect("its own alone");
    settled(&world, &upload, UploadReport::Park("no".into()), at(101)).await?;
    let census = UploadCensus { open: 3, parked: 1, oldest_at: Some(at(100)) };
    assert_eq!(world.store.upload_census().await?, census);
    assert_eq!(other.store.upload(&other.org, of(&world, 3)).await?, None);
    Ok(())
}
