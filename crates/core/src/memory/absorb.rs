//! What becomes of what is known when more is told. Nothing is deleted: what is no longer true gets an
//! end, what is told again gets another source.
//!
//! The order that counts is that of the world and of what was said when, not the order in which
//! conversations arrive here: one that comes late never ends what was said after it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    graph::{BEGINNING, Counters, Fact, FactId, Told},
    interval::Interval,
    resolve::{Claim, Ending, Resolved},
};
use crate::time::Timestamp;

/// What is known before. For each claim: the facts of its subject and relation that have its object, or
/// are exclusive. For each ending: the facts between its subject and its object.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The facts.
    pub facts: Vec<Fact>,
    /// Whether one of them has this very part of the conversation as a source. A part is absorbed whole or
    /// not at all, so then all of it has been.
    pub told_here: bool,
}

/// What is to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GraphChange {
    /// Facts that are new, or known and changed, whole.
    pub facts: Vec<Fact>,
    /// Facts that this part of the conversation is a source of.
    pub sources: BTreeSet<FactId>,
    /// Facts that go on where another one was interrupted, with that one: they have its sources.
    pub resumed: Vec<(FactId, FactId)>,
    /// How many facts are new.
    pub learned: u32,
    /// How many known facts were told again.
    pub confirmed: u32,
    /// How many known facts are over now.
    pub closed: u32,
}

/// Says what becomes of the facts.
pub fn absorb(
    resolved: &Resolved,
    known: &Known,
    counters: &mut Counters,
    told: Told,
) -> GraphChange {
    if known.told_here {
        return GraphChange::default();
    }
    let before: BTreeMap<_, _> = known.facts.iter().map(|fact| (fact.id, fact.clone())).collect();
    let mut work = Work { facts: before.clone(), counters, told, change: GraphChange::default() };
    // What is over is so of what was known before: a model that says both means the new fact.
    for ending in &resolved.endings {
        work.end(ending, &resolved.claims);
    }
    for claim in &resolved.claims {
        work.tell(claim);
    }
    let Work { facts, mut change, .. } = work;
    let is_closed = |fact: &&Fact| {
        before
            .get(&fact.id)
            .is_some_and(|old| old.valid_until.is_none() && fact.valid_until.is_some())
    };
    change.closed = u32::try_from(facts.values().filter(is_closed).count()).unwrap_or(u32::MAX);
    change.facts = facts.into_values().filter(|fact| before.get(&fact.id) != Some(fact)).collect();
    change
}

struct Work<'a> {
    facts: BTreeMap<FactId, Fact>,
    counters: &'a mut Counters,
    told: Told,
    change: GraphChange,
}

