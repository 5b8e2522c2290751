//! Searching what has been.

use epilogue_core::{OrgId, event::Activity};

use crate::{
    Engine, Result,
    records::{
        ActivityCount, ActivityFilter, ActivityOrder, Hits, OffsetPage, ResultFacets, ResultFilter,
        ResultHit, ResultOrder,
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

    /// A page of the activity log's entries that are wanted, and how many there are of each kind.
    pub async fn search_activity(
        &self,
        org: &OrgId,
        filter: &ActivityFilter,
        order: ActivityOrder,
        page: OffsetPage,
    ) -> Result<(Hits<Activity>, Vec<ActivityCount>)> {
        Ok(self.store().search_activity(org, filter, order, page).await?)
    }
}
