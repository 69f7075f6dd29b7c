//! The files, as one plan.

use config::{Dialect, Plan};

use super::variables::Wishes;
use super::{catalog, includes};
use crate::front::{Confined, Failure, Front, Session};
use crate::sandbox::Rules;

/// Reads what the list includes, confines the process to what is left to do, has the catalog index's defaults brought,
/// and plans.
pub(super) fn plan(
    front: &Front<'_>,
    session: &mut Session,
    bytes: &[u8],
    wishes: &Wishes,
) -> Result<(Plan, Confined), Failure> {
    let file = front.config.display().to_string();
    let plan = config::parse(bytes).map_err(|problems| session.tell_problems(&file, &problems))?;
    let folder = front.config.parent().unwrap_or(front.config);
    let mut includes = includes::read(folder, [], wishes.catalog.index.as_deref())?;
    // Local plugins lie below the working folder.
    let mut rules = Rules { read: vec![".".into()], ..Rules::default() };
    rules.changed.extend(catalog::folder(&wishes.catalog)?);
    let confined = front.confine(session, Dialect::Rhdh, plan.policy.clone(), rules)?;
    if let Some(defaults) = catalog::bring(&wishes.catalog)? {
        includes::put(&mut includes, defaults);
    }
    Ok((plan, confined))
}
