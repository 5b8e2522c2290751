//! Everything that is remembered of a person, part by part, to be handed out.

use epilogue_core::{AgentId, OrgId, Person};
use epilogue_storage::{Cursor, Episode, Page, PageRequest};

use super::{PersonMemory, ShownEntity, ShownFact};
use crate::{Engine, memory::MemoryError};

/// How many entities, facts or conversations one part has.
const PART: u32 = 200;

/// How many conversations one part has: they are long.
const EPISODES_PART: u32 = 20;

/// How many sources of one fact are handed out.
const SOURCES_MAX: u32 = 10_000;

/// Something that is remembered.
#[derive(Clone, Debug)]
pub enum Exported {
    /// Somebody or something.
    Entity(ShownEntity),
    /// A fact with its sources.
    Fact(Box<ShownFact>),
    /// A conversation, as it is remembered by this agent.
    Episode(Option<AgentId>, Episode),
}

/// How far handing out has come.
#[derive(Clone, Debug)]
pub struct ExportPlace {
    memories: Vec<PersonMemory>,
    what: What,
    after: Option<Cursor>,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Entities,
    Facts,
    Episodes,
}

impl Engine {
    /// Where handing out begins.
    pub async fn export_begin(
        &self,
        org: &OrgId,
        person: &Person,
    ) -> Result<ExportPlace, MemoryError> {
        let mut memories = self.memories_of(org, person).await?;
        // Taken from the end.
        memories.reverse();
        Ok(ExportPlace { memories, what: What::Entities, after: None })
    }

    /// The next part. `None`: that was all.
    pub async fn export_part(
        &self,
        org: &OrgId,
        place: &mut ExportPlace,
    ) -> Result<Option<Vec<Exported>>, MemoryError> {
        let Some(memory) = place.memories.last().cloned() else { return Ok(None) };
        let limit = if matches!(place.what, What::Episodes) { EPISODES_PART } else { PART };
        let page = PageRequest { after: place.after.take(), limit };
        let (part, next) = match place.what {
            What::Entities => {
                let Page { items, next } =
                    self.store().list_entities(org, &memory.scope, &page).await?;
                let entity = |entity| Exported::Entity(memory.entity(entity));
                (items.into_iter().map(entity).collect(), next)
            }
            What::Facts => self.facts_part(org, &memory, &page).await?,
            What::Episodes => {
                let Page { items, next } =
                    self.store().list_episodes(org, &memory.scope, &page).await?;
                let episode = |episode| Exported::Episode(memory.agent.clone(), episode);
                (items.into_iter().map(episode).collect(), next)
            }
        };
        place.after = next;
        if place.after.is_none() {
            place.what = match place.what {
                What::Entities => What::Facts,
                What::Facts => What::Episodes,
                What::Episodes => {
                    place.memories.pop();
                    What::Entities
                }
            };
        }
        Ok(Some(part))
    }

    async fn facts_part(
        &self,
        org: &OrgId,
        memory: &PersonMemory,
        page: &PageRequest,
    ) -> Result<(Vec<Exported>, Option<Cursor>), MemoryError> {
        let fact = |fact| Exported::Fact(Box::new(fact));
        if !self.remembers_in_store() {
            let Page { items, next } =
                self.inner.parts.memory.list(org, &memory.scope, page).await?;
            let items = items.into_iter().map(|recalled| fact(memory.recalled(recalled, false)));
            return Ok((items.collect(), next));
        }
        let Page { items, next } =
            self.store().known_facts(org, &memory.scope, None, SOURCES_MAX, page).await?;
        Ok((items.into_iter().map(|known| fact(memory.known(known, None))).collect(), next))
    }
}
