//! Searching what has been.

use epilogue_core::{OrgId, SessionId, event::Activity};

use crate::{
    Engine, Result,
    records::{
        ActivityCount, ActivityFilter, ActivityOrder, Hits, OffsetPage, ResultFacets, ResultFilter,
        ResultHit, ResultOrder, ResultRecord,
    },
};

impl Engine {
    /// A page of the ended conversations that are wanted.
    pub async fn search_results(
        &self,
        org: &OrgId,
        filter: &ResultFilter,
        order: ResultOrder,
        page: OffsetPage,
    ) -> Result<Hits<ResultHit>> {
        Ok(self.store().search_results(org, filter, order, page).await?)
    }

    /// How they are spread, with these members of the client's data.
    pub async fn result_facets(
        &self,
        org: &OrgId,
        filter: &ResultFilter,
        members: &[String],
    ) -> Result<ResultFacets> {
        Ok(self.store().result_facets(org, filter, members).await?)
    }

    /// One ended conversation as it is searched. `None`: it is not recorded, or not yet.
    pub async fn result(&self, org: &OrgId, session: SessionId) -> Result<Option<ResultRecord>> {
        Ok(self.store().result(org, session).await?)
    }

    /// A page of the activity log's entries that are wanted.
    pub async fn search_activity(
        &self,
        org: &OrgId,
        filter: &ActivityFilter,
        order: ActivityOrder,
        page: OffsetPage,
    ) -> Result<Hits<Activity>> {
        Ok(self.store().search_activity(org, filter, order, page).await?)
    }

    /// How they are spread.
    pub async fn activity_counts(
        &self,
        org: &OrgId,
        filter: &ActivityFilter,
    ) -> Result<Vec<ActivityCount>> {
        Ok(self.store().activity_counts(org, filter).await?)
    }
}
