//! Writing prompt variables into a session that is open.

use epilogue_core::{OrgId, SessionId, variables::Nulls};
use epilogue_storage::{WriteVariables, WriteVariablesOutcome};
use serde_json::{Map, Value};

use crate::{Engine, Error, Result};

impl Engine {
    /// Lays variables over the bag of a live session, name by name. The next turn goes by them.
    pub async fn write_variables(
        &self,
        org: &OrgId,
        session: SessionId,
        variables: Map<String, Value>,
        nulls: Nulls,
    ) -> Result<WriteVariablesOutcome> {
        if self.is_draining() {
            return Err(Error::Draining);
        }
        let request = WriteVariables { org: org.clone(), session, variables, nulls };
        Ok(self.store().write_variables(request, self.now()).await?)
    }
}
