//! Lists, page by page.

use service_kit::extract;
use service_kit::problem::Problem;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Postgres, QueryBuilder};

use super::App;
use crate::cursor::{self, Place};

/// What a list is sorted by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sort {
    /// Microseconds since 1970, then what tells apart: the columns of a [`Place`], the first two or all three.
    pub(super) columns: &'static [&'static str],
    /// The newest first.
    pub(super) falling: bool,
}

/// One page of a list.
#[derive(Debug)]
pub(super) struct Paging {
    list: String,
    after: Option<Place>,
    limit: u32,
}

impl Paging {
    /// The page that somebody asks for; `list` names the list, filters included.
    ///
    /// # Errors
    /// 400 `bad-parameter` if the limit is out of bounds, or the cursor is not of this list.
    pub(super) fn of(app: &App, list: String, limit: Option<u32>, cursor: Option<&str>) -> Result<Self, Problem> {
        let limit = extract::limit(limit)?;
        let after = cursor::read(&app.keys, &list, cursor)?;
        Ok(Self { list, after, limit })
    }

    /// Its rows, and the cursor of the next page if there is one. The query must end in a condition.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub(super) async fn rows<R>(
        &self,
        app: &App,
        mut query: QueryBuilder<Postgres>,
        sort: Sort,
        place: impl Fn(&R) -> Place,
    ) -> Result<(Vec<R>, Option<String>), Problem>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let Sort { columns, falling } = sort;
        if let Some(Place { us, id, within }) = self.after {
            let beyond = if falling { "<" } else { ">" };
            query.push(format!(" and ({}) {beyond} (", columns.join(", "))).push_bind(us).push(", ").push_bind(id);
            if columns.len() > 2 {
                query.push(", ").push_bind(within);
            }
            query.push(")");
        }
        let by: Vec<String> =
            columns.iter().map(|column| format!("{column}{}", if falling { " desc" } else { "" })).collect();
        // One more than asked for tells whether there is another page.
        query.push(format!(" order by {} limit ", by.join(", "))).push_bind(i64::from(self.limit) + 1);
        let mut rows: Vec<R> = app.database.ask(query.build_query_as().fetch_all(app.database.pool())).await?;
        let more = cut(&mut rows, self.limit);
        let next = rows.last().filter(|_| more).map(|last| cursor::write(&app.keys, &self.list, place(last)));
        Ok((rows, next))
    }
}

/// Leaves at most `limit` rows, and tells whether there were more.
fn cut<R>(rows: &mut Vec<R>, limit: u32) -> bool {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_knows_whether_there_are_more() {
        let cut = |mut rows: Vec<i32>| (cut(&mut rows, 2), rows);
        assert_eq!(cut(vec![1, 2, 3]), (true, vec![1, 2]));
        assert_eq!(cut(vec![1, 2]), (false, vec![1, 2]));
        assert_eq!(cut(Vec::new()), (false, Vec::new()));
    }
}
