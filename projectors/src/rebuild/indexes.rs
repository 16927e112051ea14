//! A generation is filled without its secondary indexes, and gets them when all is in it: a whole index is built in a
//! fraction of the time that its entries take one by one.

use sqlx::PgPool;

use crate::generations::Generation;
use crate::model::Layout;
use crate::names::Names;
use crate::schema::{execute, make_tables};

/// Takes away every index that keeps nothing unique.
pub(super) async fn drop_them(
    pool: &PgPool,
    names: &Names,
    layout: &Layout,
    generation: Generation,
) -> Result<(), sqlx::Error> {
    let schema = names.generation(layout.name, generation);
    let secondary = "select quote_ident(i.relname) from pg_index x join pg_class i on i.oid = x.indexrelid
        where i.relnamespace = to_regnamespace($1) and not x.indisunique";
    let mut tx = pool.begin().await?;
    let indexes: Vec<String> = sqlx::query_scalar(secondary).bind(&schema).fetch_all(&mut *tx).await?;
    for index in indexes {
        execute(&mut tx, format!("drop index {schema}.{index}")).await?;
    }
    tx.commit().await
}

/// Builds what is missing, and lets the database look at what the tables hold, so that it plans the first reads well.
pub(super) async fn build(
    pool: &PgPool,
    names: &Names,
    layout: &Layout,
    generation: Generation,
) -> Result<(), sqlx::Error> {
    let schema = names.generation(layout.name, generation);
    let mut tx = pool.begin().await?;
    let patience = "set local client_min_messages to warning; set local maintenance_work_mem to '128MB'";
    execute(&mut tx, patience.to_owned()).await?;
    make_tables(&mut tx, names, layout, generation).await?;
    let tables = layout.table_names.iter().map(|table| format!("{schema}.{table}"));
    execute(&mut tx, format!("analyze {}", tables.collect::<Vec<_>>().join(", "))).await?;
    tx.commit().await
}