impl Work<'_> {
    /// A fact is stated.
    fn tell(&mut self, claim: &Claim) {
        let about = |fact: &&Fact| fact.subject == claim.subject && fact.relation == claim.relation;
        let same: Vec<Fact> = self
            .facts
            .values()
            .filter(about)
            .filter(|f| f.object == claim.object)
            .cloned()
            .collect();
        // Of what one has one at a time, each is told as such; a model may forget to say so.
        let exclusive = claim.exclusive || same.iter().any(|fact| fact.exclusive);
        let is_rival = |f: &&Fact| exclusive && f.exclusive && f.object != claim.object;
        let rivals: Vec<Fact> =
            self.facts.values().filter(about).filter(is_rival).cloned().collect();
        let region = self.region(claim, &same, &rivals);
        let mut taken: Vec<_> = same.iter().map(Interval::of).collect();
        taken.extend(rivals.iter().filter(|rival| !self.yields(rival, region)).map(Interval::of));
        let mut pieces = region.without_all(&taken);
        for rival in &rivals {
            self.make_room(rival, &pieces);
        }
        let confirmed = self.confirm(claim, &same, region, &mut pieces);
        if pieces.is_empty() && confirmed.is_none() {
            // Said, and contradicted by what was said later: kept, and never true.
            pieces.push(Interval { from: region.from, until: Some(region.from) });
        }
        for piece in pieces {
            self.learn(claim, piece);
        }
    }

    /// The time that the claim is about, as far as it goes unless others have it.
    fn region(&self, claim: &Claim, same: &[Fact], rivals: &[Fact]) -> Interval {
        let told_at = self.told.at;
        let from = match (claim.from, claim.until) {
            (Some(from), _) => from,
            // It was true until then, since nobody knows when: after whatever else is known.
            (None, Some(until)) if until <= told_at => {
                let others =
                    same.iter().chain(rivals).flat_map(|f| [Some(f.valid_from), f.valid_until]);
                others.flatten().filter(|at| *at < until).max().unwrap_or(BEGINNING)
            }
            (None, _) => told_at,
        };
        let mut region = Interval { from, until: claim.until.map(|until| until.max(from)) };
        if region.until.is_some() {
            return region;
        }
        // An open claim says nothing about what comes after it was made.
        for fact in same.iter().filter(|fact| fact.told_at > told_at) {
            fact.valid_until
                .filter(|until| *until > from)
                .into_iter()
                .for_each(|at| region.cut(at));
        }
        for rival in rivals.iter().filter(|rival| !Interval::of(rival).is_empty()) {
            let comes_later = rival.told_at > told_at || rival.valid_from > told_at;
            // What was said to last for a while only interrupts.
            let interrupts = rival.unlearned_at == Some(rival.learned_at);
            if comes_later && rival.valid_from > from && !interrupts {
                region.cut(rival.valid_from);
            }
        }
        region
    }

    /// Whether a rival gives way: it was said before, or is interrupted by something announced.
    fn yields(&self, rival: &Fact, region: Interval) -> bool {
        let is_announced =
            rival.valid_until.is_none() && region.from > rival.told_at.max(rival.valid_from);
        rival.told_at <= self.told.at || is_announced
    }

    /// The claim is about a known fact, at least in part: that gets a source, and perhaps an earlier
    /// beginning or an end. Returns the fact.
    fn confirm(
        &mut self,
        claim: &Claim,
        same: &[Fact],
        region: Interval,
        pieces: &mut Vec<Interval>,
    ) -> Option<FactId> {
        let begins_earlier = |fact: &&Fact| {
            let own = Interval::of(fact);
            !own.is_empty() && pieces.iter().any(|piece| piece.until == Some(own.from))
        };
        let holds = |fact: &&Fact| Interval::of(fact).holds(region.from);
        let touches = |fact: &&Fact| pieces.is_empty() && Interval::of(fact).touches(region);
        let fact = same
            .iter()
            .find(holds)
            .or_else(|| same.iter().find(begins_earlier))
            .or_else(|| same.iter().find(touches))?;
        let mut fact = fact.clone();
        if let Some(place) = pieces.iter().position(|piece| piece.until == Some(fact.valid_from)) {
            fact.valid_from = pieces.remove(place).from;
        }
        if let Some(until) = claim.until
            && fact.valid_until.is_none()
            && self.told.at >= fact.told_at
        {
            self.close(&mut fact, until);
        }
        if !self.change.sources.contains(&fact.id) {
            self.change.confirmed += 1;
        }
        fact.told_at = fact.told_at.max(self.told.at);
        self.change.sources.insert(fact.id);
        let id = fact.id;
        self.facts.insert(id, fact);
        Some(id)
    }

    /// A rival gives up the time of these pieces. What is left of it after them goes on as another fact.
    fn make_room(&mut self, rival: &Fact, pieces: &[Interval]) {
        let own = Interval::of(rival);
        if !pieces.iter().any(|piece| piece.overlaps(own)) {
            return;
        }
        let mut left = own.without_all(pieces).into_iter();
        let mut shorter = rival.clone();
        let first = left.next().unwrap_or(Interval { from: own.from, until: Some(own.from) });
        if first.from == own.from {
            self.set_end(&mut shorter, first.until);
        } else {
            self.close(&mut shorter, own.from);
            self.resume(rival, first);
        }
        self.facts.insert(shorter.id, shorter);
        for later in left {
            self.resume(rival, later);
        }
    }

    fn resume(&mut self, fact: &Fact, time: Interval) {
        let resumed = Fact {
            id: self.next_id(),
            valid_from: time.from,
            valid_until: time.until,
            learned_at: self.told.learned_at,
            unlearned_at: time.until.map(|_| self.told.learned_at),
            ..fact.clone()
        };
        self.change.resumed.push((fact.id, resumed.id));
        if self.change.sources.contains(&fact.id) {
            self.change.sources.insert(resumed.id);
        }
        self.facts.insert(resumed.id, resumed);
    }

    fn learn(&mut self, claim: &Claim, time: Interval) {
        let id = self.next_id();
        self.change.learned += 1;
        self.change.sources.insert(id);
        self.facts.insert(
            id,
            Fact {
                id,
                subject: claim.subject,
                relation: claim.relation.clone(),
                object: claim.object,
                sentence: claim.sentence.clone(),
                exclusive: claim.exclusive,
                valid_from: time.from,
                valid_until: time.until,
                learned_at: self.told.learned_at,
                unlearned_at: time.until.map(|_| self.told.learned_at),
                told_at: self.told.at,
            },
        );
    }

    fn next_id(&mut self) -> FactId {
        let id = FactId(self.counters.facts);
        self.counters.facts += 1;
        id
    }

    /// A known fact is over. Where nothing stands between the two with this relation, but one thing
    /// with another, that is meant: models find new words for what they named before.
    fn end(&mut self, ending: &Ending, claims: &[Claim]) {
        let between = |fact: &&Fact| {
            fact.subject == ending.subject
                && fact.object == ending.object
                && fact.told_at <= self.told.at
                && fact.valid_until.is_none()
        };
        let open: Vec<&Fact> = self.facts.values().filter(between).collect();
        let named: Vec<&Fact> =
            open.iter().copied().filter(|fact| fact.relation == ending.relation).collect();
        let meant = match (named.is_empty(), open.as_slice()) {
            (false, _) => named,
            (true, [one]) => vec![*one],
            (true, _) => return,
        };
        let said_too = |fact: &Fact| {
            claims.iter().any(|claim| {
                claim.subject == fact.subject
                    && claim.object == fact.object
                    && claim.relation == fact.relation
                    && claim.until.is_none()
                    && ending.when.is_none()
            })
        };
        let over: Vec<Fact> = meant.into_iter().filter(|fact| !said_too(fact)).cloned().collect();
        for mut fact in over {
            self.close(&mut fact, ending.when.unwrap_or(self.told.at));
            fact.told_at = fact.told_at.max(self.told.at);
            self.change.sources.insert(fact.id);
            self.facts.insert(fact.id, fact);
        }
    }

    fn close(&self, fact: &mut Fact, at: Timestamp) {
        self.set_end(fact, Some(at.max(fact.valid_from)));
    }

    fn set_end(&self, fact: &mut Fact, until: Option<Timestamp>) {
        if fact.valid_until != until {
            fact.valid_until = until;
            fact.unlearned_at = until.map(|_| self.told.learned_at);
        }
    }
}
